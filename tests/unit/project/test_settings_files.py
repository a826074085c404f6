"""Which file is read, how errors name its lines, and files that are no configuration."""

import os
import socket
import sys
import time
from pathlib import Path

import msgspec
import pytest

from iopio_async.errors import ConfigurationError
from iopio_async.project.config_file import MAX_CONFIG_BYTES, parse_toml
from iopio_async.project.settings import load_config


class Facts(msgspec.Struct, frozen=True):
    root: str
    pyargs: bool = False


def load(root: Path, here: Path | None = None, environ=None, **flags):
    return load_config(
        invocation_dir=here or root,
        flags=flags,
        environ=environ or {},
        cpu_count=4,
        locate=lambda *_: Facts(str(root)),
    )


def refused(*args, **flags) -> ConfigurationError:
    """Load, expecting to be refused within the second that is promised.

    Of its own time, that is: the machine may be busy with other things.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    with pytest.raises(ConfigurationError) as caught:
        load(*args, **flags)
    assert time.process_time() - cpu_started < 1.0
    assert time.perf_counter() - started < 10.0
    return caught.value


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


class TestWhichFile:
    def test_none(self, tmp_path):
        assert load(tmp_path).config_file == ""

    def test_the_roots(self, tmp_path):
        file = write(tmp_path / "pyproject.toml", "[tool.iopio]\nretries = 1\n")
        write(tmp_path / "sub/pyproject.toml", "[tool.iopio]\nretries = 2\n")
        config = load(tmp_path, tmp_path / "sub")
        assert (config.config_file, config.retries) == (str(file), 1)

    def test_the_nearest_with_the_table_where_the_roots_has_none(self, tmp_path):
        root = tmp_path / "a/b"
        write(root / "pyproject.toml", "[tool.other]\n# iopio\n")
        write(root / "c/pyproject.toml", "[project]\nname = 'x'\n")
        file = write(tmp_path / "a/pyproject.toml", "[tool.iopio]\nretries = 3\n")
        write(tmp_path / "pyproject.toml", "[tool.iopio]\nretries = 4\n")
        config = load(root, root / "c")
        assert (config.config_file, config.retries) == (str(file), 3)

    def test_a_broken_one_that_does_not_speak_of_iopio_is_not_ours_to_judge(self, tmp_path):
        write(tmp_path / "pyproject.toml", "[broken")
        assert load(tmp_path).config_file == ""

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("pyproject.toml", "[tool.iopio]\nretries = 5\n"),
            ("other.toml", "[tool.iopio]\nretries = 5\n[unrelated]\nx = 1\n"),
            ("other.toml", "retries = 5\n"),
        ],
    )
    def test_a_given_one(self, tmp_path, name, text):
        write(tmp_path / "pyproject.toml", "[tool.iopio]\nretries = 1\nmaxfail = 1\n")
        file = write(tmp_path / "conf" / name, text)
        config = load(tmp_path, config=f"conf/{name}")
        assert (config.config_file, config.retries, config.maxfail) == (str(file), 5, 0)
        assert load(tmp_path, environ={"IOPIO_CONFIG": str(file)}) == config

    def test_a_given_one_that_is_missing(self, tmp_path):
        write(tmp_path / "iopio.toml", "")
        error = refused(tmp_path, config="iopoi.toml")
        assert error.message == "--config: no such file: iopoi.toml"
        assert error.hint == "did you mean iopio.toml?"
        error = refused(tmp_path, environ={"IOPIO_CONFIG": "no/where.toml"})
        assert (error.message, error.hint) == ("IOPIO_CONFIG: no such file: no/where.toml", "")

    def test_a_given_pyproject_without_the_table(self, tmp_path):
        write(tmp_path / "pyproject.toml", "retries = 1\n")
        error = refused(tmp_path, config="pyproject.toml")
        assert error.message == "--config: pyproject.toml holds no table [tool.iopio]"

    def test_is_named_relative_to_the_invocation_directory_only_if_below_it(self, tmp_path):
        (tmp_path / "sub").mkdir()
        file = write(tmp_path / "pyproject.toml", "[tool.iopio]\nretries = -1\n")
        assert refused(tmp_path).where == "pyproject.toml:2"
        assert refused(tmp_path, tmp_path / "sub").where == f"{file}:2"


def blocked_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.mkdir()


def unix_socket(path: Path) -> None:
    # The address of a socket is short, so it is bound where it is reached by a short name.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def symlink_loop(path: Path) -> None:
    path.symlink_to(path)


def gigabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1024**3)


def just_too_large(path: Path) -> None:
    path.write_text("# iopio\n" + "#" * MAX_CONFIG_BYTES)


def endless_of_proc(path: Path) -> None:
    path.symlink_to("/proc/self/pagemap")


ODDITIES = {
    fifo: "pyproject.toml: is a named pipe, not a configuration file",
    blocked_device: "pyproject.toml: is a device, not a configuration file",
    directory: "pyproject.toml: is a directory, not a configuration file",
    unix_socket: "pyproject.toml: is a socket, not a configuration file",
    symlink_loop: "pyproject.toml: can't be read: too many levels of symbolic links",
    gigabyte: "pyproject.toml: is too large: at most 512 KiB are read",
    just_too_large: "pyproject.toml: is too large: at most 512 KiB are read",
}


@pytest.mark.parametrize(("make", "message"), ODDITIES.items(), ids=[f.__name__ for f in ODDITIES])
@pytest.mark.parametrize("given", [False, True], ids=["found", "given"])
def test_what_is_no_file_of_settings(tmp_path, make, message, given):
    make(tmp_path / "pyproject.toml")
    flags = {"config": "pyproject.toml"} if given else {}
    assert refused(tmp_path, **flags).message == message


@pytest.mark.skipif(not Path("/proc/self/pagemap").exists(), reason="needs Linux's /proc")
def test_a_file_that_hides_its_size(tmp_path):
    endless_of_proc(tmp_path / "pyproject.toml")
    assert refused(tmp_path).where.startswith("pyproject.toml")


@pytest.fixture
def ordinary_user():
    """Someone whom permissions bind, even where the tests are run by root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


