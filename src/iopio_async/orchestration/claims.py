"""What the modules of a run claim on this machine: looked up, or else analysed.

``claims_of_plan`` does all at once. A run does it in two steps: :meth:`ClaimsSource.known` answers
at once where nothing has changed since the last time, by one listing of the project's Python files
and their digests; otherwise :meth:`ClaimsSource.analyse` goes to work, in a thread beside the
run. Two things are kept in the state folder: the facts of each file, by the digest of
its content, so that only what changed is parsed; and the claims of each module with a digest over
all files that it may import, so that only modules that can see a change are judged anew. The paths
of all Python files go into that digest too, by what each import means: a file that appears where an
import looks first is a change.

Nothing here fails a run: what goes wrong costs a warning, and claims nothing.
"""

import contextlib
import gc
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from iopio_async import state
from iopio_async.analysis.facts import FACTS_VERSION, Declaration, FileFacts
from iopio_async.analysis.rule_table import DEFAULT_TABLE
from iopio_async.errors import InfrastructureError
from iopio_async.model.config import Config, ModuleSettings
from iopio_async.model.module import REMAINDER_PATH, Claim, Mode, ModuleKind, TestModule
from iopio_async.orchestration.source_facts import FactsStore
from iopio_async.planning.claims import GROUP, NOTHING_CLAIMED, ModuleClaims, claims_of
from iopio_async.planning.overrides import settings_for
from iopio_async.planning.sources import Sources
from iopio_async.planning.spread import spread
from iopio_async.planning.visible import Visible
from iopio_async.project.digests import Digests
from iopio_async.project.pytest_config import locate_pytest_config
from iopio_async.project.python_files import python_files

#: The name of what is kept; ``FORMAT`` is counted up whenever it can't be read any more.
CLAIMS, FORMAT = "claims", 2

_DJANGO_SETTINGS = re.compile(r"DJANGO_SETTINGS_MODULE\s*=\s*[\"']?([\w.]+)")


class ClaimedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What modules claim, by path; those that claim nothing are not in ``claims``.

    ``capacities`` are those of the configuration.
    """

    claims: dict[str, ModuleClaims] = {}
    capacities: dict[str, int] = {}
    warnings: tuple[str, ...] = ()

    def of(self, path: str) -> ModuleClaims:
        """All claims of a module, with their evidence, and what it needs."""
        return self.claims.get(path, NOTHING_CLAIMED)

    def machine(self, path: str) -> tuple[Claim, ...]:
        """The claims of a module that bind between processes, as they were found."""
        return self.of(path).machine

    def held(self, paths: Iterable[str]) -> dict[str, tuple[Claim, ...]]:
        """What the scheduler has each of these modules hold, where they run together.

        What lies within what a module claims is added, and what nobody writes is left out.
        """
        wanted = spread({path: self.machine(path) for path in paths})
        users = Counter(name for own in wanted.values() for name in {each.resource for each in own})
        written = {
            claim.resource
            for each in wanted.values()
            for claim in each
            if claim.mode is Mode.EXCLUSIVE
        }
        # Tests of a group stay together anyway where a module is split.
        binding = {name for name in written if users[name] > 1 or not name.startswith(GROUP)}
        return {
            path: (
                *(Claim(each.resource, each.mode) for each in own if each.resource in binding),
                *self._units(path),
            )
            for path, own in wanted.items()
        }

    def _units(self, path: str) -> Iterator[Claim]:
        for name, count in self.of(path).needs:
            yield Claim(name, units=min(count, self.capacities.get(name, 1)))


class StoppedError(Exception):
    """The analysis is not wanted any more."""


#: Digest of what is declared of a module, digest of what it may import, and its claims.
_Entry = tuple[str, str, ModuleClaims]


class _Kept(msgspec.Struct, array_like=True):
    """``universe`` is the digest of everything that the claims were found by."""

    format: int = FORMAT
    universe: str = ""
    claims: dict[str, _Entry] = {}
    digests: bytes = b""


_decoder = msgspec.msgpack.Decoder(_Kept)


class ClaimsSource:
    """Where the claims of one run come from. Not for several threads at once."""

    def __init__(
        self,
        config: Config,
        settings_of: Callable[[str], ModuleSettings] | None = None,
    ) -> None:
        self._config = config
        self._settings_of = settings_of or (lambda path: settings_for(config, path))
        self._folder = config.cache_dir or state.folder_of(config.root)
        self._capacities = {name: each.capacity for name, each in config.resources.items()}
        self._kept = _Kept()
        self._digests: dict[str, str] = {}
        self._universe = ""
        self._rules = ""
        self._plugins: tuple[str, ...] = ()
        self._django_settings = ""
        self._warnings: list[str] = []
        self._stopped = False
        self._read_again = False

    def known(self, modules: Sequence[TestModule]) -> ClaimedPlan | None:
        """What is known of these without analysis; ``None`` where that does not tell all."""
        try:
            self._look()
        except Exception as error:
            return self._faulty(error)
        found: dict[str, ModuleClaims] = {}
        for path in _files(modules):
            entry = self._kept.claims.get(path)
            if (
                entry is None
                or self._kept.universe != self._universe
                or entry[0] != _digest_of(self._declared(path))
            ):
                return None
            found[path] = entry[2]
        if self._read_again:
            # The same content by another status: next time it need not be read.
            self._store_claims(self._kept.claims)
        return self._plan(found)

    def analyse(self, modules: Sequence[TestModule]) -> ClaimedPlan:
        """Find out, and keep it. To be called after :meth:`known`, from any thread.

        Raises:
            StoppedError: :meth:`stop` was called meanwhile.
        """
        try:
            with _no_collections():
                return self._plan(self._analysed(_files(modules)))
        except StoppedError:
            raise
        except Exception as error:
            return self._faulty(error)

    def stop(self) -> None:
        """Have an analysis in another thread end soon, for nobody waits for it."""
        self._stopped = True

    def _faulty(self, error: Exception) -> ClaimedPlan:
        why = str(error) or type(error).__name__
        message = (
            f"what the modules share is not known, for it could not be analysed: {why}; nothing "
            "keeps them apart"
        )
        return ClaimedPlan(capacities=self._capacities, warnings=(message,))

    def _plan(self, found: Mapping[str, ModuleClaims]) -> ClaimedPlan:
        if os.path.lexists(state.path(self._folder, state.LEARNED)):
            from iopio_async.orchestration.learning import with_learned

            found = with_learned(found, self._folder)
        self._warn_of_needs(found)
        return ClaimedPlan(
            claims={path: each for path, each in found.items() if each != NOTHING_CLAIMED},
            capacities=self._capacities,
            warnings=tuple(self._warnings),
        )

    def _warn_of_needs(self, found: Mapping[str, ModuleClaims]) -> None:
        most: dict[str, tuple[int, str]] = {}
        for path, each in sorted(found.items()):
            for name, count in each.needs:
                if count > most.get(name, (0, ""))[0]:
                    most[name] = (count, path)
        for name, (count, path) in sorted(most.items()):
            capacity = self._capacities.get(name)
            if capacity is None:
                self._warnings.append(
                    f"{path} needs {name}, of which no capacity is configured: it counts as 1 "
                    f"(write {name} = 1 into [tool.iopio.resources])"
                )
            elif count > capacity:
                self._warnings.append(
                    f"{path} needs {count} of {name}, and there are {capacity}: it gets them all"
                )

    # -- looking ---------------------------------------------------------------------------------

    def _look(self) -> None:
        """Take stock of the project's files, and of what is known of them."""
        config = self._config
        self._kept = self._load()
        memory = Digests(self._kept.digests)
        root = config.root.rstrip("/")
        stati = python_files(config.root)
        self._digests = {path: memory.of(f"{root}/{path}", stati[path]) for path in sorted(stati)}
        if memory.read_count:
            self._read_again = True
            self._kept.digests = memory.save()
        self._read_pytest_config()
        self._rules = _digest_of(
            (
                FORMAT,
                FACTS_VERSION,
                DEFAULT_TABLE.digest,
                sorted(self._capacities),
                self._plugins,
                self._django_settings,
            )
        )
        self._universe = _digest_of((self._rules, list(self._digests.items())))

    def _load(self) -> _Kept:
        try:
            if state.is_there(self._folder):
                kept = _decoder.decode(state.read(state.path(self._folder, CLAIMS)))
                if kept.format == FORMAT:
                    return kept
        except (InfrastructureError, OSError, msgspec.DecodeError, UnicodeDecodeError):
            pass
        return _Kept()

    def _read_pytest_config(self) -> None:
        config = self._config
        environ = {**os.environ, **config.env}
        found = locate_pytest_config(
            Path(config.invocation_dir), config.paths, config.arguments, environ
        )
        self._plugins = tuple(each for each in found.plugins if not each.startswith("no:"))
        settings = environ.get("DJANGO_SETTINGS_MODULE", "")
        for argument in config.arguments:
            settings = argument.removeprefix("--ds=") if argument[:5] == "--ds=" else settings
        if not settings and found.file:
            with contextlib.suppress(OSError), open(found.file, encoding="utf-8") as file:
                match = _DJANGO_SETTINGS.search(file.read())
                settings = match[1] if match else ""
        self._django_settings = settings

    def _declared(self, path: str) -> list[Declaration]:
        """What the configuration says of a module."""
        settings = self._settings_of(path)
        if not (
            settings.locks is not None
            or settings.shared is not None
            or settings.serial
            or settings.needs
        ):
            return []
        return [
            Declaration(
                1,
                settings.locks,
                settings.shared,
                tuple(sorted(settings.needs.items())),
                "",
                settings.serial,
            )
        ]

    # -- analysing -------------------------------------------------------------------------------

    def _analysed(self, paths: Sequence[str]) -> dict[str, ModuleClaims]:
        store = FactsStore.load(self._folder, self._config.root, self._digests)
        entries: dict[str, _Entry] = {}
        try:
            found = self._judge(store, paths, entries)
        except StoppedError:
            # The next run need not begin at the beginning.
            store.changed = True
            self._keep(store, {**self._kept.claims, **entries})
            raise
        self._keep(store, entries)
        return found

    def _judge(
        self, store: FactsStore, paths: Sequence[str], entries: dict[str, _Entry]
    ) -> dict[str, ModuleClaims]:
        """The claims of these modules; ``entries`` gets all that is to be kept, one by one."""
        sources = Sources(
            self._digests, self._facts_of(store), tells=store.tells, imports_of=store.imports
        )
        seen_by = Visible(
            sources,
            self._digests,
            store.imports,
            store.is_wide,
            plugins=self._plugins,
            # Django's settings may be anywhere, and take over from anywhere.
            wide=bool(self._django_settings),
        )
        found: dict[str, ModuleClaims] = {}
        for path in paths:
            self._mind_stop()
            declared = self._declared(path)
            seen = (_digest_of(declared), _digest_of((self._rules, seen_by.digest(path))))
            known = self._kept.claims.get(path)
            if known is not None and known[:2] == seen:
                found[path] = known[2]
            else:
                claims = self._judged(sources, path, declared)
                if claims is None:
                    continue
                found[path] = claims
            entries[path] = (*seen, found[path])
        # What was not asked for this time may hold as well, where nothing has changed at all.
        if self._kept.universe == self._universe:
            entries.update({**self._kept.claims, **entries})
        else:
            for path, known in self._kept.claims.items():
                if path not in entries and path in self._digests:
                    self._mind_stop()
                    if known[1] == _digest_of((self._rules, seen_by.digest(path))):
                        entries[path] = known
        return found

    def _judged(
        self, sources: Sources, path: str, declared: Sequence[Declaration]
    ) -> ModuleClaims | None:
        try:
            return claims_of(
                sources,
                path,
                declared=declared,
                capacities=self._capacities,
                plugins=self._plugins,
                django_settings=self._django_settings,
            )
        except StoppedError:
            raise
        except Exception as error:
            self._warnings.append(
                f"what {path} shares is not known, for it could not be analysed: "
                f"{type(error).__name__}: {error}"
            )
            return None

    def _facts_of(self, store: FactsStore) -> Callable[[str], FileFacts]:
        def facts(path: str) -> FileFacts:
            self._mind_stop()
            return store.facts(path)

        return facts

    def _mind_stop(self) -> None:
        if self._stopped:
            raise StoppedError

    def _keep(self, store: FactsStore, entries: dict[str, _Entry]) -> None:
        if store.changed:
            # What changed while it was looked at is known by neither its old digest nor its new.
            self._universe = ""
        self._store_claims(entries)
        self._store_facts(store)

    def _store_claims(self, entries: dict[str, _Entry]) -> None:
        self._kept = _Kept(FORMAT, self._universe, entries, self._kept.digests)
        # Where nothing can be kept, the run's journal tells of it.
        with contextlib.suppress(InfrastructureError, OSError):
            file = os.path.join(state.ensure(self._folder), CLAIMS)
            state.write_atomically(file, msgspec.msgpack.encode(self._kept))

    def _store_facts(self, store: FactsStore) -> None:
        with contextlib.suppress(InfrastructureError, OSError):
            store.save(state.ensure(self._folder))


def claims_of_plan(config: Config, modules: Sequence[TestModule]) -> ClaimedPlan:
    """What these modules of a project claim; looked up where nothing has changed.

    Never raises: where the analysis fails, nothing is claimed, and ``warnings`` says why.
    """
    source = ClaimsSource(config)
    known = source.known(modules)
    return source.analyse(modules) if known is None else known


def _files(modules: Sequence[TestModule]) -> list[str]:
    """Paths of the modules that have a source."""
    return [
        module.path
        for module in modules
        if module.kind is ModuleKind.FILE and module.path != REMAINDER_PATH
    ]


def _digest_of(value: object) -> str:
    return sha256(msgspec.msgpack.encode(value)).hexdigest()[:32]


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """Trees of syntax are large, and hold no cycles: to look for these would take a third more."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
