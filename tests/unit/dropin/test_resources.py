"""What single callables claim, by their source."""

import os
from pathlib import Path

from iopio_async.dropin.resources import Resources, between_processes, between_threads
from iopio_async.model.module import Claim, Reach

DATABASE = "shared.db"


def _connects() -> None:
    import sqlite3

    sqlite3.connect(DATABASE)


def _touches_by_a_helper() -> None:
    _connects()


class _Case:
    def touches(self) -> None:
        _connects()


def _changes_the_environment() -> None:
    os.environ["COLOUR"] = "red"


def _touches_nothing() -> None:
    assert DATABASE


def test_claims_of_callables() -> None:
    resources = Resources(str(Path(__file__).resolve().parent))
    direct, helped, method, environment, *nothing = resources.of_functions(
        [
            *(_connects, _touches_by_a_helper, _Case().touches, _changes_the_environment),
            *(_touches_nothing, print, eval("lambda: open('x', 'w')")),
        ]
    )
    names = {claim.resource for claim in direct}
    assert any("shared.db" in name for name in names)
    for claims in (helped, method):
        assert {claim.resource for claim in claims} == names
    assert {claim.scope for claim in environment} == {Reach.PROCESS}
    assert nothing == [(), (), ()]


def test_what_binds_between_whom() -> None:
    machine, process = Claim("port:80"), Claim("environ", scope=Reach.PROCESS)
    claims = {"a": (machine, process), "b": (machine, process), "c": ()}
    assert between_processes(claims) == {"a": (machine,), "b": (machine,), "c": ()}
    assert between_threads(claims) == claims
