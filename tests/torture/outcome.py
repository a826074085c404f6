"""What a run said, read from its stream of events, and put in order for the tests to ask."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]


@dataclass(kw_only=True)
class Module:
    """What a run said of one module; ``tests`` maps the ids' second part to outcomes."""

    path: str
    status: str = ""
    message: str = ""
    in_flight: str = ""
    stacks: str = ""
    stdout: str = ""
    stderr: str = ""
    stdout_bytes: int = 0
    tests: dict[str, str] = field(default_factory=dict)
    finished: list[Event] = field(default_factory=list)
    attempt: Event = field(default_factory=dict)

    @property
    def verdict(self) -> tuple[str, dict[str, str]]:
        """All that must be the same the next time."""
        return self.status, self.tests

    def test(self, name: str) -> Event:
        """The event that told the outcome of a test."""
        return next(event for event in self.finished if _short(event["id"]) == name)


@dataclass(kw_only=True)
class Outcome:
    """A run that is over."""

    code: int
    stdout: bytes
    stderr: str
    wall_s: float
    events: list[Event]

    @property
    def kinds(self) -> list[str]:
        """The names of the events, in order."""
        return [event["event"] for event in self.events]

    def of(self, kind: str, **fields: object) -> list[Event]:
        """The events of a kind, with these values."""
        return [event for event in self.events if matches(event, kind, fields)]

    @property
    def warnings(self) -> list[str]:
        """The messages of iopio's own warnings."""
        return [event["message"] for event in self.of("warning_issued", category="iopio")]

    @property
    def verdicts(self) -> dict[str, tuple[str, dict[str, str]]]:
        """What must be the same the next time, by module."""
        planned = [event["module"] for event in self.of("module_planned")]
        return {path: self.module(path).verdict for path in sorted(planned)}

    def module(self, path: str) -> Module:
        """What was said of a module."""
        module = Module(path=path)
        for event in self.events:
            if event.get("module") != path:
                continue
            match event["event"]:
                case "test_finished":
                    module.tests[_short(event["id"])] = event["outcome"]
                    module.finished.append(event)
                case "output_captured":
                    captured = event["captured"]
                    text = captured.get("head", "") + captured.get("tail", "")
                    setattr(module, event["stream"], text)
                    if event["stream"] == "stdout":
                        module.stdout_bytes = captured["total_bytes"]
                case "attempt_finished":
                    module.attempt = event
                    module.in_flight = event.get("in_flight", "")
                    module.stacks = event.get("stacks", "")
                case "module_finished":
                    module.status = event["status"]
                    module.message = event.get("failure", {}).get("message", "")
        return module


def matches(event: Event, kind: str, fields: Mapping[str, object]) -> bool:
    """True where an event is of a kind and has these values."""
    return event["event"] == kind and all(event.get(name) == fields[name] for name in fields)


def _short(test_id: str) -> str:
    return test_id.partition("::")[2] or test_id


def event_lines(stdout: bytes) -> list[bytes]:
    """The lines of standard output that hold events."""
    return [line for line in stdout.splitlines() if line.startswith(b'{"seq"')]


def read_events(lines: Iterable[bytes]) -> list[Event]:
    """Parse lines of the event stream; their numbers must rise."""
    envelopes = [json.loads(line) for line in lines]
    numbers = [envelope["seq"] for envelope in envelopes]
    assert numbers == sorted(set(numbers))
    times = [envelope["elapsed_s"] for envelope in envelopes]
    assert times == sorted(times)
    return [{**envelope["event"], "at_s": envelope["elapsed_s"]} for envelope in envelopes]
