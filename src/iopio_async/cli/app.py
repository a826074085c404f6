"""typer's view of the commands: parsing of what is unusual, help, completion.

``cli.main`` comes here only where the straight road (``quick``) does not lead.
"""

import typer

from iopio_async.cli.cache import cache_app
from iopio_async.cli.graph import graph
from iopio_async.cli.list import list_modules
from iopio_async.cli.report import report
from iopio_async.cli.run import run
from iopio_async.cli.trends import trends
from iopio_async.cli.why import why
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
app.command("why")(why)
app.command("graph")(graph)
app.command("report")(report)
app.command("trends")(trends)
app.add_typer(cache_app)
