"""The history of durations: what is remembered, what is not, and that no fault ever matters."""

import errno
import fcntl
import math
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest

from iopio_async import state
from iopio_async.errors import InfrastructureError
from iopio_async.history import sealed
from iopio_async.history.durations import FORGOTTEN_AFTER_DAYS, History
from iopio_async.history.samples import KEPT_SAMPLES
from iopio_async.history.timings import Collected
from iopio_async.model import events as ev
from iopio_async.model.module import Framework
from iopio_async.model.outcome import ModuleStatus, Outcome, Source
from iopio_async.model.stats import RunStats
from iopio_async.planning.estimate import ModuleSummary

MIB = 1024 * 1024
A = "tests/test_a.py"
ONE, TWO = f"{A}::test_one", f"{A}::test_two"

#: The history promises a test's duration to within so much.
PRECISION = 0.045


def ran(
    stats: RunStats | None = None,
    path: str = A,
    *,
    duration_s: float = 2.0,
    cpu_s: float = 1.5,
    peak_rss_bytes: int = 50 * MIB,
    status: ModuleStatus = ModuleStatus.PASSED,
    tests: Mapping[str, float] | None = None,
    outcome: Outcome = Outcome.PASSED,
    source: Source = Source.EXECUTED,
    attempts: int = 1,
) -> RunStats:
    """A run in which a module went like this, beside what ``stats`` holds already."""
    stats = stats or RunStats()
    events: list[ev.AnyEvent] = [ev.ModulePlanned(module=path, framework=Framework.PYTEST)]
    for attempt in range(1, attempts + 1):
        events.append(ev.AttemptStarted(module=path, attempt=attempt, slot=0))
        events += [
            ev.TestFinished(
                module=path, attempt=attempt, id=test, outcome=outcome, duration_s=test_s
            )
            for test, test_s in (tests or {}).items()
        ]
        events.append(
            ev.AttemptFinished(
                module=path,
                attempt=attempt,
                status=status,
                duration_s=duration_s,
                cpu_s=cpu_s,
                peak_rss_bytes=peak_rss_bytes,
            )
        )
    events.append(ev.ModuleFinished(module=path, status=status, source=source, attempts=attempts))
    for event in events:
        stats.apply(event)
    return stats


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path)


def remember(root: str, stats: RunStats, **how: object) -> History:
    """Take note of a run, and load the history anew."""
    history = History.load(root)
    history.record(stats, **how)  # type: ignore[arg-type]
    history.store()
    return History.load(root)


def files(root: str) -> list[Path]:
    """The files of the history, without the lock, which is empty."""
    return sorted(
        file
        for file in Path(state.path(state.folder_of(root)), "durations").rglob("*")
        if file.is_file() and file.name != "lock"
    )


# -- what is remembered ------------------------------------------------------------------------


def test_nothing_is_known_at_first_and_loading_leaves_no_trace(root: str) -> None:
    history = History.load(root)

    assert history.summary(A) is None
    assert history.summaries([A]) == {}
    assert history.tests(A) == {}
    assert history.scopes(A) == {}
    assert os.listdir(root) == []


def test_a_module_is_remembered(root: str) -> None:
    history = remember(root, ran(tests={ONE: 0.5, TWO: 1.0}))

    assert history.summary(A) == ModuleSummary(
        duration_s=2.0,
        cpu_s=1.5,
        peak_rss_bytes=50 * MIB,
        status=ModuleStatus.PASSED,
        tests=2,
    )
    assert history.summaries([A, "tests/test_b.py"]) == {A: history.summary(A)}


def test_tests_are_remembered_in_order_and_nearly_exactly(root: str) -> None:
    durations_s = {f"{A}::test_x[{s}]": s for s in (3.0, 0.00002, 0.0, 7200.0, 0.01, 1.0)}

    history = remember(root, ran(tests=durations_s))

    found = history.tests(A)
    assert list(found) == list(durations_s)
    assert found == {test: pytest.approx(s, rel=PRECISION) for test, s in durations_s.items()}


