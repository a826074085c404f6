"""The result cache as a person meets it: what runs again, why, and how to be rid of results."""

import json
import re
import stat
import sys
import time
from pathlib import Path

import pytest
from end_to_end.cached import CACHED, COLOUR, DOUBLE, EXECUTED, FILES, Project, of_all

#: Modules that the answer of a receipt must do without: each takes longer than the answer.
HEAVY = {"msgspec", "typer", "anyio", "asyncio", "orjson", "pytest", "rich", "argparse", "logging"}

#: Below, a source file is taken as a whole.
SEES_FUNCTIONS = sys.version_info >= (3, 12)

DURATION = re.compile(r" in \d+\.\d\d s ")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that was run, for who only looks."""
    project = Project(tmp_path_factory.mktemp("settled"))
    assert of_all(project.sources()) == EXECUTED
    return project


# -- hits and receipts -------------------------------------------------------------------------


def test_what_did_not_change_is_not_run_again(project: Project) -> None:
    first, second = project.run(), project.run()
    assert of_all(first.sources) == EXECUTED
    assert of_all(second.sources) == CACHED
    assert second.outcomes == first.outcomes
    assert second.told("2 cached") == 1


def test_a_receipt_answers_without_the_machinery(project: Project) -> None:
    assert project.call("run").returncode == 0
    hits = project.call("run")
    assert hits.returncode == 0
    assert "2 cached" in hits.stdout
    with project.start("run", options=("-X", "importtime")) as process:
        stdout, imported = process.communicate()
    assert process.returncode == 0
    assert DURATION.sub(" ", stdout) == DURATION.sub(" ", hits.stdout) != stdout
    names = {line.rpartition("|")[2].strip() for line in imported.splitlines()}
    assert "iopio_async.cli.receipt" in names
    assert {name.partition(".")[0] for name in names} & HEAVY == set()
    assert not {name for name in names if name.startswith("iopio_async.orchestration")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("-q",), ("-v",), ("-vv",), ("--color=always",), ("-k", "double")], ids=" ".join
)
def test_each_way_of_printing_has_its_receipt(project: Project, words: tuple[str, ...]) -> None:
    assert project.call("run", *words).returncode == 0
    hits = project.call("run", *words)
    receipts = [file.name for file in (project.cache / "v1" / "receipts").iterdir()]
    assert len(receipts) == 2, "the secret, and one receipt"
    answered = project.call("run", *words)
    assert DURATION.sub(" ", answered.stdout) == DURATION.sub(" ", hits.stdout)
    assert answered.returncode == hits.returncode == 0


@pytest.mark.slow
def test_a_receipt_answers_no_longer_than_its_results_hold(project: Project) -> None:
    for _ in range(3):
        assert project.call("run").returncode == 0
    project.env["COLOUR"] = "black"
    assert project.call("run").returncode == 1
    del project.env["COLOUR"]
    assert "2 cached" in project.call("run").stdout
    project.write("product.py", "def double(number):\n    return number\n")
    assert project.call("run").returncode == 1


@pytest.mark.slow
def test_a_receipt_gone_bad_is_none(project: Project) -> None:
    for _ in range(2):
        assert project.call("run").returncode == 0
    folder = project.cache / "v1" / "receipts"
    (receipt,) = (file for file in folder.iterdir() if file.name != "secret")
    whole = receipt.read_bytes()
    for damaged in (b"", whole[:-1], whole.replace(b"passed", b"PASSED"), b"\0" * len(whole)):
        receipt.write_bytes(damaged)
        ended = project.call("run")
        assert (ended.returncode, "2 passed" in ended.stdout) == (0, False)
        assert "3 passed" in ended.stdout
    receipt.unlink()
    (folder / "secret").write_bytes(b"short")
    assert "3 passed" in project.call("run").stdout


# -- options -----------------------------------------------------------------------------------


def test_no_cache_writes_nothing(project: Project) -> None:
    assert of_all(project.sources("--no-cache")) == EXECUTED
    assert project.stored() == []
    assert not (project.cache / "v1" / "receipts").exists()
    assert of_all(project.sources()) == EXECUTED


def test_no_cache_reads_nothing(project: Project) -> None:
    project.run()
    stored = project.stored()
    assert of_all(project.sources("--no-cache")) == EXECUTED
    assert project.stored() == stored


def test_refresh_executes_all_and_stores_it(project: Project) -> None:
    project.run()
    before = project.why("--json")
    assert of_all(project.sources("--refresh")) == EXECUTED
    after = project.why("--json")
    executed_at = [
        {row["module"]: row["executed_at_s"] for row in map(json.loads, text.splitlines())}
        for text in (before, after)
    ]
    assert all(executed_at[1][path] > executed_at[0][path] for path in (COLOUR, DOUBLE))


@pytest.mark.slow
def test_another_folder_is_made_with_its_parents(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "some" / "where" / "else"
    first = project.run(f"--cache-dir={elsewhere}")
    assert of_all(first.sources) == EXECUTED
    assert not first.told("warning")
    assert of_all(project.sources(f"--cache-dir={elsewhere}")) == CACHED
    assert project.stored() == []
    assert (elsewhere / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
    # The project's own knows nothing of it.
    assert of_all(project.sources()) == EXECUTED
    assert "hit" in project.why(COLOUR, f"--cache-dir={elsewhere}")
    ended = project.call("cache", "path", f"--cache-dir={elsewhere}")
    assert ended.stdout == f"{elsewhere}\n"


def test_an_old_result_is_not_believed(project: Project) -> None:
    project.run()
    # A shorter lifetime also counts for what was stored with a longer one.
    assert project.why(COLOUR, "--cache-ttl=0.001s") == f"{COLOUR}: miss: its result is too old\n"
    assert of_all(project.sources("--cache-ttl", "0.001s")) == EXECUTED


@pytest.mark.slow
def test_a_result_ends_as_it_was_stored(project: Project) -> None:
    project.run("--cache-ttl", "3s")
    (row,) = map(json.loads, project.why(COLOUR, "--json").splitlines())
    assert 2.25 <= row["expires_at_s"] - row["executed_at_s"] <= 3
    project.wait_until(row["executed_at_s"] + 3.0)
    # Not even where longer ones are allowed.
    assert project.why(COLOUR) == f"{COLOUR}: miss: its result is too old\n"
    assert "results   2 (2 too old)" in project.call("cache", "stats").stdout
    # What is as young as this may be about to be used.
    assert project.call("cache", "gc").stdout.startswith("0 modules")
    assert of_all(project.sources()) == EXECUTED


# -- audits ------------------------------------------------------------------------------------


def test_an_audit_executes_hits(project: Project) -> None:
    project.run()
    audited = project.run("--audit", "100")
    assert of_all(audited.sources) == EXECUTED
    assert not audited.told("audit")
    assert of_all(project.sources("--audit", "0")) == CACHED


#: Goes on to be as it is until a moment comes, which no tracer sees.
FICKLE = """\
import time

