"""The figures of earlier sessions: a folder with a JSON file for each kind of machine."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from iopio_async import state
from iopio_async.errors import UsageError

#: Figures that are kept of one test, the latest.
KEPT_FIGURES = 50

#: The name of a test's duration among its figures.
DURATION = "duration"

_VERSION = 1


class Figures:
    """What is known of the tests on one kind of machine; ``label`` says which.

    Raises:
        UsageError: the file is there, and can't be used.
    """

    def __init__(self, folder: str, machine: str, label: str) -> None:
        self._file = os.path.join(folder, f"{machine}.json")
        self._label = label
        self._series = self._load()

    def of(self, test: str, name: str, unit: str) -> Sequence[float]:
        """The figures of earlier sessions, oldest first; those in another unit are not among."""
        series = self._series.get(test, {}).get(name)
        return series["values"] if series is not None and series["unit"] == unit else ()

    def add(self, figures: Mapping[tuple[str, str], tuple[float, str]]) -> None:
        """Add this session's figures, by test and name, to what is there by now.

        Raises:
            OSError: they can't be written.
        """
        os.makedirs(os.path.dirname(self._file), exist_ok=True)
        self._series = self._load()
        for (test, name), (value, unit) in figures.items():
            earlier = list(self.of(test, name, unit))
            values = [*earlier, value][-KEPT_FIGURES:]
            self._series.setdefault(test, {})[name] = {"unit": unit, "values": values}
        document = {"version": _VERSION, "machine": self._label, "tests": self._series}
        text = json.dumps(document, indent=1, sort_keys=True)
        state.write_atomically(self._file, text.encode("utf-8", "surrogateescape"))

    def _load(self) -> dict[str, dict[str, Any]]:
        hint = "remove it, or name another folder by --perf-storage-dir"
        try:
            with open(self._file, encoding="utf-8", errors="surrogateescape") as file:
                document = json.load(file)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise UsageError(f"{self._file}: {error.strerror or error}", hint=hint) from error
        except ValueError as error:
            raise UsageError(f"{self._file} holds no figures: {error}", hint=hint) from error
        if not _is_sound(document):
            raise UsageError(f"{self._file} holds no figures of this version", hint=hint)
        series: dict[str, dict[str, Any]] = document["tests"]
        return series


def _is_sound(document: Any) -> bool:
    try:
        return bool(document["version"] == _VERSION) and all(
            isinstance(series["unit"], str)
            and all(0 <= value < math.inf for value in series["values"])
            for figures in document["tests"].values()
            for series in figures.values()
        )
    except (AttributeError, KeyError, TypeError):
        return False
