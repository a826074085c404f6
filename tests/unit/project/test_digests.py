"""Digests of files, remembered by status."""

import os
from pathlib import Path

import pytest

from iopio_async.project import digests as digests_module
from iopio_async.project.digests import ABSENT, Digests, Status, changed_ns, look
from iopio_async.project.file_systems import LOCAL_SLACK_NS, UNKNOWN_SLACK_NS, FileSystems


class AllOf(FileSystems):
    """Every file is on a file system of one kind."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._only = kind

    def _kind(self, device: int) -> str:
        return self._only


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "file"
    path.write_text("content")
    return str(path)


def status_of(path: str) -> Status:
    status = look(path)
    assert not isinstance(status, str)
    return status


def remembered(path: str, *, age_ns: int, kind: str = "ext4") -> bool:
    """Whether a digest that was taken so long after the file's last change is believed later."""
    status = status_of(path)
    systems = AllOf(kind)
    first = Digests(file_systems=systems, now_ns=lambda: max(status[3:5]) + age_ns)
    digest = first.of(path, status)
    second = Digests(first.save(), file_systems=systems)
    assert second.of(path, status) == digest
    return second.read_count == 0


@pytest.mark.parametrize(
    ("age_ns", "kind", "believed"),
    [
        (LOCAL_SLACK_NS + 1, "ext4", True),
        (LOCAL_SLACK_NS - 1, "ext4", False),
        (0, "ext4", False),
        (-(10**9), "ext4", False),
        (LOCAL_SLACK_NS + 1, "unheard-of", False),
        (UNKNOWN_SLACK_NS + 1, "unheard-of", True),
        (10**12, "nfs4", False),
    ],
)
def test_a_digest_is_believed_if_a_later_change_would_show(
    file: str, age_ns: int, kind: str, *, believed: bool
) -> None:
    assert remembered(file, age_ns=age_ns, kind=kind) is believed


def test_a_time_in_the_future_was_set_by_somebody(file: str) -> None:
    os.utime(file, ns=(10**18 * 4, 10**18 * 4))
    status = status_of(file)

    assert changed_ns(status, status[4] + 1) == status[4]
    assert changed_ns(status, 10**18 * 5) == 10**18 * 4


@pytest.mark.parametrize("field", range(6))
def test_any_other_status_is_another_file(file: str, field: int) -> None:
    status = status_of(file)
    memory = Digests(now_ns=lambda: max(status[3:5]) + 10**10, file_systems=AllOf("ext4"))
    memory.of(file, status)
    other = (*status[:field], status[field] + 1, *status[field + 1 :])

    memory.of(file, other)  # type: ignore[arg-type]

    assert memory.read_count == 2


def test_a_file_that_was_replaced_is_not_remembered_under_the_old_status(file: str) -> None:
    status = status_of(file)
    os.unlink(file)
    Path(file).write_text("a longer content")
    memory = Digests(now_ns=lambda: max(status_of(file)[3:5]) + 10**10)

    memory.of(file, status)
    memory.of(file, status)

    assert memory.read_count == 2


def test_what_cannot_be_read_has_a_value_too(tmp_path: Path, file: str) -> None:
    status = status_of(file)

    assert Digests().of(str(tmp_path / "none"), status) == ABSENT
    assert Digests().of(str(tmp_path), status) == "unreadable: EISDIR"


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x92\x63\x80", b"\xc1"])
def test_a_memory_that_is_none_is_empty(file: str, data: bytes) -> None:
    memory = Digests(data)

    assert len(memory.of(file, status_of(file))) == 64
    assert memory.read_count == 1


def test_names_that_are_no_text_are_not_remembered(tmp_path: Path) -> None:
    path = f"{tmp_path}/\udcff"
    Path(path).write_text("content")
    status = status_of(path)
    memory = Digests(now_ns=lambda: max(status[3:5]) + 10**10)
    memory.of(path, status)

    assert Digests(memory.save()).of(path, status) == memory.of(path, status)


def test_a_large_memory_forgets_what_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(tmp_path / name) for name in "abc"]
    for path in paths:
        Path(path).write_text(path)
    first = Digests(now_ns=lambda: max(map(status_time, paths)) + 10**10)
    for path in paths:
        first.of(path, status_of(path))
    second = Digests(first.save())
    second.of(paths[0], status_of(paths[0]))
    monkeypatch.setattr(digests_module, "MOST_REMEMBERED", 2)
    third = Digests(second.save(), now_ns=lambda: 0)
    for path in paths:
        third.of(path, status_of(path))

    assert third.read_count == 2


def status_time(path: str) -> int:
    return max(status_of(path)[3:5])
