"""Holds what modules touched, as the kernel saw it, against their traces.

    python scripts/containment.py NAME [NAME ...] [--into .corpus] [--start-method spawn]
    python scripts/containment.py --tree DIR --python VENV/bin/python --tests tests

`iopio run` runs under `strace -f -e trace=%file` with every module's trace kept. Each path that a
module's processes touched must be in that module's trace, or below a root that the allow list
names with its reason. What a fork server touched before a module's process was forked counts for
that module. Exit status: 0 where all is contained, 1 where something is not, 2 for a wrong request
or where there is no strace.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from commands import Target, iopio_command, run, target_of
from suites import DEFAULT_FOLDER, REPOSITORY, SuiteError, find_installation
from syscalls import Process, Touch, read_log

sys.path.insert(0, str(REPOSITORY / "src"))

from iopio_async.wire import observations as ob

#: The folder into which `iopio run` copies each module's trace, by this variable.
KEEP_VARIABLE = "IOPIO_KEEP_TRACES"

#: Record letters whose first field is a path that the trace holds.
PATH_LETTERS = (ob.READ, ob.SOURCE, ob.WRITE, ob.LIST, ob.TYPE, ob.STAT, ob.MTIME, ob.LINK)

CONTENT_LETTERS = (ob.READ, ob.SOURCE, ob.WRITE, ob.STAT)

#: Letters after which any file of the project is taken for an input.
COARSE_LETTERS = (ob.PROCESS, ob.OPAQUE)


@dataclass
class Trace:
    """A module's trace, as far as it says something of paths."""

    paths: set[str] = field(default_factory=set)
    #: Those of which the content is an input, or that were written.
    contents: set[str] = field(default_factory=set)
    searched: dict[bytes, tuple[str, ...]] = field(default_factory=dict)
    #: (folder, top name) of everything that was looked for by import.
    names: set[tuple[str, str]] = field(default_factory=set)
    coarse: bool = False
    uncacheable: bool = False
    packages: bool = False

    def read(self, data: bytes) -> None:
        """Adds the records of a trace file; those that it includes come first."""
        records, _ = ob.decode(data)
        for letter, fields in records:
            if letter == ob.INCLUDE:
                self.read(Path(os.fsdecode(fields[0])).read_bytes()[: int(fields[1])])
            elif letter in PATH_LETTERS:
                self.paths.add(os.fsdecode(fields[0]))
                if letter in CONTENT_LETTERS:
                    self.contents.add(os.fsdecode(fields[0]))
            elif letter == ob.SEARCH:
                self.searched[fields[0]] = tuple(map(os.fsdecode, fields[1:]))
            elif letter == ob.FIND:
                name = os.fsdecode(fields[1]).rpartition(".")[2]
                for folder in self.searched.get(fields[0], ()):
                    self.names.add((folder or ".", name))
            elif letter in COARSE_LETTERS:
                self.coarse = True
            elif letter == ob.IMPURE:
                self.uncacheable = True
            elif letter == ob.PACKAGE:
                self.packages = True

    @cached_property
    def packages_read(self) -> set[str]:
        """Installed packages of which any file is in the trace: their distributions are inputs."""
        return {package for path in self.contents if (package := _package(path))}

    def folders(self) -> set[str]:
        """Everything on a search path: importing looks at their status and lists them."""
        return {folder for entries in self.searched.values() for folder in entries}

    def covers(self, path: str, *, opened: bool) -> bool:
        """Whether the trace holds the path, or what it was looked at for.

        What was opened must be there itself, not only the name that an import looked for.
        """
        package = _package(path)
        if path in (self.contents if opened else self.paths) or package in self.packages_read:
            return True
        folder, _, base = path.rpartition("/")
        if os.path.basename(folder) == "__pycache__":
            # Byte code stands for its source, wherever that is known.
            folder = os.path.dirname(folder)
            base = base.partition(".")[0] + ".py"
            if f"{folder}/{base}" in self.paths:
                return True
        elif base == "__pycache__":
            return True
        if opened:
            return False
        stem = base.partition(".")[0]
        if (folder, stem) in self.names:
            return True
        # A package's own `__init__`, looked for where the package was.
        above, _, package = folder.rpartition("/")
        if stem == "__init__" and (above, package) in self.names:
            return True
        return self.packages and (".dist-info" in path or ".egg-info" in path)


