"""The receipt of a run in which every result came from the cache: the same command's next answer.

A receipt holds what the run printed and, for every file and directory that it depended on, the
status it had. While all of these hold, running the command again would look up the same results and
print the same text; so that is done at once. Nothing but the standard library is imported here, and
little of it: the answer is there before pytest could have been imported.

The name of a receipt is a keyed digest of the command line, the directory, the terminal, the
interpreter and the whole environment; its content begins with a checksum. Whatever is amiss with it
means that there is none.
"""

import os
import sys
import time

from iopio_async.version import __version__

FOLDER = (".test_cache", "v1", "receipts")

#: The key of the digests that keep what the environment holds from being read in names of files.
SECRET = "secret"

#: Counted up whenever one version can not read, or must not trust, the receipts of another.
FORMAT = 3

#: Variables that differ from shell to shell and mean nothing to a run.
VOLATILE = frozenset(
    {"_", "SHLVL", "PWD", "OLDPWD", "WINDOWID", "TERM_SESSION_ID", "COLORTERM", "TMPDIR"}
)

#: Changes of a file younger than this may share their time stamp with an earlier one.
GRANULARITY_NS = 20_000_000

#: What a changing part of the text is replaced by: the time that the run took.
DURATION = "\0"

_MAX_BYTES = 64 * 1024 * 1024

#: Status of a path: device, inode, size, modified, changed (both in nanoseconds), mode.
Status = tuple[int, int, int, int, int, int]

ABSENT: Status = (0, 0, 0, 0, 0, 0)

# Bound before ``watching`` replaces it.
_stat = os.stat


def status_of(path: str | bytes, *, follow: bool = True) -> Status:
    """The status of a path; :data:`ABSENT` where it leads nowhere."""
    try:
        st = _stat(path, follow_symlinks=follow)
    except (OSError, ValueError):
        return ABSENT
    return (st.st_dev, st.st_ino, st.st_size, st.st_mtime_ns, st.st_ctime_ns, st.st_mode)


def type_of(status: Status) -> Status:
    """A status of which only the type is left, and which of its kind it is."""
    return (status[0], status[1], 0, 0, 0, status[5])


def answer(arguments: list[str], *, cwd_on_path: bool) -> int | None:
    """Print what the same command printed, if all still holds; its exit code, or ``None``."""
    if arguments[:1] != ["run"] or "IOPIO_CACHE_DIR" in os.environ or sys.stdout is None:
        return None
    started_s = time.perf_counter()
    folder = _nearest_folder()
    if folder is None:
        return None
    try:
        name = receipt_name(folder, arguments, cwd_on_path=cwd_on_path)
        text = _read(folder, name)
    except (OSError, ValueError):
        return None
    if text is None:
        return None
    return _say(text.replace(DURATION, f"{time.perf_counter() - started_s:.2f} s"))


def _say(text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    return 0


def _nearest_folder() -> str | None:
    """The receipts of the project that the current directory is in."""
    try:
        here = os.getcwd()
    except OSError:
        return None
    while True:
        folder = os.path.join(here, *FOLDER)
        if os.path.isdir(folder):
            return folder if _is_trusted(here) else None
        parent = os.path.dirname(here)
        if parent == here:
            return None
        here = parent


def _is_trusted(root: str) -> bool:
    """The folders are this user's own, no links, and nobody else may write to them."""
    folder = root
    for part in FOLDER:
        folder = os.path.join(folder, part)
        st = os.lstat(folder)
        if st.st_mode & 0o170022 != 0o040000 or st.st_uid != os.geteuid():
            return False
    return True


def receipt_name(folder: str, arguments: list[str], *, cwd_on_path: bool) -> str:
    """The name of the receipt of this command, here and now.

    Raises:
        OSError: the key can't be read.
    """
    from hashlib import blake2b

    environment = sorted(item for item in os.environ.items() if item[0] not in VOLATILE)
    umask = os.umask(0o077)
    os.umask(umask)
    about = (
        FORMAT,
        __version__,
        status_of(__file__),
        arguments,
        cwd_on_path,
        os.getcwd(),
        sys.executable,
        sys.version,
        sys.flags,
        sys.path,
        _terminal(),
        umask,
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        environment,
    )
    with open(os.path.join(folder, SECRET), "rb") as file:
        secret = file.read(64)
    if len(secret) < 32:
        raise OSError("the key was cut")
    return blake2b(repr(about).encode("utf-8", "surrogateescape"), key=secret).hexdigest()[:40]


def _terminal() -> tuple[object, ...]:
    """What decides how text looks: kind and size of the terminal, and the encoding."""
    if not sys.stdout.isatty():
        return (False, sys.stdout.encoding)
    try:
        return (True, sys.stdout.encoding, tuple(os.get_terminal_size(sys.stdout.fileno())))
    except OSError:
        return (True, sys.stdout.encoding)


def _read(folder: str, name: str) -> str | None:
    """The text of a receipt if all that it depends on is as it was."""
    import json
    from hashlib import sha256

    descriptor = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        data = file.read(_MAX_BYTES)
    checksum, _, body = data.partition(b"\n")
    if sha256(name.encode() + body).hexdigest().encode() != checksum:
        return None
    head, _, paths = body.partition(b"\n")
    about = json.loads(head)
    now_s = time.time()
    if not about["written_at_s"] <= now_s < about["expires_at_s"]:
        return None
    if _digest(*(group.split(b"\0") for group in paths.split(b"\0\0"))) != about["status"]:
        return None
    text = about["text"]
    return text if isinstance(text, str) else None


def _digest(followed: list[bytes], unfollowed: list[bytes], folders: list[bytes]) -> str:
    from hashlib import sha256

    stati = [status_of(path) for path in followed if path]
    stati += [status_of(path, follow=False) for path in unfollowed if path]
    stati += [type_of(status_of(path)) for path in folders if path]
    return sha256(repr(stati).encode()).hexdigest()


def write(
    folder: str,
    name: str,
    *,
    text: str,
    followed: dict[str, Status],
    unfollowed: dict[str, Status],
    dated: set[str],
    began_ns: int,
    expires_at_s: float,
) -> bool:
    """Write a receipt of a run that began to look at these at ``began_ns``.

    Of directories that are not among the ``dated`` ones only the type counts. False where
    something changed so shortly before, or later, that another change could hide.

    Raises:
        OSError: it can't be written.
    """
    import json
    import tempfile
    from hashlib import sha256
    from stat import S_ISDIR

    folders = {}
    for group in (followed, unfollowed):
        for path, status in list(group.items()):
            if S_ISDIR(status[5]) and path not in dated:
                folders[path] = type_of(group.pop(path))
    oldest_ns = began_ns - GRANULARITY_NS
    for path, status in (*followed.items(), *unfollowed.items()):
        if "\0" in path or max(status[3], status[4]) > oldest_ns:
            return False
    stati = [*followed.values(), *unfollowed.values(), *folders.values()]
    about = {
        "written_at_s": time.time(),
        "expires_at_s": expires_at_s,
        "status": sha256(repr(stati).encode()).hexdigest(),
        "text": text,
    }
    groups = (followed, unfollowed, folders)
    paths = b"\0\0".join(b"\0".join(map(os.fsencode, each)) for each in groups)
    body = json.dumps(about).encode() + b"\n" + paths
    checksum = sha256(name.encode() + body).hexdigest().encode()
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".receipt-")
    try:
        with open(descriptor, "wb") as file:
            file.write(checksum + b"\n" + body)
        os.replace(temporary, os.path.join(folder, name))
    except BaseException:
        os.unlink(temporary)
        raise
    return True
