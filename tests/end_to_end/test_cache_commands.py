"""The result cache as a person meets it: what runs again, why, and how to be rid of results."""

import json
import os
import re
import stat
import time
from pathlib import Path

import pytest
from end_to_end.cached import CACHED, COLOUR, DOUBLE, EXECUTED, FILES, Project, of_all

#: Modules that the answer of a receipt must do without: each takes longer than the answer.
HEAVY = {"msgspec", "typer", "anyio", "asyncio", "orjson", "pytest", "rich", "argparse", "logging"}

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
    assert project.call("cache", "gc").stdout.startswith("0 entries")
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


# -- iopio cache -------------------------------------------------------------------------------


def test_cache_path(settled: Project) -> None:
    assert settled.call("cache", "path").stdout == f"{settled.cache}\n"
    assert settled.call("cache", "path", cwd="tests").stdout == f"{settled.cache}\n"


def test_cache_stats(settled: Project) -> None:
    rows = dict(
        line.split(maxsplit=1) for line in settled.call("cache", "stats").stdout.splitlines()
    )
    assert rows["folder"] == str(settled.cache)
    assert (rows["modules"], rows["entries"]) == ("2 (0 not cacheable)", "2")
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
        ("verify", "0 entries, 0 blobs: all in order"),
        ("gc", "0 entries and 0 blobs removed"),
        ("clear", "0 modules forgotten"),
    ):
        ended = project.call("cache", word)
        assert ended.returncode == 0
        assert said in ended.stdout
    assert not project.cache.exists()


def test_cache_verify_finds_damage_and_a_run_gets_over_it(project: Project) -> None:
    project.run()
    assert project.call("cache", "verify").stdout == "2 entries, 2 blobs: all in order\n"
    blob = next((project.cache / "v1" / "cas").glob("*/????*"))
    blob.write_bytes(blob.read_bytes()[:-1])
    ended = project.call("cache", "verify")
    assert ended.returncode == 1
    assert ended.stdout == (
        f"damaged: {blob}: its checksum is wrong\n2 entries, 1 blob, 1 without their events: "
        "1 damaged\n"
    )
    again = project.run()
    assert again.told("is damaged and not used") == 1
    assert sorted(again.sources.values()) == [EXECUTED, CACHED]
    assert project.call("cache", "verify").returncode == 0
    assert "1 file put aside" in project.call("cache", "stats").stdout


def test_cache_gc_leaves_what_holds(project: Project) -> None:
    project.run()
    assert project.call("cache", "gc").stdout.startswith("0 entries and 0 blobs removed")
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


def test_cache_clear_of_what_is_not_there(project: Project) -> None:
    ended = project.call("cache", "clear", "--module", "nothing/**")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "nothing is stored of a module that matches nothing/**" in ended.stderr


@pytest.mark.parametrize("word", ["stats", "verify", "gc", "clear"])
def test_cache_commands_on_what_is_no_cache(project: Project, word: str) -> None:
    project.write("notes/a.txt", "")
    for place, said in (("notes", "is no cache"), ("product.py", "is not a directory")):
        ended = project.call("cache", word, "--cache-dir", place)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert said in ended.stderr
    assert (project.folder / "notes" / "a.txt").exists()


# -- places that are not as they should be -----------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_project_warns_once(project: Project) -> None:
    project.folder.chmod(0o500)
    try:
        ran = project.run()
    finally:
        project.folder.chmod(0o700)
    assert ran.told("warning:") == 1


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_cache_is_read_and_warns_once(project: Project) -> None:
    assert of_all(project.sources()) == EXECUTED
    folders = [project.cache, *(path for path in project.cache.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o500)
    try:
        project.write(COLOUR, FILES[COLOUR] + "\n\ndef test_new():\n    pass\n")
        ran = project.run()
    finally:
        for folder in folders:
            folder.chmod(0o700)
    assert (ran.sources[COLOUR], ran.sources[DOUBLE]) == (EXECUTED, CACHED)
    assert ran.told("warning:") == 1
    assert ran.told("nothing of this run is kept") == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "link", "pipe", "others"])
def test_an_unusable_folder_warns_once_and_changes_no_exit_code(
    project: Project, tmp_path: Path, kind: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    match kind:
        case "file":
            project.cache.write_text("")
        case "link":
            project.cache.symlink_to(elsewhere)
        case "pipe":
            os.mkfifo(project.cache)
        case _:
            # A folder that others may write to is closed to them, and then used.
            project.cache.mkdir()
            project.cache.chmod(0o777)
    for _ in range(2):
        ran = project.run()
        assert ran.told("warning:") == (kind != "others")
        assert set(ran.outcomes.values()) == {"passed"}
    assert list(elsewhere.iterdir()) == []
    project.write("tests/test_fails.py", "def test_it():\n    assert 0\n")
    assert project.run(code=1).told("warning:") == (kind != "others")
