"""How an asyncio loop waits for cowns.

Each loop has a *desk*, made at its first ``await cown``. Its inbox, which is
native, gets the turns from whatever thread releases a cown. The loop hears of
them

- by a descriptor that it watches, if it can watch one; that needs no thread;
- else (Windows' proactor loops, or no descriptor left) by a thread, which
  lives while coroutines wait.

Nothing here keeps a loop alive: a desk is found from its loop by a weak key,
and knows the waiting futures, which know their loop, by weak references. So
what a forgotten loop leaves suspended is collected, and gives up its turns.
"""

import asyncio
import atexit
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Generator
from typing import Any, Protocol
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

_TICK = 0.1
"""Seconds after which the thread looks whether it is still wanted."""


class _Turn(Protocol):
    @property
    def number(self) -> int: ...
    def came(self) -> bool: ...
    def take(self) -> Any: ...
    def leave(self) -> None: ...


class _Inbox(Protocol):
    def descriptor(self) -> int | None: ...
    def enter(self, cown: object) -> _Turn: ...
    def hear(self, timeout: float | None = None) -> list[int]: ...
    def close(self) -> None: ...


class _Desk:
    """Resumes the coroutines of one loop."""

    def __init__(self, loop: AbstractEventLoop, inbox: _Inbox) -> None:
        self.inbox = inbox
        self._waiting: WeakValueDictionary[int, Future[None]] = WeakValueDictionary()
        self._lock = threading.Lock()
        self._has_thread = False
        self._watched = False
        descriptor = inbox.descriptor()
        if descriptor is not None:
            try:
                loop.add_reader(descriptor, self._hear)
                self._watched = True
            except NotImplementedError:
                pass

    def wait(self, loop: AbstractEventLoop, number: int) -> Generator[Any, None, None]:
        """Suspend the coroutine until that turn came. On the loop's thread."""
        future = loop.create_future()
        self._waiting[number] = future
        if not self._watched:
            with self._lock:
                if not self._has_thread:
                    threading.Thread(target=self._listen, args=(loop,), name="bocage-await").start()
                    self._has_thread = True
        try:
            yield from future
        finally:
            # A traceback may keep it, too.
            self._waiting.pop(number, None)

    def _hear(self) -> None:
        self._resume(self.inbox.hear())

    def _resume(self, numbers: list[int]) -> None:
        for number in numbers:
            future = self._waiting.pop(number, None)
            if future is not None and not future.done():
                future.set_result(None)

    def _listen(self, loop: AbstractEventLoop) -> None:
        while True:
            numbers = self.inbox.hear(_TICK)
            if numbers:
                try:
                    loop.call_soon_threadsafe(self._resume, numbers)
                except RuntimeError:
                    # The loop is closed: nothing will be resumed.
                    pass
            with self._lock:
                # A loop that is not running may run again, but not past the end of the program.
                ended = loop.is_closed() or not (threading.main_thread().is_alive() or loop.is_running())
                if ended or not (numbers or self._waiting):
                    self._has_thread = False
                    return


_desks: WeakKeyDictionary[AbstractEventLoop, _Desk] = WeakKeyDictionary()
_all_desks: WeakSet[_Desk] = WeakSet()


def turn_of(cown: object, new_inbox: Callable[[], _Inbox]) -> Generator[Any, None, Any]:
    """Iterate as ``await cown`` does: suspends until the turn came, then takes the value."""
    loop = asyncio.get_running_loop()
    desk = _desks.get(loop)
    if desk is None:
        desk = _desks[loop] = _Desk(loop, new_inbox())
        _all_desks.add(desk)
    turn = desk.inbox.enter(cown)
    try:
        if not turn.came():
            yield from desk.wait(loop, turn.number)
        return turn.take()
    finally:
        # Not when the frame goes: a traceback may keep it.
        turn.leave()


@atexit.register
def _close_all() -> None:
    # No loop resumes anything any more, and behaviors must not wait for one.
    for desk in list(_all_desks):
        desk.inbox.close()