def _package(path: str) -> str:
    """The installed package, or module, that a path belongs to; ``""`` where it is none."""
    site, separator, inner = path.rpartition("/site-packages/")
    return f"{site}/{inner.partition('/')[0]}" if separator and "/" in inner else ""


@dataclass(frozen=True)
class Allowed:
    """A root below which nothing needs to be in a trace, and why."""

    root: str
    why: str


class AllowList:
    """Roots, in a form that answers quickly."""

    def __init__(self, allowed: Iterable[Allowed], private: Path, tree: Path) -> None:
        self.inside = f"{tree}/"
        self.roots = {each.root.rstrip("/") for each in allowed}
        # Whoever makes a folder looks at those above it.
        self.above = {str(each) for each in private.parents}

    def holds(self, path: str) -> bool:
        """Whether the path is a root or below one, or what an interpreter starts with."""
        if path in self.above or ENUMERATED.fullmatch(path):
            return True
        name = os.path.basename(path)
        if not path.startswith(self.inside) and AT_START.fullmatch(name):
            return True
        folder, name = os.path.split(path)
        if os.path.basename(folder) == "__pycache__":
            source = f"{os.path.dirname(folder)}/{name.partition('.')[0]}.py"
            return self.holds(source)
        while path not in {"/", ""}:
            if path in self.roots:
                return True
            path = os.path.dirname(path)
        return False


