"""A worker's messages → events of one attempt, with the certificate kept on the way."""

from collections.abc import Callable, Iterable

from iopio_async.errors import ProtocolError
from iopio_async.execution.ports import Gone
from iopio_async.history.timings import Collected
from iopio_async.model import events as ev
from iopio_async.model.action import Action
from iopio_async.model.config import ModuleSettings
from iopio_async.model.module import TestModule
from iopio_async.model.outcome import (
    BAD_OUTCOMES,
    BAD_STATUSES,
    Failure,
    ModuleStatus,
    Outcome,
)
from iopio_async.orchestration.judgement import Judgement, judge
from iopio_async.wire import messages as msg
from iopio_async.wire.certificate import Certificate


class Narration:
    """Tells one attempt as events.

    ``certificate`` is its proof so far; ``protocol_error`` is set at the first message that no
    honest worker sends, and nothing is told after it. ``current`` is the test that started last,
    ``bad_tests`` and ``good_tests`` the ids of those that make the run red and of those that don't.
    ``failed`` counts failures. ``final`` says that no other attempt will follow, whatever comes.
    """

    def __init__(self, module: TestModule, attempt: int, *, final: bool = True) -> None:
        self.module = module
        self.path = module.path
        self._attempt = attempt
        self._final = final
        self.failed = 0
        self._counted = 0
        self._lost_beside = False
        self.certificate = Certificate()
        self.protocol_error: ProtocolError | None = None
        self.current = ""
        self.bad_tests: list[str] = []
        self.good_tests: list[str] = []

    @property
    def bad(self) -> bool:
        """Something went wrong, of what the stream tells or does not tell."""
        return bool(self.bad_tests) or self._lost_beside or not self.certificate.planned

    def adapted(self, action: Action) -> Action:
        """The action that its process is to be given."""
        return action

    def timeout_s(self, settings_of: Callable[[str], ModuleSettings]) -> float | None:
        """The time limit of its process."""
        return settings_of(self.path).timeout_s

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of the modules that it tells of."""
        return (self.path,)

    def slow(self, running_s: float) -> list[ev.AnyEvent]:
        """What is to be told where the attempt has been running for so long."""
        return [
            ev.ModuleSlow(
                module=self.path,
                attempt=self._attempt,
                running_s=round(running_s, 3),
                test=self.current,
            )
        ]

    def started(self, slot: int, pid: int) -> list[ev.AnyEvent]:
        """The events of the start of its process."""
        return [ev.AttemptStarted(module=self.path, attempt=self._attempt, slot=slot, pid=pid)]

    def tell(self, batch: Iterable[tuple[msg.AnyMessage, bytes]]) -> list[ev.AnyEvent]:
        """The events of a batch of messages."""
        told: list[ev.AnyEvent] = []
        certificate, path, attempt = self.certificate, self.path, self._attempt
        for message, body in batch:
            if self.protocol_error is not None:
                break
            try:
                certificate.accept(message, body)
            except ProtocolError as error:
                self.protocol_error = error
                break
            match message:
                case msg.Finished():
                    told.append(self._finished(message))
                case msg.Started(index=index):
                    self.current = certificate.ids[index]
                    told.append(ev.TestStarted(module=path, attempt=attempt, id=self.current))
                case msg.Plan(last=True):
                    told.append(
                        ev.TestsCollected(
                            module=path,
                            attempt=attempt,
                            count=len(certificate.ids),
                            deselected=certificate.deselected,
                            foreign_collectors=certificate.foreign_collectors,
                        )
                    )
                case msg.Warned():
                    told.append(
                        ev.WarningIssued(
                            message=message.message,
                            category=message.category,
                            module=path,
                            test=message.test,
                            path=message.path,
                            line=message.line,
                        )
                    )
                case _:
                    pass
        return told

    def _finished(self, message: msg.Finished) -> ev.TestFinished:
        test = self.certificate.ids[message.index]
        if message.outcome in BAD_OUTCOMES:
            self.bad_tests.append(test)
            self.failed += 1
        else:
            self.good_tests.append(test)
        return ev.TestFinished(
            module=self.path,
            attempt=self._attempt,
            id=test,
            outcome=message.outcome,
            duration_s=message.duration_s,
            call_s=message.call_s,
            reason=message.reason,
            failures=message.failures,
            sections=message.sections,
            properties=message.properties,
            subtests=message.subtests,
            reruns=message.reruns,
            line=message.line,
        )

    def conclude(self, gone: Gone) -> tuple[Judgement, list[ev.AnyEvent]]:
        """Judge the attempt; the events that complete it.

        The test in flight of an attempt that was lost counts as failed, unless iopio was asked to
        stop it; the planned tests behind it count as not run.
        """
        certificate = self.certificate
        judgement = judge(certificate, gone, attempt=self._attempt)
        told: list[ev.AnyEvent] = []
        in_flight = certificate.in_flight
        unfinished = certificate.unfinished()
        if judgement.status in BAD_STATUSES:
            blamed = None if gone.stopped else in_flight
            told.extend(
                self._lost(index, judgement, blamed=index == blamed) for index in unfinished
            )
        self._lost_beside = judgement.status is ModuleStatus.ERROR or (
            judgement.status is not ModuleStatus.FAILED and not unfinished
        )
        for stream, captured in (("stdout", gone.stdout), ("stderr", gone.stderr)):
            if captured.total_bytes:
                told.append(
                    ev.OutputCaptured(
                        module=self.path, attempt=self._attempt, stream=stream, captured=captured
                    )
                )
        told.append(
            ev.AttemptFinished(
                module=self.path,
                attempt=self._attempt,
                status=judgement.status,
                duration_s=round(gone.duration_s, 6),
                exit_status=gone.exit_status,
                failure=judgement.failure,
                in_flight=certificate.ids[in_flight] if in_flight is not None else "",
                stacks=gone.stacks,
                cpu_s=round(gone.cpu_s, 6),
                peak_rss_bytes=gone.peak_rss_bytes,
                setups_s=certificate.shared.setups_s if certificate.shared else (),
            )
        )
        return judgement, told

    def _lost(self, index: int, judgement: Judgement, *, blamed: bool) -> ev.TestFinished:
        test = self.certificate.ids[index]
        self.bad_tests.append(test)
        self.failed += blamed
        reason = judgement.failure.message if judgement.failure else "it never had its turn"
        return ev.TestFinished(
            module=self.path,
            attempt=self._attempt,
            id=test,
            outcome=Outcome.FAILED if blamed else Outcome.NOT_RUN,
            duration_s=0.0,
            reason="" if blamed else reason,
            failures=(Failure(f"{judgement.status}: {reason}"),) if blamed else (),
        )

    def take_final_failures(self, status: ModuleStatus | None = None) -> int:
        """How many failures have come that no other attempt can heal; each is counted once.

        Tests that were not run are none. With the attempt's ``status``, an attempt that failed
        without a failing test counts as one.
        """
        if not self._final:
            return 0
        total = self.failed
        if status in BAD_STATUSES and not total:
            total = 1
        more, self._counted = total - self._counted, total
        return more

    def collected(self) -> Collected:
        """What the process told of its tests."""
        certificate, shared = self.certificate, self.certificate.shared
        return Collected(
            scopes=certificate.scopes,
            shared_s=sum(taken_s for _, taken_s in shared.setups_s) if shared else 0.0,
            whole=shared is not None and shared.hidden,
        )

    def retry_selectors(self) -> tuple[str, ...]:
        """What another attempt should run: the tests by name, or ``()`` for the whole module.

        A module that could not be collected, or lost something beside its tests, runs whole.
        """
        if self._lost_beside or not self.certificate.planned:
            return ()
        if any("::" not in test for test in self.bad_tests):
            return ()
        return tuple(dict.fromkeys(self.bad_tests))
