"""What the tracer of a real worker tells, however the worker is started.

Each case is a test module: what it does, what must be told of it, and what must not. All modules of
one start method run in one executor, so that forked ones share a warm server.
"""

import os
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest

from iopio_async.execution.executor import ExecutorSettings
from iopio_async.execution.forkserver import ForkserverExecutor
from iopio_async.execution.ports import Placement
from iopio_async.execution.subprocess import SpawnExecutor
from iopio_async.model.action import Action
from iopio_async.model.outcome import Outcome
from iopio_async.wire import observations as wire
from iopio_async.wire.certificate import Certificate
from iopio_async.wire.contract import TRACE_FILE

EXECUTORS = {"spawn": SpawnExecutor, "forkserver": ForkserverExecutor}

RUN_ID = f"traces-{os.getpid()}"

#: No run of these takes longer, on however busy a machine.
GIVEN_UP_S = 120.0

#: Functions are told one by one from here on.
BY_FUNCTION = sys.version_info >= (3, 12)

#: A letter and the beginning of the fields; ``@`` stands for the project's root.
Told = tuple[bytes, ...]


@dataclass(frozen=True)
class Case:
    """A module's source; what is told of it at least, and what is not."""

    source: str
    told: tuple[Told, ...] = ()
    untold: tuple[Told, ...] = ()
    outcome: Outcome = Outcome.PASSED


FILES = {
    "conftest.py": "import shared\nimport pytest\n\n@pytest.fixture\ndef used():\n    return 1\n",
    "shared.py": "def early():\n    return 1\ndef late():\n    return 2\nearly()\n",
    "helper.py": "def called():\n    return [x for x in range(2)]\ndef uncalled():\n    return 2\n",
    "loaded.py": "VALUE = 1\n",
    "data.txt": "data",
    "other.txt": "other",
    "folder/one.txt": "1",
    "folder/two.txt": "2",
    "script.py": "import sys\nopen(sys.argv[1]).close()\nimport loaded\n",
    "pytest.ini": "[pytest]\naddopts = --strict-markers\n",
}

