"""``iopio report``: how one of the last runs went, read from its journal."""

from typing import Annotated

import typer

from iopio_async.cli import options
from iopio_async.cli.invocation import Invocation
from iopio_async.errors import UsageError
from iopio_async.model.outcome import ExitCode

RunName = Annotated[
    str | None,
    typer.Argument(metavar="RUN", help="The id of a run, or how it begins or ends; else the last."),
]
ListRuns = Annotated[bool, typer.Option("--list", help="List the runs that are remembered.")]
ReportJson = Annotated[bool, typer.Option("--json", help="Print the metrics as a JSON object.")]


def report(
    context: typer.Context,
    run: RunName = None,
    list_runs: ListRuns = False,
    json: ReportJson = False,
    trace: options.Trace = None,
    timeline: options.Timeline = None,
    rootdir: options.Rootdir = None,
) -> int:
    """Say how one of the last runs went: its times, workers, memory, cache and critical path."""
    invocation: Invocation = context.obj
    if list_runs and (run or json or trace or timeline):
        raise UsageError("--list shows all runs, in one way only", hint="leave out the rest")
    from iopio_async.history import journals
    from iopio_async.model.spans import fold
    from iopio_async.reporting import chrome_trace, run_report
    from iopio_async.reporting import timeline as timeline_page
    from iopio_async.reporting.artefact import write_artefact
    from iopio_async.reporting.metrics import measure

    config = invocation.resolve({"rootdir": rootdir, "trace": trace, "timeline": timeline})
    if list_runs:
        runs = []
        for run_id in journals.run_ids(config.root):
            envelopes = journals.read(config.root, run_id)
            spans, stats = fold(envelopes), journals.stats_of(envelopes)
            runs.append((spans, stats, measure(spans, stats)))
        typer.echo(run_report.overview(runs), nl=False)
        return ExitCode.OK
    envelopes = journals.read(config.root, journals.find(config.root, run or ""))
    spans, stats = fold(envelopes), journals.stats_of(envelopes)
    metrics = measure(spans, stats)
    if trace:
        write_artefact(config.trace, chrome_trace.pieces(spans))
    if timeline:
        write_artefact(config.timeline, timeline_page.pieces(spans, stats))
    if json:
        import msgspec

        typer.echo(msgspec.json.encode(metrics))
    else:
        typer.echo(run_report.report(spans, stats, metrics), nl=False)
    return ExitCode.OK
