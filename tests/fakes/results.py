"""Keys, inputs and results for tests of the cache."""

from collections.abc import Iterable, Mapping
from hashlib import sha256

from iopio_async.cache.entries import digest_of
from iopio_async.cache.ports import Clean
from iopio_async.model.outcome import ModuleStatus
from iopio_async.model.stats import ModuleStats
from iopio_async.model.trace import Input, InputKind, Level, StoredResult, Trace

NOW_S = 1_000_000.0
HOUR_S = 3600.0

MODULE = "tests/test_a.py"
EVENTS = b'[{"event":"test_finished"}]'


def digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def key(number: int = 0) -> str:
    return digest(f"key {number}")


def file(subject: str, content: str = "content") -> Input:
    return Input(InputKind.FILE, subject, digest(content))


def source(subject: str, content: str = "content", **scopes: str) -> Input:
    """A source; ``scopes`` are contents of functions, ``module`` being the module itself."""
    named = {("<module>" if name == "module" else name): scopes[name] for name in scopes}
    pairs = tuple((name, digest(text)) for name, text in named.items())
    return Input(InputKind.SOURCE, subject, digest(content), pairs)


def result(
    *inputs: Input,
    executed_at_s: float = NOW_S - HOUR_S,
    expires_at_s: float = NOW_S + HOUR_S,
    events: bytes = b"",
    level: Level = Level.PRECISE,
    reasons: Iterable[str] = (),
) -> StoredResult:
    return StoredResult(
        trace=Trace(level=level, inputs=inputs, reasons=tuple(reasons)),
        events=digest_of(events) if events else "",
        executed_at_s=executed_at_s,
        expires_at_s=expires_at_s,
        duration_s=0.5,
    )


def passed(module: str = MODULE) -> ModuleStats:
    return ModuleStats(module, status=ModuleStatus.PASSED, attempts=1)


def clean(stored: StoredResult, module: str = MODULE) -> Clean:
    judged = Clean.judged(passed(module), stored)
    assert isinstance(judged, Clean), judged
    return judged


class World:
    """Inputs as they are now: contents of files by their names."""

    def __init__(
        self,
        contents: Mapping[str, str] | None = None,
        scopes: Mapping[str, Mapping[str, str] | None] | None = None,
    ) -> None:
        self.contents = dict(contents or {})
        self.scopes = dict(scopes or {})
        self.asked: list[str] = []

    def current(self, given: Input) -> str | None:
        self.asked.append(given.subject)
        content = self.contents.get(given.subject)
        return "absent" if content is None else digest(content)

    def scopes_of(self, subject: str) -> Mapping[str, str] | None:
        self.asked.append(f"functions of {subject}")
        now = self.scopes.get(subject)
        return None if now is None else {name: digest(text) for name, text in now.items()}
