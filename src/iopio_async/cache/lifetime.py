"""How long a result holds: pure functions of its key, when it was executed, and the setting.

What is not seen by any tracer (the time of day, randomness, a service elsewhere) has at most so
long to go unnoticed. Results that were made together would all end together, and one morning
everything would run again; so each key's share of the lifetime is another one, and always the same.
"""

import math
from hashlib import sha256

from iopio_async.model.trace import StoredResult

#: 24 hours.
DEFAULT_TTL_S = 86_400.0

#: The shortest lifetime that a key may draw, as a share of the setting.
SHORTEST_SHARE = 0.75

_DIGEST_BYTES = 8


def lifetime_s(key: str, ttl_s: float = DEFAULT_TTL_S) -> float:
    """Seconds that results of this key hold: between three quarters of ``ttl_s`` and all of it."""
    digest = sha256(b"lifetime " + key.encode()).digest()[:_DIGEST_BYTES]
    share = int.from_bytes(digest, "big") / (1 << 8 * _DIGEST_BYTES)
    return ttl_s * (SHORTEST_SHARE + (1 - SHORTEST_SHARE) * share)


def expires_at_s(key: str, executed_at_s: float, ttl_s: float = DEFAULT_TTL_S) -> float:
    """When a result ends that was executed then; both in seconds since the epoch."""
    return executed_at_s + lifetime_s(key, ttl_s)


def holds(executed_at_s: float, expires_at_s: float, *, now_s: float, longest_s: float) -> bool:
    """Say whether a result is one of the present: executed, and not ended.

    ``longest_s`` is its key's lifetime by the setting as it is now: whatever the result itself
    says, it does not hold longer. Dates in the future, and what is no number, are not believed.
    """
    return executed_at_s <= now_s < min(expires_at_s, executed_at_s + longest_s)


def is_dated(result: StoredResult) -> bool:
    """Say whether a result's times are numbers at all."""
    figures = (result.executed_at_s, result.expires_at_s, result.duration_s)
    return all(map(math.isfinite, figures))