def test_a_file_that_may_not_be_read(tmp_path, request):
    write(tmp_path / "pyproject.toml", "").chmod(0)
    request.getfixturevalue("ordinary_user")
    assert refused(tmp_path).message == "pyproject.toml: can't be read: permission denied"


def test_a_name_that_no_file_can_have(tmp_path):
    assert refused(tmp_path, config="x" * 5000).message.endswith(
        "can't be read: file name too long"
    )
    assert refused(tmp_path, config="x\0y").where == "--config"


DOTTED = '"a" . '

TOWERS = {
    "arrays": (f"[tool.iopio]\nretries = {'[' * 100_000}", 2),
    "inline tables": (f"[tool.iopio]\n\nretries = {'{a=' * 50_000}", 3),
    "dotted keys": (f"[tool.iopio]\n{'a.' * 200_000}b = 1\n", 2),
    "quoted keys": (f"[tool.iopio]\n\n\n{DOTTED * 80_000}b = 1\n", 4),
    "headers": (f"[tool.iopio]\n[{'a.' * 200_000}b]\n", 2),
    "one key": (f"[tool.iopio]\n{'a' * 500_000}\n", 2),
    "quotes": (f"[tool.iopio]\n{chr(34) * 500_000}\n", 2),
    "digits": (f"[tool.iopio]\nretries = {'9' * 500_000}\n", 2),
}


@pytest.mark.parametrize(("text", "line"), TOWERS.values(), ids=TOWERS)
def test_towers_fall_within_a_second(tmp_path, text, line):
    write(tmp_path / "pyproject.toml", text)
    where = refused(tmp_path).where
    # The standard library says no line for a number that it can't convert.
    assert where in {f"pyproject.toml:{line}", "pyproject.toml:2"}


def test_keys_of_sensible_depth_are_fine():
    text = "\n".join(f"{'.'.join(f'k{part}' for part in range(18))}.x{n} = 1" for n in range(50))
    assert "k0" in parse_toml(text, "x")


SYNTAX = {
    "no value": (b"[tool.iopio]\nretries =\n", 2, "not valid TOML: invalid value"),
    "no end": (b'[tool.iopio]\n\nreport = "x', 3, "not valid TOML: "),
    "twice": (b"[tool.iopio]\nretries = 1\nretries = 2\n", 3, "cannot overwrite a value"),
    "latin-1": ("[tool.iopio]\n# ü\n".encode("latin-1"), 2, "byte 0xfc is not valid UTF-8"),
    "utf-16": ("[tool.iopio]\n".encode("utf-16"), 1, "byte 0xff is not valid UTF-8"),
    "NUL": (b'[tool.iopio]\nreport = "\0"\n', 2, "not valid TOML: illegal character"),
    "BOM": (b"\xef\xbb\xbf[tool.iopio]\n", 1, "not valid TOML: invalid statement"),
}


