"""What ``--cache-tests`` tells the user: one line at the end, and warnings."""

from collections import Counter
from typing import Any

import pytest

from iopio_async.reporting.wording import counted

#: Under this name workers of pytest-xdist tell of their tests.
TOLD = "iopio_tests"

#: A reason why results are not kept that is longer is cut.
_REASON_CHARS = 200

#: So many things that changed are told.
_MOST_CHANGES = 10


class Telling:
    """What is told to the user: one line at the end, and warnings."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._warnings: dict[str, None] = {}
        self._replayed = self._executed = 0
        self._refused: dict[str, str] = {}
        #: What changed, and for how many tests.
        self._changes: Counter[str] = Counter()
        self.hindrance = ""

    def warn(self, message: str) -> None:
        """Tell of something at the end."""
        self._warnings[message] = None

    def note_change(self, change: str) -> None:
        """A test runs again because of this."""
        self._changes[change] += 1

    def note(self, replayed: int, executed: int, refused: dict[str, str]) -> None:
        """Tests of this process, or of a worker, are over."""
        self._replayed += replayed
        self._executed += executed
        self._refused.update(refused)
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[TOLD] = {
                "replayed": self._replayed,
                "executed": self._executed,
                "refused": self._refused,
                "changes": dict(self._changes),
                "warnings": list(self._warnings),
            }

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Note what a worker of pytest-xdist tells."""
        told = getattr(node, "workeroutput", {}).get(TOLD)
        if told is not None:
            self.note(told["replayed"], told["executed"], told["refused"])
            self._warnings.update(dict.fromkeys(told["warnings"]))
            # Each worker looks at all tests.
            self._changes |= Counter(told["changes"])

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was replayed, and with ``-v`` why results are not kept."""
        if self.hindrance:
            terminalreporter.write_line(f"iopio: no test is replayed: {self.hindrance}")
            return
        total = self._replayed + self._executed
        terminalreporter.write_line(f"iopio: {self._replayed} of {total} tests replayed")
        for message in self._warnings:
            terminalreporter.write_line(f"iopio: warning: {message}")
        if self._config.option.verbose > 0:
            for change, count in self._changes.most_common(_MOST_CHANGES):
                tests = counted(count, "test")
                terminalreporter.write_line(f"iopio: run again: {tests}: {change}")
            for test, reason in self._refused.items():
                terminalreporter.write_line(f"iopio: not kept: {test}: {reason[:_REASON_CHARS]}")
