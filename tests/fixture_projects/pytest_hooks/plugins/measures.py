"""Has the options of a plugin that measures coverage: too little of it fails the session."""


def pytest_addoption(parser):
    group = parser.getgroup("measures")
    group.addoption("--cov", dest="cov_source", action="append", default=[])
    group.addoption("--cov-report", dest="cov_report", default={"term": None})
    group.addoption("--cov-fail-under", dest="cov_fail_under", type=float)


def pytest_sessionfinish(session):
    if session.config.option.cov_fail_under:
        session.exitstatus = 1
