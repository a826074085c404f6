"""Whether an input changed while the tests ran that read it.

The clock is the files' own: times are set, not waited for. What is old has times before the start.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from iopio_async.model.trace import Input, InputKind
from iopio_async.project.changes import Recheck
from iopio_async.project.digests import Digests
from iopio_async.project.environment import Environment
from iopio_async.project.file_systems import LOCAL_SLACK_NS, FileSystems
from iopio_async.project.observer import Observer

HOUR_NS = 3600 * 10**9


class Local(FileSystems):
    """Every file is on a local file system."""

    def slack_ns(self, device: int) -> int:
        return LOCAL_SLACK_NS


class World:
    """A project, an observer of it, and a clock that stands still until it is moved."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("data.txt", "pkg/a.py", "site/one-1.dist-info/RECORD"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
        (root / "link").symlink_to("data.txt")
        self.now_ns = self.latest_ns() + HOUR_NS
        digests = Digests(file_systems=Local(), now_ns=lambda: self.now_ns)
        self.observer = Observer(
            str(root), Environment(b"", {}), digests=digests, now_ns=lambda: self.now_ns
        )
        self.start_ns = 0

    def latest_ns(self) -> int:
        paths = [self.root.parent, self.root, *self.root.rglob("*")]
        return max(path.lstat().st_ctime_ns for path in paths)

    def start(self, *, before_all_changes: bool = False) -> None:
        """The run starts now; or before all that ever happened to the files."""
        self.now_ns += HOUR_NS
        if before_all_changes:
            self.start_ns = min(path.lstat().st_ctime_ns for path in self.root.rglob("*")) - HOUR_NS
        else:
            self.start_ns = self.now_ns
        self.now_ns += HOUR_NS

    def seen(self, kind: InputKind, subject: str) -> Input:
        return Input(kind, subject, self.observer.value(kind, subject))

    def is_unchanged(self, *inputs: Input) -> bool:
        return not Recheck(self.observer, self.start_ns).changed(inputs)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "project")


SUBJECTS = [
    (InputKind.FILE, "data.txt"),
    (InputKind.FILE, "pkg"),
    (InputKind.FILE, "none"),
    (InputKind.FILE, "no/such/file"),
    (InputKind.SOURCE, "pkg/a.py"),
    (InputKind.TYPE, "data.txt"),
    (InputKind.TYPE, "pkg"),
    (InputKind.TYPE, "none"),
    (InputKind.STAT, "data.txt"),
    (InputKind.STAT, "pkg"),
    (InputKind.MTIME, "data.txt"),
    (InputKind.MTIME, "pkg"),
    (InputKind.LINK, "link"),
    (InputKind.LISTING, "pkg"),
    (InputKind.LOOKUP, "pkg|a"),
    (InputKind.LOOKUP, "pkg|b"),
    (InputKind.LOOKUP, "none|b"),
    (InputKind.DISTRIBUTION, "site|one"),
    (InputKind.DISTRIBUTIONS, "site"),
    (InputKind.DISTRIBUTIONS, "site|pytest11"),
    (InputKind.PROJECT, ""),
    (InputKind.VARIABLE, "HOME"),
    (InputKind.ENVIRONMENT, ""),
    (InputKind.PATHS, ""),
]


@pytest.mark.parametrize(("kind", "subject"), SUBJECTS)
def test_what_is_older_than_the_start_did_not_change(
    world: World, kind: InputKind, subject: str
) -> None:
    world.start()

    assert world.is_unchanged(world.seen(kind, subject))


@pytest.mark.parametrize(("kind", "subject"), SUBJECTS[:-3])
def test_what_is_younger_and_was_not_seen_before_may_have_changed(
    world: World, kind: InputKind, subject: str
) -> None:
    world.start(before_all_changes=True)

    assert not world.is_unchanged(world.seen(kind, subject))


#: Of what is no file's content, an earlier look is a witness too.
SEEN_BEFORE = [
    (kind, subject)
    for kind, subject in SUBJECTS[:-4]
    if kind not in {InputKind.DISTRIBUTION, InputKind.DISTRIBUTIONS}
    and (kind, subject) not in {(InputKind.MTIME, "pkg"), (InputKind.LINK, "link")}
    and not (
        kind in {InputKind.FILE, InputKind.SOURCE, InputKind.STAT, InputKind.MTIME}
        and subject in {"data.txt", "pkg/a.py"}
    )
]


