"""What tests touch outside of themselves: the claims of files, and of single callables.

A callable is analysed as what it is in its file: the file is read as if it were the only test in
it, so that two tests of one script claim apart. What can't be found or read claims nothing.
"""

import ast
import contextlib
import inspect
import os
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from iopio_async import state
from iopio_async.analysis.claims import read_facts, tells
from iopio_async.errors import InfrastructureError
from iopio_async.model.module import Claim, Reach
from iopio_async.orchestration.source_facts import FactsStore
from iopio_async.planning.claims import claims_of
from iopio_async.planning.sources import Sources, glimpsed_imports
from iopio_async.planning.spread import binding, spread
from iopio_async.project.digests import Digests, Status
from iopio_async.project.python_files import python_files
from iopio_async.project.tree import Tree

#: So begins what no file of the project is called.
_LONE = "<function> "

Claims = tuple[Claim, ...]


class Resources:
    """The claims of one project's tests; each file is read once.

    Facts of the project's files are taken from where runs keep them, and kept there.
    """

    def __init__(self, root: str) -> None:
        #: What is worth knowing of the analysis.
        self.warnings: list[str] = []
        self._root = root
        self._folder = state.folder_of(root)
        self._tree = Tree(root)
        self._parsed: dict[str, ast.Module | None] = {}
        stati: dict[str, Status] = {}
        with contextlib.suppress(InfrastructureError):
            stati = python_files(root)
        digests = Digests()
        self._files = {path: digests.of(os.path.join(root, path), stati[path]) for path in stati}
        self._facts = FactsStore.load(self._folder, root, self._files)

    def of_files(self, files: Sequence[str]) -> dict[str, Claims]:
        """The claims of test files, by their paths relative to the root."""
        sources = self._sources(files, {}, conftests=True)
        found = {file: self._claims(sources, file) for file in files}
        self._keep()
        return found

    def of_functions(self, functions: Sequence[Callable[..., Any]]) -> list[Claims]:
        """The claims of callables, in their order."""
        given: dict[str, bytes] = {}
        places = [self._lone(function, given) for function in functions]
        # No conftest is loaded for what is called by itself.
        sources = self._sources(list(given), given, conftests=False)
        known = {place: self._claims(sources, place) for place in given}
        self._keep()
        return [known.get(place, ()) for place in places]

    def _claims(self, sources: Sources, path: str) -> Claims:
        """The claims of a file; what goes wrong with the analysis is worth a warning, not a run."""
        try:
            return claims_of(sources, path).claims
        except Exception as error:
            self.warnings.append(
                "what a test shares with others is not known, for it could not be analysed: "
                f"{type(error).__name__}: {error}"
            )
            return ()

    def _lone(self, function: Callable[..., Any], given: dict[str, bytes]) -> str:
        """Put a file of one callable alone among those that are given; its path, or ``""``."""
        try:
            path, source = self._lone_source(function)
        except (OSError, TypeError, ValueError, SyntaxError, RecursionError):
            return ""
        folder = "" if path.startswith("../") else os.path.dirname(path)
        place = os.path.join(folder, f"{_LONE}{sha256(source).hexdigest()}.py")
        given[place] = source
        return place

    def _sources(
        self, files: Iterable[str], given: Mapping[str, bytes], *, conftests: bool
    ) -> Sources:
        facts, ours = self._facts, self._files
        paths = (path for path in ours if conftests or not path.endswith("conftest.py"))

        def read(path: str) -> bytes:
            return given[path] if path in given else self._tree.read(self._absolute(path))

        return Sources(
            dict.fromkeys([*paths, *files]),
            lambda path: facts.facts(path) if path in ours else read_facts(read(path)),
            tells=lambda path: facts.tells(path) if path in ours else tells(read(path)),
            imports_of=lambda path: (
                facts.imports(path) if path in ours else glimpsed_imports(read(path))
            ),
        )

    def _absolute(self, path: str) -> str:
        return os.path.join(self._root, path)

    def _keep(self) -> None:
        with contextlib.suppress(InfrastructureError, OSError):
            if state.is_there(self._folder):
                self._facts.save(state.ensure(self._folder))

    def _lone_source(self, function: Callable[..., Any]) -> tuple[str, bytes]:
        """The path of the function's file below the root, and the file with it as its only test.

        Raises:
            OSError, TypeError, ValueError, SyntaxError: there is no source of it.
        """
        plain: Any = inspect.unwrap(getattr(function, "func", function))
        plain = getattr(plain, "__func__", plain)
        file = inspect.getsourcefile(plain) or ""
        if file not in self._parsed:
            self._parsed[file] = ast.parse(self._tree.read(os.path.abspath(file)))
        tree = self._parsed[file]
        own = ast.parse(textwrap.dedent(inspect.getsource(plain)))
        body = [each for each in tree.body if _is_background(each)] if tree is not None else []
        for each in own.body:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                each.name, each.decorator_list = "test_it", []
                # An instance is of no interest, and as an argument it would be taken for a fixture.
                if each.args.args[:1] and each.args.args[0].arg == "self":
                    del each.args.args[0]
        whole = ast.Module([*body, *own.body], [])
        return self._tree.name(os.path.abspath(file)), ast.unparse(whole).encode()


def _is_background(statement: ast.stmt) -> bool:
    """Say whether a statement of a file can matter to a test that is not in it."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return not statement.name.lower().startswith("test")
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        # What is called here was called in this process, and is not called in another.
        return not any(isinstance(each, ast.Call) for each in ast.walk(statement))
    return isinstance(statement, ast.Import | ast.ImportFrom)


def between_processes(claims: Mapping[str, Claims]) -> dict[str, Claims]:
    """The claims by which tests in processes of their own have to wait for each other."""
    machine = {
        path: tuple(claim for claim in each if claim.scope is Reach.MACHINE)
        for path, each in claims.items()
    }
    return binding(spread(machine))


def between_threads(claims: Mapping[str, Claims]) -> dict[str, Claims]:
    """Those by which tests in threads of one process have to."""
    return binding(spread(claims))
