"""Rows about what surrounds a test: variables, devices, sockets, temporary and written files."""

from cache_matrix.mutations import Delete, Variable, Write
from cache_matrix.row import UNRELATED, Level, Row, holding

NAME = "MATRIX_ROW"
SET, CHANGED, GONE = Variable(NAME, "one"), Variable(NAME, "two"), Variable(NAME, None)

#: Reads of a variable that is ``one`` at first: name → expression that is ``'one'``.
WAYS_TO_READ_A_VARIABLE = {
    "item": "os.environ['MATRIX_ROW']",
    "get": "os.environ.get('MATRIX_ROW')",
    "getenv": "os.getenv('MATRIX_ROW')",
    "bytes": "os.environb[b'MATRIX_ROW'].decode()",
    "getenvb": "os.getenvb(b'MATRIX_ROW').decode()",
    "expandvars": "os.path.expandvars('$MATRIX_ROW')",
    "setdefault": "os.environ.setdefault('MATRIX_ROW', 'three')",
    "template": "string.Template('$MATRIX_ROW').substitute(os.environ)",
    "pop": "os.environ.pop('MATRIX_ROW')",
    "in_a_child": (
        "subprocess.run([sys.executable, '-c', \"import os; print(os.environ['MATRIX_ROW'])\"],"
        " capture_output=True, text=True).stdout.strip()"
    ),
}

#: Reads of the whole environment: name → expression that is a mapping.
WAYS_TO_READ_ALL = {
    "copy": "os.environ.copy()",
    "dict": "dict(os.environ)",
    "items": "dict(os.environ.items())",
    "union": "os.environ | {}",
}

UDP = "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"

#: What talks to the world, or to what is not of the run: name → statement.
CONVERSATIONS = {
    "connect": f"{UDP}.connect(('192.0.2.1', 9))",
    "connect_ex": f"{UDP}.connect_ex(('192.0.2.1', 9))",
    "send": f"{UDP}.sendto(b'', ('192.0.2.1', 9))",
    "create_connection": "socket.create_connection(('192.0.2.1', 9), timeout=0.001)",
    "name": "socket.getaddrinfo('example.invalid', 80)",
    "name_4": "socket.gethostbyname('example.invalid')",
    "loopback_of_others": "socket.create_connection(('127.0.0.1', 9), timeout=1)",
    "unix_of_others": "socket.socket(socket.AF_UNIX).connect('/run/matrix.sock')",
}

#: Files that say something else each time. (Those that libraries look at when they are imported
#: count as the clock does: ``/proc/uptime``, ``/proc/loadavg``, ``/proc/meminfo``.)
RESTLESS = (
    "/proc/vmstat",
    "/proc/net/dev",
    "/proc/sys/kernel/random/uuid",
    "/sys/kernel/mm/ksm/run",
)

#: Files that a test may read without anybody's notice.
HARMLESS_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/proc/self/status")


def uncacheable(name: str, test: str, **more: object) -> Row:
    """A row that must run every time, and so needs no change."""
    return Row(
        name=name,
        test=test,
        level=Level.UNCACHEABLE,
        visible=False,
        **more,  # type: ignore[arg-type]
    )


def replayable(name: str, test: str, **more: object) -> Row:
    """A row about what is no input: it ends with a change of the module itself."""
    return Row(
        name=name,
        test=test,
        change=(Write("test_ROW.py", "def test_it():\n    assert 0\n"),),
        **more,  # type: ignore[arg-type]
    )


