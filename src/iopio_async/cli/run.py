"""``iopio run``."""

import typer

from iopio_async.cli import options
from iopio_async.cli.begin import run_given
from iopio_async.cli.invocation import Invocation


def run(
    context: typer.Context,
    paths: options.Paths = None,
    keyword: options.Keyword = None,
    markers: options.Markers = None,
    last_failed: options.LastFailed = False,
    shard: options.ShardOption = None,
    framework: options.FrameworkOption = None,
    workers: options.WorkersOption = None,
    memory_limit: options.MemoryLimit = None,
    start_method: options.StartMethodOption = None,
    exitfirst: options.ExitFirst = False,
    maxfail: options.Maxfail = None,
    retries: options.Retries = None,
    timeout: options.Timeout = None,
    slow_after: options.SlowAfter = None,
    grace: options.Grace = None,
    no_locks: options.NoLocks = False,
    no_cache: options.NoCache = False,
    refresh: options.Refresh = False,
    cache_dir: options.CacheDir = None,
    cache_ttl: options.CacheTtl = None,
    audit: options.Audit = None,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = 0,
    color: options.Color = None,
    report: options.Report = None,
    junit_xml: options.JunitXml = None,
    fail_on_regression: options.FailOnRegression = None,
    trace: options.Trace = None,
    timeline: options.Timeline = None,
    otel: options.Otel = False,
    json: options.Json = False,
    config: options.ConfigFile = None,
    rootdir: options.Rootdir = None,
) -> int:
    """Run the tests, each module in its own process.

    Without PATHS, the project's test paths are run. What follows -- goes to pytest as it is.
    """
    invocation: Invocation = context.obj
    return run_given(
        invocation,
        {
            "paths": paths,
            "keyword": keyword,
            "markers": markers,
            "last_failed": last_failed,
            "shard": shard,
            "framework": framework,
            "workers": workers,
            "memory_limit_bytes": memory_limit,
            "start_method": start_method,
            "exitfirst": int(exitfirst),
            "maxfail": maxfail,
            "retries": retries,
            "timeout_s": timeout,
            "slow_after_s": slow_after,
            "grace_s": grace,
            "no_locks": no_locks,
            "no_cache": no_cache,
            "refresh": refresh,
            "cache_dir": cache_dir,
            "cache_ttl_s": cache_ttl,
            "audit_percent": audit,
            "verbose": verbose,
            "quiet": quiet,
            "color": color,
            "report": report,
            "junit_xml": junit_xml,
            "fail_on_regression": fail_on_regression,
            "trace": trace,
            "timeline": timeline,
            "otel": otel,
            "json": json,
            "config": config,
            "rootdir": rootdir,
        },
    )
