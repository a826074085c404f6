"""Modules that share a process, at random: each is told as if it had its own, whatever happens.

``fakes.runs`` verifies the grammar of every run. The tests of the modules come in any order, and
the process may be lost at any message.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fakes.executor import Hang, Script, Step, end, passes, plan
from fakes.runs import Played, Scenario, cancel, kill, play
from fakes.strategies import many
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.execution.ports import Gone
from iopio_async.model import events as ev
from iopio_async.model.config import ModuleSettings
from iopio_async.model.module import Framework, TestModule
from iopio_async.model.outcome import BAD_OUTCOMES, BAD_STATUSES, ExitStatus, ModuleStatus, Outcome
from iopio_async.planning.batches import plan_batches
from iopio_async.wire import messages as msg

SEGFAULT = Gone(exit_status=ExitStatus(signal=11), duration_s=0.0)
LEFT = (
    Gone(exit_status=ExitStatus(code=0), duration_s=9.0),
    Gone(exit_status=ExitStatus(code=0), duration_s=9.0, leaked=("1 (sleep)",)),
    Gone(exit_status=ExitStatus(code=3), duration_s=9.0),
)


@dataclass(frozen=True)
class Together:
    """Modules in one process. ``tests`` holds each module's, with their outcomes."""

    tests: Mapping[str, Mapping[str, Outcome]]
    script: Script
    whole: bool

    def scenario(self, **how: object) -> Scenario:
        alone = {path: [Script(passes(tests))] for path, tests in self.tests.items()}
        return Scenario(scripts=alone, batch=self.script, **how)  # type: ignore[arg-type]


@st.composite
def batches(draw: st.DrawFn, *, sound: bool = False) -> Together:
    """A few modules of a few tests, in any order; in good order to the end, if sound."""
    outcomes = st.sampled_from([*Outcome][:6])
    tests = {
        path: {
            f"{path}::test_{number}": draw(outcomes) for number in range(draw(st.integers(0, 3)))
        }
        for path in "abc"[: draw(st.integers(2, 3))]
    }
    rows = [
        (test, owner, outcome)
        for owner, own in enumerate(tests.values())
        for test, outcome in own.items()
    ]
    if draw(st.booleans()):
        rows = draw(st.permutations(rows))
    steps: list[Step] = [
        *plan([test for test, _, _ in rows], owners=[owner for _, owner, _ in rows], deselected=2)
    ]
    turn = 0
    for index, (_, owner, outcome) in enumerate(rows):
        if owner != turn:
            turn = owner
            steps.append(msg.Used(float(index), index / 2, 1000 + index))
        steps += [msg.Started(index), 1.0, msg.Finished(index, outcome, 1.0)]
    bad = any(outcome in BAD_OUTCOMES for _, _, outcome in rows)
    steps.append(end(steps, int(bad) if rows else 5))
    cut = None if sound else draw(st.none() | st.integers(0, len(steps) - 1))
    if cut is None:
        gone = LEFT[0] if sound else draw(st.sampled_from(LEFT))
        return Together(tests, Script(tuple(steps), ends=gone), whole=gone is LEFT[0])
    ending: tuple[Step, ...] = draw(st.sampled_from([(), (Hang(),), (msg.Started(99),)]))
    return Together(tests, Script((*steps[:cut], *ending), ends=SEGFAULT), whole=False)


def found(played: Played) -> dict[str, dict[str, Outcome]]:
    return {
        path: {test.id: test.outcome for test in module.tests.values()}
        for path, module in played.stats.modules.items()
    }


@many(300)
@given(batches(sound=True), st.integers(1, 2))
def test_a_batch_is_as_good_as_its_modules_by_themselves(together: Together, workers: int) -> None:
    batch = play(together.scenario(workers=workers))
    alone = play(
        Scenario(
            scripts={path: [Script(passes(tests))] for path, tests in together.tests.items()},
            workers=workers,
        )
    )

    assert batch.finals() == alone.finals()
    assert batch.stats.exit_code == alone.stats.exit_code
    assert batch.stats.deselected == 2
    assert {start.group for start in batch.events(ev.AttemptStarted)} == {"group"}
    total_s = sum(module.duration_s for module in batch.stats.modules.values())
    assert total_s == sum(map(len, together.tests.values()))


