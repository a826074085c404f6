"""Rows about what is imported, what could not be, and what could come before it."""

from cache_matrix.mutations import (
    Delete,
    Extension,
    Folder,
    Link,
    Rename,
    Rewrite,
    Swap,
    Touch,
    Write,
    Zip,
)
from cache_matrix.row import UNRELATED, Level, Row, holding

ONE, TWO = "VALUE = 1\n", "VALUE = 2\n"

HELPER = "helper_ROW.py"
IMPORTS_HELPER = "import helper_ROW\ndef test_it():\n    assert helper_ROW.VALUE == 1\n"
TRIES_HELPER = """\
def test_it():
    try:
        import helper_ROW
    except ImportError:
        return
    assert helper_ROW.VALUE == 1
"""

#: Ahead of an import: two folders of the row's own, ``first`` and ``second``, on the path.
TWO_ENTRIES = "sys.path[:0] = [str(HERE / 'first'), str(HERE / 'second')]\n"

#: What happens to a module that a test module imports: name → how.
CHANGES_OF_A_MODULE = {
    "content": Write(HELPER, TWO),
    "delete": Delete(HELPER),
    "rename": Rename(HELPER, "other_ROW.py"),
    "same_size_same_mtime": Rewrite(HELPER, TWO),
    "same_size_same_second": Rewrite(HELPER, TWO, same_second_only=True),
    "swap": Swap(HELPER, TWO),
    "link": Link(HELPER, "@HERE@/two.py"),
    "becomes_package": Write("helper_ROW/__init__.py", TWO),
}

#: Ways to come to a module's code: name → test source.
WAYS_TO_IMPORT = {
    "from_star": "from helper_ROW import *\ndef test_it():\n    assert VALUE == 1\n",
    "lazy": "def test_it():\n    import helper_ROW\n    assert helper_ROW.VALUE == 1\n",
    "import_module": (
        "import importlib\ndef test_it():\n"
        "    assert importlib.import_module('helper' + '_ROW').VALUE == 1\n"
    ),
    "second_hand": "import between_ROW\ndef test_it():\n    assert between_ROW.VALUE == 1\n",
    "from_location": (
        "import importlib.util as util\ndef test_it():\n"
        "    spec = util.spec_from_file_location('anything_ROW', HERE / 'helper_ROW.py')\n"
        "    module = util.module_from_spec(spec)\n"
        "    spec.loader.exec_module(module)\n    assert module.VALUE == 1\n"
    ),
    "run_path": (
        "import runpy\ndef test_it():\n"
        "    assert runpy.run_path(str(HERE / 'helper_ROW.py'))['VALUE'] == 1\n"
    ),
    "exec": (
        "def test_it():\n    names = {}\n"
        "    exec((HERE / 'helper_ROW.py').read_text(), names)\n    assert names['VALUE'] == 1\n"
    ),
    "reload": (
        "import importlib, helper_ROW\ndef test_it():\n"
        "    assert importlib.reload(helper_ROW).VALUE == 1\n"
    ),
    "thread": (
        "import threading\ndef test_it():\n    found = []\n    def look():\n"
        "        import helper_ROW\n        found.append(helper_ROW.VALUE)\n"
        "    thread = threading.Thread(target=look)\n    thread.start()\n    thread.join()\n"
        "    assert found == [1]\n"
    ),
    "rewritten": (
        "import pytest\npytest.register_assert_rewrite('helper_ROW')\n"
        "import helper_ROW\ndef test_it():\n    assert helper_ROW.VALUE == 1\n"
    ),
    "importorskip": (
        "import pytest\nhelper = pytest.importorskip('helper_ROW')\n"
        "def test_it():\n    assert helper.VALUE == 1\n"
    ),
}


def _ways() -> list[Row]:
    files = {HELPER: ONE, "between_ROW.py": "from helper_ROW import VALUE\n", "two.py": TWO}
    changed = [
        Row(name=f"module_{name}", test=IMPORTS_HELPER, files=files, change=(change,))
        for name, change in CHANGES_OF_A_MODULE.items()
    ]
    ways = [
        Row(name=f"import_{name}", test=test, files=files, change=(Write(HELPER, TWO),))
        for name, test in WAYS_TO_IMPORT.items()
    ]
    return changed + ways


