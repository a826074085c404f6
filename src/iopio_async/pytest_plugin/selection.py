"""Which of pytest's options decide what a test does: all, less those that choose or report."""

import inspect
import os

import pytest

from iopio_async.worker.frameworks.pytest_marks import is_uncacheable

#: Options, by their names in ``config.option``, that say which tests run, in which process, when
#: to stop, and what is printed or written about them.
WITHOUT_EFFECT = frozenset(
    {
        "basetemp",
        "cache_dir",
        "cache_tests",
        "cacheclear",
        "cacheshow",
        "code_highlight",
        "collect_only",
        "color",
        "debug",
        "deselect",
        "dist",
        "distload",
        "durations",
        "durations_min",
        "failedfirst",
        "file_or_dir",
        "force_short_summary",
        "fulltrace",
        "ignore",
        "ignore_glob",
        "junitprefix",
        "keyword",
        "last_failed_no_failures",
        "lf",
        "log_file",
        "loadgroup",
        "loadscopereorder",
        "looponfail",
        "markexpr",
        "maxfail",
        "maxprocesses",
        "maxschedchunk",
        "maxworkerrestart",
        "newfirst",
        "no_header",
        "no_summary",
        "numprocesses",
        "pastebin",
        "perf_fail_on_regression",
        "perf_storage_dir",
        "perf_threshold",
        "performance_regression",
        "plugins",
        "px",
        "reportchars",
        "rsyncdir",
        "rsyncignore",
        "show_fixtures_per_test",
        "showcapture",
        "showfixtures",
        "showlocals",
        "stepwise",
        "stepwise_reset",
        "stepwise_skip",
        "tbstyle",
        "testrunuid",
        "tx",
        "verbose",
        "version",
        "warnings",
        "xfail_tb",
        "xmlpath",
    }
)

#: With one of these, tests are not run as usual.
UNUSUAL = ("collectonly", "setuponly", "setupplan", "setupshow", "usepdb", "trace", "looponfail")

#: Fixtures that keep results where no report has them, or have to do with other sessions.
UNREPLAYABLE_FIXTURES = frozenset(
    {
        "cache",
        "perf_test_case",
        "performance_tracker",
        "record_testsuite_property",
        "record_xml_attribute",
    }
)


def effective_options(config: pytest.Config) -> tuple[str, ...]:
    """The options and plugins with which the tests run, as text."""
    options = sorted(
        f"{name}={value!r}"
        for name, value in vars(config.option).items()
        if name not in WITHOUT_EFFECT
    )
    plugins = sorted(
        f"{distribution.project_name}-{distribution.version}"
        for _, distribution in config.pluginmanager.list_plugin_distinfo()
    )
    asked = sorted(
        name for name in config.option.plugins or () if name not in {"no:terminal", "terminal"}
    )
    return (*options, *plugins, *asked, os.environ.get("PYTEST_PLUGINS", ""))


def misled(config: pytest.Config) -> str:
    """An option of ours whose directory pytest took for one of tests when it looked for its root.

    It does so before it knows our options, where the directory is an argument of its own, and is
    there. ``""`` where nothing came of it.
    """
    from _pytest.config import findpaths

    arguments = list(config.invocation_params.args)
    for option in ("--cache-dir", "--perf-storage-dir"):
        if option not in arguments[:-1]:
            continue
        value = str(arguments[arguments.index(option) + 1])
        if not os.path.isdir(os.path.join(config.invocation_params.dir, value)):
            continue
        given = config.known_args_namespace
        known = {
            "inifile": given.inifilename,
            "override_ini": given.override_ini,
            "args": given.file_or_dir,
            "rootdir_cmd_arg": given.rootdir or None,
            "invocation_dir": config.invocation_params.dir,
        }
        wanted = inspect.signature(findpaths.determine_setup).parameters
        try:
            root, *_ = findpaths.determine_setup(
                **{name: known[name] for name in wanted if name in known}
            )
        except TypeError:
            continue
        if root != config.rootpath:
            return option
    return ""


def hindrance(config: pytest.Config) -> str:
    """Why nothing can be replayed in this session; ``""`` where it can."""
    given = config.known_args_namespace
    if any(getattr(given, name, False) for name in UNUSUAL):
        return "tests do not run as usual"
    if getattr(given, "cov_source", None) and not getattr(given, "no_cov", False):
        return "coverage can only be measured of tests that run"
    return ""


def unreplayable(item: pytest.Item) -> str:
    """Why the result of this test is not to be kept; ``""`` where it is."""
    if is_uncacheable(item):
        return "it is marked cache=False"
    used = UNREPLAYABLE_FIXTURES.intersection(getattr(item, "fixturenames", ()))
    return f"it uses the fixture {min(used)}" if used else ""
