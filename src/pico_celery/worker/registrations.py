"""Remember the components and catalogs that containers registered on an application, for the command line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from celery import Celery

from pico_celery.app_state import state_lock, state_of
from pico_celery.contract.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Registration:
    """What one container brought."""

    components: tuple[type, ...]  # the classes of its components; each once
    catalog: Catalog  # where it looked contracts up


class _Registrations:
    # The container itself is not kept here: it holds the application.
    def __init__(self) -> None:
        self.known: tuple[Registration, ...] = ()


def remember_registration(app: Celery, components: Iterable[type], catalog: Catalog) -> None:
    """Remember what a container brought to an application."""
    registration = Registration(tuple(dict.fromkeys(components)), catalog)
    registrations = state_of(app).get(_Registrations)
    with state_lock():
        if registration not in registrations.known:  # a container may be started again and again
            registrations.known = (*registrations.known, registration)


def registrations_of(app: Celery) -> tuple[Registration, ...]:
    """Return what the containers of an application brought to it, in the order in which they were started."""
    return state_of(app).get(_Registrations).known
