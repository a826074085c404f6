"""Callables run in threads of this process: nothing is isolated, nothing traced, nothing cached.

Tests that claim the same resource, of the process or of the machine, do not overlap. A test that
hangs can't be ended: there is no time limit here.
"""

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from iopio_async.dropin.resources import Claims, Resources, between_threads
from iopio_async.dropin.results import Effort, Result
from iopio_async.model.outcome import Outcome
from iopio_async.planning.locks import LockTable, merged
from iopio_async.worker.frameworks.failures import Caught, said
from iopio_async.worker.frameworks.skips import spared


class Call(NamedTuple):
    """A callable, and the name that it is tested under."""

    name: str
    function: Callable[..., Any]


class _Floor:
    """Who holds which resource; a test takes all of its claims at once, or waits."""

    def __init__(self) -> None:
        self._table = LockTable()
        self._changed = threading.Condition()

    def take(self, claims: Claims) -> None:
        with self._changed:
            while self._table.obstacle(claims, 0) is not None:
                self._changed.wait()
            self._table.take(claims)

    def release(self, claims: Claims) -> None:
        with self._changed:
            self._table.release(claims)
            self._changed.notify_all()


def run_in_threads(
    calls: Sequence[Call], *, workers: int, root: str
) -> tuple[list[Result], Effort, list[str]]:
    """Run the callables, as many at once as there are workers.

    The results in their order, what they took, and what is worth a warning.
    """
    resources = Resources(root)
    each_holds = resources.of_functions([each.function for each in calls])
    found = {str(place): held for place, held in enumerate(each_holds)}
    claims = {place: merged(each) for place, each in between_threads(found).items()}
    floor = _Floor()

    def run(place: int) -> Result:
        held = claims[str(place)]
        floor.take(held)
        try:
            return call(calls[place], root)
        finally:
            floor.release(held)

    with ThreadPoolExecutor(workers, thread_name_prefix="iopio") as pool:
        results = list(pool.map(run, range(len(calls))))
    effort = Effort(busy_s=sum(result.duration_s for result in results), workers=workers)
    return results, effort, resources.warnings


def call(given: Call, root: str) -> Result:
    """Call one test here and now; what it raises is its result."""
    began_s = time.perf_counter()

    def result(outcome: Outcome, error: str = "", text: str = "", reason: str = "") -> Result:
        duration_s = time.perf_counter() - began_s
        return Result(given.name, outcome, error, text, reason, duration_s=duration_s)

    try:
        with _Fixtures(given.function):
            value = given.function()
            if inspect.iscoroutine(value):
                asyncio.run(value)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and (
            threading.current_thread() is threading.main_thread()
        ):
            raise
        outcome = spared(error)
        if outcome is not None:
            return result(outcome, reason=said(error))
        failure = Caught(error, root).failure()
        return result(Outcome.FAILED, error=failure.message, text=failure.text)
    return result(Outcome.PASSED)


class _Fixtures:
    """What the instance of a method has set up and torn down around it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        owner = getattr(function, "__self__", None) if inspect.ismethod(function) else None
        self._function = function
        self._owner = None if isinstance(owner, type) else owner

    def __enter__(self) -> None:
        self._call("setUp", "setup_method")

    def __exit__(self, *details: object) -> None:
        self._call("teardown_method", "tearDown")

    def _call(self, *names: str) -> None:
        for name in names:
            fixture = getattr(self._owner, name, None)
            if callable(fixture):
                taken: Mapping[str, Any] = inspect.signature(fixture).parameters
                fixture(*[self._function][: len(taken)])
