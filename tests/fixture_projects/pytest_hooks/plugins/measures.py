"""Has the options of a plugin that measures coverage: too little of it fails the session.

Like its model it keeps a copy of the options, which is made before anybody can change them.
"""

import pytest


def pytest_addoption(parser):
    group = parser.getgroup("measures")
    group.addoption("--cov", dest="cov_source", action="append", default=[])
    group.addoption("--cov-report", dest="cov_report", action="append", default=["term"])
    group.addoption("--cov-fail-under", dest="cov_fail_under", type=float)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config):
    plugin = Measuring(early_config.known_args_namespace)
    early_config.pluginmanager.register(plugin, "_cov")


class Measuring:
    def __init__(self, options):
        self.options = options

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session):
        result = yield
        if self.options.cov_report:
            session.config.rootpath.joinpath("coverage-report").write_text("nothing is covered")
        if self.options.cov_fail_under:
            session.testsfailed += 1
        return result
