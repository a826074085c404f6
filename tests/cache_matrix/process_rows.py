"""Rows about child processes: Python ones, which are followed, and others, which are not."""

from cache_matrix.mutations import Chmod, Rewrite, Write
from cache_matrix.row import Level, Row

CHILD = "child.py"
READS = "import pathlib\nprint((pathlib.Path(__file__).parent / 'data.txt').read_text(), end='')\n"
IMPORTS = "import helper_ROW\nprint(helper_ROW.VALUE, end='')\n"
RUN = "subprocess.run([{}], capture_output=True, text=True{}).stdout"
SCRIPT = "sys.executable, str(HERE / 'child.py')"

#: Ways to a Python child that reads ``data.txt``: name → (statements that set ``found``).
PYTHON_CHILDREN = {
    "script": "found = " + RUN.format(SCRIPT, ""),
    "code": "found = "
    + RUN.format(
        "sys.executable, '-c', 'import sys; print(open(sys.argv[1]).read())', str(DATA)", ""
    ),
    "module": "found = " + RUN.format("sys.executable, '-m', 'child'", ", cwd=HERE"),
    "environment": "found = " + RUN.format(SCRIPT, ", env=dict(os.environ, OTHER='1')"),
    "no_environment": "found = " + RUN.format(SCRIPT, ", env={}"),
    "folder": "found = " + RUN.format(SCRIPT, ", cwd=HERE"),
    "standard_input": (
        "found = subprocess.run([sys.executable, '-'], input=f'print(open({str(DATA)!r}).read())',"
        " capture_output=True, text=True).stdout"
    ),
    "input_file": (
        "found = subprocess.run([sys.executable, '-c', 'import sys; print(sys.stdin.read())'],"
        " stdin=open(DATA), capture_output=True, text=True).stdout"
    ),
    "isolated": "found = " + RUN.format(SCRIPT.replace(",", ", '-I',", 1), ""),
    "no_site": "found = " + RUN.format(SCRIPT.replace(",", ", '-S',", 1), ""),
    "grandchild": "found = "
    + RUN.format(
        "sys.executable, '-c', 'import subprocess, sys;"
        " subprocess.run([sys.executable, sys.argv[1]])', str(HERE / 'child.py')",
        "",
    ),
    "shell": (
        "found = subprocess.run(f'{sys.executable} {HERE}/child.py', shell=True,"
        " capture_output=True, text=True).stdout"
    ),
    "asyncio": (
        "async def child():\n"
        "        process = await asyncio.create_subprocess_exec("
        "sys.executable, str(HERE / 'child.py'), stdout=-1)\n"
        "        return (await process.communicate())[0].decode()\n"
        "    found = asyncio.run(child())"
    ),
    "posix_spawn": (
        "out = os.open(tmp_path / 'out', os.O_CREAT | os.O_RDWR)\n"
        "    pid = os.posix_spawn(sys.executable, [sys.executable, str(HERE / 'child.py')],"
        " os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])\n"
        "    os.waitpid(pid, 0)\n    found = (tmp_path / 'out').read_text()"
    ),
    "fork": (
        "ends = os.pipe()\n    pid = os.fork()\n    if not pid:\n"
        "        os.write(ends[1], DATA.read_bytes())\n        os._exit(0)\n"
        "    os.waitpid(pid, 0)\n    found = os.read(ends[0], 99).decode()"
    ),
    "fork_and_exec": (
        "ends = os.pipe()\n    pid = os.fork()\n    if not pid:\n"
        "        os.dup2(ends[1], 1)\n"
        "        os.execv(sys.executable, [sys.executable, str(HERE / 'child.py')])\n"
        "    os.waitpid(pid, 0)\n    found = os.read(ends[0], 99).decode()"
    ),
    **{
        f"multiprocessing_{method}": (
            f"context = multiprocessing.get_context('{method}')\n"
            "    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:\n"
            "        found = pool.submit(DATA.read_text).result()"
        )
        for method in ("spawn", "fork", "forkserver")
    },
}

