"""The result cache as a run uses it: what is recalled before anything starts, and what is kept.

Looking up is synchronous and comes first: each module's action has a key, the key an entry, and the
entry's inputs are compared with the world as it is now. What holds is not executed; its events
are told again. What was executed, and passed at once, is kept with its inputs as its tracer saw
them, if none of them changed since the run began.
"""

import contextlib
import os
import random
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from iopio_async import state
from iopio_async.cache.index import Index
from iopio_async.cache.reader import ACTIONS, BLOBS, DIGESTS, RECEIPTS, DiskReader
from iopio_async.cache.secret import SECRET_BYTES, load_secret
from iopio_async.cache.validate import Hit, Judge, Miss
from iopio_async.cache.verdicts import verdicts
from iopio_async.errors import InfrastructureError, ProtocolError
from iopio_async.model import events as ev
from iopio_async.model.action import Action
from iopio_async.model.config import Config
from iopio_async.model.module import TestModule
from iopio_async.model.outcome import Outcome, Source
from iopio_async.model.stats import ModuleStats
from iopio_async.model.trace import Input
from iopio_async.orchestration.keys import KeyMaker
from iopio_async.orchestration.outputs import Outputs
from iopio_async.orchestration.preparation import Plan
from iopio_async.planning.scheduler import Start
from iopio_async.project import interpreter
from iopio_async.project.digests import ABSENT, Digests, Status
from iopio_async.project.environment import Environment
from iopio_async.project.observer import Observer
from iopio_async.wire.codec import decode_events

if TYPE_CHECKING:
    from iopio_async.orchestration.coverage import Coverage
    from iopio_async.orchestration.keeping import Keeper, Witnessed

#: What an observer remembers of source files between runs.
SCOPES = "scopes"

#: What modules wrote where others may read.
OUTPUTS = "outputs"

#: Variables of the environment with their values, as a key.
Variables = tuple[tuple[str, str], ...]


class Touched(NamedTuple):
    """Status of all paths that the recalled results depend on, by absolute path.

    ``dated`` are those of them that matter even if they are directories: others only have a type.
    """

    followed: dict[str, Status]
    unfollowed: dict[str, Status]
    dated: set[str]


