"""What a module may depend on, by its source alone."""

from pathlib import Path

from iopio_async.project.environment import Environment
from iopio_async.project.observer import Observer
from iopio_async.project.static_closure import StaticClosures


def test_a_closure_holds_conftests_and_what_is_imported(tmp_path: Path) -> None:
    for name, text in {
        "src/pkg/__init__.py": "from .core import run\n",
        "src/pkg/core.py": "import importlib\nimportlib.import_module(name)\n",
        "src/pkg/unused.py": "",
        "tests/conftest.py": "import support\n",
        "tests/support.py": "",
        "tests/test_a.py": "def test():\n    import pkg\n    import numpy\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    closure = StaticClosures(Observer(str(tmp_path), Environment(b"", {}))).of("tests/test_a.py")

    assert closure.paths == (
        "tests/test_a.py",
        "tests/conftest.py",
        "src/pkg/__init__.py",
        "tests/support.py",
        "src/pkg/core.py",
    )
    assert closure.opaque == ("src/pkg/core.py",)
