"""Behavior-Oriented Concurrency for Python.

A `Cown` owns a value. A *behavior* is a function that names the cowns it
needs; it runs in parallel with others, on a worker with a GIL of its own, as
soon as it has all of them, and nobody else has them meanwhile. There are no
locks to take, so there is no deadlock and no data race.

    from bocage import Cown, wait, when

    checking, savings = Cown(100), Cown(0)

    @when(checking, savings)
    def moved(checking, savings, amount=40):
        checking.value -= amount
        savings.value += amount
        return amount

    wait()
    print(moved.unwrap(), checking.unwrap(), savings.unwrap())  # 40 60 40

After the decorator, ``moved`` is a cown for what the function returns. Two
behaviors that share a cown run in the order in which they were scheduled.

In a coroutine, ``await moved`` waits for that one cown; elsewhere
``moved.result()`` does.

Scheduling: `Cown`, `when`, `whencall`. The runtime: `start`, `wait`,
`quiesce`, `WaitResult`, `WORKER_COUNT`. Snapshots that every behavior can read:
`notice_write`, `notice_delete`, `notice_read`, `noticeboard`. Dense matrices
that move without a copy: `Matrix`.
"""

from bocage._bocage import (
    WORKER_COUNT,
    Cown,
    Matrix,
    __version__,
    notice_delete,
    notice_read,
    notice_write,
    noticeboard,
    quiesce,
    start,
    wait,
    when,
    whencall,
)
from bocage._results import WaitResult

__all__ = [
    "WORKER_COUNT",
    "Cown",
    "Matrix",
    "WaitResult",
    "__version__",
    "notice_delete",
    "notice_read",
    "notice_write",
    "noticeboard",
    "quiesce",
    "start",
    "wait",
    "when",
    "whencall",
]