ROWS: tuple[Row, ...] = (
    # Variables.
    *(
        holding(
            f"variable_{name}",
            f"{expression} == 'one'",
            CHANGED,
            imports="import string, subprocess",
            before=(SET,),
            harmless=(*UNRELATED, Variable("UNRELATED_ROW", "new")),
        )
        for name, expression in WAYS_TO_READ_A_VARIABLE.items()
    ),
    holding("variable_gone", "os.environ.get('MATRIX_ROW') == 'one'", GONE, before=(SET,)),
    holding("variable_set", "os.environ.get('MATRIX_ROW') is None", CHANGED),
    holding("variable_in", "'MATRIX_ROW' not in os.environ", CHANGED),
    holding(
        "variable_missing",
        "not missing('MATRIX_ROW')",
        CHANGED,
        imports=(
            "def missing(name):\n    try:\n        return os.environ[name]\n"
            "    except KeyError:\n        return ''\n"
        ),
    ),
    holding(
        "variable_at_import",
        "VALUE == 'one'",
        CHANGED,
        imports=f"VALUE = os.environ['{NAME}']",
        before=(SET,),
    ),
    holding(
        "variable_in_conftest",
        "__import__('conftest').VALUE == 'one'",
        CHANGED,
        files={"conftest.py": f"import os\nVALUE = os.environ['{NAME}']\n"},
        before=(SET,),
    ),
    replayable(
        "variable_of_its_own",
        (
            "def test_it(monkeypatch):\n    monkeypatch.setenv('MATRIX_ROW', 'own')\n"
            "    assert os.environ['MATRIX_ROW'] == 'own'\n"
        ),
        harmless=(*UNRELATED, CHANGED),
    ),
    replayable(
        "variables_patched",
        (
            "from unittest import mock\ndef test_it():\n"
            "    with mock.patch.dict(os.environ, {'OTHER_ROW': 'own'}):\n"
            "        assert os.environ['OTHER_ROW'] == 'own'\n"
        ),
        harmless=(*UNRELATED, CHANGED),
    ),
    # Devices and the like.
    *(
        uncacheable(
            f"restless_{number}",
            f"def test_it():\n    assert open({path!r}).read()\n",
        )
        for number, path in enumerate(RESTLESS)
    ),
    *(
        replayable(
            f"device_{number}",
            f"def test_it():\n    assert len(open({path!r}, 'rb').read(1)) < 2\n",
        )
        for number, path in enumerate(HARMLESS_DEVICES)
    ),
    # Sockets.
    *(
        uncacheable(
            f"socket_{name}",
            f"import contextlib, socket\ndef test_it():\n"
            f"    with contextlib.suppress(OSError):\n        {statement}\n",
        )
        for name, statement in CONVERSATIONS.items()
    ),
    replayable(
        "socket_of_its_own",
        (
            "import socket\ndef test_it():\n"
            "    with socket.create_server(('127.0.0.1', 0)) as server:\n"
            "        with socket.create_connection(server.getsockname()):\n"
            "            server.accept()[0].close()\n"
        ),
    ),
    replayable(
        "socket_by_name",
        (
            "import socket\ndef test_it():\n"
            "    with socket.create_server(('localhost', 0)) as server:\n"
            "        port = server.getsockname()[1]\n"
            "        with socket.create_connection(('localhost', port)):\n"
            "            server.accept()[0].close()\n"
        ),
    ),
    replayable(
        "socket_pair_and_loop",
        (
            "import asyncio, socket\nasync def nothing():\n    await asyncio.sleep(0)\n"
            "def test_it():\n    asyncio.run(nothing())\n"
            "    for end in socket.socketpair():\n        end.close()\n"
        ),
    ),
    replayable(
        "socket_in_private_folder",
        (
            "import socket\ndef test_it(tmp_path, monkeypatch):\n"
            "    monkeypatch.chdir(tmp_path)\n"
            "    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as it:"
            "\n        server.bind('s')\n        server.listen()\n        it.connect('s')\n"
            "        server.accept()[0].close()\n"
        ),
    ),
    # The mark.
    uncacheable(
        "marked", "import pytest\n@pytest.mark.iopio(cache=False)\ndef test_it():\n    pass\n"
    ),
    uncacheable(
        "marked_as_a_whole",
        "import pytest\npytestmark = pytest.mark.iopio(cache=False)\ndef test_it():\n    pass\n",
    ),
    # Temporary files.
    replayable(
        "temporary",
        (
            "import tempfile\ndef test_it(tmp_path):\n"
            "    (tmp_path / 'a').write_text('one')\n"
            "    assert [path.read_text() for path in tmp_path.iterdir()] == ['one']\n"
            "    with tempfile.NamedTemporaryFile('w+') as file:\n"
            "        file.write('one')\n        file.flush()\n"
            "        assert open(file.name).read() == 'one'\n"
        ),
    ),
    replayable(
        "temporary_from_a_child",
        (
            "import subprocess\ndef test_it(tmp_path):\n"
            "    code = 'import tempfile; print(open(tempfile.mkstemp()[1]).read())'\n"
            "    subprocess.run([sys.executable, '-c', code], check=True)\n"
        ),
    ),
    # Written, and then read.
    replayable(
        "written_and_removed",
        (
            "def test_it():\n    path = HERE / 'scratch.txt'\n    path.write_text('one')\n"
            "    assert path.read_text() == 'one'\n    path.unlink()\n"
        ),
    ),
    uncacheable(
        "written_after_reading",
        (
            "def test_it():\n    number = int(DATA.read_text())\n"
            "    DATA.write_text(str(number + 1))\n"
        ),
        files={"data.txt": "1"},
    ),
    uncacheable(
        "renamed_after_reading",
        (
            "def test_it():\n    number = int(DATA.read_text())\n"
            "    (HERE / 'draft').write_text(str(number + 1))\n"
            "    (HERE / 'draft').replace(DATA)\n"
        ),
        files={"data.txt": "1"},
    ),
    uncacheable(
        "removed_after_reading",
        (
            "def test_it():\n    text = DATA.read_text() if DATA.exists() else ''\n"
            "    (HERE / 'other.txt').write_text(text)\n"
            "    DATA.unlink(missing_ok=True)\n    DATA.write_text(text + 'x')\n"
        ),
        files={"data.txt": "1"},
    ),
    holding(
        "left_behind",
        "(HERE / 'made.txt').write_text('x') == 1",
        visible=False,
        level=Level.FREE,
    ),
    Row(
        name="made_if_missing",
        test=(
            "def test_it():\n    path = HERE / 'made.txt'\n    if not path.exists():\n"
            "        path.write_text('one')\n    assert path.read_text() == 'one'\n"
        ),
        change=(Write("made.txt", "two"),),
        level=Level.FREE,
    ),
    Row(
        name="made_if_missing_and_removed",
        test=(
            "def test_it():\n    path = HERE / 'made.txt'\n    if not path.exists():\n"
            "        path.write_text('one')\n    assert path.read_text() == 'one'\n"
        ),
        change=(Delete("made.txt"), Write("made.txt", "six")),
        level=Level.FREE,
    ),
    # Written by one module and read by another: what the writer depends on matters to the reader.
    Row(
        name="crossed_reader",
        test="def test_it():\n    assert (HERE / 'shared.txt').read_text() in '0123'\n",
        files={
            "shared.txt": "0",
            "source.txt": "1",
            "test_writer_ROW.py": (
                "import pathlib\nHERE = pathlib.Path(__file__).parent\ndef test_it():\n"
                "    (HERE / 'shared.txt').write_text((HERE / 'source.txt').read_text())\n"
            ),
        },
        change=(Write("source.txt", "2"),),
        level=Level.FREE,
        visible=False,
    ),
)
