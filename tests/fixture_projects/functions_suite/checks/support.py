"""What a home-grown suite brings along."""


class SkipTestException(Exception):
    """Raised by tests that are not to count."""


class PlatformSkip(SkipTestException):
    """A kind of skip."""


class Skipped(BaseException):
    """Looks like pytest's own, for whoever must not import it."""

    __module__ = "builtins"


class XFailed(BaseException):
    """Looks like pytest's own."""

    __module__ = "_pytest.outcomes"


def test_shared():
    """Imported by a module of tests, and then one of its tests."""
