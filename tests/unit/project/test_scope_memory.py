"""The functions of sources, remembered by digest."""

from hashlib import sha256

import pytest

from iopio_async.project.scope_memory import ScopeMemory

SOURCE = b"def f(): ...\n"
DIGEST = sha256(SOURCE).hexdigest()


def unread() -> bytes:
    raise AssertionError("it was read")


def test_a_source_is_parsed_once() -> None:
    memory = ScopeMemory()
    scopes = memory.of(DIGEST, lambda: SOURCE)

    assert scopes is not None
    assert memory.of(DIGEST, unread) is scopes
    saved = memory.save()
    assert saved is not None
    later = ScopeMemory(lambda: saved)
    assert later.of(DIGEST, unread) == scopes
    assert later.save() is None


def test_that_a_source_does_not_compile_is_remembered() -> None:
    broken = b"def"
    memory = ScopeMemory()

    assert memory.of(sha256(broken).hexdigest(), lambda: broken) is None
    assert memory.of(sha256(broken).hexdigest(), unread) is None


def test_another_source_than_the_one_in_question_tells_nothing() -> None:
    memory = ScopeMemory()

    assert memory.of(DIGEST, lambda: b"other = 1\n") is None
    assert memory.of(DIGEST, lambda: None) is None
    assert memory.of(DIGEST, lambda: SOURCE) is not None


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\x92\xa11\x80"])
def test_a_memory_that_is_none_is_empty(data: bytes) -> None:
    assert ScopeMemory(lambda: data).of(DIGEST, lambda: SOURCE) is not None


def test_nothing_is_loaded_before_it_is_needed() -> None:
    assert ScopeMemory(unread).save() is None
