"""From the words on the command line to an exit code.

Whatever goes wrong ends here: what a person did wrong as a message with a hint and exit code 2,
what the machine or iopio itself did wrong as a message and exit code 3. No traceback is shown,
unless ``IOPIO_TRACEBACK`` asks for it.
"""

import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from iopio_async.cli import quick
from iopio_async.cli.invocation import Invocation
from iopio_async.errors import IopioError, UsageError
from iopio_async.model.outcome import ExitCode


def main(arguments: Sequence[str], *, cwd_on_path: bool) -> int:
    """Run the command; its exit code. What follows ``--`` is for pytest and is not looked at."""
    _fill_standard_descriptors()
    words = list(arguments)
    for_pytest: list[str] = []
    if "--" in words:
        position = words.index("--")
        words, for_pytest = words[:position], words[position + 1 :]
    invocation = Invocation(tuple(for_pytest), cwd_on_path, tuple(arguments))
    try:
        code = _command(words, invocation)
        _flush()
    except BaseException as error:
        return _explain(error)
    return code if isinstance(code, int) else ExitCode.OK


def _fill_standard_descriptors() -> None:
    """Open what the caller has closed of 0 to 2: nothing of ours may get a number of these."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _command(words: Sequence[str], invocation: Invocation) -> object:
    if words[:1] == ["run"]:
        words = quick.completed(words)
    given = quick.read(words[1:]) if words[:1] == ["run"] else None
    if given is not None and "_IOPIO_COMPLETE" not in os.environ:
        from iopio_async.cli.begin import run_given

        return run_given(invocation, given)
    from iopio_async.cli.app import app

    return app(args=words, prog_name="iopio", standalone_mode=False, obj=invocation)


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


class _Explained(NamedTuple):
    code: int
    message: str
    hint: str = ""


def _explain(error: BaseException) -> int:
    match error:
        case KeyboardInterrupt():
            return 130
        case SystemExit():
            return error.code if isinstance(error.code, int) else ExitCode.INTERNAL
        case BrokenPipeError():
            # The reader of our output has gone: nothing must be written at interpreter exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 141
        case UsageError():
            explained = _Explained(ExitCode.USAGE, error.message, error.hint)
        case IopioError():
            explained = _Explained(ExitCode.INTERNAL, error.message, error.hint)
        case _ if "typer" in sys.modules and (said := _of_typer(error)) is not None:
            explained = said
        case _:
            import traceback

            last = traceback.extract_tb(error.__traceback__)[-1:]
            place = f" at {os.path.basename(last[0].filename)}:{last[0].lineno}" if last else ""
            explained = _Explained(
                ExitCode.INTERNAL,
                f"internal error: {type(error).__name__}: {error}{place}",
                "this is a defect of iopio; IOPIO_TRACEBACK=1 shows where it happened",
            )
    if explained.message and sys.stderr is not None:
        if os.environ.get("IOPIO_TRACEBACK"):
            import traceback

            traceback.print_exception(error)
        text = f"iopio: error: {explained.message}\n"
        if explained.hint:
            text += f"hint: {explained.hint}\n"
        try:
            sys.stderr.write(text)
        except (OSError, ValueError):
            # Nobody is listening; the exit code says it.
            return explained.code
    return explained.code


def _of_typer(error: BaseException) -> _Explained | None:
    import typer

    match error:
        case typer.Exit():
            return _Explained(error.exit_code, "")
        case typer.Abort():
            return _Explained(130, "")
        case typer.TyperException():
            message = _lower(error.format_message())
            return _Explained(ExitCode.USAGE, message, "iopio run --help lists the options")
        case _:
            return None


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
