"""Imports pytest's plugins ahead of a session, so that forked children need not."""

import contextlib
import importlib
import os
from collections.abc import Sequence
from importlib.metadata import entry_points

from _pytest.config import default_plugins


def import_plugins(arguments: Sequence[str]) -> None:
    """Import pytest's own plugins and the installed ones that ``arguments`` do not block.

    Imports only: nothing is registered. A plugin that can't be imported is left to the session,
    which says so in its own way.
    """
    for name in default_plugins:
        _import(f"_pytest.{name}")
    if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD"):
        return
    blocked = {word.removeprefix("-p").strip().removeprefix("no:") for word in arguments}
    for entry_point in entry_points(group="pytest11"):
        if entry_point.name not in blocked:
            _import(entry_point.module)


def _import(name: str) -> None:
    with contextlib.suppress(Exception):
        importlib.import_module(name)
