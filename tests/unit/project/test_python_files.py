"""Which Python files static analysis looks at."""

from pathlib import Path

import pytest

from iopio_async.errors import InfrastructureError
from iopio_async.project.python_files import python_files


def test_it_lists_what_is_the_projects_own(tmp_path: Path) -> None:
    for name in ("a.py", "p/b.py", "p/c.txt", ".git/d.py", "p/__pycache__/e.py", "venv/lib/f.py"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "gone.py").symlink_to("nowhere")
    (tmp_path / "link.py").symlink_to("a.py")
    (tmp_path / "around").symlink_to(tmp_path)

    found = python_files(str(tmp_path))

    assert sorted(found) == ["a.py", "link.py", "p/b.py"]
    st = (tmp_path / "a.py").stat()
    assert found["a.py"] == found["link.py"]
    assert found["a.py"][3] == st.st_mtime_ns


def test_a_tree_without_end_is_refused(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.txt").write_text("")

    with pytest.raises(InfrastructureError, match="more than 3 files"):
        python_files(str(tmp_path), most_entries=3)
