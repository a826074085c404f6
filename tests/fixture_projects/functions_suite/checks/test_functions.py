"""Each way in which a function can end."""

import functools
import sys
import unittest
from unittest import mock

from .support import PlatformSkip, Skipped, SkipTestException, XFailed, test_shared  # noqa: F401

calls = []


def test_passes():
    assert 1 + 1 == 2


def test_returns_something():
    return False


def test_fails():
    assert 1 + 1 == 3, "sums are off"


def test_fails_with_bare_assert():
    total = 2
    assert total == 3


def test_fails_with_long_assert():
    total = 2
    assert (
        total
        == 3
    )


def test_raises():
    raise ValueError


def test_exits():
    sys.exit(0)


def test_skips_like_unittest():
    raise unittest.SkipTest("as unittest")


def test_skips_like_home():
    raise SkipTestException("as at home")


def test_skips_like_a_child_of_home():
    raise PlatformSkip("as a child")


def test_skips_like_pytest():
    raise Skipped("as pytest")


def test_fails_as_expected():
    raise XFailed("known bug")


@unittest.skip("by decorator")
def test_skipped_by_decorator():
    raise AssertionError


async def test_awaited():
    calls.append("awaited")


async def test_awaited_fails():
    assert calls == ["awaited", "never"]


def returns_coroutine(function):
    def wrapper():
        return function()

    return wrapper


@returns_coroutine
async def test_coroutine_of_a_wrapper():
    assert calls == []


def test_yields():
    yield


async def test_yields_asynchronously():
    yield


@returns_coroutine
def test_generator_of_a_wrapper():
    yield


def test_needs_arguments(client, *, database):
    raise AssertionError


def test_has_defaults(client=None, *rest, database=None, **options):
    pass


@mock.patch("sys.maxsize", 3)
@mock.patch("sys.byteorder")
def test_patched(byteorder):
    assert sys.maxsize == 3


test_partial = functools.partial(test_needs_arguments.__class__, (lambda: 0).__code__, {})


class Client:
    """Called by a test, but no test itself."""

    def __call__(self):
        raise AssertionError


test_client = Client()
test_data = {"a": 1}


def test_not_one():
    raise AssertionError


test_not_one.__test__ = False


def helper_test():
    raise AssertionError
