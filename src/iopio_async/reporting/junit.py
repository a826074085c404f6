"""``--junit-xml FILE``: the run as JUnit XML, in the shape that pytest's readers know.

One ``testsuite`` holds a ``testcase`` for each test; class name and name come from the node id as
pytest derives them (``tests/test_a.py::TestB::test_c[1]`` is ``test_c[1]`` of
``tests.test_a.TestB``). A test has at most one of these elements:

========= =========== ================================================================
outcome   element     message
========= =========== ================================================================
failed    ``failure`` of the first failure; all failures' texts are the content
error     ``error``   likewise
not-run   ``error``   why its module did not get that far
skipped   ``skipped`` the reason
xfailed   ``skipped`` the reason; ``type`` is ``pytest.xfail``
========= =========== ================================================================

A module that went wrong beside its tests has a ``testcase`` of its own, with an ``error``, named
as pytest names a module that can't be collected. junitparser builds the elements; a hundred
thousand of them take about a second.
"""

import io
import platform
import re
from collections.abc import Iterable, Iterator

from junitparser import (
    Attr,
    Error,
    IntAttr,
    JUnitXml,
    Properties,
    Property,
    Skipped,
    TestCase,
    TestSuite,
)
from junitparser import Failure as FailureElement

from iopio_async.model import events as ev
from iopio_async.model.outcome import BAD_STATUSES, Failure, ModuleStatus, Outcome
from iopio_async.model.stats import ModuleStats, RunStats
from iopio_async.reporting import blocks
from iopio_async.reporting.artefact import write_artefact
from iopio_async.reporting.escape import escape_xml_block, escape_xml_line

#: The name of the one suite.
SUITE = "iopio"

Result = FailureElement | Error | Skipped


class Case(TestCase):
    """A ``testcase`` that says where its test stands."""

    file = Attr()
    line = IntAttr()


class JUnitReporter:
    """Writes the file when it is closed; until then it only remembers a few events."""

    name = "JUnit report"

    def __init__(self, path: str) -> None:
        self._path = path
        self._stats = RunStats()
        self._started_at = ""
        self._outputs: dict[str, list[ev.OutputCaptured]] = {}

    def handle(self, envelope: ev.Envelope, stats: RunStats) -> None:
        """Remember what the fold doesn't hold."""
        self._stats = stats
        match envelope.event:
            case ev.TestStarted() | ev.TestFinished():
                pass
            case ev.RunStarted() as event:
                self._started_at = event.started_at
            case ev.AttemptStarted() as event:
                self._outputs.pop(event.module, None)
            case ev.OutputCaptured() as event:
                self._outputs.setdefault(event.module, []).append(event)
            case ev.ModuleFinished() as event if event.status not in BAD_STATUSES:
                self._outputs.pop(event.module, None)
            case _:
                pass

    def close(self) -> None:
        """Write the file.

        Raises:
            InfrastructureError: it can't be written.
        """
        write_artefact(self._path, [self._document()])

    def _document(self) -> bytes:
        suite = TestSuite(SUITE)
        suite.add_testcases(list(self._cases()))
        suite.time = round(self._stats.duration_s, 3)
        suite.timestamp = self._started_at
        suite.hostname = escape_xml_line(platform.node())
        document = JUnitXml(f"{SUITE} tests")
        document.add_testsuite(suite)
        for attribute in ("tests", "failures", "errors", "skipped", "time"):
            setattr(document, attribute, getattr(suite, attribute))
        content = io.BytesIO()
        document.write(content)
        return content.getvalue()

    def _cases(self) -> Iterator[TestCase]:
        for module in self._stats.modules.values():
            why = _why(module)
            flaky = frozenset(module.finished.flaky) if module.finished else frozenset()
            told = False
            for (test_id, _), test in module.tests.items():
                result = _result(test, why)
                told |= test_id == module.path and isinstance(result, Error)
                yield _case(test_id, module.path, test, result, flaky=test_id in flaky)
            if why and not told and module.status is not ModuleStatus.FAILED:
                yield _module_case(module, why, self._outputs.get(module.path, ()))


