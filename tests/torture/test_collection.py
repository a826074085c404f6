"""Files that can't be imported, or are no files at all: cases 29 to 33."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from torture.harness import CONTROL, Project


class Broken(NamedTuple):
    """A file that can't be imported, what is said of it, and the place that is named."""

    content: bytes
    message: str
    place: str


#: Case 29, as far as it ends in errors. Of null bytes, pytest does not say where they are.
BROKEN = {
    "test_syntax.py": Broken(b"def test_it():\n    pass\n)\n", "SyntaxError", "line 3"),
    "test_nul.py": Broken(b"x = 1\n\0\ndef test_it(): pass\n", "null bytes", "null bytes"),
    "test_cookie.py": Broken(
        b"# -*- coding: nonsense -*-\ndef test_it(): pass\n", "nonsense", "test_cookie.py"
    ),
    "test_encoding.py": Broken(
        b"# word\ns = '\xff'\ndef test_it(): pass\n", "SyntaxError", "test_encoding.py"
    ),
    "test_cycle.py": Broken(
        b"\nfrom cycle import this\ndef test_it(): pass\n",
        "partially initialized module",
        "cycle_back.py:1",
    ),
    "test_missing.py": Broken(
        b"\n\nimport there_is_no_such_module\n", "ModuleNotFoundError", "test_missing.py:3"
    ),
    "test_deep.py": Broken(b"x = " + b"(" * 5000 + b")" * 5000 + b"\n", "", "test_deep.py"),
}

#: Case 29, as far as it runs.
UNUSUAL = {
    "test_bom.py": b"\xef\xbb\xbfdef test_it(): assert '\xc3\xa4' == chr(228)\n",
    "test_latin.py": b"# -*- coding: latin-1 -*-\ndef test_it(): assert '\xe4' == chr(228)\n",
    "test_crlf.py": b"def test_it():\r\n    pass\r\n",
    "test_no_newline.py": b"def test_it(): pass",
    "test_form_feed.py": b"\x0cdef test_it(): pass\n",
}


@pytest.fixture(scope="module")
def imports(tmp_path_factory, control):
    project = Project(tmp_path_factory.mktemp("imports"), control)
    for name, broken in BROKEN.items():
        project.write(name, broken.content)
    for name, content in UNUSUAL.items():
        project.write(name, content)
    project.write("cycle.py", "import cycle_back\nthis = 1\n")
    project.write("cycle_back.py", "from cycle import this\n")
    return project.run(code=1, again=True)


@pytest.mark.parametrize("name", BROKEN)
def test_29_what_cannot_be_imported_is_an_error_at_its_place(imports, name):
    module = imports.module(name)
    assert module.status == "failed"
    assert module.tests == {name: "error"}
    (failure,) = module.finished[0]["failures"]
    assert BROKEN[name].message in failure["message"]
    assert BROKEN[name].place in failure["text"]


@pytest.mark.parametrize("name", UNUSUAL)
def test_29_what_is_unusual_runs(imports, name):
    assert imports.module(name).verdict == ("passed", {"test_it": "passed"})


#: Case 30: modules of these names stand beside the tests.
SHADOWED = (
    *("abc", "argparse", "asyncio", "atexit_", "base64", "codecs", "collections", "contextlib"),
    *("ctypes", "dataclasses", "enum", "functools", "hashlib", "importlib_", "inspect", "io_"),
    *("json", "logging", "msgspec", "operator", "orjson", "os_", "pathlib", "pickle", "random"),
    *("re", "rich", "secrets", "select", "selectors", "signal", "site_", "socket", "string"),
    *("struct", "subprocess", "tempfile", "threading", "token", "traceback", "types", "typer"),
    *("typing", "uuid", "warnings", "weakref", "zlib", "anyio", "iopio_async"),
)


#: The part of them that neither Python imports for ``-m``, before anything of ours, nor pytest in
#: the middle of its session: the tests have the current folder first on their path then.
SHADOWED_FOR_M = (
    *("argparse", "asyncio", "dataclasses", "hashlib", "json", "logging", "msgspec"),
    *("orjson", "pathlib", "pickle", "random", "rich", "secrets", "select", "selectors", "signal"),
    *("socket", "subprocess", "tempfile", "traceback", "typer", "uuid", "anyio"),
)


