"""Has the options by which tests are spread over processes, and can't bear to be asked for it."""


def pytest_addoption(parser):
    group = parser.getgroup("spread")
    group._addoption("-n", "--numprocesses", dest="numprocesses", type=int)
    group._addoption("--dist", dest="dist", default="no")
    group._addoption("--tx", dest="tx", action="append", default=[])


def pytest_configure(config):
    if config.option.numprocesses or config.option.dist != "no":
        raise RuntimeError("would spread the tests over processes")
