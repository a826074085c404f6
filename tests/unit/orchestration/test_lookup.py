"""What a run has of the cache before anything is executed."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from iopio_async.cache.reader import SECRET
from iopio_async.cache.secret import SECRET_BYTES
from iopio_async.cache.validate import Miss
from iopio_async.model import events as ev
from iopio_async.model.config import CacheRules, Config
from iopio_async.model.module import REMAINDER_PATH
from iopio_async.model.outcome import Outcome
from iopio_async.orchestration.lookup import (
    RECEIPTS,
    ResultCache,
    open_cache,
)
from iopio_async.orchestration.preparation import prepare

Open = Callable[..., ResultCache]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Opens the cache of a small project, by settings."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "pytest.ini").write_text("[pytest]\n")
    (root / "test_a.py").write_text("def test_x(): pass\n")

    def open_by(**settings: object) -> ResultCache:
        config = Config(root=str(root), invocation_dir=str(root), start_method="spawn")
        config = msgspec.structs.replace(config, **settings)
        cache = open_cache(config, prepare(config), began_ns=time.time_ns())
        assert cache is not None
        return cache

    return open_by


def key(cache: ResultCache) -> str:
    return cache.key(cache.plan.modules[0])


def secret_of(cache: ResultCache) -> Path:
    return Path(cache.folder, "v1", RECEIPTS, SECRET)


def test_no_cache_is_none(tmp_path: Path) -> None:
    config = Config(root=str(tmp_path), invocation_dir=str(tmp_path), no_cache=True)
    assert open_cache(config, prepare(config), began_ns=0) is None
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_known_at_first(opened: Open) -> None:
    cache = opened()
    # The remainder is looked up as well: whether it is needed shows only later.
    assert cache.verdicts == {"test_a.py": Miss(), REMAINDER_PATH: Miss()}
    assert cache.recalled("test_a.py") == ()
    assert cache.reasons(cache.plan.modules[0]) == ()
    assert cache.warnings == []


def test_a_refresh_looks_nothing_up(opened: Open) -> None:
    assert opened(refresh=True).verdicts == {}


def test_the_secret_is_made_once_and_for_the_owner(opened: Open) -> None:
    first = opened()
    secret = secret_of(first).read_bytes()
    assert len(secret) == SECRET_BYTES
    assert stat.S_IMODE(secret_of(first).stat().st_mode) == 0o600
    assert key(opened()) == key(first)
    assert secret_of(first).read_bytes() == secret
    assert sorted(os.listdir(secret_of(first).parent)) == [SECRET]


def test_the_first_to_write_a_secret_wins(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    link, other = os.link, b"o" * SECRET_BYTES

    def link_late(source: str, target: str) -> None:
        Path(target).write_bytes(other)
        link(source, target)

    monkeypatch.setattr(os, "link", link_late)
    assert secret_of(opened()).read_bytes() == other
    assert sorted(os.listdir(secret_of(opened()).parent)) == [SECRET]


def test_a_file_system_without_links_will_do(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: str, target: str) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(os, "link", link)
    cache = opened()
    assert len(secret_of(cache).read_bytes()) == SECRET_BYTES
    assert cache.warnings == []


@pytest.mark.parametrize("damaged", [b"", b"x" * 31, b"x" * 33])
def test_a_secret_that_was_cut_is_made_anew(opened: Open, damaged: bytes) -> None:
    file = secret_of(opened())
    file.write_bytes(damaged)
    opened()
    opened()
    assert len(file.read_bytes()) == SECRET_BYTES


def test_another_folder_is_made_with_all_above_it(opened: Open, tmp_path: Path) -> None:
    cache = opened(cache_dir=str(tmp_path / "a" / "b" / "c"))
    assert cache.warnings == []
    assert (tmp_path / "a" / "b" / "c" / ".gitignore").exists()
    assert cache.receipts() is None


def test_a_project_that_is_gone_is_not_made_again(opened: Open, tmp_path: Path) -> None:
    cache = opened()
    root = tmp_path / "project"
    root.rename(tmp_path / "elsewhere")
    again = ResultCache(cache.config, cache.plan, began_ns=0)
    assert len(again.warnings) == 1
    assert not root.exists()


def test_a_folder_that_can_not_be_used_is_told_once(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "project" / ".test_cache").write_text("")
    cache = opened()
    cache.save()
    assert len(cache.warnings) == 1
    assert cache.warnings[0].startswith("the cache is not used any more in this run: ")
    assert cache.receipts() is None


def test_a_fault_of_its_own_is_told_and_costs_no_run(opened: Open) -> None:
    cache = opened()
    cache.give_up(ZeroDivisionError("by zero"))
    assert len(cache.warnings) == 1
    assert "internal error: ZeroDivisionError: by zero" in cache.warnings[0]
    assert cache.recalled("test_a.py") == ()


def test_declared_variables_are_part_of_the_key(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = CacheRules(env=("APP_*",))
    keys = []
    for value in ("1", "2", "1"):
        monkeypatch.setenv("APP_MODE", value)
        keys.append((key(opened(cache=rules)), key(opened())))
    assert keys[0] == keys[2]
    assert keys[0][0] != keys[1][0]
    # Undeclared, it matters only to who reads it.
    assert keys[0][1] == keys[1][1]


def test_what_is_set_for_tests_is_part_of_the_key(opened: Open) -> None:
    assert key(opened(env={"A": "1"})) != key(opened(env={"A": "2"}))


def finished(**outcomes: Outcome) -> list[ev.AnyEvent]:
    return [
        ev.TestFinished(
            module="test_a.py", attempt=1, id=f"test_a.py::{name}", outcome=outcome, duration_s=0.1
        )
        for name, outcome in outcomes.items()
    ]


@pytest.mark.parametrize(
    ("stored", "now", "said"),
    [
        ({"x": Outcome.PASSED}, {"x": Outcome.PASSED}, ""),
        ({"x": Outcome.PASSED, "y": Outcome.SKIPPED}, {"y": Outcome.SKIPPED, "x": "passed"}, ""),
        (
            {"x": Outcome.PASSED},
            {"x": Outcome.FAILED},
            "test_a.py::x is failed now, and passed in the cache",
        ),
        (
            {"x": Outcome.PASSED},
            {"x": Outcome.PASSED, "y": Outcome.PASSED},
            "test_a.py::y is passed now, and not there in the cache",
        ),
        (
            {"x": Outcome.PASSED, "y": Outcome.PASSED},
            {"x": Outcome.PASSED},
            "test_a.py::y is not there now, and passed in the cache",
        ),
    ],
)
def test_an_audit_compares_each_test(
    opened: Open, stored: dict[str, Outcome], now: dict[str, Outcome], said: str
) -> None:
    cache = opened()
    cache._audited["test_a.py"] = finished(**stored)
    cache.audit("test_a.py", finished(**{name: Outcome(each) for name, each in now.items()}))
    assert cache.disproved == (["test_a.py"] if said else [])
    assert [each for each in cache.warnings if said not in each] == []
    assert len(cache.warnings) == bool(said)
    # Whatever is not audited is not compared.
    cache.audit("test_b.py", finished(x=Outcome.FAILED))
    assert len(cache.warnings) == bool(said)
