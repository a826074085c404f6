"""Compiled modules and shared libraries: which of them read files that no event tells of.

Whatever is not in these tables may do so. The project's own compiled modules are read themselves,
and trusted as its Python code is.
"""

import os

from iopio_async.wire.observations import IMPURE, OPAQUE, READ
from iopio_async.worker.tracing import files
from iopio_async.worker.tracing.record import record
from iopio_async.worker.tracing.territory import absolute, territory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_fsencode = os.fsencode

#: Top-level packages whose compiled parts compute, or do all input through Python's own files and
#: sockets; ``psutil`` reads the state of the machine, which is like reading the clock.
HARMLESS = frozenset(
    [
        "BTrees",
        "Crypto",
        "Cryptodome",
        "Levenshtein",
        "_argon2_cffi_bindings",
        "_bcrypt",
        "_brotli",
        "_cbor2",
        "_cffi_backend",
        "_pvectorc",
        "_pydantic_core",
        "_regex",
        "_ruamel_yaml",
        "_time_machine",
        "_yaml",
        "aiohttp",
        "asyncpg",
        "bcrypt",
        "bitarray",
        "blosc",
        "bottleneck",
        "brotli",
        "bson",
        "cbor2",
        "cchardet",
        "cftime",
        "charset_normalizer",
        "ciso8601",
        "contourpy",
        "coverage",
        "cramjam",
        "crc32c",
        "cryptography",
        "cytoolz",
        "editdistance",
        "frozendict",
        "frozenlist",
        "gevent",
        "gmpy2",
        "google",
        "greenlet",
        "hypothesis",
        "hiredis",
        "httptools",
        "immutables",
        "jellyfish",
        "jiter",
        "kiwisolver",
        "lazy_object_proxy",
        "librt",
        "line_profiler",
        "llvmlite",
        "lru",
        "lz4",
        "marisa_trie",
        "markupsafe",
        "matplotlib",
        "mmh3",
        "msgpack",
        "msgspec",
        "multidict",
        "murmurhash",
        "nacl",
        "numexpr",
        "numpy",
        "orjson",
        "ormsgpack",
        "pandas",
        "persistent",
        "propcache",
        "psutil",
        "pybase64",
        "pydantic_core",
        "pyinstrument",
        "pyrsistent",
        "pywt",
        "rapidfuzz",
        "rapidjson",
        "regex",
        "rpds",
        "ruamel",
        "scipy",
        "setproctitle",
        "shapely",
        "simplejson",
        "skimage",
        "sklearn",
        "snappy",
        "sqlalchemy",
        "statsmodels",
        "stringzilla",
        "symengine",
        "time_machine",
        "tornado",
        "traits",
        "tree_sitter",
        "ujson",
        "unicodedata2",
        "websockets",
        "whenever",
        "wrapt",
        "xxhash",
        "yaml",
        "yarl",
        "zope",
        "zstandard",
    ]
)

#: Top-level packages that connect to other machines out of compiled code.
CLIENTS = frozenset(
    [
        "MySQLdb",
        "_mssql",
        "_mysql_connector",
        "cassandra",
        "confluent_kafka",
        "curl_cffi",
        "cx_Oracle",
        "grpc",
        "mysql",
        "oracledb",
        "pq",
        "psycopg",
        "psycopg2",
        "psycopg_binary",
        "psycopg_c",
        "pycurl",
        "pymssql",
        "pyodbc",
        "rdkafka",
        "uvloop",
        "zmq",
    ]
)

#: Shared libraries, by the beginning of their names, that read no files of anybody's project.
HARMLESS_LIBRARIES = (
    "libc.",
    "libc-",
    "libm.",
    "libdl.",
    "librt.",
    "libpthread.",
    "libgcc_s",
    "libstdc++",
    "libgomp",
    "libiomp",
    "libomp",
    "libopenblas",
    "libscipy_openblas",
    "libmkl",
    "libcrypto",
    "libuuid",
    "libutil",
    "libpython",
    "ld-linux",
)

