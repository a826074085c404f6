"""What can happen to a tree between two runs, as values: the vocabulary of the matrix's rows.

A path is relative to the row's own folder, or begins with ``TOP/`` (the project's root), ``SITE/``
(the environment's ``site-packages``) or ``OUT/`` (a folder outside of the project). In paths and
contents ``ROW`` stands for the row's name, and ``@HERE@``, ``@TOP@``, ``@SITE@`` and ``@OUT@`` for
those folders' absolute paths.
"""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sysconfig
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOTS = ("TOP", "SITE", "OUT")
SECOND_NS = 1_000_000_000


class Place:
    """Where a row's paths lead to, and the variables that its runs are given."""

    def __init__(self, row: str, folders: dict[str, Path], variables: dict[str, str]) -> None:
        self.row = row
        self.folders = folders
        self.variables = variables

    def text(self, content: str) -> str:
        """A row's text with everything filled in."""
        for name, folder in self.folders.items():
            content = content.replace(f"@{name}@", str(folder))
        return content.replace("ROW", self.row)

    def path(self, name: str) -> Path:
        """The absolute path that a row means."""
        head, _, rest = self.text(name).partition("/")
        if head in ROOTS:
            return self.folders[head] / rest
        return self.folders["HERE"] / self.text(name)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file and the folders above it."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else self.text(content).encode())
        return path


class Mutation(Protocol):
    """Something that happens to a tree or to the environment."""

    def apply(self, place: Place) -> None: ...


@dataclass(frozen=True)
class Write:
    """New content, or a new file."""

    path: str
    content: str | bytes

    def apply(self, place: Place) -> None:
        place.write(self.path, self.content)