class ResultCache:
    """Results of earlier runs of this project; one for a run that began at ``began_ns``.

    ``warnings`` is what was worth knowing before anything was executed. ``disproved`` are modules
    whose stored result was audited, and is not what came of executing them.
    """

    def __init__(self, config: Config, plan: Plan, *, began_ns: int) -> None:
        self.config = config
        self.plan = plan
        self._began_ns = began_ns
        self.folder = config.cache_dir or state.folder_of(config.root)
        self.warnings: list[str] = []
        #: What recalled modules have covered, packed (see ``covered``).
        self.covered: dict[str, bytes] = {}
        self.disproved: list[str] = []
        self._warn: Callable[[str], None] = self.warnings.append
        self._reader = DiskReader(self.folder, warn=self._tell)
        self._secret = self._load_secret()
        self._base = dict(os.environ) | config.env
        self._base.setdefault("PYTHONHASHSEED", "0")
        self._digests = Digests(self._reader.read(DIGESTS) or b"")
        self.observer = Observer(
            config.root,
            self._environment(()),
            digests=self._digests,
            load_scopes=lambda: self._reader.read(SCOPES) or b"",
            paths=plan.naming.paths,
        )
        self._keys = KeyMaker(
            interpreter.identity(self._digests),
            self.observer.environment.keyed(config.cache.env),
            config.cache,
        )
        self._index = Index.load(self._reader)
        self._outputs = Outputs(self._reader.read(OUTPUTS) or b"")
        self._observers: dict[Variables, Observer] = {(): self.observer}
        self._keeper: Keeper | None = None
        self._recalled: dict[str, Sequence[ev.AnyEvent]] = {}
        self._audited: dict[str, Sequence[ev.AnyEvent]] = {}
        #: What the cache knew of each module that was looked up.
        self.verdicts: dict[str, Hit | Miss] = {}
        self.holds_until_s = float("inf")
        #: How long it took to find out what need not run.
        self.lookup_s = 0.0

    def _tell(self, message: str) -> None:
        self._warn(message)

    # -- what every module's result is looked up by ----------------------------------------------

    def _load_secret(self) -> bytes:
        try:
            if self.config.cache_dir:
                # Asked for by name, it may be anywhere; the project itself is never made again.
                os.makedirs(os.path.dirname(self.folder), exist_ok=True)
            return load_secret(self.folder)
        except InfrastructureError as error:
            self._reader.faults.switch_off(error.message)
        except OSError as error:
            self._reader.faults.switch_off(f"{self.folder}: {error.strerror or error}")
        return secrets.token_bytes(SECRET_BYTES)

    def _environment(self, variables: Variables) -> Environment:
        values = {**self._base, **dict(variables)}
        return Environment(self._secret, values, ignored=self.config.cache.ignore_env)

    def variables(self, path: str) -> Variables:
        """What the settings of the module at ``path`` add to the environment."""
        return tuple(sorted(self.plan.settings_of(path).env.items()))

    def observer_for(self, variables: Variables) -> Observer:
        """The observer for modules with these variables."""
        if variables not in self._observers:
            self._observers[variables] = self.observer.under(self._environment(variables))
        return self._observers[variables]

    def _action(self, module: TestModule) -> Action:
        return self.plan.make_action(module, Start(module.path, 1, 0, module.selectors))

    def key(self, module: TestModule) -> str:
        """The key of a module's action."""
        variables = self.variables(module.path)
        environment = self.observer_for(variables).environment
        declared = [
            (name, environment.variable(name))
            for name in environment.names_like(self.config.cache.env)
        ]
        named = self.plan.naming.of(module)
        return self._keys.key(self._action(module), (*variables, *declared), named)

    # -- looking up ------------------------------------------------------------------------------

    def look_up(self, modules: Sequence[TestModule]) -> None:
        """Find out which modules need not run: see ``verdicts`` and :meth:`recalled`."""
        alike: dict[Variables, dict[str, str]] = {}
        for module in modules:
            alike.setdefault(self.variables(module.path), {})[module.path] = self.key(module)
        now_s = time.time()
        for variables, keys in alike.items():
            observer = self.observer_for(variables)
            found = verdicts(
                self._reader,
                self._index,
                keys.values(),
                Judge(observer.current, observer.scopes_of),
                now_s=now_s,
                ttl_s=self.config.cache_ttl_s,
            )
            self.verdicts.update({path: found[key] for path, key in keys.items()})
        self._cross({path: key for keys in alike.values() for path, key in keys.items()})
        for keys in alike.values():
            self._recall(keys)
        self._reader.note_use(
            [
                key
                for keys in alike.values()
                for path, key in keys.items()
                if path in self._recalled
            ],
            now_s,
        )

    def reasons(self, module: TestModule) -> Sequence[str]:
        """Why the inputs of the module's newest result are not better known, if they are not."""
        entry = self._reader.entry(self.key(module))
        return entry.results[0].trace.reasons if entry is not None and entry.results else ()

    def _cross(self, keys: Mapping[str, str]) -> None:
        """Let those run again that read what modules write which are going to be executed."""
        hits = {path: hit for path in keys if isinstance(hit := self.verdicts[path], Hit)}

        def inputs_of(path: str) -> Sequence[Input]:
            key, events = keys[path], hits[path].events
            with contextlib.suppress(ValueError, LookupError):
                known = self._index.inputs_of(key, events)
                if known is not None:
                    return known
            entry = self._reader.entry(key)
            results = entry.results if entry is not None else ()
            return next((each.trace.inputs for each in results if each.events == events), ())

        executed = [path for path in keys if path not in hits]
        for path, crossing in self._outputs.crossings(executed, hits, inputs_of).items():
            self.verdicts[path] = Miss(crossing=crossing)

    def _recall(self, keys: Mapping[str, str]) -> None:
        """Read the events of what holds."""
        for path in keys:
            verdict = self.verdicts[path]
            if not isinstance(verdict, Hit):
                continue
            events = self._events(verdict)
            covered = self._reader.blob(verdict.coverage) if verdict.coverage else b""
            if not events or covered is None:
                self.verdicts[path] = Miss(refusal="what is stored of it can't be read")
            elif random.random() * 100 < self.config.audit_percent:
                self._audited[path] = events
            else:
                self._recalled[path] = events
                if covered:
                    self.covered[path] = covered
                self.holds_until_s = min(self.holds_until_s, verdict.expires_at_s)

    def _events(self, hit: Hit) -> Sequence[ev.AnyEvent]:
        blob = self._reader.blob(hit.events)
        try:
            events = decode_events(blob or b"[]")
        except ProtocolError:
            return ()
        if not events or not isinstance(events[-1], ev.ModuleFinished):
            return ()
        events[-1] = msgspec.structs.replace(events[-1], source=Source.LOCAL_CACHE)
        return events

    def recalled(self, path: str) -> Sequence[ev.AnyEvent]:
        """The events of a module whose result holds, from its start to its end; else none."""
        return self._recalled.get(path, ())

    # -- keeping ---------------------------------------------------------------------------------

    def begin(self, warn: Callable[[str], None], coverage: "Coverage") -> None:
        """Modules are about to be executed; ``warn`` is told from now on what is worth knowing.

        ``coverage`` has what they cover.
        """
        from iopio_async.orchestration.keeping import Keeper
        from iopio_async.orchestration.standing import look_around

        look_around(self.observer)
        self._warn = warn
        self._keeper = Keeper(
            self, self._reader, self._index, coverage, began_ns=self._began_ns, warn=warn
        )

    def heard(self, events: Sequence[ev.AnyEvent]) -> None:
        """These were told in this run."""
        if self._keeper is not None:
            self._keeper.heard(events)

    def traced(self, path: str, trace: bytes) -> None:
        """A process of this module is gone; ``trace`` is what its tracer wrote down."""
        if self._keeper is not None:
            self._keeper.traced(path, trace)

    async def keep(self, path: str, stats: ModuleStats) -> None:
        """Keep the module's result if it has its final word, and is one to be kept."""
        if self._keeper is not None:
            await self._keeper.keep(path, stats)

    def audit(self, path: str, events: Sequence[ev.AnyEvent]) -> None:
        """Compare what was executed for an audit with what is stored."""
        stored = self._audited.pop(path, None)
        if stored is None:
            return
        before, now = _outcomes(stored), _outcomes(events)
        if before == now:
            return
        test = next((test for test in {**before, **now} if before.get(test) != now.get(test)), path)
        self.disproved.append(path)
        self._warn(
            f"audit: the stored result of {path} is wrong: {test} is "
            f"{_said(now.get(test))} now, and {_said(before.get(test))} in the cache"
        )

    def lies_still(self, reason: str) -> bool:
        """True where nothing can be written to the cache: nothing is then, for the reason given.

        Nobody is warned: whoever asks has told already.
        """
        areas = [
            self.folder,
            *(state.path(self.folder, *area) for area in ((), (ACTIONS,), (BLOBS,))),
        ]
        if all(os.access(area, os.W_OK) for area in areas if os.path.lexists(area)):
            return False
        self._reader.faults.unwritable = reason
        return True

    def give_up(self, error: Exception) -> None:
        """A fault of the cache's own must not cost a run: what is not recalled yet is executed."""
        self._reader.faults.switch_off(f"internal error: {type(error).__name__}: {error}")

    def wrote(self, path: str, written: Collection[str], *, whole: bool) -> None:
        """The module was executed, and left this written; ``whole`` if it wrote nothing else."""
        self._outputs.note(path, written if whole else {*self._outputs.of(path), *written})

    @property
    def witnessed(self) -> "Mapping[str, Witnessed]":
        """What modules of this run were seen to do, by path."""
        return self._keeper.witnessed if self._keeper is not None else {}

    async def close(self) -> None:
        """Keep what waits to be kept, and write what later runs are quicker with."""
        if self._keeper is not None:
            await self._keeper.close()
        self.save()

    def save(self) -> None:
        """Write what was learnt of files, where anything was."""
        now_s = time.time()
        self._index.save(now_s)
        if not self._reader.faults.writes:
            return
        scopes = self.observer.save_scopes()
        try:
            folder = state.ensure(self.folder)
            if self._digests.read_count:
                state.write_atomically(os.path.join(folder, DIGESTS), self._digests.save())
            if self._outputs.is_new:
                outputs = self._outputs.encode()
                state.write_atomically(os.path.join(folder, OUTPUTS), outputs)
            if scopes is not None:
                state.write_atomically(os.path.join(folder, SCOPES), scopes)
        except InfrastructureError as error:
            self._reader.faults.stop_writing(error.message)
        except OSError as error:
            self._reader.faults.stop_writing(f"{self.folder}: {error.strerror or error}")

    # -- receipts --------------------------------------------------------------------------------

    def receipts(self) -> str | None:
        """The folder of receipts; ``None`` where it can't be used."""
        if self.config.cache_dir or not self._reader.faults.writes:
            return None
        return state.path(self.folder, RECEIPTS)

    def touched(self) -> Touched | None:
        """What the recalled results depend on, as it was when they were looked up.

        ``None`` where something could not be looked at.
        """
        followed, unfollowed = map(_stati, self.observer.touched())
        if followed is None or unfollowed is None:
            return None
        return Touched(followed, unfollowed, self.observer.dated())


