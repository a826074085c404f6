"""Action → key: what is known before anything is read, in one digest.

Whatever a trace can't hold belongs here: what is executed, by which interpreter, in which place and
environment. The project's own place is a part of it, because tests can see it.
"""

import json
import os
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from iopio_async.model.action import Action
from iopio_async.model.config import CacheRules
from iopio_async.model.events import STREAM_VERSION
from iopio_async.model.trace import TRACE_VERSION
from iopio_async.version import __version__


class KeyMaker:
    """Makes the keys of one run's actions.

    ``interpreter`` is the digest of its identity, ``environment`` that of the variables that are
    read where no tracer sees it; ``rules`` say what is an input at all.
    """

    def __init__(self, interpreter: str, environment: str, rules: CacheRules) -> None:
        umask = os.umask(0o077)
        os.umask(umask)
        self._about = (
            TRACE_VERSION,
            STREAM_VERSION,
            __version__,
            interpreter,
            umask,
            environment,
            msgspec.to_builtins(rules),
        )

    def key(
        self, action: Action, env: Sequence[tuple[str, str]], arguments: Sequence[str] | None = None
    ) -> str:
        """The key of an action that is executed with these variables on top; hex digits.

        ``arguments`` stand in for the action's own: what of them an outcome may hang on.
        """
        about = (
            *self._about,
            env,
            action.root,
            action.path,
            action.invocation_dir,
            action.framework,
            action.kind,
            action.arguments if arguments is None else arguments,
            action.selectors,
            action.known_paths,
            action.keyword,
            action.import_root,
            action.cwd_on_path,
            action.schema_version,
        )
        return sha256(json.dumps(about).encode()).hexdigest()
