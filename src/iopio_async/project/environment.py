"""The environment as an input: digests of variables, keyed so that no value can be guessed back.

The key is the cache's own secret. Which variables say nothing about what runs, and which are read
where no tracer sees it (by the C library, by the interpreter as it starts), is in two tables of
globs.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import translate

ABSENT = "absent"

#: Variables that differ from shell to shell, or that iopio sets for each process: no part of the
#: whole environment.
VOLATILE = (
    "_",
    "SHLVL",
    "PWD",
    "OLDPWD",
    "COLORTERM",
    "COLUMNS",
    "LINES",
    "WINDOWID",
    "WINDOWPATH",
    "TERM_SESSION_ID",
    "TERM_PROGRAM*",
    "VTE_VERSION",
    "GNOME_TERMINAL_*",
    "ITERM_*",
    "KITTY_*",
    "VSCODE_*",
    "TMUX*",
    "STY",
    "SSH_*",
    "GPG_TTY",
    "XDG_SESSION_*",
    "DBUS_SESSION_BUS_ADDRESS",
    "DESKTOP_STARTUP_ID",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "IOPIO_*",
    "TMPDIR",
    "PYTHONHASHSEED",
    "PYTEST_CURRENT_TEST",
)

#: Variables that C code reads, unseen: part of every action's key.
KEYED = (
    "PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TZDIR",
    "PYTHON*",
    "VIRTUAL_ENV",
    "LD_*",
    "DYLD_*",
    "MALLOC_*",
    "OMP_*",
    "MKL_*",
    "OPENBLAS_*",
    "CUDA_*",
    "*_proxy",
    "*_PROXY",
)


class Environment:
    """The variables that one attempt gets. ``ignored`` are globs of names that never matter."""

    def __init__(
        self, key: bytes, values: Mapping[str, str], *, ignored: Iterable[str] = ()
    ) -> None:
        self._key = key
        self._values = values
        self._ignored = any_of(ignored)
        self._whole = ""
        self._known: dict[str, str] = {}

    def variable(self, name: str) -> str:
        """The keyed digest of a variable; ``absent`` where it is not set."""
        known = self._known.get(name)
        if known is None:
            value = self._values.get(name)
            known = ABSENT if value is None else self._digest([(name, value)])
            self._known[name] = known
        return known

    def names_like(self, globs: Iterable[str]) -> list[str]:
        """The names of the variables that are set and match one of the globs, sorted."""
        matches = any_of(globs)
        return sorted(name for name in self._values if matches(name))

    def whole(self) -> str:
        """The keyed digest of all variables that mean anything."""
        if not self._whole:
            volatile = any_of(VOLATILE)
            self._whole = self._digest(
                (name, value)
                for name, value in sorted(self._values.items())
                if not (volatile(name) or self._ignored(name))
            )
        return self._whole

    def keyed(self, declared: Iterable[str] = ()) -> str:
        """The keyed digest of the variables that every action depends on, and ``declared`` ones."""
        return self._digest(
            (name, self._values[name])
            for name in self.names_like((*KEYED, *declared))
            if not self._ignored(name) and name != "PYTHONHASHSEED"
        )

    def _digest(self, items: Iterable[tuple[str, str]]) -> str:
        # Late: most runs look at no variable before they look at files.
        import hmac

        text = "\0".join(f"{name}={value}" for name, value in items)
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), "sha256").hex()


def any_of(globs: Iterable[str]) -> Callable[[str], bool]:
    """A function that says whether a name matches one of the globs."""
    matches = re.compile("|".join(map(translate, globs)) or r"(?!)").match
    return lambda name: matches(name) is not None
