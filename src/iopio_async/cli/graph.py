"""``iopio graph``: which modules share what, and so can't overlap."""

import sys
from typing import Annotated

import typer

from iopio_async.cli import options
from iopio_async.cli.invocation import Invocation
from iopio_async.errors import UsageError
from iopio_async.model.config import Config
from iopio_async.model.outcome import ExitCode
from iopio_async.project.given_paths import module_paths

ModuleName = Annotated[
    str | None,
    typer.Argument(metavar="MODULE", help="Only this test module, with its evidence."),
]
Format = Annotated[
    str,
    typer.Option("--format", metavar="tree|mermaid|dot|json", help="How to write it."),
]
OnlyLearned = Annotated[
    bool,
    typer.Option("--learned", help="What modules were seen to contend for when they ran."),
]
Accept = Annotated[
    bool,
    typer.Option("--accept", help="With --learned: write it into the configuration, as locks."),
]


def graph(
    context: typer.Context,
    module: ModuleName = None,
    form: Format = "tree",
    learned: OnlyLearned = False,
    accept: Accept = False,
    cache_dir: options.CacheDir = None,
    config: options.ConfigFile = None,
    rootdir: options.Rootdir = None,
) -> int:
    """Show what the test modules share, as found in their source; nothing is run or imported."""
    invocation: Invocation = context.obj
    from iopio_async.orchestration.claims import claims_of_plan
    from iopio_async.orchestration.preparation import prepare
    from iopio_async.planning.graph import graph_of
    from iopio_async.reporting import graph as texts
    from iopio_async.reporting.palette import speaks_unicode

    if form not in {"tree", *texts.FORMATS}:
        raise UsageError(
            f"no such format: {form}", hint="--format is one of tree, mermaid, dot and json"
        )
    if accept and not learned:
        raise UsageError("--accept goes with --learned", hint="iopio graph --learned --accept")
    resolved = invocation.resolve({"config": config, "rootdir": rootdir, "cache_dir": cache_dir})
    plan = prepare(resolved)
    chosen = _chosen(resolved, module, [each.path for each in plan.modules]) if module else None
    claimed = claims_of_plan(resolved, plan.modules)
    for warning in (*plan.warnings, *claimed.warnings):
        sys.stderr.write(f"iopio: warning: {warning}\n")
    if learned:
        from iopio_async.cli import learned as seen

        every = [each.path for each in plan.modules]
        text = seen.shown(resolved, claimed, every, chosen, form=form)
        if accept:
            text += seen.accepted(resolved, claimed, every, chosen)
        typer.echo(text, nl=False)
        return ExitCode.OK
    whole = graph_of(claimed.claims, claimed.capacities)
    unicode = speaks_unicode(sys.stdout)
    if chosen is None:
        text = texts.tree(whole, unicode=unicode) if form == "tree" else texts.FORMATS[form](whole)
    elif form == "tree":
        text = texts.of_module(whole, chosen, unicode=unicode)
    elif form == "json":
        text = texts.as_json(whole, chosen)
    else:
        text = texts.FORMATS[form](texts.part_of(whole, chosen))
    typer.echo(text, nl=False)
    return ExitCode.OK


def _chosen(config: Config, name: str, paths: list[str]) -> str:
    """The module that was asked for, by its path from here or from the root.

    Raises:
        UsageError: there is no such module.
    """
    for each in module_paths(name, invocation_dir=config.invocation_dir, root=config.root):
        if each in paths:
            return each
    raise UsageError(f"no such test module: {name}", hint="iopio list shows all test modules")
