"""Beside pytest, as an ordinary installation has it: the plugin is found by its entry point.

In the other tests no plugin is loaded by itself, and iopio may be installed from its own tree, of
which pytest does not know the files. So another installation of the same is made up.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from end_to_end import sides

import iopio_async

SOURCES = Path(iopio_async.__file__).parents[1]

FILES = {
    "pytest.ini": "[pytest]\nfilterwarnings = error\n",
    "test_it.py": "def test_it():\n    assert True\n",
}

INFO = {
    "METADATA": "Metadata-Version: 2.1\nName: another-iopio\nVersion: 1\n",
    "entry_points.txt": "[pytest11]\niopio = iopio_async.pytest_plugin\n",
    "RECORD": "".join(
        f"{file},,\n"
        for file in (
            "iopio_async/__init__.py",
            "iopio_async/pytest_plugin/__init__.py",
            "optimized_test_runner.py",
            "test_optimization.py",
            "another_iopio-1.dist-info/METADATA",
            "another_iopio-1.dist-info/entry_points.txt",
            "another_iopio-1.dist-info/RECORD",
        )
    ),
}


@pytest.mark.parametrize(
    "words",
    [
        ("iopio_async", "run", "--start-method=forkserver"),
        ("iopio_async", "run", "--start-method=spawn"),
        ("pytest",),
        ("pytest", "--cache-tests", "--performance-regression"),
    ],
)
def test_nothing_is_warned_of(tmp_path: Path, words: tuple[str, ...]) -> None:
    for folder, files in (("project", FILES), ("site/another_iopio-1.dist-info", INFO)):
        (tmp_path / folder).mkdir(parents=True)
        for name, text in files.items():
            (tmp_path / folder / name).write_text(text)
    for name in ("iopio_async", "optimized_test_runner.py", "test_optimization.py"):
        (tmp_path / "site" / name).symlink_to(SOURCES / name)
    ended = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=tmp_path / "project",
        env=sides.environment(
            {"PYTHONPATH": str(tmp_path / "site"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""}
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=sides.GIVEN_UP_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "1 passed" in ended.stdout
    assert " warning" not in ended.stdout
