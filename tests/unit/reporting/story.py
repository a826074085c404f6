"""A representative run as a fixed list of envelopes: every outcome, every way a module may end.

Two workers, sixteen modules, about twelve seconds. Times, ids and texts are constants, so that
what reporters make of it can be compared letter by letter. ``hostile`` texts do what test output
must not be allowed to do to a terminal, a log or an XML file.
"""

from collections.abc import Iterator

from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import (
    Captured,
    ExitStatus,
    Failure,
    ModuleStatus,
    Outcome,
    Section,
    Source,
    SubTest,
)
from iopio_async.model.stats import RunStats

ROOT = "/project"

#: Clear the screen, set the title, go back, reorder, end the line; and a colour, which is fine.
HOSTILE = "a\x1b[2Jb\x1b]0;owned\x07c\rd\u202ee\x9b1mf\x00g\ud800h\x1b[31mred\x1b[0m"
HOSTILE_ID = "tests/test_hostile.py::test_h[\x1b[2J\u202e\r\n::set-output name=x::y]"

TRACEBACK = """\
    def test_roundtrip(number):
        text = dump(number)
>       assert parse(text) == number
\x1b[1m\x1b[31mE       AssertionError: assert 30 == 3\x1b[0m
\x1b[1m\x1b[31mE        +  where 30 = parse('3e1')\x1b[0m

\x1b[1m\x1b[31mtests/test_parse.py\x1b[0m:12: AssertionError"""

STACKS = """\
Thread 0x00007f0000000001 (most recent call first):
  File "src/app/lock.py", line 40 in acquire
  File "tests/test_slow.py", line 9 in test_forever"""


class Script:
    """Writes envelopes: each call adds one, at the time that ``at`` has set."""

    def __init__(self) -> None:
        self.envelopes: list[ev.Envelope] = []
        self.now_s = 0.0

    def at(self, elapsed_s: float) -> "Script":
        self.now_s = elapsed_s
        return self

    def add(self, *events: ev.AnyEvent) -> "Script":
        for event in events:
            self.envelopes.append(ev.Envelope(len(self.envelopes), self.now_s, event))
        return self

    def test(
        self,
        module: str,
        name: str,
        outcome: Outcome = Outcome.PASSED,
        duration_s: float = 0.01,
        *,
        attempt: int = 1,
        **fields: object,
    ) -> "Script":
        test_id = f"{module}::{name}" if name else module
        if outcome is not Outcome.NOT_RUN:
            self.add(ev.TestStarted(module=module, attempt=attempt, id=test_id))
            self.now_s += duration_s
        return self.add(
            ev.TestFinished(
                module=module,
                attempt=attempt,
                id=test_id,
                outcome=outcome,
                duration_s=duration_s,
                **fields,
            )
        )

    def start(self, module: str, slot: int, count: int, *, attempt: int = 1) -> "Script":
        self.add(ev.AttemptStarted(module=module, attempt=attempt, slot=slot, pid=100 + slot))
        self.now_s += 0.2
        return self.add(ev.TestsCollected(module=module, attempt=attempt, count=count))

    def end(
        self,
        module: str,
        status: ModuleStatus,
        duration_s: float,
        *,
        attempt: int = 1,
        final: bool = True,
        flaky: tuple[str, ...] = (),
        **fields: object,
    ) -> "Script":
        fields.setdefault("exit_status", ExitStatus(code=0))
        self.add(
            ev.AttemptFinished(
                module=module,
                attempt=attempt,
                status=status,
                duration_s=duration_s,
                cpu_s=round(duration_s * 0.8, 3),
                peak_rss_bytes=45 << 20,
                **fields,
            )
        )
        if final:
            self.add(
                ev.ModuleFinished(
                    module=module,
                    status=ModuleStatus.FLAKY if flaky else status,
                    attempts=attempt,
                    duration_s=duration_s,
                    failure=fields.get("failure"),
                    flaky=flaky,
                )
            )
        return self


MODULES = (
    "tests/test_ok.py",
    "tests/test_parse.py",
    "tests/test_db.py",
    "tests/test_skips.py",
    "tests/test_net.py",
    "tests/test_slow.py",
    "tests/test_native.py",
    "tests/test_exits.py",
    "tests/test_server.py",
    "tests/test_empty.py",
    "tests/test_broken.py",
    "tests/test_hostile.py",
    "tests/test_sub.py",
    "tests/test_cached.py",
    "tests/test_cached_too.py",
    "tests/test_last.py",
)


