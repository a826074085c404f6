import io
import sys
import warnings
from collections.abc import Callable

import pytest

from iopio_async.worker.frameworks.capture import Capture, Warnings


def _replace_streams(monkeypatch: pytest.MonkeyPatch) -> tuple[io.StringIO, io.StringIO]:
    # Not a fixture: pytest puts its own streams back between set-up and call.
    pair = (io.StringIO(), io.StringIO())
    monkeypatch.setattr(sys, "stdout", pair[0])
    monkeypatch.setattr(sys, "stderr", pair[1])
    return pair


def _texts(capture: Capture) -> dict[str, str]:
    return {section.title: section.text for section in capture.stop()}


def test_text_and_bytes_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    streams = _replace_streams(monkeypatch)
    capture = Capture(1000)
    capture.start()
    print("a", end="")
    sys.stdout.buffer.write(b"b")
    print("c", file=sys.stdout)
    print("d\r\ud800", file=sys.stderr)
    assert _texts(capture) == {
        "Captured stdout call": "abc\n",
        "Captured stderr call": "d\r\\ud800\n",
    }
    assert (sys.stdout, sys.stderr) == streams
    assert [stream.getvalue() for stream in streams] == ["", ""]


def test_each_test_has_its_own_text_on_one_lasting_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    _replace_streams(monkeypatch)
    capture = Capture(1000)
    capture.start()
    first = sys.stdout
    print("one")
    assert _texts(capture) == {"Captured stdout call": "one\n"}
    capture.start()
    assert sys.stdout is first
    print("two")
    assert first.getvalue() == "two\n"  # type: ignore[attr-defined]
    assert _texts(capture) == {"Captured stdout call": "two\n"}


@pytest.mark.parametrize("spoil", [lambda: sys.stdout.close(), lambda: sys.stdout.detach()])
def test_a_stream_that_a_test_ruined_is_replaced(
    spoil: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    _replace_streams(monkeypatch)
    capture = Capture(1000)
    capture.start()
    spoil()
    capture.stop()
    capture.start()
    print("fine")
    assert _texts(capture) == {"Captured stdout call": "fine\n"}


def test_absent_streams_are_stood_in_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    capture = Capture(1000)
    capture.start()
    print("heard")
    with pytest.raises(io.UnsupportedOperation):
        sys.stdout.fileno()
    assert _texts(capture)["Captured stdout call"] == "heard\n"
    assert sys.stdout is None


def test_stopping_twice_is_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    _replace_streams(monkeypatch)
    capture = Capture(1000)
    capture.start()
    capture.stop()
    sys.stdout = replaced = io.StringIO()
    assert capture.stop() == []
    assert sys.stdout is replaced


def test_only_head_and_tail_of_much_output_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    _replace_streams(monkeypatch)
    capture = Capture(1000)
    capture.start()
    sys.stdout.write("<")
    for _ in range(5000):
        sys.stdout.write("0123456789")
    sys.stdout.write(">")
    text = _texts(capture)["Captured stdout call"]
    head, gap, tail = text.partition("\n[... ")
    count, _, tail = tail.partition(" bytes left out ...]\n")
    assert gap
    assert text.startswith("<0123")
    assert text.endswith("789>")
    assert len(head) + int(count) + len(tail) == 50_002
    assert len(text) <= 1000


def test_warnings_are_told_and_shown() -> None:
    heard: list[tuple[str, str, str, int]] = []
    shown: list[str] = []

    def show(message: Warning | str, *rest: object) -> None:
        shown.append(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        with Warnings(lambda *told: heard.append(told)):
            warnings.warn("old", DeprecationWarning, stacklevel=1)
            with warnings.catch_warnings(record=True):
                warnings.warn("the test's own", stacklevel=1)
        assert warnings.showwarning is show
    assert [told[:3] for told in heard] == [("old", "DeprecationWarning", __file__)]
    assert shown == ["old"]


@pytest.mark.parametrize(("options", "first"), [([], "default"), (["error"], "error")])
def test_filters_are_unittests_unless_the_user_gave_some(
    options: list[str], first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "warnoptions", options)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Warnings(lambda *told: None) as watched:
            watched.show_each_once()
            assert warnings.filters[0][0] == first
        assert warnings.filters[0][0] == "error"
