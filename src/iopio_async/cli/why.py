"""``iopio why``: would these modules be executed, and what for?"""

import json as json_format
import sys
import time

import typer

from iopio_async.cli import options
from iopio_async.cli.invocation import Invocation
from iopio_async.cli.last_command import recall_command
from iopio_async.errors import UsageError
from iopio_async.model.config import Config
from iopio_async.model.outcome import ExitCode
from iopio_async.project.given_paths import module_paths


def why(
    context: typer.Context,
    modules: options.ModuleNames = None,
    config: options.ConfigFile = None,
    rootdir: options.Rootdir = None,
    cache_dir: options.CacheDir = None,
    cache_ttl: options.CacheTtl = None,
    json: options.WhyJson = False,
) -> int:
    """Say for each module whether its stored result holds, and else what has changed.

    The answer is for the command that was run last in this project, or else for a plain iopio run.
    """
    invocation: Invocation = context.obj
    where = {
        "config": config,
        "rootdir": rootdir,
        "cache_dir": cache_dir,
        "cache_ttl_s": cache_ttl,
    }
    from iopio_async.history import last_failed
    from iopio_async.orchestration.lookup import ResultCache
    from iopio_async.orchestration.preparation import prepare
    from iopio_async.orchestration.reasons import told
    from iopio_async.reporting.escape import escape_line

    resolved = invocation.resolve(where)
    invocation, given = recall_command(resolved, invocation)
    resolved = invocation.resolve({**given, **where})
    plan = prepare(resolved)
    known = {module.path: module for module in plan.modules}
    chosen = _chosen(resolved, modules or [], list(known))
    cache = ResultCache(resolved, plan, began_ns=time.time_ns())
    cache.look_up([known[path] for path in chosen])
    cache.save()
    for warning in cache.warnings:
        sys.stderr.write(f"iopio: warning: {warning}\n")
    failures = last_failed.load(resolved.root)
    for path in chosen:
        verdict, reasons = cache.verdicts[path], cache.reasons(known[path])
        said = told(verdict, failed=path in failures)
        if json:
            typer.echo(json_format.dumps(_as_json(path, verdict, said) | {"coarse": list(reasons)}))
            continue
        typer.echo(f"{escape_line(path)}: {escape_line(said)}")
        for line in (*_details(verdict), *(f"coarse: {each}" for each in reasons)):
            typer.echo(f"  {escape_line(line)}")
    return ExitCode.OK


def _chosen(config: Config, names: list[str], paths: list[str]) -> list[str]:
    """The modules that were asked for, by their paths from here or from the root; or all.

    Raises:
        UsageError: there is no such module.
    """
    if not names:
        return sorted(paths)
    known = set(paths)
    chosen = []
    for name in names:
        below, given = module_paths(name, invocation_dir=config.invocation_dir, root=config.root)
        found = [each for each in (below, given) if each in known]
        found = found or sorted(each for each in known if each.startswith(f"{below}/"))
        if not found:
            raise UsageError(
                f"no such test module: {name}", hint="iopio list shows all test modules"
            )
        chosen += found[:1] if found[0] in {below, given} else found
    return list(dict.fromkeys(chosen))


def _details(verdict: object) -> list[str]:
    from iopio_async.cache.validate import Hit, Miss
    from iopio_async.orchestration.reasons import level_told, old_and_new
    from iopio_async.reporting.wording import seconds

    now_s = time.time()
    if isinstance(verdict, Hit):
        ago = seconds(max(now_s - verdict.executed_at_s, 0.0))
        left = seconds(verdict.expires_at_s - now_s)
        return [
            f"passed {ago} ago in {seconds(verdict.duration_s)}",
            f"holds for {left} more, inputs are {level_told(verdict.level)}",
        ]
    assert isinstance(verdict, Miss)
    lines = []
    if verdict.change is not None:
        lines.append(old_and_new(verdict.change))
        if verdict.refusal:
            lines.append(f"its last execution was not kept: {verdict.refusal}")
    return lines


def _as_json(path: str, verdict: object, said: str) -> dict[str, object]:
    from iopio_async.cache.validate import Hit, Miss
    from iopio_async.orchestration.reasons import of_change

    about: dict[str, object] = {"module": path, "hit": isinstance(verdict, Hit)}
    if isinstance(verdict, Hit):
        about |= verdict._asdict()
    elif isinstance(verdict, Miss):
        about |= {"reason": said, "expired": verdict.expired, "refusal": verdict.refusal}
        if verdict.change is not None:
            change = verdict.change
            about["change"] = {**change._asdict(), "told": of_change(change)}
    return about
