import pytest

LOG = []


@pytest.fixture(scope="session", autouse=True)
def session_log():
    LOG.append("session")
    return LOG


@pytest.fixture(scope="package")
def of_package(session_log):
    session_log.append("package")
    return "package"


@pytest.fixture
def name():
    return "root"


@pytest.fixture(scope="session")
def session_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


def pytest_generate_tests(metafunc):
    if "generated" in metafunc.fixturenames:
        metafunc.parametrize("generated", ["a", "b"])