@pytest.mark.parametrize("odd_s", [math.nan, -1.0, -math.inf, math.inf, 1e300])
def test_odd_durations_of_tests_spoil_nothing(root: str, odd_s: float) -> None:
    history = remember(root, ran(tests={ONE: odd_s, TWO: 1.0}))

    found = history.tests(A)
    assert found[TWO] == pytest.approx(1.0, rel=PRECISION)
    assert 0.0 <= found[ONE] <= 4 * 3600


@pytest.mark.parametrize("figures", [{"duration_s": math.nan}, {"cpu_s": -1.0}, {"cpu_s": 1e300}])
def test_odd_figures_of_modules_are_left_out(root: str, figures: dict[str, float]) -> None:
    history = remember(root, ran(**figures))  # type: ignore[arg-type]

    assert history.summary(A) == ModuleSummary(status=ModuleStatus.PASSED)


def test_tests_of_one_id_count_as_one(root: str) -> None:
    stats = ran(tests={ONE: 1.0})
    stats.apply(
        ev.TestFinished(
            module=A, attempt=1, id=ONE, outcome=Outcome.PASSED, duration_s=2.0, call_s=0.0
        )
    )

    assert remember(root, stats).tests(A) == {ONE: pytest.approx(3.0, rel=PRECISION)}


def test_a_module_is_expected_to_take_the_middle_of_its_last_runs(root: str) -> None:
    took_s = [9.0, 1.0, 2.0, 30.0, 3.0, 4.0]
    expected_s = [9.0, 5.0, 2.0, 5.5, 3.0, 3.0]

    for duration_s, expected in zip(took_s, expected_s, strict=True):
        summary = remember(root, ran(duration_s=duration_s)).summary(A)
        assert summary is not None
        assert summary.duration_s == expected


def test_the_highest_peak_of_late_counts_and_older_ones_do_not(root: str) -> None:
    peaks = [90, 40, 50, 40, 40, 40]
    summaries = [
        remember(root, ran(peak_rss_bytes=peak * MIB, cpu_s=float(peak))).summary(A)
        for peak in peaks
    ]

    assert len(peaks) == KEPT_SAMPLES + 1
    assert [each.peak_rss_bytes // MIB for each in summaries if each] == [90] * 5 + [50]
    assert summaries[-1] is not None
    assert summaries[-1].cpu_s == 40.0


def test_scopes_are_remembered_with_the_tests(root: str) -> None:
    told = Collected(scopes={TWO: 7})
    history = remember(root, ran(tests={ONE: 1.0, TWO: 1.0}), collected={A: told})

    assert history.scopes(A) == {TWO: 7}


def test_tests_are_remembered_in_the_order_of_their_collection(root: str) -> None:
    told = Collected(tests=(TWO, ONE, "gone"))

    history = remember(root, ran(tests={ONE: 1.0, TWO: 2.0}), collected={A: told})

    assert list(history.tests(A)) == [TWO, ONE]


def test_what_every_process_sets_up_anew_is_remembered(root: str) -> None:
    history = remember(root, ran(tests={ONE: 1.0}), collected={A: Collected(shared_s=0.75)})

    assert history.timings(A).shared_s == 0.75
    assert not history.timings(A).whole


def test_a_module_that_must_stay_whole_stays_so(root: str) -> None:
    remember(root, ran(tests={ONE: 1.0, TWO: 1.0}))
    torn = ran(tests={ONE: 1.0, TWO: 1.0}, attempts=2, status=ModuleStatus.FLAKY)

    history = remember(root, torn, collected={A: Collected(whole=True)})
    assert history.timings(A).whole
    assert list(history.tests(A)) == [ONE, TWO]

    assert remember(root, ran(tests={ONE: 9.0})).timings(A).whole


def test_names_that_are_no_unicode_are_remembered(root: str) -> None:
    path = "tests/test_\udcff.py"
    history = remember(root, ran(path=path, tests={f"{path}::test_ü": 1.0}))

    assert history.summary(path) is not None
    assert list(history.tests(path)) == ["tests/test_\\udcff.py::test_ü"]


# -- what is not -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        {"status": ModuleStatus.CRASHED},
        {"status": ModuleStatus.TIMED_OUT},
        {"status": ModuleStatus.INCOMPLETE},
        {"status": ModuleStatus.ERROR},
        {"status": ModuleStatus.FLAKY, "attempts": 2},
        {"status": ModuleStatus.FAILED, "attempts": 2},
        {"status": ModuleStatus.FAILED, "outcome": Outcome.NOT_RUN},
        {"status": ModuleStatus.PASSED, "source": Source.LOCAL_CACHE},
    ],
)
def test_figures_that_are_not_clean_spoil_nothing(root: str, how: dict[str, object]) -> None:
    before = remember(root, ran(tests={ONE: 1.0})).summary(A)
    assert before is not None

    stats = ran(tests={ONE: 9.0, TWO: 9.0}, duration_s=99.0, **how)  # type: ignore[arg-type]
    history = remember(root, stats)

    assert history.summary(A) == msgspec.structs.replace(before, status=how["status"])
    assert history.tests(A) == {ONE: pytest.approx(1.0, rel=PRECISION)}


