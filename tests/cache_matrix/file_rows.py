"""Rows about files that are read, directories that are listed, links and databases."""

from cache_matrix.mutations import (
    Delete,
    Folder,
    Link,
    Rename,
    Rewrite,
    Sql,
    Swap,
    Touch,
    Write,
)
from cache_matrix.row import UNRELATED, Level, Row, holding, reading

#: Ways to read a file: name → (expression, imports).
WAYS_TO_READ = {
    "open": ("open(DATA).read()", ""),
    "io_open": ("io.open(str(DATA), 'rb').read().decode()", "import io"),
    "fileio": ("io.FileIO(str(DATA)).readall().decode()", "import io"),
    "pathlib": ("DATA.read_text()", ""),
    "bytes_path": ("open(os.fsencode(DATA), 'rb').read().decode()", ""),
    "os_open": ("os.read(os.open(DATA, os.O_RDONLY), 9).decode()", ""),
    "dir_fd": (
        "os.read(os.open('data.txt', os.O_RDONLY, dir_fd=os.open(HERE, os.O_RDONLY)), 9).decode()",
        "",
    ),
    "opener": ("open(DATA, opener=lambda path, flags: os.open(path, flags)).read()", ""),
    "relative": ("open(os.path.relpath(DATA)).read()", ""),
    "after_chdir": ("(os.chdir(HERE), open('data.txt').read(), os.chdir(HERE.parent))[1]", ""),
    "not_normal": ("open(f'{HERE}/../{HERE.name}/./data.txt').read()", ""),
    "mmap": (
        "mmap.mmap(os.open(DATA, os.O_RDONLY), 0, prot=mmap.PROT_READ)[:].decode()",
        "import mmap",
    ),
    "read_write": ("open(DATA, 'r+').read()", ""),
    "resources": (
        "importlib.resources.files(package_ROW).joinpath('in.txt').read_text()",
        "import importlib.resources, package_ROW",
    ),
    "get_data": (
        "pkgutil.get_data('package_ROW', 'in.txt').decode()",
        "import pkgutil, package_ROW",
    ),
    "copied": (
        "pathlib.Path(shutil.copy(DATA, tempfile.mkdtemp())).read_text()",
        "import shutil, tempfile",
    ),
    "linecache": ("linecache.getline(str(DATA), 1).strip()", "import linecache"),
    "fileinput": ("''.join(fileinput.input([DATA]))", "import fileinput"),
    "filecmp": ("['two', 'one'][filecmp.cmp(DATA, HERE / 'same.txt', False)]", "import filecmp"),
    "other_thread": (
        "concurrent.futures.ThreadPoolExecutor(1).submit(DATA.read_text).result()",
        "import concurrent.futures",
    ),
    "at_import": ("VALUE", "VALUE = DATA.read_text()"),
}

#: What can happen to a file that was read: name → how.
CHANGES_OF_A_FILE = {
    "delete": Delete("data.txt"),
    "rename": Rename("data.txt", "renamed.txt"),
    "same_size_same_mtime": Rewrite("data.txt", "two"),
    "same_size_same_second": Rewrite("data.txt", "two", same_second_only=True),
    "swap": Swap("data.txt", "two"),
    "link": Link("data.txt", "two.txt"),
}

FILES = {
    "two.txt": "two",
    "same.txt": "one",
    "package_ROW/__init__.py": "",
    "package_ROW/in.txt": "one",
}

IGNORES_A_MISS = "open(DATA).read() if DATA.is_file() else 'one'"

#: Ways to list a directory: name → (expression that gives names, imports).
WAYS_TO_LIST = {
    "listdir": ("os.listdir(FOLDER)", ""),
    "scandir": ("[entry.name for entry in os.scandir(FOLDER)]", ""),
    "iterdir": ("[path.name for path in FOLDER.iterdir()]", ""),
    "glob": ("[os.path.basename(name) for name in glob.glob(f'{FOLDER}/*')]", "import glob"),
    "rglob": ("[path.name for path in FOLDER.rglob('*')]", ""),
    "walk": ("[name for _, folders, files in os.walk(FOLDER) for name in folders + files]", ""),
    "listdir_descriptor": ("os.listdir(os.open(FOLDER, os.O_RDONLY))", ""),
    "listdir_here": ("(os.chdir(FOLDER), os.listdir(), os.chdir(HERE.parent))[1]", ""),
    "copytree": (
        "os.listdir(shutil.copytree(FOLDER, tempfile.mkdtemp(), dirs_exist_ok=True))",
        "import shutil, tempfile",
    ),
}

