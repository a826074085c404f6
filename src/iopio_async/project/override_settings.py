"""Settings for some modules only: what ``[[tool.iopio.overrides]]`` may hold."""

from collections.abc import Mapping

import msgspec

from iopio_async.model.config import Override
from iopio_async.model.module import Framework
from iopio_async.planning.overrides import glob_pattern
from iopio_async.project.quotation import shown
from iopio_async.project.resource_settings import Units
from iopio_async.project.setting_rows import Setting, read_table
from iopio_async.project.setting_values import (
    Boolean,
    Choice,
    Duration,
    Environment,
    Kind,
    Text,
    TextList,
    UnfitError,
    Whole,
)

TIMEOUT = Duration(optional=True)
SLOW_AFTER = Duration(positive=True)
RETRIES = Whole(0, 100)


class Globs(Kind, frozen=True):
    """A list of globs of module paths."""

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return "a list of globs"

    def parse(self, value: object) -> tuple[str, ...]:
        """Take a list of strings, none of which can be absolute, climb up or be empty."""
        globs = TextList().parse(value)
        if not globs:
            raise UnfitError("an empty list matches no module")
        for index, glob in enumerate(globs):
            if glob.startswith("/") or ".." in glob.split("/"):
                raise UnfitError(
                    f"{shown(glob)} can't match: module paths are relative to the root directory",
                    at=(index,),
                )
            if "\\" in glob:
                raise UnfitError(f"{shown(glob)}: write folders with /, not \\", at=(index,))
            if glob_pattern(glob) == "(?!)":
                raise UnfitError(f"{shown(glob)} can't match any module", at=(index,))
        return globs


class Overrides(Kind, frozen=True):
    """An array of tables, each with globs and the settings of the modules that match one."""

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return "an array of tables"

    def parse(self, value: object) -> tuple[Override, ...]:
        """Take a list of tables, or of overrides."""
        if not isinstance(value, list | tuple):
            raise UnfitError(
                f"expected {self.expected}, not {shown(value)}",
                hint="begin each with a line [[tool.iopio.overrides]]",
            )
        return tuple(self._override(item, index) for index, item in enumerate(value))

    def _override(self, item: object, index: int) -> Override:
        if isinstance(item, Override):
            return item
        if not isinstance(item, Mapping):
            raise UnfitError(f"expected a table, not {shown(item)}", at=(index,))
        try:
            values = {row.field: value for row, _, value in read_table(item, OVERRIDE_SETTINGS)}
        except UnfitError as error:
            raise UnfitError(error.message, at=(index, *error.at), hint=error.hint) from None
        if "paths" not in values:
            raise UnfitError(
                "an override needs paths", at=(index,), hint='such as paths = ["tests/slow/**"]'
            )
        # In an override "none" switches the time limit off, and absence leaves it alone.
        if "timeout_s" in values:
            values["timeout_s"] = values["timeout_s"] or 0.0
        if "framework" in values:
            values["framework"] = Framework(str(values["framework"]))
        return msgspec.convert(values, Override)


#: What ``[[tool.iopio.overrides]]`` may hold.
OVERRIDE_SETTINGS = (
    Setting(
        field="paths",
        name="paths",
        kind=Globs(),
        doc="Globs of module paths, relative to the root directory; required.",
    ),
    Setting(
        field="timeout_s",
        name="timeout",
        kind=TIMEOUT,
        doc='Time limit of an attempt; "none" switches it off.',
    ),
    Setting(
        field="slow_after_s",
        name="slow-after",
        kind=SLOW_AFTER,
        doc="A module that runs for longer is reported as slow.",
    ),
    Setting(
        field="retries",
        name="retries",
        kind=RETRIES,
        doc="How often a module that did not pass is run again.",
    ),
    Setting(
        field="workers",
        name="workers",
        kind=Whole(1, 10**6),
        doc=(
            "The module takes the place of so many workers, for it keeps so many CPUs busy; at "
            "most as many as the run has."
        ),
    ),
    Setting(
        field="framework",
        name="framework",
        kind=Choice(("pytest", "unittest", "functions")),
        doc="Who collects and runs the tests.",
    ),
    Setting(
        field="env",
        name="env",
        kind=Environment(),
        doc="Environment variables, merged over the run's.",
    ),
    Setting(
        field="group",
        name="group",
        kind=Text(filled=True),
        doc=(
            "Modules of one group run in one process, one after the other, so that fixtures of the "
            "session are set up once for all of them; see also the mark iopio(group=...)."
        ),
    ),
    Setting(
        field="split",
        name="split",
        kind=Boolean(),
        doc=(
            "If false, a module that takes long is not split: by default its tests may be dealt "
            "out to several processes, where that makes the run shorter."
        ),
    ),
    Setting(
        field="locks",
        name="locks",
        kind=TextList(),
        doc=(
            "Resources that the module holds alone; with shared, this takes the place of what the "
            "analysis of its source found. An empty list: nothing."
        ),
    ),
    Setting(
        field="shared",
        name="shared",
        kind=TextList(),
        doc="Resources that it holds together with others that only share them, too.",
    ),
    Setting(
        field="serial",
        name="serial",
        kind=Boolean(),
        doc="If true, the module runs while no other does.",
    ),
    Setting(
        field="needs",
        name="needs",
        kind=Units(),
        doc="Units that it needs of resources that have a capacity, such as { gpu = 1 }.",
    ),
)
