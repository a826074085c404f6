pytest_plugins = ["late_plugin"]


def pytest_configure(config):
    config.addinivalue_line("markers", "number(n): a number")


def pytest_runtest_setup(item):
    for mark in item.iter_markers("number"):
        item.funcargs_number = mark.args[0]