#: What can happen to a listed directory that holds ``a.txt`` and ``b.txt``.
CHANGES_OF_A_LISTING = {
    "create": Write("folder/c.txt", ""),
    "create_folder": Folder("folder/c"),
    "delete": Delete("folder/b.txt"),
    "rename": Rename("folder/b.txt", "folder/c.txt"),
    "folder_deleted": Delete("folder"),
    "hidden": Write("folder/.hidden", ""),
}

#: Nothing of this is seen in a list of names.
BESIDE_A_LISTING = (
    *UNRELATED,
    Write("folder/a.txt", "changed"),
    Write("folder/__pycache__/module.pyc", ""),
)


def listing(name: str, way: str, change: object, harmless: object = BESIDE_A_LISTING) -> Row:
    """A row whose test holds which names are in ``folder``."""
    expression, imports = WAYS_TO_LIST[way]
    return Row(
        name=name,
        test=(
            f"{imports}\nFOLDER = HERE / 'folder'\ndef test_it():\n    found = {expression}\n"
            "    assert sorted(set(found) - {'__pycache__', 'module.pyc'}) == ['a.txt', 'b.txt']\n"
        ),
        files={"folder/a.txt": "", "folder/b.txt": ""},
        change=(change,),  # type: ignore[arg-type]
        harmless=harmless,  # type: ignore[arg-type]
    )


def sqlite(name: str, statements: str, statement: str, **more: object) -> Row:
    """A row whose test reads a number from a database."""
    return Row(
        name=f"sqlite_{name}",
        test=(
            f"import sqlite3\ndef test_it():\n    connection = {statement}\n"
            "    found = connection.execute('select number from numbers').fetchall()\n"
            "    connection.close()\n    assert found == [(1,)]\n"
        ),
        before=(
            Sql("base.db", "create table numbers (number); insert into numbers values (1)"),
            Sql("empty.db", "create table unused (number)"),
        ),
        change=(Sql("base.db", statements),),
        **more,  # type: ignore[arg-type]
    )


