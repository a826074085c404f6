"""Which compiled files are believed."""

import importlib.util
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from iopio_async.worker.tracing.bytecode import MARGIN_NS, believable, source_of

TAG = sys.implementation.cache_tag
SOURCE = str(Path(__file__).parents[4] / "src")


@pytest.mark.parametrize(
    ("younger_than_content_ns", "younger_than_status_ns", "expected"),
    [
        (MARGIN_NS + 1, MARGIN_NS + 1, True),
        (MARGIN_NS, MARGIN_NS + 1, False),
        # The source's time was set back, or it was moved here with its time.
        (10 * MARGIN_NS, 0, False),
        (-1, MARGIN_NS + 1, False),
    ],
)
def test_age(younger_than_content_ns: int, younger_than_status_ns: int, expected: bool) -> None:
    now_ns = 10**18
    found = believable(now_ns, now_ns - younger_than_content_ns, now_ns - younger_than_status_ns)
    assert found is expected


@pytest.mark.parametrize(
    ("bytecode", "source"),
    [
        (f"/p/__pycache__/a.{TAG}.pyc", "/p/a.py"),
        (f"/p/__pycache__/a.{TAG}.opt-1.pyc", "/p/a.py"),
        (f"/p/__pycache__/test_a.{TAG}-pytest-9.2.0.pyc", "/p/test_a.py"),
        (f"/p/__pycache__/a.b.{TAG}.pyc", "/p/a.b.py"),
        ("/p/a.pyc", "/p/a.pyc"),
    ],
)
def test_sources_of_bytecode(monkeypatch: pytest.MonkeyPatch, bytecode: str, source: str) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", None)
    assert source_of(bytecode) == source


def test_sources_of_bytecode_in_a_place_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", "/cache/")
    assert source_of(f"/cache/p/a.{TAG}.pyc") == "/p/a.py"


def stale(folder: Path) -> Path:
    """A source with a compiled file of other content, as an edit of the same size leaves it."""
    source = folder / "stale.py"
    source.write_text("VALUE = 1\n")
    old = source.stat()
    py_compile.compile(str(source), cfile=importlib.util.cache_from_source(str(source)))
    source.write_text("VALUE = 2\n")
    os.utime(source, ns=(old.st_atime_ns, old.st_mtime_ns))
    return source


@pytest.mark.parametrize(
    ("folder", "inside", "value"),
    [
        (".", True, b"2"),
        (".", False, b"2"),
        ("site-packages", True, b"1"),
        ("site-packages", False, b"1"),
    ],
)
def test_a_stale_file_that_is_not_installed_is_compiled_again(
    tmp_path: Path, folder: str, inside: bool, value: bytes
) -> None:
    place = tmp_path / folder
    place.mkdir(exist_ok=True)
    stale(place)
    code = (
        "import sys; from iopio_async.worker.tracing import bytecode;"
        "bytecode.install(sys.argv[1]); sys.path.insert(0, sys.argv[2]);"
        "import stale; print(stale.VALUE)"
    )
    root = str(tmp_path) if inside else "/elsewhere"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", code, root, str(place)],
        env={**environment, "PYTHONPATH": SOURCE},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout.strip() == value