def tell() -> list[ev.Envelope]:
    """The whole run."""
    s = Script()
    s.add(
        ev.RunStarted(
            run_id="r1",
            root=ROOT,
            modules=len(MODULES),
            workers=2,
            python="3.12.1",
            iopio="0.1.0",
            started_at="2026-01-02T03:04:05+00:00",
        )
    )
    for module in MODULES:
        s.add(ev.ModulePlanned(module=module, framework=Framework.PYTEST))
    s.add(ev.WarningIssued(message="workers: 10000 is more than 64, using 64", category="iopio"))
    for module in ("tests/test_cached.py", "tests/test_cached_too.py"):
        for number in range(20):
            s.test(module, f"test_{number}", duration_s=0.0)
        s.add(
            ev.ModuleFinished(
                module=module,
                status=ModuleStatus.PASSED,
                source=Source.LOCAL_CACHE,
                attempts=1,
                duration_s=1.5,
            )
        )
    _good(s)
    _failing(s)
    _dying(s)
    _odd(s)
    s.at(12.25).add(ev.RunFinished(exit_code=1, duration_s=12.25))
    return s.envelopes


def _good(s: Script) -> None:
    s.at(0.05).start("tests/test_ok.py", 0, 3)
    s.test("tests/test_ok.py", "test_one", duration_s=0.1)
    s.test("tests/test_ok.py", "TestGroup::test_two", duration_s=0.2, line=14)
    s.add(
        ev.WarningIssued(
            message="use\x1b[2J y",
            category="DeprecationWarning",
            module="tests/test_ok.py",
            test="tests/test_ok.py::test_three",
            path="tests/test_ok.py",
            line=20,
        )
    )
    s.test("tests/test_ok.py", "test_three[1-2]", duration_s=0.1, properties=(("key", "value"),))
    s.end("tests/test_ok.py", ModuleStatus.PASSED, 0.52)
    s.start("tests/test_skips.py", 0, 4)
    s.test("tests/test_skips.py", "test_skip", Outcome.SKIPPED, 0.0, reason="needs a network")
    s.test("tests/test_skips.py", "test_xfail", Outcome.XFAILED, 0.02, reason="known bug #7")
    s.test("tests/test_skips.py", "test_xpass", Outcome.XPASSED, 0.02)
    s.test("tests/test_skips.py", "test_plain")
    s.end("tests/test_skips.py", ModuleStatus.PASSED, 0.31)
    s.start("tests/test_empty.py", 0, 0)
    s.end("tests/test_empty.py", ModuleStatus.EMPTY, 0.21)


def _failing(s: Script) -> None:
    s.start("tests/test_parse.py", 0, 4)
    s.test("tests/test_parse.py", "test_empty")
    s.test(
        "tests/test_parse.py",
        "test_roundtrip[3]",
        Outcome.FAILED,
        0.02,
        line=9,
        failures=(
            Failure(
                "AssertionError: assert 30 == 3",
                TRACEBACK,
                path="tests/test_parse.py",
                line=12,
            ),
        ),
        sections=(Section("Captured stdout call", "parsing 3e1\n"),),
    )
    s.test("tests/test_parse.py", "test_roundtrip[4]", duration_s=0.4)
    s.end("tests/test_parse.py", ModuleStatus.FAILED, 0.8, exit_status=ExitStatus(code=1))
    s.start("tests/test_db.py", 0, 2)
    s.test("tests/test_db.py", "test_select")
    s.test(
        "tests/test_db.py",
        "test_insert",
        Outcome.ERROR,
        0.3,
        failures=(
            Failure("fixture 'db' not found", "E       fixture 'db' not found", phase="setup"),
        ),
    )
    s.add(
        ev.OutputCaptured(
            module="tests/test_db.py",
            attempt=1,
            stream="stderr",
            captured=Captured("connecting...\n", "", 14, 14),
        )
    )
    s.end("tests/test_db.py", ModuleStatus.FAILED, 0.61, exit_status=ExitStatus(code=1))
    failure = Failure("ConnectionError: refused", "E   ConnectionError: refused", line=5)
    s.start("tests/test_net.py", 1, 1)
    s.test("tests/test_net.py", "test_retry", Outcome.FAILED, 0.1, failures=(failure,))
    s.end(
        "tests/test_net.py",
        ModuleStatus.FAILED,
        0.3,
        final=False,
        exit_status=ExitStatus(code=1),
    )
    s.start("tests/test_net.py", 1, 1, attempt=2)
    s.test("tests/test_net.py", "test_retry", duration_s=0.1, attempt=2)
    s.end(
        "tests/test_net.py",
        ModuleStatus.PASSED,
        0.31,
        attempt=2,
        flaky=("tests/test_net.py::test_retry",),
    )
    s.start("tests/test_sub.py", 1, 1)
    s.test(
        "tests/test_sub.py",
        "TestNumbers::test_even",
        Outcome.FAILED,
        0.02,
        subtests=(
            SubTest("number=0", Outcome.PASSED),
            SubTest("number=1", Outcome.FAILED, Failure("1 != 0", "AssertionError: 1 != 0")),
        ),
    )
    s.end("tests/test_sub.py", ModuleStatus.FAILED, 0.25, exit_status=ExitStatus(code=1))


