"""The options that commands share, each made from its row in the table of settings.

All of them are taken as text and left unset unless given: the settings check them, together with
what the configuration file and the environment say, so that every mistake is told in one way.
"""

from typing import Annotated, Any

import typer

from iopio_async.project.setting_table import BY_FIELD


def option(field: str, panel: str, *, is_flag: bool = False) -> Any:
    """The typer option of a setting."""
    row = BY_FIELD[field]
    return typer.Option(
        *row.flags,
        # Square brackets would be markup to the help's renderer.
        help=row.help.replace("[", "(").replace("]", ")"),
        metavar=None if is_flag else row.metavar or None,
        rich_help_panel=panel,
        show_default=False,
    )


SELECTION = "What to run"
EXECUTION = "How to run it"
CACHE = "What not to run again"
OUTPUT = "What to show and write"
SETTINGS = "Where settings come from"

Paths = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATHS", help="Files, directories or node ids.", show_default=False),
]
Keyword = Annotated[str | None, option("keyword", SELECTION)]
Markers = Annotated[str | None, option("markers", SELECTION)]
LastFailed = Annotated[bool, option("last_failed", SELECTION, is_flag=True)]
ShardOption = Annotated[str | None, option("shard", SELECTION)]
FrameworkOption = Annotated[str | None, option("framework", SELECTION)]

WorkersOption = Annotated[str | None, option("workers", EXECUTION)]
MemoryLimit = Annotated[str | None, option("memory_limit_bytes", EXECUTION)]
StartMethodOption = Annotated[str | None, option("start_method", EXECUTION)]
ExitFirst = Annotated[
    bool,
    typer.Option(
        "--exitfirst", "-x", help="Stop after the first failure.", rich_help_panel=EXECUTION
    ),
]
Maxfail = Annotated[str | None, option("maxfail", EXECUTION)]
Retries = Annotated[str | None, option("retries", EXECUTION)]
Timeout = Annotated[str | None, option("timeout_s", EXECUTION)]
SlowAfter = Annotated[str | None, option("slow_after_s", EXECUTION)]
Grace = Annotated[str | None, option("grace_s", EXECUTION)]
NoLocks = Annotated[bool, option("no_locks", EXECUTION, is_flag=True)]

NoCache = Annotated[bool, option("no_cache", CACHE, is_flag=True)]
Refresh = Annotated[bool, option("refresh", CACHE, is_flag=True)]
CacheDir = Annotated[str | None, option("cache_dir", CACHE)]
CacheTtl = Annotated[str | None, option("cache_ttl_s", CACHE)]
Audit = Annotated[str | None, option("audit_percent", CACHE)]

Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        help="Show a line for each module; twice: for each test.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
Quiet = Annotated[
    int,
    typer.Option(
        "--quiet",
        "-q",
        count=True,
        help="Show failures and one final line only.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
Color = Annotated[str | None, option("color", OUTPUT)]
Report = Annotated[str | None, option("report", OUTPUT)]
JunitXml = Annotated[str | None, option("junit_xml", OUTPUT)]
FailOnRegression = Annotated[str | None, option("fail_on_regression", OUTPUT)]
Trace = Annotated[str | None, option("trace", OUTPUT)]
Timeline = Annotated[str | None, option("timeline", OUTPUT)]
Otel = Annotated[bool, option("otel", OUTPUT, is_flag=True)]
Json = Annotated[bool, option("json", OUTPUT, is_flag=True)]

ConfigFile = Annotated[str | None, option("config", SETTINGS)]
Rootdir = Annotated[str | None, option("rootdir", SETTINGS)]

ModuleNames = Annotated[
    list[str] | None,
    typer.Argument(metavar="MODULES", help="Test modules, or folders of them.", show_default=False),
]
WhyJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
ClearedModules = Annotated[
    list[str] | None,
    typer.Option("--module", metavar="GLOB", help="Only modules of this path.", show_default=False),
]
