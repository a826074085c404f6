"""Rows about the paths that a run is given: what does not hang on them is shared between runs.

Each has a project to itself. The first half is replayed though it was selected in another way; the
second looks at the way, or is collected otherwise by it, and must run again.
"""

from cache_matrix.mutations import Delete, Write
from cache_matrix.row import UNRELATED, Row, holding

FILE = "ROW/test_ROW.py"
PASSES = "def test_it():\n    pass\n"
FAILS = "def test_it():\n    assert 0\n"
CHANGE = (Write("test_ROW.py", FAILS),)

#: Ways to select the one module: before, and then.
SHARED = {
    "nothing_then_file": ((), (FILE,)),
    "file_then_nothing": ((FILE,), ()),
    "folder_then_file": (("ROW",), ("./ROW/../ROW/test_ROW.py",)),
    "file_then_two": ((FILE,), (FILE, "test_other.py")),
}

NAMED = "any('test_ROW' in str(word) for word in {})"
ARGUMENTS = "import pytest\ndef pytest_configure(config):\n    config.named = " + NAMED
BEGINS = "def pytest_sessionstart(session):\n    session.config.begun = True\n"
PLUGIN = (
    "import os\ndef pytest_load_initial_conftests(early_config, parser, args):\n"
    f"    os.environ['MATRIX'] = str({NAMED.format('args')})\n"
)

ROWS: tuple[Row, ...] = (
    *(
        Row(
            name=f"shared_{name}",
            test=PASSES,
            files={"TOP/test_other.py": PASSES, "TOP/conftest.py": ""},
            arguments=before,
            again_arguments=then,
            change=CHANGE,
        )
        for name, (before, then) in SHARED.items()
    ),
    Row(
        name="sibling_deleted",
        test=PASSES,
        files={"test_sibling.py": PASSES},
        harmless=(*UNRELATED, Delete("test_sibling.py")),
        arguments=("ROW",),
        change=CHANGE,
    ),
    holding(
        "sibling_deleted_that_is_asked_for",
        "(HERE / 'test_sibling.py').exists()",
        Delete("test_sibling.py"),
        files={"test_sibling.py": PASSES},
        arguments=("ROW",),
    ),
    holding(
        "sibling_added_to_a_folder_that_is_listed",
        "len(list(HERE.glob('test_*.py'))) == 1",
        Write("test_sibling.py", PASSES),
        harmless=(),
        arguments=("ROW",),
    ),
    # What looks at the paths.
    *(
        holding(
            f"paths_in_{name}",
            f"not {NAMED.format(expression)}",
            changed_arguments=(FILE,),
        )
        for name, expression in (
            ("argv", "sys.argv"),
            ("argv_joined", "' '.join(sys.argv).split()"),
        )
    ),
    *(
        Row(
            name=f"paths_in_{name}",
            test="def test_it(pytestconfig):\n    assert not pytestconfig.named\n",
            files={"TOP/conftest.py": ARGUMENTS.format(expression)},
            changed_arguments=(FILE,),
        )
        for name, expression in (
            ("args", "config.args"),
            ("invocation", "config.invocation_params.args"),
            ("options", "config.getoption('file_or_dir')"),
            (
                "all_options",
                "sum(map(list, filter(None, [vars(config.option)['file_or_dir']])), [])",
            ),
            ("source", "[config.args_source.name.replace('ARGS', 'test_ROW')]"),
        )
    ),
    Row(
        name="paths_of_the_session",
        test="def test_it(request):\n    assert not request.session.isinitpath(request.path)\n",
        changed_arguments=(FILE,),
    ),
    Row(
        name="paths_given_to_a_plugin",
        test="def test_it():\n    assert os.environ['MATRIX'] == 'False'\n",
        files={"SITE/plugged_ROW.py": PLUGIN},
        arguments=("--", "-p", "plugged_ROW"),
        changed_arguments=(FILE, "--", "-p", "plugged_ROW"),
    ),
    # What is collected, or begun, otherwise.
    Row(
        name="path_to_a_test",
        test=PASSES + "def test_other():\n    assert 0\n",
        arguments=(f"{FILE}::test_it",),
        changed_arguments=(FILE,),
    ),
    Row(
        name="ignored_unless_named",
        test=PASSES,
        files={"conftest.py": "collect_ignore = ['test_' + str('ROW') + '.py']\n"},
        arguments=(FILE,),
        changed_arguments=("ROW",),
    ),
    Row(
        name="ignored_unless_named_by_a_hook",
        test=PASSES,
        files={"conftest.py": "def pytest_ignore_collect(collection_path):\n    return True\n"},
        arguments=(FILE,),
        changed_arguments=("ROW",),
    ),
    Row(
        name="session_of_the_first_conftests",
        test="def test_it(pytestconfig):\n    assert not hasattr(pytestconfig, 'begun')\n",
        files={"conftest.py": BEGINS},
        changed_arguments=(FILE,),
    ),
    holding(
        "conftest_of_another_folder",
        "'MATRIX' not in os.environ",
        files={
            "TOP/other/conftest.py": "import os\nos.environ['MATRIX'] = '1'\n",
            "TOP/other/test_other.py": PASSES,
        },
        arguments=(FILE,),
        changed_arguments=(FILE, "other"),
    ),
)
