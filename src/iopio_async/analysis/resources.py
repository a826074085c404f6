"""The names of resources: what a touch of some kind reaches, once its text has no holes left.

The same thing must get the same name wherever it is reached from, and what lies within another must
be named after it: ``path:data/a.txt`` within ``path:data``, ``redis://host:6379/1`` within
``redis://host:6379``. Paths inside of the project are relative to its root, others absolute, and
those in the home folder begin with ``~``. The local machine has one name for all its addresses.
"""

import re
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from iopio_async.analysis.facts import HOLE, ITEM, JOIN
from iopio_async.model.module import Reach

#: Put in place of the folder of a file, so that it is told from the working directory.
ANCHOR = "@"

#: Resources of which each process has its own; by kind of touch.
PROCESS_KINDS = frozenset({"environ", "globals", "state"})

_LOCAL = frozenset({"", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "[::]", "[::1]", "*"})
#: Reading and writing these is nobody's business.
_NOWHERE = re.compile(r"/(dev|proc|sys)(/|$)")
_NUMBER = re.compile(r"[0-9]{1,5}")

#: Of each service by the name in its urls: its own name, its port, and its database by default.
SERVICES: dict[str, tuple[str, str, str]] = {
    "postgresql": ("postgresql", "5432", ""),
    "postgres": ("postgresql", "5432", ""),
    "mysql": ("mysql", "3306", ""),
    "mariadb": ("mysql", "3306", ""),
    "redis": ("redis", "6379", "0"),
    "rediss": ("redis", "6379", "0"),
    "mongodb": ("mongodb", "27017", ""),
    "kafka": ("kafka", "9092", ""),
    "amqp": ("amqp", "5672", ""),
    "pyamqp": ("amqp", "5672", ""),
    "mssql": ("mssql", "1433", ""),
    "oracle": ("oracle", "1521", ""),
    "clickhouse": ("clickhouse", "9000", ""),
    "cassandra": ("cassandra", "9042", ""),
    "elasticsearch": ("elasticsearch", "9200", ""),
    "memcached": ("memcached", "11211", ""),
    "nats": ("nats", "4222", ""),
    "mqtt": ("mqtt", "1883", ""),
    "ldap": ("ldap", "389", ""),
}


def reach_of(kind: str) -> Reach:
    """Among whom the resources of a kind are shared."""
    return Reach.PROCESS if kind in PROCESS_KINDS else Reach.MACHINE


def resource(kind: str, text: str, *, moved: bool = False) -> str | None:
    """The name of what is reached; None where it is nothing that is shared.

    ``moved`` says that the working directory is unknown, and with it what relative paths mean.
    """
    name = _KINDS[kind.partition(":")[0]](kind, _visible(text))
    if moved and name is not None and name.startswith("path:"):
        place = name.removeprefix("path:")
        anchored = place.startswith((ANCHOR, "/", "~"))
        return _unanchored(name) if anchored else None
    return _unanchored(name)


def _unanchored(name: str | None) -> str | None:
    return name.replace(f"path:{ANCHOR}/", "path:", 1) if name else name


def _visible(text: str) -> str:
    """Environment variables by their names, as in a shell."""
    return HOLE.sub(lambda found: f"${found[2]}", text)


def _port(_kind: str, text: str) -> str | None:
    if text.startswith(ITEM):
        items = text[1:].split(ITEM)
        text = items[1] if len(items) > 1 else ""
    elif "://" in text:
        text = text.rpartition(":")[2].partition("/")[0]
    elif text.startswith("$") and text[1:].isidentifier():
        return f"port:{text}"
    else:
        text = text.rpartition(":")[2].partition("/")[0]
    if not _NUMBER.fullmatch(text) or not 0 < int(text) < 65536:
        return None
    return f"port:{int(text)}"


def _address(kind: str, text: str) -> str | None:
    if text.startswith((ITEM, "tcp://")):
        return _port(kind, text)
    if "/" in text and "://" not in text:
        return _path(kind, text)
    return _path(kind, text.removeprefix("ipc://")) if text.startswith("ipc://") else None