#: Ways to another program that reads ``data.txt``.
OTHER_PROGRAMS = {
    "cat": "found = " + RUN.format("'cat', str(DATA)", ""),
    "popen": "found = os.popen(f'cat {DATA}').read()",
    "shell_line": (
        "found = subprocess.run(f'cat {DATA}', shell=True, capture_output=True, text=True).stdout"
    ),
    "system": "os.system(f'cat {DATA} > {tmp_path}/out')\n    found = "
    "(tmp_path / 'out').read_text()",
    "script_of_the_project": "found = " + RUN.format("str(HERE / 'tool')", ""),
    "spawnlp": (
        "os.spawnlp(os.P_WAIT, 'cp', 'cp', str(DATA), str(tmp_path / 'out'))\n"
        "    found = (tmp_path / 'out').read_text()"
    ),
}

HEAD = (
    "import asyncio, concurrent.futures, multiprocessing, subprocess, warnings\n"
    "warnings.simplefilter('ignore')\n"
)

#: Python children that nothing can be slipped into.
NOT_FOLLOWED = {"isolated", "no_site", "shell", "no_environment", "fork_and_exec", "input_file"}


def child(name: str, statements: str, level: Level, **more: object) -> Row:
    """A row whose test holds what a child says that it read."""
    settings: dict[str, object] = {
        "files": {CHILD: READS, "data.txt": "one", "tool": "#!/bin/sh\ncat ${0%/*}/data.txt\n"},
        "before": (Chmod("tool", 0o755),),
        "change": (Write("data.txt", "two"),),
        **more,
    }
    return Row(
        name=f"child_{name}",
        test=f"{HEAD}def test_it(tmp_path):\n    {statements}\n    assert found.strip() == 'one'\n",
        level=level,
        **settings,  # type: ignore[arg-type]
    )


ROWS: tuple[Row, ...] = (
    *(
        child(name, statements, Level.COARSE if name in NOT_FOLLOWED else Level.PRECISE)
        for name, statements in PYTHON_CHILDREN.items()
    ),
    *(child(name, statements, Level.COARSE) for name, statements in OTHER_PROGRAMS.items()),
    child(
        "script_changed",
        PYTHON_CHILDREN["script"],
        Level.PRECISE,
        change=(Write(CHILD, "print('two')\n"),),
    ),
    child(
        "script_same_size_same_mtime",
        PYTHON_CHILDREN["script"],
        Level.PRECISE,
        files={CHILD: "print('one')\n"},
        before=(),
        change=(Rewrite(CHILD, "print('two')\n"),),
    ),
    child(
        "import_changed",
        PYTHON_CHILDREN["script"],
        Level.PRECISE,
        files={CHILD: IMPORTS, "helper_ROW.py": "VALUE = 'one'\n"},
        before=(),
        change=(Write("helper_ROW.py", "VALUE = 'two'\n"),),
    ),
    child(
        "import_shadowed",
        PYTHON_CHILDREN["module"],
        Level.PRECISE,
        files={CHILD: IMPORTS},
        before=(Write("SITE/helper_ROW.py", "VALUE = 'one'\n"),),
        change=(Write("helper_ROW.py", "VALUE = 'two'\n"),),
    ),
    child(
        "tool_changed",
        OTHER_PROGRAMS["script_of_the_project"],
        Level.COARSE,
        change=(Write("tool", "#!/bin/sh\necho two\n"),),
    ),
    Row(
        name="child_is_undisturbed",
        # What a child sees of the tracer: nothing.
        test=(
            f"{HEAD}def test_it():\n"
            "    code = 'import os, sys; print([p for p in sys.path if \"inject\" in p], '\n"
            '    code += \'sorted(n for n in os.environ if "IOPIO" in n or n == "PYTHONPATH"))\'\n'
            "    command = [sys.executable, '-c', code]\n"
            "    env = {n: v for n, v in os.environ.items() if 'IOPIO' not in n}\n"
            "    ended = subprocess.run(command, env=env, capture_output=True, text=True)\n"
            "    assert (ended.stdout.strip(), ended.stderr) == ('[] []', '')\n"
        ),
        level=Level.FREE,
        visible=False,
    ),
)