@many(400)
@given(batches(), st.integers(1, 2), st.integers(0, 2), st.integers(0, 2))
def test_nothing_is_lost_of_a_batch(
    together: Together, workers: int, retries: int, maxfail: int
) -> None:
    played = play(together.scenario(workers=workers, retries=retries, maxfail=maxfail))

    begun = Counter(start.module for start in played.events(ev.AttemptStarted))
    if played.stats.cancelled is None:
        # Whoever had no turn has had one since, by itself.
        assert begun.keys() == together.tests.keys()
        assert all(count <= 1 + max(retries, 1) for count in begun.values())
    for path, tests in found(played).items():
        assert tests.keys() <= together.tests[path].keys()
        if played.stats.modules[path].status not in BAD_STATUSES:
            assert tests == together.tests[path]


@many(300)
@given(batches())
def test_at_most_one_module_suffers_from_the_loss_of_a_process_in_order(
    together: Together,
) -> None:
    played = play(together.scenario())

    suffering = {
        path
        for path, module in played.stats.modules.items()
        if module.status in BAD_STATUSES
        and not any(outcome in BAD_OUTCOMES for outcome in together.tests[path].values())
    }
    assert not (suffering and together.whole)
    in_order = [step for step in together.script.steps if isinstance(step, msg.Plan)]
    owners = list(in_order[0].owners) if in_order else []
    if owners == sorted(owners):
        assert len(suffering) <= 1


@many(200)
@given(
    batches(),
    st.lists(
        st.tuples(st.sampled_from([-1, 0, 0.5, 1.5, 2.5, 4]), st.sampled_from([cancel(), kill])),
        min_size=1,
        max_size=2,
    ),
)
def test_a_run_with_a_batch_may_be_cancelled_at_any_moment(
    together: Together, deeds: Sequence[tuple[float, object]]
) -> None:
    played = play(together.scenario(deeds=deeds))

    assert played.heard == played.told


@many(100)
@given(batches(), st.sampled_from([0, 0.5, 1.5, 2.5, 4]))
def test_a_run_with_a_batch_may_be_abandoned_at_any_moment(together: Together, at_s: float) -> None:
    played = play(together.scenario(cut_off_s=at_s))

    assert isinstance(played.told[-1].event, ev.RunFinished)


def test_a_time_limit_is_that_of_all_modules_together() -> None:
    steps: list[Step] = [*plan(["a::x", "b::x"], owners=[0, 1])]
    steps += [msg.Started(0), 3.0, msg.Finished(0, Outcome.PASSED, 3.0), msg.Started(1), Hang()]
    scripts = {path: [Script(passes({f"{path}::x": Outcome.PASSED}))] for path in "ab"}

    played = play(Scenario(scripts=scripts, batch=Script(tuple(steps)), timeout_s=2.5))

    modules = played.stats.modules
    assert (modules["a"].status, modules["b"].status) == (
        ModuleStatus.PASSED,
        ModuleStatus.TIMED_OUT,
    )
    assert played.lasted_s == 5.0


def test_a_test_of_nobody_is_a_broken_promise() -> None:
    script = Script((*plan(["a::x"], owners=[7]), Hang()))
    scripts = {path: [Script(passes({f"{path}::x": Outcome.PASSED}))] for path in "ab"}

    played = play(Scenario(scripts=scripts, batch=script))

    assert {module.status for module in played.stats.modules.values()} == {ModuleStatus.PASSED}


@many(200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "", "g", "h"]),
            st.sampled_from([{}, {"A": "1"}]),
            st.sampled_from([Framework.PYTEST, Framework.PYTEST, Framework.UNITTEST]),
            st.sampled_from([(), (), ("x",)]),
        ),
        max_size=10,
    )
)
def test_only_what_agrees_on_its_process_shares_one(rows: list) -> None:
    modules = []
    settings = {}
    for number, (group, env, framework, selectors) in enumerate(rows):
        path = f"m{number}"
        modules.append(TestModule(path=path, group=group, framework=framework, selectors=selectors))
        settings[path] = ModuleSettings(
            timeout_s=None, slow_after_s=60.0, retries=0, framework=None, group=None, env=env
        )

    found_batches, single = plan_batches(modules, settings.__getitem__)

    batched = [module.path for batch in found_batches for module in batch.modules]
    assert Counter(batched) + Counter(module.path for module in single) == Counter(list(settings))
    assert single == [module for module in modules if module.path not in batched]
    assert len({batch.name for batch in found_batches}) == len(found_batches)
    for batch in found_batches:
        assert len(batch.modules) > 1
        assert {module.group for module in batch.modules} == {batch.group}
        assert {module.framework for module in batch.modules} == {Framework.PYTEST}
        assert not any(module.selectors for module in batch.modules)
        assert len({str(settings[module.path].env) for module in batch.modules}) == 1
