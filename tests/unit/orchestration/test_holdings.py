"""What the units of a run hold, in whole runs of the session in simulated time."""

import math

from fakes.claims import FakeClaims, FakeGuard, plan_of
from fakes.executor import Script, passes
from fakes.runs import Played, Scenario, cancel, play

from iopio_async.model import events as ev
from iopio_async.model.config import Config, Resource
from iopio_async.model.module import Claim, Evidence, Mode, TestModule
from iopio_async.model.outcome import ModuleStatus, Outcome
from iopio_async.orchestration.holdings import Holdings

GOOD = Script(passes({"a::x": Outcome.PASSED}))
BAD = Script(passes({"a::x": Outcome.FAILED}))
WRITE = Claim("path:data", evidence=(Evidence("a", 1, "calls open"),))
READ = Claim("path:data", Mode.SHARED)


def warnings(played: Played) -> list[str]:
    return [event.message for event in played.events(ev.WarningIssued)]


def scenario(claims: FakeClaims, paths: str = "abcd", **more: object) -> Scenario:
    scripts = {path: [GOOD] for path in paths}
    return Scenario(scripts=scripts, workers=4, knows=claims, **more)


def test_what_is_known_at_once_keeps_apart_who_shares_it() -> None:
    claims = FakeClaims(plan_of({"a": [WRITE], "b": [WRITE], "c": [WRITE]}))
    played = play(scenario(claims))

    assert claims.asked == ("a", "b", "c", "d")
    assert claims.analyses == 0
    assert played.most_together("a", "b", "c") == 1
    assert played.most_together("a", "d") == 2


def test_a_folder_is_held_with_all_that_is_in_it() -> None:
    below = Claim("path:data/x/y.txt")
    played = play(scenario(FakeClaims(plan_of({"a": [WRITE], "b": [below], "c": [READ]}))))

    assert played.most_together("a", "b") == 1
    assert played.most_together("a", "c") == 1


def test_what_nobody_writes_keeps_nobody_waiting() -> None:
    played = play(scenario(FakeClaims(plan_of({path: [READ] for path in "abcd"}))))

    assert played.most_together(*"abcd") == 4


def test_who_runs_alone_runs_alone() -> None:
    played = play(scenario(FakeClaims(plan_of({"b": [Claim("*")]}))))

    assert all(played.most_together("b", other) == 1 for other in "acd")
    assert played.most_together(*"acd") == 3


def test_while_nothing_is_known_one_module_runs_at_a_time() -> None:
    claims = FakeClaims(plan_of({}), endless=True)
    played = play(scenario(claims))

    assert played.stats.passed == 4
    assert played.most_together(*"abcd") == 1
    assert played.lasted_s == 4.0


def test_who_was_alone_meanwhile_keeps_what_it_claims() -> None:
    plan = plan_of({"a": [WRITE], "b": [WRITE]}, warnings=["mind this"])
    long = Script(passes({"a::x": Outcome.PASSED}), spawn_s=1000.0)
    played = play(
        Scenario(
            scripts={"a": [long], "b": [long], "c": [long]},
            workers=3,
            knows=FakeClaims(plan, analysed=True),
        )
    )

    assert played.most_together("a", "b") == 1
    assert "mind this" in warnings(played)
    assert played.stats.passed == 3


def test_nothing_is_analysed_where_nothing_runs_at_once() -> None:
    alone = FakeClaims(plan_of({}), analysed=True)
    play(scenario(alone, paths="a"))
    single = FakeClaims(plan_of({}), analysed=True)
    play(Scenario(scripts={"a": [GOOD], "b": [GOOD]}, workers=1, knows=single))

    assert alone.analyses == single.analyses == 0


def test_units_are_handed_out_by_number() -> None:
    needs = dict.fromkeys("abc", (("gpu", 1),)) | {"d": (("gpu", 5),)}
    plan = plan_of({}, needs=needs, capacities={"gpu": 2})
    played = play(
        scenario(
            FakeClaims(plan, analysed=True),
            resources={"gpu": Resource(2, "CUDA_VISIBLE_DEVICES")},
        )
    )
    started = zip(played.executor.started, played.executor.placements, strict=True)
    env = {path: placement.env for (path, _), placement in started}

    assert {env[path]["IOPIO_GPU"] for path in "ab"} == {"0", "1"}
    assert env["a"]["CUDA_VISIBLE_DEVICES"] == env["a"]["IOPIO_GPU"]
    assert env["d"]["IOPIO_GPU"] == "0,1"
    assert played.most_together(*"abcd") == 2


def test_a_module_that_is_run_again_holds_what_it_held() -> None:
    plan = plan_of({"a": [WRITE], "b": [WRITE]})
    scripts = {"a": [BAD, GOOD], "b": [GOOD]}
    played = play(Scenario(scripts=scripts, workers=2, retries=1, knows=FakeClaims(plan)))

    assert played.stats.modules["a"].status is ModuleStatus.FLAKY
    assert played.most_together("a", "b") == 1


def test_parts_and_batches_hold_what_their_modules_do() -> None:
    plan = plan_of({"a": [WRITE], "b": [WRITE], "c": [READ]})
    holdings = Holdings(Config(root="/", invocation_dir="/", workers=2), FakeClaims(plan))
    group = Claim("group:g")
    holdings.expect([TestModule(path=path) for path in "abc"])

    assert holdings.enlist("a\x000", (), ("a",)) == (Claim("path:data"),)
    assert holdings.enlist("b\x00g", (group,), ("b", "c")) == (group, Claim("path:data"), READ)


# -- other runs --------------------------------------------------------------------------------


def test_other_runs_are_told_what_was_found() -> None:
    guard = FakeGuard(waits_s=5.0)
    played = play(scenario(FakeClaims(plan_of({"a": [WRITE]})), guard=guard))

    assert guard.asked == {"a": (WRITE,), "b": (), "c": (), "d": ()}
    assert sorted(guard.released) == ["a", "b", "c", "d"]
    assert not guard.held
    assert played.lasted_s >= 6.0


def test_the_first_module_does_not_wait_for_the_analysis_to_mind_other_runs() -> None:
    guard = FakeGuard()
    plan = plan_of({path: [WRITE] for path in "abcd"})
    played = play(scenario(FakeClaims(plan, analysed=True), guard=guard))

    first, _ = played.executor.started[0]
    assert guard.asked[first] == ()
    assert played.most_together(*"abcd") == 1


def test_a_cancelled_run_waits_for_no_other() -> None:
    guard = FakeGuard(waits_s=math.inf)
    played = play(
        scenario(FakeClaims(plan_of({"a": [WRITE]})), guard=guard, deeds=[(3.0, cancel())])
    )

    assert played.lasted_s == 3.0
    assert {module.status for module in played.stats.modules.values()} == {ModuleStatus.NOT_RUN}


def test_a_run_that_is_cancelled_while_it_analyses_ends_at_once() -> None:
    claims = FakeClaims(plan_of({}), endless=True)
    resources = {"gpu": Resource(1)}
    played = play(scenario(claims, resources=resources, deeds=[(3.0, cancel())]))

    assert played.executor.started == []
    assert {module.status for module in played.stats.modules.values()} == {ModuleStatus.NOT_RUN}
