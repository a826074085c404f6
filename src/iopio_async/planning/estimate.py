"""x."""

import msgspec

from iopio_async.model.outcome import ModuleStatus


class ModuleSummary(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    duration_s: float | None = None
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    status: ModuleStatus | None = None
    tests: int = 0
