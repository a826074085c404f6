"""The figures of earlier sessions, as files."""

from pathlib import Path

import pytest

from iopio_async.errors import UsageError
from iopio_async.pytest_plugin.figures import KEPT_FIGURES, Figures


def test_figures_come_back(tmp_path: Path) -> None:
    folder = str(tmp_path / "deep" / "history")
    for value in (1.0, 2.0):
        Figures(folder, "m", "a machine").add({("t", "speed"): (value, "ms")})
    found = Figures(folder, "m", "a machine")
    assert found.of("t", "speed", "ms") == [1.0, 2.0]
    assert found.of("t", "speed", "us") == ()
    assert found.of("t", "other", "ms") == ()
    assert Figures(folder, "n", "another machine").of("t", "speed", "ms") == ()


def test_what_another_session_added_meanwhile_stays(tmp_path: Path) -> None:
    first, second = (Figures(str(tmp_path), "m", "a machine") for _ in range(2))
    first.add({("a", "speed"): (1.0, "ms")})
    second.add({("b", "speed"): (2.0, "ms")})
    found = Figures(str(tmp_path), "m", "a machine")
    assert (found.of("a", "speed", "ms"), found.of("b", "speed", "ms")) == ([1.0], [2.0])


def test_the_latest_are_kept(tmp_path: Path) -> None:
    figures = Figures(str(tmp_path), "m", "a machine")
    for value in range(1, KEPT_FIGURES + 3):
        figures.add({("t", "speed"): (float(value), "ms")})
    assert list(figures.of("t", "speed", "ms"))[:2] == [3.0, 4.0]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version": 2, "tests": {}}', '{"version": 1, "tests": {"t": {"s": 3}}}'],
)
def test_damage_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(UsageError, match=r"m\.json holds no figures"):
        Figures(str(tmp_path), "m", "a machine")
