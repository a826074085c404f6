"""The project's own source files: their facts, and which file and definition a dotted name means.

Facts are asked for one file at a time, and only for files that matter: those that may touch
something, and those that import such a file. Names are looked for as pytest and Python would find
them: relative to the importing file, then from each folder above it, from the root directory, and
from the folders in which sources usually stand.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from iopio_async.analysis.facts import NO_FACTS, Call, FileFacts, Fixture
from iopio_async.planning.liveness import Liveness, Place, liveness

#: Folders below the root directory that hold packages, in layouts in common use.
SOURCE_FOLDERS = ("", "src", "lib", "python")

_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ \t]+(\.*[\w.]*)[ \t]+import[ \t]*([^#\n]*(?:\([^)]*\))?)"
    rb"|import[ \t]+([\w., \t]+))",
    re.MULTILINE,
)


def glimpsed_imports(source: bytes) -> tuple[str, ...]:
    """The modules that a source may import, read line by line; rather too many than too few."""
    found: dict[str, None] = {}
    for base, names, plain in _IMPORT.findall(source):
        if plain:
            for each in plain.decode("utf-8", "replace").split(","):
                found[each.split(" as ")[0].strip()] = None
            continue
        start = base.decode("utf-8", "replace")
        found[start] = None
        for each in names.decode("utf-8", "replace").strip("() \t\\").split(","):
            name = each.split(" as ")[0].strip()
            if name.isidentifier():
                found[start + name if start.endswith(".") else f"{start}.{name}"] = None
    return tuple(name for name in found if name)


class Sources:
    """The project's files. ``facts_of`` and the rest are asked at most once a file.

    ``tells`` says whether a file has any word by which it may touch something, and ``imports_of``
    which modules it may import; both may err on the side of too much. Paths are relative to the
    root directory.
    """

    def __init__(
        self,
        paths: Iterable[str],
        facts_of: Callable[[str], FileFacts],
        *,
        tells: Callable[[str], bool] = lambda _path: True,
        imports_of: Callable[[str], Iterable[str]] = lambda _path: (),
    ) -> None:
        self.paths = frozenset(paths)
        self._folders = {
            "/".join(parts[:end])
            for parts in (path.split("/") for path in self.paths)
            for end in range(len(parts))
        }
        self._facts_of = facts_of
        self._tells = tells
        self._imports_of = imports_of
        self._facts: dict[str, FileFacts] = {}
        self._modules: dict[tuple[str, str], str | None] = {}
        self._tops: dict[str, list[str]] = {}
        self._places: dict[tuple[str, str], Place | None] = {}
        self._telling: dict[str, bool] = {}
        self._imported: dict[str, list[str]] = {}
        self._lineages: dict[Place, tuple[Place, ...]] = {}
        self._live: Liveness | None = None
        #: What importing a file reaches, as ``planning.claims`` found it.
        self.walks: dict[str, Any] = {}
        #: Which calls of a part are worth following, as ``planning.reach`` found it.
        self.followed: dict[Place, tuple[Call, ...]] = {}

    def facts(self, path: str) -> FileFacts:
        """The facts of a file; none of one that neither touches anything nor imports who does."""
        if path not in self._facts:
            known = path in self.paths
            self._facts[path] = self._facts_of(path) if known else NO_FACTS
        return self._facts[path]

    def matters(self, path: str) -> bool:
        """Say whether a file, or any of the project's that it imports, may touch something."""
        known = self._telling.get(path)
        if known is not None:
            return known
        seen = {path}
        waiting = [path]
        while waiting:
            each = waiting.pop()
            if self._telling.get(each) or (each not in self._telling and self._tells(each)):
                self._telling[each] = True
                self._telling[path] = True
                return True
            if self._telling.get(each) is False:
                continue
            for imported in self.imported(each, self._imports_of(each)):
                if imported not in seen:
                    seen.add(imported)
                    waiting.append(imported)
        # Nobody whom it reaches does, so none of them does by itself.
        self._telling.update(dict.fromkeys(seen, False))
        return False

    def live(self, constant: Callable[[str, str], str | None]) -> Liveness:
        """Which functions of the files that matter are worth following; found once."""
        if self._live is None:
            files = {path: self.facts(path) for path in sorted(self.paths) if self.matters(path)}
            self._live = liveness(files, constant, self.called)
        return self._live

    def called(self, target: str, importer: str) -> Place | None:
        """Where the function or class that a call names is defined."""
        if target.startswith("L:"):
            return self.within(importer, target[2:])
        return self.telling_place(target[2:], importer)

    def imports(self, path: str) -> list[str]:
        """The project's files that matter among those that a file imports."""
        if path not in self._imported:
            found = self.imported(path, self.facts(path).imports)
            self._imported[path] = [each for each in found if self.matters(each)]
        return self._imported[path]

    def imported(self, path: str, names: Iterable[str]) -> list[str]:
        """The project's files that a file imports by these names, packages around them included."""
        found: dict[str, None] = {}
        for name in names:
            module = self.module(name, path)
            if module is not None and module != path:
                found[module] = None
            # A package's own file runs before its modules do.
            parent = name.rpartition(".")[0]
            while parent and not parent.endswith("."):
                package = self.module(parent, path)
                if package is not None and package != path:
                    found[package] = None
                parent = parent.rpartition(".")[0]
        return list(found)

    def module(self, dotted: str, importer: str) -> str | None:
        """The file of a module, as ``importer`` would get it; None where it isn't the project's."""
        folder = importer.rpartition("/")[0]
        key = (dotted, folder)
        if key not in self._modules:
            self._modules[key] = self._find(dotted, folder)
        return self._modules[key]

    def _find(self, dotted: str, folder: str) -> str | None:
        name = dotted.lstrip(".")
        dots = len(dotted) - len(name)
        relative = name.replace(".", "/")
        if dots:
            parts = folder.split("/") if folder else []
            if dots - 1 > len(parts):
                return None
            return self._file("/".join(parts[: len(parts) - dots + 1]), relative)
        top = name.partition(".")[0]
        for start in self._starts(folder):
            place = f"{start}/{top}" if start else top
            if f"{place}.py" in self.paths or place in self._folders:
                found = self._file(start, relative)
                if found is not None:
                    return found
        return None

    def _starts(self, folder: str) -> list[str]:
        if folder not in self._tops:
            above = [folder]
            while above[-1]:
                above.append(above[-1].rpartition("/")[0])
            starts = [*above, *SOURCE_FOLDERS]
            self._tops[folder] = [
                each for each in dict.fromkeys(starts) if not each or each in self._folders
            ]
        return self._tops[folder]

    def _file(self, start: str, relative: str) -> str | None:
        place = "/".join(part for part in (start, relative) if part)
        for path in (f"{place}.py", f"{place}/__init__.py") if place else ("__init__.py",):
            if path in self.paths:
                return path
        return None

    def place(self, dotted: str, importer: str, depth: int = 0) -> Place | None:
        """Where a dotted name is defined, followed through files that import it in turn."""
        key = (dotted, importer)
        if key not in self._places:
            self._places[key] = None
            self._places[key] = self._place(dotted, importer, depth)
        return self._places[key]

    def telling_place(self, dotted: str, importer: str) -> Place | None:
        """The same, but for nothing in a file that does not matter: that one is not read."""
        key = (dotted, importer)
        if key not in self._places:
            module = dotted
            while module.strip("."):
                path = self.module(module, importer)
                if path is not None:
                    if not self.matters(path):
                        return None
                    break
                module = module.rpartition(".")[0]
        return self.place(dotted, importer)

    def _place(self, dotted: str, importer: str, depth: int) -> Place | None:
        module, rest = dotted, ""
        while module.strip("."):
            path = self.module(module, importer)
            if path is not None:
                return self.within(path, rest, depth)
            module, _, last = module.rpartition(".")
            rest = f"{last}.{rest}" if rest else last
            if not module and dotted.startswith("."):
                break
            if module.endswith(".") or (dotted.startswith(".") and not module.strip(".")):
                path = self.module("." * (len(dotted) - len(dotted.lstrip("."))), importer)
                return self.within(path, rest, depth) if path is not None else None
        return None

    def within(self, path: str, name: str, depth: int = 0) -> Place | None:
        """Where a name of a file is defined."""
        if not name or depth > 12:
            return (path, name) if not name else None
        facts = self.facts(path)
        first, _, rest = name.partition(".")
        if name in facts.parts or name in facts.classes or name in facts.constants:
            return (path, name)
        if first in facts.classes or any(f.part == name for f in facts.fixtures):
            return (path, name)
        if first in facts.names:
            further = facts.names[first] + (f".{rest}" if rest else "")
            return self.place(further, path, depth + 1)
        for star in facts.stars:
            module = self.module(star, path)
            if module is not None and module != path:
                found = self.within(module, name, depth + 1)
                if found is not None:
                    return found
        if path.endswith("/__init__.py"):
            module = self.module(f".{first}", path)
            if module is not None and module != path:
                return self.within(module, rest, depth + 1)
        return None

    def conftests(self, path: str) -> list[str]:
        """The conftests that hold for a module, the nearest one first."""
        found = []
        folder = path
        while folder:
            folder = folder.rpartition("/")[0]
            conftest = f"{folder}/conftest.py" if folder else "conftest.py"
            if conftest in self.paths and conftest != path:
                found.append(conftest)
        return found

    def fixtures(self, path: str) -> dict[str, tuple[str, Fixture]]:
        """Fixtures that a file offers, its own and those that it imports, by name."""
        facts = self.facts(path)
        found: dict[str, tuple[str, Fixture]] = {}
        for star in facts.stars:
            module = self.module(star, path)
            if module is not None and module != path and self.matters(module):
                found.update(self.fixtures(module))
        for dotted in facts.names.values():
            place = self.telling_place(dotted, path)
            if place is None or not place[1]:
                continue
            for fixture in self.facts(place[0]).fixtures:
                if fixture.part == place[1] and not fixture.owner:
                    found[fixture.name] = (place[0], fixture)
        for fixture in facts.fixtures:
            if not fixture.owner:
                found[fixture.name] = (path, fixture)
        return found

    def lineage(self, path: str, name: str) -> tuple[Place, ...]:
        """A class and those of its bases that are the project's, the nearest first."""
        key = (path, name)
        if key not in self._lineages:
            self._lineages[key] = tuple(self._lineage(path, name))
        return self._lineages[key]

    def _lineage(self, path: str, name: str) -> Iterator[Place]:
        seen: set[Place] = set()
        waiting = [(path, name)]
        while waiting:
            each = waiting.pop(0)
            if each in seen or len(seen) > 50:
                continue
            seen.add(each)
            facts = self.facts(each[0])
            if each[1] not in facts.classes:
                continue
            yield each
            for base in facts.classes[each[1]].bases:
                place = (
                    (each[0], base[2:]) if base.startswith("L:") else self.place(base[2:], each[0])
                )
                if place is not None:
                    waiting.append(place)
