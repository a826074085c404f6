"""Who is served by whose cached results."""

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from iopio_async.pytest_plugin.memos import Memos
from iopio_async.worker.tracing.territory import territory


class Kept(ModuleType):
    """A module with a function and a method that remember."""

    def __init__(self, name: str, file: Path) -> None:
        super().__init__(name)
        self.__file__ = str(file)

        @functools.lru_cache
        def double(number: int) -> int:
            return 2 * number

        class Shop:
            @staticmethod
            @functools.cache
            def price() -> int:
                return 1

        Shop.__module__ = name
        self.double, self.Shop = double, Shop


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    monkeypatch.setattr(territory, "root", str(tmp_path))
    module = Kept("a_module_that_remembers", tmp_path / "kept.py")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_who_is_served_depends_on_who_filled(module: Kept) -> None:
    needs: list[tuple[int, int]] = []
    memos = Memos(lambda segment, needed: needs.append((segment, needed)))
    memos.find([0])
    module.double(1)
    memos.left(1)
    module.double(2)
    memos.left(2)
    assert needs == []
    module.double(1)
    memos.left(3)
    assert sorted(needs) == [(3, 1), (3, 2)]
    memos.left(4)
    assert len(needs) == 2


def test_methods_remember_as_well(module: Kept) -> None:
    needs: list[tuple[int, int]] = []
    memos = Memos(lambda segment, needed: needs.append((segment, needed)))
    module.Shop.price()
    memos.find([0, 7])
    module.Shop.price()
    memos.left(8)
    assert sorted(needs) == [(8, 0), (8, 7)]


def test_a_cleared_cache_serves_nobody(module: Kept) -> None:
    needs: list[tuple[int, int]] = []
    memos = Memos(lambda segment, needed: needs.append((segment, needed)))
    memos.find([0])
    module.double(1)
    module.double(2)
    memos.left(1)
    module.double.cache_clear()
    module.double(1)
    memos.left(2)
    module.double(1)
    memos.left(3)
    assert needs == [(3, 2)]


def test_other_peoples_caches_are_left_alone(module: Kept, tmp_path: Path) -> None:
    needs: list[tuple[int, int]] = []
    memos = Memos(lambda segment, needed: needs.append((segment, needed)))
    module.__file__ = str(tmp_path.parent / "elsewhere.py")
    memos.find([0])
    module.double(1)
    memos.left(1)
    module.double(1)
    memos.left(2)
    assert needs == []
