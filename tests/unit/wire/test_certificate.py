import pytest

from iopio_async.errors import ProtocolError
from iopio_async.model.action import SCHEMA_VERSION
from iopio_async.model.outcome import Failure, Outcome
from iopio_async.wire import messages as msg
from iopio_async.wire.certificate import Certificate
from iopio_async.wire.codec import encode_message
from iopio_async.wire.frames import checksum

HELLO = msg.Hello(SCHEMA_VERSION, 4711)
PLAN = msg.Plan(("a", "b"), True)


def _passed(index: int) -> msg.Finished:
    return msg.Finished(index, Outcome.PASSED, 0.5)


def _read(*messages: msg.AnyMessage) -> Certificate:
    certificate = Certificate()
    for message in messages:
        certificate.accept(message, encode_message(message))
    return certificate


def _ended(*messages: msg.AnyMessage) -> list[msg.AnyMessage]:
    """The messages with the end that belongs to them."""
    digest = 0
    for message in messages:
        digest = checksum(encode_message(message), digest)
    finished = sum(isinstance(message, msg.Finished) for message in messages)
    return [*messages, msg.End(finished, digest, 0)]


def test_a_whole_stream_is_complete() -> None:
    certificate = _read(
        *_ended(HELLO, PLAN, msg.Started(0), _passed(0), msg.Started(1), _passed(1))
    )
    assert certificate.complete
    assert not certificate.any_bad
    assert certificate.ids == ["a", "b"]
    assert certificate.outcomes == [Outcome.PASSED] * 2
    assert certificate.in_flight is None
    assert certificate.unfinished() == []


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (HELLO,),
        (HELLO, PLAN, _passed(0), _passed(1)),
        tuple(_ended(HELLO)),
        tuple(_ended(HELLO, msg.Plan(("a",)))),
        tuple(_ended(HELLO, PLAN)),
        tuple(_ended(HELLO, PLAN, _passed(1))),
    ],
)
def test_anything_less_is_incomplete(messages: tuple[msg.AnyMessage, ...]) -> None:
    assert not _read(*messages).complete


def test_a_plan_comes_in_pieces() -> None:
    certificate = _read(
        *_ended(
            HELLO,
            msg.Plan(("a",)),
            msg.Plan(("b", "a"), deselected=1),
            msg.Plan((), True, 2, True),
            _passed(1),
        )
    )
    assert certificate.ids == ["a", "b", "a"]
    assert certificate.deselected == 3
    assert certificate.foreign_collectors
    assert certificate.unfinished() == [0, 2]


def test_an_empty_plan_is_complete() -> None:
    assert _read(*_ended(HELLO, msg.Plan((), True))).complete


def test_the_test_in_flight_is_known() -> None:
    certificate = _read(HELLO, PLAN, msg.Started(0), _passed(0), msg.Started(1))
    assert certificate.in_flight == 1
    assert certificate.unfinished() == [1]


@pytest.mark.parametrize(
    ("outcome", "bad"),
    [
        (Outcome.PASSED, False),
        (Outcome.SKIPPED, False),
        (Outcome.XFAILED, False),
        (Outcome.XPASSED, False),
        (Outcome.FAILED, True),
        (Outcome.ERROR, True),
    ],
)
def test_bad_outcomes_are_seen(outcome: Outcome, bad: bool) -> None:
    assert _read(HELLO, PLAN, msg.Finished(0, outcome, 0.5)).any_bad is bad


def test_notes_are_kept() -> None:
    failure = Failure("broken")
    assert _read(HELLO, msg.Note(failure)).notes == [failure]


def test_warnings_may_come_at_any_time_and_count_for_the_checksum() -> None:
    warned = msg.Warned("old", "DeprecationWarning")
    assert _read(*_ended(HELLO, warned, PLAN, warned, _passed(0), _passed(1), warned)).complete


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([PLAN], "does not begin with a greeting"),
        ([HELLO, HELLO], "greeted twice"),
        ([msg.Hello(SCHEMA_VERSION + 1, 1)], f"speaks schema {SCHEMA_VERSION + 1}"),
        ([HELLO, PLAN, PLAN], "planned twice"),
        ([HELLO, PLAN, msg.Plan(())], "planned twice"),
        ([HELLO, msg.Started(0)], "before the plan was complete"),
        ([HELLO, msg.Plan(("a",)), _passed(0)], "before the plan was complete"),
        ([HELLO, PLAN, msg.Started(2)], "test 2 was never planned"),
        ([HELLO, PLAN, _passed(-1)], "test -1 was never planned"),
        ([HELLO, PLAN, _passed(0), _passed(0)], "test a finished twice"),
        ([HELLO, PLAN, msg.Finished(1, Outcome.NOT_RUN, 0.0)], "test b finished as not run"),
        ([*_ended(HELLO, PLAN), _passed(0)], "goes on after its end"),
        ([HELLO, PLAN, msg.End(0, 0, 0)], "closing counts do not agree"),
        ([*_ended(HELLO, PLAN)[:2], msg.End(1, 0, 0)], "closing counts do not agree"),
    ],
)
def test_no_honest_worker_says_this(messages: list[msg.AnyMessage], complaint: str) -> None:
    with pytest.raises(ProtocolError, match=complaint):
        _read(*messages)


def test_a_lost_message_is_missed_at_the_end() -> None:
    messages = _ended(HELLO, PLAN, msg.Started(0), _passed(0), _passed(1))
    del messages[2]
    with pytest.raises(ProtocolError, match="closing counts"):
        _read(*messages)


def test_what_other_processes_run_is_not_waited_for() -> None:
    certificate = _read(
        *_ended(
            HELLO,
            msg.Plan(("a", "b"), scopes=(0, 3)),
            msg.Plan(("c", "d")),
            msg.Plan((), True, elsewhere=((1, 2), (3, 4)), collectors=1),
            _passed(0),
            _passed(2),
        )
    )

    assert certificate.complete
    assert certificate.ids == ["a", "b", "c", "d"]
    assert certificate.own_ids == ["a", "c"]
    assert certificate.unfinished() == []
    assert certificate.scopes == {"b": 3}
    assert certificate.collectors == 1


@pytest.mark.parametrize(
    "plan", [msg.Plan(("a",), True, elsewhere=((0, 2),)), msg.Plan((), True, elsewhere=((-1, 0),))]
)
def test_nothing_is_elsewhere_that_is_not_planned(plan: msg.Plan) -> None:
    with pytest.raises(ProtocolError, match="beyond its plan"):
        _read(HELLO, plan)


@pytest.mark.parametrize("message", [msg.Started(1), _passed(1)])
def test_what_is_run_elsewhere_is_not_run_here(message: msg.AnyMessage) -> None:
    with pytest.raises(ProtocolError, match="test b is run elsewhere"):
        _read(HELLO, msg.Plan(("a", "b"), True, elsewhere=((1, 2),)), message)
