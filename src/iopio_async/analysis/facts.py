"""What one source file tells about shared resources: small values, kept by the file's digest.

Nothing here is decided yet. A *touch* is a call or an assignment that may reach something outside;
what it reaches is written as a *text* in which holes stand for what other files or callers know:

=====  ==================================================================================
hole   filled with
=====  ==================================================================================
``p``  an argument of the function, and of a test or fixture the value of that fixture
``c``  a constant of the same file
``d``  an imported constant, by its dotted name, with leading dots where it is relative
``s``  an attribute of the object that the method belongs to
``e``  an environment variable: it stays, by its name
``D``  the folder of the file
=====  ==================================================================================

Tuples are texts joined by ``ITEM``; parts of a path are joined by ``JOIN``, because a later part
may turn out to be absolute. ``planning.reach`` fills the holes.
"""

import re
from collections.abc import Mapping

import msgspec

from iopio_async.model.module import Mode

#: Counted up whenever facts of one version can't be judged by another.
FACTS_VERSION = 2

ITEM = "\x01"
JOIN = "\x02"
HOLE = re.compile("\0([pcdseD]):([^\0]*)\0")

#: The module's own top level, as the name of a part.
TOP = ""


def hole(kind: str, name: str = "") -> str:
    """The text of a hole."""
    return f"\0{kind}:{name}\0"


class Touch(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A place that may reach a resource: of a ``kind`` (see ``analysis.resources``), by ``text``.

    ``call`` is the dotted name by which it is done; whoever replaces that name undoes the touch.
    """

    kind: str
    text: str
    mode: Mode
    line: int
    why: str
    call: str = ""


class Call(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A function or class that is called or handed on, with what is known of its arguments.

    ``target`` is ``L:`` and a name in this file, ``D:`` and an imported dotted name, ``S:`` and a
    method of the same object, or ``M:`` and a method of an unknown one. One that is only mentioned
    is not ``called``.
    """

    target: str
    args: tuple[str | None, ...] = ()
    keywords: tuple[tuple[str, str | None], ...] = ()
    called: bool = True


class Part(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A function, or the top level of a file.

    ``params`` come with their defaults; ``value`` is what it gives as a fixture. ``patches`` are
    dotted names that it replaces, so that what they reach is not reached. One that ``moves``
    changes the working directory to somewhere unknown.
    """

    params: tuple[tuple[str, str | None], ...] = ()
    touches: tuple[Touch, ...] = ()
    calls: tuple[Call, ...] = ()
    patches: tuple[str, ...] = ()
    requests: tuple[str, ...] = ()
    moves: bool = False
    value: str | None = None


class Declaration(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What a mark says. ``locks`` of None says nothing about what the rules found."""

    line: int
    locks: tuple[str, ...] | None = None
    shared: tuple[str, ...] | None = None
    needs: tuple[tuple[str, int], ...] = ()
    group: str = ""
    serial: bool = False


class Marks(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """What marks on a test, a class or a module say; ``named`` are the marks that rules know."""

    uses: tuple[str, ...] = ()
    declarations: tuple[Declaration, ...] = ()
    named: tuple[tuple[str, int], ...] = ()
    patches: tuple[str, ...] = ()
    #: Names that parametrisation fills, each with the texts that are known; indirect ones aside.
    parameters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    indirect: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Fixture(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A fixture: by ``name``, made by the function ``part``, defined in ``owner`` or the module."""

    name: str
    part: str
    line: int
    scope: str = "function"
    autouse: bool = False
    owner: str = ""
    params: tuple[str, ...] = ()
    #: What it is parametrised with, as far as that is known.
    values: tuple[str, ...] = ()


class ClassFacts(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A class; ``bases`` as the targets of calls, ``attributes`` as texts."""

    line: int
    bases: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    attributes: Mapping[str, str | None] = {}
    marks: Marks = Marks()


class FileFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All facts of a file. ``names`` are what it imports, by the name under which it does.

    ``django_engines`` are the database engines that settings in this file name.
    """

    parts: Mapping[str, Part] = {}
    classes: Mapping[str, ClassFacts] = {}
    fixtures: tuple[Fixture, ...] = ()
    tests: Mapping[str, Marks] = {}
    marks: Marks = Marks()
    constants: Mapping[str, str] = {}
    names: Mapping[str, str] = {}
    stars: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    django_engines: tuple[str, ...] = ()
    django_settings: str = ""


NO_FACTS = FileFacts()
