"""What counts of what a module did: what another module could notice, or get into the way of."""

import os
import time
from pathlib import Path

import pytest

from iopio_async.orchestration.observed import Observed
from iopio_async.orchestration.places import Places
from iopio_async.orchestration.sights import Seen, Sights
from iopio_async.planning.learned import Use
from iopio_async.project.environment import Environment
from iopio_async.project.observer import Observer
from iopio_async.wire import observations as wire
from iopio_async.wire.observations import encode

AGES_AGO_NS = 10**18


class World:
    """A project in which one module did something, in a run that began just now."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.began_ns = time.time_ns()

    def file(self, name: str, text: str = "text", *, old: bool = False) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if old:
            os.utime(path, ns=(AGES_AGO_NS, AGES_AGO_NS))

    def seen(self, *records: tuple[bytes, ...]) -> Seen:
        """``./`` begins what is below the root."""
        own = os.fsencode(self.root) + b"/"
        data = encode(wire.BEGIN, b"1", b"1") + b"".join(
            encode(letter, *(own + each[2:] if each[:2] == b"./" else each for each in fields))
            for letter, *fields in records
        )
        fold = Observed()
        fold.fold(data, lambda path, length: Observed())
        observer = Observer(str(self.root), Environment(b"", {}))
        places = Places(observer, (f"{self.root}/stdlib",), ("ignored/**",))
        environ = {"HOME": "/home/me", "XDG_CACHE_HOME": "/caches"}
        return Sights(places, start_ns=self.began_ns, environ=environ, own=f"{self.root}/own").of(
            [fold]
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


NEW, EMPTY, KEEP, NEW_KEPT, MARK = (
    (b"", b""),
    (b"1", b""),
    (b"1", b"1"),
    (b"", b"1"),
    (b"1", b"2"),
)


@pytest.mark.parametrize(
    ("how", "there", "expected"),
    [
        (NEW, "new", Use.WROTE),
        (NEW, "gone", Use.WROTE),
        (NEW, "empty", Use.WROTE),
        (EMPTY, "new", Use.WROTE),
        (EMPTY, "old", Use.WROTE),
        (KEEP, "new", Use.APPENDED),
        (NEW_KEPT, "new", Use.APPENDED),
        # Opened to be written, but not written to: it is only locked, or there.
        (KEEP, "old", None),
        (KEEP, "empty", None),
        (NEW_KEPT, "empty", None),
        # Its mode or its times were set.
        (MARK, "new", None),
        (MARK, "gone", None),
        # What is in a folder counts, not the folder.
        (NEW, "folder", None),
    ],
)
def test_writing(world: World, how: tuple[bytes, bytes], there: str, expected: Use | None) -> None:
    if there == "folder":
        (world.root / "x").mkdir()
    elif there != "gone":
        world.file("x", "" if there == "empty" else "text", old=there == "old")

    seen = world.seen((wire.WRITE, b"./x", *how))

    assert seen.uses == ({} if expected is None else {"path:x": expected})


def test_what_is_changed_in_place_is_written(world: World) -> None:
    world.file("x")
    seen = world.seen((wire.WRITE, b"./x", *KEEP), (wire.READ, b"./x"))
    assert (seen.uses, seen.reads) == ({"path:x": Use.WROTE}, ())


def test_what_is_read_is_told_apart_unless_it_was_made(world: World) -> None:
    world.file("new")
    seen = world.seen(
        (wire.READ, b"./x"),
        (wire.READ, b"/srv/y"),
        (wire.STAT, b"./z"),
        (wire.WRITE, b"./new", *NEW),
        (wire.READ, b"./new"),
    )
    assert seen == Seen({"path:new": Use.WROTE}, ("x", "/srv/y"))


def test_files_in_a_folder_that_it_made_itself_count_one_by_one(world: World) -> None:
    world.file("out/a")
    seen = world.seen((wire.WRITE, b"./out", b"", b"2"), (wire.WRITE, b"./out/a", *NEW))
    assert seen.uses == {"path:out/a": Use.WROTE}


@pytest.mark.parametrize(("old", "expected"), [(False, {"path:db": Use.WROTE}), (True, {})])
def test_a_database_is_written_where_it_changed(
    world: World, old: bool, expected: dict[str, Use]
) -> None:
    world.file("db", old=old)
    seen = world.seen((wire.READ, b"./db"), (wire.DATABASE, b"./db"))
    assert seen.uses == expected
    assert seen.reads == (() if expected else ("db",))


@pytest.mark.parametrize(
    "path",
    [
        b"./__pycache__/a.pyc",
        b"./.pytest_cache/v/x",
        b"./.test_cache/v1/index",
        b"./.git/index",
        b"./.hypothesis/examples/1",
        b"./own/v1/claims",
        b"./data.json.lock",
        b"./server.pid",
        b"./ignored/x",
        b"./venv/lib/site-packages/x/data.json",
        b"/home/me/.cache/fonts",
        b"/caches/fonts",
        b"./\xff",
    ],
)
def test_what_is_nobodys_business(world: World, path: bytes) -> None:
    assert world.seen((wire.WRITE, path, *NEW), (wire.READ, path)) == Seen({}, ())


def test_ports_and_sockets(world: World) -> None:
    seen = world.seen(
        (wire.BIND, b"8000"),
        (wire.BIND, b"./a.sock"),
        (wire.CONNECT, b"8000"),
        (wire.CONNECT, b"5432"),
        (wire.CONNECT, b"99999"),
    )
    assert seen.uses == {
        "port:8000": Use.BOUND,
        "path:a.sock": Use.BOUND,
        "port:5432": Use.CONNECTED,
    }


def test_a_port_that_the_kernel_may_have_handed_out_is_another_one_each_time(world: World) -> None:
    asked = world.seen((wire.BIND, b"0"), (wire.BIND, b"40123"), (wire.BIND, b"8000"))
    fixed = world.seen((wire.BIND, b"40123"))

    assert asked.uses == {"port:8000": Use.BOUND}
    assert fixed.uses == {"port:40123": Use.BOUND}
