"""What is said of the time that was lost to locks."""

from fakes.claims import FakeClaims, plan_of
from fakes.executor import Script, passes
from fakes.runs import Scenario, play

from iopio_async.model import events as ev
from iopio_async.model.module import Claim
from iopio_async.model.outcome import Outcome
from iopio_async.orchestration.lost_time import LostTime

GOOD = Script(passes({"a::x": Outcome.PASSED}))


def test_it_is_summed_up_over_workers_and_resources() -> None:
    lost = LostTime()
    lost.note(1.0, ["db", "port:80"])
    lost.note(3.0, ["db"])
    lost.note(4.5, [])
    lost.note(9.0, ["?", "a", "b"])
    lost.note(9.1, [])

    assert lost.told() == (
        "workers waited 5.8 s for locks: db 3.5 s, port:80 2.0 s, finding out what is shared 0.1 s,"
        " and 2 more"
    )


def test_next_to_nothing_is_not_told() -> None:
    lost = LostTime()
    lost.note(1.0, ["db"])
    lost.note(1.05, [])

    assert lost.told() == ""


def test_a_run_tells_of_workers_that_had_to_wait() -> None:
    plan = plan_of({path: [Claim("db")] for path in "abc"})
    played = play(
        Scenario(scripts={path: [GOOD] for path in "abcd"}, workers=2, knows=FakeClaims(plan))
    )

    # The fourth module fills one second of the three; the last writer has nobody behind it.
    [warning] = played.events(ev.WarningIssued)
    assert warning.category == "iopio-detail"
    assert warning.message == "workers waited 1.0 s for locks: db 1.0 s"
