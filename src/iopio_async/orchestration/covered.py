"""What a module has covered, as one blob: packed when a result is kept, unpacked when recalled."""

import os
from collections.abc import Mapping, Sequence

import msgspec

from iopio_async.errors import InfrastructureError
from iopio_async.orchestration.coverage import Coverage

#: A folder: file name → content. A module that was split has left several.
_Folders = list[dict[str, bytes]]

_decoder: msgspec.msgpack.Decoder[_Folders] = msgspec.msgpack.Decoder(_Folders)


def packed(folders: Sequence[str]) -> bytes:
    """The files of all folders in one blob.

    Raises:
        OSError: one can't be read.
    """
    contents: _Folders = []
    for folder in folders:
        files = {}
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), "rb") as file:
                files[name] = file.read()
        contents.append(files)
    return msgspec.msgpack.encode(contents)


def restore(covered: Mapping[str, bytes], directory: str, coverage: Coverage) -> None:
    """Unpack what recalled modules have covered below ``directory``, and hand it to ``coverage``.

    Raises:
        InfrastructureError: it can't be written, or is not what was packed.
    """
    number = 0
    for path, blob in covered.items():
        try:
            for files in _decoder.decode(blob):
                number += 1
                folder = os.path.join(directory, f"recalled-{number}")
                os.makedirs(folder)
                for name, data in files.items():
                    with open(os.path.join(folder, os.path.basename(name)), "wb") as file:
                        file.write(data)
                coverage.add(path, folder)
        except (OSError, msgspec.DecodeError) as error:
            raise InfrastructureError(
                f"the stored coverage of {path} can't be used: {error}",
                hint="run once more with --refresh",
            ) from error
