"""Tests in files, as callables that nothing has to be imported for.

``run_tests`` takes callables; a file of tests, or one test of it, is one as well: called by itself
it runs in its own process and raises what went wrong, and a runner that meets it runs it as what it
is, with all others of its file together.
"""

import ast
import os
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

from iopio_async.dropin.project import files_of_tests, project_root
from iopio_async.project.tree import Tree


class FileTest:
    """A file of tests, or the test ``name`` (``Class::method``) in it.

    ``path`` is absolute; ``directory`` is the one that it was found in, if it was.
    """

    def __init__(self, path: str, name: str = "", *, directory: str = "") -> None:
        self.path = os.path.abspath(path)
        self.name = name
        self.directory = directory
        self.__name__ = name.rpartition("::")[2] or os.path.basename(path)
        self.__qualname__ = name.replace("::", ".") or self.__name__

    def __repr__(self) -> str:
        return f"<{os.path.relpath(self.path)}{'::' * bool(self.name)}{self.name}>"

    def __call__(self) -> None:
        """Run it.

        Raises:
            AssertionError: it did not pass; the message has the error of each failure.
        """
        from iopio_async.dropin.runner import OptimizedTestRunner

        outcome = OptimizedTestRunner(cache_enabled=False, max_workers=1).run_tests([self])
        errors = [each["error"] for each in outcome["results"] if not each["success"]]
        if errors:
            raise AssertionError("\n".join(errors))


def discover_all_tests(root: str | os.PathLike[str] | None = None) -> list[Callable[[], Any]]:
    """One callable for each test in the ``test_*.py`` files below ``root``, in order.

    ``root`` is the project's by default. Nothing is imported: what a file makes of its tests as it
    is imported (parameters, for one) is known when it is run. A file in which none can be seen is
    one callable as a whole.
    """
    directory = project_root() if root is None else os.fspath(root)
    found: list[Callable[[], Any]] = []
    for path in files_of_tests(directory):
        names = list(names_in(Tree(directory).read(os.path.abspath(path))))
        found += [FileTest(path, name) for name in names] or [FileTest(path)]
    return found


def names_in(source: bytes) -> Iterator[str]:
    """The names of the tests that a file's source shows."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return
    for each in body:
        if _is_test(each):
            yield each.name
        elif isinstance(each, ast.ClassDef):
            is_case = any(ast.unparse(base).endswith("TestCase") for base in each.bases)
            if is_case or each.name.startswith("Test"):
                yield from (f"{each.name}::{one.name}" for one in each.body if _is_test(one))


def _is_test(node: ast.stmt) -> TypeGuard[ast.FunctionDef | ast.AsyncFunctionDef]:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return node.name.startswith("test")