ROWS: tuple[Row, ...] = (
    *(
        reading(
            f"read_{name}",
            expression,
            imports,
            files=FILES,
            change=(Write("data.txt", "two"), Write("package_ROW/in.txt", "two")),
        )
        for name, (expression, imports) in WAYS_TO_READ.items()
    ),
    *(
        reading(f"data_{name}", "open(DATA).read()", files=FILES, change=(change,))
        for name, change in CHANGES_OF_A_FILE.items()
    ),
    reading(
        "data_touched_only",
        "open(DATA).read()",
        harmless=(*UNRELATED, Touch("data.txt"), Swap("data.txt", "one")),
    ),
    # Files that are not there yet.
    Row(
        name="missing_open",
        test=(
            "def test_it():\n    try:\n        text = open(HERE / 'absent.txt').read()\n"
            "    except FileNotFoundError:\n        text = 'one'\n    assert text == 'one'\n"
        ),
        change=(Write("absent.txt", "two"),),
    ),
    Row(
        name="missing_configuration",
        test=(
            "import configparser\ndef test_it():\n"
            "    assert configparser.ConfigParser().read(HERE / 'absent.ini') == []\n"
        ),
        change=(Write("absent.ini", ""),),
    ),
    Row(
        name="missing_folder",
        test=(
            "def test_it():\n    try:\n        found = os.listdir(HERE / 'absent')\n"
            "    except FileNotFoundError:\n        found = None\n    assert found is None\n"
        ),
        change=(Folder("absent"),),
    ),
    Row(
        name="missing_above",
        test=(
            "def test_it():\n    try:\n        text = open(HERE / 'a' / 'b' / 'c.txt').read()\n"
            "    except FileNotFoundError:\n        text = 'one'\n    assert text == 'one'\n"
        ),
        change=(Write("a/b/c.txt", "two"),),
    ),
    reading(
        "missing_asked_first",
        IGNORES_A_MISS,
        files={"data.txt": "one"},
    ),
    # Outside of the project.
    Row(
        name="outside",
        test="def test_it():\n    assert open('@OUT@/ROW.txt').read() == 'one'\n",
        files={"OUT/ROW.txt": "one"},
        harmless=(*UNRELATED, Write("OUT/other_ROW.txt", "")),
        change=(Rewrite("OUT/ROW.txt", "two"),),
    ),
    Row(
        name="outside_missing",
        test="def test_it():\n    assert not os.path.exists('@OUT@/ROW.txt')\n",
        change=(Write("OUT/ROW.txt", ""),),
    ),
    # Links.
    reading(
        "link_target_changed",
        "open(HERE / 'link.txt').read()",
        before=(Link("link.txt", "data.txt"),),
    ),
    reading(
        "link_led_elsewhere",
        "open(HERE / 'link.txt').read()",
        files={"two.txt": "two"},
        before=(Link("link.txt", "data.txt"),),
        change=(Link("link.txt", "two.txt"),),
    ),
    reading(
        "link_of_a_link",
        "open(HERE / 'link.txt').read()",
        files={"two.txt": "two"},
        before=(Link("middle.txt", "data.txt"), Link("link.txt", "middle.txt")),
        change=(Link("middle.txt", "two.txt"),),
    ),
    reading(
        "link_folder",
        "open(HERE / 'link' / 'in.txt').read()",
        files={"one/in.txt": "one", "two/in.txt": "two"},
        before=(Link("link", "one"),),
        change=(Link("link", "two"),),
    ),
    reading(
        "link_dangling",
        "open(HERE / 'link.txt').read() if os.path.exists(HERE / 'link.txt') else 'one'",
        before=(Link("link.txt", "later.txt"),),
        change=(Write("later.txt", "two"),),
    ),
    holding(
        "link_read",
        "os.readlink(HERE / 'link.txt') == 'data.txt'",
        Link("link.txt", "same.txt"),
        files={"data.txt": "one", "same.txt": "one"},
        before=(Link("link.txt", "data.txt"),),
    ),
    holding(
        "link_resolved",
        "(HERE / 'link.txt').resolve().name == 'data.txt'",
        Link("link.txt", "same.txt"),
        files={"data.txt": "one", "same.txt": "one"},
        before=(Link("link.txt", "data.txt"),),
    ),
    # Listings.
    *(
        listing(f"list_{way}", way, CHANGES_OF_A_LISTING["create"])
        for way in WAYS_TO_LIST
        if way != "copytree"
    ),
    *(
        listing(f"listing_{name}", "listdir", change)
        for name, change in CHANGES_OF_A_LISTING.items()
        if name != "create"
    ),
    listing("list_copytree", "copytree", CHANGES_OF_A_LISTING["create"], UNRELATED),
    listing("list_deep", "rglob", Write("folder/__init__/deep.txt", "")),
    holding(
        "listing_types",
        "[entry.name for entry in os.scandir(HERE / 'folder') if entry.is_dir()] == ['a']",
        Delete("folder/a"),
        Write("folder/a", ""),
        files={"folder/a/in.txt": "", "folder/b": ""},
        harmless=UNRELATED,
    ),
    holding(
        "listing_entry_status",
        "[entry.stat().st_size for entry in os.scandir(HERE / 'folder')] == [3]",
        Write("folder/a.txt", "longer"),
        files={"folder/a.txt": "one"},
        harmless=UNRELATED,
    ),
    # Databases.
    sqlite("changed", "update numbers set number = 2", "sqlite3.connect(HERE / 'base.db')"),
    sqlite(
        "by_address",
        "update numbers set number = 2",
        "sqlite3.connect(f'file:{HERE}/base.db?mode=ro', uri=True)",
    ),
    sqlite("table_dropped", "drop table numbers", "sqlite3.connect(str(HERE / 'base.db'))"),
    Row(
        name="sqlite_attached",
        test=(
            "import sqlite3\ndef test_it():\n"
            "    connection = sqlite3.connect(':memory:')\n"
            "    connection.execute('attach ? as other', (str(HERE / 'base.db'),))\n"
            "    found = connection.execute('select number from other.numbers').fetchall()\n"
            "    connection.close()\n    assert found == [(1,)]\n"
        ),
        before=(Sql("base.db", "create table numbers (number); insert into numbers values (1)"),),
        change=(Sql("base.db", "update numbers set number = 2"),),
        level=Level.COARSE,
    ),
    # What the standard library reads by C code of its own.
    Row(
        name="readline_history",
        test=(
            "import pytest\nreadline = pytest.importorskip('readline')\ndef test_it():\n"
            "    readline.read_history_file(str(DATA))\n"
            "    assert readline.get_history_item(1) in ('_HiStOrY_V2_', 'one')\n"
        ),
        files={"data.txt": "one\n"},
        change=(Write("data.txt", "two\n"),),
        level=Level.FREE,
    ),
    Row(
        name="ssl_certificates",
        test=(
            "import ssl, pytest\ndef test_it():\n"
            "    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)\n"
            "    with pytest.raises(FileNotFoundError):\n"
            "        context.load_verify_locations(str(HERE / 'absent.pem'))\n"
        ),
        change=(Write("absent.pem", "nothing of the kind"),),
        level=Level.FREE,
    ),
)
