"""The straight road into ``iopio run``: a plain command line, read without typer.

Loading typer and building its parameters costs more than starting a test process, so a command line
that can be read in one way only is read here, by the same table of settings. Whatever is unusual in
the least (help, an unknown option, a repeated one, a value that looks like an option) is left to
typer, which knows how to explain. A test holds the two to the same results.
"""

from collections.abc import Sequence

from iopio_async.project.setting_table import BY_FIELD

#: The settings of ``iopio run`` that take a value.
VALUE_FIELDS = (
    "keyword",
    "markers",
    "shard",
    "framework",
    "workers",
    "memory_limit_bytes",
    "start_method",
    "maxfail",
    "retries",
    "timeout_s",
    "slow_after_s",
    "grace_s",
    "cache_dir",
    "cache_ttl_s",
    "audit_percent",
    "color",
    "report",
    "junit_xml",
    "config",
    "rootdir",
)

#: Spelling → setting.
VALUES = {flag: field for field in VALUE_FIELDS for flag in BY_FIELD[field].flags}

#: Spelling → what it sets, and by how much.
FLAGS: dict[str, tuple[str, int]] = {
    "--exitfirst": ("exitfirst", 1),
    "-x": ("exitfirst", 1),
    "--verbose": ("verbose", 1),
    "-v": ("verbose", 1),
    "-vv": ("verbose", 2),
    "--quiet": ("quiet", 1),
    "-q": ("quiet", 1),
    **dict.fromkeys(BY_FIELD["no_cache"].flags, ("no_cache", True)),
    **dict.fromkeys(BY_FIELD["refresh"].flags, ("refresh", True)),
    **dict.fromkeys(BY_FIELD["last_failed"].flags, ("last_failed", True)),
    **dict.fromkeys(BY_FIELD["json"].flags, ("json", True)),
}


def read(words: Sequence[str]) -> dict[str, object] | None:
    """The flags that the words give, or ``None`` where typer had better look at them."""
    given: dict[str, object] = {}
    paths: list[str] = []
    rest = iter(words)
    for word in rest:
        value: object
        if not word.startswith("-"):
            paths.append(word)
            continue
        name, equals, text = word.partition("=")
        if word in FLAGS:
            field, value = FLAGS[word]
        elif name in VALUES and (not equals or name.startswith("--")):
            field, value = VALUES[name], text if equals else next(rest, "-")
        elif word[:2] in VALUES:
            field, value = VALUES[word[:2]], word[2:]
        else:
            return None
        if field in given or (isinstance(value, str) and (not value or value.startswith("-"))):
            return None
        given[field] = value
    if paths:
        given["paths"] = paths
    return given
