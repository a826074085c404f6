"""Several modules in one process, told as if each had one of its own.

The process writes one stream. Here it is taken apart: each module gets the messages that are about
it, in a stream that begins and ends as any other, and a narration of its own reads that. Its
attempt starts with its first test; it ends when the next module's tests begin, for only then is it
certain that it left the process in order. Whatever befalls the process befalls the module whose
turn it is.
Modules that had no turn by then are not told of at all: they run again, each by itself.

Time and CPU seconds of a module are what passed during its turn; the start of the session and the
collection count with the first module, the start and the end of the process with the last, and so
does what fixtures of the session took. The peak of memory is that of the process so far.
"""

from collections.abc import Callable, Iterable, Iterator

import msgspec

from iopio_async.errors import ProtocolError
from iopio_async.execution.ports import Gone
from iopio_async.model import events as ev
from iopio_async.model.action import SCHEMA_VERSION, Action
from iopio_async.model.config import ModuleSettings
from iopio_async.model.module import TestModule
from iopio_async.model.outcome import RETRIED_STATUSES, ExitStatus, ModuleStatus
from iopio_async.orchestration.judgement import Judgement
from iopio_async.orchestration.narration import Narration
from iopio_async.planning.batches import Batch
from iopio_async.wire import messages as msg
from iopio_async.wire.codec import encode_message
from iopio_async.wire.frames import checksum

#: Exit codes that say no more than what the tests came to.
_ORDINARY = frozenset({0, 1, 5})


class _Member:
    """One module of a batch. ``status`` is what its turn came to, once it is over."""

    def __init__(self, narration: Narration) -> None:
        self.narration = narration
        self.begun = False
        self.status: ModuleStatus | None = None
        self.judgement: Judgement | None = None
        #: Where its tests stand in the plan of the process.
        self.indices: list[int] = []
        self.pending: list[msg.AnyMessage] = []
        self._digest = 0
        self._finished = 0

    @property
    def complete(self) -> bool:
        """All its tests have had their turn."""
        return self._finished == len(self.indices)

    def hear(self, message: msg.AnyMessage) -> list[ev.AnyEvent]:
        """Give its narration a message; what that makes of it."""
        body = encode_message(message)
        self._digest = checksum(body, self._digest)
        self._finished += isinstance(message, msg.Finished)
        return self.narration.tell([(message, body)])

    def hear_the_end(self, exit_code: int, *, stopped_early: bool) -> None:
        """Close its stream."""
        self.hear(msg.End(self._finished, self._digest, exit_code, stopped_early))


