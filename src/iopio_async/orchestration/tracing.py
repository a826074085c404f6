"""Trace file → trace: every observation as an input with its current value, or a step down.

The rules, by what was observed and where:

====================  ==========================================================================
in a cache            nothing: it can be made again from the rest
in a site directory   the distribution that lists the file, or the file where none does
in ``.git``           the path itself, and the heads: ``HEAD``, where that leads, and the index
what it made itself   nothing, but that it was not there before
emptied unread        nothing
read and rewritten    not cacheable, if it did change
a source              the functions that were executed, where all are known; else the file
a search              what may not come to be on the way to what was found (``search_paths``)
another program       its file, the whole environment, and all files of the project
pytest's own paths    those of this run
====================  ==========================================================================

Whatever the trace says or does not say, there are inputs that every module has (``standing``).
"""

import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from iopio_async.analysis.scopes import MODULE
from iopio_async.model.config import CacheRules
from iopio_async.model.module import REMAINDER_PATH, Framework
from iopio_async.model.trace import Input, InputKind, Level, Trace
from iopio_async.orchestration.observed import INCOMPLETE, IncompleteError, Observed
from iopio_async.orchestration.places import Name, Places
from iopio_async.orchestration.search_paths import SearchPaths
from iopio_async.orchestration.sights import Seen, Sights
from iopio_async.orchestration.standing import declared_inputs, standing_inputs
from iopio_async.project.digests import ABSENT, changed_ns, look
from iopio_async.project.distributions import normalised
from iopio_async.project.environment import any_of
from iopio_async.project.interpreter import standard_library
from iopio_async.project.observer import Observer
from iopio_async.wire import observations as wire

#: How each kind of question about a path is validated.
_KINDS = {
    wire.READ: InputKind.FILE,
    wire.LIST: InputKind.LISTING,
    wire.TYPE: InputKind.TYPE,
    wire.STAT: InputKind.STAT,
    wire.MTIME: InputKind.MTIME,
    wire.LINK: InputKind.LINK,
}

#: Reasons that name a host, which the project may have declared to answer always the same.
_TO_A_HOST = re.compile(r"(?:connects to|looks up|sends to) (?P<address>\S+)")

Inputs = dict[Name, Input]


class Reading(NamedTuple):
    """A trace, and what the module wrote that is there now and matters to others, as subjects.

    ``seen`` is what it did with what others may use, too; ``None`` where that is not told whole.
    """

    trace: Trace
    written: frozenset[str]
    seen: Seen | None = None


