"""What was last asked for by ``iopio run`` in a project, so that it can be asked about.

``iopio why`` answers for that command: under other options, other things are executed.
"""

import contextlib
import json
import os
from collections.abc import Mapping

from iopio_async import state
from iopio_async.cli.invocation import Invocation
from iopio_async.errors import InfrastructureError
from iopio_async.model.config import Config

_FILE = "last_command.json"

#: Options that decide what is executed; the others only show or write.
_FIELDS = ("paths", "keyword", "markers", "framework")


def remember_command(config: Config, invocation: Invocation, given: Mapping[str, object]) -> None:
    """Note a command; where that can't be, nothing is lost."""
    about = {
        "given": {field: given[field] for field in _FIELDS if given.get(field)},
        "arguments": invocation.arguments,
        "cwd_on_path": invocation.cwd_on_path,
        "directory": config.invocation_dir,
    }
    data = json.dumps(about).encode()
    with contextlib.suppress(OSError, InfrastructureError):
        file = os.path.join(state.ensure(config.cache_dir or state.folder_of(config.root)), _FILE)
        with contextlib.suppress(FileNotFoundError):
            if state.read(file) == data:
                return
        state.write_atomically(file, data)


def recall_command(config: Config, invocation: Invocation) -> tuple[Invocation, dict[str, object]]:
    """The command that was noted last, if it was given in the same directory."""
    try:
        folder = config.cache_dir or state.folder_of(config.root)
        about = json.loads(state.read(state.path(folder, _FILE)))
        if about["directory"] != config.invocation_dir:
            return invocation, {}
        arguments = tuple(map(str, about["arguments"]))
        cwd_on_path = bool(about["cwd_on_path"])
        given = {field: about["given"][field] for field in _FIELDS if field in about["given"]}
    except (OSError, ValueError, KeyError, TypeError):
        return invocation, {}
    return invocation._replace(arguments=arguments, cwd_on_path=cwd_on_path), given
