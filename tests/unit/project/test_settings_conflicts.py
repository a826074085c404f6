"""Settings that contradict each other are refused; those that only seem to are not."""

import msgspec
import pytest

from iopio_async.errors import ConfigurationError
from iopio_async.project.settings import load_config


class Facts(msgspec.Struct, frozen=True):
    root: str
    pyargs: bool = False


def load(root, **flags):
    return load_config(
        invocation_dir=root,
        flags=flags,
        environ={},
        cpu_count=4,
        locate=lambda *_: Facts(str(root)),
    )


def refused(root, **flags) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(root, **flags)
    return caught.value.message


CONFLICTS = {
    "json and the report": (
        {"json": True, "report": "-"},
        "--json: can't be combined with --report: both write to the standard output",
    ),
    "json and junit": (
        {"json": True, "junit_xml": "-"},
        "--json: can't be combined with --junit-xml: both write to the standard output",
    ),
    "both reports": (
        {"report": "x", "junit_xml": "./x"},
        "--report: can't be combined with --junit-xml: both write to the same place",
    ),
    "json and verbose": (
        {"json": True, "verbose": 1},
        "--json: can't be combined with -v: the stream of events is always complete",
    ),
    "quiet and verbose": (
        {"verbose": 1, "quiet": 1},
        "-q: can't be combined with -v: they contradict each other",
    ),
    "exit first and maxfail": (
        {"maxfail": 3, "exitfirst": True},
        "-x: can't be combined with --maxfail: they contradict each other",
    ),
    "marks without pytest": (
        {"markers": "slow", "framework": "unittest"},
        (
            "-m: can't be combined with framework = unittest, from --framework: "
            "marks are pytest's alone"
        ),
    ),
    "arguments without pytest": (
        {"arguments": ["-s"], "framework": "functions"},
        (
            "-- ARGS: can't be combined with framework = functions, from --framework: "
            "the arguments are for pytest"
        ),
    ),
}


@pytest.mark.parametrize(("flags", "message"), CONFLICTS.values(), ids=CONFLICTS)
def test_contradictory_flags_are_both_named(tmp_path, flags, message):
    assert refused(tmp_path, **flags) == message


def test_contradiction_between_a_file_and_a_flag_names_the_line(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.iopio]\n\nframework = "unittest"\n')
    assert refused(tmp_path, markers="slow") == (
        "-m: can't be combined with framework = unittest, from framework (pyproject.toml:3): "
        "marks are pytest's alone"
    )


@pytest.mark.parametrize(
    "flags",
    [
        {"json": True, "report": "x.json"},
        {"json": False, "report": "-"},
        {"json": True, "quiet": 1},
        {"exitfirst": True, "maxfail": 1},
        {"quiet": 0, "verbose": 2},
        {"markers": "", "framework": "unittest"},
        {"markers": "x", "framework": "pytest"},
        {"last_failed": True, "shard": "1/2"},
        {"report": "x", "junit_xml": "y"},
    ],
    ids=str,
)
def test_what_only_looks_contradictory_is_accepted(tmp_path, flags):
    assert load(tmp_path, **flags).root == str(tmp_path)


def test_arguments_of_a_file_do_not_forbid_another_framework(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.iopio]\npytest-args = ["-s"]\nverbosity = 1\n')
    config = load(tmp_path, framework="unittest", json=True)
    assert (config.framework, config.verbosity) == ("unittest", 1)