@pytest.mark.parametrize(("kind", "subject"), SEEN_BEFORE)
def test_what_was_the_same_before_the_start_did_not_change(
    world: World, kind: InputKind, subject: str
) -> None:
    world.now_ns = 0
    world.observer.survey()
    world.now_ns = HOUR_NS
    world.start_ns = HOUR_NS

    assert world.is_unchanged(world.seen(kind, subject))


Change = Callable[[Path], object]

CHANGES: list[tuple[InputKind, str, Change]] = [
    (InputKind.FILE, "data.txt", lambda root: (root / "data.txt").write_text("new")),
    (InputKind.FILE, "data.txt", lambda root: (root / "data.txt").unlink()),
    (InputKind.FILE, "none", lambda root: (root / "none").touch()),
    (InputKind.TYPE, "none", lambda root: (root / "none").mkdir()),
    (InputKind.TYPE, "pkg", lambda root: (root / "pkg").rename(root / "moved")),
    (InputKind.STAT, "data.txt", lambda root: (root / "data.txt").chmod(0o600)),
    (InputKind.MTIME, "data.txt", lambda root: os.utime(root / "data.txt", ns=(1, 1))),
    (InputKind.LISTING, "pkg", lambda root: (root / "pkg/new").touch()),
    (InputKind.LOOKUP, "pkg|new", lambda root: (root / "pkg/new.py").touch()),
    (InputKind.DISTRIBUTIONS, "site", lambda root: (root / "site/two-1.dist-info").mkdir()),
    (InputKind.PROJECT, "", lambda root: (root / "pkg/new").touch()),
    (InputKind.PROJECT, "", lambda root: (root / "pkg/a.py").unlink()),
]


@pytest.mark.parametrize(("kind", "subject", "change"), CHANGES)
def test_another_value_than_the_one_that_was_told_is_a_change(
    world: World, kind: InputKind, subject: str, change: Change
) -> None:
    world.observer.survey()
    world.start()
    given = world.seen(kind, subject)
    change(world.root)

    assert not world.is_unchanged(given)


def test_names_that_come_and_go_above_the_project_do_not_matter(world: World) -> None:
    world.now_ns = 0
    world.observer.survey()
    world.start_ns = HOUR_NS
    world.now_ns = 2 * HOUR_NS
    settings = world.root.parent / "pytest.toml"
    given = [world.seen(InputKind.FILE, str(settings)), world.seen(InputKind.TYPE, str(settings))]
    (world.root.parent / "other").mkdir()

    assert world.is_unchanged(*given)
    settings.touch()
    assert not world.is_unchanged(*given)


def test_names_that_come_and_go_beside_do_not_matter(world: World) -> None:
    world.now_ns = 0
    world.observer.survey()
    world.start_ns = HOUR_NS
    world.now_ns = 2 * HOUR_NS
    (world.root / "pkg/__pycache__").mkdir()
    (world.root / "pkg/temporary.py").touch()
    given = [
        world.seen(InputKind.LISTING, "pkg"),
        world.seen(InputKind.LOOKUP, "pkg|other"),
        world.seen(InputKind.TYPE, "pkg/none"),
        world.seen(InputKind.FILE, "pkg/conftest.py"),
    ]
    (world.root / "pkg/temporary.py").unlink()

    assert world.is_unchanged(*given)


def test_an_edit_back_and_forth_is_told_by_the_times(world: World) -> None:
    given = world.seen(InputKind.FILE, "data.txt")
    world.start_ns = world.latest_ns() - 1
    (world.root / "data.txt").write_text("new")
    (world.root / "data.txt").write_text("data.txt")

    assert not world.is_unchanged(given)


def test_a_change_just_before_the_start_may_hide_another(world: World) -> None:
    given = world.seen(InputKind.FILE, "data.txt")
    changed_ns = (world.root / "data.txt").stat().st_ctime_ns
    world.start_ns = changed_ns + LOCAL_SLACK_NS

    assert not world.is_unchanged(given)
    world.start_ns += 1
    assert world.is_unchanged(given)


def test_directories_for_everybody_are_no_witness(world: World) -> None:
    (world.root / "pkg").chmod(0o1777)
    world.start(before_all_changes=True)

    assert world.is_unchanged(world.seen(InputKind.FILE, "pkg/none"))
