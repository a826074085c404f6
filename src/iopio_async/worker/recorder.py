"""Writes what happens in a test process to its private result descriptor, undisturbed by the tests.

Tests patch ``os.write`` and ``time``, close descriptors, reopen them as files of their own, and
fork children that run on into the rest of the session. So every function is bound before the first
test is imported; before each write the descriptor is compared with the pipe that it was; and a
process other than the one that opened the recorder writes nothing.

A ``Finished`` waits in a buffer until the next ``Started`` goes out (one system call a test): the
buffer never holds back what the parent needs to name the test in flight.
"""

import os
from collections.abc import Sequence

from iopio_async.model.action import SCHEMA_VERSION, Limits
from iopio_async.model.outcome import Failure, Outcome, Section, SubTest
from iopio_async.wire import messages as msg
from iopio_async.wire.codec import encode_message
from iopio_async.wire.frames import PREFIX, checksum

#: Ids in one ``Plan`` message: far below the bound on a frame, even with very long ids.
PLAN_PIECE = 500

#: How many failures of the greatest length one test may have in all.
FAILURES_LIMITS = 8

#: So many sub-tests of one test are told one by one.
SUBTESTS_KEPT = 20_000

#: Buffered bytes that are written without waiting for the next test's start.
FLUSH_BYTES = 32 * 1024


