"""Modules that share something do not overlap, and nobody else waits for that."""

import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from end_to_end import sharing


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return sharing.lay_out(tmp_path / "suite", port=port)


def check_locked(ran: sharing.Ran) -> None:
    assert ran.code == 0, ran.text
    assert len(ran.spans) == sharing.MODULES
    assert ran.conflicts() == []
    unrelated = [
        {one.resource, two.resource} for one, two in ran.overlaps() if one.resource != two.resource
    ]
    # The three resources do not wait for each other, either.
    for pair in ({"port", "database"}, {"port", "private"}, {"database", "file"}):
        assert pair in unrelated, f"{pair} never ran at the same time"


def test_what_shares_a_resource_never_overlaps(suite: Path) -> None:
    first = sharing.run(suite, "--no-cache")
    check_again = sharing.run(suite, "--no-cache")

    assert first.code == 0, first.text
    assert first.conflicts() == []
    check_locked(check_again)


def test_two_runs_at_the_same_time_do_not_disturb_each_other(suite: Path) -> None:
    # From here on it is known what the modules share.
    sharing.run(suite, "--no-cache")

    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(sharing.run, suite, "--no-cache") for _ in range(2)]

    for ran in (each.result() for each in runs):
        assert ran.code == 0, ran.text
        assert len(ran.spans) == sharing.MODULES


def test_without_locks_they_disturb_each_other(suite: Path) -> None:
    ran = sharing.run(suite, "--no-cache", "--no-locks")

    assert ran.code == 1, ran.text
    assert ran.conflicts() != []


@pytest.mark.slow
def test_it_holds_time_and_again(suite: Path) -> None:
    sharing.run(suite, "--no-cache")

    for _ in range(5):
        check_locked(sharing.run(suite, "--no-cache"))
