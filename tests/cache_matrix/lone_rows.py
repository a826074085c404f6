"""Rows about what concerns every module of a project: each has a project to itself."""

from cache_matrix.mutations import (
    Chmod,
    Delete,
    Distribution,
    Folder,
    Git,
    Link,
    Rename,
    Variable,
    Write,
)
from cache_matrix.row import UNRELATED, Level, Row, holding

WARNS = "import warnings\ndef test_it():\n    warnings.warn('look out', UserWarning)\n"
WARNINGS_ARE_ERRORS = "[pytest]\nfilterwarnings = error\n"
TOML = '[tool.pytest.ini_options]\nfilterwarnings = ["error"]\n'
PASSES = "def test_it():\n    pass\n"

#: Where pytest looks for its settings: name → (what is there before, what changes).
CONFIGURATIONS = {
    "ini_created": ((), Write("TOP/pytest.ini", WARNINGS_ARE_ERRORS)),
    "hidden_ini_created": ((), Write("TOP/.pytest.ini", WARNINGS_ARE_ERRORS)),
    "ini_changed": (
        (Write("TOP/pytest.ini", "[pytest]\n"),),
        Write("TOP/pytest.ini", WARNINGS_ARE_ERRORS),
    ),
    "ini_deleted": (
        (
            Write("TOP/pytest.ini", "[pytest]\n"),
            Write("TOP/tox.ini", WARNINGS_ARE_ERRORS),
        ),
        Delete("TOP/pytest.ini"),
    ),
    "ini_renamed": (
        (
            Write("TOP/pytest.ini", "[pytest]\n"),
            Write("TOP/tox.ini", WARNINGS_ARE_ERRORS),
        ),
        Rename("TOP/pytest.ini", "TOP/other.ini"),
    ),
    "pyproject_changed": ((), Write("TOP/pyproject.toml", TOML)),
    "tox_created": (
        (Delete("TOP/pyproject.toml"), Write("TOP/setup.cfg", "[tool:pytest]\n")),
        Write("TOP/tox.ini", WARNINGS_ARE_ERRORS),
    ),
    "setup_changed": (
        (Delete("TOP/pyproject.toml"), Write("TOP/setup.cfg", "[tool:pytest]\n")),
        Write("TOP/setup.cfg", "[tool:pytest]\nfilterwarnings = error\n"),
    ),
    "ini_linked": (
        (
            Write("TOP/one.ini", "[pytest]\n"),
            Write("TOP/two.ini", WARNINGS_ARE_ERRORS),
            Link("TOP/pytest.ini", "one.ini"),
        ),
        Link("TOP/pytest.ini", "two.ini"),
    ),
}

PLUGIN = "import pytest\n@pytest.fixture(autouse=True)\ndef breaks():\n    assert {}\n"
PLUGIN_GROUP = "[pytest11]\nplugged = plugged_ROW\n"

#: Hypothesis lists all distributions when it is loaded, whether it is used or not.
NO_OTHER_PLUGINS = Variable("HYPOTHESIS_NO_PLUGINS", "1")

#: Settings of ``[tool.iopio.cache]`` with what they make of a row.
SETTINGS = "[tool.iopio.cache]\n{} = [{!r}]\n"

#: A variable that C code, or the interpreter itself, reads: name → (value, expression it breaks).
INTERPRETER_VARIABLES = {
    "TZ": ("Asia/Kathmandu", "time.localtime(0).tm_hour == 0"),
    "PYTHONWARNINGS": ("ignore", "'ignore' not in sys.warnoptions"),
    "PYTHONOPTIMIZE": ("1", "__debug__ or pathlib.Path('/nowhere').exists()"),
    "PYTHONDEVMODE": ("1", "not sys.flags.dev_mode"),
    "PYTHONIOENCODING": ("latin-1", "'latin' not in os.environ.get('PYTHONIOENCODING', '')"),
    "LC_ALL": ("POSIX", "os.environ.get('LC_ALL') is None"),
}

