"""Remember the components and catalogs that containers registered on an application, for the command line."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from celery import Celery

from pico_celery.contract.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Registration:
    """What one container brought."""

    components: tuple[type, ...]  # the classes of its components; each once
    catalog: Catalog  # where it looked contracts up


# The container itself is not kept: it holds the application, which would then never go.
_registrations: Final[weakref.WeakKeyDictionary[Celery, tuple[Registration, ...]]] = weakref.WeakKeyDictionary()
_lock: Final = threading.Lock()


def remember_registration(app: Celery, components: Iterable[type], catalog: Catalog) -> None:
    """Remember what a container brought to an application."""
    registration = Registration(tuple(dict.fromkeys(components)), catalog)
    with _lock:
        known = _registrations.get(app, ())
        if registration not in known:  # a container may be started again and again
            _registrations[app] = (*known, registration)


def registrations_of(app: Celery) -> tuple[Registration, ...]:
    """Return what the containers of an application brought to it, in the order in which they were started."""
    return _registrations.get(app, ())