class BatchNarration(Narration):
    """Tells the modules of a batch."""

    def __init__(self, batch: Batch, settings_of: Callable[[str], ModuleSettings]) -> None:
        super().__init__(batch.lead, 1, final=False)
        self.batch = batch
        self._settings_of = settings_of
        self._members = [
            _Member(Narration(module, 1, final=not settings_of(module.path).retries))
            for module in batch.modules
        ]
        #: Of each test of the plan: the module, and its place among that module's tests.
        self._places: list[tuple[_Member, int]] = []
        self._by_id: dict[str, _Member] = {}
        self._current: _Member | None = None
        self._over: list[_Member] = []
        self._slot = self._pid = 0
        self._used = self._told = msg.Used(0.0, 0.0, 0)

    # -- what the session asks of it -----------------------------------------------------------

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of the modules whose turn began."""
        return tuple(each.narration.path for each in self._members if each.begun)

    def adapted(self, action: Action) -> Action:
        """The action that the process is to be given."""
        paths = tuple(module.path for module in self.batch.modules)
        return msgspec.structs.replace(action, batch=paths)

    def timeout_s(self, settings_of: Callable[[str], ModuleSettings]) -> float | None:
        """The time limit of all modules together; ``None`` where one has none."""
        limits = [settings_of(module.path).timeout_s for module in self.batch.modules]
        known = [limit for limit in limits if limit is not None]
        return sum(known) if len(known) == len(limits) else None

    def started(self, slot: int, pid: int) -> list[ev.AnyEvent]:
        """Nothing is told of the start of the process: no module's turn has begun."""
        self._slot, self._pid = slot, pid
        return []

    def slow(self, running_s: float) -> list[ev.AnyEvent]:
        """What is to be told where the process has been running for so long."""
        return self._current.narration.slow(running_s) if self._current else []

    def take_over(self) -> list[tuple[Narration, Judgement]]:
        """The modules whose turn is over, each given once."""
        over, self._over = self._over, []
        return [(each.narration, each.judgement) for each in over if each.judgement is not None]

    def is_followed(self, path: str) -> bool:
        """The module's attempt, which is over, is to be followed by another one."""
        status = self._member(path).status
        return status in RETRIED_STATUSES and self._settings_of(path).retries > 0

    def left_of(self, module: TestModule) -> tuple[TestModule, int]:
        """What is to be run of a module by itself, and how often that may be run again then."""
        member = self._member(module.path)
        retries = self._settings_of(module.path).retries
        if member.status is None:
            return module, retries
        selectors = member.narration.retry_selectors()
        return msgspec.structs.replace(module, selectors=selectors), retries - 1

    def _member(self, path: str) -> _Member:
        return next(each for each in self._members if each.narration.path == path)

    def take_final_failures(self, status: ModuleStatus | None = None) -> int:
        """How many failures have come that no other attempt can heal; each is counted once."""
        del status
        return sum(
            each.narration.take_final_failures(each.status) for each in self._members if each.begun
        )

    # -- the stream ----------------------------------------------------------------------------

    def tell(self, batch: Iterable[tuple[msg.AnyMessage, bytes]]) -> list[ev.AnyEvent]:
        """The events of a batch of messages."""
        told: list[ev.AnyEvent] = []
        for message, body in batch:
            if self.protocol_error is not None:
                break
            try:
                self.certificate.accept(message, body)
            except ProtocolError as error:
                self.protocol_error = error
                break
            told += self._take(message)
        return told

    def _take(self, message: msg.AnyMessage) -> Iterator[ev.AnyEvent]:
        match message:
            case msg.Plan(last=True):
                self._plan()
            case msg.Started(index=index) | msg.Finished(index=index):
                member, place = self._places[index]
                if isinstance(message, msg.Started):
                    self.current = self.certificate.ids[index]
                    yield from self._turn_to(member)
                yield from self._begin(member)
                yield from member.hear(msgspec.structs.replace(message, index=place))
            case msg.Warned():
                member = self._member_of(message)
                if member.begun and member.status is None:
                    yield from member.hear(message)
                else:
                    member.pending.append(message)
            case msg.Used():
                self._used = message
            case _:
                pass

    def _plan(self) -> None:
        certificate = self.certificate
        for index, (test, owner) in enumerate(
            zip(certificate.ids, certificate.owners, strict=True)
        ):
            if not 0 <= owner < len(self._members):
                self.protocol_error = ProtocolError(f"test {test} is of none of the modules")
                return
            member = self._members[owner]
            self._places.append((member, len(member.indices)))
            self._by_id[test] = member
            member.indices.append(index)

    def _turn_to(self, member: _Member) -> Iterator[ev.AnyEvent]:
        """Another module's tests begin: those that are through have left the process in order."""
        if self._current is member:
            return
        self._current = member
        for other in self._members:
            if other is not member and other.begun and other.status is None and other.complete:
                other.hear_the_end(int(other.narration.certificate.any_bad), stopped_early=False)
                yield from self._conclude(other, _left_well())

    def _begin(self, member: _Member) -> Iterator[ev.AnyEvent]:
        if member.begun:
            return
        first = not any(each.begun for each in self._members)
        member.begun = True
        certificate, narration = self.certificate, member.narration
        for event in narration.started(self._slot, self._pid):
            assert isinstance(event, ev.AttemptStarted)
            yield msgspec.structs.replace(event, group=self.batch.group)
        ids = tuple(certificate.ids[index] for index in member.indices)
        yield from member.hear(msg.Hello(SCHEMA_VERSION, self._pid))
        yield from member.hear(
            msg.Plan(
                ids,
                last=True,
                # Of which module they were is not known.
                deselected=certificate.deselected if first else 0,
                foreign_collectors=certificate.foreign_collectors,
                scopes=tuple(certificate.scopes.get(test, 0) for test in ids),
            )
        )
        for message in member.pending:
            yield from member.hear(message)
        member.pending.clear()

    def _member_of(self, warned: msg.Warned) -> _Member:
        if warned.test in self._by_id:
            return self._by_id[warned.test]
        for member in self._members:
            if warned.path.endswith(f"/{member.narration.path}"):
                return member
        return self._current or self._members[0]

    # -- the end -------------------------------------------------------------------------------

    def conclude(self, gone: Gone) -> tuple[Judgement, list[ev.AnyEvent]]:
        """Judge the modules whose turn is not over; the events that complete them."""
        events = list(self._last_events(gone))
        judged = [each.judgement for each in self._members if each.judgement is not None]
        return judged[-1] if judged else Judgement(ModuleStatus.NOT_RUN), events

    def _last_events(self, gone: Gone) -> Iterator[ev.AnyEvent]:
        certificate, end = self.certificate, self.certificate.end
        self._used = msg.Used(
            max(gone.duration_s, self._used.elapsed_s),
            max(gone.cpu_s, self._used.cpu_s),
            max(gone.peak_rss_bytes, self._used.peak_rss_bytes),
        )
        well = certificate.planned and end is not None and gone.exit_status.ok and not gone.stopped
        if well:
            # The process went through all modules: those without tests were among them.
            for member in self._members:
                if not member.indices:
                    yield from self._begin(member)
        open_members = [each for each in self._members if each.begun and each.status is None]
        blamed = self._current if self._current in open_members else None
        blamed = blamed or (open_members[-1] if open_members else None)
        for member in open_members:
            if member is blamed:
                continue
            if member.complete:
                code = 5 if not member.indices else int(member.narration.certificate.any_bad)
                member.hear_the_end(code, stopped_early=False)
            yield from self._conclude(member, _left_well())
        if blamed is None:
            return
        for note in certificate.notes:
            blamed.hear(msg.Note(note))
        if certificate.shared is not None:
            blamed.hear(certificate.shared)
        if end is not None:
            blamed.hear_the_end(self._exit_code_of(blamed, end), stopped_early=end.stopped_early)
        yield from self._conclude(blamed, gone)

    def _exit_code_of(self, member: _Member, end: msg.End) -> int:
        """What the framework would have left with, had there been the last module alone."""
        unexplained = end.exit_code == 1 and not self.certificate.any_bad
        if end.exit_code not in _ORDINARY or unexplained:
            return end.exit_code
        if not member.indices:
            return 5
        return int(member.narration.certificate.any_bad)

    def _conclude(self, member: _Member, gone: Gone) -> Iterator[ev.AnyEvent]:
        used, told = self._used, self._told
        self._told = used
        gone = msgspec.structs.replace(
            gone,
            duration_s=max(used.elapsed_s - told.elapsed_s, 0.0),
            cpu_s=max(used.cpu_s - told.cpu_s, 0.0),
            peak_rss_bytes=used.peak_rss_bytes,
        )
        member.judgement, events = member.narration.conclude(gone)
        member.status = member.judgement.status
        self._over.append(member)
        yield from events


def _left_well() -> Gone:
    """How a process is to be thought of that goes on with another module."""
    return Gone(exit_status=ExitStatus(code=0), duration_s=0.0)