@pytest.mark.parametrize("by", ["script", "module"])
def test_30_modules_named_like_the_standard_librarys(project, by):
    for name in SHADOWED if by == "script" else SHADOWED_FOR_M:
        project.write(f"{name}.py", f"raise RuntimeError('{name} beside the tests was imported')\n")
    project.write("test_it.py", "def test_it(): pass\n")
    script = Path(sys.executable).with_name("iopio")
    if by == "script" and not script.is_file():
        pytest.skip("iopio is not installed for this interpreter")
    options = ["run", "--workers=2", "--framework=pytest", "--", "--import-mode=importlib"]
    command = [str(script)] if by == "script" else [sys.executable, "-m", "iopio_async"]
    done = subprocess.run(
        [*command, *options],
        cwd=project.root,
        env=project.environment,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def test_30_the_tests_themselves_get_what_a_plain_run_gives_them(project):
    # By default pytest puts the folder of a test first on the path before it imports that test.
    project.write("json.py", "ours = True\n")
    project.write("colorsys.py", "ours = True\n")
    project.write(
        "test_it.py",
        "import colorsys, json\n"
        "def test_loaded_by_pytest_before(): assert not hasattr(json, 'ours')\n"
        "def test_found_first(): assert colorsys.ours\n",
    )
    assert project.run(code=0).module("test_it.py").status == "passed"


def test_31_links_in_circles_links_to_nothing_and_pipes(project):
    (project.root / "folder").mkdir()
    (project.root / "folder" / "loop").symlink_to(project.root)
    (project.root / "test_self.py").symlink_to("test_self.py")
    (project.root / "test_dangling.py").symlink_to("nowhere.py")
    os.mkfifo(project.root / "test_pipe.py")
    outcome = project.run(code=0, again=True)
    assert [event["module"] for event in outcome.of("module_planned")] == ["test_control.py"]
    told = "\n".join(outcome.warnings)
    assert "test_pipe.py: left out: a FIFO" in told
    assert "test_dangling.py: left out: a link that leads nowhere" in told
    assert "test_self.py: left out" in told
    assert "folder/loop: a link to a directory that holds it" in told


@pytest.mark.parametrize("framework", ["pytest", "functions"])
def test_32_a_name_that_is_not_utf8(project, framework):
    name = b"test_\xff\xfe.py"
    try:
        (project.root / os.fsdecode(name)).write_text(
            "def test_it(): pass\ndef test_no(): assert 0\n"
        )
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    outcome = project.run(f"--framework={framework}", code=1, again=True, control=False)
    (path,) = [
        event["module"]
        for event in outcome.of("module_planned")
        if event["module"] != "test_control.py"
    ]
    assert path.startswith("test_")
    assert path.isprintable()
    module = outcome.module(path)
    assert module.verdict == ("failed", {"test_it": "passed", "test_no": "failed"})


def test_32_a_name_that_is_not_utf8_in_all_reports(project):
    (project.root / os.fsdecode(b"test_\xff.py")).write_text("def test_it(): assert 0\n")
    with project.start("-vv", "--junit-xml=j.xml", "--report=r.json", json=False) as live:
        outcome = live.rest()
    assert outcome.code == 1, outcome.stderr
    assert outcome.stderr == ""
    outcome.stdout.decode()
    (project.root / "j.xml").read_bytes().decode()
    (project.root / "r.json").read_bytes().decode()
    with project.start("--last-failed", json=False) as live:
        again = live.rest()
    assert again.code == 1, again.stderr
    assert b"1 failed" in again.stdout


def test_33_a_module_without_tests_is_empty(project):
    project.write("test_it.py", "")
    outcome = project.run(code=0)
    assert outcome.module("test_it.py").verdict == ("empty", {})


@pytest.mark.parametrize("files", [{}, {"test_it.py": "x = 1\n"}], ids=["no files", "no tests"])
def test_33_a_run_without_tests_ends_with_5(project, files):
    (project.root / CONTROL).unlink()
    for name, content in files.items():
        project.write(name, content)
    project.run(code=5, control=False)
