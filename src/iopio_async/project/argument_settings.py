"""Arguments for pytest as a setting: what ``pytest-args`` and the words after ``--`` may hold.

They are pytest's business, all but those with which it runs no test: a module that ran none of its
tests is an error, so each module would end as one, and say nothing of why.
"""

from iopio_async.project.pytest_arguments import read_command_line
from iopio_async.project.setting_values import TextList, UnfitError

_LISTING = "iopio list lists the modules; for their tests call pytest {option}"
_ASKING = "call pytest {option}"

#: Options with which pytest runs no test, by their spellings, and what to do instead.
_RUNLESS = {
    spelling: hint
    for spellings, hint in (
        ("--collect-only --collectonly --co", _LISTING),
        ("--setup-plan --setupplan --setup-only --setuponly", _ASKING),
        ("--fixtures --funcargs --fixtures-per-test", _ASKING),
        ("--markers -h --help -V --version", _ASKING),
    )
    for spelling in spellings.split()
}


class PytestArguments(TextList, frozen=True):
    """A list of words for pytest; as one text it is split like a shell's line."""

    shell: bool = True

    def parse(self, value: object) -> tuple[str, ...]:
        """Take a list of strings, without options that keep pytest from running tests."""
        return _with_a_run(TextList.parse(self, value))

    def read(self, text: str) -> tuple[str, ...]:
        """Split a text."""
        return _with_a_run(TextList.read(self, text))


def _with_a_run(arguments: tuple[str, ...]) -> tuple[str, ...]:
    flags = read_command_line(arguments).flags
    for option, hint in _RUNLESS.items():
        if option in flags:
            raise UnfitError(f"with {option} pytest runs no test", hint=hint.format(option=option))
    return arguments
