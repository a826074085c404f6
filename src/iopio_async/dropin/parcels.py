"""Callables, packed so that a process of their own can unpack and call them.

What a fresh process can import travels as its name; everything else (functions of a script, a
notebook or a prompt, closures, lambdas) by value, by :mod:`cloudpickle`: no script's body is ever
executed a second time. A parcel becomes two files, the pickle and a module of plain functions that
loads it. They lie in the project's ``.test_cache``, which no trace tells of: what they hold is part
of their name.
"""

import contextlib
import functools
import inspect
import io
import os
import re
import sys
import time
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote

import cloudpickle

from iopio_async import state
from iopio_async.dropin.fingerprint import by_reference, fingerprint, importable

#: Below the version's own folder of ``.test_cache``.
FOLDER = "functions"

#: Under this name the module offers what it unpacked.
FUNCTION = "test_function"

#: What cloudpickle, since 3.1.3, has for the names of all files.
_NAMELESS = "<dynamic-code>"

#: Between the count and the name of a test that is given several times; quoted names hold none.
AGAIN = "+"

_MAX_NAME_CHARS = 120
_HALF = re.compile(r"%.?\Z")
_DIGEST_CHARS = 32

#: Files that were not used for so long are removed.
KEPT_S = 2 * 86_400.0

_MODULE = '''\
"""Unpacks a function and offers it as a test."""

import pickle
import sys

sys.path[:] = {search_path!r}
with open({pickled!r}, "rb") as _file:
    _carried = pickle.load(_file)
'''

_PLAIN = f"{FUNCTION} = _carried\n"

_CALLED = f"""

def {FUNCTION}():
    return _carried()
"""

#: The fixtures of a method's instance are called around it, as they are in a file of tests.
_METHOD = (
    _CALLED
    + """

def _fixtures(*names):
    import inspect

    for name in names:
        fixture = getattr(_carried.__self__, name, None)
        if callable(fixture):
            fixture(*[_carried][: len(inspect.signature(fixture).parameters)])


def setup_function():
    _fixtures("setUp", "setup_method")


def teardown_function():
    _fixtures("teardown_method", "tearDown")
"""
)


class NotPackedError(Exception):
    """A callable can't travel; the message says why."""


@dataclass(slots=True, frozen=True)
class Parcel:
    """A packed callable. ``file_name`` is made of its test's name and of all that it depends on.

    ``calling`` is the end of the module's source.
    """

    file_name: str
    pickled: bytes
    search_path: tuple[str, ...]
    calling: str

    def write(self, module_file: str) -> None:
        """Write both files, the pickle beside the module.

        Raises:
            OSError: they can't be written.
        """
        pickle_file = f"{module_file.removesuffix('.py')}.pickle"
        state.write_atomically(pickle_file, self.pickled)
        source = _MODULE.format(search_path=list(self.search_path), pickled=pickle_file)
        state.write_atomically(module_file, (source + self.calling).encode())


def pack(name: str, function: Callable[..., Any], search_path: Sequence[str]) -> Parcel:
    """Pack a callable that is tested under ``name``.

    Raises:
        NotPackedError: it can't be serialised.
    """
    try:
        with _by_value(function):
            pickled = _pickled(function)
            digest = fingerprint(function)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise NotPackedError(f"{type(error).__name__}: {error}") from error
    whole = sha256(repr((digest, name, *search_path)).encode("utf-8", "surrogatepass"))
    file_name = f"{_quoted(name)}-{whole.hexdigest()[:_DIGEST_CHARS]}.py"
    return Parcel(file_name, pickled, tuple(search_path), _calling(function))


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Also packs what the standard library leaves unpacked, though all of its parts can travel."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, functools._lru_cache_wrapper) and not by_reference(obj):
            # Empty, as it is in any fresh process.
            parameters = obj.cache_parameters()
            made_of = (obj.__wrapped__, parameters["maxsize"], parameters["typed"])
            info: Any = functools
            return functools._lru_cache_wrapper, (*made_of, info._CacheInfo), dict(vars(obj))
        if type(obj) is functools.cached_property:
            return functools.cached_property, (obj.func,), {"attrname": obj.attrname}
        if type(obj) is types.CodeType:
            # Failures are told with their source: code keeps the name of its file.
            make, parts = cloudpickle.Pickler.dispatch_table[types.CodeType](obj)
            return make, tuple(
                obj.co_filename if type(part) is str and part == _NAMELESS else part
                for part in parts
            )
        return super().reducer_override(obj)


def _pickled(function: Callable[..., Any]) -> bytes:
    with io.BytesIO() as file:
        _Pickler(file).dump(function)
        return file.getvalue()


def name_of(module_path: str) -> str | None:
    """The name under which a parcel's function is tested; ``None`` where it is no parcel's path."""
    folder, _, file_name = module_path.rpartition("/")
    name, dash, digest = file_name.removesuffix(".py").rpartition("-")
    if not dash or len(digest) != _DIGEST_CHARS or not folder.endswith(f"/{FOLDER}"):
        return None
    return unquote(name.rpartition(AGAIN)[2])


def search_path() -> list[str]:
    """The search path of modules of this process, with absolute entries."""
    return [os.path.abspath(entry) if entry == "" else str(entry) for entry in sys.path]


def tidy(folder: str) -> None:
    """Remove what nobody has used for long."""
    oldest_s = time.time() - KEPT_S
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < oldest_s:
                    os.unlink(entry.path)


def _quoted(name: str) -> str:
    quoted = quote(name, safe="")
    if len(quoted) <= _MAX_NAME_CHARS:
        return quoted
    # No half of a quoted character at the end, and no part of one that takes several.
    whole = _HALF.sub("", quoted[:_MAX_NAME_CHARS])
    return quote(unquote(whole, errors="ignore"), safe="")


def _calling(function: Callable[..., Any]) -> str:
    owner = getattr(function, "__self__", None)
    if inspect.ismethod(function) and not isinstance(owner, type | types.ModuleType):
        return _METHOD
    if inspect.isroutine(function) or isinstance(function, functools.partial):
        return _PLAIN
    return _CALLED


@contextlib.contextmanager
def _by_value(function: Callable[..., Any]) -> Iterator[None]:
    """Meanwhile, have what a fresh process can't import travel by value."""
    registered = []
    for module in _modules(function):
        if module.__name__ != "__main__" and not importable(module):
            with contextlib.suppress(ValueError):
                cloudpickle.register_pickle_by_value(module)
                registered.append(module)
    try:
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)


def _modules(function: Any) -> Iterator[types.ModuleType]:
    """The modules that a callable, and what it is bound to, are defined in."""
    seen = set()
    for thing in (
        function,
        getattr(function, "func", None),
        getattr(function, "__self__", None),
        getattr(function, "__wrapped__", None),
        type(getattr(function, "__self__", function)),
    ):
        module = sys.modules.get(str(getattr(thing, "__module__", "")))
        if module is not None and module.__name__ not in seen:
            seen.add(module.__name__)
            yield module
