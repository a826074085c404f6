"""The environment as an input."""

from iopio_async.project.environment import Environment, any_of

KEY = b"k" * 32


def test_a_variable_is_known_by_a_keyed_digest_of_its_value() -> None:
    one = Environment(KEY, {"A": "secret", "EMPTY": ""})

    assert one.variable("NONE") == "absent"
    assert one.variable("A") not in {"absent", "secret", one.variable("EMPTY")}
    assert one.variable("A") == Environment(KEY, {"A": "secret"}).variable("A")
    assert one.variable("A") != Environment(KEY, {"A": "other"}).variable("A")
    assert one.variable("A") != Environment(b"other", {"A": "secret"}).variable("A")
    assert one.variable("A") != Environment(KEY, {"B": "secret"}).variable("B")


def test_values_may_be_any_bytes() -> None:
    assert len(Environment(KEY, {"A": "\udcff"}).variable("A")) == 64


def test_the_whole_environment_is_all_variables_that_mean_anything() -> None:
    def whole(**values: str) -> str:
        return Environment(KEY, values, ignored=["BUILD_*"]).whole()

    base = whole(A="1", B="2")

    assert whole(B="2", A="1") == base
    assert whole(A="1", B="2", SHLVL="3", SSH_TTY="x", _="y", BUILD_ID="7", TMPDIR="/t") == base
    assert whole(A="1") != base
    assert whole(A="1", B="2", C="") != base
    assert whole(A="1", B="3") != base


def test_variables_that_c_code_reads_are_part_of_the_key() -> None:
    def keyed(**values: str) -> str:
        return Environment(KEY, values, ignored=["LC_TIME"]).keyed()

    base = keyed(PATH="/bin", LC_ALL="C")

    assert keyed(PATH="/bin", LC_ALL="C", OTHER="x", LC_TIME="x", PYTHONHASHSEED="1") == base
    for changed in (
        {"PATH": "/usr/bin"},
        {"LC_ALL": "de_DE"},
        {"OMP_NUM_THREADS": "1"},
        {"https_proxy": "x"},
        {"TZ": ""},
    ):
        assert keyed(**{"PATH": "/bin", "LC_ALL": "C", **changed}) != base


def test_globs_match_whole_names() -> None:
    matches = any_of(["A*", "B"])

    assert [name for name in ("A", "AB", "B", "BA", "CA") if matches(name)] == ["A", "AB", "B"]
    assert not any_of([])("")
