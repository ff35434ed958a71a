"""Who waits for which result, and which results somebody still holds."""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, Protocol

_logger = logging.getLogger(__name__)
Meta = Mapping[str, Any]
"""What a result backend stores of a task: status, result, traceback, children."""

Resolve = Callable[[Meta | None, BaseException | None], None]
"""Called once, on any thread, with what was stored or with why it cannot be had."""


class Sent(Protocol):
    """A result of a call that was sent."""

    id: str
    ignored: bool
    _heard: int

    def _store(self, meta: Meta) -> None:
        """Store the result of the task in this object."""


class Waiter:
    """Somebody who waits for one task."""

    __slots__ = ("resolve", "since", "task_id")

    def __init__(self, task_id: str, resolve: Resolve) -> None:
        self.task_id = task_id
        self.resolve = resolve
        self.since = monotonic()


class Waiters:
    """The waiters of a process, by task. Every method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: dict[str, list[Waiter]] = {}
        self._held: weakref.WeakValueDictionary[str, Sent] = weakref.WeakValueDictionary()
        self._unseen: list[str] = []
        self._left: list[str] = []
        self._gone: deque[Waiter] = deque()

    def __bool__(self) -> bool:
        """Return whether anybody waits."""
        with self._lock:
            self._purge()
            return bool(self._waiters)

    @property
    def holds_any(self) -> bool:
        """Whether a result that was sent is still held by somebody, and has not come."""
        return len(self._held) > 0

    def hold(self, result: Sent) -> None:
        """Store a result when it comes, as long as somebody holds it."""
        with self._lock:
            self._held[result.id] = result

    def release(self) -> None:
        """Forget the results that are held: nobody hears of them any more."""
        with self._lock:
            self._held.clear()

    def add(self, waiter: Waiter, *, unseen: bool) -> bool:
        """Add a waiter."""
        with self._lock:
            self._waiters.setdefault(waiter.task_id, []).append(waiter)
            if not unseen:
                return False
            self._unseen.append(waiter.task_id)
            return len(self._unseen) == 1

    def discard(self, waiter: Waiter) -> None:
        """Take a waiter away, if it is still there; soon, where the lock is held.

        The garbage collector may close a coroutine that waits, and so call this, at any allocation: inside the lock too.
        """
        self._gone.append(waiter)
        if self._lock.acquire(blocking=False):
            try:
                self._purge()
            finally:
                self._lock.release()

    def _purge(self) -> None:
        while self._gone:
            waiter = self._gone.popleft()
            waiting = self._waiters.get(waiter.task_id, [])
            if waiter in waiting:
                waiting.remove(waiter)
                if not waiting:
                    del self._waiters[waiter.task_id]
                    self._left.append(waiter.task_id)

    def move(self, known: str, task_id: str) -> bool:
        """Let those who wait for one task wait for another one, whose result may be there already."""
        with self._lock:
            self._held.pop(known, None)
            moved = self._waiters.pop(known, [])
            for waiter in moved:
                waiter.task_id = task_id
            if moved:
                self._waiters.setdefault(task_id, []).extend(moved)
                self._unseen.append(task_id)
            return bool(moved)

    def take_unseen(self) -> list[str]:
        """Return the ids that were added unseen since the last call."""
        with self._lock:
            taken, self._unseen = self._unseen, []
        return taken

    def take_left(self) -> list[str]:
        """Return the ids that nobody has waited for since the last call."""
        with self._lock:
            self._purge()
            taken, self._left = self._left, []
            return [task_id for task_id in taken if task_id not in self._waiters]

    def ids(self) -> list[str]:
        """Return the ids that somebody waits for."""
        with self._lock:
            return list(self._waiters)

    def ids_since(self, moment: float) -> list[str]:
        """Return the ids that somebody has waited for since before a moment of the monotonic clock."""
        with self._lock:
            return [task_id for task_id, waiting in self._waiters.items() if waiting[0].since <= moment]

    def resolve(self, meta: Meta) -> None:
        """Give a stored result to all that wait for it or hold it."""
        task_id = meta["task_id"]
        with self._lock:
            waiting = self._waiters.pop(task_id, [])
            held = self._held.pop(task_id, None)
            if waiting:
                self._left.append(task_id)
        if held is not None:
            _call(held._store, meta)
        for waiter in waiting:
            _call(waiter.resolve, meta, None)

    def fail(self, error: BaseException, task_ids: Iterable[str] | None = None) -> bool:
        """Fail those who wait: their results cannot be had."""
        with self._lock:
            failed = list(self._waiters) if task_ids is None else task_ids
            waiting = [waiter for task_id in failed for waiter in self._waiters.pop(task_id, [])]
            self._left.extend(waiter.task_id for waiter in waiting)
        for waiter in waiting:
            _call(waiter.resolve, None, error)
        return bool(waiting)


def _call(function: Callable[..., None], *args: object) -> None:
    """Call what may be a caller's own code: it must cost neither the thread nor the others that wait."""
    try:
        function(*args)
    except BaseException:
        _logger.exception("what was to be called with a result failed")