def test_a_module_that_was_not_run_is_not_touched(root: str) -> None:
    before = remember(root, ran(status=ModuleStatus.FAILED)).summary(A)

    assert remember(root, ran(status=ModuleStatus.NOT_RUN)).summary(A) == before


@pytest.mark.parametrize("status", [ModuleStatus.PASSED, ModuleStatus.FAILED, ModuleStatus.LEAKED])
def test_modules_that_ran_to_their_end_are_clean(root: str, status: ModuleStatus) -> None:
    summary = remember(root, ran(status=status)).summary(A)

    assert summary is not None
    assert (summary.duration_s, summary.status) == (2.0, status)


def test_only_how_it_ended_is_known_of_a_module_that_never_ran_clean(root: str) -> None:
    history = remember(root, ran(status=ModuleStatus.TIMED_OUT))

    assert history.summary(A) == ModuleSummary(status=ModuleStatus.TIMED_OUT)


@pytest.mark.parametrize("how", [{"filtered": True}, {"asked": {A: (TWO,)}}])
def test_a_part_of_a_module_tells_of_its_tests_alone(root: str, how: dict[str, object]) -> None:
    told = Collected(scopes={ONE: 1, TWO: 1})
    remember(root, ran(tests={ONE: 1.0, TWO: 1.0}), collected={A: told})

    history = remember(root, ran(duration_s=0.5, tests={TWO: 8.0}), **how)

    summary = history.summary(A)
    assert summary is not None
    assert (summary.duration_s, summary.tests) == (2.0, 2)
    assert history.tests(A) == {
        ONE: pytest.approx(1.0, rel=PRECISION),
        TWO: pytest.approx(8.0, rel=PRECISION),
    }
    assert history.scopes(A) == {ONE: 1, TWO: 1}


def test_tests_that_are_gone_are_forgotten(root: str) -> None:
    remember(root, ran(tests={ONE: 1.0, TWO: 1.0}))

    assert list(remember(root, ran(tests={TWO: 1.0}), asked={A: ()}).tests(A)) == [TWO]


def test_tests_are_written_anew_only_where_it_matters(root: str) -> None:
    def version() -> int:
        (file,) = Path(state.path(state.folder_of(root)), "durations", "tests").iterdir()
        return file.stat().st_ino

    remember(root, ran(tests={ONE: 1.0, TWO: 2.0}))
    first = version()
    remember(root, ran(tests={TWO: 2.1, ONE: 0.9}))
    assert version() == first

    history = remember(root, ran(tests={ONE: 2.0, TWO: 1.0}))
    assert version() != first
    assert history.tests(A)[ONE] == pytest.approx(2.0, rel=PRECISION)


