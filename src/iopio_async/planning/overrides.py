"""Which settings apply to a module: the run's, with all matching overrides laid over them.

A glob is matched against the module's whole path, relative to the root directory. ``*`` and ``?``
stay within one folder, ``[abc]`` and ``[!abc]`` stand for one character, and ``**`` as a part of
its own crosses folders, none or many. A glob whose last part has no wildcard also stands for
everything below it, so ``tests/slow`` is ``tests/slow/**``.

Globs become regular expressions, once each. What stands between two ``**`` has a fixed number of
folders, and what stands between two ``*`` is fixed text, so the leftmost match is as good as any
other: atomic groups keep matching from ever trying another one, and the time linear.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from iopio_async.model.config import Config, ModuleSettings
from iopio_async.model.module import Framework

_WILD = re.compile(r"[*?\[]")
_ANY_FOLDERS = "(?:[^/]++/)"


def settings_for(config: Config, module_path: str) -> ModuleSettings:
    """Lay the overrides that match ``module_path`` over the run's settings; the last one wins."""
    timeout_s = config.timeout_s
    slow_after_s = config.slow_after_s
    retries = config.retries
    framework = None if config.framework == "auto" else Framework(config.framework)
    group: str | None = None
    workers = 1
    split = True
    env = config.env
    locks: tuple[str, ...] | None = None
    shared: tuple[str, ...] | None = None
    serial = False
    needs: dict[str, int] = {}
    for override in config.overrides:
        if not _matcher(override.paths)(module_path):
            continue
        if override.timeout_s is not None:
            timeout_s = override.timeout_s or None
        if override.slow_after_s is not None:
            slow_after_s = override.slow_after_s
        if override.retries is not None:
            retries = override.retries
        framework = override.framework or framework
        group = override.group or group
        workers = override.workers or workers
        if override.split is not None:
            split = override.split
        if override.env:
            env = {**env, **override.env}
        locks = locks if override.locks is None else override.locks
        shared = shared if override.shared is None else override.shared
        serial = serial if override.serial is None else override.serial
        if override.needs:
            needs = {**needs, **override.needs}
    return ModuleSettings(
        timeout_s=timeout_s,
        slow_after_s=slow_after_s,
        retries=retries,
        framework=framework,
        group=group,
        env=env,
        workers=workers,
        split=split,
        locks=locks,
        shared=shared,
        serial=serial,
        needs=needs,
    )


def matches(glob: str, path: str) -> bool:
    """Say whether a glob matches a path; both relative to the same folder, with slashes."""
    return bool(_matcher((glob,))(path))


@lru_cache(maxsize=1024)
def _matcher(globs: tuple[str, ...]) -> Callable[[str], object]:
    return re.compile("|".join(map(glob_pattern, globs)), re.DOTALL).fullmatch


def glob_pattern(glob: str) -> str:
    """Translate a glob into the regular expression of the paths that it matches as a whole."""
    parts = [part for part in glob.split("/") if part not in {"", "."}]
    if not parts:
        return r"(?!)"
    below = parts[-1] == "**" or glob.endswith("/")
    # Runs of parts between one `**` and the next.
    runs: list[list[str]] = [[]]
    for part in parts:
        if part == "**":
            runs.append([])
        else:
            runs[-1].append(part)
    *heads, tail = runs
    pattern = ""
    for index, run in enumerate(heads):
        fixed = "".join(f"{_part_pattern(part)}/" for part in run)
        if index == 0:
            pattern = fixed
        elif run:
            pattern += f"(?>{_ANY_FOLDERS}*?{fixed})"
    if heads:
        pattern += f"{_ANY_FOLDERS}*"
    last = "/".join(map(_part_pattern, tail))
    if below:
        return f"{pattern}{last}/.+" if tail else f"{pattern}[^/]+"
    return pattern + last + ("" if _WILD.search(parts[-1]) else "(?:/.+)?")


def _part_pattern(part: str) -> str:
    """Translate a part of a glob, which never matches a slash."""
    pieces: list[str] = [""]
    at = 0
    while at < len(part):
        char = part[at]
        at += 1
        if char == "*":
            if pieces[-1] or len(pieces) == 1:
                pieces.append("")
        elif char == "?":
            pieces[-1] += "[^/]"
        elif char == "[":
            # A closing bracket right after the opening one is a member of the set.
            end = part.find("]", at + (2 if part[at : at + 1] == "!" else 1))
            if end < 0:
                pieces[-1] += r"\["
            else:
                pieces[-1] += _set_pattern(part[at:end])
                at = end + 1
        else:
            pieces[-1] += re.escape(char)
    first, *rest = pieces
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + f"[^/]*{last}"


def _set_pattern(members: str) -> str:
    """Translate the inside of ``[...]``: single characters, and ranges such as ``a-z``."""
    negated = members.startswith("!")
    members = members[negated:]
    inside = ""
    at = 0
    while at < len(members):
        low = high = members[at]
        if members[at + 1 : at + 2] == "-" and at + 2 < len(members):
            high = members[at + 2]
            at += 2
        at += 1
        # A range that runs backwards holds nothing.
        if low <= high:
            inside += f"{re.escape(low)}-{re.escape(high)}"
    if negated:
        return f"[^/{inside}]"
    return f"(?!/)[{inside}]" if inside else "(?!)"