#: Functions of the C library, by the beginning of their names, that compute on what they are given
#: (and the interpreter's own, which are found in the same place).
HARMLESS_SYMBOLS = (
    "Py",
    "_Py",
    "_dl_",
    "abs",
    "ato",
    "clock_",
    "div",
    "errno",
    "free",
    "getpid",
    "gettid",
    "is",
    "labs",
    "mallo",
    "mem",
    "prctl",
    "print",
    "qsort",
    "sched_",
    "snprintf",
    "sprintf",
    "str",
    "time",
    "tolower",
    "toupper",
    "usleep",
    "wcs",
)


def loaded(name: str, file: object) -> None:
    """A compiled module is loaded."""
    path = absolute(file)
    if not path or territory.drops(path):
        return
    record.tell(READ, _fsencode(path))
    if territory.inside_project(path):
        return
    top = name.partition(".")[0]
    if top in CLIENTS:
        record.tell_reason(IMPURE, f"imports {top}, whose compiled code may connect unseen")
    elif top not in HARMLESS and _package(path) not in HARMLESS and not name.endswith("__mypyc"):
        record.tell_reason(OPAQUE, f"the compiled module {name} may read files unseen")


def _package(path: str) -> str:
    """The top-level package that a file is installed in: a module may be known by its tail only."""
    _, separator, inner = path.rpartition("/site-packages/")
    return inner.partition("/")[0] if separator else ""


def library_opened(arguments: "tuple[Any, ...]") -> None:
    """``ctypes.dlopen``: a shared library, or ``None`` for the process itself."""
    name = arguments[0]
    if name is None or name == "":
        return
    text = os.fsdecode(name) if isinstance(name, (str, bytes)) else absolute(name)
    if "/" in text:
        path = absolute(text)
        if territory.drops(path):
            return
        files.told_read(path)
    if not text.rpartition("/")[2].startswith(HARMLESS_LIBRARIES):
        record.tell_reason(OPAQUE, f"the shared library {text} may read files unseen")


def symbol_taken(arguments: "tuple[Any, ...]") -> None:
    """``ctypes.dlsym``: a function of a library; what the C library's can read is not seen."""
    library, name = arguments
    file = getattr(library, "_name", None)
    of_c = not file or os.path.basename(os.fsdecode(file)).startswith(("libc.", "libc-"))
    if of_c and type(name) is str and not name.startswith(HARMLESS_SYMBOLS):
        record.tell_reason(OPAQUE, f"calls {name} of the C library, which may read files unseen")


def watch_history(readline: "Any") -> None:
    """GNU readline opens its files by itself: tell of those that it is given."""
    for name, usual in (("read_history_file", "~/.history"), ("read_init_file", "~/.inputrc")):
        true = getattr(readline, name, None)
        if true is not None:
            setattr(readline, name, _reading(true, usual))


def _reading(true: "Callable[..., object]", usual: str) -> "Callable[..., object]":
    def read(filename: "Any" = None, *more: object) -> object:
        files.told_read(absolute(os.path.expanduser(usual) if filename is None else filename))
        return true(filename, *more)

    read.__name__ = read.__qualname__ = true.__name__
    read.__module__, read.__doc__ = "readline", true.__doc__
    return read


def watch_certificates(ssl: "Any") -> None:
    """OpenSSL opens certificates and keys by itself: tell of those that it is given."""
    true = ssl.SSLContext

    def load_cert_chain(
        self: "Any", certfile: "Any", keyfile: "Any" = None, password: "Any" = None
    ) -> None:
        for file in (certfile, keyfile):
            if file is not None:
                files.told_read(absolute(file))
        super(true, self).load_cert_chain(certfile, keyfile, password)

    def load_verify_locations(
        self: "Any", cafile: "Any" = None, capath: "Any" = None, cadata: "Any" = None
    ) -> None:
        if cafile is not None:
            files.told_read(absolute(cafile))
        if capath is not None:
            files.told_listing(absolute(capath))
        super(true, self).load_verify_locations(cafile, capath, cadata)

    for method in (load_cert_chain, load_verify_locations):
        method.__qualname__, method.__module__ = f"SSLContext.{method.__name__}", "ssl"
        setattr(true, method.__name__, method)
