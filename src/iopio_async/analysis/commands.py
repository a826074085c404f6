"""What a command line that a test starts reaches: a table of programs.

Only words that are literal count; others are None. A program is known by the last part of its
path, and ``python -m name`` is the program ``name``, but only where python is the one that runs
the tests.
"""

import re
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from iopio_async.model.module import Mode


class Reached(NamedTuple):
    """A resource that a command reaches: its kind and text, as in a touch."""

    kind: str
    text: str
    mode: Mode
    why: str


Words = Sequence[str | None]

#: Programs that serve on a port, and by which options they are told.
SERVERS: dict[str, tuple[str, ...]] = {
    "uvicorn": ("--port",),
    "hypercorn": ("--bind", "-b"),
    "gunicorn": ("--bind", "-b"),
    "flask": ("--port", "-p"),
    "fastapi": ("--port",),
    "daphne": ("--port", "-p"),
    "waitress-serve": ("--port", "--listen"),
    "redis-server": ("--port",),
    "mongod": ("--port",),
    "postgres": ("-p",),
    "mysqld": ("--port", "-P"),
    "memcached": ("-p",),
    "datasette": ("-p", "--port"),
    "streamlit": ("--server.port",),
    "jupyter": ("--port",),
    "mlflow": ("--port", "-p"),
    "celery": (),
    "nc": ("-l", "-p"),
    "moto_server": ("-p", "--port"),
}
#: Git's commands that leave the repository as it is.
GIT_READS = frozenset(
    [
        "log",
        "status",
        "describe",
        "show",
        "diff",
        "rev-parse",
        "ls-files",
        "ls-tree",
        "cat-file",
        "blame",
        "rev-list",
        "shortlog",
        "show-ref",
        "for-each-ref",
        "grep",
        "name-rev",
        "merge-base",
        "archive",
        "var",
    ]
)
GIT_WRITES = frozenset(
    [
        "add",
        "am",
        "apply",
        "branch",
        "checkout",
        "cherry-pick",
        "clean",
        "commit",
        "config",
        "fetch",
        "gc",
        "merge",
        "mv",
        "notes",
        "prune",
        "pull",
        "push",
        "rebase",
        "remote",
        "reset",
        "restore",
        "revert",
        "rm",
        "stash",
        "submodule",
        "switch",
        "symbolic-ref",
        "tag",
        "update-index",
        "update-ref",
        "worktree",
        "init",
    ]
)
#: Programs that change what the whole machine shares, and what.
SYSTEM: dict[str, str] = {
    "systemctl": "system:services",
    "service": "system:services",
    "launchctl": "system:services",
    "timedatectl": "system:clock",
    "hwclock": "system:clock",
    "localedef": "system:locale",
    "locale-gen": "system:locale",
    "iptables": "system:network",
    "nft": "system:network",
    "mount": "system:mounts",
    "umount": "system:mounts",
    "modprobe": "system:modules",
    "useradd": "system:users",
    "userdel": "system:users",
    "crontab": "system:crontab",
    "apt": "system:packages",
    "apt-get": "system:packages",
    "dnf": "system:packages",
    "yum": "system:packages",
    "brew": "system:packages",
}
_PYTHON = re.compile(r"python[0-9.]*")


def split_command(line: str) -> list[str]:
    """The words of a shell's command line; none where it can't be split."""
    try:
        return shlex.split(line)
    except ValueError:
        return []


def reached_by(words: Words, *, elsewhere: bool) -> list[Reached]:
    """What a command reaches. ``elsewhere`` says that it runs in another folder than the tests."""
    words = [*words]
    while words and words[0] in {"sudo", "env", "exec", "nohup", "time"}:
        words = words[1:]
    if not words or words[0] is None:
        return []
    program = words[0].rpartition("/")[2]
    own = "/" not in words[0] or words[0] == program
    if _PYTHON.fullmatch(program):
        return _python(words[1:])
    if program in {"sh", "bash"} and len(words) > 2 and words[1] in {"-c", "-ec"} and words[2]:
        return reached_by(split_command(words[2]), elsewhere=elsewhere)
    if program in SERVERS:
        return _server(program, words[1:])
    if program in {"docker", "podman"}:
        return _docker(words[1:])
    if program in {"docker-compose", "podman-compose"}:
        return _docker(["compose", *words[1:]])
    if program == "git":
        return _git(words[1:], elsewhere=elsewhere)
    if program in {"pip", "pip3"} and own:
        return _pip(words[1:])
    if program == "date" and any(word in {"-s", "--set"} for word in words):
        return [Reached("name", "system:clock", Mode.EXCLUSIVE, "sets the system's clock")]
    if program in SYSTEM and (program != "mount" or len(words) > 1):
        why = f"runs {program}"
        return [Reached("name", SYSTEM[program], Mode.EXCLUSIVE, why)]
    return []