@pytest.mark.parametrize(("data", "line", "message"), SYNTAX.values(), ids=SYNTAX)
def test_syntax_errors_name_the_line(tmp_path, data, line, message):
    write(tmp_path / "pyproject.toml", data)
    error = refused(tmp_path)
    assert error.where == f"pyproject.toml:{line}"
    assert message in error.message


def test_a_byte_order_mark_is_explained(tmp_path):
    write(tmp_path / "pyproject.toml", b"\xef\xbb\xbf[tool.iopio]\n")
    assert "byte order mark" in refused(tmp_path).hint


WRONG = {
    "retries = -1": "retries: expected a whole number from 0 to 100, not -1",
    "retries = 1.5": "retries: expected a whole number from 0 to 100, not 1.5",
    "retries = true": "retries: expected a whole number from 0 to 100, not true",
    'retries = "2"': "retries: expected a whole number from 0 to 100, not '2'",
    f"retries = 0x{'f' * 5000}": "retries: expected a whole number from 0 to 100, "
    "not a number of many digits",
    "timeout = -1": "timeout: expected a duration",
    "timeout = nan": "timeout: expected a duration",
    "timeout = inf": "timeout: expected a duration",
    "timeout = -inf": "timeout: expected a duration",
    "timeout = 1979-05-27": "not a date",
    'timeout = "soon"': "not 'soon'",
    "timeout = 1e10": "timeout: 10000000000.0 is too long: at most 1000000000 seconds",
    "slow-after = 0": "longer than 0, not 0",
    "workers = 0": "workers: expected a whole number from 1 up",
    'testpaths = "tests"': "testpaths: expected a list of texts, not 'tests'",
    "testpaths = [1]": "testpaths: element 1: expected a text that is not empty, not 1",
    'framework = "pytets"': "not 'pytets'",
    "env = 1": "env: expected a table of texts, not 1",
    "env.A = 1": "env: A: expected a text, not a number",
    'env.IOPIO_SLOT = "1"': "env: IOPIO_SLOT is set by iopio itself",
    'env."A=B" = "1"': "env: 'A=B' can't name a variable",
    "overrides = 1": "overrides: expected an array of tables, not 1",
    "overrides = [1]": "overrides: expected a table, not 1",
    "overrides = [{}]": "overrides: an override needs paths",
    "overrides = [{paths = []}]": "overrides: paths: an empty list matches no module",
    'overrides = [{paths = "x"}]': "overrides: paths: expected a list of texts, not 'x'",
    'overrides = [{paths = ["/x"]}]': "'/x' can't match",
    'overrides = [{paths = ["../x"]}]': "'../x' can't match",
    "overrides = [{paths = ['a\\b']}]": "write folders with /",
    'overrides = [{paths = ["."]}]': "'.' can't match any module",
    'overrides = [{paths = ["x"], timeout = -1}]': "overrides: timeout: expected a duration",
    'overrides = [{paths = ["x"], framework = "auto"}]': "not 'auto'",
    'overrides = [{paths = ["x"], workers = 0}]': "overrides: workers: expected a whole number",
    'overrides = [{paths = ["x"], workers = "auto"}]': "not 'auto'",
    'memory-limit = "1KiB"': "memory-limit: expected a size in bytes",
    'pytest-args = ["-q", "--collect-only"]': "with --collect-only pytest runs no test",
    'output-limit = "1TB"': "output-limit: expected a size",
    "output-limit = 1": "from 1 KiB to 1024 MiB, not 1",
    "color = 1": 'color: expected "auto", "always" or "never", not 1',
    "report = 1": "report: expected a text, not 1",
    'report = "\\u0000"': "report: a text must not hold a NUL character",
    "worker = 1": "unknown key 'worker'",
    "shard = '1/2'": "shard can't be set in a file",
    "leak-timeout = 1\nleak_timeout = 1": "leak_timeout and leak-timeout are the same setting",
}


@pytest.mark.parametrize(("line", "message"), WRONG.items())
def test_wrong_values_name_key_and_line(tmp_path, line, message):
    text = f"# first\n[tool.iopio]\n# third\n{line}\n"
    write(tmp_path / "pyproject.toml", text)
    error = refused(tmp_path)
    assert error.where == f"pyproject.toml:{3 + len(line.splitlines())}"
    assert message in error.message
    assert error.message.startswith(f"{error.where}: ")