ROWS: tuple[Row, ...] = (
    Row(
        name="missed_by_testmon_filterwarnings_error",
        test=WARNS,
        before=(Write("TOP/pytest.ini", "[pytest]\n"),),
        change=(Write("TOP/pytest.ini", WARNINGS_ARE_ERRORS),),
    ),
    *(
        Row(
            name=f"configuration_{name}",
            test=WARNS,
            before=before,
            harmless=(*UNRELATED, Write("TOP/notes.ini", WARNINGS_ARE_ERRORS)),
            change=(change,),
        )
        for name, (before, change) in CONFIGURATIONS.items()
    ),
    Row(
        name="conftest_in_the_root",
        test=PASSES,
        change=(Write("TOP/conftest.py", PLUGIN.format(0)),),
    ),
    # Plugins.
    Row(
        name="plugin_installed",
        test=PASSES,
        plugins=True,
        before=(NO_OTHER_PLUGINS,),
        harmless=(*UNRELATED, Distribution("other_ROW", "1.0", "VALUE = 1\n")),
        change=(Distribution("plugged_ROW", "1.0", PLUGIN.format(0), PLUGIN_GROUP),),
    ),
    Row(
        name="plugin_upgraded",
        test=PASSES,
        plugins=True,
        before=(
            Distribution("plugged_ROW", "1.0", PLUGIN.format(1), PLUGIN_GROUP),
            NO_OTHER_PLUGINS,
        ),
        change=(Distribution("plugged_ROW", "1.1", PLUGIN.format(0), PLUGIN_GROUP),),
    ),
    Row(
        name="plugin_named",
        test=PASSES,
        before=(Write("SITE/plugged_ROW.py", PLUGIN.format(0)),),
        changed_arguments=("--", "-p", "plugged_ROW"),
    ),
    Row(
        name="plugin_named_changed",
        test=PASSES,
        before=(Write("SITE/plugged_ROW.py", PLUGIN.format(1)),),
        arguments=("--", "-p", "plugged_ROW"),
        change=(Write("SITE/plugged_ROW.py", PLUGIN.format(0)),),
    ),
    Row(
        name="plugin_in_the_environment",
        test=PASSES,
        before=(Write("SITE/plugged_ROW.py", PLUGIN.format(0)),),
        change=(Variable("PYTEST_PLUGINS", "plugged_ROW"),),
    ),
    Row(
        name="options_in_the_environment",
        test=WARNS,
        change=(Variable("PYTEST_ADDOPTS", "-W error"),),
    ),
    Row(name="options", test=WARNS, changed_arguments=("--", "-W", "error")),
    # Where modules come from.
    holding(
        "python_path",
        "VALUE == 1",
        Variable("PYTHONPATH", "@OUT@/early"),
        imports="from helper_ROW import VALUE",
        before=(
            Write("SITE/helper_ROW.py", "VALUE = 1\n"),
            Write("OUT/early/helper_ROW.py", "VALUE = 2\n"),
        ),
    ),
    holding(
        "path_file_added",
        "importlib.util.find_spec('helper_ROW') is None",
        Write("SITE/added.pth", "@OUT@/added\n"),
        imports="import importlib.util",
        before=(Write("OUT/added/helper_ROW.py", "VALUE = 2\n"),),
    ),
    holding(
        "path_file_changed",
        "VALUE == 1",
        Write("SITE/added.pth", "@OUT@/two\n"),
        imports="from helper_ROW import VALUE",
        before=(
            Write("OUT/one/helper_ROW.py", "VALUE = 1\n"),
            Write("OUT/two/helper_ROW.py", "VALUE = 2\n"),
            Write("SITE/added.pth", "@OUT@/one\n"),
            Folder("OUT/one/__pycache__"),
        ),
    ),
    holding(
        "path_file_runs_code",
        "not hasattr(sys, 'matrix')",
        Write("SITE/code.pth", "import sys; sys.matrix = 1\n"),
    ),
    holding(
        "site_customised",
        "not hasattr(sys, 'matrix')",
        Write("SITE/sitecustomize.py", "import sys\nsys.matrix = 1\n"),
    ),
    holding(
        "site_customised_otherwise",
        "sys.matrix == 1",
        Write("SITE/sitecustomize.py", "import sys\nsys.matrix = 2  # other size\n"),
        before=(Write("SITE/sitecustomize.py", "import sys\nsys.matrix = 1\n"),),
    ),
    holding(
        "all_distributions",
        "'dist_ROW' not in {d.metadata['Name'] for d in metadata.distributions()}",
        Distribution("dist_ROW", "1.0", "VALUE = 1\n"),
        imports="import importlib.metadata as metadata",
    ),
    # Variables that concern more than the tests that name them.
    *(
        holding(
            f"environment_{name.lower()}",
            expression,
            Variable(name, value),
            imports="import time",
            visible=name != "PYTHONOPTIMIZE",
            own_oracle=name.startswith("PYTHON"),
        )
        for name, (value, expression) in INTERPRETER_VARIABLES.items()
    ),
    *(
        holding(
            f"whole_environment_{name}",
            f"'MATRIX_ROW' not in {expression}",
            Variable("MATRIX_ROW", "new"),
        )
        for name, expression in (
            ("copy", "os.environ.copy()"),
            ("dict", "dict(os.environ)"),
            ("items", "dict(os.environ.items())"),
            ("union", "(os.environ | {})"),
            ("list", "list(os.environ)"),
        )
    ),
    Row(
        name="variable_that_was_put_back",
        test=(
            "import os\ndef test_first(monkeypatch):\n"
            "    monkeypatch.setenv('MATRIX_ROW', 'own')\n"
            "def test_second():\n    assert os.environ.get('MATRIX_ROW') != 'new'\n"
        ),
        change=(Variable("MATRIX_ROW", "new"),),
    ),
    holding(
        "whole_environment_of_a_program",
        "b'MATRIX_ROW' not in subprocess.run(['env'], capture_output=True).stdout",
        Variable("MATRIX_ROW", "new"),
        imports="import subprocess",
        level=Level.COARSE,
    ),
    # Programs that are not of the project.
    holding(
        "program_changed",
        "subprocess.run(['@OUT@/bin/tool'], capture_output=True).stdout == b'one\\n'",
        Write("OUT/bin/tool", "#!/bin/sh\necho two\n"),
        imports="import subprocess",
        before=(
            Write("OUT/bin/tool", "#!/bin/sh\necho one\n"),
            Chmod("OUT/bin/tool", 0o755),
        ),
        level=Level.COARSE,
    ),
    holding(
        "program_on_the_path_changed",
        "subprocess.run(['tool'], capture_output=True).stdout == b'one\\n'",
        Write("OUT/bin/tool", "#!/bin/sh\necho two\n"),
        imports="import subprocess\nos.environ['PATH'] = '@OUT@/bin:' + os.environ['PATH']",
        before=(
            Write("OUT/bin/tool", "#!/bin/sh\necho one\n"),
            Chmod("OUT/bin/tool", 0o755),
        ),
        level=Level.COARSE,
    ),
    holding(
        "program_shadowed_on_the_path",
        "subprocess.run(['tool'], capture_output=True).stdout == b'one\\n'",
        Write("OUT/early/tool", "#!/bin/sh\necho two\n"),
        Chmod("OUT/early/tool", 0o755),
        imports=(
            "import subprocess\nos.environ['PATH'] = '@OUT@/early:@OUT@/bin:' + os.environ['PATH']"
        ),
        before=(
            Write("OUT/bin/tool", "#!/bin/sh\necho one\n"),
            Write("OUT/early/other", ""),
            Chmod("OUT/bin/tool", 0o755),
        ),
        level=Level.COARSE,
    ),
    holding(
        "python_outside_changed",
        "subprocess.run([sys.executable, '@OUT@/tool.py'], capture_output=True).stdout == b'1\\n'",
        Write("OUT/tool.py", "print(2)\n"),
        imports="import subprocess",
        before=(Write("OUT/tool.py", "print(1)\n"),),
    ),
    # All files of the project.
    Row(
        name="coarse_any_file",
        test="import subprocess\ndef test_it():\n    subprocess.run(['ls'], check=True)\n",
        harmless=(Write("OUT/notes.txt", ""), Write("__pycache__/x.pyc", "")),
        change=(Write("TOP/notes.txt", "anything"),),
        level=Level.COARSE,
        visible=False,
    ),
    # The repository.
    holding(
        "git_head_by_a_program",
        "subprocess.run(GIT, capture_output=True).stdout == b'first\\n'",
        Git(("commit", "--allow-empty", "-m", "second")),
        imports="import subprocess\nGIT = ['git', 'log', '-1', '--format=%s']",
        before=(
            Git(("init", "-q", "-b", "main")),
            Git(("commit", "--allow-empty", "-m", "first")),
        ),
        level=Level.COARSE,
    ),
    holding(
        "git_branch_by_reading",
        "'main' in (HERE.parent / '.git' / 'HEAD').read_text()",
        Git(("checkout", "-b", "other")),
        before=(
            Git(("init", "-q", "-b", "main")),
            Git(("commit", "--allow-empty", "-m", "first")),
        ),
    ),
    Row(
        name="git_is_nobodys_input",
        test=PASSES,
        before=(Git(("init", "-q", "-b", "main")),),
        harmless=(Git(("commit", "--allow-empty", "-m", "first")), Git(("add", "."))),
        change=(Write("conftest.py", PLUGIN.format(0)),),
    ),
    # Settings.
    Row(
        name="setting_inputs",
        test=PASSES,
        before=(Write("TOP/pyproject.toml", SETTINGS.format("inputs", "extra/*.txt")),),
        files={"TOP/extra/a.txt": "one"},
        change=(Write("TOP/extra/a.txt", "two"),),
        visible=False,
    ),
    Row(
        name="setting_inputs_new_file",
        test=PASSES,
        before=(Write("TOP/pyproject.toml", SETTINGS.format("inputs", "extra/*.txt")),),
        files={"TOP/extra/a.txt": "one"},
        change=(Write("TOP/extra/b.txt", "two"),),
        visible=False,
    ),
    holding(
        "setting_ignore",
        "(HERE.parent / 'noise' / 'a.txt').read_text()",
        Write("test_ROW.py", "def test_it():\n    assert 0\n"),
        before=(Write("TOP/pyproject.toml", SETTINGS.format("ignore", "noise/*.txt")),),
        files={"TOP/noise/a.txt": "one"},
        harmless=(*UNRELATED, Write("TOP/noise/a.txt", "two")),
    ),
    Row(
        name="setting_env",
        test=PASSES,
        before=(Write("TOP/pyproject.toml", SETTINGS.format("env", "MATRIX_KNOB")),),
        change=(Variable("MATRIX_KNOB", "new"),),
        visible=False,
    ),
    holding(
        "setting_ignore_env",
        "os.environ.get('MATRIX_KNOB') != 'bad'",
        Write("test_ROW.py", "def test_it():\n    assert 0\n"),
        before=(Write("TOP/pyproject.toml", SETTINGS.format("ignore-env", "MATRIX_KNOB")),),
        harmless=(*UNRELATED, Variable("MATRIX_KNOB", "new")),
    ),
    Row(
        name="setting_hosts",
        test=(
            "import contextlib, socket\ndef test_it():\n"
            "    with contextlib.suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as it:\n"
            "        it.connect(('192.0.2.1', 9))\n"
        ),
        before=(Write("TOP/pyproject.toml", SETTINGS.format("hosts", "192.0.2.1")),),
        change=(Write("test_ROW.py", "def test_it():\n    assert 0\n"),),
    ),
)
