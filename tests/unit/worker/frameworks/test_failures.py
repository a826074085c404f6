from pathlib import Path
from typing import Any

import pytest

from iopio_async.worker.frameworks import failures
from iopio_async.worker.frameworks.failures import Caught

HERE = str(Path(__file__).parent)


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("never mind")


def _caught(raising: Any, root: str = HERE) -> Caught:
    try:
        raising()
    except BaseException as error:
        return Caught(error, root)
    raise AssertionError("nothing was raised")


def _raise(error: BaseException) -> Any:
    def raising() -> None:
        raise error

    return raising


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("one\ntwo"), "ValueError: one"),
        (ValueError("\n  first \nsecond"), "ValueError: first"),
        (ValueError(), "ValueError"),
        (KeyError("a"), "KeyError: 'a'"),
        (SystemExit(3), "SystemExit: 3"),
        (ExceptionGroup("both", [ValueError(), KeyError()]), "ExceptionGroup: both (2 sub-"),
    ],
)
def test_messages_are_one_line(error: BaseException, message: str) -> None:
    said = _caught(_raise(error)).failure().message
    assert said.startswith(message)
    assert "\n" not in said


def test_an_exception_that_cannot_speak_is_reported_all_the_same() -> None:
    failure = _caught(_raise(UnspeakableError())).failure()
    assert failure.message.endswith("UnspeakableError: <its __str__ raised RuntimeError>")
    assert "UnspeakableError" in failure.text


def test_a_bare_assert_is_quoted() -> None:
    def bare() -> None:
        exec(compile("def f():\n    assert (1 ==\n        2)\nf()", "<made>", "exec"), {})

    # There is no source to quote from.
    assert _caught(bare).failure().message == "AssertionError: assert"


@pytest.mark.parametrize(
    ("body", "quote"),
    [
        ("assert True\n    x = 1; assert x == 2", "assert x == 2"),
        ("assert True; assert (2 ==\n        3)  # never", "assert (2 == 3)"),
        ("assert all(\n        each\n        for each in [0]\n    )", None),
        ("assert (\n        'assert this' == 1\n    )", "assert ( 'assert this' == 1 )"),
        ("if True: assert not True", "assert not True"),
    ],
)
def test_the_assert_that_failed_is_quoted(body: str, quote: str | None, tmp_path: Path) -> None:
    file = tmp_path / "test_quote.py"
    source = f"def test():\n    assert 'another'\n    {body}\n"
    file.write_text(source, encoding="utf-8")
    names: dict[str, Any] = {}
    exec(compile(source, str(file), "exec"), names)
    quote = quote or " ".join(body.split())
    assert _caught(names["test"], str(tmp_path)).failure().message == f"AssertionError: {quote}"


def test_the_line_is_quoted_where_the_file_is_no_python_any_more(tmp_path: Path) -> None:
    file = tmp_path / "test_quote.py"
    source = "def test():\n    assert 1 == 2\n"
    file.write_text(source + "(", encoding="utf-8")
    names: dict[str, Any] = {}
    exec(compile(source, str(file), "exec"), names)
    message = _caught(names["test"], str(tmp_path)).failure().message
    assert message == "AssertionError: assert 1 == 2"


def test_the_place_is_the_innermost_frame_of_the_project(tmp_path: Path) -> None:
    library = tmp_path / "venv" / "site-packages" / "library.py"
    test = tmp_path / "test_a.py"
    library.parent.mkdir(parents=True)
    library.write_text("def deep():\n    raise ValueError('deep')\n", encoding="utf-8")
    test.write_text("def test(deep):\n\n    deep()\n", encoding="utf-8")
    names: dict[str, Any] = {}
    for file in (library, test):
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), names)
    failure = _caught(lambda: names["test"](names["deep"]), str(tmp_path)).failure()
    assert (failure.path, failure.line) == (str(test), 3)
    assert str(library) in failure.text


def test_a_syntax_error_is_where_the_syntax_is(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    failure = _caught(lambda: compile("x = 1\ny = = 2\n", str(file), "exec"), str(tmp_path))
    assert (failure.failure().path, failure.failure().line) == (str(file), 2)


def test_frames_of_callers_are_left_out_of_causes_and_groups() -> None:
    def grouped() -> None:
        try:
            raise ValueError("cause")
        except ValueError as error:
            raise ExceptionGroup("group", [KeyError("member")]) from error

    def own_frames(text: str) -> int:
        return text.count(__file__)

    caught = _caught(grouped)
    failure = caught.failure()
    for word in ("cause", "group", "member"):
        assert word in failure.text
    assert own_frames(failure.text) >= 2
    assert not any(place in failure.text for place in failures.CALLERS[:1])


def test_a_failure_is_rendered_once_and_may_be_labelled() -> None:
    caught = _caught(_raise(ValueError("x")))
    first = caught.failure()
    assert caught.failure() is first
    labelled = caught.failure("because of ")
    assert (labelled.message, labelled.text) == ("because of ValueError: x", first.text)


def test_sources_that_cannot_be_read_leave_the_places(monkeypatch: pytest.MonkeyPatch) -> None:
    caught = _caught(_raise(ValueError("x")))

    def broken(*args: object) -> str:
        raise OSError("no more files")

    monkeypatch.setattr(failures.linecache, "getline", broken)
    monkeypatch.setattr("traceback.linecache.getline", broken)
    failure = caught.failure()
    assert failure.text.endswith("ValueError: x\n")
    assert f'File "{__file__}"' in failure.text


def test_deep_recursion_is_rendered_in_short() -> None:
    def endless() -> None:
        endless()

    failure = _caught(endless).failure()
    assert failure.message.startswith("RecursionError")
    assert "more times" in failure.text
    assert len(failure.text) < 10_000
