"""What a traced program is told of the tracer, through a variable."""

from hypothesis import given
from hypothesis import strategies as st

from iopio_async.worker.tracing.settlement import Settlement

PATHS = st.text(st.characters(exclude_characters="\0"), max_size=20)


@given(PATHS, PATHS, st.lists(PATHS, max_size=3), st.booleans(), st.booleans())
def test_what_is_spelled_is_understood(
    file: str, root: str, private: list[str], functions: bool, had_path: bool
) -> None:
    sender, receiver = Settlement(), Settlement()
    sender.file, sender.root, sender.functions = file, root, functions
    sender.private = tuple(private)
    text = sender.spelled(had_path=had_path)
    assert text[0] == ("1" if had_path else "0")
    assert "\0" not in text
    receiver.take(text[1:])
    assert vars(receiver) == vars(sender)
