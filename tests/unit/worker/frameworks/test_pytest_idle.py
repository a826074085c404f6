"""Who has nothing to report is not asked; who may have is."""

import sys

import pytest

from iopio_async.worker.frameworks.pytest_idle import REPORTS_ON, retire


class Plugin:
    """Stands for one that reports on a package."""


@pytest.mark.parametrize("name", REPORTS_ON)
@pytest.mark.parametrize("imported", [True, False])
def test_a_plugin_stays_where_its_package_was_imported(
    name: str, imported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = pytest.PytestPluginManager()
    manager.register(Plugin(), name)
    manager.register(Plugin(), "other")
    if imported:
        monkeypatch.setitem(sys.modules, REPORTS_ON[name], sys)
    else:
        monkeypatch.delitem(sys.modules, REPORTS_ON[name], raising=False)
    retire(manager)
    assert manager.has_plugin(name) == imported
    assert manager.has_plugin("other")


def test_nothing_happens_where_there_are_no_such_plugins() -> None:
    manager = pytest.PytestPluginManager()
    before = manager.list_name_plugin()
    retire(manager)
    assert manager.list_name_plugin() == before