CASES = {
    "import": Case(
        "import helper\ndef test():\n    assert helper.called() == [0, 1]\n",
        told=(
            (wire.SOURCE, b"@/helper.py"),
            (wire.FIND, b"helper"),
            *(((wire.CODE, b"@/helper.py", b"called", b"1"),) if BY_FUNCTION else ()),
        ),
        untold=(
            (wire.READ, b"@/helper.py"),
            (wire.CODE, b"@/helper.py", b"uncalled"),
            (wire.LIST, b"@"),
        ),
    ),
    "conftest": Case(
        "import shared\ndef test(used):\n    assert shared.late() == 2\n",
        told=(
            (wire.SOURCE, b"@/conftest.py"),
            (wire.SOURCE, b"@/shared.py"),
            (wire.READ, b"@/pytest.ini"),
            *(
                (
                    (wire.CODE, b"@/shared.py", b"early"),
                    (wire.CODE, b"@/shared.py", b"late"),
                    (wire.CODE, b"@/conftest.py", b"used"),
                )
                if BY_FUNCTION
                else ()
            ),
        ),
    ),
    "missing_import": Case(
        "import importlib.util\ndef test():\n"
        "    assert importlib.util.find_spec('nowhere') is None\n",
        told=((wire.FIND, b"nowhere"),),
    ),
    "source_text": Case(
        "import inspect, helper\ndef test():\n    assert inspect.getsource(helper.uncalled)\n",
        told=((wire.READ, b"@/helper.py"),),
    ),
    "files": Case(
        "import os, pathlib\n"
        "def test():\n"
        "    assert pathlib.Path('data.txt').read_text() == 'data'\n"
        "    descriptor = os.open('other.txt', os.O_RDONLY)\n"
        "    os.close(descriptor)\n"
        "    folder = os.open('folder', os.O_RDONLY | os.O_DIRECTORY)\n"
        "    os.close(os.open('one.txt', os.O_RDONLY, dir_fd=folder))\n"
        "    assert os.stat('two.txt', dir_fd=folder).st_size == 1\n"
        "    os.close(folder)\n",
        told=(
            (wire.READ, b"@/data.txt"),
            (wire.READ, b"@/other.txt"),
            (wire.READ, b"@/folder/one.txt"),
            (wire.STAT, b"@/folder/two.txt"),
        ),
        untold=((wire.READ, b"@/one.txt"), (wire.STAT, b"@/two.txt")),
    ),
    "listing": Case(
        "import os\ndef test():\n    assert len(os.listdir('folder')) == 2\n",
        told=((wire.LIST, b"@/folder"),),
        untold=((wire.LIST, b"@"),),
    ),
    "walk": Case(
        "import os, pathlib\ndef test():\n"
        "    assert len(list(os.walk('folder'))) == 1\n"
        "    assert len(list(pathlib.Path('.').glob('fold*/*.txt'))) == 2\n",
        told=((wire.LIST, b"@/folder"), (wire.LIST, b"@")),
    ),
    "entries": Case(
        "import os\ndef test():\n"
        "    for entry in os.scandir('folder'):\n"
        "        assert isinstance(entry, os.DirEntry)\n"
        "        assert entry.is_file() and os.fspath(entry) == entry.path\n"
        "        if entry.name == 'one.txt':\n"
        "            assert entry.stat().st_size == 1\n",
        told=((wire.LIST, b"@/folder"), (wire.STAT, b"@/folder/one.txt")),
        untold=((wire.STAT, b"@/folder/two.txt"),),
    ),
    "status": Case(
        "import os, pathlib\n"
        "def test():\n"
        "    assert not os.path.exists('absent.txt')\n"
        "    assert pathlib.Path('data.txt').is_file()\n"
        "    assert os.path.getmtime('other.txt')\n"
        "    assert os.stat('folder/one.txt').st_size == 1\n"
        "    assert pathlib.Path('folder/two.txt').stat().st_size == 1\n",
        told=(
            (wire.TYPE, b"@/absent.txt"),
            (wire.TYPE, b"@/data.txt"),
            (wire.MTIME, b"@/other.txt"),
            (wire.STAT, b"@/folder/one.txt"),
            (wire.STAT, b"@/folder/two.txt"),
        ),
        untold=((wire.STAT, b"@/data.txt"), (wire.READ, b"@/data.txt")),
    ),
    "link": Case(
        "import os\ndef test():\n    assert os.readlink('link') == 'data.txt'\n",
        told=((wire.LINK, b"@/link"),),
    ),
    "parents": Case(
        "def test():\n    open('into/../other.txt').close()\n",
        # ``into`` leads to a directory two levels down.
        told=((wire.READ, b"@/deep/other.txt"),),
        untold=((wire.READ, b"@/other.txt"),),
    ),
    "written": Case(
        "import os\ndef test():\n"
        "    with open('new.txt', 'w') as file:\n        file.write('new')\n"
        "    open('new.txt').close()\n    os.remove('new.txt')\n"
        "    with open('rewritten.txt', 'a') as file:\n        file.write('more')\n",
        told=(
            (wire.WRITE, b"@/new.txt", b"", b""),
            (wire.READ, b"@/new.txt"),
            (wire.WRITE, b"@/rewritten.txt", b"1", b"1"),
        ),
    ),
    "temporary": Case(
        "import pathlib, tempfile\ndef test(tmp_path):\n"
        "    (tmp_path / 'x').write_text('x')\n    assert (tmp_path / 'x').exists()\n"
        "    pathlib.Path(tempfile.mkdtemp(), 'y').write_text('y')\n    tmp_path.resolve()\n",
        untold=((wire.WRITE,), (wire.VARIABLE, b"TMPDIR"), (wire.VARIABLE, b"TEMP")),
    ),
    "variables": Case(
        "import os\nfrom unittest import mock\ndef test(monkeypatch):\n"
        "    assert os.environ.get('ABSENT') is None\n"
        "    assert os.getenv('PRESENT') == 'here'\n"
        "    monkeypatch.setenv('OWN', '1')\n"
        "    assert os.environ['OWN'] == '1'\n"
        "    with mock.patch.dict(os.environ, {'ANOTHER': '1'}, clear=True):\n"
        "        assert 'ANOTHER' in os.environ\n"
        "        os.environ['THIRD'] = '3'\n"
        "    assert os.environb[b'PRESENT'] == b'here'\n",
        told=((wire.VARIABLE, b"ABSENT"), (wire.VARIABLE, b"PRESENT")),
        untold=(
            (wire.VARIABLE, b"OWN"),
            (wire.VARIABLE, b"ANOTHER"),
            (wire.VARIABLE, b"IOPIO_SLOT"),
            (wire.VARIABLES,),
        ),
    ),
    "all_variables": Case(
        "import os\ndef test():\n    assert dict(os.environ)\n", told=((wire.VARIABLES,),)
    ),
    "distribution": Case(
        "from importlib import metadata\ndef test():\n    assert metadata.version('pytest')\n",
        told=((wire.PACKAGE, b"pytest"),),
        untold=((wire.PACKAGE, b""),),
    ),
    "forked": Case(
        "import os\ndef test():\n"
        "    child = os.fork()\n"
        "    if child == 0:\n        open('data.txt').close()\n        os._exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n",
        told=((wire.READ, b"@/data.txt"),),
    ),
    "python_program": Case(
        "import json, os, subprocess, sys\ndef test():\n"
        "    subprocess.run([sys.executable, 'script.py', 'other.txt'], check=True)\n"
        "    look = 'import json, os, sys; print(json.dumps([dict(os.environ), sys.path[1:],"
        ' sorted(name for name in sys.modules if name.startswith(("iopio", "site")))]))\'\n'
        "    own = {k: v for k, v in os.environ.items() if k != 'PYTEST_CURRENT_TEST'}\n"
        "    said = subprocess.run([sys.executable, '-c', look], env=own, check=True,"
        " stdout=subprocess.PIPE).stdout\n"
        "    environment, path, modules = json.loads(said)\n"
        "    assert modules == ['site']\n"
        "    environment.pop('LC_CTYPE', None)\n"
        "    assert environment == own\n"
        "    assert not any('inject' in entry for entry in path)\n",
        told=(
            (wire.READ, b"@/script.py"),
            (wire.READ, b"@/other.txt"),
            (wire.SOURCE, b"@/loaded.py"),
        ),
        untold=((wire.PROCESS,),),
    ),
    "spawned_program": Case(
        "import os, sys\ndef test():\n"
        "    child = os.posix_spawn(sys.executable, [sys.executable, 'script.py', 'other.txt'],"
        " os.environ)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os.execv(sys.executable, [sys.executable, 'script.py', 'data.txt'])\n"
        "    assert os.waitpid(child, 0)[1] == 0\n",
        told=((wire.READ, b"@/other.txt"), (wire.READ, b"@/data.txt")),
        untold=((wire.PROCESS,),),
    ),
    "isolated_program": Case(
        "import subprocess, sys\ndef test():\n"
        "    subprocess.run([sys.executable, '-I', '-c', ''], check=True)\n",
        told=((wire.PROCESS,),),
    ),
    "other_program": Case(
        "import os, subprocess\ndef test():\n"
        "    subprocess.run('true', shell=True, check=True)\n    os.system('true')\n",
        told=((wire.PROCESS,),),
    ),
    "harmless_program": Case(
        "import subprocess\ndef test():\n"
        "    subprocess.run(['/bin/cat', 'data.txt'], check=True)\n"
        "    subprocess.run(['/bin/true'], check=True)\n",
        told=((wire.READ, b"@/data.txt"),),
        untold=((wire.PROCESS,),),
    ),
    "own_listener": Case(
        "import socket\ndef test():\n"
        "    with socket.create_server(('127.0.0.1', 0)) as server:\n"
        "        socket.create_connection(server.getsockname()[:2]).close()\n"
        "    socket.getaddrinfo('localhost', 80)\n",
        untold=((wire.IMPURE,),),
    ),
    "nobody_listens": Case(
        "import pytest, socket\ndef test():\n"
        "    with socket.socket() as closed:\n"
        "        closed.bind(('127.0.0.1', 0))\n"
        "        port = closed.getsockname()[1]\n"
        "    with pytest.raises(OSError):\n"
        "        socket.create_connection(('127.0.0.1', port))\n",
        told=((wire.IMPURE,),),
    ),
    "marked": Case(
        "import pytest\n@pytest.mark.iopio(cache=False)\ndef test():\n    pass\n",
        told=((wire.IMPURE, b"test_marked.py::test is marked cache=False"),),
    ),
    "finder": Case(
        "import sys\nclass Own:\n    def find_spec(self, *arguments):\n        return None\n"
        "def test():\n    sys.meta_path.insert(0, Own())\n    import loaded\n",
        told=((wire.OPAQUE, b"a finder of its own"),),
    ),
    "other_processes": Case(
        "import os\ndef test():\n    open(f'/proc/{os.getppid()}/stat').close()\n"
        "    open('/proc/self/stat').close()\n    open('/dev/null').close()\n",
        told=((wire.IMPURE, b"opens /proc/"),),
        untold=((wire.READ, b"/dev/null"), (wire.READ, b"/proc/self/stat")),
    ),
    "database": Case(
        "import sqlite3\ndef test():\n    sqlite3.connect('data.db').close()\n"
        "    sqlite3.connect(':memory:').close()\n",
        told=((wire.WRITE, b"@/data.db", b"", b""), (wire.READ, b"@/data.db")),
    ),
    "stand_ins": Case(
        "import copy, inspect, os, pickle, posix, shutil\n"
        "class Holder:\n    stat = os.stat\n"
        "def test():\n"
        "    for name in ('stat', 'lstat', 'access', 'readlink', 'open', 'scandir', 'execv'):\n"
        "        ours, true = getattr(os, name), getattr(posix, name)\n"
        "        assert pickle.loads(pickle.dumps(ours)) == ours\n"
        "        assert copy.deepcopy(ours) == ours\n"
        "        assert ours.__name__ == name and ours.__doc__ == true.__doc__\n"
        "        for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):\n"
        "            assert (ours in able) == (true in able)\n"
        "    assert [*inspect.signature(os.stat).parameters] ==\\\n"
        "        [*inspect.signature(posix.stat).parameters]\n"
        "    assert Holder().stat('.').st_ino == posix.stat('.').st_ino\n"
        "    assert shutil.rmtree.avoids_symlink_attacks\n",
    ),
    "exceptions": Case(
        "import os, pytest\ndef test():\n"
        "    with pytest.raises(FileNotFoundError) as raised:\n        os.stat('nowhere')\n"
        "    assert raised.value.filename == 'nowhere'\n"
        "    assert len(raised.traceback) <= 2\n"
        "    for wrong in (None, 1.5, object()):\n"
        "        with pytest.raises(TypeError):\n            os.stat(wrong)\n"
        "    with pytest.raises(ValueError):\n        os.stat('a\\0b')\n",
    ),
}


