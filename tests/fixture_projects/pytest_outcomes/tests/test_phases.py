import pytest


@pytest.fixture
def broken():
    raise RuntimeError("no set-up")


@pytest.fixture
def leaves_badly():
    yield 1
    raise RuntimeError("no teardown")


@pytest.fixture
def leaves_badly_too():
    yield 2
    raise ValueError("no teardown either")


@pytest.fixture
def skips():
    pytest.skip("the fixture says so")


@pytest.fixture
def expects_failure(request):
    request.applymarker(pytest.mark.xfail(reason="from a fixture"))


@pytest.fixture
def gives_up():
    pytest.xfail("given up in set-up")


@pytest.fixture
def skips_at_the_end():
    yield
    pytest.skip("too late")


def test_set_up_error(broken):
    raise AssertionError("never called")


def test_teardown_error(leaves_badly):
    assert leaves_badly == 1


def test_fails_and_tears_down_badly(leaves_badly):
    assert leaves_badly == 2


def test_two_teardown_errors(leaves_badly, leaves_badly_too):
    assert leaves_badly < leaves_badly_too


def test_skips_and_tears_down_badly(leaves_badly):
    pytest.skip("in between")


@pytest.mark.xfail
def test_expected_failure_and_bad_teardown(leaves_badly):
    assert leaves_badly == 2


def test_skipped_in_set_up(skips):
    raise AssertionError("never called")


def test_skipped_in_call():
    pytest.skip("here")


def test_skipped_at_the_end(skips_at_the_end):
    pass


def test_expected_by_a_fixture(expects_failure):
    raise AssertionError("expected")


def test_given_up_in_set_up(gives_up):
    raise AssertionError("never called")


def test_given_up_in_call():
    pytest.xfail("given up")


def test_fixture_is_missing(no_such_fixture):
    raise AssertionError("never called")


@pytest.mark.usefixtures("broken")
def test_uses_a_broken_one():
    raise AssertionError("never called")


@pytest.mark.xfail(reason="set-up counts as well")
def test_expected_set_up_error(broken):
    raise AssertionError("never called")


def test_fail():
    pytest.fail("by intent")


def test_fail_without_traceback():
    pytest.fail("by intent", pytrace=False)


def test_raises():
    raise KeyError("missing")


def test_group():
    raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])


def test_system_exit():
    raise SystemExit(3)


def test_importorskip():
    pytest.importorskip("no_such_module_anywhere")


def test_returns_something():
    assert True


def test_sys_exit_0():
    import sys

    sys.exit(0)


def setup_function(function):
    if function.__name__ == "test_module_level_setup":
        raise OSError("no function")


def test_module_level_setup():
    raise AssertionError("never called")
