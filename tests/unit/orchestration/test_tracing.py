"""Trace files as traces: the rules, by what was observed and where."""

import hashlib
import os
from pathlib import Path

import pytest

from iopio_async.model.config import CacheRules
from iopio_async.model.module import REMAINDER_PATH, Framework
from iopio_async.model.trace import Input, InputKind, Level
from iopio_async.orchestration.tracing import Reading, TraceReader
from iopio_async.project.environment import Environment
from iopio_async.project.observer import Observer
from iopio_async.wire import observations as wire
from iopio_async.wire.observations import encode

BEGIN = (wire.BEGIN, b"1", b"1")
SITE = "lib/site-packages"

FILES = {
    "pyproject.toml": "",
    "data.txt": "data",
    "tests/conftest.py": "import os\n",
    "tests/test_a.py": "def test():\n    return 1\n",
    "pkg/__init__.py": "",
    "pkg/code.py": "def f():\n    def g(): ...\n    return g\nclass C:\n    def m(self): ...\n",
    "space/part.py": "",
    "extra/one.json": "{}",
    ".git/HEAD": "ref: refs/heads/main\n",
    ".git/index": "",
    f"{SITE}/one-1.dist-info/RECORD": "one/__init__.py,,\none/sub.py,,\n",
    f"{SITE}/one/__init__.py": "",
    f"{SITE}/one/sub.py": "",
    f"{SITE}/by_hand.py": "",
    f"{SITE}/start.pth": "/somewhere\n",
}