def _python(words: Words) -> list[Reached]:
    for number, word in enumerate(words):
        if word == "-m" and number + 1 < len(words):
            name, rest = words[number + 1], words[number + 2 :]
            if name == "http.server":
                ports = [each for each in rest if each and each.isdigit()]
                found = ports[:1] or (["8000"] if all(each is not None for each in rest) else [])
                return [_port(found[0], "python -m http.server")] if found else []
            if name == "pip":
                return _pip(rest)
            return _server(name, rest) if name in SERVERS else []
        if word is None or not word.startswith("-"):
            return _server("python", words[number + 1 :])
    return []


def _server(program: str, words: Words) -> list[Reached]:
    options = SERVERS.get(program, ("--port",))
    for option, value in _options(words):
        if option in options and value is not None:
            return [_port(value, program)]
    return []


def _port(value: str, program: str) -> Reached:
    return Reached("port", value, Mode.EXCLUSIVE, f"{program} listens on a fixed port")


def _options(words: Words) -> list[tuple[str, str | None]]:
    """Options with the word that follows, or with what stands behind their ``=``."""
    found: list[tuple[str, str | None]] = []
    for number, word in enumerate(words):
        if word and word.startswith("-"):
            name, equals, value = word.partition("=")
            after = words[number + 1] if number + 1 < len(words) else None
            found.append((name, value if equals else after))
    return found


def _docker(words: Words) -> list[Reached]:
    if not words or words[0] is None:
        return []
    first = words[0]
    if first in {"--version", "version", "info", "ps", "inspect", "images"}:
        return []
    found = [Reached("name", "docker", Mode.SHARED, "uses docker")]
    if first == "compose":
        found.append(Reached("name", "compose", Mode.EXCLUSIVE, "uses docker compose"))
    for option, value in _options(words):
        if value is None:
            continue
        if option == "--name":
            why = "a container with a fixed name"
            found.append(Reached("container", value, Mode.EXCLUSIVE, why))
        elif option in {"-p", "--publish"} and first in {"run", "create"}:
            *_, host, _inner = ["", *value.rsplit(":", 1)]
            if host:
                found.append(Reached("port", host, Mode.EXCLUSIVE, "a container's published port"))
    if first in {"stop", "rm", "kill", "start", "restart", "exec", "logs"}:
        named = [word for word in words[1:] if word and not word.startswith("-")]
        found += [
            Reached("container", name, Mode.EXCLUSIVE, f"docker {first} by a fixed name")
            for name in named[:1]
        ]
    return found


def _git(words: Words, *, elsewhere: bool) -> list[Reached]:
    number = 0
    while number < len(words) and (words[number] or "-").startswith("-"):
        option = words[number]
        if option in {"-C", "--git-dir", "--work-tree"}:
            elsewhere = elsewhere or words[min(number + 1, len(words) - 1)] != "."
            number += 1
        elif option == "-c":
            number += 1
        elif option is None or option.startswith(("--git-dir=", "--work-tree=")):
            return []
        number += 1
    if number >= len(words):
        return []
    command, rest = words[number], words[number + 1 :]
    if command == "config" and ("--global" in rest or "--system" in rest):
        if any(word and word.startswith(("--get", "--list")) for word in rest):
            return []
        return [Reached("path", "~/.gitconfig", Mode.EXCLUSIVE, "changes git's configuration")]
    if elsewhere:
        return []
    if command == "init" and any(word is None or not word.startswith("-") for word in rest):
        return []
    if command == "config" and any(word and word.startswith(("--get", "--list")) for word in rest):
        return [Reached("path", ".git", Mode.SHARED, "git reads the project's repository")]
    if command in GIT_WRITES:
        return [Reached("path", ".git", Mode.EXCLUSIVE, f"git {command} in the project's own tree")]
    if command in GIT_READS:
        return [Reached("path", ".git", Mode.SHARED, f"git {command} of the project's own tree")]
    return []


def _pip(words: Words) -> list[Reached]:
    if words and words[0] in {"install", "uninstall"}:
        options = {option for option, _ in _options(words)}
        if not options & {"--target", "-t", "--prefix", "--root", "--dry-run", "--python"}:
            why = f"pip {words[0]} into the environment that the tests run in"
            return [Reached("name", "system:python-packages", Mode.EXCLUSIVE, why)]
    return []
