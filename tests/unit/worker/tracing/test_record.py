"""The trace file: what is written when, and what happens to it at the hands of tests."""

import os
from pathlib import Path

import pytest

from iopio_async.wire.observations import (
    BEGIN,
    CODE,
    IMPURE,
    INCLUDE,
    MAX_RECORD_BYTES,
    OPAQUE,
    READ,
    TYPE,
    decode,
)
from iopio_async.worker.tracing.record import (
    HELD_AT_MOST,
    LOWEST_DESCRIPTOR,
    MAX_REASON_BYTES,
    Record,
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trace"


@pytest.fixture
def record(file: Path) -> Record:
    record = Record()
    record.begin(str(file), functions=False)
    return record


def content(file: Path) -> list[tuple[bytes, tuple[bytes, ...]]]:
    records, complete = decode(file.read_bytes())
    assert complete
    return records[1:]


def test_each_observation_is_written_at_once_and_once(record: Record, file: Path) -> None:
    record.tell(READ, b"/a")
    assert content(file) == [(READ, (b"/a",))]
    record.tell(READ, b"/a")
    record.tell(TYPE, b"/a")
    assert content(file) == [(READ, (b"/a",)), (TYPE, (b"/a",))]


def test_the_beginning_says_who_and_what_came_before(file: Path) -> None:
    record = Record()
    record.begin(str(file), functions=True, include=("/server/trace", 17))
    pid = str(os.getpid()).encode()
    assert decode(file.read_bytes()) == (
        [(BEGIN, (pid, b"1")), (INCLUDE, (b"/server/trace", b"17"))],
        True,
    )
    assert record.size_bytes == file.stat().st_size
    record.end()


def test_a_second_trace_goes_on_with_what_is_new(record: Record, file: Path) -> None:
    record.tell(READ, b"/a")
    second = file.with_name("second")
    record.begin(str(second), functions=False, include=(str(file), record.size_bytes))
    record.tell(READ, b"/a")
    record.tell(READ, b"/b")
    assert content(second)[1:] == [(READ, (b"/b",))]
    assert content(file) == [(READ, (b"/a",))]


def test_nothing_is_written_while_it_is_quiet_and_nothing_is_forgotten(
    record: Record, file: Path
) -> None:
    record.quiet = True
    record.tell(READ, b"/a")
    assert content(file) == []
    record.quiet = False
    record.tell(READ, b"/a")
    assert content(file) == [(READ, (b"/a",))]


def test_functions_are_held_back_until_they_are_released(record: Record, file: Path) -> None:
    record.hold()
    for name in (b"f", b"g", b"f"):
        record.tell_function(b"/a.py", name, b"1")
    record.tell(READ, b"/a")
    assert content(file) == [(READ, (b"/a",))]
    record.release()
    assert {fields[1] for letter, fields in content(file) if letter == CODE} == {b"f", b"g"}
    record.tell_function(b"/a.py", b"h", b"1")
    assert content(file)[-1] == (CODE, (b"/a.py", b"h", b"1"))


def test_not_too_many_functions_are_held_back(record: Record, file: Path) -> None:
    record.hold()
    for line in range(HELD_AT_MOST):
        record.tell_function(b"/a.py", b"f", b"%d" % line)
    assert len(content(file)) == HELD_AT_MOST


def test_a_forked_process_writes_its_functions_one_by_one(record: Record, file: Path) -> None:
    record.hold()
    record.tell_function(b"/a.py", b"held", b"1")
    record.flush()
    child = os.fork()
    if child == 0:
        record.release()
        record.tell_function(b"/a.py", b"child", b"1")
        os._exit(0)
    os.waitpid(child, 0)
    assert [fields[1] for _, fields in content(file)] == [b"held", b"child"]


def test_its_descriptor_is_out_of_the_way(record: Record, file: Path) -> None:
    numbers = [
        int(number)
        for number in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{number}")
        and os.path.samefile(f"/proc/self/fd/{number}", file)
    ]
    assert len(numbers) == 1
    assert numbers[0] >= LOWEST_DESCRIPTOR
    assert not os.get_inheritable(numbers[0])


def test_it_never_writes_into_what_took_its_place(record: Record, file: Path) -> None:
    other = file.with_name("other")
    replacement = os.open(other, os.O_WRONLY | os.O_CREAT)
    os.dup2(replacement, record._descriptor)
    record.tell(READ, b"/a")
    assert other.read_bytes() == b""
    assert content(file) == [(READ, (b"/a",))]
    os.close(replacement)


def test_it_survives_the_loss_of_its_descriptor(record: Record, file: Path) -> None:
    os.close(record._descriptor)
    record.tell(READ, b"/a")
    assert content(file) == [(READ, (b"/a",))]


def test_a_trace_that_can_not_be_written_is_removed(record: Record, file: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, record._descriptor)
    status = os.fstat(full)
    record._identity = (status.st_dev, status.st_ino)
    record.tell(READ, b"/a")
    assert not file.exists()
    assert record.quiet
    os.close(full)


def test_a_folder_that_is_not_there_leaves_it_quiet(tmp_path: Path) -> None:
    record = Record()
    record.begin(str(tmp_path / "nowhere" / "trace"), functions=False)
    assert record.quiet
    assert not record.reached


def test_a_trace_that_was_removed_is_not_made_again(file: Path) -> None:
    record = Record()
    record.begin(str(file), functions=False, create=False)
    assert record.quiet
    assert not file.exists()


def test_reasons_are_cut_and_hold_no_separators(record: Record, file: Path) -> None:
    record.tell_reason(IMPURE, "a\0b" + "x" * 2 * MAX_REASON_BYTES)
    ((letter, (reason,)),) = content(file)
    assert letter == IMPURE
    assert reason.startswith(b"abx")
    assert len(reason) == MAX_REASON_BYTES


def test_what_is_too_long_is_told_as_opaque(record: Record, file: Path) -> None:
    record.tell(READ, b"x" * MAX_RECORD_BYTES)
    assert [letter for letter, _ in content(file)] == [OPAQUE]
