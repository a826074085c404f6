"""``iopio list``: the modules that a run would have, found without importing anything."""

import sys

import typer

from iopio_async.cli import options
from iopio_async.cli.invocation import Invocation
from iopio_async.model.outcome import ExitCode


def list_modules(
    context: typer.Context,
    paths: options.Paths = None,
    last_failed: options.LastFailed = False,
    shard: options.ShardOption = None,
    framework: options.FrameworkOption = None,
    config: options.ConfigFile = None,
    rootdir: options.Rootdir = None,
    verbose: options.Verbose = 0,
) -> int:
    """List the test modules, without running or importing anything."""
    invocation: Invocation = context.obj
    resolved = invocation.resolve(
        {
            "paths": paths,
            "last_failed": last_failed,
            "shard": shard,
            "framework": framework,
            "config": config,
            "rootdir": rootdir,
            "verbose": verbose,
        },
    )
    from iopio_async.orchestration.preparation import prepare
    from iopio_async.reporting.escape import escape_line

    plan = prepare(resolved)
    for warning in plan.warnings:
        sys.stderr.write(f"iopio: warning: {warning}\n")
    for module in sorted(plan.modules, key=lambda module: module.path):
        line = escape_line(module.path)
        if resolved.verbosity > 0:
            line += f"  ({module.framework}, {module.size_bytes} bytes)"
        typer.echo(line)
    return ExitCode.OK if plan.modules else ExitCode.NOTHING_RAN
