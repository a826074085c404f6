"""Whatever an observer does, the run goes on, and says at its end who was left out."""

import threading
from dataclasses import dataclass, field
from types import ModuleType

import pytest

from iopio_async.model.events import Envelope
from iopio_async.reporting import observers as subject
from iopio_async.reporting.observers import Factory, Observer, Observers, named


@dataclass
class Recording:
    """Takes everything; raises where it is told to, or waits."""

    name: str = "recording"
    fault: BaseException | None = None
    hold: threading.Event | None = None
    hold_at_close: threading.Event | None = None
    seen: list[int] = field(default_factory=list)
    closed: int = 0
    threads: set[int] = field(default_factory=set)

    def handle(self, envelope: Envelope) -> None:
        self.threads.add(threading.get_ident())
        if self.fault is not None and envelope.seq == 3:
            raise self.fault
        if self.hold is not None:
            self.hold.wait()
        self.seen.append(envelope.seq)

    def close(self) -> None:
        self.closed += 1
        if self.hold_at_close is not None:
            self.hold_at_close.wait()


def run(story: ModuleType, *observing: Observer, close_s: float = 30.0) -> list[str]:
    observers = Observers(named(observing), close_s)
    envelopes = story.tell()
    for at in range(0, len(envelopes), 7):
        observers.observe(envelopes[at : at + 7])
    return observers.close()


def test_each_gets_everything_in_order_on_a_thread_of_its_own(story: ModuleType) -> None:
    both = [Recording(), Recording()]
    assert run(story, *both) == []
    for each in both:
        assert each.seen == list(range(len(story.tell())))
        assert each.closed == 1
    assert len(both[0].threads | both[1].threads | {threading.get_ident()}) == 3


@pytest.mark.parametrize("fault", [ValueError("no\nway \x1b[2J"), SystemExit(4)])
def test_one_that_raises_is_left_out(story: ModuleType, fault: BaseException) -> None:
    bad, good = Recording("bad", fault=fault), Recording()
    (told,) = run(story, bad, good)
    assert told.startswith(f"observer bad failed: {type(fault).__name__}: ")
    assert told.endswith(", and was left out")
    assert told.isprintable()
    assert (bad.seen, bad.closed) == ([0, 1, 2], 0)
    assert good.closed == 1


def test_one_that_can_not_be_made_is_left_out(story: ModuleType) -> None:
    def fail() -> Observer:
        raise OSError("no such service")

    factories: list[tuple[str, Factory]] = [("package.module:make", fail)]
    observers = Observers(factories)
    observers.observe(story.tell())
    assert observers.close() == [
        "observer package.module:make failed: OSError: no such service, and was left out"
    ]


@pytest.mark.parametrize("where", ["hold", "hold_at_close"])
def test_one_that_hangs_is_waited_for_so_long_only(story: ModuleType, where: str) -> None:
    never = threading.Event()
    hanging = Recording("hanging")
    setattr(hanging, where, never)
    told = run(story, hanging, close_s=0.05)
    assert told == ["observer hanging did not finish in time, and was left out"]
    never.set()


def test_one_that_falls_far_behind_is_left_out(
    story: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "MAX_BEHIND", 20)
    never = threading.Event()
    (told,) = run(story, Recording("slow", hold=never))
    assert told == "observer slow fell 21 events behind, and was left out"
    never.set()


def test_observers_are_named_by_name_or_class(story: ModuleType) -> None:
    class Nameless:
        def handle(self, envelope: Envelope) -> None:
            raise KeyError(envelope.seq)

        def close(self) -> None:
            pass

    (told,) = run(story, Nameless())
    assert "Nameless failed: KeyError: 0" in told
