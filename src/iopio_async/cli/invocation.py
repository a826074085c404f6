"""What was typed, before anything is made of it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from iopio_async.errors import UsageError
from iopio_async.model.config import Config
from iopio_async.project.settings import load_config


class Invocation(NamedTuple):
    """What the command line holds beside the words before ``--``.

    ``arguments`` are for pytest; ``cwd_on_path`` says that iopio was called by ``python -m``;
    ``words`` are all that was typed.
    """

    arguments: tuple[str, ...] = ()
    cwd_on_path: bool = False
    words: tuple[str, ...] = ()

    def resolve(self, given: Mapping[str, object]) -> Config:
        """The configuration that the options, the environment and the files make.

        Options that were not given may be there as ``None``, ``False`` or 0.

        Raises:
            UsageError: they can't be used as they are.
        """
        flags: dict[str, object] = {
            field: value for field, value in given.items() if value not in (None, False, 0)
        }
        if self.arguments:
            flags["arguments"] = list(self.arguments)
        if self.cwd_on_path:
            flags["cwd_on_path"] = True
        try:
            here = Path(os.getcwd())
        except FileNotFoundError:
            raise UsageError(
                "the current directory does not exist any more", hint="change to one that does"
            ) from None
        return load_config(invocation_dir=here, flags=flags, environ=os.environ)
