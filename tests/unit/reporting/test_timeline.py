"""The page of a run: its data, what can't break out of it, and what a browser makes of it."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from iopio_async.errors import InfrastructureError
from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import ModuleStatus, Outcome
from iopio_async.model.spans import RunSpans, fold
from iopio_async.model.stats import RunStats
from iopio_async.reporting import timeline
from iopio_async.reporting.timeline import TESTS_DRAWN, TimelineReporter, data

NODE = shutil.which("node")
BROWSER = (
    shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
)

_DATA = re.compile(r'<script id="data" type="application/json">(.*?)</script>', re.DOTALL)
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def page_of(envelopes: list[ev.Envelope]) -> str:
    stats = RunStats()
    for envelope in envelopes:
        stats.apply(envelope.event)
    return b"".join(timeline.pieces(fold(envelopes), stats)).decode()


def embedded(page: str) -> dict[str, Any]:
    found = _DATA.search(page)
    assert found is not None
    return dict(json.loads(found[1]))


def many(modules: int, tests: int = 0) -> list[ev.Envelope]:
    told: list[tuple[float, ev.AnyEvent]] = []
    for number in range(modules):
        path, slot, begin_s = f"tests/test_{number}.py", number % 4, number // 4 * 0.1
        told.append((0.0, ev.ModulePlanned(module=path, framework=Framework.PYTEST)))
        told.append((begin_s, ev.AttemptStarted(module=path, attempt=1, slot=slot)))
        for test in range(tests):
            finished = ev.TestFinished(
                module=path, attempt=1, id=f"{path}::{test}", outcome=Outcome.PASSED, duration_s=0.0
            )
            told.append((begin_s + 0.05, finished))
        status = ModuleStatus.PASSED
        over = ev.AttemptFinished(module=path, attempt=1, status=status, duration_s=0.09)
        told.append((begin_s + 0.09, over))
        told.append((begin_s + 0.09, ev.ModuleFinished(module=path, status=status)))
    ordered = sorted(told, key=lambda each: each[0])
    return [ev.Envelope(number, at_s, event) for number, (at_s, event) in enumerate(ordered)]


def test_the_story_as_data(story: ModuleType) -> None:
    found = embedded(page_of(story.tell()))
    assert found["run"]["project"] == "project"
    assert found["run"]["duration"] == 12250
    assert found["run"]["cached"] == 2
    assert found["run"]["outcomes"]["failed"] == 3
    assert found["lanes"][0] == "0"
    (slow,) = (bar for bar in found["bars"] if bar[3] == "tests/test_slow.py")
    assert slow[4] == "timed out"
    retried = [bar[5] for bar in found["bars"] if bar[3] == "tests/test_net.py"]
    assert retried == [1, 2]
    assert [each[1] for each in found["recalled"]] == [
        "tests/test_cached.py",
        "tests/test_cached_too.py",
    ]
    assert {found["bars"][bar][3] for bar in found["critical"]} >= {"tests/test_slow.py"}
    assert all(
        found["bars"][bar][1] <= begin <= end <= found["bars"][bar][2]
        for bar, begin, end, *_ in found["tests"]
    )


def test_bars_of_a_lane_never_overlap(story: ModuleType) -> None:
    lanes: dict[int, float] = {}
    for lane, begin, end, *_ in embedded(page_of(story.tell()))["bars"]:
        assert begin >= lanes.get(lane, 0.0)
        lanes[lane] = end


def test_no_text_of_a_test_can_leave_its_element(story: ModuleType) -> None:
    envelopes = story.tell()
    evil = "tests/test_</script><script>alert(1)</script><!--&amp;.py"
    envelopes.insert(
        1, ev.Envelope(0, 0.0, ev.ModulePlanned(module=evil, framework=Framework.PYTEST))
    )
    envelopes.insert(
        -1, ev.Envelope(0, 11.0, ev.AttemptStarted(module=evil, attempt=1, slot=0, pid=1))
    )
    page = page_of(envelopes)
    assert page.count("</script>") == 2
    assert page.count("<script") == 2
    assert "<!--" not in page
    assert evil in {bar[3] for bar in embedded(page)["bars"]}
    (hostile,) = {bar[3] for bar in embedded(page)["bars"] if "hostile" in bar[3]}
    assert hostile.isprintable()


def test_it_needs_nothing_from_anywhere(story: ModuleType) -> None:
    page = page_of(story.tell())
    assert "default-src 'none'" in page
    assert re.findall(r"\b(?:src|href)\s*=|https?://|@import|url\(|fetch\(", page) == []
    assert "prefers-color-scheme: dark" in page
    assert "innerHTML" not in page


def test_beyond_reason_only_modules_are_drawn() -> None:
    spans = fold(many(2, tests=1))
    spans.attempts[0].tests *= TESTS_DRAWN
    assert data(spans, RunStats())["tests"] == []


def test_a_run_of_which_nothing_is_known() -> None:
    found = data(RunSpans(), RunStats())
    assert found["bars"] == []
    assert found["run"]["speedup"] is None


def test_the_file_is_written_at_the_end(story: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "new" / "timeline.html"
    story.report(TimelineReporter(str(file)), story.tell())
    assert file.read_text().startswith("<!doctype html>")
    with pytest.raises(InfrastructureError):
        TimelineReporter(str(tmp_path)).close()


@pytest.mark.skipif(NODE is None, reason="there is no node to read the script")
def test_the_script_is_one(story: ModuleType, tmp_path: Path) -> None:
    found = _SCRIPT.search(page_of(story.tell()))
    assert found is not None
    script = tmp_path / "script.js"
    script.write_text(found[1])
    checked = subprocess.run([str(NODE), "--check", script], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


#: Looks at the page as a person does: points at a bar, zooms, searches; tells in the title.
_LOOK = """
<script>
window.onerror = (message) => { document.title = "error: " + message; };
(() => {
  const canvas = document.getElementById("canvas"), box = canvas.getBoundingClientRect();
  const tip = document.getElementById("tip"), search = document.getElementById("search");
  for (let x = 90; x < box.width && tip.hidden; x += 3) {
    canvas.dispatchEvent(new PointerEvent("pointermove",
      { clientX: box.left + x, clientY: box.top + 40, bubbles: true }));
  }
  const pointed = tip.innerText;
  document.getElementById("in").click();
  search.value = "WANTED";
  search.dispatchEvent(new Event("input"));
  const seen = canvas.getContext("2d").getImageData(0, 0, canvas.width, 80).data;
  document.title = JSON.stringify({
    pointed: pointed, rows: document.getElementById("rows").children.length,
    painted: seen.some((part) => part), legend: document.getElementById("legend").innerText,
  });
})();
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="there is no browser to look at it")
@pytest.mark.parametrize(
    ("modules", "wanted", "rows"), [(8, "test_3", 1), (10_000, "test_99", 100)]
)
def test_a_browser_shows_it(tmp_path: Path, modules: int, wanted: str, rows: int) -> None:
    page = page_of(many(modules, tests=2))
    file = tmp_path / "page.html"
    file.write_text(page.replace("</body>", _LOOK.replace("WANTED", wanted) + "</body>"))
    shown = subprocess.run(
        [
            str(BROWSER),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=5000",
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = re.search(r"<title>(.*?)</title>", shown.stdout)
    assert found is not None, shown.stderr
    assert found[1].startswith("{"), found[1]
    told = json.loads(found[1].replace("&quot;", '"'))
    assert re.match(r"tests/test_\d+\.py\npassed, 90 ms\nworker 0", told["pointed"]), told
    assert told["painted"] is True
    assert told["rows"] == rows
    assert "passed" in told["legend"]