import pytest


def test_is_young():
    if time.time() >= {moment_s}:
        {later}
    else:
        {earlier}


def test_stays():
    pass
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("earlier", "later", "before", "now"),
    [
        ("pass", "pytest.fail()", "passed", "failed"),
        # All is well now, and yet not what the cache would have told.
        ("pytest.skip()", "pass", "skipped", "passed"),
    ],
)
def test_a_wrong_result_is_told_loudly(
    project: Project, earlier: str, later: str, before: str, now: str
) -> None:
    module = "tests/test_fickle.py"
    test = f"{module}::test_is_young"
    moment_s = time.time() + 4.0
    project.write(module, FICKLE.format(moment_s=moment_s, earlier=earlier, later=later))
    first = project.run()
    assert (first.sources[module], first.outcomes[test]) == (EXECUTED, before)
    project.wait_until(moment_s)
    second = project.run()
    assert (second.sources[module], second.outcomes[test]) == (CACHED, before)
    audited = project.run("--audit=100", code=1)
    assert audited.told(f"audit: the stored result of {module} is wrong: {test}") == 1
    assert audited.told(f"{test} is {now} now, and {before} in the cache") == 1
    assert audited.outcomes[test] == now
    assert audited.report["summary"]["exit_code"] == 1


# -- why ---------------------------------------------------------------------------------------


def test_why_of_a_hit(settled: Project) -> None:
    first, passed, holds = settled.why(COLOUR).splitlines()
    assert first == f"{COLOUR}: hit: nothing that it read has changed"
    assert re.fullmatch(r"  passed .+ ago in \d.*", passed)
    assert re.fullmatch(r"  holds for \d+ h .* more, inputs are precise", holds)


def test_why_of_all_and_of_a_folder(settled: Project) -> None:
    for words in ((), ("tests",), (DOUBLE, COLOUR)):
        heads = [line for line in settled.why(*words).splitlines() if not line.startswith(" ")]
        assert sorted(heads) == [
            f"{path}: hit: nothing that it read has changed" for path in (COLOUR, DOUBLE)
        ]


