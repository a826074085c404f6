"""The one table of all settings: everything that knows a setting's name reads it here.

A row says what a setting is called in each place that may set it, what kind of value it takes,
its default and what it does. The loader, the command line's help and the configuration reference
of the README are made from the rows.
"""

from iopio_async.project.argument_settings import PytestArguments
from iopio_async.project.cache_settings import CacheTable
from iopio_async.project.override_settings import RETRIES, SLOW_AFTER, TIMEOUT, Overrides
from iopio_async.project.resource_settings import Resources
from iopio_async.project.setting_rows import Setting
from iopio_async.project.setting_values import (
    Boolean,
    Choice,
    Duration,
    Environment,
    Percent,
    ShardOf,
    Size,
    Text,
    TextList,
    Whole,
    Workers,
)

#: More worker processes than this, or than the machine has CPUs if those are more, are not
#: started: each takes descriptors and tens of megabytes.
MAX_WORKERS = 256

#: All settings of a run, in the order of the reference.
SETTINGS = (
    Setting(
        field="testpaths",
        name="testpaths",
        kind=TextList(),
        doc="Where tests are looked for when no paths are given, relative to the root directory.",
    ),
    Setting(
        field="framework",
        name="framework",
        kind=Choice(("auto", "pytest", "unittest", "functions")),
        default="auto",
        flags=("--framework",),
        metavar="NAME",
        doc="Who collects and runs the tests: auto, pytest, unittest or functions.",
    ),
    Setting(
        field="workers",
        name="workers",
        kind=Workers(),
        default="auto",
        flags=("--workers", "-j"),
        metavar="N|auto",
        doc=(
            "How many modules run at once; auto is the number of CPUs that this process may use. "
            f"At most {MAX_WORKERS}, or the number of CPUs if that is more."
        ),
    ),
    Setting(
        field="memory_limit_bytes",
        name="memory-limit",
        kind=Size(1024**2, 1024**5, optional=True),
        default="none",
        flags=("--memory-limit",),
        metavar="SIZE",
        doc=(
            "A module waits where the usual peaks of all that run, and its own, would add up to "
            "more. One that exceeds this by itself runs alone. What is free counts in any case."
        ),
    ),
    Setting(
        field="start_method",
        name="start-method",
        kind=Choice(("auto", "spawn", "forkserver")),
        default="auto",
        flags=("--start-method",),
        metavar="NAME",
        doc=(
            "How a module's process comes about: spawn is a fresh interpreter, forkserver a fork "
            "of a warm one; auto is forkserver on Linux and spawn elsewhere."
        ),
    ),
    Setting(
        field="maxfail",
        name="maxfail",
        kind=Whole(0, 10**9),
        default="0",
        flags=("--maxfail",),
        metavar="N",
        doc="Stop after so many failures; 0 is never, and -x is --maxfail 1.",
    ),
    Setting(
        field="retries",
        name="retries",
        kind=RETRIES,
        default="0",
        flags=("--retries",),
        metavar="N",
        doc="How often a module that did not pass is run again; a pass on retry is flaky.",
    ),
    Setting(
        field="timeout_s",
        name="timeout",
        kind=TIMEOUT,
        default="none",
        flags=("--timeout",),
        metavar="DURATION",
        doc="Time limit of an attempt at a module; 0 or none is no limit.",
    ),
    Setting(
        field="slow_after_s",
        name="slow-after",
        kind=SLOW_AFTER,
        default="60s",
        flags=("--slow-after",),
        metavar="DURATION",
        doc="A module that runs for longer is reported as slow, while it runs.",
    ),
    Setting(
        field="grace_s",
        name="grace",
        kind=Duration(),
        default="10s",
        flags=("--grace",),
        metavar="DURATION",
        doc="How long a process that was told to end may take before it is killed.",
    ),
    Setting(
        field="leak_timeout_s",
        name="leak-timeout",
        kind=Duration(),
        default="200ms",
        doc="How long a module's output may stay open after its process has ended.",
    ),
    Setting(
        field="output_bytes",
        name="output-limit",
        kind=Size(1024, 1024**3),
        default="64KiB",
        doc="How much of each of a module's output streams is kept, from its head and its tail.",
    ),
    Setting(
        field="env",
        name="env",
        kind=Environment(),
        in_environment=False,
        combine="merge",
        doc="A table of environment variables for the tests.",
    ),
    Setting(
        field="overrides",
        name="overrides",
        kind=Overrides(),
        in_environment=False,
        combine="append",
        doc="Settings for some modules only: see below.",
    ),
    Setting(
        field="resources",
        name="resources",
        kind=Resources(),
        in_environment=False,
        combine="merge",
        doc=(
            "A table of resources with the number of units that there are of each, such as gpu = 2 "
            'or gpu = { capacity = 2, env = "CUDA_VISIBLE_DEVICES" }; modules that need some get '
            "their numbers, from 0, in that variable and in IOPIO_GPU."
        ),
    ),
    Setting(
        field="no_locks",
        name="no-locks",
        kind=Boolean(),
        flags=("--no-locks",),
        doc="Keep nothing apart that shares a resource, and do not look for what does.",
    ),
    Setting(
        field="arguments",
        name="pytest-args",
        kind=PytestArguments(),
        flags=("-- ARGS",),
        combine="append",
        doc="Further arguments for pytest; all sources' arguments are joined, the strongest last.",
    ),
    Setting(
        field="no_cache",
        name="no-cache",
        kind=Boolean(),
        flags=("--no-cache",),
        doc="Neither look results up nor store them.",
    ),
    Setting(
        field="refresh",
        name="refresh",
        kind=Boolean(),
        flags=("--refresh",),
        in_file=False,
        in_environment=False,
        doc="Look nothing up, but store what is executed.",
    ),
    Setting(
        field="cache_dir",
        name="cache-dir",
        kind=Text(filled=True),
        flags=("--cache-dir",),
        metavar="DIR",
        in_file=False,
        doc="Where results are stored, if not in .test_cache in the root directory.",
    ),
    Setting(
        field="cache_ttl_s",
        name="cache-ttl",
        kind=Duration(positive=True),
        default="24h",
        flags=("--cache-ttl",),
        metavar="DURATION",
        doc="For how long a result holds, from its execution; each holds for 75 to 100 % of it.",
    ),
    Setting(
        field="audit_percent",
        name="audit",
        kind=Percent(),
        default="0",
        flags=("--audit",),
        metavar="PERCENT",
        doc="Execute so many of the hits anyway, and fail loudly where a result differs.",
    ),
    Setting(
        field="cache",
        name="cache",
        kind=CacheTable(),
        in_environment=False,
        doc="A table of what is, and what is not, an input of the tests: see below.",
    ),
    Setting(
        field="report",
        name="report",
        kind=Text(),
        flags=("--report",),
        metavar="FILE",
        doc="Write a JSON report to this file; - is the standard output.",
    ),
    Setting(
        field="junit_xml",
        name="junit-xml",
        kind=Text(),
        flags=("--junit-xml",),
        metavar="FILE",
        doc="Write a JUnit XML report to this file; - is the standard output.",
    ),
    Setting(
        field="trace",
        name="trace",
        kind=Text(),
        flags=("--trace",),
        metavar="FILE",
        doc="Write what ran when to this file, as Perfetto and Chrome's tracing read it.",
    ),
    Setting(
        field="timeline",
        name="timeline",
        kind=Text(),
        flags=("--timeline",),
        metavar="FILE",
        doc="Write what ran when to this file, as a page for a browser.",
    ),
    Setting(
        field="fail_on_regression",
        name="fail-on-regression",
        kind=Percent(),
        flags=("--fail-on-regression",),
        metavar="PERCENT",
        doc=(
            "Fail if a module or test has become slower by more than this, beyond its noise over "
            "the last runs on such a machine; without a number, 5 %."
        ),
    ),
    Setting(
        field="observers",
        name="observers",
        kind=TextList(shell=True),
        doc=(
            "Programs that are told what happens: each a factory, as package.module:name, which is "
            "called without arguments and makes an observer."
        ),
    ),
    Setting(
        field="otel",
        name="otel",
        kind=Boolean(),
        flags=("--otel",),
        doc=(
            "Send spans and metrics of the run to an OpenTelemetry receiver, as the variables "
            "OTEL_* say (extra: otel)."
        ),
    ),
    Setting(
        field="color",
        name="color",
        kind=Choice(("auto", "always", "never")),
        default="auto",
        flags=("--color",),
        metavar="WHEN",
        doc="Whether to use colours: auto, always or never.",
    ),
    Setting(
        field="verbosity",
        name="verbosity",
        kind=Whole(-1, 2),
        default="0",
        flags=("-v", "-q"),
        doc="How much is shown: -1 (-q), 0, 1 (-v) or 2 (-vv).",
    ),
    Setting(
        field="keyword",
        name="keyword",
        kind=Text(),
        flags=("-k",),
        metavar="EXPRESSION",
        in_file=False,
        in_environment=False,
        doc="Run only the tests whose names match the expression.",
    ),
    Setting(
        field="markers",
        name="markers",
        kind=Text(),
        flags=("-m",),
        metavar="EXPRESSION",
        in_file=False,
        in_environment=False,
        doc="Run only the tests whose marks match the expression.",
    ),
    Setting(
        field="last_failed",
        name="last-failed",
        kind=Boolean(),
        flags=("--last-failed", "--lf"),
        in_file=False,
        in_environment=False,
        doc="Run only what did not pass last time.",
    ),
    Setting(
        field="shard",
        name="shard",
        kind=ShardOf(),
        flags=("--shard",),
        metavar="K/N",
        in_file=False,
        doc="Run only the K-th of N parts of the modules.",
    ),
    Setting(
        field="json",
        name="json",
        kind=Boolean(),
        flags=("--json",),
        in_file=False,
        in_environment=False,
        doc="Write the stream of events to the standard output, one JSON object a line.",
    ),
    Setting(
        field="config",
        name="config",
        kind=Text(filled=True),
        flags=("--config",),
        metavar="FILE",
        in_file=False,
        doc="Read the settings from this TOML file instead of pyproject.toml.",
    ),
    Setting(
        field="rootdir",
        name="rootdir",
        kind=Text(filled=True),
        flags=("--rootdir",),
        metavar="DIR",
        in_file=False,
        doc="The root directory; otherwise it is found as pytest finds it.",
    ),
)

#: The rows by their fields, which are also the names of the flags.
BY_FIELD = {row.field: row for row in SETTINGS}
