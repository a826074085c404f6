"""Which test modules there are, found without importing anything.

Discovery walks where pytest would walk, in its order, with its rules (:mod:`.planning.selection`)
and with what conftests certainly say (:mod:`.analysis.conftest`). It errs on one side only: a file
that turns out to hold no tests costs a process that ends as empty, whereas one that is left out
would be lost. What cannot be seen from outside, such as items that a plugin makes of other files,
is marked as ``leftover``: one more process then collects whatever the listed modules are not.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from iopio_async.analysis.conftest import NOTHING_TOLD, ConftestFacts, read_conftest
from iopio_async.analysis.outline import Outline, outline
from iopio_async.model.module import TestModule
from iopio_async.planning.selection import IgnoreRules, Patterns
from iopio_async.project.pytest_config import PytestConfig
from iopio_async.project.starting_points import Origin, StartingPoints, starting_points
from iopio_async.project.tree import Tree, find_module, import_root, upwards

_PROMPT = b">>>"


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """The modules in the order in which pytest would visit them, each once.

    ``roots`` are the positional arguments with which plain pytest would find the same, and
    ``origin`` says who named them. ``conftests`` are the names of those that apply to a visited
    directory. ``leftover`` says that pytest may collect more than the listed files.
    """

    modules: tuple[TestModule, ...] = ()
    roots: tuple[str, ...] = ()
    origin: Origin = "directory"
    warnings: tuple[str, ...] = ()
    conftests: tuple[str, ...] = ()
    leftover: bool = False


def discover(
    config: PytestConfig,
    invocation_dir: str | os.PathLike[str],
    *,
    root: str = "",
    paths: Sequence[str] = (),
    testpaths: Sequence[str] = (),
    python_files: Sequence[str] = (),
    search_path: Sequence[str] = (),
    plugin_modules: Sequence[str] = (),
    tree: Tree | None = None,
) -> Discovery:
    """List the test modules of a run.

    ``paths`` and pytest's own positional arguments are relative to ``invocation_dir``,
    ``testpaths`` (iopio's) to ``root``, which is pytest's root directory unless given.
    ``python_files`` takes the place of pytest's patterns. ``search_path`` is the ``sys.path``
    of the tests, and ``plugin_modules`` are the installed plugins that pytest will load.

    Raises:
        UsageError: a path does not exist, or is neither a file nor a directory.
    """
    tree = tree or Tree(root or config.root)
    here = os.path.abspath(invocation_dir)
    search = [os.path.join(here, entry) for entry in (*config.pythonpath, *search_path)]
    points = starting_points(
        tree, config, here, paths=paths, testpaths=testpaths, search_path=search
    )
    walk = _Walk(tree, config, python_files or config.python_files, [*search, tree.root, here])
    walk.start(points)
    plugins = (*config.plugins, *plugin_modules)
    leftover = walk.leftover or points.unresolved
    if points.directories and not leftover:
        leftover = any(walk.plugin_collects(name, ()) for name in plugins)
    return Discovery(
        modules=tuple(walk.modules.values()),
        roots=points.arguments,
        origin=points.origin,
        warnings=(*points.warnings, *walk.warnings),
        conftests=tuple(map(tree.name, walk.conftests)),
        leftover=leftover,
    )


def read_outlines(tree: Tree, modules: Sequence[TestModule]) -> Iterator[Outline]:
    """The outlines of modules, each read when it is asked for."""
    for module in modules:
        if module.path.endswith(".py"):
            yield outline(tree.read(os.path.join(tree.root, module.path)))


class _Walk:
    """One walk over the starting points; ``modules`` maps absolute paths to what was found."""

    def __init__(
        self, tree: Tree, config: PytestConfig, python_files: Sequence[str], search: list[str]
    ) -> None:
        self.tree = tree
        self.config = config
        self.search = search
        self.modules: dict[str, TestModule] = {}
        self.conftests: list[str] = []
        self.warnings: list[str] = []
        self.leftover = False
        self._python_files = Patterns(python_files)
        self._norecurse = Patterns(config.norecursedirs)
        self._doctest_files = Patterns(config.doctest_globs if config.has_plugin("doctest") else ())
        self._doctest_modules = config.doctest_modules and config.has_plugin("doctest")
        self._facts: dict[str, ConftestFacts] = {}
        self._rules: dict[str, IgnoreRules] = {}
        self._options = IgnoreRules((config.ignore, config.ignore_glob))
        self._plugins: dict[str, bool] = {}
        self._visited: set[str] = set()
        #: What was named, and all directories above it: no rule leaves these out.
        self._leading: set[str] = set()

    def start(self, points: StartingPoints) -> None:
        """Visit all starting points in order."""
        self._leading.update(*map(upwards, points.paths))
        for path in points.paths:
            if path in points.directories:
                self.leftover |= any(map(self._collects, upwards(os.path.dirname(path))))
                self._directory(path)
            else:
                # A file that is named is taken whatever it is called.
                self._rules_below(os.path.dirname(path))
                self._add(path, self.tree.size_bytes(path), self.tree.name(path))

    def _add(self, path: str, size_bytes: int, name: str) -> None:
        if path not in self.modules:
            self.modules[path] = TestModule(path=name, size_bytes=size_bytes)

    def _warn(self, path: str, problem: str) -> None:
        self.warnings.append(f"{self.tree.name(path)}: {problem}")

    # -- the walk itself ------------------------------------------------------------------

    def _directory(self, top: str) -> None:
        """Visit a directory and everything below it, without recursion."""
        stack = [self._entries(top)]
        while stack:
            subdirectory = next(stack[-1], None)
            if subdirectory is None:
                stack.pop()
            else:
                stack.append(self._entries(subdirectory))

    def _entries(self, directory: str) -> Iterator[str]:
        """Take in the files of a directory and yield its subdirectories, in pytest's order."""
        if directory in self._visited:
            return
        self._visited.add(directory)
        try:
            entries = self.tree.scan(directory)
        except OSError as error:
            self._warn(directory, f"cannot be listed: {error.strerror or error}")
            # pytest reports this as an error, so somebody has to ask it.
            self.leftover = True
            return
        if any(entry.name == "__init__.py" for entry in entries):
            # pytest takes a package's own file before anything else in it.
            entries.sort(key=lambda entry: (entry.name != "__init__.py", entry.name))
        rules = self._rules_below(directory)
        self.leftover = self.leftover or self._collects(directory)
        prefix = self.tree.name(directory)
        prefix = "" if prefix == "." else f"{prefix}/"
        for entry in entries:
            try:
                if entry.is_dir():
                    if self._enters(entry, rules):
                        yield entry.path
                    continue
                wanted = self._wants(entry.name, entry.path)
                if not wanted or (rules.active and rules.match(entry.path)):
                    continue
                if not entry.is_file():
                    self._warn(entry.path, f"left out: {self._describe(entry.path)}")
                elif self._holds_tests(entry.name, entry.path, wanted):
                    self._add(entry.path, _size_bytes(entry), prefix + entry.name)
            except OSError as error:
                if self._wants(entry.name, entry.path):
                    self._warn(entry.path, f"left out: {error.strerror or error}")
                    # A link that leads to itself is passed over by pytest, other errors are not.
                    self.leftover |= error.errno != errno.ELOOP

    def _describe(self, path: str) -> str:
        kind = self.tree.kind(path)
        return "a link that leads nowhere" if kind == "missing" else f"a {kind}"

    def _enters(self, entry: os.DirEntry[str], rules: IgnoreRules) -> bool:
        """True for a subdirectory that pytest would go into."""
        path = entry.path
        if path not in self._leading and self._leaves_out(entry.name, path, rules):
            return False
        if entry.is_symlink() and self._leads_upwards(path):
            self._warn(path, "a link to a directory that holds it, not followed")
            return False
        return True

    def _leaves_out(self, name: str, path: str, rules: IgnoreRules) -> bool:
        """True for a directory that nobody named and that the rules leave out."""
        return (
            name == "__pycache__"
            or self._norecurse.match(name, path)
            or (rules.active and rules.match(path))
            or (not self.config.collect_in_virtualenv and self._is_virtualenv(path))
        )

    def _is_virtualenv(self, directory: str) -> bool:
        return self.tree.is_file(f"{directory}/pyvenv.cfg") or self.tree.is_file(
            f"{directory}/conda-meta/history"
        )

    def _leads_upwards(self, link: str) -> bool:
        """True where following a link would lead round in a circle."""
        target = self.tree.identity(link)
        return any(self.tree.identity(above) == target for above in upwards(os.path.dirname(link)))

    # -- files ----------------------------------------------------------------------------

    def _wants(self, name: str, path: str) -> Literal["", "tests", "doctests", "text"]:
        """Why a file might hold tests, by its name alone; empty where it does not."""
        if name.endswith(".py") and len(name) > len(".py"):
            if self._python_files.match(name, path):
                return "tests"
            if self._doctest_modules and name != "__main__.py":
                return "doctests"
            return ""
        return "text" if self._doctest_files.match(name, path) else ""

    def _holds_tests(self, name: str, path: str, wanted: str) -> bool:
        """True for a file that becomes a module of its own."""
        if wanted == "tests":
            return True
        if wanted == "text":
            # One that cannot be decoded is an error in pytest, and has to be shown as one.
            return self.tree.may_hold(path, _PROMPT, encoding=self.config.doctest_encoding)
        if name == "setup.py":
            source = self.tree.read(path)
            if b"setuptools" in source or b"distutils" in source:
                return False
        if self.tree.may_hold(path, _PROMPT):
            return True
        # It may still fail to be imported, or get its docstrings elsewhere.
        self.leftover = True
        return False

    # -- conftests and plugins ------------------------------------------------------------

    def _rules_below(self, directory: str) -> IgnoreRules:
        """What is ignored among the entries of a directory, by the conftests from it upwards."""
        unknown: list[str] = []
        rules = self._options
        for above in upwards(directory):
            if above in self._rules:
                rules = self._rules[above]
                break
            unknown.append(above)
        for below in reversed(unknown):
            facts = self._facts_of(below)
            rules = self._rules[below] = rules.under(below, facts.ignore, facts.ignore_glob)
        return rules

    def _facts_of(self, directory: str) -> ConftestFacts:
        """What a directory's conftest tells, if there is one that pytest loads."""
        facts = self._facts.get(directory)
        if facts is None:
            facts = NOTHING_TOLD
            path = os.path.join(directory, "conftest.py")
            if not self._above_the_cut(directory) and self.tree.is_file(path):
                self.conftests.append(path)
                facts = read_conftest(self.tree.read(path))
            self._facts[directory] = facts
        return facts

    def _above_the_cut(self, directory: str) -> bool:
        """True where conftests are not looked for: anywhere above the ``confcutdir``."""
        cut = self.config.confcutdir or self.config.root
        below = directory.rstrip("/") + "/"
        return self.config.noconftest or (cut != directory and cut.startswith(below))

    def _collects(self, directory: str) -> bool:
        """True where a directory's conftest, or a plugin it loads, makes items out of files."""
        facts = self._facts_of(directory)
        return facts.collects or self._takes_over_a_collector(directory, facts)

    def _takes_over_a_collector(self, directory: str, facts: ConftestFacts) -> bool:
        """True where a plugin that a conftest loads, or imports all names of, has such a hook."""
        if not (facts.plugins or facts.star_imports):
            return False
        base = import_root(self.tree, f"{directory}/conftest.py")
        names = list(facts.plugins)
        for star in facts.star_imports:
            module = star.lstrip(".")
            if module == star:
                names.append(star)
                continue
            above = directory
            for _ in range(len(star) - len(module) - 1):
                above = os.path.dirname(above)
            package = os.path.relpath(above, base).replace("/", ".").strip(".")
            names.append(".".join(part for part in (package, module) if part))
        return any(self.plugin_collects(name, (base, directory)) for name in names)

    def plugin_collects(self, name: str, first: Sequence[str]) -> bool:
        """True where the source of a plugin defines a hook that makes items out of files."""
        if name not in self._plugins:
            found = find_module(self.tree, name, [*first, *self.search])
            source = f"{found}/__init__.py" if found and not found.endswith(".py") else found
            self._plugins[name] = bool(source) and read_conftest(self.tree.read(source)).collects
        return self._plugins[name]


def _size_bytes(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        # That it can't be looked at is for the module's own process to report.
        return 0