@dataclass
class Observed:
    """All records of one module's trace, those of the server included; and its outcomes."""

    records: list[Told]
    outcomes: list[Outcome | None]
    names: list[bytes] = field(default_factory=list)

    def holds(self, wanted: Told) -> bool:
        return any(_begins(record, wanted) for record in self.records)


def _begins(record: Told, wanted: Told) -> bool:
    if record[: len(wanted) - 1] != wanted[:-1] or len(record) < len(wanted):
        return False
    if wanted[0] in {wire.IMPURE, wire.OPAQUE} and len(wanted) == 2:
        return record[1].startswith(wanted[1])
    return record[len(wanted) - 1] == wanted[-1]


def _records(data: bytes, root: bytes) -> Iterable[Told]:
    """The records, with what is included in place; numbers of search paths left out."""
    records, complete = wire.decode(data)
    assert complete
    assert records[0][0] == wire.BEGIN
    for letter, fields in records:
        if letter == wire.INCLUDE:
            included = Path(os.fsdecode(fields[0])).read_bytes()[: int(fields[1])]
            assert len(included) == int(fields[1])
            yield from _records(included, root)
        elif letter == wire.FIND:
            yield (letter, fields[1])
        else:
            yield (letter, *(_below_root(each, root) for each in fields))


def _below_root(each: bytes, root: bytes) -> bytes:
    return b"@" + each[len(root) :] if (each + b"/").startswith(root + b"/") else each


