"""iopio's own mark, read from the source."""

import pytest

from iopio_async.analysis.marks import group_mark

MARKED = 'pytestmark = pytest.mark.iopio(group="db")'


@pytest.mark.parametrize(
    "source",
    [
        MARKED,
        "import pytest\n" + MARKED,
        'pytestmark = [pytest.mark.slow, pytest.mark.iopio(group="db", other=1)]',
        'pytestmark = (pytest.mark.iopio(cache=False), pytest.mark.iopio(group="db"))',
        'from pytest import mark\npytestmark = mark.iopio(group="db")',
        'pytestmark: list = [pytest.mark.iopio(group="db")]',
    ],
)
def test_the_module_s_own_mark_counts(source: str) -> None:
    assert group_mark(source.encode()) == "db"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "pytestmark = pytest.mark.iopio(cache=False)",
        "pytestmark = pytest.mark.iopio(group=name)",
        'pytestmark = pytest.mark.iopio(group="")',
        "pytestmark = pytest.mark.iopio(group=3)",
        'pytestmark = pytest.mark.other(group="iopio")',
        f"class TestA:\n    {MARKED}",
        f"def test_a():\n    {MARKED}",
        '@pytest.mark.iopio(group="db")\ndef test_a(): pass\npytestmark = []',
        f"# {MARKED}",
        f"{MARKED}\nthis is no Python",
        f"{MARKED}\0",
    ],
)
def test_nothing_else_does(source: str) -> None:
    assert group_mark(source.encode()) is None
