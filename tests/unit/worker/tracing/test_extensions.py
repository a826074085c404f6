"""Compiled modules and libraries: which are trusted."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from iopio_async.wire.observations import IMPURE, OPAQUE, READ
from iopio_async.worker.tracing import extensions

SITE = "/venv/lib/site-packages"


@pytest.mark.parametrize(
    ("name", "file", "letters"),
    [
        ("numpy.core._multiarray", f"{SITE}/numpy/core/_multiarray.so", {READ}),
        # Some are loaded by the last part of their names.
        ("_speedups", f"{SITE}/markupsafe/_speedups.so", {READ}),
        ("a1b2__mypyc", f"{SITE}/a1b2__mypyc.so", {READ}),
        ("lxml.etree", f"{SITE}/lxml/etree.so", {READ, OPAQUE}),
        ("psycopg2._psycopg", f"{SITE}/psycopg2/_psycopg.so", {READ, IMPURE}),
        ("_json", os.path.join(os.path.dirname(os.__file__), "lib-dynload/_json.so"), set()),
    ],
)
def test_compiled_modules(
    told: Callable[[], Any], name: str, file: str, letters: set[bytes]
) -> None:
    extensions.loaded(name, file)
    assert {letter for letter, _ in told()} == letters


def test_the_projects_own_are_read(told: Callable[[], Any]) -> None:
    file = os.path.join(os.getcwd(), "pkg", "fast.so")
    extensions.loaded("pkg.fast", file)
    assert told() == [(READ, (os.fsencode(file),))]


def test_the_tables_do_not_contradict_each_other() -> None:
    assert not extensions.HARMLESS & extensions.CLIENTS


@pytest.mark.parametrize(
    ("library", "letters"),
    [
        (None, []),
        ("libc.so.6", []),
        ("libm.so.6", []),
        ("libproj.so", [OPAQUE]),
        ("/opt/lib/libx.so", [READ, OPAQUE]),
    ],
)
def test_shared_libraries(
    told: Callable[[], Any], library: str | None, letters: list[bytes]
) -> None:
    extensions.library_opened((library,))
    assert [letter for letter, _ in told()] == letters
