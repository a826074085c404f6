"""Runs all items first, without the protocol's hook, and reports them afterwards."""

import pytest
from _pytest.runner import runtestprotocol


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    run = [(item, runtestprotocol(item, nextitem=None, log=False)) for item in session.items]
    for item, reports in reversed(run):
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
    return True
