"""A suite whose modules share things outside of their processes, and what a run of it shows.

Ten of its forty modules share a port, a database in a file and a file at a fixed place. Each of
them finds out by itself whether it was disturbed, and fails then. The others have nothing to do
with them, or with each other.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from end_to_end import sides

MODULES = 40
#: How long a shared resource is in use.
HELD_S = 0.12

_PORT = """
import socket
import time


def test_serves():
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", {port}))
    server.listen()
    time.sleep({held_s})
    server.close()
"""

_DATABASE = """
import sqlite3
import time


def test_writes():
    database = sqlite3.connect("data/shared.db", timeout=0, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    database.execute("CREATE TABLE IF NOT EXISTS seen (name TEXT)")
    database.execute("DELETE FROM seen")
    database.execute("INSERT INTO seen VALUES (?)", (__name__,))
    time.sleep({held_s})
    database.execute("COMMIT")
    assert database.execute("SELECT name FROM seen").fetchall() == [(__name__,)]
    database.close()
"""

_FILE = """
import time
from pathlib import Path


def test_writes():
    file = Path("data/settings.ini")
    file.write_text(__name__)
    time.sleep({held_s})
    assert file.read_text() == __name__
"""

_PRIVATE = """
import time


def test_minds_its_own_business(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text(__name__)
    time.sleep(0.03)
    assert file.read_text() == __name__
"""

#: What names a resource, and what computes the same when the test runs.
HIDDEN = (
    ('("127.0.0.1", {port})', '("127.0.0.1", sum([{port} - 7, 7]))'),
    ('"data/', 'chr(100) + "ata/'),
)

#: Name of the resource, source of those who share it, and how many do.
SHARED = (("port", _PORT, 4), ("database", _DATABASE, 3), ("file", _FILE, 3))


def lay_out(folder: Path, *, port: int, hidden: bool = False) -> Path:
    """Write the suite into a new folder; where it is ``hidden``, no source tells what it shares."""
    (folder / "data").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    names: list[str] = []
    for resource, source, count in SHARED:
        for shown, computed in HIDDEN if hidden else ():
            source = source.replace(shown, computed)
        for number in range(count):
            names.append(f"test_{resource}_{number}.py")
            (folder / names[-1]).write_text(source.format(port=port, held_s=HELD_S))
    for number in range(MODULES - len(names)):
        (folder / f"test_private_{number}.py").write_text(_PRIVATE)
    return folder


class Span(NamedTuple):
    """When an attempt at a module ran, in seconds of the run."""

    module: str
    began_s: float
    ended_s: float

    @property
    def resource(self) -> str:
        """What the module shares; ``private`` for nothing."""
        return self.module.split("_")[1]


class Ran(NamedTuple):
    """A run of the suite: its exit code, all that it wrote, and when its attempts ran."""

    code: int
    text: str
    spans: tuple[Span, ...]

    def overlaps(self) -> Iterator[tuple[Span, Span]]:
        """The pairs of attempts that ran at the same time."""
        for one, two in combinations(self.spans, 2):
            if one.began_s < two.ended_s and two.began_s < one.ended_s:
                yield one, two

    def conflicts(self) -> list[tuple[Span, Span]]:
        """Those of these pairs that share something."""
        return [
            (one, two) for one, two in self.overlaps() if one.resource == two.resource != "private"
        ]


def run(folder: Path, *words: str) -> Ran:
    """Run the suite by eight workers; what it holds is known to other runs of it alone."""
    runtime = folder.parent / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    finished = subprocess.run(
        [*sides.script("iopio"), "run", "--json", "--workers=8", *words],
        cwd=folder,
        env=sides.environment({"XDG_RUNTIME_DIR": str(runtime)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=sides.GIVEN_UP_S,
        check=False,
    )
    spans = spans_in([json.loads(line) for line in finished.stdout.splitlines()])
    return Ran(finished.returncode, finished.stdout + finished.stderr, spans)


def spans_in(envelopes: Sequence[dict[str, object]]) -> tuple[Span, ...]:
    """When the attempts ran of which a stream of events tells."""
    began_s: dict[str, float] = {}
    spans = []
    for envelope in envelopes:
        event = envelope["event"]
        elapsed_s = envelope["elapsed_s"]
        assert isinstance(event, dict)
        assert isinstance(elapsed_s, float | int)
        if event["event"] == "attempt_started":
            began_s[event["module"]] = elapsed_s
        elif event["event"] == "attempt_finished":
            spans.append(Span(event["module"], began_s.pop(event["module"]), elapsed_s))
    return tuple(spans)
