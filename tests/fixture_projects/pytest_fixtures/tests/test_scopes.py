import pytest

LOG = []


@pytest.fixture(scope="session")
def of_session():
    LOG.append("session+")
    yield "session"
    LOG.append("session-")


@pytest.fixture(scope="module")
def of_module(of_session):
    LOG.append("module+")
    yield "module"
    LOG.append("module-")


@pytest.fixture(scope="class")
def of_class(of_module):
    LOG.append("class+")
    yield "class"
    LOG.append("class-")


@pytest.fixture
def of_function(of_class):
    LOG.append("function+")
    yield "function"
    LOG.append("function-")


@pytest.fixture(scope="module", params=["one", "two"])
def turn(request):
    LOG.append(request.param)
    return request.param


class TestFirst:
    def test_one(self, of_function):
        assert LOG[-4:] == ["session+", "module+", "class+", "function+"]

    def test_two(self, of_function):
        assert LOG[-2:] == ["function-", "function+"]


class TestSecond:
    def test_one(self, of_function):
        assert LOG[-4:] == ["function-", "class-", "class+", "function+"]


# pytest groups these by the parameter of the wider scope.
def test_turns(turn):
    assert LOG[-1] == turn


def test_turns_again(turn):
    assert LOG.count(turn) == 1


def test_name(name):
    assert name == "root/tests"


def test_generated(generated):
    assert generated in "ab"


def test_session_directory(session_directory, tmp_path):
    assert session_directory.is_dir()
    assert tmp_path.is_dir()
    assert not list(tmp_path.iterdir())


def test_finalizer_order(request):
    order = []
    request.addfinalizer(lambda: order.append("first"))
    request.addfinalizer(lambda: order.append("second"))
    assert order == []


def test_monkeypatch(monkeypatch):
    monkeypatch.setenv("FIXTURES", "yes")
    import os

    assert os.environ["FIXTURES"] == "yes"


def test_caplog(caplog):
    import logging

    logging.getLogger("here").warning("told")
    assert caplog.messages == ["told"]


def test_capfd(capfd):
    import os

    os.write(1, b"low")
    assert capfd.readouterr().out == "low"


def test_cache(cache, request):
    cache.set("fixtures/value", 3)
    assert cache.get("fixtures/value", None) == 3


def test_config(pytestconfig):
    assert pytestconfig.rootpath.joinpath("pytest.ini").is_file()
