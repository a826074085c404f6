"""What the results of tests depend on, as it is now; and the trace of a session → their inputs."""

import json
import os
import time
from collections.abc import Callable, Sequence

import msgspec

from iopio_async import state
from iopio_async.cache.reader import DIGESTS, DiskReader
from iopio_async.cache.secret import load_secret
from iopio_async.cache.validate import Change, Judge
from iopio_async.errors import InfrastructureError
from iopio_async.model.action import Action
from iopio_async.model.config import Config
from iopio_async.model.trace import Input
from iopio_async.orchestration.keys import KeyMaker
from iopio_async.orchestration.standing import look_around
from iopio_async.orchestration.tracing import Reading, TraceReader
from iopio_async.project import interpreter
from iopio_async.project.changes import Recheck
from iopio_async.project.digests import Digests
from iopio_async.project.environment import Environment
from iopio_async.project.observer import Observer
from iopio_async.wire import observations as wire

#: Variables that are another one for each session, or each worker of one.
OF_THE_SESSION = ("PYTEST_XDIST_*",)


class World:
    """The inputs of the tests below ``root``; made before any of them is read.

    Raises:
        InfrastructureError: the folder of results can't be used.
    """

    def __init__(
        self,
        config: Config,
        root: str,
        folder: str,
        arguments: Sequence[str],
        warn: Callable[[str], None],
    ) -> None:
        self._root = root
        self._folder = folder
        try:
            secret = load_secret(folder)
        except OSError as error:
            raise InfrastructureError(f"{folder}: {error.strerror or error}") from error
        self._digests = Digests(DiskReader(folder, warn=warn).read(DIGESTS) or b"")
        ignored = (*config.cache.ignore_env, *OF_THE_SESSION)
        environment = Environment(secret, dict(os.environ), ignored=ignored)
        paths = {"": json.dumps(arguments)}
        self._observer = Observer(root, environment, digests=self._digests, paths=paths)
        keyed = environment.keyed(config.cache.env)
        self._keys = KeyMaker(interpreter.identity(self._digests), keyed, config.cache)
        self._judge = Judge(self._observer.current, self._observer.scopes_of)
        look_around(self._observer)
        self._start_ns = time.time_ns()
        self._reader = TraceReader(
            self._observer,
            self._included,
            start_ns=self._start_ns,
            rules=msgspec.structs.replace(config.cache, ignore_env=ignored),
        )
        self._recheck: Recheck | None = None

    def key(self, file: str, options: tuple[str, ...]) -> str:
        """What the results of a file's tests are stored under."""
        action = Action(path=file, root=self._root, invocation_dir=os.getcwd(), arguments=options)
        return self._keys.key(action, [("", "tests")])

    def changes(self, inputs: Sequence[Input]) -> dict[int, Change]:
        """Those of the inputs that are not what they were, by their places."""
        found = {place: self._judge.change(each) for place, each in enumerate(inputs)}
        return {place: change for place, change in found.items() if change is not None}

    def read(self, file: str, segments: Sequence[str], *, functions: bool) -> Reading:
        """The inputs of a test of ``file``, by its segments' traces, its own the last."""
        own = _content(segments[-1])
        included = [
            wire.encode(wire.INCLUDE, os.fsencode(each), b"%d" % os.path.getsize(each))
            for each in segments[:-1]
        ]
        begin = wire.encode(wire.BEGIN, b"%d" % os.getpid(), b"1" if functions else b"")
        return self._reader.read(b"".join((begin, *included, own)), module=file)

    def disturbed(self, inputs: Sequence[Input]) -> str:
        """The name of an input that may have changed while the tests ran; ``""`` for none."""
        if self._recheck is None:
            self._recheck = Recheck(self._observer, self._start_ns)
        changed = self._recheck.changed(inputs)
        return (changed[0].subject or "the project") if changed else ""

    def save(self) -> None:
        """Write what was learnt of files.

        Raises:
            OSError, InfrastructureError: it can't be written.
        """
        if self._digests.read_count:
            folder = state.ensure(self._folder)
            state.write_atomically(os.path.join(folder, DIGESTS), self._digests.save())

    def _included(self, path: bytes, length_bytes: int) -> bytes:
        return _content(os.fsdecode(path))[:length_bytes]


def _content(file: str) -> bytes:
    with open(file, "rb") as stream:
        return stream.read()