@pytest.fixture(scope="module", params=EXECUTORS)
def observed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Observed]:
    root = tmp_path_factory.mktemp("traced").resolve()
    for name, text in FILES.items():
        root.joinpath(name).parent.mkdir(exist_ok=True)
        root.joinpath(name).write_text(text)
    root.joinpath("link").symlink_to("data.txt")
    root.joinpath("deep/er").mkdir(parents=True)
    root.joinpath("deep/other.txt").write_text("deep")
    root.joinpath("into").symlink_to("deep/er")
    root.joinpath("rewritten.txt").write_text("old")
    for name, case in CASES.items():
        root.joinpath(f"test_{name}.py").write_text(case.source)
    found: dict[str, Observed] = {}

    async def run() -> None:
        environment = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(("IOPIO", "PYTEST", "COV", "PYTHONPATH"))
        } | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PRESENT": "here"}
        source = str(Path(sys.modules["iopio_async"].__file__ or "").parents[1])
        settings = ExecutorSettings(environment={**environment, "PYTHONPATH": source})
        with anyio.fail_after(GIVEN_UP_S):
            async with EXECUTORS[request.param](RUN_ID, settings) as executor:
                for name in CASES:
                    found[name] = await _observe(executor, root, f"test_{name}.py")

    anyio.run(run)
    shutil.rmtree(root)
    return found


