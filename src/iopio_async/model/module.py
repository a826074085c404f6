"""What is run: test modules, and what they claim from the world outside their process."""

from enum import StrEnum

import msgspec


class Framework(StrEnum):
    """Who collects and runs the tests of a module."""

    PYTEST = "pytest"
    UNITTEST = "unittest"
    FUNCTIONS = "functions"


class ModuleKind(StrEnum):
    """What a :class:`TestModule` stands for."""

    #: One file.
    FILE = "file"
    #: Whatever pytest collects beyond the files that were found without importing anything:
    #: items made by custom collectors of plugins and conftests. One process for all of it.
    REMAINDER = "remainder"


class Mode(StrEnum):
    """How a resource is held."""

    SHARED = "shared"
    EXCLUSIVE = "exclusive"


class Reach(StrEnum):
    """Among whom a resource is shared."""

    #: Everything on the machine, other runs included.
    MACHINE = "machine"
    #: Only what runs in the same process: threads, and the modules of a batch.
    PROCESS = "process"


class Evidence(msgspec.Struct, frozen=True, order=True, array_like=True):
    """Where a claim comes from: a line of a file relative to the root directory, and why."""

    path: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.why}"


class Claim(msgspec.Struct, frozen=True, order=True, omit_defaults=True):
    """A resource that a module holds while it runs: all shared together, or one alone.

    Of a resource that has a capacity it holds so many ``units``, each alone.
    """

    resource: str
    mode: Mode = Mode.EXCLUSIVE
    scope: Reach = Reach.MACHINE
    evidence: tuple[Evidence, ...] = ()
    units: int = 0


#: The name under which the remainder is shown.
REMAINDER_PATH = "<other collected items>"


class TestModule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A unit of isolation: what runs in one process.

    ``path`` is relative to the root directory with forward slashes, and is the module's name
    everywhere. ``selectors`` narrows it to these test ids; empty means all. ``size_bytes`` is a
    first guess at how long it takes, where nothing better is known. ``preload`` are the first
    steps of its import that warm processes may do for it, in stages (see ``planning.preload``).
    Modules of the same ``group`` are to share a process.
    """

    # pytest would otherwise try to collect it for its name.
    __test__ = False

    path: str
    framework: Framework = Framework.PYTEST
    kind: ModuleKind = ModuleKind.FILE
    selectors: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    size_bytes: int = 0
    preload: tuple[tuple[str, ...], ...] = ()
    group: str = ""
