"""How the changes of files are told: what of their content goes on, and what is not touched."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from iopio_async.wire.observations import DATABASE, READ, WRITE
from iopio_async.worker.tracing import files

APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
ANEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "watch", files._Watch())


def here(name: str) -> bytes:
    return os.fsencode(os.path.join(os.getcwd(), name))


@pytest.mark.parametrize(
    ("there", "flags", "existed", "kept"),
    [
        (False, ANEW, b"", b""),
        (False, APPEND, b"", b"1"),
        (True, ANEW, b"1", b""),
        (True, APPEND, b"1", b"1"),
    ],
)
def test_opening_to_write(
    told: Callable[[], Any], there: bool, flags: int, existed: bytes, kept: bytes
) -> None:
    if there:
        open("x", "w").close()
    files.opened(("x", "w", flags))
    assert told() == [(WRITE, (here("x"), existed, kept))]


def test_its_mode_is_not_its_content(told: Callable[[], Any]) -> None:
    open("x", "w").close()
    for _ in range(2):
        files.changed(("x", 0o600, -1))
    files.opened(("x", "w", ANEW))
    files.changed(("x", 0o600, -1))
    assert told() == [
        (WRITE, (here("x"), b"1", b"2")),
        (WRITE, (here("x"), b"1", b"")),
    ]


def test_to_remove_is_to_write(told: Callable[[], Any]) -> None:
    open("x", "w").close()
    files.removed(("x", -1))
    assert told() == [(WRITE, (here("x"), b"1", b""))]


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("x", [READ, DATABASE]),
        ("file:x?cache=shared", [READ, DATABASE]),
        ("file:x?mode=ro", [READ]),
        ("file:x?immutable=1", [READ]),
        (":memory:", []),
    ],
)
def test_a_database_may_be_written(
    told: Callable[[], Any], name: str, letters: list[bytes]
) -> None:
    open("x", "w").close()
    files.database_connected((name,))
    assert told() == [(letter, (here("x"),)) for letter in letters]