class World:
    """A project, with a site directory below it, and a reader of traces."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name, text in FILES.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        self.included: dict[bytes, bytes] = {}
        self.include_count = 0
        self.observer = Observer(str(root), Environment(b"", {"HOME": "/home/me"}))
        self.reader = self.make_reader()

    def make_reader(self, rules: CacheRules | None = None, start_ns: int = 0) -> TraceReader:
        return TraceReader(
            self.observer,
            self.include,
            rules=rules,
            start_ns=start_ns,
            library=(f"{self.root}/stdlib",),
        )

    def include(self, path: bytes, length_bytes: int) -> bytes:
        self.include_count += 1
        if path not in self.included:
            raise FileNotFoundError(path)
        return self.included[path][:length_bytes]

    def data(self, *records: tuple[bytes, ...]) -> bytes:
        """The records; what begins with ``./`` in them is below the root."""
        root = os.fsencode(self.root)
        return b"".join(
            encode(
                letter,
                *(
                    root + field[1:] if field[:2] == b"./" or field == b"." else field
                    for field in fields
                ),
            )
            for letter, *fields in records
        )

    def read(
        self, *records: tuple[bytes, ...], module: str = "tests/test_a.py", **options: object
    ) -> Reading:
        return self.reader.read(self.data(BEGIN, *records), module=module, **options)  # type: ignore[arg-type]

    def own(self, *records: tuple[bytes, ...]) -> set[tuple[str, str]]:
        """The inputs that these observations add, by kind and subject."""
        standing = {(each.kind, each.subject) for each in self.read().trace.inputs}
        return {
            (each.kind.value, each.subject)
            for each in self.read(*records).trace.inputs
            if (each.kind, each.subject) not in standing
        }


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "project")


def find(reading: Reading, kind: InputKind, subject: str) -> Input:
    (found,) = (
        each for each in reading.trace.inputs if (each.kind, each.subject) == (kind, subject)
    )
    return found


ONE = ("distribution", f"{SITE}|one")
HEADS = {
    ("file", f".git/{name}")
    for name in ("HEAD", "index", "packed-refs", "config", "refs/heads/main")
}


@pytest.mark.parametrize(
    ("record", "inputs"),
    [
        ((wire.READ, b"./data.txt"), {("file", "data.txt")}),
        ((wire.READ, b"./none"), {("file", "none")}),
        ((wire.READ, b"/etc/no-such"), {("file", "/etc/no-such")}),
        ((wire.SOURCE, b"./pkg/code.py"), {("file", "pkg/code.py")}),
        ((wire.LIST, b"./pkg"), {("listing", "pkg")}),
        ((wire.LIST, b"."), {("listing", ".")}),
        ((wire.TYPE, b"./pkg"), {("type", "pkg")}),
        ((wire.STAT, b"./data.txt"), {("stat", "data.txt")}),
        ((wire.MTIME, b"./data.txt"), {("mtime", "data.txt")}),
        ((wire.LINK, b"./data.txt"), {("link", "data.txt")}),
        ((wire.READ, b"./stdlib/json.py"), set()),
        ((wire.READ, b"./pkg/__pycache__/x.pyc"), set()),
        ((wire.READ, b"./pkg/x.pyc"), {("file", "pkg/x.pyc")}),
        ((wire.READ, b"/else/.tox/x"), {("file", "/else/.tox/x")}),
        ((wire.READ, b"/else/__pycache__/x.pyc"), set()),
        ((wire.READ, b"./lib/site-packages/one/__pycache__/sub.pyc"), set()),
        ((wire.READ, b"./.tox/lib/site-packages/x.py"), {("file", ".tox/lib/site-packages/x.py")}),
        ((wire.WRITE, b"./.pytest_cache/v/x", b"", b""), set()),
        ((wire.READ, b"./.git/objects/ab/cd"), HEADS),
        ((wire.READ, b"./.git/logs/HEAD"), HEADS | {("file", ".git/logs/HEAD")}),
        ((wire.SOURCE, b"./lib/site-packages/one/__init__.py"), {ONE}),
        ((wire.READ, b"./lib/site-packages/one-1.dist-info/RECORD"), None),
        ((wire.TYPE, b"./lib/site-packages/one/sub.py"), {ONE}),
        ((wire.TYPE, b"./lib/site-packages/one/no.py"), {("type", f"{SITE}/one/no.py")}),
        ((wire.LIST, b"./lib/site-packages/one"), {ONE}),
        ((wire.LIST, b"./lib/site-packages"), {("listing", SITE)}),
        ((wire.SOURCE, b"./lib/site-packages/by_hand.py"), {("file", f"{SITE}/by_hand.py")}),
        ((wire.VARIABLE, b"HOME"), {("variable", "HOME")}),
        ((wire.VARIABLES,), {("environment", "")}),
        ((wire.PROCESS, b"/bin/x"), {("file", "/bin/x"), ("environment", ""), ("project", "")}),
        (
            (wire.PROCESS, b"/bin/git"),
            HEADS | {("file", "/bin/git"), ("environment", ""), ("project", "")},
        ),
        ((wire.OPAQUE, b"why"), {("project", "")}),
        ((wire.IMPURE, b"why"), set()),
        ((wire.WRITE, b"./new.txt", b"", b""), {("type", "new.txt")}),
        ((wire.WRITE, b"./data.txt", b"1", b""), set()),
        ((wire.WRITE, b"./data.txt", b"1", b"1"), set()),
        ((wire.WRITE, b"./pkg", b"1", b""), {("type", "pkg")}),
    ],
)
def test_an_observation_is_these_inputs(
    world: World, record: tuple[bytes, ...], inputs: set[tuple[str, str]] | None
) -> None:
    if inputs is None:
        inputs = {("file", f"{SITE}/one-1.dist-info/RECORD")}
    assert world.own(record) == inputs


#: The search path of all searches below.
PATH = (b"./stdlib", b"./none", b".", b"./lib/site-packages", b"./pkg")


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        (b"pkg", {"none|pkg", ".|pkg", "pkg|__init__"}),
        (b"some.pkg", {"none|pkg", ".|pkg", "pkg|__init__"}),
        (b"one", {"none|one", ".|one", f"{SITE}|one", f"{SITE}/one|__init__"}),
        (b"by_hand", {"none|by_hand", ".|by_hand", f"{SITE}|by_hand"}),
        (
            b"space",
            {"none|space", ".|space", "space|__init__", f"{SITE}|space", "pkg|space"},
        ),
        (b"code", {"none|code", ".|code", f"{SITE}|code", "pkg|code"}),
        (b"nowhere", {f"{each}|nowhere" for each in ("none", ".", SITE, "pkg")}),
        (b"json", set()),
    ],
)
def test_a_search_is_what_may_not_come_to_be_on_its_way(
    world: World, name: bytes, inputs: set[str]
) -> None:
    (world.root / "stdlib").mkdir()
    (world.root / "stdlib/json.py").touch()
    search = (wire.SEARCH, b"1.0", *PATH)
    before = {each.subject for each in world.read(search, (wire.FIND, b"1.0", b"o")).trace.inputs}

    after = world.read(search, (wire.FIND, b"1.0", b"o"), (wire.FIND, b"1.0", name)).trace.inputs

    lookups = {each.subject for each in after if each.kind is InputKind.LOOKUP}
    assert lookups - before == inputs


def test_what_is_found_in_a_package_is_known_by_its_distribution(world: World) -> None:
    search = (wire.SEARCH, b"1.0", b"./lib/site-packages/one")

    assert world.own(search, (wire.FIND, b"1.0", b"one.sub")) == {ONE}
    assert world.own(search, (wire.FIND, b"1.0", b"one.no")) == {("lookup", f"{SITE}/one|no")}


def test_an_archive_on_the_path_is_an_input(world: World) -> None:
    (world.root / "code.zip").touch()
    search = (wire.SEARCH, b"1.0", b"./code.zip", b"relative")

    assert ("file", "code.zip") in world.own(search, (wire.FIND, b"1.0", b"a.b"))


def test_the_search_path_itself_has_inputs(world: World) -> None:
    found = world.own((wire.SEARCH, b"1.0", *PATH), (wire.FIND, b"1.0", b"pkg"))

    assert {
        ("lookup", f"{SITE}|*.pth"),
        ("file", f"{SITE}/start.pth"),
        ("lookup", ".|sitecustomize"),
        ("lookup", f"{SITE}|usercustomize"),
        ("distributions", ".|pytest11"),
        ("distributions", f"{SITE}|pytest11"),
    } <= found


def test_distributions_are_looked_up_along_the_path(world: World) -> None:
    search = ((wire.SEARCH, b"1.0", b".", b"./lib/site-packages"), (wire.FIND, b"1.0", b"pkg"))
    by_name = world.own(*search, (wire.PACKAGE, b"One"))
    by_all = world.own(*search, (wire.PACKAGE, b""))

    assert {("distribution", ".|one"), ONE} <= by_name
    assert {("distributions", "."), ("distributions", SITE)} <= by_all


def code(name: bytes, line: bytes) -> tuple[bytes, ...]:
    return (wire.CODE, b"./pkg/code.py", name, line)


SOURCE = (wire.SOURCE, b"./pkg/code.py")
MODULE = code(b"<module>", b"1")


def test_a_source_is_the_functions_that_were_executed(world: World) -> None:
    reading = world.read(SOURCE, MODULE, code(b"f", b"1"), code(b"C", b"4"), code(b"C.m", b"5"))
    found = find(reading, InputKind.SOURCE, "pkg/code.py")

    assert [name for name, _ in found.scopes] == ["<module>", "C.m", "f"]
    assert dict(found.scopes).items() <= dict(world.observer.scopes_of("pkg/code.py") or {}).items()
    assert found.value == hashlib.sha256((world.root / "pkg/code.py").read_bytes()).hexdigest()
    assert not any(
        each.kind is InputKind.FILE and each.subject == "pkg/code.py"
        for each in reading.trace.inputs
    )


@pytest.mark.parametrize(
    "records",
    [
        [SOURCE],
        [SOURCE, code(b"f", b"1")],
        [SOURCE, MODULE, code(b"f", b"2")],
        [SOURCE, MODULE, code(b"f", b"1"), (wire.READ, b"./pkg/code.py")],
        [(wire.READ, b"./pkg/code.py"), MODULE],
        [MODULE],
        [SOURCE, MODULE, (wire.BEGIN, b"2", b"")],
    ],
)
def test_where_not_all_functions_are_known_the_file_is_the_input(
    world: World, records: list[tuple[bytes, ...]]
) -> None:
    inputs = world.read(*records).trace.inputs

    about = [each for each in inputs if each.subject == "pkg/code.py"]
    assert [each.kind for each in about] == [InputKind.FILE]
    assert about[0].value == world.observer.value(InputKind.FILE, "pkg/code.py")


def test_a_warm_process_is_read_once_for_all_modules(world: World) -> None:
    server = world.data(BEGIN, SOURCE, MODULE, code(b"f", b"1"), (wire.READ, b"./data.txt"))
    world.included[b"/server"] = server + b"more of it"
    include = (wire.INCLUDE, b"/server", b"%d" % len(server))

    first = world.read(include, code(b"C.m", b"5"))
    second = world.read(include)

    assert world.include_count == 1
    scopes = [
        [name for name, _ in find(each, InputKind.SOURCE, "pkg/code.py").scopes]
        for each in (first, second)
    ]
    assert scopes == [["<module>", "C.m", "f"], ["<module>", "f"]]
    assert find(second, InputKind.FILE, "data.txt")
    third = world.read(include, (wire.READ, b"./pkg/code.py"))
    assert find(third, InputKind.FILE, "pkg/code.py")


def test_warm_processes_include_each_other(world: World) -> None:
    root = world.data(BEGIN, (wire.READ, b"./data.txt"))
    branch = world.data(BEGIN, (wire.INCLUDE, b"/a", b"%d" % len(root)), (wire.VARIABLE, b"X"))
    world.included |= {b"/a": root, b"/b": branch}

    reading = world.read((wire.INCLUDE, b"/b", b"%d" % len(branch)))

    assert find(reading, InputKind.FILE, "data.txt")
    assert find(reading, InputKind.VARIABLE, "X")


def test_paths_that_somebody_looked_at(world: World) -> None:
    for records, told in ((((wire.READ, b"./data.txt"),), False), (((wire.PATHS,),), True)):
        names = {(each.kind, each.subject) for each in world.read(*records).trace.inputs}
        assert ((InputKind.PATHS, "") in names) is told
        assert (InputKind.PATHS, "conftests") in names


@pytest.mark.parametrize(
    ("path", "length"), [(b"/none", b"1"), (b"/short", b"1000"), (b"/itself", b"23")]
)
def test_an_incomplete_trace_is_not_cacheable(world: World, path: bytes, length: bytes) -> None:
    itself = world.data(BEGIN, (wire.INCLUDE, b"/itself", b"23"))
    world.included = {b"/short": world.data(BEGIN), b"/itself": itself}
    trace = world.read((wire.INCLUDE, path, length)).trace

    assert len(itself) == 23

    assert (trace.level, trace.reasons) == (Level.UNCACHEABLE, ("its trace is incomplete",))
    assert world.reader.read(module="a").trace.level is Level.UNCACHEABLE
    assert world.reader.read(b"", module="a").trace.level is Level.UNCACHEABLE


def test_the_ladder(world: World) -> None:
    assert world.read().trace.level is Level.PRECISE
    coarse = world.read((wire.OPAQUE, b"one"), (wire.PROCESS, b"/bin/ls")).trace
    assert coarse.level is Level.COARSE
    assert coarse.reasons == ("one", "starts ls, which is not traced")
    worst = world.read((wire.OPAQUE, b"one"), (wire.IMPURE, b"two"), (wire.IMPURE, b"two")).trace
    assert worst.level is Level.UNCACHEABLE
    assert worst.reasons == ("two",)


def test_what_is_made_was_not_there_before(world: World) -> None:
    (world.root / "out").mkdir()
    (world.root / "out/left").touch()
    reading = world.read(
        (wire.TYPE, b"./out"),
        (wire.READ, b"./out/left"),
        (wire.WRITE, b"./out", b"", b""),
        (wire.WRITE, b"./out/left", b"", b""),
    )

    assert find(reading, InputKind.TYPE, "out").value == "absent"
    assert find(reading, InputKind.FILE, "out/left").value
    assert reading.written == {"out"}
    assert reading.trace.level is Level.PRECISE


def test_what_is_read_and_rewritten_cannot_be_repeated_if_it_changed(world: World) -> None:
    records = ((wire.READ, b"./data.txt"), (wire.WRITE, b"./data.txt", b"1", b"1"))
    changed_ns = (world.root / "data.txt").stat().st_ctime_ns

    world.reader = world.make_reader(start_ns=changed_ns)
    trace = world.read(*records).trace
    assert (trace.level, trace.reasons) == (Level.UNCACHEABLE, ("reads and rewrites data.txt",))
    world.reader = world.make_reader(start_ns=changed_ns + 10**10)
    assert world.read(*records).trace.level is Level.PRECISE


def test_what_was_there_and_is_removed_cannot_be_repeated(world: World) -> None:
    (world.root / "data.txt").unlink()
    trace = world.read((wire.WRITE, b"./data.txt", b"1", b"")).trace

    assert trace.reasons == ("removes data.txt, which was there before",)
    assert trace.level is Level.UNCACHEABLE


def test_what_the_module_made_is_not_searched(world: World) -> None:
    made = (wire.WRITE, b"./made", b"", b"")
    search = (wire.SEARCH, b"1.0", b"./made", b".")

    found = world.own(made, search, (wire.FIND, b"1.0", b"pkg"))

    assert ("lookup", ".|pkg") in found
    assert not any(subject.startswith("made|") for _, subject in found)


def test_candidates_on_the_way_are_inputs_whether_there_or_not(world: World) -> None:
    inputs = {each.subject: each.value for each in world.read().trace.inputs}

    assert inputs["conftest.py"] == inputs["tests/__init__.py"] == inputs["pytest.ini"] == "absent"
    assert {"pyproject.toml", "tests/conftest.py", "tests/test_a.py", "tests/tox.ini"} <= set(
        inputs
    )
    alone = {each.subject for each in world.read(framework=Framework.UNITTEST).trace.inputs}
    assert alone == {"__init__.py", "tests/__init__.py", "tests/test_a.py"}
    rest = {each.subject for each in world.read(module=REMAINDER_PATH).trace.inputs}
    assert "conftest.py" in rest
    assert not any(each.startswith(("tests/", "<")) for each in rest)


def test_an_imported_conftest_is_known_by_its_functions(world: World) -> None:
    conftest = b"./tests/conftest.py"
    reading = world.read((wire.SOURCE, conftest), (wire.CODE, conftest, b"<module>", b"1"))

    about = [each.kind for each in reading.trace.inputs if each.subject == "tests/conftest.py"]
    assert about == [InputKind.SOURCE]


def test_the_project_says_what_is_an_input(world: World) -> None:
    world.reader = world.make_reader(
        CacheRules(inputs=("extra/*.json",), ignore=("data.txt",), ignore_env=("BUILD_*",))
    )
    reading = world.read(
        (wire.READ, b"./data.txt"), (wire.VARIABLE, b"BUILD_ID"), (wire.VARIABLE, b"HOME")
    )

    subjects = {(each.kind.value, each.subject) for each in reading.trace.inputs}
    assert {("file", "extra/one.json"), ("listing", "extra"), ("variable", "HOME")} <= subjects
    assert not {subject for _, subject in subjects} & {"data.txt", "BUILD_ID"}


@pytest.mark.parametrize(
    ("hosts", "level"),
    [
        ((), Level.UNCACHEABLE),
        (("10.0.0.1",), Level.PRECISE),
        (("10.0.0.1:5432",), Level.PRECISE),
        (("10.0.0.1:80",), Level.UNCACHEABLE),
    ],
)
def test_some_hosts_count_as_always_the_same(
    world: World, hosts: tuple[str, ...], level: Level
) -> None:
    world.reader = world.make_reader(CacheRules(hosts=hosts))

    reading = world.read((wire.IMPURE, b"connects to 10.0.0.1:5432 in tests/test_a.py::test"))

    assert reading.trace.level is level


def test_processes_that_began_apart_are_one_execution(world: World) -> None:
    reading = world.reader.read(
        world.data(BEGIN, SOURCE, MODULE, code(b"f", b"1")),
        world.data(BEGIN, SOURCE, MODULE, code(b"C.m", b"5"), (wire.OPAQUE, b"why")),
        module="tests/test_a.py",
    )

    assert [name for name, _ in find(reading, InputKind.SOURCE, "pkg/code.py").scopes] == [
        "<module>",
        "C.m",
        "f",
    ]
    assert reading.trace.level is Level.COARSE
