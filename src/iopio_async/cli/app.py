"""The commands, and the way from the command line to an exit code.

Whatever goes wrong ends here: what a person did wrong as a message with a hint and exit code 2,
what the machine or iopio itself did wrong as a message and exit code 3. No traceback is shown,
unless ``IOPIO_TRACEBACK`` asks for it.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import NamedTuple

import typer

from iopio_async.cli.list import list_modules
from iopio_async.cli.options import Invocation
from iopio_async.cli.run import run
from iopio_async.errors import InfrastructureError, IopioError, UsageError
from iopio_async.model.outcome import ExitCode
from iopio_async.version import __version__


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"iopio {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="iopio",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _iopio(
    version: bool = typer.Option(
        False,
        "--version",
        "-V",
        help="Show the version and exit.",
        callback=_version,
        is_eager=True,
    ),
) -> None:
    """Runs each Python test module in its own process, as many at once as may overlap."""


app.command("run", options_metavar="[OPTIONS]", epilog="What follows -- goes to pytest.")(run)
app.command("list")(list_modules)


def main(arguments: Sequence[str], *, cwd_on_path: bool) -> int:
    """Run the command; its exit code. What follows ``--`` is for pytest and is not looked at."""
    words = list(arguments)
    for_pytest: list[str] = []
    if "--" in words:
        position = words.index("--")
        words, for_pytest = words[:position], words[position + 1 :]
    invocation = Invocation(tuple(for_pytest), cwd_on_path)
    try:
        code = app(args=words, prog_name="iopio", standalone_mode=False, obj=invocation)
        _flush()
    except BaseException as error:
        return _explain(error)
    return code if isinstance(code, int) else ExitCode.OK


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


class _Explained(NamedTuple):
    code: int
    message: str
    hint: str = ""


def _explain(error: BaseException) -> int:
    match error:
        case typer.Exit():
            return error.exit_code
        case KeyboardInterrupt() | typer.Abort():
            return 130
        case SystemExit():
            return error.code if isinstance(error.code, int) else ExitCode.INTERNAL
        case BrokenPipeError():
            # The reader of our output has gone: nothing must be written at interpreter exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 141
        case typer.TyperException():
            explained = _Explained(
                ExitCode.USAGE, _lower(error.format_message()), "iopio run --help lists the options"
            )
        case UsageError():
            explained = _Explained(ExitCode.USAGE, error.message, error.hint)
        case InfrastructureError() | IopioError():
            explained = _Explained(ExitCode.INTERNAL, error.message, error.hint)
        case _:
            last = traceback.extract_tb(error.__traceback__)[-1:]
            place = f" at {os.path.basename(last[0].filename)}:{last[0].lineno}" if last else ""
            explained = _Explained(
                ExitCode.INTERNAL,
                f"internal error: {type(error).__name__}: {error}{place}",
                "this is a defect of iopio; IOPIO_TRACEBACK=1 shows where it happened",
            )
    if sys.stderr is not None:
        if os.environ.get("IOPIO_TRACEBACK"):
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


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
