"""Exceptions → failures, for the frameworks that have no reports of their own.

An exception is looked at twice. When it is caught, :class:`Caught` takes its text and the places
that it came through, and lets go of it, so that the tests' objects live no longer than in a plain
run. The lines of source are read when the test is over and has put back what it patched.

The frames of whoever called the test are left out, and so are those of the assertion methods that
it called. The place of a failure is the innermost frame of the project's own code.
"""

import contextlib
import linecache
import os
import sysconfig
from collections.abc import Iterator
from traceback import FrameSummary, TracebackException

import msgspec

from iopio_async.model.outcome import Failure

_STANDARD_LIBRARY = sysconfig.get_path("stdlib")

#: Where the frames of callers of tests come from. They are left out up to the first other frame.
CALLERS = (
    os.path.dirname(os.path.dirname(os.path.dirname(__file__))) + os.sep,
    *(
        os.path.join(_STANDARD_LIBRARY, package) + os.sep
        for package in ("unittest", "asyncio", "importlib")
    ),
    "<frozen importlib",
)

#: Where assertion methods raise. Such frames are left out from the end.
ASSERTIONS = os.path.join(_STANDARD_LIBRARY, "unittest", "case.py")

#: Folders of this name hold other people's code, even inside of the project.
FOREIGN_FOLDERS = ("site-packages", "dist-packages")

#: An ``assert`` is quoted up to this length.
MAX_QUOTE_CHARS = 200


class Caught:
    """An exception that was raised in ``phase``, taken down but not yet rendered.

    ``root`` is the absolute path of the project.
    """

    def __init__(self, error: BaseException, root: str, phase: str = "call") -> None:
        self.phase = phase
        self._root = os.path.join(root, "")
        self._kind = type_name(type(error))
        self._said = said(error)
        self._bare_assert = isinstance(error, AssertionError) and not self._said.strip()
        self._traceback: TracebackException | None
        try:
            self._traceback = TracebackException(
                type(error), error, error.__traceback__, lookup_lines=False, compact=True
            )
        except Exception:
            # Exceptions may carry anything, and the tests may have patched what is needed here.
            self._traceback = None
        self._failure: Failure | None = None

    @property
    def message(self) -> str:
        """The exception's type and the first line of what it says."""
        first = next((line for line in self._said.splitlines() if line.strip()), "")
        return f"{self._kind}: {first.strip()}" if first else self._kind

    def failure(self, label: str = "") -> Failure:
        """The failure, with ``label`` in front of its message."""
        if self._failure is None:
            self._failure = self._render()
        if not label:
            return self._failure
        return msgspec.structs.replace(self._failure, message=label + self._failure.message)

    def _render(self) -> Failure:
        message = self.message
        if self._traceback is None:
            return Failure(message, f"{self._kind}: {self._said}\n", self.phase)
        for part in _chain(self._traceback):
            _trim(part)
        place = self._place(self._traceback)
        try:
            if self._bare_assert and self._traceback.stack:
                message = f"{self._kind}: {_quote_assert(self._traceback.stack[-1])}"
            text = "".join(self._traceback.format())
        except Exception:
            text = self._plain_text()
        path, line = _where(self._traceback, place, self._root)
        return Failure(message, text, self.phase, path, line)

    def _place(self, traceback: TracebackException) -> FrameSummary | None:
        for frame in reversed(traceback.stack):
            if self._is_own(frame.filename):
                return frame
        return None

    def _is_own(self, filename: str) -> bool:
        return filename.startswith(self._root) and not _is_foreign(filename)

    def _plain_text(self) -> str:
        """Places alone: where the tests left behind an ``open`` that opens nothing."""
        frames = self._traceback.stack if self._traceback else ()
        places = (f'  File "{frame.filename}", line {frame.lineno}\n' for frame in frames)
        return f"{''.join(places)}{self._kind}: {self._said}\n"


def type_name(kind: type[BaseException]) -> str:
    """The name of an exception's class as tracebacks show it."""
    module = kind.__module__
    name = str(kind.__qualname__)
    return name if module in {"builtins", "__main__"} else f"{module}.{name}"


def said(error: BaseException) -> str:
    """What an exception says of itself, even where it can't."""
    try:
        return str(error)
    except Exception as inner:
        return f"<its __str__ raised {type(inner).__name__}>"


def _is_foreign(filename: str) -> bool:
    return any(folder in filename for folder in FOREIGN_FOLDERS)


def _chain(top: TracebackException) -> Iterator[TracebackException]:
    """``top``, its causes and contexts, and the members of groups, each once."""
    waiting = [top]
    seen = set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        others = (part.__cause__, part.__context__, *(part.exceptions or ()))
        waiting.extend(other for other in others if other is not None)


def _trim(part: TracebackException) -> None:
    """Leave out the frames that lead to the test, and those of assertion methods."""
    stack = part.stack
    first, end = 0, len(stack)
    while first < end and stack[first].filename.startswith(CALLERS):
        first += 1
    while end > first and stack[end - 1].filename == ASSERTIONS:
        end -= 1
    # What was raised by the callers themselves is shown with the frame that raised it.
    stack[:] = stack[first:end] or stack[-1:]


def _where(traceback: TracebackException, place: FrameSummary | None, root: str) -> tuple[str, int]:
    """Path and line of the failure: a syntax error is where the syntax is, not its import."""
    filename = getattr(traceback, "filename", None)
    if filename and filename.startswith(root) and not _is_foreign(filename):
        return filename, int(traceback.lineno or 0)
    if place is None and traceback.stack:
        place = traceback.stack[-1]
    if place is None or place.filename.startswith(CALLERS):
        return "", 0
    return place.filename, place.lineno or 0


def _quote_assert(frame: FrameSummary) -> str:
    """The source of the ``assert`` that raised in ``frame``, on one line.

    An exception knows at most the place of the condition, so the statement around it is looked up
    in the syntax tree of the file; where that can't be had, the line that failed is quoted.
    """
    # Needed where a test has failed, and not for the start of each process.
    import ast
    import warnings

    line = frame.lineno or 0
    quote = linecache.getline(frame.filename, line)
    source = "".join(linecache.getlines(frame.filename))
    with contextlib.suppress(SyntaxError, ValueError, RecursionError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        around = [
            node
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or 0)
        ]
        # Several may share the line: then it is the last that begins before the condition does.
        column = frame.colno
        if column is not None:
            before = [each for each in around if (each.lineno, each.col_offset) <= (line, column)]
            around = before or around
        if around:
            innermost = max(around, key=lambda each: (each.lineno, each.col_offset))
            quote = ast.get_source_segment(source, innermost) or quote
    quote = " ".join(quote.split()) or "assert"
    return quote if len(quote) <= MAX_QUOTE_CHARS else f"{quote[:MAX_QUOTE_CHARS]} ..."
