"""What is read from a conftest's source, and what is left alone because it is not certain."""

import pytest

from iopio_async.analysis.conftest import (
    NOTHING_TOLD,
    ConftestFacts,
    IgnoreList,
    read_conftest,
)


def ignored(source: str) -> IgnoreList:
    return read_conftest(source.encode()).ignore


CERTAIN = {
    "collect_ignore = ['a.py', 'b']": ("a.py", "b"),
    "collect_ignore = ('a.py',)": ("a.py",),
    "collect_ignore: list[str] = ['a.py']": ("a.py",),
    "collect_ignore = ['a.py'] + ['b.py']": ("a.py", "b.py"),
    "collect_ignore = ['a.py']\ncollect_ignore += ['b.py']": ("a.py", "b.py"),
    "collect_ignore = ['a.py']\ncollect_ignore.append('b.py')": ("a.py", "b.py"),
    "collect_ignore = ['a.py']\ncollect_ignore.extend(['b.py', 'c'])": ("a.py", "b.py", "c"),
    "collect_ignore = ['a.py']\ncollect_ignore = collect_ignore + ['b.py']": ("a.py", "b.py"),
    "collect_ignore = ['a.py']\ncollect_ignore = ['b.py']": ("b.py",),
    "collect_ignore = []": (),
    "from lists import *\ncollect_ignore = ['a.py']": ("a.py",),
}


@pytest.mark.parametrize(("source", "values"), CERTAIN.items())
def test_literals_at_module_level_are_applied(source: str, values: tuple[str, ...]) -> None:
    assert ignored(source) == IgnoreList(True, values)


PARTLY_CERTAIN = {
    "import os\ncollect_ignore = ['a.py', os.path.join('b', 'c.py')]": ("a.py",),
    "collect_ignore = ['a.py', *others]": ("a.py",),
    "collect_ignore = ['a.py']\nif X:\n    collect_ignore.append('b.py')": ("a.py",),
    "collect_ignore = ['a.py']\nif X:\n    collect_ignore += ['b.py']": ("a.py",),
    "collect_ignore = ['a.py']\ntry:\n    import x\nexcept E:\n    collect_ignore.insert(0, 'x')": (
        "a.py",
    ),
}


@pytest.mark.parametrize(("source", "values"), PARTLY_CERTAIN.items())
def test_what_is_added_conditionally_is_not_applied(source: str, values: tuple[str, ...]) -> None:
    assert ignored(source) == IgnoreList(True, values)


@pytest.mark.parametrize(
    "source",
    [
        "if X:\n    collect_ignore = ['a.py']",
        "collect_ignore = ['a.py']\nif X:\n    collect_ignore = ['b.py']",
        "collect_ignore = compute()",
        "collect_ignore = ['a.py']\ncollect_ignore.remove('a.py')",
        "collect_ignore = ['a.py']\ncollect_ignore.clear()",
        "collect_ignore = ['a.py']\nchange(collect_ignore)",
        "collect_ignore = ['a.py']\ncollect_ignore[:] = []",
        "collect_ignore = ['a.py']\nalias = collect_ignore",
        "alias = collect_ignore = ['a.py']",
        "collect_ignore = ['a.py']\ndel collect_ignore",
        "def f():\n    collect_ignore.clear()\ncollect_ignore = ['a.py']\nf()",
        "def f():\n    global collect_ignore\n    collect_ignore = []\ncollect_ignore = ['a.py']",
        "collect_ignore = ['a.py']\nfrom lists import *",
        "collect_ignore = ['a.py']\nfrom lists import collect_ignore",
        "collect_ignore = ['a.py']\nif X:\n    from lists import other as collect_ignore",
        "collect_ignore = ['a.py']\ndef collect_ignore(): ...",
        "collect_ignore = [name for name in names]",
    ],
)
def test_in_doubt_nothing_is_ignored_and_the_lists_above_are_hidden(source: str) -> None:
    assert ignored(source) == IgnoreList(defined=True)


def test_the_two_lists_are_apart() -> None:
    facts = read_conftest(b"collect_ignore = ['a.py']\ncollect_ignore_glob = ['*_old.py']")

    assert facts.ignore.values == ("a.py",)
    assert facts.ignore_glob.values == ("*_old.py",)


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"import pytest\n",
        b"collect_ignore = [",
        b"collect_ignore = ['a']\0",
        b"# coding: no-such-coding\ncollect_ignore = ['a']",
        b"collect_ignore = " + b"(" * 5000,
        b"collect_ignore = " + b" + ".join([b"['a']"] * 2000),
    ],
)
def test_a_source_that_tells_nothing_or_does_not_parse(source: bytes) -> None:
    assert read_conftest(source) == NOTHING_TOLD


def test_parsing_warns_nobody() -> None:
    # Warnings are errors in these tests, so a warning would surface.
    assert read_conftest(b"x = '\\d'\ncollect_ignore = ['a']").ignore.values == ("a",)


@pytest.mark.parametrize(
    "source",
    [
        "def pytest_collect_file(file_path, parent): ...",
        "@hookimpl\ndef pytest_collect_directory(path, parent): ...",
        "pytest_collect_file = other",
        "from plugin import pytest_collect_file",
        "from plugin import other as pytest_collect_directory",
        "class Plugin:\n    def pytest_collect_file(self): ...",
        "if X:\n    def pytest_collect_file(): ...",
        "hookimpl(specname='pytest_collect_file')",
        "def pytest_ignore_collect(collection_path): return False",
        "def pytest_ignore_collect(collection_path): return collection_path.name == 'x'",
        "def pytest_ignore_collect(collection_path):\n    yield",
        "pytest_ignore_collect = other",
    ],
)
def test_hooks_that_may_make_or_admit_files(source: str) -> None:
    assert read_conftest(source.encode()).collects


@pytest.mark.parametrize(
    "source",
    [
        "def pytest_ignore_collect(collection_path):\n    if X:\n        return True",
        "def pytest_ignore_collect(collection_path):\n    return True if X else None",
        "def pytest_collection_modifyitems(items): ...",
        "def pytest_collect_fileses(): ...",
        "'''pytest_collect_file is a hook'''",
        "# def pytest_collect_file(): ...",
    ],
)
def test_hooks_that_cannot(source: str) -> None:
    assert not read_conftest(source.encode()).collects


def test_plugins_however_they_are_named() -> None:
    facts = read_conftest(
        b"pytest_plugins = ['a', 'b.c']\n"
        b"if X:\n    pytest_plugins += ('d',)\n"
        b"else:\n    pytest_plugins: str = 'e, f'\n"
    )

    assert facts.plugins == ("a", "b.c", "d", "e", "f")


def test_star_imports_keep_their_dots() -> None:
    facts = read_conftest(b"from .fixtures import *\nfrom .. import *\nfrom a.b import *\n")

    assert facts.star_imports == (".fixtures", "..", "a.b")
    assert facts.ignore == IgnoreList(defined=True)


def test_facts_are_equal_by_value() -> None:
    assert read_conftest(b"pytest_plugins = 'a'") == ConftestFacts(plugins=("a",))
