"""What ``wait`` and ``quiesce`` return when asked for both of their reports."""

from typing import Any, NamedTuple


class WaitResult(NamedTuple):
    """The reports of a finished wait."""

    stats: list[dict[str, int]]
    """One dict of counters for each worker."""
    noticeboard: dict[str, Any]
    """What the noticeboard held, after all writes of finished behaviors."""
