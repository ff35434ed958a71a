"""Which client classes have which application, for those who look at the application from outside."""

from __future__ import annotations

import threading
import weakref
from typing import Final

from celery import Celery

_bound: Final[weakref.WeakKeyDictionary[Celery, weakref.WeakSet[type]]] = weakref.WeakKeyDictionary()
_lock: Final = threading.Lock()


def remember_client(app: object, cls: type) -> None:
    """Remember that there is a client of an application.

    Args:
        app: The application.
        cls: Class of the client.
    """
    if isinstance(app, Celery) and cls not in _bound.get(app, ()):
        with _lock:
            _bound.setdefault(app, weakref.WeakSet()).add(cls)


def clients_of(app: Celery) -> list[type]:
    """Return the client classes of which this process has made an instance with an application, by name."""
    with _lock:
        return sorted(_bound.get(app, ()), key=lambda cls: (cls.__module__, cls.__qualname__))