class TraceReader:
    """Reads the traces of one run.

    ``include`` gives the first bytes of another trace file (its path, and how many); it raises
    ``OSError`` where they can't be had. ``start_ns`` is when the run started, ``own`` a folder that
    iopio keeps for itself.
    """

    def __init__(
        self,
        observer: Observer,
        include: Callable[[bytes, int], bytes],
        *,
        start_ns: int = 0,
        rules: CacheRules | None = None,
        library: Sequence[str] | None = None,
        own: str = "",
    ) -> None:
        self._observer = observer
        self._include = include
        self._start_ns = start_ns
        self._rules = rules or CacheRules()
        self._is_ignored_variable = any_of(self._rules.ignore_env)
        library = standard_library() if library is None else library
        self._places = Places(observer, library, self._rules.ignore)
        self._sights = Sights(self._places, start_ns=start_ns, environ=os.environ, own=own)
        self._searches = SearchPaths(observer, self._places)
        self._folds: dict[tuple[bytes, int], Observed] = {}
        self._shared: dict[int, Inputs] = {}
        self._paths: dict[tuple[bytes, ...], tuple[str, ...]] = {}
        self._declared: list[Name] | None = None

    def read(self, *data: bytes, module: str, framework: Framework = Framework.PYTEST) -> Reading:
        """The trace of one execution, of which each process that began apart wrote one file."""
        try:
            folds = [self._fold(each) for each in data]
        except IncompleteError:
            return _refused(INCOMPLETE)
        if not folds:
            return _refused(INCOMPLETE)
        inputs: Inputs = {}
        for fold in folds:
            for base in reversed(fold.everything()[1:]):
                inputs.update(self._shared_inputs(base))
        for fold in folds:
            self._add(fold, inputs)
        self._settle_sources(folds, inputs)
        self._add_standing(folds, module, framework, inputs)
        return self._judged(folds, inputs)._replace(seen=self._sights.of(folds))

    def _fold(self, data: bytes) -> Observed:
        fold = Observed()
        fold.fold(data, self._included)
        return fold

    def _included(self, path: bytes, length_bytes: int) -> Observed:
        """The fold of another trace; the same object for the same bytes.

        Raises:
            IncompleteError: they can't be had, or it includes itself.
        """
        known = self._folds.get((path, length_bytes))
        if known is None:
            try:
                data = self._include(path, length_bytes)
            except OSError as error:
                raise IncompleteError(INCOMPLETE) from error
            if len(data) != length_bytes:
                raise IncompleteError(INCOMPLETE)
            # What includes itself, by whatever detour, is cut off by the depth of the stack.
            try:
                known = self._fold(data)
            except RecursionError as error:
                raise IncompleteError(INCOMPLETE) from error
            self._folds[path, length_bytes] = known
        return known

    def _shared_inputs(self, base: Observed) -> Inputs:
        known = self._shared.get(id(base))
        if known is None:
            known = self._shared[id(base)] = {}
            self._add(base, known)
        return known

    # Inputs, less sources of which functions are known.

    def _add(self, fold: Observed, inputs: Inputs) -> None:
        names: dict[Name, None] = {}
        for letter, kind in _KINDS.items():
            for path in fold.asked[letter]:
                for name in self._places.about(kind, path):
                    names[name] = None
        for path in fold.sources:
            for name in self._places.about(InputKind.SOURCE, path):
                names[name] = None
        for entries, module in fold.finds:
            names.update(dict.fromkeys(self._find(fold, entries, module)))
        for variable in map(os.fsdecode, fold.variables):
            if not self._is_ignored_variable(variable):
                names[InputKind.VARIABLE, variable] = None
        if fold.all_variables or fold.processes:
            names[InputKind.ENVIRONMENT, ""] = None
        if fold.paths:
            names[InputKind.PATHS, ""] = None
        for program in fold.processes:
            names.update(dict.fromkeys(self._places.program(os.fsdecode(program))))
        for name in names:
            self._note(name, inputs)
        for path in fold.created:
            self._note_absence(fold, path, inputs)
        for path in (*fold.emptied, *fold.appended):
            if self._observer.is_directory(os.fsdecode(path)):
                self._note((InputKind.TYPE, self._observer.subject(os.fsdecode(path))), inputs)

    def _find(self, fold: Observed, entries: tuple[bytes, ...], module: bytes) -> Iterable[Name]:
        return self._searches.find(self._search_path(fold, entries), os.fsdecode(module))

    def _search_path(self, fold: Observed, entries: tuple[bytes, ...]) -> tuple[str, ...]:
        """The directories of a search path, less those that the module made itself."""
        known = self._paths.get(entries)
        if known is None:
            known = self._paths[entries] = tuple(
                entry for entry in map(os.fsdecode, entries) if entry.startswith("/")
            )
        if not any(each.created for each in fold.everything()):
            return known
        return tuple(entry for entry in known if not fold.was_made(os.fsencode(entry)))

    def _note(self, name: Name, inputs: Inputs) -> None:
        if name not in inputs:
            inputs[name] = Input(name[0], name[1], self._observer.value(*name))

    def _note_absence(self, fold: Observed, path: bytes, inputs: Inputs) -> None:
        """What was made was not there before; all that was asked of it then, said so."""
        above = path.rpartition(b"/")[0]
        if above in fold.created or fold.was_made(above):
            return
        for kind, subject in self._places.about(InputKind.TYPE, path):
            asked = {_KINDS[letter] for letter in _KINDS if path in fold.asked[letter]}
            for each in asked | {kind}:
                inputs[each, subject] = Input(each, subject, ABSENT)

    # Sources.

    def _settle_sources(self, folds: Sequence[Observed], inputs: Inputs) -> None:
        """Replace files that were imported by the functions that were executed, where known."""
        everything = {id(each): each for fold in folds for each in fold.everything()}
        codes: dict[bytes, set[tuple[str, int]]] = {}
        for each in everything.values():
            for path, found in each.codes.items():
                if not any(fold.was_made(path) for fold in folds):
                    codes.setdefault(path, set()).update(found)
        whole = any(each.without_functions for each in everything.values())
        for path, executed in codes.items():
            for kind, subject in self._places.about(InputKind.SOURCE, path):
                if kind is InputKind.SOURCE and (kind, subject) not in inputs:
                    # It came to be executed in another way than by an import.
                    self._note((InputKind.FILE, subject), inputs)
                elif kind is InputKind.SOURCE and not whole:
                    scopes = self._scopes(subject, executed)
                    if scopes and (InputKind.FILE, subject) not in inputs:
                        value = inputs[kind, subject].value
                        inputs[kind, subject] = Input(kind, subject, value, scopes)
        for kind, subject in [name for name in inputs if name[0] is InputKind.SOURCE]:
            if not inputs[kind, subject].scopes:
                value = inputs.pop((kind, subject)).value
                inputs[InputKind.FILE, subject] = Input(InputKind.FILE, subject, value)
            elif (InputKind.FILE, subject) in inputs:
                del inputs[kind, subject]

    def _scopes(
        self, subject: str, executed: Iterable[tuple[str, int]]
    ) -> tuple[tuple[str, str], ...]:
        """The executed scopes with their digests; empty where they can't all be told."""
        scopes = self._observer.scopes(subject)
        if scopes is None:
            return ()
        names = {scopes.locate(name, line) for name, line in executed}
        # Where the file itself was not seen to be executed, a part of it may have run unseen.
        if None in names or MODULE not in names:
            return ()
        return tuple(sorted((name, scopes.digests[name]) for name in names if name is not None))

    # What every module depends on.

    def _add_standing(
        self, folds: Sequence[Observed], module: str, framework: Framework, inputs: Inputs
    ) -> None:
        entries: dict[str, None] = {}
        packages: dict[bytes, None] = {}
        for fold in folds:
            for each in fold.everything():
                packages.update(each.packages)
                for path in each.search_paths:
                    entries.update(dict.fromkeys(self._search_path(fold, path)))
        searched = [entry for entry in entries if not self._places.is_standard(entry)]
        names = list(self._searches.at_start(tuple(searched)))
        names += _distributions(self._observer, searched, sorted(map(os.fsdecode, packages)))
        own_path = "" if module == REMAINDER_PATH else module
        names += standing_inputs(own_path, framework, map(self._observer.subject, searched))
        if self._declared is None:
            self._declared = declared_inputs(self._observer, self._rules.inputs)
        for kind, subject in (*names, *self._declared):
            if kind is InputKind.FILE and (InputKind.SOURCE, subject) in inputs:
                continue
            if not self._places.is_ignored(subject):
                self._note((kind, subject), inputs)

    # The verdict.

    def _judged(self, folds: Sequence[Observed], inputs: Inputs) -> Reading:
        everything = list({id(each): each for fold in folds for each in fold.everything()}.values())
        everything.reverse()
        impure = [
            os.fsdecode(reason)
            for each in everything
            for reason in each.impure
            if not self._is_stable(os.fsdecode(reason))
        ]
        written = {path for fold in folds for path in _written(fold)}
        impure += self._unrepeatable(folds)
        opaque = [os.fsdecode(reason) for each in everything for reason in each.opaque]
        opaque += sorted(
            f"starts {os.path.basename(os.fsdecode(program))}, which is not traced"
            for each in everything
            for program in each.processes
        )
        level = Level.UNCACHEABLE if impure else Level.COARSE if opaque else Level.PRECISE
        if level is Level.COARSE:
            self._note((InputKind.PROJECT, ""), inputs)
        kept = frozenset(
            self._observer.subject(os.fsdecode(path))
            for path in written
            if self._places.about(InputKind.FILE, path) and os.path.lexists(path)
        )
        reasons = tuple(dict.fromkeys(impure or opaque))
        return Reading(
            Trace(level=level, inputs=tuple(inputs.values()), reasons=reasons), written=kept
        )

    def _unrepeatable(self, folds: Sequence[Observed]) -> list[str]:
        """What was written so that the next execution finds something else."""
        reasons = []
        for fold in folds:
            for path in sorted({**fold.emptied, **fold.appended, **fold.rewritten}):
                spelled = os.fsdecode(path)
                subject = self._observer.subject(spelled)
                if not self._places.about(InputKind.TYPE, path):
                    continue
                if look(spelled, follow=False) == ABSENT:
                    reasons.append(f"removes {subject}, which was there before")
                elif path in fold.rewritten and self._has_changed(spelled):
                    reasons.append(f"reads and rewrites {subject}")
        return reasons

    def _has_changed(self, path: str) -> bool:
        """A file that was written, or opened for it, did change since the run started."""
        status = look(path)
        if isinstance(status, str):
            return True
        if stat.S_ISDIR(status[5]):
            return False
        slack_ns = self._observer.digests.file_systems.slack_ns(status[0])
        return changed_ns(status, self._observer.now_ns()) + slack_ns >= self._start_ns

    def _is_stable(self, reason: str) -> bool:
        """A reason that names a host which counts as giving the same answers always."""
        found = _TO_A_HOST.match(reason)
        if found is None:
            return False
        address = found["address"].rstrip(",;")
        host = address.rpartition(":")[0].strip("[]") if ":" in address else address
        return address in self._rules.hosts or host in self._rules.hosts


def _written(fold: Observed) -> set[bytes]:
    return {*fold.created, *fold.emptied, *fold.appended, *fold.rewritten}


def _refused(reason: str) -> Reading:
    return Reading(Trace(level=Level.UNCACHEABLE, reasons=(reason,)), frozenset())


def _distributions(observer: Observer, entries: Iterable[str], names: Iterable[str]) -> list[Name]:
    """The inputs of looking up distributions by name along a search path; ``""`` is all of them."""
    found: list[Name] = []
    for name in names:
        for entry in entries:
            subject = observer.subject(entry)
            if not name:
                found.append((InputKind.DISTRIBUTIONS, subject))
                continue
            found.append((InputKind.DISTRIBUTION, f"{subject}|{normalised(name)}"))
    return found
