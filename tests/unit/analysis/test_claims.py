"""Source bytes to facts: values, commands, names of resources, and that nothing makes it fail."""

import ast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.analysis.claims import read_facts, tells
from iopio_async.analysis.commands import reached_by, split_command
from iopio_async.analysis.facts import NO_FACTS, FileFacts, hole
from iopio_async.analysis.resources import resource
from iopio_async.analysis.values import Names, Reader, as_text

IMPORTS = {"os": "os", "Path": "pathlib.Path", "tempfile": "tempfile", "settings": "app.settings"}

VALUES = {
    "1 + 2": "3",
    "f'/tmp/{NAME}.txt'": "/tmp/x.txt",
    "'%s-%s' % (NAME, 'y')": "x-y",
    "'{}/a'.format(NAME)": "x/a",
    "os.environ['DB']": hole("e", "DB"),
    "os.getenv('DB', 'y')": hole("e", "DB"),
    "os.environ['PYTEST_XDIST_WORKER']": None,
    "os.path.join('/a', os.path.dirname('b/c'))": "/a\x02b",
    "Path(__file__).parent": hole("D"),
    "Path(__file__).resolve().parents[1]": hole("D") + "/..",
    "Path.home()": "~",
    "settings.PORT": hole("d", "app.settings.PORT"),
    "tempfile.mkdtemp()": None,
    "tempfile.gettempdir()": "/tmp",
    "f'{NAME}-{unknown()}'": None,
    "('localhost', 80)[1]": "80",
    "'\\ud83d'": None,
    "'a' if x else 'b'": None,
}


@pytest.mark.parametrize(("source", "text"), VALUES.items())
def test_values(source: str, text: str | None) -> None:
    reader = Reader(Names(dict(IMPORTS), {"NAME": "x"}))
    assert as_text(reader.value(ast.parse(source, mode="eval").body)) == text


COMMANDS = {
    "python -m http.server 8000": ["port:8000"],
    "python -m http.server": ["port:8000"],
    "uvicorn app:app --port=81": ["port:81"],
    "gunicorn -b 127.0.0.1:82 app": ["port:82"],
    "docker run --name a -p 83:80 nginx": ["docker", "container:a", "port:83"],
    "docker ps": [],
    "docker-compose up": ["docker", "compose"],
    "sudo systemctl stop x": ["system:services"],
    "bash -c 'git commit -m x'": ["path:.git"],
    "git -C /elsewhere commit": [],
    "git config --get user.name": ["path:.git"],
    "git clone a b": [],
    "pip install --target x y": [],
    "echo docker": [],
}


@pytest.mark.parametrize(("line", "names"), COMMANDS.items())
def test_commands(line: str, names: list[str]) -> None:
    reached = reached_by(split_command(line), elsewhere=False)
    assert [resource(each.kind, each.text) for each in reached] == names


RESOURCES = {
    ("port", "0"): None,
    ("port", "[::]:50051"): "port:50051",
    ("port", "99999"): None,
    ("path", "./a/../b"): "path:b",
    ("path", "a\x02/b"): "path:/b",
    ("path", "../a"): None,
    ("path", "/dev/null"): None,
    ("path", ":memory:"): None,
    ("path", "@/tests/../x"): "path:x",
    ("sqlite", ":memory:"): None,
    ("url", "postgresql+asyncpg://u:p@127.0.0.1/db?ssl=1"): "postgresql://localhost:5432/db",
    ("url", "sqlite:////tmp/a.db"): "path:/tmp/a.db",
    ("url", "sqlite://"): None,
    ("url", "http://localhost/"): None,
    ("url", "postgresql://[bad/db"): None,
    ("driver:redis", "\x01\x01::1\x01\x01"): "redis://localhost:6379/0",
    ("driver:kafka", "\x01a:1,b:2\x01\x01\x01"): "kafka://a:1",
    ("gpu", ""): None,
}


@pytest.mark.parametrize(("touch", "name"), RESOURCES.items())
def test_names_of_resources(touch: tuple[str, str], name: str | None) -> None:
    assert resource(*touch) == name


def test_relative_paths_mean_nothing_once_the_directory_has_changed() -> None:
    assert resource("path", "a", moved=True) is None
    assert resource("path", "/a", moved=True) == "path:/a"
    assert resource("path", "@/tests/a", moved=True) == "path:tests/a"


@pytest.mark.parametrize("source", [b"def broken(:", b"\0", b"\xff\xfe", b"x = " + b"(" * 2000])
def test_what_does_not_parse_has_no_facts(source: bytes) -> None:
    assert read_facts(source) == NO_FACTS


def test_facts_survive_being_kept() -> None:
    facts = read_facts(b"import socket\ndef test_it(x=1):\n    socket.socket().bind(('', 80))\n")
    assert msgspec.json.decode(msgspec.json.encode(facts), type=FileFacts) == facts


def test_plain_sources_tell_nothing() -> None:
    assert not tells(b"import math\ndef test_it():\n    assert math.pi > 3\n")
    assert tells(b"s.bind(('', 80))")


_WORDS = st.sampled_from(
    [
        *("open", "bind", "self", "x", "Path", "patch", "os", "environ", "fixture", "def", "class"),
        *("with", "as", "if", ":", "(", ")", "[", "]", ",", ".", "=", "'", "\n", "\n    "),
        *("import", "from", "pytest", "mark", "parametrize", "f'{x}'", "/", "+", "%", "1"),
        *("None", "lambda", "*a", "**k", "async", "await", "return", "@"),
    ]
)


@given(st.lists(_WORDS, max_size=40).map(" ".join))
def test_no_source_makes_it_fail(source: str) -> None:
    assert isinstance(read_facts(source.encode()), FileFacts)
