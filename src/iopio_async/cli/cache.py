"""``iopio cache``: where results are kept, how many, whether they are sound; or away with them."""

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import typer

from iopio_async import state
from iopio_async.cli import options
from iopio_async.cli.invocation import Invocation
from iopio_async.errors import InfrastructureError, UsageError
from iopio_async.model.outcome import ExitCode

cache_app = typer.Typer(
    name="cache",
    no_args_is_help=True,
    help="Look at the stored results, check them, or throw them away.",
)


def _folder(context: typer.Context, rootdir: str | None, cache_dir: str | None) -> str:
    invocation: Invocation = context.obj
    config = invocation.resolve({"rootdir": rootdir, "cache_dir": cache_dir})
    return config.cache_dir or state.folder_of(config.root)


@contextlib.contextmanager
def _opened(context: typer.Context, rootdir: str | None, cache_dir: str | None) -> Iterator[str]:
    """The folder, which is a cache or is not there at all.

    Raises:
        UsageError: it is something else, or what is to be done can't be done there.
    """
    folder = _folder(context, rootdir, cache_dir)
    try:
        if not state.is_folder_of_ours(folder):
            raise UsageError(
                f"{folder} is no cache of iopio's",
                hint="name the folder that iopio run --cache-dir was given",
            )
        yield folder
    except InfrastructureError as error:
        hint = "" if error.hint == state.HINT_NOT_KEPT else error.hint
        raise UsageError(error.message, hint=hint) from error


def path(
    context: typer.Context,
    rootdir: options.Rootdir = None,
    cache_dir: options.CacheDir = None,
) -> int:
    """Print the folder that results are kept in."""
    typer.echo(_folder(context, rootdir, cache_dir))
    return ExitCode.OK


def stats(
    context: typer.Context,
    rootdir: options.Rootdir = None,
    cache_dir: options.CacheDir = None,
) -> int:
    """Count what is stored."""
    from iopio_async.cache import maintenance
    from iopio_async.reporting.wording import counted, size

    with _opened(context, rootdir, cache_dir) as folder:
        found = maintenance.stats(folder)
    rows = [
        ("folder", folder),
        ("size", size(found.size_bytes)),
        ("modules", f"{found.modules} ({found.refused} not cacheable)"),
        ("entries", str(found.entries)),
        ("results", f"{found.results} ({found.ended} too old)"),
        ("blobs", str(found.blobs)),
        ("tests", f"{found.tests} of plain pytest"),
    ]
    if found.results:
        rows.append(("executed", f"{_date(found.oldest_s)} to {_date(found.newest_s)}"))
    if found.aside:
        rows.append(("damaged", f"{counted(found.aside, 'file')} put aside"))
    for name, value in rows:
        typer.echo(f"{name:<9} {value}")
    return ExitCode.OK


def _date(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def verify(
    context: typer.Context,
    rootdir: options.Rootdir = None,
    cache_dir: options.CacheDir = None,
) -> int:
    """Read all that is stored; the exit code is 1 where something is damaged."""
    from iopio_async.cache import maintenance
    from iopio_async.reporting.wording import counted

    with _opened(context, rootdir, cache_dir) as folder:
        found = maintenance.verify(folder)
    for bad in found.bad:
        typer.echo(f"damaged: {bad.file}: {bad.why}")
    told = [counted(found.entries, "entry", "entries"), counted(found.blobs, "blob")]
    if found.foreign:
        told.append(f"{found.foreign} of another version")
    if found.incomplete:
        told.append(f"{found.incomplete} without their events")
    verdict = f"{len(found.bad)} damaged" if found.bad else "all in order"
    typer.echo(f"{', '.join(told)}: {verdict}")
    return ExitCode.NOT_ALL_PASSED if found.bad else ExitCode.OK


def gc(
    context: typer.Context,
    rootdir: options.Rootdir = None,
    cache_dir: options.CacheDir = None,
) -> int:
    """Remove what has ended, and beyond the size limit what was not used for longest."""
    from iopio_async.cache import collection
    from iopio_async.reporting.wording import counted, size

    with _opened(context, rootdir, cache_dir) as folder:
        done = collection.collect(folder, now_s=time.time())
    entries = counted(done.entries, "entry", "entries")
    removed = f"{entries} and {counted(done.blobs, 'blob')} removed"
    typer.echo(f"{removed}, {size(done.freed_bytes)} freed, {size(done.left_bytes)} left")
    return ExitCode.OK


def clear(
    context: typer.Context,
    module: options.ClearedModules = None,
    rootdir: options.Rootdir = None,
    cache_dir: options.CacheDir = None,
) -> int:
    """Forget stored results: all, or those of some modules."""
    from iopio_async.cache import maintenance
    from iopio_async.project.quotation import plainly
    from iopio_async.reporting.wording import counted

    with _opened(context, rootdir, cache_dir) as folder:
        removed = maintenance.clear(folder, module or ())
    if module and not removed:
        raise UsageError(
            f"nothing is stored of a module that matches {' or '.join(map(plainly, module))}",
            hint="globs are of paths from the root directory, such as tests/unit/**",
        )
    typer.echo(f"{counted(removed, 'module')} forgotten")
    return ExitCode.OK


for command in (path, stats, verify, gc, clear):
    cache_app.command(command.__name__)(command)
