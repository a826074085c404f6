"""Plugins that have had nothing to do, and would import a large package to find that out.

At a session's end some plugins report on what their package has done. Where no test and no plugin
has imported the package, it has done nothing; but to ask it costs the import, in each process.
"""

import sys

import pytest

#: Plugins by name, with the packages whose doings they report on at the end, and nothing else.
REPORTS_ON = {"hypothesispytest": "hypothesis"}


def retire(manager: pytest.PytestPluginManager) -> None:
    """Take out those plugins that have nothing to report; to be called when all tests are over."""
    for name, package in REPORTS_ON.items():
        if package not in sys.modules and manager.has_plugin(name):
            manager.unregister(name=name)
