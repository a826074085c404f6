"""Random graphs of modules, random runs of sessions, and how many of them to look at."""

from hypothesis import settings
from hypothesis import strategies as st

from fakes.executor import Hang, Script, Step, end, plan
from fakes.runs import Scenario
from fakes.simulation import Job
from iopio_async.execution.ports import Gone
from iopio_async.model.module import REMAINDER_PATH, Claim, Mode, TestModule
from iopio_async.model.outcome import (
    BAD_OUTCOMES,
    Captured,
    ExitStatus,
    Failure,
    ModuleStatus,
    Outcome,
)
from iopio_async.planning.room import Need
from iopio_async.wire import messages as msg

RESOURCES = ("db", "net", "port")
STATUSES = (
    ModuleStatus.PASSED,
    ModuleStatus.FAILED,
    ModuleStatus.CRASHED,
    ModuleStatus.LEAKED,
    ModuleStatus.EMPTY,
)


def many(examples: int) -> settings:
    """Look at so many examples, or the loaded profile's multiple of them."""
    return settings(max_examples=examples * settings.default.max_examples // 100)


def claims_of(number: int) -> tuple[Claim, ...]:
    """Each resource unclaimed, shared, exclusive or, as may be, both: two bits of the number."""
    claims = []
    for place, resource in enumerate(RESOURCES):
        bits = number >> (2 * place)
        claims += [Claim(resource, Mode.SHARED)] if bits & 1 else []
        claims += [Claim(resource)] if bits & 2 else []
    return tuple(claims)


def needs() -> st.SearchStrategy[Need]:
    """Mostly one slot and no memory to speak of; sometimes more than there is."""
    return st.builds(
        Need, st.sampled_from([1, 1, 1, 2, 3, 9]), st.sampled_from([0, 0, 1, 2, 3, 4, 9])
    )


@st.composite
def graphs(draw: st.DrawFn, max_modules: int = 12) -> tuple[Job, ...]:
    """Modules with claims, durations, retries, needs and what becomes of each attempt."""
    numbers = draw(
        st.lists(
            st.tuples(
                st.integers(0, 4 ** len(RESOURCES) - 1),
                st.integers(0, 4),
                st.integers(0, 2),
                st.lists(st.sampled_from(STATUSES), min_size=1, max_size=3),
                st.integers(0, 5),
                needs(),
            ),
            min_size=1,
            max_size=max_modules,
        )
    )
    return tuple(
        Job(
            TestModule(path=f"test_{index}.py", claims=claims_of(claims)),
            duration=duration,
            statuses=tuple(statuses),
            retries=retries,
            joins_at=joins_at,
            need=need,
        )
        for index, (claims, duration, retries, statuses, joins_at, need) in enumerate(numbers)
    )


# -- runs of a session -------------------------------------------------------------------------

#: How a process may end whose steps are over; what its tests came to decides the rest.
ENDS = {
    "well": Gone(exit_status=ExitStatus(code=0), duration_s=0.0),
    "exit code": Gone(exit_status=ExitStatus(code=3), duration_s=0.0),
    "signal": Gone(exit_status=ExitStatus(signal=11), duration_s=0.0),
    "unknown": Gone(exit_status=ExitStatus(), duration_s=0.0),
    "leak": Gone(exit_status=ExitStatus(code=0), duration_s=0.0, leaked=("1 (sleep)",)),
    "lingering": Gone(exit_status=ExitStatus(code=0), duration_s=0.0, lingered=True),
    "output": Gone(
        exit_status=ExitStatus(code=0), duration_s=0.0, stdout=Captured("text", "", 4, 4)
    ),
}

#: What may be put in between, at a random place: nothing, the end, or something that goes wrong.
INTRUSIONS: dict[str, tuple[Step, ...]] = {
    "nothing": (),
    "hang": (Hang(),),
    "a test that was never planned": (msg.Started(99),),
    "a second greeting": (msg.Hello(1, 1),),
    "a second end": (msg.End(0, 1, 0),),
    "a note": (msg.Note(Failure("a note")),),
    "a warning": (msg.Warned("careful", "UserWarning"),),
    "time": (2.5,),
}


@st.composite
def scripts(draw: st.DrawFn, path: str) -> Script:
    """What one attempt does: mostly in good order, now and then not."""
    if draw(st.integers(0, 15)) == 0:
        return Script(refused="no process", spawn_s=0.5)
    outcomes = draw(st.lists(st.sampled_from([*Outcome][:6]), max_size=3))
    twins = draw(st.booleans())
    ids = [f"{path}::test_{0 if twins else index}" for index in range(len(outcomes))]
    steps: list[Step] = [*plan(ids, foreign=draw(st.integers(0, 9)) == 0)]
    for index, outcome in enumerate(outcomes):
        duration_s = draw(st.sampled_from([0, 0.5, 1, 3]))
        steps += [msg.Started(index), duration_s, msg.Finished(index, outcome, duration_s)]
    intrusion = INTRUSIONS[draw(st.sampled_from([*["nothing"] * 8, *INTRUSIONS]))]
    if intrusion:
        place = draw(st.integers(0, len(steps)))
        steps[place:place] = intrusion
    cut = draw(st.sampled_from([None, None, None, None, 1, 2, 3]))
    if cut is not None:
        steps = steps[:-cut]
    else:
        bad = any(outcome in BAD_OUTCOMES for outcome in outcomes)
        steps.append(end(steps, int(bad) if outcomes else 5))
    return Script(
        steps=tuple(steps),
        ends=ENDS[draw(st.sampled_from([*["well"] * 8, *ENDS]))],
        spawn_s=draw(st.sampled_from([0, 0, 0.1, 2])),
        heedless=draw(st.booleans()),
        stop_s=draw(st.sampled_from([0, 0.2, 5])),
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Runs of a few modules, with everything that may happen to them but a cancellation."""
    paths = [f"test_{index}.py" for index in range(draw(st.integers(0, 4)))]
    remainder = draw(st.sampled_from(["none", "maybe", "expected"]))
    all_paths = paths if remainder == "none" else [*paths, REMAINDER_PATH]
    return Scenario(
        scripts={
            path: tuple(draw(scripts(path)) for _ in range(draw(st.integers(1, 2))))
            for path in all_paths
        },
        claims={path: claims_of(draw(st.integers(0, 3))) for path in paths},
        workers=draw(st.integers(1, 3)),
        retries=draw(st.integers(0, 2)),
        timeout_s=draw(st.sampled_from([2.0, 20.0])),
        slow_after_s=draw(st.sampled_from([0.7, 5.0, 1000.0])),
        remainder=remainder != "none",
        remainder_expected=remainder == "expected",
        bound=draw(st.sampled_from([0, 1, 64])),
        batch_s=draw(st.sampled_from([0, 0, 0.3])),
    )
