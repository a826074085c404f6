import pytest


@pytest.fixture
def late():
    return "late"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if item.name == "test_turned_into_a_skip" and report.when == "call":
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 1, "Skipped: by a plugin")
    return report


def pytest_report_teststatus(report):
    if report.when == "call" and report.nodeid.endswith("test_own_word"):
        return "passed", "o", "OWN"
    return None
