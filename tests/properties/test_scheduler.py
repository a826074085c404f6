"""The scheduler's promises, on random graphs of modules in simulated time.

``fakes.simulation`` verifies each instruction: no two running modules conflict, no more run than
there are slots, no more memory is promised than there is, nothing that could run is passed over,
nobody is overtaken too often, no slot is idle without need, each module has one final word, and all
of it ends.
"""

from dataclasses import replace

import msgspec
from fakes.simulation import Job, simulate
from fakes.strategies import graphs, many
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model.module import Claim, Mode
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


#: Claims of one module: locks, and units of resources of which there may be fewer.
CLAIMS = st.lists(
    st.builds(Claim, st.sampled_from("abc"), st.sampled_from(Mode))
    | st.builds(Claim, st.sampled_from(["gpu", "license"]), units=st.integers(1, 4)),
    max_size=3,
).map(tuple)


@many(2500)
@given(graphs(), st.data(), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))
def test_units_are_handed_out_once_each(
    jobs: tuple[Job, ...], data: st.DataObject, capacity: int, overtakes: int, gpus: int
) -> None:
    needy = tuple(
        replace(job, module=msgspec.structs.replace(job.module, claims=data.draw(CLAIMS)))
        for job in jobs
    )

    checked = simulate(needy, capacity, overtakes=overtakes, capacities={"gpu": gpus})

    assert set(checked.finals) == {job.module.path for job in jobs}


@many(600)
@given(
    graphs(),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 6),
    st.none() | st.integers(0, 8),
)
def test_claims_may_get_known_while_modules_run(
    jobs: tuple[Job, ...],
    capacity: int,
    overtakes: int,
    known_at: int,
    cancel_at: int | None,
) -> None:
    unknown = tuple(
        replace(job, module=msgspec.structs.replace(job.module, claims=(Claim("?"),)))
        for job in jobs
    )
    known = {job.module.path: job.module.claims for job in jobs if job.joins_at <= known_at}

    checked = simulate(
        [job if job.joins_at > known_at else each for job, each in zip(jobs, unknown, strict=True)],
        capacity,
        overtakes=overtakes,
        cancel_at=cancel_at,
        reclaims={known_at: known},
    )

    assert set(checked.finals) == {job.module.path for job in jobs}
