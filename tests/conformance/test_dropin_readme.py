"""The README's example of the original's API is run as it stands."""

import re
from pathlib import Path

from conformance.original import Project

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_example_of_the_readme(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    (example,) = re.findall(
        r"<!-- .*test_dropin_readme\.py -->\n```python\n(.*?)```", text, re.DOTALL
    )
    project = Project(tmp_path)
    expected = [
        "1 of 2 passed, 0 from the cache",
        "IndexError: list index out of range",
        "1 stored",
    ]
    assert project.script(example).stdout.splitlines() == expected
    expected[0] = "1 of 2 passed, 1 from the cache"
    assert project.script(example).stdout.splitlines() == expected
