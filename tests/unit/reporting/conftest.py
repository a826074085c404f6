"""Gives the tests of this folder their story, and a screen to look at it on."""

import importlib.util
import sys
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
