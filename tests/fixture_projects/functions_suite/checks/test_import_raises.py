"""Wants a module that is not there."""

from .support import no_such_name  # noqa: F401
