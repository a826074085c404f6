"""One row of the mutation matrix: a tiny project, what changes, and what must come of it.

A row's module is laid out in a folder of its own in a project that it shares with others. Its life
is always the same: it runs, it is replayed, something harmless happens and it is replayed again,
its input changes and it must run again and come to what plain pytest comes to.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from cache_matrix.mutations import Mutation, Write


class Level(enum.Enum):
    """How well the cache is expected to know a row's inputs."""

    #: Replayed unless its own input changes.
    PRECISE = "precise"
    #: May run again whenever anything in the project changes.
    COARSE = "coarse"
    #: Must run every time.
    UNCACHEABLE = "uncacheable"
    #: Sound is enough: may be replayed or not, but never with another outcome than plain pytest's.
    FREE = "free"


#: Ahead of each row's test module.
PRELUDE = """\
import os
import pathlib
import sys
HERE = pathlib.Path(__file__).parent
DATA = HERE / "data.txt"
"""

#: Happens to each row that names nothing else: neither of the two files is anybody's input.
UNRELATED = (Write("unrelated.txt", "changed"), Write("fresh.txt", "new"))


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row; ``visible`` says that the change alters what plain pytest comes to."""

    name: str
    test: str
    change: tuple[Mutation, ...] = ()
    harmless: tuple[Mutation, ...] = UNRELATED
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    #: Happens before the first run, after the files are written.
    before: tuple[Mutation, ...] = ()
    level: Level = Level.PRECISE
    visible: bool = True
    module: str = "test_ROW.py"
    #: What ``iopio run`` is given from the start, when it is to replay, and after the change.
    arguments: tuple[str, ...] = ()
    again_arguments: tuple[str, ...] | None = None
    changed_arguments: tuple[str, ...] | None = None
    #: Whether pytest loads the plugins that are installed.
    plugins: bool = False
    #: The oracle is ``iopio run --no-cache``: what is changed means something else to plain pytest.
    own_oracle: bool = False

    def __str__(self) -> str:
        return self.name


def reading(
    name: str,
    expression: str,
    imports: str = "",
    *,
    level: Level = Level.PRECISE,
    change: tuple[Mutation, ...] = (Write("data.txt", "two"),),
    data: str = "one",
    **more: object,
) -> Row:
    """A row whose test holds that an expression, which reads ``data.txt``, is ``'one'``."""
    files = {"data.txt": data} | more.pop("files", {})  # type: ignore[operator]
    return Row(
        name=name,
        test=f"{imports}\ndef test_it():\n    assert ({expression}) == 'one'\n",
        files=files,
        change=change,
        level=level,
        **more,  # type: ignore[arg-type]
    )


def holding(
    name: str,
    expression: str,
    *change: Mutation,
    imports: str = "",
    **more: object,
) -> Row:
    """A row whose test holds that an expression is true."""
    return Row(
        name=name,
        test=f"{imports}\ndef test_it():\n    assert {expression}\n",
        change=change,
        **more,  # type: ignore[arg-type]
    )