class Recorder:
    """The worker's end of the stream. Methods mirror the messages of ``wire.messages``."""

    def __init__(self, descriptor: int, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._descriptor = descriptor
        self._write = os.write
        self._getpid = os.getpid
        self._fstat = os.fstat
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._owner = os.getpid()
        self._buffer = bytearray()
        self._digest = 0
        self._finished = 0
        self._lost = False

    def owned(self) -> bool:
        """True in the process that opened the recorder, False in its forked children."""
        return self._getpid() == self._owner

    def hello(self, versions: dict[str, str]) -> None:
        """Greet the orchestrator; the first message of every stream."""
        self._put(msg.Hello(SCHEMA_VERSION, self._owner, versions))
        self.flush()

    def plan(
        self,
        ids: Sequence[str],
        *,
        deselected: int = 0,
        foreign_collectors: bool = False,
        scopes: Sequence[int] = (),
        collectors: int = 0,
        elsewhere: Sequence[tuple[int, int]] = (),
        owners: Sequence[int] = (),
    ) -> None:
        """Announce all tests that will run, in order."""
        for start in range(0, len(ids), PLAN_PIECE):
            end = start + PLAN_PIECE
            piece = tuple(map(self._id, ids[start:end]))
            self._put(
                msg.Plan(piece, scopes=tuple(scopes[start:end]), owners=tuple(owners[start:end]))
            )
        self._put(
            msg.Plan(
                (),
                True,
                deselected,
                foreign_collectors,
                collectors=collectors,
                elsewhere=tuple(elsewhere),
            )
        )
        self.flush()

    def started(self, index: int) -> None:
        """Test ``index`` begins; everything buffered goes out with it."""
        self._put(msg.Started(index))
        self.flush()

    def finished(
        self,
        index: int,
        outcome: Outcome,
        duration_s: float,
        *,
        call_s: float = 0.0,
        reason: str = "",
        failures: Sequence[Failure] = (),
        sections: Sequence[Section] = (),
        properties: Sequence[tuple[str, str]] = (),
        subtests: Sequence[SubTest] = (),
        reruns: int = 0,
        line: int = 0,
    ) -> None:
        """Test ``index`` has its outcome."""
        limits = self.limits
        budget = _Budget(FAILURES_LIMITS * limits.failure_chars)
        self._finished += 1
        self._put(
            msg.Finished(
                index,
                outcome,
                round(duration_s, 6),
                round(call_s, 6),
                cut(reason, limits.property_chars) if reason else "",
                self._failures(failures, budget),
                tuple(
                    Section(cut(section.title, 200), cut(section.text, limits.section_chars))
                    for section in sections
                ),
                tuple(
                    (cut(name, 1000), cut(value, limits.property_chars))
                    for name, value in properties
                ),
                tuple(
                    SubTest(
                        cut(sub.description, limits.property_chars),
                        sub.outcome,
                        budget.spend(self._failure(sub.failure))
                        if sub.failure and budget.left()
                        else None,
                    )
                    for sub in subtests[:SUBTESTS_KEPT]
                ),
                reruns,
                line,
            )
        )
        if len(self._buffer) > FLUSH_BYTES:
            self.flush()

    def warned(
        self, message: str, category: str, *, test: str = "", path: str = "", line: int = 0
    ) -> None:
        """The framework recorded a warning."""
        text = cut(message, self.limits.property_chars)
        self._put(msg.Warned(text, clean(category), self._id(test), clean(path), line))

    def note(self, failure: Failure) -> None:
        """Something went wrong outside of any test."""
        self._put(msg.Note(self._failure(failure)))
        self.flush()

    def shared(self, setups_s: Sequence[tuple[str, float]], *, hidden: bool = False) -> None:
        """Tell what was set up once for many tests, and how long that took."""
        limit = self.limits.property_chars
        told = tuple((cut(name, limit), round(seconds, 6)) for name, seconds in setups_s)
        self._put(msg.Shared(told, hidden))

    def used(self, elapsed_s: float, cpu_s: float, peak_rss_bytes: int) -> None:
        """Tell what the process has used so far."""
        self._put(msg.Used(round(elapsed_s, 6), round(cpu_s, 6), peak_rss_bytes))

    def end(self, exit_code: int, *, stopped_early: bool = False) -> None:
        """Close the stream: nothing may follow."""
        self._put(msg.End(self._finished, self._digest, exit_code, stopped_early))
        self.flush()

    def flush(self) -> None:
        """Write what is buffered.

        Where the descriptor is no longer the pipe it was, the stream stops here for good, and the
        parent finds it incomplete; that is better than bytes in somebody else's file.
        """
        if not self._buffer or not self.owned():
            return
        data = memoryview(bytes(self._buffer))
        self._buffer.clear()
        try:
            status = self._fstat(self._descriptor)
            if self._lost or (status.st_dev, status.st_ino) != self._identity:
                self._lost = True
                return
            while data:
                data = data[self._write(self._descriptor, data) :]
        except OSError:
            self._lost = True

    def _put(self, message: msg.AnyMessage) -> None:
        if not self.owned():
            return
        body = encode_message(message)
        self._digest = checksum(body, self._digest)
        self._buffer += PREFIX.pack(len(body))
        self._buffer += body

    def _failures(self, failures: Sequence[Failure], budget: "_Budget") -> tuple[Failure, ...]:
        """As many as the budget allows; a last one says how many were left out."""
        kept: list[Failure] = []
        for failure in failures:
            if not budget.left():
                kept.append(Failure(f"and {len(failures) - len(kept)} more failures"))
                break
            kept.append(budget.spend(self._failure(failure)))
        return tuple(kept)

    def _failure(self, failure: Failure) -> Failure:
        limits = self.limits
        return Failure(
            cut(failure.message, limits.property_chars),
            cut(failure.text, limits.failure_chars),
            failure.phase,
            clean(failure.path),
            failure.line,
        )

    def _id(self, text: str) -> str:
        return told_id(text, self.limits)


class _Budget:
    """How much text the failures of one test may still have, in characters."""

    def __init__(self, chars: int) -> None:
        self._chars = chars

    def left(self) -> bool:
        return self._chars > 0

    def spend(self, failure: Failure) -> Failure:
        self._chars -= len(failure.text) + len(failure.message)
        return failure


def told_id(test_id: str, limits: Limits) -> str:
    """A test's id as it is told, and so as it comes back where this test is to run again."""
    return cut(test_id, limits.property_chars)


def clean(text: str) -> str:
    """``text`` with lone surrogates escaped, so that it can be encoded as UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def cut(text: str, limit_chars: int) -> str:
    """``text`` cleaned and, where longer than the limit, without its middle."""
    if len(text) > limit_chars:
        half = limit_chars // 2
        gap = len(text) - 2 * half
        text = f"{text[:half]}\n[... {gap} characters left out ...]\n{text[-half:]}"
    return clean(text)
