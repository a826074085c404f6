"""Which connections can be repeated."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iopio_async.wire.observations import BIND, CONNECT, IMPURE
from iopio_async.worker.tracing import network


@pytest.mark.parametrize(
    ("host", "loopback", "numeric"),
    [
        ("localhost", True, False),
        ("127.0.0.1", True, True),
        ("127.9.9.9", True, True),
        ("::1", True, True),
        ("", True, False),
        ("10.0.0.1", False, True),
        ("fe80::1", False, True),
        ("127.example.org", False, False),
        ("example.org", False, False),
        ("a.localhost", True, False),
    ],
)
def test_hosts(host: str, loopback: bool, numeric: bool) -> None:
    assert network.is_loopback(host) is loopback
    assert network.is_numeric(host) is numeric


def test_look_ups(told: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "test_a.py::test_b (call)")
    for host in (None, "", "localhost", b"127.0.0.1", "10.0.0.1", ("::1", 80)):
        network.looked_up((host, 80))
    assert told() == []
    network.looked_up((b"example.org", 80))
    assert told() == [(IMPURE, (b"looks up example.org in test_a.py::test_b",))]


@pytest.mark.parametrize(
    ("hosts", "sources", "files"),
    [
        ("127.0.1.1 here.example.org here\n", "", ["hosts"]),
        ("::1 localhost\n", "hosts: files myhostname dns # as it is\n", ["hosts", "sources"]),
        ("1.2.3.4 other # here\n", "hosts: files dns myhostname\n", []),
        ("", "", []),
    ],
)
def test_the_name_of_this_machine(
    told: Callable[[], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hosts: str,
    sources: str,
    files: list[str],
) -> None:
    named = os.uname_result(("Linux", "Here.example.org", "1", "1", "x"))
    monkeypatch.setattr(os, "uname", lambda: named)
    for name, text in (("hosts", hosts), ("sources", sources)):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(network, name.upper(), str(tmp_path / name))
    network.looked_up(("here",))
    network.looked_up(("other",))
    reasons = [] if files else [b"looks up here"]
    read = files or ["hosts", "sources"]
    assert [fields[0].partition(b" in ")[0] for _, fields in told()] == [
        *(os.fsencode(tmp_path / name) for name in read),
        *reasons,
        b"looks up other",
    ]


def test_connections_to_others(told: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)
    for address in (("10.0.0.1", 5432), "/run/service", ("::1", 1, 0, 0)):
        network.connected((None, address))
    # What is on this machine may be another module's, too.
    assert told() == [
        (IMPURE, (b"connects to 10.0.0.1:5432",)),
        (IMPURE, (b"connects to /run/service",)),
        (CONNECT, (b"/run/service",)),
        (IMPURE, (b"connects to ::1:1",)),
        (CONNECT, (b"1",)),
    ]


def test_what_is_bound(told: Callable[[], Any]) -> None:
    private = os.path.normpath(os.path.join(os.getcwd(), "..", "private", "socket"))
    for address in (("127.0.0.1", 8000), ("::", 0, 0, 0), "a.sock", b"\0abstract", private, (1, 2)):
        network.bound((None, address))
    assert told() == [
        (BIND, (b"8000",)),
        (BIND, (b"0",)),
        (BIND, (os.fsencode(os.path.join(os.getcwd(), "a.sock")),)),
    ]


def test_connections_within(told: Callable[[], Any]) -> None:
    private = os.path.join(os.getcwd(), "..", "private", "socket")
    for address in (None, os.path.normpath(private), b"\0abstract", "", (0, 0)):
        network.connected((None, address))
    with socket.create_server(("127.0.0.1", 0)) as server:
        network.connected((None, server.getsockname()))
    assert told() == []


def test_a_listener_of_a_child_is_within(told: Callable[[], Any]) -> None:
    reading, writing = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        child = os.fork()
        if child == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(0)
    # Only the child holds it now; without a mark in its environment it is somebody else's.
    network.connected((None, address))
    os.close(writing)
    os.waitpid(child, 0)
    os.close(reading)
    assert [letter for letter, _ in told()] == [IMPURE, CONNECT]
