"""Which tests of a module belong together, and what is set up once for many of them.

Whoever runs a module in several processes must not separate tests that share a fixture of the
module, nor those whose marks say that one needs the other: they get the same number. Fixtures of
the session or the package are set up again in every process; what that costs is measured here. A
fixture of a class needs no number: the tests of a class stay together by their ids.
"""

import time
from collections.abc import Generator, Hashable, Iterator, Sequence
from typing import Any

import pytest

#: Marks of well-known plugins whose tests need each other, and one that names those that do.
TYING_MARKS = frozenset({"dependency", "incremental", "order"})
GROUP_MARK = "xdist_group"

#: Scopes of fixtures that all tests of a process may share.
_WIDE_SCOPES = frozenset({"session", "package"})


class SharedFixtures:
    """Numbers the tests, and measures what is set up once.

    ``setups_s`` are seconds by fixture, those of the fixtures that it had set up for it not
    included. ``hidden`` says that a fixture of the module was asked for without any test's
    signature telling so.
    """

    def __init__(self) -> None:
        self.setups_s: dict[str, float] = {}
        self.hidden = False
        self._known: set[int] = set()
        self._inner_s = [0.0]
        # Bound before any test can patch it.
        self._clock = time.perf_counter

    def numbers(self, items: Sequence[pytest.Item]) -> list[int]:
        """A number for each item, the same for those that belong together, 0 for one on its own."""
        leaders: dict[Hashable, Hashable] = {}

        def leader(key: Hashable) -> Hashable:
            while leaders[key] != key:
                leaders[key] = leaders[leaders[key]]
                key = leaders[key]
            return key

        keys_of: list[Hashable] = []
        by_fixtures: dict[int, tuple[Hashable, ...]] = {}
        for item in items:
            info = getattr(item, "_fixtureinfo", None)
            fixtures = by_fixtures.get(id(info))
            if fixtures is None:
                fixtures = by_fixtures[id(info)] = tuple(self._module_fixtures(info))
            first: Hashable = None
            for key in (*fixtures, *_ties(item)):
                leaders.setdefault(key, key)
                if first is None:
                    first = key
                else:
                    leaders[leader(key)] = leader(first)
            keys_of.append(first)
        numbers: dict[Hashable, int] = {}
        return [
            0 if key is None else numbers.setdefault(leader(key), len(numbers) + 1)
            for key in keys_of
        ]

    def _module_fixtures(self, info: Any) -> Iterator[Hashable]:
        for definitions in getattr(info, "name2fixturedefs", {}).values():
            for definition in definitions:
                if definition.scope == "module":
                    self._known.add(id(definition))
                    yield id(definition)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        """Measure what is set up for more than one test."""
        scope = fixturedef.scope
        if scope == "module" and id(fixturedef) not in self._known:
            self.hidden = True
        if scope not in _WIDE_SCOPES:
            return (yield)
        began_s = self._clock()
        self._inner_s.append(0.0)
        try:
            return (yield)
        finally:
            taken_s = self._clock() - began_s
            own_s = taken_s - self._inner_s.pop()
            self._inner_s[-1] += taken_s
            # Fixtures of the same name may stand in many conftests and modules.
            place = getattr(fixturedef, "baseid", "")
            name = f"{fixturedef.argname} of {place}" if place else str(fixturedef.argname)
            self.setups_s[name] = self.setups_s.get(name, 0.0) + own_s


def _ties(item: pytest.Item) -> Iterator[Hashable]:
    for mark in item.iter_markers():
        if mark.name in TYING_MARKS:
            yield mark.name
        elif mark.name == GROUP_MARK:
            yield (mark.name, repr(mark.args), repr(mark.kwargs))
