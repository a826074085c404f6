"""JUnit XML: pytest's shape, valid whatever the tests say, and fast enough."""

import platform
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest
from _pytest.junitxml import mangle_test_address
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped

from iopio_async.errors import InfrastructureError
from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import Failure as Trouble
from iopio_async.model.outcome import ModuleStatus, Outcome, Section
from iopio_async.model.stats import RunStats
from iopio_async.reporting.escape import escape_xml_line
from iopio_async.reporting.junit import JUnitReporter, address

Snapshot = Callable[[str, str], None]


@pytest.fixture
def document(story: ModuleType, tmp_path: Path) -> bytes:
    path = tmp_path / "junit.xml"
    story.report(JUnitReporter(str(path)), story.tell())
    return path.read_bytes()


def cases(document: bytes) -> dict[str, ET.Element]:
    found = ET.fromstring(document).iter("testcase")
    return {f"{case.get('classname')}|{case.get('name')}": case for case in found}


def test_the_story(document: bytes, snapshot: Snapshot) -> None:
    text = document.decode().replace(f'hostname="{platform.node()}"', 'hostname="here"')
    snapshot("junit.xml", re.sub(r"(</?(testcase|testsuite|properties)\b)", r"\n\1", text) + "\n")


def test_junitparser_reads_what_was_written(document: bytes) -> None:
    (suite,) = JUnitXml.fromstring(document.decode())
    assert suite.name == "iopio"
    assert suite.timestamp == "2026-01-02T03:04:05+00:00"
    assert suite.hostname == platform.node()
    assert suite.time == 12.25
    assert (suite.failures, suite.errors) == (3, 1 + 7 + 4)
    # Skipped and expected failures, as pytest counts them.
    assert suite.skipped == 2
    # 95 tests, and the modules that went wrong beside their tests.
    assert suite.tests == len(list(suite)) == 95 + 4


def test_each_outcome_has_its_element(document: bytes) -> None:
    found = cases(document)

    def element(name: str) -> ET.Element:
        (child,) = (c for c in found[name] if c.tag in {"failure", "error", "skipped"})
        return child

    failed = element("tests.test_parse|test_roundtrip[3]")
    assert failed.tag == "failure"
    assert failed.get("message") == "AssertionError: assert 30 == 3"
    assert "E       AssertionError: assert 30 == 3\n" in (failed.text or "")
    error = element("tests.test_db|test_insert")
    assert error.tag == "error"
    assert (error.text or "").startswith("at setup:\nE       fixture 'db' not found")
    skipped = element("tests.test_skips|test_skip")
    assert (skipped.tag, skipped.get("type")) == ("skipped", "pytest.skip")
    assert skipped.get("message") == "needs a network"
    xfailed = element("tests.test_skips|test_xfail")
    assert (xfailed.tag, xfailed.get("type")) == ("skipped", "pytest.xfail")
    unrun = element("tests.test_slow|test_never")
    assert (unrun.tag, unrun.get("message")) == ("error", "not run: timed out after 5 s")
    crashed = element("|tests.test_native")
    assert (crashed.tag, crashed.get("message")) == ("error", "crashed: SIGSEGV")
    assert "in tests/test_native.py::test_segv" in (crashed.text or "")
    assert "line 7 in test_segv" in (crashed.text or "")
    sub = element("tests.test_sub.TestNumbers|test_even")
    assert (sub.tag, sub.get("message")) == ("failure", "1 != 0")
    assert len(found["tests.test_skips|test_xpass"]) == 0


def test_places_properties_and_output_are_kept(document: bytes) -> None:
    found = cases(document)
    failed = found["tests.test_parse|test_roundtrip[3]"]
    assert (failed.get("file"), failed.get("line")) == ("tests/test_parse.py", "9")
    assert failed.get("time") == "0.02"
    assert "parsing 3e1\n" in (failed.findtext("system-out") or "")
    properties = found["tests.test_ok|test_three[1-2]"].find("properties")
    assert properties is not None
    assert [p.attrib for p in properties] == [{"name": "key", "value": "value"}]
    flaky = found["tests.test_net|test_retry"].find("properties")
    assert flaky is not None
    assert [p.attrib for p in flaky] == [{"name": "flaky", "value": "true"}]
    assert "about to call" in (found["|tests.test_native"].findtext("system-err") or "")


