import sys

import pytest


@pytest.mark.xfail
def test_fails():
    raise AssertionError


@pytest.mark.xfail(reason="it should not pass")
def test_passes():
    pass


@pytest.mark.xfail(strict=True, reason="strictly")
def test_passes_strict():
    pass


@pytest.mark.xfail(strict=True)
def test_fails_strict():
    raise AssertionError


@pytest.mark.xfail(raises=ValueError)
def test_raises_the_right_thing():
    raise ValueError


@pytest.mark.xfail(raises=ValueError)
def test_raises_the_wrong_thing():
    raise TypeError


@pytest.mark.xfail(run=False, reason="it would crash")
def test_not_run():
    import os

    os.abort()


@pytest.mark.xfail(sys.version_info < (3, 0), reason="not here")
def test_condition_is_false():
    pass


@pytest.mark.xfail("sys.version_info > (3, 0)", reason="here")
def test_condition_is_a_text():
    raise AssertionError


@pytest.mark.xfail("no_such_name", reason="cannot be told")
def test_condition_is_broken():
    pass


@pytest.mark.skipif("sys.version_info > (3, 0)", reason="always")
def test_skipped_by_text():
    raise AssertionError("never called")


@pytest.mark.skipif(False, reason="never")
def test_not_skipped():
    pass