def _path(_kind: str, text: str) -> str | None:
    if ITEM in text or "\n" in text or "://" in text or text in {"", ":memory:"}:
        return None
    if text.isdigit():
        # A number, or a truth value, that is passed on as one: a descriptor, or an option.
        return None
    place = ""
    for part in text.split(JOIN):
        place = part if part.startswith(("/", "~", ANCHOR)) or not place else f"{place}/{part}"
    rooted = place.startswith("/")
    kept: list[str] = []
    for part in place.split("/"):
        if part in {"", "."}:
            continue
        if part == ".." and kept and kept[-1] not in {"..", ANCHOR}:
            kept.pop()
        elif part == ".." and rooted and not kept:
            continue
        else:
            kept.append(part)
    if kept[:2] == [ANCHOR, ".."]:
        # Above the root directory there is no name for it.
        return None
    place = ("/" if rooted else "") + "/".join(kept)
    if place in {"", "/", "~", ANCHOR, ".."} or place.startswith("../") or _NOWHERE.match(place):
        return None
    return f"path:{place}"


def _sqlite(kind: str, text: str) -> str | None:
    if text in {"", ":memory:"} or "mode=memory" in text:
        return None
    if text.startswith("file:"):
        text = text.removeprefix("file:").partition("?")[0].replace("//", "/", 1)
        if text == ":memory:":
            return None
    if text.startswith("$"):
        return f"dsn:{text}" if text[1:].isidentifier() else None
    return _path(kind, text)


def _url(kind: str, text: str) -> str | None:
    """A database's url; anything else names nothing."""
    if text.startswith(ITEM):
        text = text[1:].split(ITEM, maxsplit=1)[0]
    if re.fullmatch(r"\$[A-Za-z_]\w*", text):
        return f"dsn:{text}"
    scheme, separator, rest = text.partition("://")
    scheme = scheme.partition("+")[0].lower()
    if not separator:
        return None
    if scheme in {"sqlite", "duckdb", "sqlite3"}:
        return _sqlite(kind, rest.removeprefix("/").partition("?")[0] if rest else "")
    if scheme not in SERVICES:
        return None
    try:
        parts = urlsplit(f"x://{rest.partition(',')[0] if scheme == 'mongodb' else rest}")
        host, port = parts.hostname or "", str(parts.port or "")
    except ValueError:
        return None
    return _service(scheme, host, port, unquote(parts.path.strip("/")))


def _service(scheme: str, host: str, port: str, database: str) -> str:
    name, usual_port, usual_database = SERVICES[scheme]
    where = "localhost" if host in _LOCAL else host
    database = database or usual_database
    return f"{name}://{where}:{port or usual_port}" + (f"/{database}" if database else "")


def _driver(kind: str, text: str) -> str | None:
    """A driver's arguments: url, host, port and database; the scheme is in the kind."""
    scheme = kind.partition(":")[2]
    url, host, port, database = (text.removeprefix(ITEM).split(ITEM) + [""] * 4)[:4]
    if url.startswith("$"):
        return f"dsn:{url}"
    if "://" in url:
        return _url(kind, url)
    if "=" in url:
        pairs = dict(pair.partition("=")[::2] for pair in url.split())
        host, port = pairs.get("host", host), pairs.get("port", port)
        database = pairs.get("dbname", database)
        if host.startswith("/"):
            host = ""
    elif url:
        first = url.partition(",")[0]
        if re.fullmatch(r"[\w.*\[\]-]+(:\d+)?", first):
            host, _, given = first.partition(":")
            port = given or port
    return _service(scheme, host, port, database)


def _named(_kind: str, text: str) -> str | None:
    return text or None


def _container(_kind: str, text: str) -> str | None:
    return f"container:{text}" if text and not text.startswith("$") else None


def _shm(_kind: str, text: str) -> str | None:
    return f"shm:{text}" if text else None


def _environ(_kind: str, text: str) -> str | None:
    return f"environ:{text}" if text else "environ"


def _globals(_kind: str, text: str) -> str | None:
    return f"globals:{text}" if text else None


def _gpu(_kind: str, text: str) -> str | None:
    return "gpu" if text.strip() not in {"", "-1"} else None


_KINDS: dict[str, Callable[[str, str], str | None]] = {
    "port": _port,
    "address": _address,
    "path": _path,
    "sqlite": _sqlite,
    "url": _url,
    "driver": _driver,
    "name": _named,
    "state": _named,
    "container": _container,
    "environ": _environ,
    "globals": _globals,
    "gpu": _gpu,
    "shm": _shm,
}
KINDS = frozenset(_KINDS)
