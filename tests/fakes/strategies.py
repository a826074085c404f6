"""Random graphs of modules, and how many of them to look at."""

from hypothesis import settings
from hypothesis import strategies as st

from fakes.simulation import Job
from iopio_async.model.module import Claim, Mode, TestModule
from iopio_async.model.outcome import ModuleStatus

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


@st.composite
def graphs(draw: st.DrawFn, max_modules: int = 12) -> tuple[Job, ...]:
    """Modules with claims, durations, retries and what becomes of each attempt."""
    numbers = draw(
        st.lists(
            st.tuples(
                st.integers(0, 4 ** len(RESOURCES) - 1),
                st.integers(0, 4),
                st.integers(0, 2),
                st.lists(st.sampled_from(STATUSES), min_size=1, max_size=3),
                st.integers(0, 5),
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
        )
        for index, (claims, duration, retries, statuses, joins_at) in enumerate(numbers)
    )
