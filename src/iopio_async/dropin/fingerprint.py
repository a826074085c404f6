"""What a function is, in one digest: the part of its cache key that its tracer can't see.

A function that a fresh process imports by name is that name: what the module holds is read, and
traced, where it is imported. One that travels by value is its code, constants and names, the
functions nested in it, its defaults and closure, and the globals that its code mentions, each taken
apart in the same way. Places in the source are left out, so that moving a function changes nothing.
Something that can't be told apart from its like makes the digest one that never comes again: such a
function is executed each time.
"""

import dis
import enum
import functools
import os
import sys
import types
import typing
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.machinery import PathFinder
from typing import Any

import cloudpickle

#: Plain values that their type and ``repr`` tell completely.
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))

_DESCRIPTORS = (
    types.MemberDescriptorType,
    types.GetSetDescriptorType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)
#: Such as ``list[int]``, and the bases that generic classes were given.
_typing: Any = typing
_ALIASES = (types.GenericAlias, _typing._GenericAlias)

#: By which instructions code looks at its globals, or at names that may be some.
_GLOBAL_ACCESS = frozenset(
    {"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
)

#: Attributes of a class that say nothing of what it does, or lead back to it.
_OF_EVERY_CLASS = frozenset(
    {"__dict__", "__weakref__", "__firstlineno__", "__static_attributes__", "__abstractmethods__"}
    | {"_abc_impl", "__classcell__", "__classdictcell__", "__annotations_cache__"}
)


def fingerprint(thing: object) -> str:
    """The digest of a callable, in hex."""
    return _Walk().of(thing).hex()


def importable(module: types.ModuleType) -> bool:
    """Say whether a fresh process gets the same module by importing its name.

    Not so for a script, for what is still being imported (whose body would be executed within
    itself), and for what was loaded from a file by hand.
    """
    name, spec = module.__name__, getattr(module, "__spec__", None)
    if name == "__main__" or spec is None or getattr(spec, "_initializing", False):
        return False
    if spec.origin in {"built-in", "frozen"}:
        return True
    file = getattr(module, "__file__", None)
    parts = name.split(".")
    search, found = None, None
    for length in range(1, len(parts) + 1):
        try:
            found = PathFinder.find_spec(".".join(parts[:length]), search)
        except (ImportError, ValueError):
            found = None
        if found is None:
            return False
        search = found.submodule_search_locations
    if found is None or not found.origin or not file:
        return False
    try:
        return os.path.samefile(found.origin, file)
    except OSError:
        return False


def by_reference(thing: Any) -> bool:
    """Say whether a function or class is what a fresh process finds under its name."""
    name, module_name = getattr(thing, "__qualname__", ""), getattr(thing, "__module__", None)
    module = sys.modules.get(module_name or "")
    if module is None or "<" in name or not importable(module):
        return False
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is thing


class _Walk:
    """One walk through everything that a function leads to."""

    def __init__(self) -> None:
        #: What is being looked at, or has been: circles end here.
        self._places: dict[int, int] = {}
        #: Keeps it all alive meanwhile, so that no identity is given out twice.
        self._alive: list[object] = []

    def of(self, thing: Any) -> bytes:
        kind = type(thing)
        if kind in _PLAIN:
            return _digest(kind.__name__.encode(), repr(thing).encode("utf-8", "surrogatepass"))
        if id(thing) in self._places:
            return _digest(b"again", str(self._places[id(thing)]).encode())
        self._places[id(thing)] = len(self._places)
        self._alive.append(thing)
        return _digest(kind.__qualname__.encode(), *self._parts(thing))

    def _parts(self, thing: Any) -> Iterator[bytes]:
        match thing:
            case types.CodeType():
                yield from self._code(thing)
            case types.FunctionType():
                yield from self._function(thing)
            case types.BuiltinFunctionType() | types.ModuleType():
                yield self.of(getattr(thing, "__module__", None))
                yield self.of(thing.__name__)
                yield self.of(getattr(thing, "__self__", None) if _is_bound(thing) else None)
            case types.MethodType():
                yield self.of(thing.__func__)
                yield self.of(thing.__self__)
            case types.CellType():
                yield self.of(thing.cell_contents) if _filled(thing) else b"empty"
            case type():
                yield from self._class(thing)
            case staticmethod() | classmethod():
                yield self.of(thing.__func__)
            case functools._lru_cache_wrapper() if not by_reference(thing):
                yield self.of((thing.__wrapped__, *sorted(thing.cache_parameters().items())))
            case functools.cached_property():
                yield self.of((thing.attrname, thing.func))
            case enum.Enum():
                yield self.of((type(thing), dict(vars(thing))))
            case typing.TypeVar():
                yield self.of((thing.__name__, thing.__bound__, thing.__constraints__))
            case types.MappingProxyType():
                yield self.of(dict(thing))
            case _ if isinstance(thing, _DESCRIPTORS):
                # What it describes is its class's, which leads here.
                yield self.of(thing.__name__)
            case _ if isinstance(thing, _ALIASES):
                yield self.of((thing.__origin__, thing.__args__))
            case property():
                yield from map(self.of, (thing.fget, thing.fset, thing.fdel))
            case _ if type(thing) in {tuple, list}:
                yield from map(self.of, thing)
            case _ if type(thing) in {set, frozenset}:
                # Each on its own: the order of a set is nobody's.
                yield from sorted(_Walk().of(each) for each in thing)
            case _ if type(thing) is dict:
                for key, value in thing.items():
                    yield self.of(key)
                    yield self.of(value)
            case _:
                yield self._pickled(thing)

    def _code(self, code: types.CodeType) -> Iterator[bytes]:
        yield code.co_code
        yield code.co_exceptiontable
        for part in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars):
            yield "\0".join(part).encode("utf-8", "surrogatepass")
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        yield repr(counts).encode()
        yield from map(self.of, code.co_consts)

    def _function(self, function: types.FunctionType) -> Iterator[bytes]:
        if by_reference(function):
            yield self.of((function.__module__, function.__qualname__))
            return
        yield self.of(function.__name__)
        yield self.of(function.__code__)
        yield self.of(function.__defaults__)
        yield self.of(function.__kwdefaults__)
        yield from map(self.of, function.__closure__ or ())
        yield self.of(dict(function.__dict__))
        values = function.__globals__
        for name in sorted(_mentioned(function.__code__)):
            if name in values:
                yield name.encode()
                yield self.of(values[name])

    def _class(self, owner: type) -> Iterator[bytes]:
        yield self.of((owner.__module__, owner.__qualname__))
        if owner.__module__ == "builtins" or by_reference(owner):
            return
        yield from map(self.of, owner.__bases__)
        for name, value in vars(owner).items():
            if name not in _OF_EVERY_CLASS:
                yield name.encode()
                yield self.of(value)

    def _pickled(self, thing: Any) -> bytes:
        """What an object is by its state, or else by the bytes that it travels as."""
        if _is_its_attributes(type(thing)):
            return self.of(type(thing)) + self.of(thing.__getstate__())
        try:
            return bytes(cloudpickle.dumps(thing))
        except Exception:
            # Whatever it is, it is not the one of another run.
            return os.urandom(32)


def _mentioned(code: types.CodeType) -> set[str]:
    """Names that the code, or code nested in it, looks up among its globals."""
    names = {
        str(each.argval) for each in dis.get_instructions(code) if each.opname in _GLOBAL_ACCESS
    }
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _mentioned(constant)
    return names


def _is_its_attributes(kind: type) -> bool:
    """Say whether instances are nothing beyond their attributes, and travel as just these."""
    holder: Any = kind
    plain: Any = object
    return (
        holder.__reduce_ex__ is plain.__reduce_ex__
        and holder.__reduce__ is plain.__reduce__
        and holder.__getstate__ is plain.__getstate__
        and all(base is object or base.__module__ != "builtins" for base in kind.__mro__)
    )


def _is_bound(thing: Callable[..., Any] | types.ModuleType) -> bool:
    owner = getattr(thing, "__self__", None)
    return owner is not None and not isinstance(owner, types.ModuleType)


def _filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _digest(*parts: bytes) -> bytes:
    whole = sha256()
    for part in parts:
        # With their lengths, so that no two sequences of parts run into the same bytes.
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.digest()