def test_values_of_environment_variables_are_never_shown(tmp_path):
    write(tmp_path / "pyproject.toml", '[tool.iopio.env]\nTOKEN = ["s3cret"]\n')
    assert "s3cret" not in str(refused(tmp_path))


def test_unknown_keys_get_a_suggestion_and_the_list(tmp_path):
    write(tmp_path / "pyproject.toml", "[tool.iopio]\nslow_afer = 1\n")
    hint = refused(tmp_path).hint
    assert hint.startswith("did you mean slow-after? the keys are testpaths, framework, workers")
    write(tmp_path / "pyproject.toml", f"[tool.iopio]\n{'z' * 100_000} = 1\n")
    error = refused(tmp_path)
    assert error.hint.startswith("the keys are testpaths")
    assert len(error.message) < 200


def test_keys_of_the_command_line_say_so(tmp_path):
    write(tmp_path / "pyproject.toml", "[tool.iopio]\nshard = '1/2'\n")
    assert refused(tmp_path).hint == "use --shard or IOPIO_SHARD"
    write(tmp_path / "pyproject.toml", "[tool.iopio]\nkeyword = 'x'\n")
    assert refused(tmp_path).hint == "use -k"


def test_unknown_key_of_an_override(tmp_path):
    write(
        tmp_path / "pyproject.toml",
        '[[tool.iopio.overrides]]\npaths = ["a"]\n\n'
        '[[tool.iopio.overrides]]\npaths = ["b"]\nretires = 1\n',
    )
    error = refused(tmp_path)
    assert error.message == "pyproject.toml:6: overrides: unknown key 'retires'"
    assert error.hint.startswith("did you mean retries? the keys are paths, timeout")


def test_an_override_without_paths_names_its_header(tmp_path):
    write(
        tmp_path / "pyproject.toml",
        '[[tool.iopio.overrides]]\npaths = ["a"]\n\n[[tool.iopio.overrides]]\nretries = 1\n',
    )
    assert refused(tmp_path).where == "pyproject.toml:4"


def test_an_element_in_a_long_list_names_its_own_line(tmp_path):
    write(
        tmp_path / "x.toml",
        '[[overrides]]\npaths = [\n  "a", # ]\n  """b\n""",\n  "/c",\n]\n',
    )
    assert refused(tmp_path, config="x.toml").where == "x.toml:6"


@pytest.mark.parametrize("text", ["[tool]\niopio = 3\n", "[[tool.iopio]]\nretries = 1\n"])
def test_the_table_is_a_table(tmp_path, text):
    write(tmp_path / "pyproject.toml", text)
    error = refused(tmp_path)
    assert "tool.iopio: expected a table, not" in error.message
    assert error.where in {"pyproject.toml:1", "pyproject.toml:2"}


def test_a_string_that_is_no_unicode_in_a_variable_is_shown_escaped(tmp_path):
    error = refused(tmp_path, environ={"IOPIO_COLOR": "\udcff\x1b[31m"})
    assert error.message.endswith(r"not '\udcff\x1b[31m'")
    assert error.message.encode(sys.getdefaultencoding())


VARIABLES = {
    "IOPIO_WORKERS": "0",
    "IOPIO_TIMEOUT": "nan",
    "IOPIO_RETRIES": "1_0",
    "IOPIO_GRACE": "-1",
    "IOPIO_FRAMEWORK": "nose",
    "IOPIO_OUTPUT_LIMIT": "64 bananas",
    "IOPIO_PYTEST_ARGS": "'unbalanced",
    "IOPIO_SHARD": "0/2",
    "IOPIO_VERBOSITY": "loud",
    "IOPIO_REPORT": "a\0b",
}


@pytest.mark.parametrize(("name", "value"), VARIABLES.items())
def test_wrong_variables_are_named(tmp_path, name, value):
    assert refused(tmp_path, environ={name: value}).where == name


FLAGS = {
    "--workers": {"workers": -1},
    "--timeout": {"timeout_s": float("nan")},
    "--slow-after": {"slow_after_s": "0s"},
    "--grace": {"grace_s": float("inf")},
    "--shard": {"shard": "3/2"},
    "--maxfail": {"maxfail": -1},
    "--last-failed": {"last_failed": "yes"},
    "-k": {"keyword": None},
    "testpaths": {"testpaths": [""]},
}


@pytest.mark.parametrize(("option", "flags"), FLAGS.items())
def test_wrong_flags_are_named(tmp_path, option, flags):
    assert refused(tmp_path, **flags).where == option
