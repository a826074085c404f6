"""Globs, and which settings apply to a module."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iopio_async.model.config import Config, Override
from iopio_async.model.module import Framework
from iopio_async.planning.overrides import glob_pattern, matches, settings_for

MATCHES = [
    ("a.py", "a.py"),
    ("./a.py", "a.py"),
    ("tests/*.py", "tests/a.py"),
    ("tests/*", "tests/a.py"),
    ("tests/**", "tests/a.py"),
    ("tests/**", "tests/x/y/a.py"),
    ("tests/", "tests/x/a.py"),
    ("tests", "tests/x/a.py"),
    ("**", "a.py"),
    ("**", "x/y/a.py"),
    ("**/*", "a.py"),
    ("**/a.py", "a.py"),
    ("**/a.py", "x/y/a.py"),
    ("**/slow", "x/slow/y/a.py"),
    ("x/**/a.py", "x/a.py"),
    ("x/**/a.py", "x/y/z/a.py"),
    ("x/**/y/**/a.py", "x/1/y/2/3/a.py"),
    ("x/**/y/**/a.py", "x/y/y/a.py"),
    ("**/y/*/z/**", "y/x/y/1/z/a.py"),
    ("x/**/**/a.py", "x/a.py"),
    ("test_?.py", "test_a.py"),
    ("test_[abc].py", "test_b.py"),
    ("test_[a-c].py", "test_b.py"),
    ("test_[!a-c].py", "test_d.py"),
    ("test_[]].py", "test_].py"),
    ("test_[!]].py", "test_x.py"),
    ("test_[.py", "test_[.py"),
    ("test_[a-].py", "test_-.py"),
    ("test_[^&].py", "test_^.py"),
    ("*a*b*c.py", "xaxxbbxc.py"),
    ("*_*_*", "a_b_c_d.py"),
    ("a**b.py", "axxb.py"),
    ("*.py", ".py"),
    ("*", ".hidden.py"),
    ("a+b(c)$.py", "a+b(c)$.py"),
    ("*.py", "new\nline.py"),
]

MISMATCHES = [
    ("a.py", "b.py"),
    ("a.py", "x/a.py"),
    ("*.py", "x/a.py"),
    ("tests/*", "tests/x/a.py"),
    ("tests/*/", "tests/a.py"),
    ("tests/**", "tests"),
    ("tests", "tests2/a.py"),
    ("t*", "tests/a.py"),
    ("a**b.py", "a/b.py"),
    ("?", "/"),
    ("x?y", "x/y"),
    ("x[/]y", "x/y"),
    ("x[!a]y", "x/y"),
    ("x[.-0]y", "x/y"),
    ("test_[z-a].py", "test_m.py"),
    ("**/a.py", "xa.py"),
    ("x/**/a.py", "x/ba.py"),
    ("x/**/y/**/a.py", "x/y.py"),
    ("*a*b*c.py", "abxb.py"),
    ("", "a.py"),
    (".", "a.py"),
]


@pytest.mark.parametrize(("glob", "path"), MATCHES)
def test_match(glob, path):
    assert matches(glob, path)


@pytest.mark.parametrize(("glob", "path"), MISMATCHES)
def test_mismatch(glob, path):
    assert not matches(glob, path)


def reference(glob: list[str], path: list[str]) -> bool:
    """The definition, tried in every way."""
    if not glob:
        return not path
    head, *rest = glob
    if head == "**":
        # As the last part it stands for a file at least.
        if not rest:
            return bool(path)
        return any(reference(rest, path[start:]) for start in range(len(path) + 1))
    return bool(path) and part_matches(head, path[0]) and reference(rest, path[1:])


def part_matches(glob: str, name: str) -> bool:
    if not glob:
        return not name
    if glob[0] == "*":
        return any(part_matches(glob[1:], name[start:]) for start in range(len(name) + 1))
    return bool(name) and glob[0] in {"?", name[0]} and part_matches(glob[1:], name[1:])


WILD_PART = st.one_of(st.just("**"), st.text("ab*?", min_size=1, max_size=5))


@given(
    st.lists(WILD_PART, min_size=1, max_size=5),
    st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=5),
)
def test_agrees_with_the_definition(glob, path):
    # A last part without wildcards also stands for what is below: tested above.
    last = glob[-1] if glob[-1] == "**" else f"{glob[-1]}*"
    glob = [*(part if part == "**" else part.replace("**", "*") for part in glob[:-1]), last]
    if glob[-1] != "**":
        glob[-1] = re.sub(r"\*+", "*", glob[-1])
    assert matches("/".join(glob), "/".join(path)) is reference(glob, path)


@given(st.text("ab/*?[]!-^.", max_size=12), st.text("ab/-].^", max_size=12))
def test_any_glob_compiles_and_no_star_crosses_folders(glob, path):
    assert re.compile(glob_pattern(glob))
    if "**" not in glob and glob.count("/") == 0 and "/" in path.strip("/") and "*" in glob:
        assert not matches(glob, path.strip("/"))


def test_many_stars_take_linear_time():
    glob = "**/" + "/".join(["*a*a*a*a*a*a*a*b"] * 3) + "/**/x/**/*z*z*z*z.py"
    path = "/".join(["a" * 200] * 40)
    started = time.process_time()
    assert not matches(glob, path)
    assert time.process_time() - started < 0.5


CONFIG = Config(
    root="/r",
    invocation_dir="/r",
    timeout_s=60.0,
    slow_after_s=10.0,
    retries=1,
    env={"A": "run", "B": "run"},
    overrides=(
        Override(
            paths=("tests/**", "x.py"),
            timeout_s=100.0,
            retries=2,
            group="db",
            env={"B": "tests", "C": "tests"},
        ),
        Override(paths=("tests/slow/**",), timeout_s=0.0, slow_after_s=99.0, env={"C": "slow"}),
        Override(paths=("tests/slow/u*.py",), framework=Framework.UNITTEST, retries=0, group="u"),
    ),
)


def test_nothing_matches():
    settings = settings_for(CONFIG, "other/a.py")
    assert (settings.timeout_s, settings.slow_after_s, settings.retries) == (60.0, 10.0, 1)
    assert (settings.framework, settings.group, settings.env) == (None, None, CONFIG.env)


def test_one_matches():
    settings = settings_for(CONFIG, "x.py")
    assert (settings.timeout_s, settings.slow_after_s, settings.retries) == (100.0, 10.0, 2)
    assert settings.group == "db"
    assert settings.env == {"A": "run", "B": "tests", "C": "tests"}


def test_later_ones_win_and_environments_are_merged():
    settings = settings_for(CONFIG, "tests/slow/u1.py")
    # A time limit of 0 switches it off; 0 retries are a number like any other.
    assert (settings.timeout_s, settings.slow_after_s, settings.retries) == (None, 99.0, 0)
    assert (settings.framework, settings.group) == (Framework.UNITTEST, "u")
    assert settings.env == {"A": "run", "B": "tests", "C": "slow"}
    assert CONFIG.env == {"A": "run", "B": "run"}


def test_the_runs_framework_applies_unless_it_is_auto():
    config = Config(root="/r", invocation_dir="/r", framework="functions")
    assert settings_for(config, "a.py").framework is Framework.FUNCTIONS


def test_twenty_thousand_modules_and_thirty_overrides_take_no_time():
    overrides = tuple(
        Override(paths=(f"tests/part{index}/**", f"**/test_{index}_*.py"), retries=index)
        for index in range(30)
    )
    config = Config(root="/r", invocation_dir="/r", overrides=overrides)
    paths = [f"tests/part{index % 60}/sub/test_{index}_x.py" for index in range(20_000)]
    started = time.process_time()
    retries = {settings_for(config, path).retries for path in paths}
    assert time.process_time() - started < 3.0
    assert retries == set(range(30))


def test_the_last_override_that_says_so_counts_the_workers():
    overrides = (
        Override(paths=("tests/**",), workers=2),
        Override(paths=("tests/wide/**",), workers=4),
        Override(paths=("tests/wide/b.py",), retries=1),
    )
    config = Config(root="/r", invocation_dir="/r", overrides=overrides)

    paths = ("tests/a.py", "tests/wide/a.py", "tests/wide/b.py", "a.py")
    assert [settings_for(config, path).workers for path in paths] == [2, 4, 4, 1]


def test_what_is_declared_is_laid_over_one_by_one():
    config = Config(
        root="/p",
        invocation_dir="/p",
        overrides=(
            Override(paths=("*.py",), locks=("db",), shared=("catalog",), needs={"gpu": 1}),
            Override(paths=("test_b.py",), locks=(), serial=True, needs={"license": 2}),
        ),
    )
    one, two = settings_for(config, "test_a.py"), settings_for(config, "test_b.py")

    assert (one.locks, one.shared, one.serial, one.needs) == (
        ("db",),
        ("catalog",),
        False,
        {"gpu": 1},
    )
    assert (two.locks, two.shared, two.serial, two.needs) == (
        (),
        ("catalog",),
        True,
        {"gpu": 1, "license": 2},
    )
    assert settings_for(CONFIG, "elsewhere/test_a.py").locks is None
