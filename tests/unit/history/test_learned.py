"""What was learned is kept whole or not at all, and runs at the same time add to each other."""

import os
from pathlib import Path

import pytest

from iopio_async import state
from iopio_async.errors import InfrastructureError
from iopio_async.history import learned as store
from iopio_async.history import sealed
from iopio_async.planning.learned import Conflicts, Learned, Use

ONE: Conflicts = {"port:1": {"a.py": Learned(Use.BOUND, "1"), "b.py": Learned(Use.BOUND, "2", 1)}}
TWO: Conflicts = {"path:x": {"a.py": Learned(Use.READ, "1"), "c.py": Learned(Use.WROTE, "3")}}


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def file(folder: str) -> Path:
    return Path(state.path(folder, state.LEARNED))


def test_where_nothing_was_learned_nothing_is_there(folder: str) -> None:
    assert store.load(folder) == {}
    assert store.update(folder, lambda known: known) == {}
    assert not file(folder).exists()


def test_what_is_stored_is_loaded_again(folder: str) -> None:
    assert store.update(folder, lambda _: ONE) == ONE
    assert store.load(folder) == ONE


def test_another_run_adds_to_what_is_there_by_then(folder: str) -> None:
    store.update(folder, lambda _: ONE)
    store.update(folder, lambda known: {**known, **TWO})

    assert store.load(folder) == {**ONE, **TWO}


def test_what_is_all_forgotten_leaves_no_file(folder: str) -> None:
    store.update(folder, lambda _: ONE)
    store.update(folder, lambda _: {})

    assert store.load(folder) == {}
    assert not file(folder).exists()


@pytest.mark.parametrize("kept", [0, 5, 20, -1])
def test_a_file_that_was_cut_reads_as_none(folder: str, kept: int) -> None:
    store.update(folder, lambda _: ONE)
    file(folder).write_bytes(file(folder).read_bytes()[:kept])

    assert store.load(folder) == {}
    assert store.update(folder, lambda known: {**known, **TWO}) == TWO


def test_a_changed_byte_anywhere_costs_what_was_learned_and_no_more(folder: str) -> None:
    store.update(folder, lambda _: ONE)
    data = file(folder).read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x41
        file(folder).write_bytes(bytes(changed))
        assert store.load(folder) == {}


def test_a_folder_that_others_may_write_to_is_not_believed(folder: str) -> None:
    store.update(folder, lambda _: ONE)
    os.chmod(folder, 0o777)

    assert store.load(folder) == {}


def test_who_can_not_have_its_turn_goes_without(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.update(folder, lambda _: ONE)
    lock = os.path.join(os.path.dirname(file(folder)), f"{state.LEARNED}.lock")
    monkeypatch.setattr(sealed, "LOCK_DEADLINE_S", 0.0)

    with (
        state.taken(lock, deadline_s=0.0),
        pytest.raises(InfrastructureError, match="another run holds"),
    ):
        store.update(folder, lambda _: TWO)
    assert store.load(folder) == ONE
