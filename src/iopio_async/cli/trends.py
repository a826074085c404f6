"""``iopio trends``: how long modules and tests took in run after run."""

import json as json_format
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from iopio_async.cli import options
from iopio_async.cli.invocation import Invocation
from iopio_async.errors import UsageError
from iopio_async.model.outcome import ExitCode
from iopio_async.project.given_paths import module_paths

if TYPE_CHECKING:
    from iopio_async.history.series import Series
    from iopio_async.reporting.trends import Trend

ModuleName = Annotated[
    str | None, typer.Argument(metavar="MODULE", help="A test module; else all of them.")
]
Threshold = Annotated[
    float,
    typer.Option("--threshold", metavar="PERCENT", min=0.0, help="What counts as slower."),
]
TrendsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def trends(
    context: typer.Context,
    module: ModuleName = None,
    threshold: Threshold = 5.0,
    json: TrendsJson = False,
    rootdir: options.Rootdir = None,
) -> int:
    """Show the last durations of all modules, or of one module and its tests, by machine."""
    invocation: Invocation = context.obj
    from iopio_async.history import series

    config = invocation.resolve({"rootdir": rootdir})
    share = threshold / 100
    if module is None:
        # The machine that ran a module last is the one to look at.
        latest = [(path, known[0]) for path, known in series.of_all(config.root) if known]
        by_machine: dict[str, list[tuple[str, Sequence[float]]]] = {}
        for path, known in latest:
            by_machine.setdefault(known.machine.label, []).append((path, known.module))
        _show(by_machine, share, json=json)
        return ExitCode.OK
    below, given = module_paths(module, invocation_dir=config.invocation_dir, root=config.root)
    found = series.of_module(config.root, below) or series.of_module(config.root, given)
    if not found:
        raise UsageError(
            f"no durations of {module} are known", hint="iopio trends shows what is known"
        )
    _show({each.machine.label: _rows(below, each) for each in found}, share, json=json)
    return ExitCode.OK


def _rows(path: str, known: "Series") -> list[tuple[str, Sequence[float]]]:
    return [(path, known.module), *known.tests.items()]


def _show(
    by_machine: dict[str, list[tuple[str, Sequence[float]]]], threshold: float, *, json: bool
) -> None:
    from iopio_async.reporting.escape import escape_line
    from iopio_async.reporting.palette import speaks_unicode
    from iopio_async.reporting.trends import table

    if not by_machine and not json:
        typer.echo("no durations are known: iopio run measures what it executes")
    for number, (label, rows) in enumerate(by_machine.items()):
        found = [_trend(name, values, threshold) for name, values in rows]
        if json:
            _print_json(label, found)
            continue
        if number:
            typer.echo()
        typer.echo(escape_line(label))
        typer.echo(table(found, unicode=speaks_unicode(sys.stdout)), nl=False)


def _trend(name: str, durations_s: Sequence[float], threshold: float) -> "Trend":
    from iopio_async.history.regressions import judge, median, spread
    from iopio_async.reporting.trends import Trend

    verdict = judge(durations_s, threshold=threshold)
    return Trend(
        name=name,
        durations_s=durations_s,
        median_s=median(durations_s) if durations_s else 0.0,
        spread=spread(durations_s) if durations_s else 0.0,
        change=None if verdict is None else verdict.change,
        slower=verdict is not None and verdict.slower,
    )


def _print_json(label: str, found: "Iterable[Trend]") -> None:
    for trend in found:
        row = trend._asdict() | {"machine": label, "durations_s": list(trend.durations_s)}
        typer.echo(json_format.dumps(row))
