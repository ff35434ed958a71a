"""`state_of(app)`: what this library keeps for each Celery application, one object per concern.

The application holds its state, so both go together; a layer asks for the class that it owns, so imports stay downward.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Final, Generic, TypeVar, cast

from celery import Celery

T = TypeVar("T")
_ATTRIBUTE: Final = "__pico_celery__"


class AppState:
    """Typed objects of one application."""

    def __init__(self, app: Celery) -> None:
        self.app: Final = app
        self._objects: dict[object, object] = {}

    def get(self, kind: type[T]) -> T:
        """Return the object of a class, made without arguments at the first call."""
        if kind not in self._objects:
            with state_lock():
                if kind not in self._objects:
                    self._objects[kind] = kind()
        return cast("T", self._objects[kind])

    def find(self, kind: type[T]) -> T | None:
        """Return the object of a class if there is one."""
        found = self._objects.get(kind)
        return found if isinstance(found, kind) else None


_lock = threading.RLock()  # the garbage collector may run code that asks for it again
_states: Final[weakref.WeakSet[AppState]] = weakref.WeakSet()


def state_lock() -> threading.RLock:
    """Return the lock under which state of applications changes; hold it for moments only."""
    return _lock


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - it may have been held by a thread that did not survive the fork
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


def state_of(app: Celery) -> AppState:
    """Return the state of an application, made at the first call."""
    state: AppState | None = getattr(app, _ATTRIBUTE, None)
    if state is None:
        with state_lock():
            state = getattr(app, _ATTRIBUTE, None)
            if state is None:
                state = AppState(app)
                setattr(app, _ATTRIBUTE, state)
                _states.add(state)
    return state


def apps_with(kind: type[object]) -> list[Celery]:
    """Return the applications that have an object of a class."""
    with state_lock():
        return [state.app for state in _states if state.find(kind) is not None]


class _InProcesses:
    """The objects of an application that belong to a process: with its id, by which a child of a fork knows its own."""

    def __init__(self) -> None:
        self.held: dict[object, tuple[int, object]] = {}


class PerProcess(Generic[T]):
    """What each application has once in a process, closed with the process."""

    def __init__(self, kind: type[T], close: Callable[[T], None], priority: int) -> None:
        self._kind = kind
        self._make: Callable[[Celery], T] = kind
        self._close = close
        self._priority = priority
        self._renew()
        self._finalized: set[int] = set()
        atexit.register(self._close_all)
        os.register_at_fork(after_in_child=self._renew)

    def of(self, app: Celery) -> T:
        """Return that of an application, made at the first call."""
        found = self._find(app)
        if found is None:
            with state_lock():
                found = self._find(app)
                if found is None:
                    found = self._make(app)
                    state_of(app).get(_InProcesses).held[self._kind] = os.getpid(), found
                    self._made.add(found)
                    self._close_with_process()
        return found

    def take(self, app: Celery) -> T | None:
        """Forget that of an application, and return it if it was made in this process."""
        found = self._find(app)
        state_of(app).get(_InProcesses).held.pop(self._kind, None)
        return found

    def all(self) -> list[T]:
        """Return those of all applications."""
        return list(self._made)

    def _find(self, app: Celery) -> T | None:
        pid, found = state_of(app).get(_InProcesses).held.get(self._kind, (0, None))
        return found if pid == os.getpid() and isinstance(found, self._kind) else None

    def _close_all(self) -> None:
        for one in self.all():
            self._close(one)

    def _close_with_process(self) -> None:
        """Close in a child of `multiprocessing` too, which ends without `atexit` and begins without finalizers."""
        util = sys.modules.get("multiprocessing.util")
        if util is not None and os.getpid() not in self._finalized:
            self._finalized.add(os.getpid())
            util.Finalize(None, self._close_all, exitpriority=self._priority)

    def _renew(self) -> None:
        self._made: weakref.WeakSet[T] = weakref.WeakSet()