def test_a_module_that_is_in_no_run_for_long_is_forgotten(root: str) -> None:
    b = "tests/test_b.py"
    for day, path in ((100, A), (100 + FORGOTTEN_AFTER_DAYS, b)):
        history = History(root, today=day)
        history.record(ran(path=path, tests={f"{path}::test": 1.0}))
        history.store()
    assert set(History.load(root).summaries([A, b])) == {A, b}

    history = History(root, today=101 + FORGOTTEN_AFTER_DAYS)
    history.record(ran(path=b))
    history.store()

    for known in (history, History.load(root)):
        assert set(known.summaries([A, b])) == {b}
        assert known.tests(A) == {}


@pytest.mark.parametrize("today", [-5, 0, 10**6])
def test_a_clock_that_is_far_off_does_no_harm(root: str, today: int) -> None:
    history = History(root, today=today)
    history.record(ran())
    history.store()

    assert History(root, today=0).summary(A) is not None


# -- several runs at once ----------------------------------------------------------------------


def test_runs_at_the_same_time_add_to_each_other(root: str) -> None:
    one, other = History.load(root), History.load(root)
    one.record(ran(duration_s=1.0))
    other.record(ran(ran(duration_s=3.0), path="tests/test_b.py"))
    one.store()
    other.store()

    found = History.load(root).summaries([A, "tests/test_b.py"])
    assert [each.duration_s for each in found.values()] == [2.0, 2.0]
    assert other.summaries(found) == found


def test_many_runs_at_the_same_time_lose_nothing(root: str) -> None:
    paths = [f"tests/test_{number}.py" for number in range(12)]
    start = threading.Barrier(len(paths))

    def one_run(path: str) -> None:
        history = History(root, deadline_s=60.0)
        history.record(ran(path=path, tests={f"{path}::test": 1.0}))
        start.wait()
        history.store()

    runs = [threading.Thread(target=one_run, args=(path,)) for path in paths]
    for run in runs:
        run.start()
    for run in runs:
        run.join()

    history = History.load(root)
    assert set(history.summaries(paths)) == set(paths)
    assert all(history.tests(path) for path in paths)


