"""One object for each application and process, closed with the process."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from celery import Celery

T = TypeVar("T")


class PerProcess(Generic[T]):
    """What each application has once in a process. The application holds it, so it goes when the application goes."""

    def __init__(self, name: str, make: Callable[[Celery], T], close: Callable[[T], None], priority: int) -> None:
        self._name = name
        self._make = make
        self._close = close
        self._priority = priority
        self._reset()
        self._finalized: set[int] = set()
        atexit.register(self._close_all)
        os.register_at_fork(after_in_child=self._reset)

    def of(self, app: Celery) -> T:
        """Return that of an application, made at the first call."""
        held: tuple[int, T] = getattr(app, self._name, _NONE)
        if held[0] != os.getpid():
            with self._lock:
                held = getattr(app, self._name, _NONE)
                if held[0] != os.getpid():
                    held = os.getpid(), self._make(app)
                    setattr(app, self._name, held)
                    self._made.add(held[1])
                    self._close_with_process()
        return held[1]

    def take(self, app: Celery) -> T | None:
        """Forget that of an application, and return it if it was made in this process."""
        pid, held = getattr(app, self._name, _NONE)
        if pid:
            delattr(app, self._name)
        return held if pid == os.getpid() else None

    def all(self) -> list[T]:
        """Return those of all applications."""
        return list(self._made)

    def _close_all(self) -> None:
        for one in self.all():
            self._close(one)

    def _close_with_process(self) -> None:
        """Close in a child of `multiprocessing` too, which ends without `atexit` and begins without finalizers."""
        util = sys.modules.get("multiprocessing.util")
        if util is not None and os.getpid() not in self._finalized:
            self._finalized.add(os.getpid())
            util.Finalize(None, self._close_all, exitpriority=self._priority)

    def _reset(self) -> None:
        self._lock = threading.Lock()  # it may have been held by a thread that did not survive the fork
        self._made: weakref.WeakSet[T] = weakref.WeakSet()


_NONE: Final[tuple[int, Any]] = (0, None)
