"""The current values of inputs."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from iopio_async.model.trace import Input, InputKind
from iopio_async.project.digests import Digests
from iopio_async.project.environment import Environment
from iopio_async.project.observer import Observer

LATER_NS = 10**12


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in {
        "pkg/__init__.py": "",
        "pkg/code.py": "def f():\n    return 1\n",
        "pkg/code.pyc": "",
        "pkg/__pycache__/code.pyc": "",
        "space/part.py": "",
        "data.txt": "data",
        "broken.py": "def (",
    }.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "project/link").symlink_to("data.txt")
    (tmp_path / "project/dangling").symlink_to("nowhere")
    (tmp_path / "project/folder_link").symlink_to("pkg")
    (tmp_path / "project/loop").symlink_to("loop")
    os.mkfifo(tmp_path / "project/fifo")
    return tmp_path / "project"


Make = Callable[..., Observer]


@pytest.fixture
def observe(root: Path) -> Make:
    def make(**options: object) -> Observer:
        environment = Environment(b"key", {"HOME": "/home/me"})
        return Observer(str(root), environment, **options)  # type: ignore[arg-type]

    return make


DATA = hashlib.sha256(b"data").hexdigest()
LOOP = "unreadable: ELOOP"


@pytest.mark.parametrize(
    ("kind", "subject", "value"),
    [
        (InputKind.FILE, "data.txt", DATA),
        (InputKind.FILE, "link", DATA),
        (InputKind.FILE, "pkg", "directory"),
        (InputKind.FILE, "fifo", "other"),
        (InputKind.FILE, "none", "absent"),
        (InputKind.FILE, "data.txt/below", "absent"),
        (InputKind.FILE, "a\0b", "absent"),
        (InputKind.FILE, "loop", LOOP),
        (InputKind.FILE, "n" * 300, "unreadable: ENAMETOOLONG"),
        (InputKind.FILE, "n\udcff", "absent"),
        (InputKind.SOURCE, "data.txt", DATA),
        (InputKind.TYPE, ".", "directory"),
        (InputKind.TYPE, "data.txt", "file"),
        (InputKind.TYPE, "fifo", "other"),
        (InputKind.TYPE, "link", "link:file"),
        (InputKind.TYPE, "folder_link", "link:directory"),
        (InputKind.TYPE, "dangling", "link:absent"),
        (InputKind.TYPE, "loop", f"link:{LOOP}"),
        (InputKind.TYPE, "none", "absent"),
        (InputKind.STAT, "none", "absent"),
        (InputKind.STAT, "loop", LOOP),
        (InputKind.MTIME, "none", "absent"),
        (InputKind.LINK, "link", "data.txt"),
        (InputKind.LINK, "data.txt", "unreadable: EINVAL"),
        (InputKind.LINK, "none", "absent"),
        (InputKind.LINK, "a\0b", "absent"),
        (InputKind.LISTING, "none", "absent"),
        (InputKind.LISTING, "data.txt", "absent"),
        (InputKind.LISTING, "loop", LOOP),
        (InputKind.LISTING, "a\0b", "absent"),
        (InputKind.LOOKUP, ".|pkg", "pkg"),
        (InputKind.LOOKUP, ".|broken", "broken.py"),
        (InputKind.LOOKUP, "pkg|code", "code.py/code.pyc"),
        (InputKind.LOOKUP, "pkg|__init__", "__init__.py"),
        (InputKind.LOOKUP, "none|code", ""),
        (InputKind.LOOKUP, ".|folder_link", "folder_link"),
        (InputKind.LOOKUP, ".|link", ""),
        (InputKind.LOOKUP, ".|data", ""),
        (InputKind.VARIABLE, "NONE", "absent"),
        (InputKind.DISTRIBUTION, ".|none", "absent"),
    ],
)
def test_what_an_input_is(observe: Make, kind: InputKind, subject: str, value: str) -> None:
    assert observe().value(kind, subject) == value
    assert observe().current(Input(kind, subject, "")) == value


def test_paths_are_spelled_relative_to_the_project(observe: Make, root: Path) -> None:
    observer = observe()

    assert observer.subject(f"{root}/pkg/code.py") == "pkg/code.py"
    assert observer.subject(str(root)) == "."
    assert observer.subject(f"{root}s/x") == f"{root}s/x"
    assert observer.path("pkg") == f"{root}/pkg"
    assert observer.path(".") == observer.path("") == str(root)
    assert observer.path("/etc") == "/etc"


def test_a_raw_status_is_type_permissions_and_content(observe: Make, root: Path) -> None:
    (root / "data.txt").chmod(0o640)
    (root / "pkg").chmod(0o755)

    observer = observe()

    assert observer.value(InputKind.STAT, "data.txt") == f"640 {DATA}"
    assert observer.value(InputKind.STAT, "link") == f"link:data.txt:640 {DATA}"
    assert observer.value(InputKind.STAT, "pkg") == "755 directory"


def test_a_value_is_told_once_and_kept(observe: Make, root: Path) -> None:
    observer = observe()
    before = observer.value(InputKind.FILE, "data.txt")
    (root / "data.txt").write_text("other")

    assert observer.value(InputKind.FILE, "data.txt") == before
    assert observer.again().value(InputKind.FILE, "data.txt") != before


@pytest.mark.parametrize(
    ("name", "counts"),
    [("new.txt", True), ("new.pyc", False), ("__pycache__", False), (".pytest_cache", False)],
)
def test_a_listing_is_names_and_types_less_caches(
    observe: Make, root: Path, name: str, *, counts: bool
) -> None:
    before = observe().value(InputKind.LISTING, "space")
    (root / "space" / name).touch()

    assert (observe().value(InputKind.LISTING, "space") != before) is counts


def test_a_type_in_a_listing_counts(observe: Make, root: Path) -> None:
    before = observe().value(InputKind.LISTING, "space")
    (root / "space/part.py").unlink()
    (root / "space/part.py").mkdir()

    assert observe().value(InputKind.LISTING, "space") != before


def test_the_project_is_all_its_files(observe: Make, root: Path) -> None:
    values = [observe().value(InputKind.PROJECT, "")]
    for change in (
        lambda: (root / "pkg/new.py").touch(),
        lambda: (root / "data.txt").write_text("new"),
        lambda: (root / "data.txt").chmod(0o600),
        lambda: ((root / "link").unlink(), (root / "link").symlink_to("pkg")),
        lambda: (root / "pkg/new.py").unlink(),
    ):
        change()
        values.append(observe().value(InputKind.PROJECT, ""))

    assert len(set(values)) == len(values)
    (root / "pkg/__pycache__/more.pyc").touch()
    assert observe().value(InputKind.PROJECT, "") == values[-1]


def test_scopes_are_those_of_the_file_that_was_digested(observe: Make, root: Path) -> None:
    observer = observe()

    scopes = observer.scopes_of("pkg/code.py")

    assert scopes is not None
    assert set(scopes) == {"<module>", "f"}
    assert observer.scopes("broken.py") is None
    assert observer.scopes("none.py") is None
    assert observer.scopes("pkg") is None
    observer = observe()
    observer.value(InputKind.FILE, "pkg/code.py")
    (root / "pkg/code.py").write_text("other = 1\n")
    assert observer.scopes("pkg/code.py") is None


def test_environments_share_all_but_variables(observe: Make, root: Path) -> None:
    observer = observe()
    other = observer.under(Environment(b"key", {"HOME": "/elsewhere"}))
    value = observer.value(InputKind.FILE, "data.txt")
    (root / "data.txt").write_text("other")

    assert other.value(InputKind.FILE, "data.txt") == value
    for kind, subject in ((InputKind.VARIABLE, "HOME"), (InputKind.ENVIRONMENT, "")):
        assert other.value(kind, subject) != observer.value(kind, subject)


def test_paths_are_those_of_the_run(observe: Make) -> None:
    observer = observe(paths={"": "tests a", "conftests": "a"})
    assert observer.value(InputKind.PATHS, "") == "tests a"
    assert observer.value(InputKind.PATHS, "conftests") == "a"
    assert observe().value(InputKind.PATHS, "") == ""


def test_what_was_looked_at_is_told(observe: Make, root: Path) -> None:
    observer = observe()
    observer.value(InputKind.FILE, "data.txt")
    observer.value(InputKind.TYPE, "none")
    observer.value(InputKind.LISTING, "space")
    observer.value(InputKind.MTIME, "pkg")

    followed, unfollowed = observer.touched()

    assert followed.keys() == {f"{root}/{name}" for name in ("data.txt", "space", "pkg")}
    assert unfollowed == {f"{root}/none": "absent"}
    assert observer.dated() == {f"{root}/space", f"{root}/pkg"}


def test_digests_come_from_memory_in_later_runs(observe: Make) -> None:
    first = Digests(now_ns=lambda: LATER_NS + os.stat("/").st_ctime_ns * 2)
    value = observe(digests=first).value(InputKind.FILE, "data.txt")
    second = Digests(first.save())

    assert observe(digests=second).value(InputKind.FILE, "data.txt") == value
    assert (first.read_count, second.read_count) == (1, 0)