async def _observe(executor: SpawnExecutor, root: Path, module: str) -> Observed:
    action = Action(
        path=module,
        root=str(root),
        invocation_dir=str(root),
        arguments=("-p", "no:cacheprovider"),
        cwd_on_path=True,
        trace=TRACE_FILE,
        trace_functions=True,
    )
    placement = Placement(run_id=RUN_ID, slot=0, attempt=1, timeout_s=GIVEN_UP_S)
    certificate = Certificate()
    async with executor.start(action, placement) as attempt:
        async for batch in attempt.messages():
            for message, body in batch:
                certificate.accept(message, body)
        data = attempt.private_file(TRACE_FILE)
    records = list(_records(data, os.fsencode(root)))
    return Observed(records, list(certificate.outcomes))


@pytest.mark.parametrize("name", CASES)
def test_traces(observed: dict[str, Observed], name: str) -> None:
    case, seen = CASES[name], observed[name]
    assert seen.outcomes == [case.outcome]
    assert [told for told in case.told if not seen.holds(told)] == []
    assert [told for told in case.untold if seen.holds(told)] == []


def test_nothing_of_the_private_directory_or_the_standard_library_is_told(
    observed: dict[str, Observed],
) -> None:
    library = os.fsencode(os.path.dirname(os.__file__)) + b"/"
    paths = (wire.READ, wire.SOURCE, wire.WRITE, wire.TYPE, wire.STAT, wire.LIST, wire.LINK)
    told = {
        record[1]
        for seen in observed.values()
        for record in seen.records
        if record[0] in paths
        and (
            b"/iopio-" in record[1]
            or (record[1].startswith(library) and b"-packages/" not in record[1])
        )
    }
    assert told == set()