def test_text_holds_no_colours(document: bytes) -> None:
    assert b"\x1b" not in document
    assert b"[31m" not in document


names = st.text(st.characters(exclude_characters=":[/"), min_size=1, max_size=8)


@given(
    folders=st.lists(names, max_size=2),
    module=names,
    classes=st.lists(names, max_size=2),
    name=names,
    parameters=st.none() | st.text(max_size=10),
)
def test_class_name_and_name_are_those_of_pytest(
    folders: list[str], module: str, classes: list[str], name: str, parameters: str | None
) -> None:
    test_id = "::".join(["/".join([*folders, f"{module}.py"]), *classes, name])
    if parameters is not None:
        test_id += f"[{parameters}]"
    expected = mangle_test_address(test_id)
    assert address(test_id) == (
        escape_xml_line(".".join(expected[:-1])),
        escape_xml_line(expected[-1]),
    )


def one_test(test: ev.TestFinished, path: Path) -> ET.Element:
    reporter = JUnitReporter(str(path))
    stats = RunStats()
    module = test.module
    for number, event in enumerate(
        [
            ev.ModulePlanned(module=module, framework=Framework.PYTEST),
            test,
            ev.ModuleFinished(module=module, status=ModuleStatus.FAILED),
        ]
    ):
        stats.apply(event)
        reporter.handle(ev.Envelope(number, 0.0, event), stats)
    reporter.close()
    (case,) = ET.parse(path).getroot().iter("testcase")
    return case


@given(text=st.text(st.characters(codec=None)))
def test_whatever_a_test_says_the_file_parses(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    test = ev.TestFinished(
        module="tests/test_a.py",
        attempt=1,
        id=f"tests/test_a.py::test_x[{text}]",
        outcome=Outcome.FAILED,
        duration_s=0.0,
        failures=(Trouble(text, text),),
        sections=(Section("Captured stdout", text), Section("Captured stderr", text)),
        properties=((text, text),),
    )
    case = one_test(test, tmp_path_factory.getbasetemp() / "hypothesis.xml")
    assert case.get("name") == address(test.id)[1]
    assert case.find("failure") is not None


@pytest.mark.parametrize(
    ("outcome", "element"),
    [
        (Outcome.PASSED, None),
        (Outcome.FAILED, Failure),
        (Outcome.ERROR, Error),
        (Outcome.NOT_RUN, Error),
        (Outcome.SKIPPED, Skipped),
        (Outcome.XFAILED, Skipped),
        (Outcome.XPASSED, None),
    ],
)
def test_no_test_has_more_than_one_result(
    outcome: Outcome, element: type | None, tmp_path: Path
) -> None:
    failures = (Trouble("a", "a", phase="call"), Trouble("b", "b", phase="teardown"))
    test = ev.TestFinished(
        module="m.py",
        attempt=1,
        id="m.py::t",
        outcome=outcome,
        duration_s=0.0,
        failures=failures if outcome in {Outcome.FAILED, Outcome.ERROR} else (),
    )
    one_test(test, tmp_path / "junit.xml")
    (suite,) = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    (case,) = suite
    assert [type(result) for result in case.result] == ([element] if element else [])
    if failures and outcome is Outcome.FAILED:
        assert case.result[0].text == "a\n\nat teardown:\nb"


def test_a_module_that_a_test_already_stands_for_is_not_told_twice(tmp_path: Path) -> None:
    test = ev.TestFinished(
        module="tests/test_bad.py",
        attempt=1,
        id="tests/test_bad.py",
        outcome=Outcome.ERROR,
        duration_s=0.0,
        failures=(Trouble("SyntaxError", phase="collect"),),
    )
    case = one_test(test, tmp_path / "junit.xml")
    assert (case.get("classname"), case.get("name")) == ("", "tests.test_bad")


def test_a_path_that_cannot_be_written_is_an_error_with_a_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureError, match="could not write"):
        JUnitReporter(str(tmp_path / "file" / "junit.xml")).close()