def _dying(s: Script) -> None:
    slow = "tests/test_slow.py"
    s.start(slow, 0, 3).test(slow, "test_fast")
    s.add(ev.TestStarted(module=slow, attempt=1, id=f"{slow}::test_forever"))
    native = "tests/test_native.py"
    s.start(native, 1, 4).test(native, "test_fine")
    s.add(ev.TestStarted(module=native, attempt=1, id=f"{native}::test_segv"))
    for name in ("test_segv", "test_after", "test_after_that"):
        s.test(native, name, Outcome.NOT_RUN, 0.0)
    s.add(
        ev.OutputCaptured(
            module=native,
            attempt=1,
            stream="stderr",
            captured=Captured("about to call\x1b]0;x\x07\n", "the end\n", 5000, 30),
        )
    )
    s.end(
        native,
        ModuleStatus.CRASHED,
        0.31,
        exit_status=ExitStatus(signal=11),
        in_flight=f"{native}::test_segv",
        stacks='Current thread 0x1:\n  File "tests/test_native.py", line 7 in test_segv',
    )
    exits = "tests/test_exits.py"
    s.start(exits, 1, 2).test(exits, "test_exits", Outcome.NOT_RUN)
    s.test(exits, "test_later", Outcome.NOT_RUN)
    s.end(
        exits,
        ModuleStatus.INCOMPLETE,
        0.2,
        in_flight=f"{exits}::test_exits",
        failure=Failure("the process left with exit code 0 before its tests had ended"),
    )
    s.at(7.0).add(
        ev.ModuleSlow(module=slow, attempt=1, running_s=3.0, test=f"{slow}::test_forever")
    )
    s.at(9.0)
    s.test(slow, "test_forever", Outcome.NOT_RUN).test(slow, "test_never", Outcome.NOT_RUN)
    s.end(
        slow,
        ModuleStatus.TIMED_OUT,
        5.0,
        exit_status=ExitStatus(signal=15),
        in_flight=f"{slow}::test_forever",
        stacks=STACKS,
    )


def _odd(s: Script) -> None:
    server = "tests/test_server.py"
    s.start(server, 0, 1).test(server, "test_serve")
    s.end(
        server,
        ModuleStatus.LEAKED,
        0.4,
        failure=Failure("left 1 process behind, which was ended: python -m http.server"),
    )
    broken = "tests/test_broken.py"
    s.start(broken, 0, 0)
    s.end(
        broken,
        ModuleStatus.ERROR,
        0.22,
        exit_status=ExitStatus(code=2),
        failure=Failure(
            "SyntaxError: '(' was never closed",
            '  File "tests/test_broken.py", line 3\n    def test(:\n            ^\nSyntaxError',
            phase="collect",
            path="tests/test_broken.py",
            line=3,
        ),
    )
    hostile = "tests/test_hostile.py"
    s.start(hostile, 1, 1)
    s.test(
        hostile,
        HOSTILE_ID.removeprefix(hostile + "::"),
        Outcome.FAILED,
        0.01,
        failures=(Failure(HOSTILE, f"::error::{HOSTILE}\n##[add-mask]x\n"),),
        sections=(Section(f"Captured stderr {HOSTILE}", HOSTILE),),
        properties=((HOSTILE, HOSTILE),),
    )
    s.end(hostile, ModuleStatus.FAILED, 0.25, exit_status=ExitStatus(code=1))
    last = "tests/test_last.py"
    s.start(last, 0, 30)
    for number in range(30):
        s.test(last, f"test_{number}", duration_s=0.03)
    s.end(last, ModuleStatus.PASSED, 1.1)


def play(envelopes: list[ev.Envelope]) -> Iterator[tuple[ev.Envelope, RunStats]]:
    """Each envelope with the fold up to it, as reporters get them."""
    stats = RunStats()
    for envelope in envelopes:
        stats.apply(envelope.event)
        yield envelope, stats


def report(reporter: object, envelopes: list[ev.Envelope]) -> None:
    """Give the whole run to a reporter."""
    for envelope, stats in play(envelopes):
        reporter.handle(envelope, stats)
    reporter.close()
