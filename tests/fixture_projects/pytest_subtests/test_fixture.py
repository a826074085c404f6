import pytest


def test_all_pass(subtests):
    for number in range(3):
        with subtests.test(number=number):
            assert number < 3


def test_one_fails(subtests):
    for number in range(3):
        with subtests.test(msg="number", number=number):
            assert number != 1


def test_one_is_skipped(subtests):
    with subtests.test("skipped"):
        pytest.skip("not this one")
    with subtests.test("passes"):
        pass


def test_one_is_expected_to_fail(subtests):
    with subtests.test("expected"):
        pytest.xfail("known")


def test_fails_beside_them(subtests):
    with subtests.test("passes"):
        pass
    raise AssertionError("beside")


def test_fails_beside_failing_ones(subtests):
    with subtests.test("fails"):
        raise AssertionError("inside")
    raise AssertionError("beside")


def test_skipped_after_a_failure(subtests):
    with subtests.test("fails"):
        raise AssertionError("inside")
    pytest.skip("the rest")


def test_nested(subtests):
    with subtests.test("outer"):
        with subtests.test("inner"):
            raise AssertionError("inner")


@pytest.mark.xfail
def test_expected_with_failing_subtest(subtests):
    with subtests.test("fails"):
        raise AssertionError("inside")


def test_prints(subtests):
    with subtests.test("speaks"):
        print("said in a sub-test")
        raise AssertionError("inside")
