"""The changes that pytest-testmon 2.2 misses, one row each; the eleventh is about the whole run.

It selects nothing after nine of these and little after the other two, so that a failing suite ends
as if it were green. ``filterwarnings = error`` concerns every module of a project, so it is among
the rows that stand alone. (A folder whose name begins with ``test`` would have its ``conftest.py``
loaded by pytest whatever is asked for, so no row's name does.)
"""

from cache_matrix.mutations import Variable, Write
from cache_matrix.row import UNRELATED, Row

ROWS: tuple[Row, ...] = (
    Row(
        name="missed_by_testmon_imported_constant",
        test="from settings_ROW import LIMIT\ndef test_it():\n    assert LIMIT == 1\n",
        files={"settings_ROW.py": "LIMIT = 1\n"},
        change=(Write("settings_ROW.py", "LIMIT = 2\n"),),
    ),
    Row(
        name="missed_by_testmon_class_attribute_of_imported_constant",
        test="from shapes_ROW import Shape\ndef test_it():\n    assert Shape.size == 2\n",
        files={
            "settings_ROW.py": "LIMIT = 1\n",
            "shapes_ROW.py": "import settings_ROW\nclass Shape:\n"
            "    size = settings_ROW.LIMIT * 2\n",
        },
        change=(Write("settings_ROW.py", "LIMIT = 2\n"),),
    ),
    Row(
        name="missed_by_testmon_data_file",
        test="import json\ndef test_it():\n    assert json.load(open(DATA)) == [1]\n",
        files={"data.txt": "[1]"},
        change=(Write("data.txt", "[2]"),),
    ),
    Row(
        name="missed_by_testmon_environment_variable",
        test="def test_it():\n    assert os.environ.get('MATRIX_ROW', '1') == '1'\n",
        change=(Variable("MATRIX_ROW", "2"),),
    ),
    Row(
        name="missed_by_testmon_directory_listing",
        test="def test_it():\n    assert len(list((HERE / 'folder').glob('*.txt'))) == 1\n",
        files={"folder/a.txt": ""},
        change=(Write("folder/b.txt", ""),),
    ),
    Row(
        name="missed_by_testmon_shadowing_module",
        test=(
            "sys.path[:0] = [str(HERE / 'first'), str(HERE / 'second')]\nimport shadowed_ROW\n"
            "def test_it():\n    assert shadowed_ROW.VALUE == 1\n"
        ),
        files={"first/keep.txt": "", "second/shadowed_ROW.py": "VALUE = 1\n"},
        change=(Write("first/shadowed_ROW.py", "VALUE = 2\n"),),
    ),
    Row(
        name="missed_by_testmon_new_autouse_conftest",
        test="def test_it():\n    assert 'MATRIX_OF_ROW' not in os.environ\n",
        change=(
            Write(
                "conftest.py",
                "import pytest\n@pytest.fixture(autouse=True)\ndef sets(monkeypatch):\n"
                "    monkeypatch.setenv('MATRIX_OF_ROW', '1')\n",
            ),
        ),
    ),
    Row(
        name="missed_by_testmon_script_of_a_subprocess",
        test=(
            "import subprocess\ndef test_it():\n"
            "    command = [sys.executable, str(HERE / 'script.py')]\n"
            "    assert subprocess.run(command, capture_output=True).stdout == b'1\\n'\n"
        ),
        files={"script.py": "print(1)\n"},
        change=(Write("script.py", "print(2)\n"),),
    ),
    Row(
        name="missed_by_testmon_lazy_import",
        test=("from facade_ROW import answer\ndef test_it():\n    assert answer() == 1\n"),
        files={
            "facade_ROW.py": "def answer():\n    import lazy_ROW\n    return lazy_ROW.VALUE\n",
            "lazy_ROW.py": "VALUE = 1\n",
        },
        change=(Write("lazy_ROW.py", "VALUE = 2\n"),),
    ),
    Row(
        name="missed_by_testmon_session_fixture",
        test="def test_it(number):\n    assert number == 1\n",
        files={
            "conftest.py": (
                "import pytest, maker_ROW\n@pytest.fixture(scope='session')\n"
                "def number():\n    return maker_ROW.make()\n"
            ),
            "maker_ROW.py": "def make():\n    return 1\n",
        },
        harmless=UNRELATED,
        change=(Write("maker_ROW.py", "def make():\n    return 2\n"),),
    ),
)
