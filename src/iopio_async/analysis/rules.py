"""The table of what claims what: one row a call, a mark, a fixture or a base class.

A row names a call in one of four ways: ``http.server.HTTPServer``, a dotted name; ``redis:Redis``,
a last name anywhere in a package; ``cupy.*``, everything of a package; ``.bind``, a method of
whatever object. Where its arguments say what is reached stands in ``at``: positions and keywords,
of which the first that is given counts. Configuration and plugins add rows of the same form.
"""

import msgspec

from iopio_async.model.module import Mode

#: Instead of an argument: the object whose method is called.
RECEIVER = "self"

Place = int | str


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One row. ``kind`` is one of ``analysis.resources.KINDS``; kind ``name`` takes ``resource``.

    ``default`` is what is reached where no argument says so; without it, nothing is. ``mode_at`` is
    where a file's mode stands: reading shares. A row with ``requires`` counts only in files that
    import one of these packages. ``host``, ``port`` and ``database`` are further arguments of a
    driver. ``on`` are the only names of objects whose method counts, and a call with one of the
    keywords ``unless`` is left to whoever made what is given there.
    """

    call: str
    kind: str = "name"
    at: tuple[Place, ...] = ()
    mode: Mode = Mode.EXCLUSIVE
    why: str = ""
    resource: str = ""
    default: str | None = None
    mode_at: tuple[Place, ...] = ()
    requires: tuple[str, ...] = ()
    host: tuple[Place, ...] = ()
    port: tuple[Place, ...] = ()
    database: tuple[Place, ...] = ()
    on: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()


_X, _S = Mode.EXCLUSIVE, Mode.SHARED
_SERVER = "listens on a fixed port"


def _ports(at: tuple[Place, ...], *calls: str, default: str | None = None) -> list[Rule]:
    return [Rule(call, "port", at, why=_SERVER, default=default) for call in calls]


def _paths(at: tuple[Place, ...], mode: Mode, why: str, *calls: str) -> list[Rule]:
    return [Rule(call, "path", at, mode, why) for call in calls]


def _opens(at: tuple[Place, ...], mode_at: tuple[Place, ...], *calls: str) -> list[Rule]:
    return [Rule(call, "path", at, why="opens a file", mode_at=mode_at) for call in calls]


def _state(resource: str, why: str, *calls: str) -> list[Rule]:
    return [Rule(call, "state", why=why, resource=resource) for call in calls]


def _driver(
    scheme: str,
    *calls: str,
    at: tuple[Place, ...] = (),
    host: tuple[Place, ...] = ("host",),
    port: tuple[Place, ...] = ("port",),
    database: tuple[Place, ...] = (),
    unless: tuple[str, ...] = (),
) -> list[Rule]:
    why = f"connects to {scheme}"
    plain = Rule("", f"driver:{scheme}", at, _X, why, host=host, port=port, database=database)
    return [msgspec.structs.replace(plain, call=call, unless=unless) for call in calls]


_FIRST = (0, "server_address", "address", "addr")

RULES: tuple[Rule, ...] = (
    # Ports and sockets.
    *[Rule(call, "address", (0,), why="binds a fixed address") for call in (".bind",)],
    Rule("socket.create_server", "address", (0, "address"), why=_SERVER),
    *_ports(
        _FIRST,
        "http.server:HTTPServer",
        "http.server:ThreadingHTTPServer",
        "socketserver:TCPServer",
        "socketserver:UDPServer",
        "socketserver:ThreadingTCPServer",
        "socketserver:ThreadingUDPServer",
        "socketserver:ForkingTCPServer",
        "xmlrpc.server:SimpleXMLRPCServer",
        "smtpd:SMTPServer",
        "pyftpdlib:FTPServer",
        "pyftpdlib:ThreadedFTPServer",
        "gevent:WSGIServer",
        "gevent:StreamServer",
        "cheroot:Server",
        "multiprocessing.connection.Listener",
        "multiprocessing.managers.BaseManager",
    ),
    *_ports(
        (1, "port"),
        "wsgiref.simple_server.make_server",
        "werkzeug:run_simple",
        "werkzeug:make_server",
        "trio:serve_tcp",
        "websockets:serve",
        "aiohttp:TCPSite",
        "telnetlib3:create_server",
        "asyncssh:listen",
    ),
    *_ports((2, "port"), "asyncio.start_server", "aiohttp:TCPSite", "websockets:serve"),
    *_ports(("port",), "aiohttp:TestServer", "aiohttp.web.run_app", "hypercorn:serve"),
    *_ports(("port",), "sanic:create_server", "bottle:run", "waitress:serve", "uvicorn:Config"),
    *_ports(("port", 2), "uvicorn.run", default="8000"),
    # Who reaches into these modules builds a server; a configuration alone listens on nothing.
    *_ports(("port",), "uvicorn.config.Config", default="8000"),
    *_ports(("port",), "aiosmtpd:Controller", "mockserver:MockServer", "pytest_postgresql:*"),
    *_ports(("local_port",), "anyio:create_tcp_listener", "anyio:create_udp_socket"),
    *_ports((0, "port"), "prometheus_client:start_http_server", "trio:open_tcp_listeners"),
    *_ports(("port",), ".postgresql_proc", ".redis_proc", ".mysql_proc", ".mongo_proc"),
    *_ports((0,), ".add_insecure_port", ".add_secure_port"),
    *_ports((0, "port"), "twisted:listenTCP", "twisted:listenUDP", "twisted:listenSSL"),
    *_ports(("dashboard_address",), "dask:LocalCluster", "distributed:LocalCluster"),
    *_ports(("scheduler_port",), "dask:LocalCluster", "distributed:LocalCluster"),
    Rule(".create_server", "port", (2, "port"), why=_SERVER),
    Rule(".create_datagram_endpoint", "address", ("local_addr",), why=_SERVER),
    *[
        Rule(".listen", "port", (0,), why=_SERVER, requires=("tornado",)),
        Rule(".run", "port", ("port",), why=_SERVER, requires=("flask", "quart", "dash", "sanic")),
        Rule(".run", "port", ("port",), why=_SERVER, requires=("bottle", "fastmcp", "gradio")),
        Rule(".launch", "port", ("server_port",), why=_SERVER, requires=("gradio",)),
        Rule(
            ".run", "port", ("port",), why=_SERVER, default="5000", requires=("flask",), on=("app",)
        ),
    ],
    *_paths(("path", 1), _X, "listens on a unix socket", "asyncio.start_unix_server"),
    *_paths(("path", 1), _X, "listens on a unix socket", ".create_unix_server"),
    *_paths((0,), _X, "listens on a unix socket", "socketserver:UnixStreamServer"),
    # Files.
    *_opens((0, "file"), (1, "mode"), "open", "io.open", "codecs.open", "aiofiles.open"),
    *_opens((0, "filename"), (1, "mode"), "gzip.open", "bz2.open", "lzma.open", "gzip.GzipFile"),
    *_opens((0, "name"), (1, "mode"), "tarfile.open", "tarfile.TarFile.open", "anyio.open_file"),
    *_opens((0, "file"), (1, "mode"), "zipfile.ZipFile", "tarfile.TarFile", "h5py.File"),
    *_opens((RECEIVER,), (0, "mode"), ".open"),
    *_paths(
        (RECEIVER,),
        _X,
        "writes a file",
        *[
            ".write_text",
            ".write_bytes",
            ".touch",
            ".unlink",
            ".rmdir",
            ".mkdir",
            ".symlink_to",
            ".hardlink_to",
        ],
    ),
    *_paths((RECEIVER,), _S, "reads a file", ".read_text", ".read_bytes"),
    *_paths((RECEIVER,), _S, "reads a folder", ".iterdir", ".glob", ".rglob"),
    *_paths((0, "file_"), _S, "reads a configuration", "alembic:Config"),
    *_paths((0, "fp"), _S, "reads a picture", "PIL:open"),
    Rule(".save", "path", (0, "fp"), why="writes a picture", requires=("PIL",)),
    *_paths(
        (0, "path"),
        _X,
        "changes a file or folder",
        *[
            "os.mkdir",
            "os.makedirs",
            "os.rmdir",
            "os.removedirs",
            "os.remove",
            "os.unlink",
            "os.truncate",
        ],
        *["os.chmod", "os.chown", "os.utime", "os.mkfifo", "shutil.rmtree"],
    ),
    *_paths((0, "path"), _S, "reads a folder", "os.listdir", "os.scandir", "os.walk"),
    *_paths((0, "src"), _X, "moves a file", "os.rename", "os.replace", "os.renames", "shutil.move"),
    *_paths(
        (1, "dst"),
        _X,
        "writes a file",
        *["os.rename", "os.replace", "os.renames", "shutil.move", "shutil.copy", "shutil.copy2"],
        *["shutil.copyfile", "shutil.copytree", "shutil.copymode", "os.symlink", "os.link"],
    ),
    *_paths(
        (0, "src"),
        _S,
        "reads a file",
        *["shutil.copy", "shutil.copy2", "shutil.copyfile", "shutil.copytree"],
    ),
    *_paths(
        (0, "filename"),
        _X,
        "writes a log file",
        "logging.FileHandler",
        "logging.handlers:RotatingFileHandler",
        "logging.handlers:TimedRotatingFileHandler",
        "logging.handlers:WatchedFileHandler",
    ),
    *_paths(("filename",), _X, "writes a log file", "logging.basicConfig"),
    *_paths(
        (0,), _X, "opens a database file", "shelve.open", "dbm.open", "tinydb:TinyDB", "lmdb:open"
    ),
    *_paths(
        (0, "lock_file"), _X, "locks a file", "filelock:FileLock", "fasteners:InterProcessLock"
    ),
    *_paths(
        (0, "path_or_buf", "path", "excel_writer"),
        _X,
        "writes a file",
        *[
            ".to_csv",
            ".to_parquet",
            ".to_pickle",
            ".to_excel",
            ".to_feather",
            ".to_hdf",
            ".to_stata",
        ],
    ),
    *_paths((0, "fname"), _X, "writes a figure", ".savefig", "matplotlib:savefig"),
    *_paths(
        (0, "file", "fname"),
        _X,
        "writes a file",
        "numpy:save",
        "numpy:savez",
        "numpy:savetxt",
        "numpy:savez_compressed",
    ),
    *_paths((1, "f", "filename"), _X, "writes a file", "torch:save", "joblib:dump"),
    *_paths(
        (0, "filepath_or_buffer", "file", "path", "f", "filename"),
        _S,
        "reads a file",
        *["pandas:read_csv", "pandas:read_parquet", "pandas:read_excel", "pandas:read_pickle"],
        *["pandas:read_json", "numpy:load", "numpy:loadtxt", "torch:load", "joblib:load"],
    ),
    Rule(
        "multiprocessing.shared_memory.SharedMemory",
        "shm",
        (0, "name"),
        why="uses shared memory by a fixed name",
    ),
    # Databases and brokers.
    *[
        Rule(call, "sqlite", at, why="opens an SQLite database")
        for call, at in {
            "sqlite3.connect": (0, "database"),
            "sqlite3.dbapi2.connect": (0, "database"),
            "aiosqlite:connect": (0, "database"),
            "duckdb:connect": (0, "database"),
            "peewee:SqliteDatabase": (0,),
            "playhouse:SqliteExtDatabase": (0,),
            "apsw:Connection": (0,),
            "sqlite_utils:Database": (0,),
        }.items()
    ],
    *[
        Rule(call, "url", at, why="connects to a database")
        for call, at in {
            "sqlalchemy:create_engine": (0, "url"),
            "sqlalchemy:create_async_engine": (0, "url"),
            "sqlmodel:create_engine": (0, "url"),
            "databases:Database": (0, "url"),
            "playhouse:connect": (0,),
            "dataset:connect": (0,),
            "tortoise:init": ("db_url",),
            "dj_database_url:parse": (0,),
            "edgedb:create_client": (0,),
        }.items()
    ],
    *_driver(
        "postgresql",
        *["psycopg2:connect", "psycopg:connect", "asyncpg:connect", "asyncpg:create_pool"],
        *["psycopg_pool:ConnectionPool", "psycopg_pool:AsyncConnectionPool", "aiopg:connect"],
        *["aiopg:create_pool", "psycopg2:ThreadedConnectionPool"],
        at=(0, "dsn", "conninfo"),
        database=("dbname", "database"),
    ),
    *_driver("postgresql", "pg8000:connect", database=("database",)),
    *_driver("postgresql", "peewee:PostgresqlDatabase", database=(0,)),
    *_driver("mysql", "peewee:MySQLDatabase", database=(0,)),
    *_driver(
        "mysql",
        *["pymysql:connect", "MySQLdb:connect", "aiomysql:connect", "aiomysql:create_pool"],
        "mysql.connector:connect",
        host=("host", 0),
        database=("database", "db"),
    ),
    *_driver(
        "redis",
        *["redis:Redis", "redis:StrictRedis", "aioredis:Redis", "coredis:Redis"],
        *["redis:ConnectionPool", "redis:BlockingConnectionPool"],
        host=("host", 0),
        port=("port", 1),
        database=("db", 2),
        unless=("connection_pool",),
    ),
    *_driver(
        "redis",
        *["redis:from_url", "aioredis:from_url", "aioredis:create_redis_pool"],
        at=(0, "url"),
    ),
    *_driver(
        "mongodb",
        *["pymongo:MongoClient", "pymongo:AsyncMongoClient", "motor:AsyncIOMotorClient"],
        at=(0, "host"),
        host=(),
    ),
    *_driver("mongodb", "mongoengine:connect", at=("host",), host=(), database=(0, "db")),
    *_driver(
        "kafka",
        *["kafka:KafkaProducer", "kafka:KafkaConsumer", "kafka:KafkaAdminClient"],
        *["aiokafka:AIOKafkaProducer", "aiokafka:AIOKafkaConsumer"],
        at=("bootstrap_servers",),
        host=(),
        port=(),
    ),
    *_driver(
        "kafka",
        *["confluent_kafka:Producer", "confluent_kafka:Consumer", "confluent_kafka:AdminClient"],
        at=("0[bootstrap.servers]",),
        host=(),
        port=(),
    ),
    *_driver("amqp", "pika:ConnectionParameters", host=("host", 0), port=("port", 1)),
    *_driver(
        "amqp", "pika:URLParameters", "aio_pika:connect", "aio_pika:connect_robust", at=(0, "url")
    ),
    *_driver("amqp", "kombu:Connection", at=(0, "hostname"), host=()),
    *_driver("elasticsearch", "elasticsearch:Elasticsearch", at=(0, "hosts"), host=()),
    *_driver("memcached", "pymemcache:Client", at=(0, "server"), host=()),
    *_driver("nats", "nats:connect", at=(0, "servers"), host=()),
    *[
        Rule("*", "url", (f"{key}",), why="the database of the application under test")
        for key in ("SQLALCHEMY_DATABASE_URI", "SQLALCHEMY_DATABASE_URL")
    ],
    # Containers.
    *[
        Rule(call, mode=_S, resource="docker", why="uses docker")
        for call in (
            "docker:from_env",
            "docker:DockerClient",
            "testcontainers.*",
            "aiodocker:Docker",
        )
    ],
    Rule(".run", "container", ("name",), why="a container with a fixed name", requires=("docker",)),
    Rule(".run", "port", ("ports{}",), why="a container's published port", requires=("docker",)),
    *[
        Rule(call, kind, at, why=why, requires=("testcontainers",))
        for call, kind, at, why in (
            (".with_bind_ports", "port", (1, "host"), "a container's published port"),
            (".with_name", "container", (0,), "a container with a fixed name"),
        )
    ],
    # Graphics processors.
    *[
        Rule(call, resource="gpu", why="uses a GPU")
        for call in ["cupy.*", "cudf.*", "cuml.*", "pycuda.*", "numba:cuda.*", "pynvml.*"]
    ],
    Rule(".cuda", resource="gpu", why="uses a GPU", requires=("torch",)),
    *[
        Rule(f"torch.cuda.{name}", resource="gpu", why="uses a GPU")
        for name in [
            "synchronize",
            "set_device",
            "current_device",
            "empty_cache",
            "Stream",
            "Event",
            "stream",
            "memory_allocated",
            "reset_peak_memory_stats",
            "get_device_properties",
            "mem_get_info",
        ]
    ],
    Rule("jax:devices", "gpu", ("0=gpu|cuda",), why="uses a GPU"),
    # The system.
    *[
        Rule(call, resource="system:clock", why="sets the system's clock")
        for call in ("time.clock_settime", "time.clock_settime_ns", "time.settimeofday")
    ],
    Rule("git:Repo", "path", ("0=.",), _S, "uses the project's repository", default=".git"),
    # What each process has for itself.
    *[
        Rule(call, "environ", (0,), why="changes an environment variable")
        for call in (
            *("os.environ.setdefault", "os.environ.pop", "os.putenv", "os.unsetenv"),
            *(".setenv", ".delenv"),
        )
    ],
    Rule("os.environ.update", "environ", ("{}",), why="changes environment variables"),
    Rule("os.environ.clear", "environ", (), why="changes the environment", default=""),
    Rule("dotenv:load_dotenv", "environ", (), why="changes the environment", default=""),
    *_state("cwd", "changes the working directory", "os.chdir", "os.fchdir", ".chdir"),
    *_state("cwd", "changes the working directory", "contextlib.chdir", ".isolated_filesystem"),
    *_state("sys.path", "changes sys.path", "sys.path.insert", "sys.path.append"),
    *_state(
        "sys.path", "changes sys.path", "sys.path.extend", "sys.path.remove", ".syspath_prepend"
    ),
    *_state("sys.modules", "changes sys.modules", "sys.modules.pop", "sys.modules.update"),
    *_state("sys.modules", "changes sys.modules", "sys.modules.setdefault", "importlib.reload"),
    *_state("locale", "changes the locale", "locale.setlocale", "time.tzset"),
    *_state(
        "signals", "changes signal handlers", "signal.signal", "signal.setitimer", "signal.alarm"
    ),
    *_state(
        "random",
        "seeds the random generator",
        "random.seed",
        "numpy.random.seed",
        "torch:manual_seed",
    ),
    *_state("umask", "changes the umask", "os.umask"),
    *_state("sockets", "changes the default of sockets", "socket.setdefaulttimeout"),
    *_state("recursion", "changes the recursion limit", "sys.setrecursionlimit"),
)
