"""Does this stream prove that its module ran as planned? The pass certificate, checked.

A process that exits with 0 proves nothing: ``os._exit(0)`` inside a test does that too. So an
attempt is believed only with a plan, exactly one ``Finished`` for each planned test, an ``End``
whose counts and checksum agree, and exit status 0 on top. :class:`Certificate` reads the messages
as they come, refuses whatever can't be an honest stream, and keeps what is needed to say what
happened where the proof is incomplete.
"""

from iopio_async.errors import ProtocolError
from iopio_async.model.action import SCHEMA_VERSION
from iopio_async.model.outcome import BAD_OUTCOMES, Failure, Outcome
from iopio_async.wire import messages as msg
from iopio_async.wire.frames import checksum

_MANGLED = "something else wrote into the worker's result descriptor"


class Certificate:
    """The state of one attempt's stream.

    ``ids`` is the plan; ``outcomes`` holds each test's outcome, ``None`` while there is none;
    ``in_flight`` the index of the test that started last and has not finished. Where other
    processes run a part of the plan, that part is ``elsewhere``: its outcomes are not waited for.
    ``scopes`` are as in ``messages.Plan``, those that are not 0, by id. ``owners`` has the number
    of the module of each planned test, where there are several modules.
    """

    def __init__(self) -> None:
        self.hello: msg.Hello | None = None
        self.ids: list[str] = []
        self.outcomes: list[Outcome | None] = []
        self.planned = False
        self.deselected = 0
        self.foreign_collectors = False
        self.scopes: dict[str, int] = {}
        self.collectors = 0
        self.owners: list[int] = []
        self.elsewhere: frozenset[int] = frozenset()
        self.shared: msg.Shared | None = None
        self.in_flight: int | None = None
        self.finished = 0
        self.notes: list[Failure] = []
        self.end: msg.End | None = None
        self._digest = 0

    @property
    def complete(self) -> bool:
        """The plan is whole, the end is there, and every planned test has its outcome."""
        expected = len(self.ids) - len(self.elsewhere)
        return self.planned and self.end is not None and self.finished == expected

    @property
    def own_ids(self) -> list[str]:
        """The part of the plan that this process runs."""
        if not self.elsewhere:
            return self.ids
        return [test for index, test in enumerate(self.ids) if index not in self.elsewhere]

    @property
    def any_bad(self) -> bool:
        """At least one finished test makes the run red."""
        return any(outcome in BAD_OUTCOMES for outcome in self.outcomes if outcome is not None)

    def unfinished(self) -> list[int]:
        """Indices of planned tests without an outcome, in order."""
        return [
            index
            for index, outcome in enumerate(self.outcomes)
            if outcome is None and index not in self.elsewhere
        ]

    def accept(self, message: msg.AnyMessage, body: bytes) -> None:
        """Take the next message of the stream, and the bytes that it was decoded from.

        Raises:
            ProtocolError: no honest worker sends this message at this point.
        """
        if self.end is not None:
            raise ProtocolError("the worker's stream goes on after its end", hint=_MANGLED)
        if self.hello is None and not isinstance(message, msg.Hello):
            raise ProtocolError("the worker's stream does not begin with a greeting", hint=_MANGLED)
        match message:
            case msg.Finished(index=index):
                self._check_running(index)
                if self.outcomes[index] is not None:
                    raise ProtocolError(f"test {self.ids[index]} finished twice", hint=_MANGLED)
                if message.outcome is Outcome.NOT_RUN:
                    raise ProtocolError(f"test {self.ids[index]} finished as not run")
                self.outcomes[index] = message.outcome
                self.finished += 1
                if self.in_flight == index:
                    self.in_flight = None
            case msg.Started(index=index):
                self._check_running(index)
                if self.outcomes[index] is not None:
                    raise ProtocolError(f"test {self.ids[index]} started after it had finished")
                self.in_flight = index
            case msg.Plan():
                self._plan(message)
            case msg.Note():
                self.notes.append(message.failure)
            case msg.Hello():
                if self.hello is not None:
                    raise ProtocolError("the worker greeted twice", hint=_MANGLED)
                if message.schema_version != SCHEMA_VERSION:
                    raise ProtocolError(f"the worker speaks schema {message.schema_version}")
                self.hello = message
            case msg.Shared():
                self.shared = message
            case msg.End():
                if message.digest != self._digest or message.finished != self.finished:
                    raise ProtocolError("the worker's closing counts do not agree", hint=_MANGLED)
                self.end = message
            case _:
                pass
        self._digest = checksum(body, self._digest)

    def _plan(self, message: msg.Plan) -> None:
        if self.planned:
            raise ProtocolError("the worker planned twice", hint=_MANGLED)
        tied = zip(message.ids, message.scopes, strict=False)
        self.scopes.update((test, scope) for test, scope in tied if scope)
        self.ids.extend(message.ids)
        self.owners.extend(message.owners or [0] * len(message.ids))
        self.outcomes.extend([None] * len(message.ids))
        self.planned = message.last
        self.deselected += message.deselected
        self.foreign_collectors |= message.foreign_collectors
        self.collectors += message.collectors
        if message.elsewhere:
            count = len(self.ids)
            if not all(0 <= start <= end <= count for start, end in message.elsewhere):
                raise ProtocolError("the worker leaves out tests beyond its plan", hint=_MANGLED)
            spans = (range(start, end) for start, end in message.elsewhere)
            self.elsewhere = frozenset(index for span in spans for index in span)

    def _check_running(self, index: int) -> None:
        if not self.planned:
            raise ProtocolError("a test was reported before the plan was complete", hint=_MANGLED)
        if not 0 <= index < len(self.ids):
            raise ProtocolError(f"test {index} was never planned", hint=_MANGLED)
        if index in self.elsewhere:
            raise ProtocolError(f"test {self.ids[index]} is run elsewhere", hint=_MANGLED)
