"""Rows about the status of paths: whether, what and when they are, without a look into them.

The specification takes the time of modification for an input only where ``getmtime`` asked for it:
there is no row for ``os.stat(path).st_mtime`` of a file that is touched and otherwise unchanged.
"""

from cache_matrix.mutations import (
    Chmod,
    Delete,
    Folder,
    Link,
    Mutation,
    Touch,
    Write,
)
from cache_matrix.row import UNRELATED, Row, holding

THERE = {"data.txt": "one", "other.txt": "one", "folder/in.txt": ""}
CREATE, DELETE = Write("absent.txt", ""), Delete("data.txt")

#: No question of whether a file is there depends on what is in it.
BESIDE = (*UNRELATED, Write("data.txt", "changed"), Touch("data.txt"))

#: Questions of existence and kind: name → (expression, what makes it false).
QUESTIONS: dict[str, tuple[str, tuple[Mutation, ...]]] = {
    "exists": ("os.path.exists(DATA)", (DELETE,)),
    "not_exists": ("not os.path.exists(HERE / 'absent.txt')", (CREATE,)),
    "lexists": ("not os.path.lexists(HERE / 'absent.txt')", (Link("absent.txt", "nowhere"),)),
    "isfile": ("os.path.isfile(DATA)", (DELETE, Folder("data.txt"))),
    "not_isfile": ("not os.path.isfile(HERE / 'absent.txt')", (CREATE,)),
    "isdir": ("os.path.isdir(HERE / 'folder')", (Delete("folder"), Write("folder", ""))),
    "not_isdir": ("not os.path.isdir(HERE / 'absent')", (Folder("absent"),)),
    "islink": ("not os.path.islink(DATA)", (Link("data.txt", "unrelated.txt"),)),
    "path_exists": ("DATA.exists()", (DELETE,)),
    "path_not_exists": ("not (HERE / 'absent.txt').exists()", (CREATE,)),
    "path_is_file": ("DATA.is_file()", (DELETE,)),
    "path_is_dir": ("not (HERE / 'absent').is_dir()", (Folder("absent"),)),
    "path_is_symlink": ("not DATA.is_symlink()", (Link("data.txt", "unrelated.txt"),)),
    "access": ("not os.access(HERE / 'absent.txt', os.R_OK)", (CREATE,)),
    "relative": ("not os.path.exists(os.path.relpath(HERE / 'absent.txt'))", (CREATE,)),
    "which": ("shutil.which('tool', path=str(HERE)) is None", ()),
}

#: Questions about the whole status: name → (expression, what makes it false).
STATUSES: dict[str, tuple[str, tuple[Mutation, ...]]] = {
    "size": ("os.path.getsize(DATA) == 3", (Write("data.txt", "longer"),)),
    "path_size": ("DATA.stat().st_size == 3", (Write("data.txt", "longer"),)),
    "lstat": ("os.lstat(DATA).st_size == 3", (Write("data.txt", "longer"),)),
    "by_descriptor": (
        "os.stat('data.txt', dir_fd=os.open(HERE, os.O_RDONLY)).st_size == 3",
        (Write("data.txt", "longer"),),
    ),
    "fstat": ("os.fstat(os.open(DATA, os.O_RDONLY)).st_size == 3", (Write("data.txt", "longer"),)),
    "mode": ("os.stat(DATA).st_mode & 0o777 == 0o644", (Chmod("data.txt", 0o600),)),
    "path_mode": ("DATA.stat().st_mode & 0o777 == 0o644", (Chmod("data.txt", 0o600),)),
    "fstat_mode": (
        "os.fstat(os.open(DATA, os.O_RDONLY)).st_mode & 0o777 == 0o644",
        (Chmod("data.txt", 0o600),),
    ),
    "access_mode": ("not os.access(DATA, os.X_OK)", (Chmod("data.txt", 0o755),)),
    "folder_mode": (
        "os.stat(HERE / 'folder').st_mode & 0o777 == 0o755",
        (Chmod("folder", 0o700),),
    ),
    "samefile": ("not os.path.samefile(DATA, HERE / 'link')", (Link("link", "data.txt"),)),
}

ROWS: tuple[Row, ...] = (
    *(
        holding(
            f"asks_{name}",
            expression,
            *(change or (Write("tool", ""), Chmod("tool", 0o755))),
            imports="import shutil",
            files=THERE,
            before=(Chmod("data.txt", 0o644),),
            harmless=UNRELATED if name == "access" else BESIDE,
        )
        for name, (expression, change) in QUESTIONS.items()
    ),
    *(
        holding(
            f"status_{name}",
            expression,
            *change,
            files=THERE,
            before=(
                Chmod("data.txt", 0o644),
                Chmod("folder", 0o755),
                Link("link", "other.txt"),
            ),
        )
        for name, (expression, change) in STATUSES.items()
    ),
    holding(
        "asks_through_link",
        "(HERE / 'link' / 'in.txt').exists()",
        Link("link", "empty"),
        files={"folder/in.txt": "", "empty/other.txt": ""},
        before=(Link("link", "folder"),),
    ),
    holding(
        "time",
        "os.path.getmtime(DATA) > 1_000_000_000",
        Touch("data.txt"),
        files=THERE,
    ),
    holding(
        "newer_than",
        "os.path.getmtime(DATA) > os.path.getmtime(HERE / 'source.txt')",
        Touch("data.txt"),
        files={**THERE, "source.txt": ""},
        before=(Touch("source.txt"),),
    ),
)