def shadowing(name: str, test: str, files: dict[str, str], *change: object, **more: object) -> Row:
    """A row about a module in ``second`` that something in ``first`` may come before."""
    everywhere = {"first/keep.txt": "", "second/keep.txt": ""}
    return Row(
        name=f"shadow_{name}",
        test=TWO_ENTRIES + test,
        files={**everywhere, **files},
        change=change,  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )


ROWS: tuple[Row, ...] = (
    *_ways(),
    # The module itself is part of the action.
    Row(
        name="own_file",
        test="def test_it():\n    assert 1 == 1\n",
        change=(Write("test_ROW.py", "def test_it():\n    assert 1 == 2\n"),),
    ),
    Row(
        name="own_file_same_size_same_mtime",
        test="def test_it():\n    assert 1 == 1\n",
        before=(Write("test_ROW.py", "def test_it():\n    assert 1 == 1\n"),),
        change=(Rewrite("test_ROW.py", "def test_it():\n    assert 1 == 2\n"),),
    ),
    Row(
        name="own_file_linked",
        test="",
        before=(
            Write("real.py", "def test_it():\n    assert 1 == 1\n"),
            Link("test_ROW.py", "real.py"),
        ),
        change=(Write("real.py", "def test_it():\n    assert 1 == 2\n"),),
    ),
    Row(
        name="touched_only",
        test=IMPORTS_HELPER,
        files={HELPER: ONE},
        harmless=(*UNRELATED, Touch(HELPER), Swap(HELPER, ONE)),
        change=(Write(HELPER, TWO),),
    ),
    # Packages.
    Row(
        name="package_init",
        test="import package_ROW.part\ndef test_it():\n    assert package_ROW.VALUE == 1\n",
        files={"package_ROW/__init__.py": ONE, "package_ROW/part.py": ""},
        harmless=(*UNRELATED, Write("package_ROW/fresh.py", "")),
        change=(Write("package_ROW/__init__.py", TWO),),
    ),
    Row(
        name="package_relative",
        test="import package_ROW.part as part\ndef test_it():\n    assert part.VALUE == 1\n",
        files={
            "package_ROW/__init__.py": "",
            "package_ROW/part.py": "from .deep import VALUE\n",
            "package_ROW/deep.py": ONE,
        },
        change=(Write("package_ROW/deep.py", TWO),),
    ),
    Row(
        name="package_submodule_missing",
        test=(
            "import package_ROW\ndef test_it():\n"
            "    try:\n        from package_ROW import part\n    except ImportError:\n"
            "        return\n    assert part.VALUE == 1\n"
        ),
        files={"package_ROW/__init__.py": ""},
        change=(Write("package_ROW/part.py", TWO),),
    ),
    Row(
        name="namespace_portion",
        test=TWO_ENTRIES
        + (
            "import space_ROW.part as part\ndef test_it():\n    assert part.VALUE == 1\n"
            "    import importlib.util\n"
            "    assert importlib.util.find_spec('space_ROW.more') is None\n"
        ),
        files={"second/space_ROW/part.py": ONE, "first/keep.txt": ""},
        change=(Write("first/space_ROW/more.py", ""),),
    ),
    Row(
        name="package_listed",
        test=(
            "import pkgutil, package_ROW\ndef test_it():\n"
            "    found = [each.name for each in pkgutil.iter_modules(package_ROW.__path__)]\n"
            "    assert found == ['part']\n"
        ),
        files={"package_ROW/__init__.py": "", "package_ROW/part.py": ""},
        harmless=(*UNRELATED, Write("package_ROW/__pycache__/other.pyc", "")),
        change=(Write("package_ROW/plugin.py", ""),),
    ),
    # Misses.
    Row(name="missing_then_there", test=TRIES_HELPER, change=(Write(HELPER, TWO),)),
    Row(
        name="missing_then_package",
        test=TRIES_HELPER,
        change=(Write("helper_ROW/__init__.py", TWO),),
    ),
    holding(
        "missing_spec",
        "importlib.util.find_spec('helper_ROW') is None",
        Write(HELPER, ONE),
        imports="import importlib.util",
    ),
    Row(
        name="missing_spec_namespace",
        test=(
            "import importlib.util\ndef test_it():\n"
            "    assert importlib.util.find_spec('helper_ROW') is None\n"
        ),
        change=(Folder("helper_ROW"),),
    ),
    # Something earlier on the path.
    shadowing(
        "module",
        IMPORTS_HELPER,
        {"second/helper_ROW.py": ONE},
        Write("first/helper_ROW.py", TWO),
        harmless=(*UNRELATED, Write("first/other.py", "")),
    ),
    shadowing(
        "package",
        IMPORTS_HELPER,
        {"second/helper_ROW.py": ONE},
        Write("first/helper_ROW/__init__.py", TWO),
    ),
    shadowing(
        "module_removed",
        IMPORTS_HELPER,
        {"first/helper_ROW.py": ONE, "second/helper_ROW.py": TWO},
        Delete("first/helper_ROW.py"),
    ),
    shadowing(
        "namespace_by_module",
        "import helper_ROW\ndef test_it():\n    assert not hasattr(helper_ROW, 'VALUE')\n",
        {"first/helper_ROW/part.txt": ""},
        Write("second/helper_ROW.py", TWO),
    ),
    shadowing(
        "path_entry_appears",
        "sys.path.insert(0, str(HERE / 'absent'))\n" + IMPORTS_HELPER,
        {"second/helper_ROW.py": ONE},
        Write("absent/helper_ROW.py", TWO),
    ),
    shadowing(
        "linked_folder",
        "sys.path.insert(0, str(HERE / 'link'))\n" + IMPORTS_HELPER,
        {"one/helper_ROW.py": ONE, "two/helper_ROW.py": TWO},
        Link("link", "two"),
        before=(Link("link", "one"), Folder("one/__pycache__")),
    ),
    Row(
        name="shadow_standard_library",
        test="def test_it():\n    import colorsys\n    assert hasattr(colorsys, 'hls_to_rgb')\n",
        change=(Write("colorsys.py", ""),),
    ),
    Row(
        name="shadow_distribution",
        test="def test_it():\n    import dist_ROW\n    assert dist_ROW.VALUE == 1\n",
        before=(Write("SITE/dist_ROW.py", ONE),),
        change=(Write("dist_ROW.py", TWO),),
    ),
    Row(
        name="site_file_without_distribution",
        test="def test_it():\n    import lone_ROW\n    assert lone_ROW.VALUE == 1\n",
        before=(Write("SITE/lone_ROW.py", ONE),),
        change=(Write("SITE/lone_ROW.py", TWO),),
    ),
    # Other finders and other files.
    Row(
        name="zip_import",
        test=(
            "sys.path.insert(0, str(HERE / 'bundle.zip'))\n"
            "def test_it():\n    import zipped_ROW\n    assert zipped_ROW.VALUE == 1\n"
        ),
        before=(Zip("bundle.zip", "zipped_ROW.py", ONE),),
        change=(Zip("bundle.zip", "zipped_ROW.py", TWO),),
        level=Level.COARSE,
    ),
    Row(
        name="custom_finder",
        test=(
            "import importlib.abc, importlib.util\n"
            "class Finder(importlib.abc.MetaPathFinder):\n"
            "    def find_spec(self, name, path, target=None):\n"
            "        if name == 'made_ROW':\n"
            "            return importlib.util.spec_from_file_location(name, HERE / 'odd.txt.py')\n"
            "sys.meta_path.insert(0, Finder())\n"
            "def test_it():\n    import made_ROW\n    assert made_ROW.VALUE == 1\n"
        ),
        files={"odd.txt.py": ONE},
        change=(Write("odd.txt.py", TWO),),
        level=Level.COARSE,
    ),
    Row(
        name="extension_of_the_project",
        test="import native_ROW\ndef test_it():\n    assert native_ROW.value() == 'one'\n",
        before=(Extension(".", "native_ROW", "one"),),
        change=(Extension(".", "native_ROW", "two"),),
        level=Level.COARSE,
    ),
    Row(
        name="extension_shadows_source",
        test="import helper_ROW\ndef test_it():\n    assert not hasattr(helper_ROW, 'head')\n",
        files={HELPER: ONE},
        change=(Extension(".", "helper_ROW", "two"),),
    ),
    Row(
        name="extension_reads_unseen",
        test="import native_ROW\ndef test_it():\n    assert native_ROW.head(str(DATA)) == 'one'\n",
        files={"data.txt": "one"},
        before=(Extension("SITE/", "native_ROW", "one"),),
        change=(Write("data.txt", "two"),),
        level=Level.COARSE,
    ),
    Row(
        name="ctypes_reads_unseen",
        test=(
            "import ctypes\ndef test_it():\n"
            "    libc = ctypes.CDLL(None)\n"
            "    libc.fopen.restype = ctypes.c_void_p\n"
            "    file = ctypes.c_void_p(libc.fopen(os.fsencode(DATA), b'r'))\n"
            "    assert bytes(libc.fgetc(file) for _ in range(3)) == b'one'\n"
            "    libc.fclose(file)\n"
        ),
        files={"data.txt": "one"},
        change=(Write("data.txt", "two"),),
        level=Level.COARSE,
    ),
    # conftest.py, __init__.py: every candidate, present or absent.
    Row(
        name="conftest_content",
        test="def test_it(value):\n    assert value == 1\n",
        files={"conftest.py": "import pytest\n@pytest.fixture\ndef value():\n    return 1\n"},
        change=(
            Write("conftest.py", "import pytest\n@pytest.fixture\ndef value():\n    return 2\n"),
        ),
    ),
    Row(
        name="conftest_created",
        test="def test_it():\n    pass\n",
        change=(
            Write(
                "conftest.py",
                "import pytest\n@pytest.fixture(autouse=True)\ndef breaks():\n    assert False\n",
            ),
        ),
    ),
    Row(
        name="conftest_created_above",
        module="deep/deeper/test_ROW.py",
        test="def test_it():\n    pass\n",
        files={"deep/conftest.py": ""},
        harmless=(*UNRELATED, Write("beside/conftest.py", "ANYTHING = 1\n")),
        change=(
            Write(
                "conftest.py",
                "import pytest\n@pytest.fixture(autouse=True)\ndef breaks():\n    assert False\n",
            ),
        ),
    ),
    Row(
        name="conftest_deleted",
        test="def test_it(value):\n    assert value == 1\n",
        files={"conftest.py": "import pytest\n@pytest.fixture\ndef value():\n    return 1\n"},
        change=(Delete("conftest.py"),),
    ),
    Row(
        name="conftest_imports",
        test="def test_it(value):\n    assert value == 1\n",
        files={
            "conftest.py": (
                "import pytest, helper_ROW\n@pytest.fixture\n"
                "def value():\n    return helper_ROW.VALUE\n"
            ),
            HELPER: ONE,
        },
        change=(Write(HELPER, TWO),),
    ),
    Row(
        name="conftest_skips",
        module="inner/test_ROW.py",
        test="def test_it():\n    pass\n",
        files={"conftest.py": "collect_ignore_glob = ['unlike*']\n"},
        change=(
            Write(
                "conftest.py",
                "import pytest\ndef pytest_collection_modifyitems(items):\n"
                "    for item in items:\n        if 'ROW' in item.nodeid:\n"
                "            item.add_marker(pytest.mark.skip(reason='now'))\n",
            ),
        ),
    ),
    Row(
        name="init_created",
        test="def test_it():\n    assert __name__ == 'test_ROW'\n",
        change=(Write("__init__.py", ""),),
    ),
    Row(
        name="init_deleted",
        test="def test_it():\n    assert __name__ == 'ROW.test_ROW'\n",
        files={"__init__.py": ""},
        change=(Delete("__init__.py"),),
    ),
    Row(
        name="byte_code_only",
        test="import helper_ROW\ndef test_it():\n    assert helper_ROW.VALUE == 1\n",
        files={HELPER: ONE},
        # Byte code of another time in the cache's folder means nothing to a run.
        harmless=(*UNRELATED, Write("__pycache__/helper_ROW.cpython-300.pyc", b"\0")),
        change=(Delete(HELPER),),
    ),
)
