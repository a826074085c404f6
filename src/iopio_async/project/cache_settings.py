"""What is an input of the tests and what is not: what ``[tool.iopio.cache]`` may hold."""

from collections.abc import Mapping

import msgspec

from iopio_async.model.config import CacheRules
from iopio_async.project.override_settings import Globs
from iopio_async.project.quotation import shown
from iopio_async.project.setting_rows import Setting, read_table
from iopio_async.project.setting_values import Kind, TextList, UnfitError


class CacheTable(Kind, frozen=True):
    """A table of rules."""

    @property
    def expected(self) -> str:
        """What it takes, in words."""
        return "a table"

    def parse(self, value: object) -> CacheRules:
        """Take a table, or rules."""
        if isinstance(value, CacheRules):
            return value
        if not isinstance(value, Mapping):
            raise UnfitError(
                f"expected {self.expected}, not {shown(value)}",
                hint="begin it with a line [tool.iopio.cache]",
            )
        read = read_table(value, CACHE_SETTINGS)
        return msgspec.convert({row.field: item for row, _, item in read}, CacheRules)


#: What ``[tool.iopio.cache]`` may hold.
CACHE_SETTINGS = (
    Setting(
        field="inputs",
        name="inputs",
        kind=Globs(),
        doc="Globs of files that every module depends on, whether it is seen to read them or not.",
    ),
    Setting(
        field="ignore",
        name="ignore",
        kind=Globs(),
        doc="Globs of files that no result depends on, though they are read.",
    ),
    Setting(
        field="env",
        name="env",
        kind=TextList(),
        doc="Environment variables that every module depends on; `*` stands for any characters.",
    ),
    Setting(
        field="ignore_env",
        name="ignore-env",
        kind=TextList(),
        doc="Environment variables that no result depends on, though they are read.",
    ),
    Setting(
        field="hosts",
        name="hosts",
        kind=TextList(),
        doc="Hosts (names, addresses, with or without `:port`) whose answers always are the same.",
    ),
)