def _stati(seen: Mapping[str, Status | str]) -> dict[str, Status] | None:
    stati: dict[str, Status] = {}
    for path, status in seen.items():
        if not isinstance(status, str):
            stati[path] = status
        elif status == ABSENT:
            stati[path] = (0, 0, 0, 0, 0, 0)
        else:
            return None
    return stati


def _outcomes(events: Sequence[ev.AnyEvent]) -> dict[str, list[Outcome]]:
    outcomes: dict[str, list[Outcome]] = {}
    for event in events:
        if type(event) is ev.TestFinished:
            outcomes.setdefault(event.id, []).append(event.outcome)
    return outcomes


def _said(outcomes: Sequence[Outcome] | None) -> str:
    return ", ".join(outcomes) if outcomes else "not there"


def open_cache(config: Config, plan: Plan, *, began_ns: int) -> ResultCache | None:
    """The cache of a run that began at ``began_ns``; ``None`` where it is not to be used."""
    if config.no_cache:
        return None
    cache = ResultCache(config, plan, began_ns=began_ns)
    if not config.refresh:
        modules = list(plan.modules)
        if plan.remainder is not None:
            modules.append(plan.remainder)
        try:
            began_s = time.perf_counter()
            cache.look_up(modules)
            cache.lookup_s = time.perf_counter() - began_s
        except Exception as error:
            cache.give_up(error)
    return cache