def allow_list(target: Target, private: Path, facts: dict[str, Any]) -> list[Allowed]:
    """The roots that need no trace for this target."""
    terminal = "what GNU readline is set to, by whoever imports it"
    own = "iopio itself: its version is part of the action"
    system = "the system's libraries, which the interpreter's own digest stands for"
    return [
        Allowed(facts["base"], "the interpreter and its standard library"),
        Allowed(facts["iopio"], own),
        Allowed(str(private), "private to the run"),
        *(
            Allowed(file, "listed by an installed plugin: its identity is an input always")
            for file in facts["plugins"]
        ),
        *(
            Allowed(root, terminal)
            for root in ("/etc/inputrc", "/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo")
        ),
        *(Allowed(os.path.expanduser(root), terminal) for root in ("~/.inputrc", "~/.terminfo")),
        Allowed(str(target.python.parent), "the environment's interpreter"),
        Allowed(str(target.python.parent.parent / "pyvenv.cfg"), "the environment's interpreter"),
        Allowed(str(target.tree / ".test_cache"), own),
        *(Allowed(root, system) for root in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr")),
        *(Allowed(root, system) for root in ("/etc/ld.so.cache", "/etc/ld.so.preload")),
        Allowed("/etc/localtime", "the time zone, part of the action's key"),
        Allowed("/proc/self", "the process itself"),
        Allowed("/var/lib/libuuid", "the clock of unique numbers, which are random"),
        *(Allowed(f"/dev/{each}", "a device") for each in ("null", "zero", "urandom", "tty")),
        Allowed("/sys/fs/cgroup", "how many CPUs there are"),
    ]


#: Names that an interpreter looks for as it starts, before anything of ours can: the action's key.
AT_START = re.compile(
    r"python3\d+(\.zip|t?\._pth)|pyvenv\.cfg|pybuilddir\.txt|Modules|.*\.pth"
    r"|(site|user)customize.*|lib|python3?(\.\d+)?"
)


#: What pytest reads of all distributions to find its plugins: which those are is an input always.
ENUMERATED = re.compile(r".*\.(dist|egg)-info(/(entry_points\.txt|METADATA|PKG-INFO))?")

#: Prints where the interpreter and iopio are, and the files of all plugins of pytest's.
FACTS = """\
import importlib.metadata as metadata, json, os, sys, iopio_async
plugins = {entry.dist.name for entry in metadata.entry_points(group="pytest11")}
files = [os.path.normpath(file.locate()) for name in plugins for file in metadata.files(name) or ()]
own = os.path.dirname(iopio_async.__file__)
print(json.dumps({"base": os.path.realpath(sys.base_prefix), "iopio": own, "plugins": files}))
"""


def facts_of(target: Target) -> dict[str, Any]:
    """What :data:`FACTS` prints. Raises SuiteError."""
    ended = run(target, [str(target.python), "-P", "-c", FACTS])
    try:
        facts: dict[str, Any] = json.loads(ended.output)
    except ValueError:
        raise SuiteError(f"{target.name}: {ended.output.strip()[-300:]}") from None
    return facts


@dataclass
class Module:
    """What one module's processes touched."""

    path: str
    touches: dict[str, Touch] = field(default_factory=dict)
    by_programs: set[str] = field(default_factory=set)

    def add(self, touch: Touch) -> None:
        """Takes note of a touch; of several of one path, of the one that opened it."""
        known = self.touches.get(touch.path)
        if known is None or (touch.opened and not known.opened):
            self.touches[touch.path] = touch


def attribute(processes: dict[int, Process], modules: dict[int, str]) -> list[Module]:
    """Sorts touched paths by the module whose process, or its ancestor, touched them."""
    found = []
    children: dict[int, list[int]] = defaultdict(list)
    for process in processes.values():
        children[process.parent].append(process.pid)
    for pid, path in modules.items():
        module = Module(path)
        if pid not in processes:
            continue
        ancestor = processes[pid]
        # A fork has seen all that its server had, but not the server's own parents.
        while ancestor.forked_at and not ancestor.executed:
            parent = processes.get(ancestor.parent)
            if parent is None or not parent.is_python:
                break
            for touch in parent.touches:
                if touch.line < ancestor.forked_at:
                    module.add(touch)
            ancestor = parent
        stack = [pid]
        while stack:
            process = processes[stack.pop()]
            stack += children[process.pid]
            for touch in process.touches:
                if touch.by_python:
                    module.add(touch)
                else:
                    module.by_programs.add(touch.path)
        found.append(module)
    return found


@dataclass
class Verdict:
    """What became of all touched paths of a target's modules."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    #: (path, syscall) → modules in which the path is in no trace.
    holes: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def lines(self, most: int) -> list[str]:
        """The verdict in words."""
        numbers = ", ".join(f"{number} {label}" for label, number in sorted(self.counts.items()))
        lines = [f"{self.name}: {numbers}; {len(self.holes)} paths in no trace"]
        ranked = sorted(self.holes.items(), key=lambda item: (-len(item[1]), item[0]))
        for (path, call), modules in ranked[:most]:
            lines.append(f"    {path}  ({call}; {len(modules)} modules, such as {modules[0]})")
        return lines


def judge(target: Target, modules: list[Module], traces: Path, allowed: AllowList) -> Verdict:
    """Holds each module's touched paths against its trace."""
    verdict = Verdict(target.name)
    inside = str(target.tree) + "/"
    for module in modules:
        verdict.counts["modules"] += 1
        file = traces / f"{module.path.replace('/', '__')}.trace"
        if not file.exists():
            verdict.holes[str(file), "no trace was kept"].append(module.path)
            continue
        trace = Trace()
        trace.read(file.read_bytes())
        if trace.uncacheable:
            verdict.counts["modules uncacheable"] += 1
            continue
        verdict.counts["modules coarse"] += trace.coarse
        folders = trace.folders()
        for path, touch in module.touches.items():
            verdict.counts["paths"] += 1
            if allowed.holds(path):
                verdict.counts["allowed"] += 1
            elif trace.covers(path, opened=touch.opened) or path in folders:
                verdict.counts["traced"] += 1
            elif trace.coarse and path.startswith(inside):
                verdict.counts["covered by the whole project"] += 1
            elif any(known.startswith(path + "/") for known in trace.paths | folders):
                # A folder on the way to a path in the trace.
                verdict.counts["on the way"] += 1
            else:
                verdict.holes[path, touch.call].append(module.path)
        verdict.counts["paths of other programs"] += len(module.by_programs)
    return verdict


def examine(target: Target, workers: int, options: list[str], keep: Path | None) -> Verdict:
    """Runs a target under strace and judges. Raises SuiteError."""
    with tempfile.TemporaryDirectory(prefix="containment-") as name:
        room = keep or Path(name)
        room.mkdir(parents=True, exist_ok=True)
        log, traces, private = room / "strace", room / "traces", room / "tmp"
        for folder in (traces, private):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        report = iopio_command(target, workers, None, ["--json", "--refresh", *options])
        calls = "trace=%file,clone,clone3,fork,vfork"
        command = ["strace", "-f", "-y", "-qq", "-s", "4096", "-e", calls, "-o", str(log), *report]
        extra = {KEEP_VARIABLE: str(traces), "TMPDIR": str(private)}
        target.clean()
        finished = run(target, command, extra=extra)
        modules = {}
        for line in finished.output.splitlines():
            if line.startswith('{"seq"'):
                event = json.loads(line)["event"]
                if event["event"] == "attempt_started":
                    modules[event["pid"]] = event["module"]
        if not modules:
            raise SuiteError(f"{target.name}: no module ran:\n{finished.output[-600:]}")
        allowed = AllowList(allow_list(target, private, facts_of(target)), private, target.tree)
        with log.open(encoding="utf-8", errors="replace") as lines:
            processes = read_log(lines, str(target.tree))
        return judge(target, attribute(processes, modules), traces, allowed)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    it = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    it.add_argument("names", nargs="*", metavar="NAME")
    it.add_argument("--into", type=Path, default=DEFAULT_FOLDER, help="default: .corpus")
    it.add_argument("--tree", type=Path, help="a project that is no suite of the corpus")
    it.add_argument("--python", type=Path, help="its environment's interpreter")
    it.add_argument("--tests", nargs="*", default=["tests"])
    it.add_argument("--start-method", action="append", help="default: spawn and forkserver")
    it.add_argument("--workers", type=int, default=2)
    it.add_argument("--most", type=int, default=20, help="how many paths are listed; default: 20")
    it.add_argument("--keep", type=Path, help="leave log and traces in this folder")
    return it


def targets_of(options: argparse.Namespace) -> list[Target]:
    """What is to be examined. Raises SuiteError."""
    targets = [target_of(find_installation(name, options.into)) for name in options.names]
    if options.tree:
        if not options.python:
            raise SuiteError("--tree needs --python, the interpreter that sees the project")
        tree, python = options.tree.resolve(), options.python.absolute()
        targets.append(Target(str(tree), tree, python, tuple(options.tests)))
    if not targets:
        raise SuiteError("nothing to examine; name suites of the corpus, or give --tree")
    return targets


def main(arguments: list[str] | None = None) -> int:
    """Runs the script; returns its exit status."""
    options = parser().parse_args(arguments)
    holes = 0
    try:
        if shutil.which("strace") is None:
            raise SuiteError("there is no strace on this machine; install it (Linux only)")
        for target in targets_of(options):
            for method in options.start_method or ("spawn", "forkserver"):
                room = options.keep and options.keep / f"{target.tree.parent.name}-{method}"
                verdict = examine(target, options.workers, ["--start-method", method], room)
                verdict.name = f"{target.name}, {method}"
                print("\n".join(verdict.lines(options.most)), flush=True)
                holes += len(verdict.holes)
    except SuiteError as error:
        print(f"containment.py: {error}", file=sys.stderr)
        return 2
    return int(bool(holes))


if __name__ == "__main__":
    raise SystemExit(main())