def test_a_run_does_not_wait_long_for_another_one(root: str) -> None:
    remember(root, ran())
    history = History(root, deadline_s=0.0)
    history.record(ran(duration_s=4.0))
    with open(Path(state.path(state.folder_of(root)), "durations", "lock"), "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InfrastructureError, match="another run holds"):
            history.store()

    history.store()

    summary = History.load(root).summary(A)
    assert summary is not None
    assert summary.duration_s == 3.0


def test_a_file_system_without_locks_is_good_enough(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)

    assert remember(root, ran()).summary(A) is not None


# -- faults ------------------------------------------------------------------------------------


def damaged(data: bytes) -> list[bytes]:
    """The file cut at every place, and with every bit turned."""
    cut = [data[:length] for length in range(len(data))]
    turned = []
    for place in range(len(data)):
        for bit in range(8):
            other = bytearray(data)
            other[place] ^= 1 << bit
            turned.append(bytes(other))
    return [*cut, *turned, data + b"\0"]


@pytest.mark.slow
def test_what_is_damaged_reads_as_if_it_were_not_there(root: str) -> None:
    remember(root, ran(tests={ONE: 1.0, TWO: 2.0}))
    for file in files(root):
        data = file.read_bytes()
        for other in damaged(data):
            file.write_bytes(other)
            history = History.load(root)
            assert history.summary(A) is None or file.name != "index"
            assert history.tests(A) == {} or file.name == "index"
        file.write_bytes(data)
    assert History.load(root).summary(A) is not None


def _as_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def _as_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _as_empty_file(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("change", [_as_link, _as_pipe, _as_empty_file, Path.unlink])
def test_what_is_strange_is_replaced_by_the_next_run(
    root: str, change: Callable[[Path], None]
) -> None:
    remember(root, ran(tests={ONE: 1.0}))
    for file in files(root):
        change(file)
    history = History.load(root)
    assert history.summary(A) is None
    assert history.tests(A) == {}

    history.record(ran(tests={TWO: 1.0}))
    history.store()

    history = History.load(root)
    assert history.summary(A) is not None
    assert list(history.tests(A)) == [TWO]


def test_the_file_of_another_module_is_not_believed(root: str) -> None:
    b = "tests/test_b.py"
    remember(root, ran(tests={ONE: 1.0}))
    (of_a,) = (file for file in files(root) if file.name != "index")
    remember(root, ran(path=b, tests={f"{b}::test": 1.0}))
    (of_b,) = (file for file in files(root) if file.name not in {"index", of_a.name})

    of_b.write_bytes(of_a.read_bytes())

    assert History.load(root).tests(b) == {}
    assert list(History.load(root).tests(A)) == [ONE]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        msgspec.msgpack.encode(([A], b"")),
        msgspec.msgpack.encode(([A], b"\xff" * 10_000)),
        msgspec.msgpack.encode(([A, 5], b"")),
        msgspec.msgpack.encode({}),
    ],
)
def test_a_whole_file_with_nonsense_in_it_is_not_believed(root: str, body: bytes) -> None:
    remember(root, ran())
    index = Path(state.path(state.folder_of(root)), "durations", "index")
    mark = index.read_bytes().split(b"\n")[0] + b"\n"
    sealed.write(str(index), mark, body)

    assert History.load(root).summary(A) is None


def test_a_row_with_nonsense_in_it_tells_nothing_and_heals(root: str) -> None:
    remember(root, ran())
    index = Path(state.path(state.folder_of(root)), "durations", "index")
    mark = index.read_bytes().split(b"\n")[0] + b"\n"
    body = sealed.read(str(index), mark)
    assert body is not None
    paths, rows = msgspec.msgpack.decode(body, type=tuple[list[str], bytes])
    sealed.write(str(index), mark, msgspec.msgpack.encode((paths, b"\xff" * len(rows))))

    assert History.load(root).summary(A) == ModuleSummary()

    summary = remember(root, ran(duration_s=4.0)).summary(A)
    assert summary is not None
    assert (summary.duration_s, summary.status) == (4.0, ModuleStatus.PASSED)


def test_where_nothing_can_be_written_a_sentence_says_so(tmp_path: Path) -> None:
    (tmp_path / state.FOLDER).write_text("this is a file")
    history = History.load(str(tmp_path))
    history.record(ran())

    with pytest.raises(InfrastructureError):
        history.store()


def test_where_the_index_can_not_be_replaced_a_sentence_says_so(root: str) -> None:
    remember(root, ran())
    index = Path(state.path(state.folder_of(root)), "durations", "index")
    index.unlink()
    index.mkdir()
    (index / "file").touch()
    history = History.load(root)
    history.record(ran())

    with pytest.raises(InfrastructureError, match=r"durations can't be written: .*directory"):
        history.store()


def test_without_news_nothing_is_written(root: str) -> None:
    History.load(root).store()

    assert os.listdir(root) == []


# -- size --------------------------------------------------------------------------------------


def test_a_large_module_stays_small(root: str) -> None:
    tests = {
        f"{A}::TestVersion::test_comparison[{number % 250}.{number // 250}-case{number}]": 0.001
        for number in range(62_000)
    }

    history = remember(root, ran(tests=tests))

    assert list(history.tests(A)) == list(tests)
    assert sum(file.stat().st_size for file in files(root)) < 10 * len(tests)