def address(test_id: str) -> tuple[str, str]:
    """Class name and name of a test, from its node id."""
    plain, bracket, parameters = test_id.partition("[")
    names = plain.split("::")
    names[0] = re.sub(r"\.py$", "", names[0].replace("/", "."))
    names[-1] += bracket + parameters
    return escape_xml_line(".".join(names[:-1])), escape_xml_line(names[-1])


def _case(
    test_id: str, module: str, test: ev.TestFinished, result: Result | None, *, flaky: bool
) -> Case:
    class_name, name = address(test_id)
    case = Case(name, class_name, round(test.duration_s, 6))
    case.file = escape_xml_line(module)
    if test.line:
        case.line = test.line
    properties = list(test.properties)
    if flaky:
        properties.append(("flaky", "true"))
    if test.reruns:
        properties.append(("reruns", str(test.reruns)))
    if properties:
        case.append(_properties(properties))  # type: ignore[no-untyped-call]
    if result is not None:
        case.result = result
    if test.sections:
        _add_output(case, ((section.title, section.text) for section in test.sections))
    return case


def _module_case(module: ModuleStats, why: str, outputs: Iterable[ev.OutputCaptured]) -> Case:
    class_name, name = address(module.path)
    case = Case(name, class_name, round(module.duration_s, 6))
    case.file = escape_xml_line(module.path)
    last = module.last_attempt
    failure = (module.finished and module.finished.failure) or (last and last.failure)
    texts = [failure.text if failure and failure.text else why]
    if last and last.in_flight:
        texts.append(f"in {last.in_flight}")
    if last and last.stacks:
        texts.append(last.stacks)
    error = Error(escape_xml_line(why), escape_xml_line(module.status or "error"))
    error.text = escape_xml_block("\n\n".join(texts))
    case.result = error
    _add_output(case, ((output.stream, output.captured.text) for output in outputs))
    return case


def _why(module: ModuleStats) -> str:
    """Why the module as a whole did not pass, or ``""``."""
    if module.status not in BAD_STATUSES:
        return ""
    if module.finished is not None and module.finished.failure is not None:
        return module.finished.failure.message
    if module.last_attempt is not None and blocks.has_trouble(module.last_attempt):
        return blocks.reason(module.last_attempt)
    return str(module.status) if module.status else ""


def _result(test: ev.TestFinished, why: str) -> Result | None:
    match test.outcome:
        case Outcome.FAILED | Outcome.ERROR:
            failures = [*test.failures]
            failures += (
                sub.failure for sub in test.subtests if sub.failure and sub.failure not in failures
            )
            message = failures[0].message if failures else test.reason
            make = FailureElement if test.outcome is Outcome.FAILED else Error
            result: Result = make(escape_xml_line(message))
            result.text = escape_xml_block("\n\n".join(map(_text, failures)) or message)
            return result
        case Outcome.NOT_RUN:
            return Error(escape_xml_line(f"not run: {why or test.reason}"), "not-run")
        case Outcome.SKIPPED | Outcome.XFAILED:
            kind = "pytest.skip" if test.outcome is Outcome.SKIPPED else "pytest.xfail"
            return Skipped(escape_xml_line(test.reason), kind)
        case _:
            return None


def _text(failure: Failure) -> str:
    text = failure.text or failure.message
    return text if failure.phase == "call" else f"at {failure.phase}:\n{text}"


def _properties(pairs: Iterable[tuple[str, str]]) -> Properties:
    properties = Properties()  # type: ignore[no-untyped-call]
    for name, value in pairs:
        properties.add_property(Property(escape_xml_line(name), escape_xml_line(value)))
    return properties


def _add_output(case: Case, sections: Iterable[tuple[str, str]]) -> None:
    out: list[str] = []
    err: list[str] = []
    for title, text in sections:
        if text.strip():
            kept = err if "stderr" in title else out
            kept.append(f"{f' {title} ':-^80}\n{text}")
    if out:
        case.system_out = escape_xml_block("\n".join(out))
    if err:
        case.system_err = escape_xml_block("\n".join(err))