def test_why_as_json(settled: Project) -> None:
    (row,) = map(json.loads, settled.why(COLOUR, "--json").splitlines())
    assert (row["module"], row["hit"], row["level"]) == (COLOUR, True, "precise")
    assert row["executed_at_s"] < row["expires_at_s"]


def test_why_of_what_is_no_module(settled: Project) -> None:
    ended = settled.call("why", "tests/test_none.py")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no such test module: tests/test_none.py" in ended.stderr


def test_why_changes_nothing(settled: Project) -> None:
    def state() -> dict[str, int]:
        return {
            str(file): file.stat().st_mtime_ns
            for file in (settled.cache / "v1").rglob("*")
            if file.is_file() and file.name not in {"digests", "scopes", "index"}
        }

    before = state()
    settled.why()
    assert state() == before


def test_why_before_any_run(project: Project) -> None:
    assert project.why(COLOUR) == f"{COLOUR}: miss: it has not been run in this way before\n"


CHANGES: dict[str, tuple[str, str, str, str]] = {
    "function": (
        "product.py",
        "def double(number):\n    return number + number\n\n\ndef triple(number):\n    return 3\n",
        DOUBLE,
        r"miss: product\.py: function double changed",
    ),
    "top level": (
        "product.py",
        "CONSTANT = 1\n\n\ndef double(number):\n    return 2 * number\n",
        DOUBLE,
        r"miss: product\.py: its top level changed",
    ),
    "conftest": ("tests/conftest.py", "", COLOUR, r"miss: new file tests/conftest\.py"),
    "root conftest": ("conftest.py", "", COLOUR, r"miss: new file conftest\.py"),
    "own file": (
        COLOUR,
        "def test_colour():\n    pass\n",
        COLOUR,
        r"miss: tests/test_colour\.py(: its top level)? changed",
    ),
    "settings": (
        "pytest.ini",
        f"{FILES['pytest.ini']}markers = x: y\n",
        COLOUR,
        r"miss: pytest\.ini changed",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_why_tells_what_changed(project: Project, name: str) -> None:
    file, text, module, expected = CHANGES[name]
    if not SEES_FUNCTIONS and file == "product.py":
        expected = r"miss: product\.py changed"
    project.run()
    project.write(file, text)
    first, *details = project.why(module).splitlines()
    assert re.fullmatch(f"{re.escape(module)}: {expected}", first)
    assert re.fullmatch(r"  was \w+, is \w+", details[0])
    (row,) = map(json.loads, project.why(module, "--json").splitlines())
    assert row["hit"] is False
    assert first == f"{module}: {row['reason']}"
    assert row["change"]["told"] in first
    assert project.sources()[module] == EXECUTED


@pytest.mark.slow
def test_an_edit_runs_only_what_it_can_reach(project: Project) -> None:
    project.run()
    project.write("product.py", f"{FILES['product.py']}\n# the end\n")
    assert project.sources() == {COLOUR: CACHED, DOUBLE: CACHED if SEES_FUNCTIONS else EXECUTED}
    project.write("product.py", FILES["product.py"].replace("3 * number", "number * 3"))
    assert project.sources() == {COLOUR: CACHED, DOUBLE: CACHED if SEES_FUNCTIONS else EXECUTED}


def test_why_of_an_environment_variable(project: Project) -> None:
    project.run()
    project.env["COLOUR"] = "blue"
    assert "miss: environment variable COLOUR is set now\n" in project.why(COLOUR)
    assert ": hit:" in project.why(DOUBLE)
    assert project.sources() == {COLOUR: EXECUTED, DOUBLE: CACHED}
    project.env["COLOUR"] = "green"
    assert "miss: environment variable COLOUR changed\n" in project.why(COLOUR)
    del project.env["COLOUR"]
    # What was stored without it holds again.
    assert of_all(project.sources()) == CACHED


def test_why_never_tells_a_value_of_the_environment(project: Project) -> None:
    project.env["COLOUR"] = "a-secret-of-mine"
    project.run()
    project.env["COLOUR"] = "another-secret"
    assert "secret" not in project.why(COLOUR) + project.why(COLOUR, "--json")
    kept = b"".join(file.read_bytes() for file in project.cache.rglob("*") if file.is_file())
    assert b"a-secret-of-mine" not in kept


CONNECTS = """\
import socket


def test_connects():
    with socket.socket() as one:
        one.settimeout(0.01)
        try:
            one.connect(("192.0.2.1", 9))
        except OSError:
            pass
"""

MARKED = """\
import pytest

pytestmark = pytest.mark.iopio(cache=False)


def test_marked():
    pass
"""

ONE_MARKED = """\
import pytest


def test_other():
    pass


@pytest.mark.iopio(cache=False)
def test_marked():
    pass
"""

NOT_CACHEABLE = {
    "connects": (CONNECTS, "connects to 192.0.2.1:9 in tests/test_connects.py::test_connects"),
    "marked": (MARKED, "marked cache=False"),
    "one_marked": (ONE_MARKED, "marked cache=False"),
}


@pytest.mark.slow
def test_what_is_not_cacheable_runs_always_and_says_why(project: Project) -> None:
    for name, (text, _) in NOT_CACHEABLE.items():
        project.write(f"tests/test_{name}.py", text)
    project.run()
    sources = project.sources()
    assert (sources[COLOUR], sources[DOUBLE]) == (CACHED, CACHED)
    for name, (_, reason) in NOT_CACHEABLE.items():
        path = f"tests/test_{name}.py"
        assert sources[path] == EXECUTED, name
        said = project.why(path)
        assert said.startswith(f"{path}: not cacheable: "), said
        assert reason in said


# -- iopio cache -------------------------------------------------------------------------------


def test_cache_path(settled: Project) -> None:
    assert settled.call("cache", "path").stdout == f"{settled.cache}\n"
    assert settled.call("cache", "path", cwd="tests").stdout == f"{settled.cache}\n"


def test_cache_stats(settled: Project) -> None:
    rows = dict(
        line.split(maxsplit=1) for line in settled.call("cache", "stats").stdout.splitlines()
    )
    assert rows["folder"] == str(settled.cache)
    assert rows["modules"] == "2 (0 not cacheable)"
    assert rows["results"] == "2 (0 too old)"
    assert rows["blobs"] == "2"
    assert re.fullmatch(r"20\d\d-.* to 20\d\d-.*", rows["executed"])


def test_the_folder_is_its_owners_and_no_concern_of_git(settled: Project) -> None:
    assert (settled.cache / ".gitignore").read_text() == "*\n"
    for path in (settled.cache, *settled.cache.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_cache_commands_where_there_is_none(project: Project) -> None:
    for word, said in (
        ("stats", "modules   0"),
        ("verify", "0 modules, 0 blobs: all in order"),
        ("gc", "0 modules and 0 blobs removed"),
        ("clear", "0 modules forgotten"),
    ):
        ended = project.call("cache", word)
        assert ended.returncode == 0
        assert said in ended.stdout
    assert not project.cache.exists()


def test_cache_verify_finds_damage_and_a_run_gets_over_it(project: Project) -> None:
    project.run()
    assert project.call("cache", "verify").stdout == "2 modules, 2 blobs: all in order\n"
    blob = next((project.cache / "v1" / "cas").glob("*/????*"))
    blob.write_bytes(blob.read_bytes()[:-1])
    ended = project.call("cache", "verify")
    assert ended.returncode == 1
    assert ended.stdout == (
        f"damaged: {blob}: its checksum is wrong\n2 modules, 1 blob, 1 without their events: "
        "1 damaged\n"
    )
    again = project.run()
    assert again.told("is damaged and not used") == 1
    assert sorted(again.sources.values()) == [EXECUTED, CACHED]
    assert project.call("cache", "verify").returncode == 0
    assert "1 file put aside" in project.call("cache", "stats").stdout


def test_cache_gc_leaves_what_holds(project: Project) -> None:
    project.run()
    assert project.call("cache", "gc").stdout.startswith("0 modules and 0 blobs removed")
    assert of_all(project.sources()) == CACHED


def test_cache_clear_of_some_modules(project: Project) -> None:
    for _ in range(2):
        project.call("run")
    assert project.call("cache", "clear", "--module", "tests/test_c*").stdout == (
        "1 module forgotten\n"
    )
    # Nor does a receipt remember what was forgotten.
    assert "1 cached" in project.call("run").stdout
    assert of_all(project.sources()) == CACHED


def test_cache_clear_of_all(project: Project) -> None:
    for _ in range(2):
        project.call("run")
    assert project.call("cache", "clear").stdout == "2 modules forgotten\n"
    assert project.stored() == []
    assert of_all(project.sources()) == EXECUTED
