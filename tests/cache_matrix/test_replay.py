"""A run of hits tells what the executing run told: reports, JUnit XML, the stream, the terminal.

Only where results came from differs, and what is the run's own: its id, its date, its length.
"""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

import pytest
from cache_matrix.row import Row
from cache_matrix.world import CACHED, EXECUTED, START_METHODS, World

RICH = """\
import logging, os, sys, warnings
import pytest

print("while it is imported")

def test_passes():
    pass

def test_prints(record_property):
    print("to output")
    print("to error", file=sys.stderr)
    logging.getLogger("matrix").warning("to the log")
    record_property("key", "value & <more>")

@pytest.mark.parametrize("value", ["a", "ü", "with space", ""], ids=str)
def test_parameters(value):
    assert isinstance(value, str)

def test_skips():
    pytest.skip("not <today>")

@pytest.mark.skip(reason="marked")
def test_skipped_by_mark():
    assert False

@pytest.mark.xfail(reason="known")
def test_fails_as_expected():
    assert os.sep == "no"

def test_fails_halfway(tmp_path):
    (tmp_path / "a").write_text("b")
    pytest.xfail("from here on")

@pytest.mark.xfail
def test_passes_unexpectedly():
    pass

def test_warns():
    warnings.warn("look out", UserWarning)

class TestClass:
    def test_method(self):
        os.write(1, b"past all capture")

def test_subtests(subtests):
    for number in range(3):
        with subtests.test("part", number=number):
            assert number >= 0
"""

SKIPS_AS_A_WHOLE = "import pytest\npytest.skip('all of it', allow_module_level=True)\n"

UNITTEST = """\
import unittest

class Case(unittest.TestCase):
    def test_parts(self):
        for number in range(2):
            with self.subTest(number=number):
                self.assertGreaterEqual(number, 0)

    @unittest.skip("as planned")
    def test_skipped(self):
        self.fail()

    @unittest.expectedFailure
    def test_expected(self):
        self.fail()
"""

ROWS = (
    Row(name="rich", test=RICH),
    Row(name="skips", test=SKIPS_AS_A_WHOLE),
    Row(name="cases", test=UNITTEST),
    Row(name="nothing", test="def helper():\n    pass\n"),
    Row(
        name="fixtures",
        test="def test_it(value):\n    assert value == 1\n",
        files={
            "conftest.py": (
                "import pytest\n@pytest.fixture(params=[1])\ndef value(request):\n"
                "    print('setting up')\n    yield request.param\n    print('tearing down')\n"
            )
        },
    ),
)

#: Keys of the report's summary that are a run's own, or say where results came from.
OF_THE_RUN = {"run_id", "started_at", "duration_s", "sources"}

#: Keys of the summary that are sums over modules.
SUMS = ("cpu_s", "serial_estimate_s")

#: The terminal's words about time.
TIMES = re.compile(r"\d+(\.\d+)? ?(ms|s|min|h)\b")


@dataclass(frozen=True)
class Told:
    """All that a run wrote."""

    report: dict[str, Any]
    junit: ET.Element
    events: list[dict[str, Any]]


def _run(world: World) -> Told:
    report, junit = world.folder / "report.json", world.folder / "junit.xml"
    with world.start("--json", "--report", str(report), "--junit-xml", str(junit)) as process:
        stdout, _ = process.communicate(timeout=60)
    assert process.returncode == 0, stdout
    return Told(
        json.loads(report.read_bytes()),
        ET.parse(junit).getroot(),
        [json.loads(line) for line in stdout.splitlines() if line.startswith(b'{"seq"')],
    )


@pytest.fixture(scope="module", params=START_METHODS)
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Told, Told, World]:
    """A run that executed, and one that replayed."""
    world = World(tmp_path_factory.mktemp("replay"), request.param)
    for row in ROWS:
        world.lay_out(row)
    return _run(world), _run(world), world


def _without(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != key} for row in rows]


def test_where_results_came_from(runs: tuple[Told, Told, World]) -> None:
    executed, replayed, _ = runs
    for part in ("modules", "tests"):
        assert {row["source"] for row in executed.report[part]} == {EXECUTED}
        assert {row["source"] for row in replayed.report[part]} == {CACHED}


@pytest.mark.parametrize("part", ["modules", "tests", "warnings"])
def test_report(runs: tuple[Told, Told, World], part: str) -> None:
    executed, replayed, _ = runs
    rows = sorted(_without(executed.report[part], "source"), key=json.dumps)
    assert sorted(_without(replayed.report[part], "source"), key=json.dumps) == rows
    assert rows


def test_summary(runs: tuple[Told, Told, World]) -> None:
    executed, replayed, _ = runs
    first, second = dict(executed.report["summary"]), dict(replayed.report["summary"])
    # Sums of floating-point numbers depend on the order in which modules end.
    for name in SUMS:
        assert second.pop(name) == pytest.approx(first.pop(name))
    assert {name for name in first if first[name] != second[name]} <= OF_THE_RUN
    assert first["tests"] > 15


def test_junit(runs: tuple[Told, Told, World]) -> None:
    executed, replayed, _ = runs

    def cases(told: Told) -> list[str]:
        return sorted(ET.tostring(case, "unicode") for case in told.junit.iter("testcase"))

    assert cases(replayed) == cases(executed)
    first, second = (told.junit.find(".//testsuite") for told in (executed, replayed))
    assert first is not None
    assert second is not None
    own = {"timestamp", "time"}
    assert {k: v for k, v in first.attrib.items() if k not in own} == {
        k: v for k, v in second.attrib.items() if k not in own
    }


def test_stream(runs: tuple[Told, Told, World]) -> None:
    executed, replayed, _ = runs

    def by_module(told: Told) -> dict[str, list[dict[str, Any]]]:
        sorted_out: dict[str, list[dict[str, Any]]] = {}
        for envelope in told.events:
            event = {name: value for name, value in envelope["event"].items() if name != "source"}
            if "module" in event:
                sorted_out.setdefault(event["module"], []).append(event)
        return sorted_out

    assert by_module(replayed) == by_module(executed)


@pytest.mark.parametrize("options", [(), ("-v",), ("-vv",), ("-q",)], ids=" ".join)
def test_terminal(runs: tuple[Told, Told, World], options: tuple[str, ...]) -> None:
    _, _, world = runs

    def said() -> list[str]:
        with world.start(*options) as process:
            stdout, _ = process.communicate(timeout=60)
        assert process.returncode == 0, stdout
        return sorted(TIMES.sub("TIME", line) for line in stdout.decode().splitlines())

    # The first of them is a run of hits, the second may be answered from its receipt.
    first = said()
    assert said() == first
