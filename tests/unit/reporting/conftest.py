"""Gives the tests of this folder their story, and a screen to look at it on."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


def _sibling(name: str) -> ModuleType:
    # Test modules are imported without their folder on the path, so siblings are found by file.
    qualified = f"iopio_reporting_{name}"
    if qualified not in sys.modules:
        path = Path(__file__).with_name(f"{name}.py")
        spec = importlib.util.spec_from_file_location(qualified, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[qualified] = module
        spec.loader.exec_module(module)
    return sys.modules[qualified]


@pytest.fixture(scope="session")
def story() -> ModuleType:
    return _sibling("story")


@pytest.fixture(scope="session")
def screen() -> ModuleType:
    return _sibling("screen")


@pytest.fixture
def snapshot() -> Callable[[str, str], None]:
    """Compares a text with the file of that name in ``snapshots``.

    To renew one, delete it: the next run writes it, and fails, so that somebody looks at it.
    """

    def compare(name: str, text: str) -> None:
        path = Path(__file__).parent / "snapshots" / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            pytest.fail(f"{path} is new: look at it, then run again")
        assert text == path.read_text(encoding="utf-8")

    return compare
