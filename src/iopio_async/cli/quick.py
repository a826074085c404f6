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
    "fail_on_regression",
    "trace",
    "timeline",
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
    **dict.fromkeys(BY_FIELD["no_locks"].flags, ("no_locks", True)),
    **dict.fromkeys(BY_FIELD["refresh"].flags, ("refresh", True)),
    **dict.fromkeys(BY_FIELD["last_failed"].flags, ("last_failed", True)),
    **dict.fromkeys(BY_FIELD["otel"].flags, ("otel", True)),
    **dict.fromkeys(BY_FIELD["json"].flags, ("json", True)),
}


#: The option whose value may be left out, and the value that it has then.
OPTIONAL = "--fail-on-regression"
OPTIONAL_DEFAULT = "5%"


def completed(words: Sequence[str]) -> list[str]:
    """The words with each value in its place that may be left out.

    What follows such an option is its value only if it is a number, with or without a percent sign:
    paths may follow it as well.
    """
    done: list[str] = []
    for word in words:
        if done[-1:] == [OPTIONAL]:
            number = word.removesuffix("%").replace(".", "", 1).isdecimal()
            done[-1] = f"{OPTIONAL}={word if number else OPTIONAL_DEFAULT}"
            if number:
                continue
        done.append(word)
    if done[-1:] == [OPTIONAL]:
        done[-1] = f"{OPTIONAL}={OPTIONAL_DEFAULT}"
    return done


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
