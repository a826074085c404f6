"""The scheduler's promises, on random graphs of modules in simulated time.

``fakes.simulation`` verifies each instruction: no two running modules conflict, no more run than
there are slots, no more memory is promised than there is, nothing that could run is passed over,
nobody is overtaken too often, no slot is idle without need, each module has one final word, and all
of it ends.
"""

from fakes.simulation import Job, simulate
from fakes.strategies import graphs, many
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model.outcome import BAD_STATUSES, ModuleStatus


@many(2500)
@given(
    graphs(),
    st.integers(1, 4),
    st.integers(1, 3),
    st.none() | st.integers(0, 12),
    st.none() | st.integers(1, 6),
    st.none() | st.integers(1, 6),
    st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=3),
)
def test_every_step_keeps_the_promises(
    jobs: tuple[Job, ...],
    capacity: int,
    overtakes: int,
    cancel_at: int | None,
    memory_limit_bytes: int | None,
    memory_bytes: int | None,
    used_shares: list[float],
) -> None:
    checked = simulate(
        jobs,
        capacity,
        overtakes=overtakes,
        cancel_at=cancel_at,
        memory_limit_bytes=memory_limit_bytes,
        memory_bytes=memory_bytes,
        used_shares=used_shares,
    )

    assert set(checked.finals) == {job.module.path for job in jobs}


@many(300)
@given(graphs(), st.integers(1, 4), st.integers(1, 4))
def test_what_modules_end_as_does_not_depend_on_the_workers(
    jobs: tuple[Job, ...], some: int, others: int
) -> None:
    one, two = simulate(jobs, some), simulate(jobs, others)

    finals = {path: book.final for path, book in one.books.items()}
    assert finals == {path: book.final for path, book in two.books.items()}


@many(300)
@given(graphs(), st.integers(1, 4))
def test_a_module_is_run_again_until_it_ends_well(jobs: tuple[Job, ...], capacity: int) -> None:
    checked = simulate(jobs, capacity)

    for job in jobs:
        book = checked.books[job.module.path]
        tried = [job.statuses[min(n, len(job.statuses)) - 1] for n in range(1, book.attempts + 1)]
        assert all(status in BAD_STATUSES for status in tried[:-1])
        assert book.attempts == job.retries + 1 or tried[-1] not in BAD_STATUSES
        assert (book.final is ModuleStatus.FLAKY) == (
            len(tried) > 1 and tried[-1] in {ModuleStatus.PASSED, ModuleStatus.LEAKED}
        )
