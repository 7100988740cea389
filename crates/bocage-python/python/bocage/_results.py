"""What ``wait`` and ``quiesce`` return when asked for more than one thing."""

from typing import Any, NamedTuple


class WaitResult(NamedTuple):
    """The answer to ``wait(stats=True, noticeboard=True)``."""

    stats: list[dict[str, int]]
    """One dict of counters for each worker."""
    noticeboard: dict[str, Any]
    """What the board held, after all writes of finished behaviors."""
