"""Reporters fail alone, and never unseen."""

from dataclasses import dataclass, field
from types import ModuleType

from iopio_async.errors import InfrastructureError
from iopio_async.model.events import Envelope
from iopio_async.model.stats import RunStats
from iopio_async.reporting.fanout import Fanout, Fault


@dataclass
class Recording:
    """Takes everything; raises at the envelope that it is told to raise at, or at its end."""

    name: str = "recording"
    raise_at: int = -1
    raise_at_close: bool = False
    seen: list[int] = field(default_factory=list)
    closed: int = 0

    def handle(self, envelope: Envelope, stats: RunStats) -> None:
        if envelope.seq == self.raise_at:
            raise ValueError("first line\nsecond \x1b[2J")
        self.seen.append(envelope.seq)

    def close(self) -> None:
        self.closed += 1
        if self.raise_at_close:
            raise InfrastructureError("could not write report.xml: no space left", hint="make room")


@dataclass
class Holding(Recording):
    """Has something to give back, and may fail at that too."""

    abandoned: int = 0
    raise_at_abandon: bool = False

    def abandon(self) -> None:
        self.abandoned += 1
        if self.raise_at_abandon:
            raise OSError("gone")


def run(fanout: Fanout, story: ModuleType) -> int:
    envelopes = story.tell()
    for envelope, stats in story.play(envelopes):
        fanout.handle(envelope, stats)
    fanout.close()
    return len(envelopes)


def test_all_get_everything_in_order(story: ModuleType) -> None:
    reporters = [Recording(), Recording()]
    fanout = Fanout(reporters)
    number = run(fanout, story)
    assert fanout.faults == []
    for reporter in reporters:
        assert reporter.seen == list(range(number))
        assert reporter.closed == 1


def test_one_that_raises_is_switched_off_alone(story: ModuleType) -> None:
    before, faulty, after = Recording(), Recording("faulty", raise_at=3), Recording()
    fanout = Fanout([before, faulty, after])
    number = run(fanout, story)
    assert fanout.faults == [Fault("faulty", r"ValueError: first line\nsecond \x1b[2J")]
    assert faulty.seen == [0, 1, 2]
    assert faulty.closed == 0
    assert before.seen == after.seen == list(range(number))
    assert before.closed == after.closed == 1


def test_one_that_cannot_be_closed_is_remembered(story: ModuleType) -> None:
    faulty, after = Recording("JUnit report", raise_at_close=True), Recording()
    fanout = Fanout([faulty, after])
    run(fanout, story)
    assert fanout.faults == [Fault("JUnit report", "could not write report.xml: no space left")]
    assert after.closed == 1


def test_what_a_faulty_one_holds_is_given_back(story: ModuleType) -> None:
    faulty = Holding("console", raise_at=0)
    fine = Holding()
    fanout = Fanout([faulty, fine])
    run(fanout, story)
    assert faulty.abandoned == 1
    assert fine.abandoned == 0


def test_a_second_fault_is_remembered_too(story: ModuleType) -> None:
    fanout = Fanout([Holding("console", raise_at=0, raise_at_abandon=True)])
    run(fanout, story)
    assert [fault.message.split(":")[0] for fault in fanout.faults] == ["ValueError", "OSError"]


def test_closing_twice_closes_once() -> None:
    reporter = Recording()
    fanout = Fanout([reporter])
    fanout.close()
    fanout.close()
    assert reporter.closed == 1
