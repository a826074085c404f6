"""Holds every test of this folder to leaving nothing behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance.executors import nothing_left


@pytest.fixture
def leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """No process, no descriptor and no temporary file is left of an executor."""
    temporary: Path = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with nothing_left(temporary):
        yield