@dataclass(frozen=True)
class Rewrite:
    """New content of the same size; the time of modification stays, or moves within its second."""

    path: str
    content: str
    same_second_only: bool = False

    def apply(self, place: Place) -> None:
        path = place.path(self.path)
        before = path.stat()
        path.write_text(place.text(self.content))
        assert path.stat().st_size == before.st_size, "a rewrite keeps the size"
        moved_ns = before.st_mtime_ns
        if self.same_second_only:
            moved_ns = moved_ns - moved_ns % SECOND_NS + (moved_ns + SECOND_NS // 2) % SECOND_NS
        os.utime(path, ns=(before.st_atime_ns, moved_ns))


@dataclass(frozen=True)
class Swap:
    """Another file put into its place, as editors do it, with the old one's times."""

    path: str
    content: str

    def apply(self, place: Place) -> None:
        path = place.path(self.path)
        before = path.stat()
        other = path.with_name(f"{path.name}~")
        other.write_text(place.text(self.content))
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(path)


@dataclass(frozen=True)
class Delete:
    """A file or a folder goes away."""

    path: str

    def apply(self, place: Place) -> None:
        path = place.path(self.path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@dataclass(frozen=True)
class Rename:
    """A file or a folder gets another name."""

    path: str
    to: str

    def apply(self, place: Place) -> None:
        place.path(self.path).rename(place.path(self.to))


@dataclass(frozen=True)
class Chmod:
    """Other permissions."""

    path: str
    mode: int

    def apply(self, place: Place) -> None:
        place.path(self.path).chmod(self.mode)


@dataclass(frozen=True)
class Touch:
    """Another time of modification and nothing else."""

    path: str

    def apply(self, place: Place) -> None:
        os.utime(place.path(self.path), (1_000_000_000, 1_000_000_000))


@dataclass(frozen=True)
class Link:
    """A symbolic link, new or led elsewhere."""

    path: str
    target: str

    def apply(self, place: Place) -> None:
        path = place.path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(place.text(self.target))


@dataclass(frozen=True)
class Folder:
    """A new folder."""

    path: str

    def apply(self, place: Place) -> None:
        place.path(self.path).mkdir(parents=True)


@dataclass(frozen=True)
class Variable:
    """An environment variable of the next runs; ``None`` takes it away."""

    name: str
    value: str | None

    def apply(self, place: Place) -> None:
        name = place.text(self.name)
        if self.value is None:
            del place.variables[name]
        else:
            place.variables[name] = place.text(self.value)


@dataclass(frozen=True)
class Sql:
    """Statements executed on a database, which is made if there is none."""

    path: str
    statements: str

    def apply(self, place: Place) -> None:
        path = place.path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path)
        connection.executescript(self.statements)
        connection.close()


@dataclass(frozen=True)
class Zip:
    """An archive with one member."""

    path: str
    member: str
    content: str

    def apply(self, place: Place) -> None:
        path = place.path(self.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(place.text(self.member), place.text(self.content))


@dataclass(frozen=True)
class Git:
    """A git command in the project's root."""

    arguments: tuple[str, ...]

    def apply(self, place: Place) -> None:
        settings = ("user.name=a", "user.email=a@example.org", "commit.gpgsign=false")
        options = [word for setting in settings for word in ("-c", setting)]
        subprocess.run(
            ["git", *options, *self.arguments],
            cwd=place.folders["TOP"],
            env=os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
            check=True,
            capture_output=True,
        )


@dataclass(frozen=True)
class Distribution:
    """An installed distribution of one module; ``None`` as version takes it away."""

    name: str
    version: str | None
    source: str = ""
    entry_points: str = ""

    def apply(self, place: Place) -> None:
        name = place.text(self.name)
        site = place.folders["SITE"]
        for old in site.glob(f"{name}-*.dist-info"):
            shutil.rmtree(old)
        # Installers remove the byte code of what they replace.
        for compiled in site.glob(f"__pycache__/{name}.*"):
            compiled.unlink()
        if self.version is None:
            (site / f"{name}.py").unlink()
            return
        place.write(f"SITE/{name}.py", self.source)
        info = f"{name}-{self.version}.dist-info"
        digest = hashlib.sha256(self.source.encode()).hexdigest()
        record = f"{name}.py,sha256={digest},{len(self.source)}\n{info}/METADATA,,\n"
        place.write(f"SITE/{info}/RECORD", record)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {self.version}\n"
        place.write(f"SITE/{info}/METADATA", metadata)
        if self.entry_points:
            place.write(f"SITE/{info}/entry_points.txt", self.entry_points)


#: An extension module with a function that reads the first bytes of a file by the C library alone.
EXTENSION_SOURCE = """\
#include <Python.h>
#include <stdio.h>
static PyObject *head(PyObject *self, PyObject *argument) {
    char text[4] = {0};
    FILE *file = fopen(PyUnicode_AsUTF8(argument), "r");
    if (file) { if (fread(text, 1, 3, file) == 0) text[0] = 0; fclose(file); }
    return PyUnicode_FromString(text);
}
static PyObject *value(PyObject *self, PyObject *none) { return PyUnicode_FromString(VALUE); }
static PyMethodDef methods[] = {
    {"head", head, METH_O, ""}, {"value", value, METH_NOARGS, ""}, {NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, NAME, "", -1, methods};
PyMODINIT_FUNC INIT(void) { return PyModule_Create(&module); }
"""


@dataclass(frozen=True)
class Extension:
    """An extension module, compiled: ``head(path)`` reads a file, ``value()`` is built in."""

    folder: str
    name: str
    value: str

    def apply(self, place: Place) -> None:
        name = place.text(self.name)
        target = place.path(self.folder) / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
        target.parent.mkdir(parents=True, exist_ok=True)
        source = place.folders["OUT"] / f"{name}.c"
        source.write_text(EXTENSION_SOURCE)
        definitions = (f'-DNAME="{name}"', f"-DINIT=PyInit_{name}", f'-DVALUE="{self.value}"')
        compiled = target.with_suffix(".new")
        subprocess.run(
            [
                *("cc", "-shared", "-fPIC", "-O0", *definitions),
                *(f"-I{sysconfig.get_path('include')}", "-o", str(compiled), str(source)),
            ],
            check=True,
            capture_output=True,
        )
        compiled.replace(target)
