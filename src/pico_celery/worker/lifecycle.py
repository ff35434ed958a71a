"""Start a container's asynchronous singletons before the first task of a process, and close them after the last.

They are created on the worker's loop, and closed on it; what they hold (connection pools, clients) lives as long as the
process.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from concurrent.futures import wait
from typing import Final

from celery import Celery, current_app, signals
from celery.worker import WorkController, state
from pico_ioc import PicoContainer

from pico_celery.app_state import apps_with, state_of
from pico_celery.celery_port import Consumer
from pico_celery.containers import asynchronous_singletons, close_container, start_singleton
from pico_celery.errors import ExecutionError
from pico_celery.worker.engine_options import EngineOptions
from pico_celery.worker.loop import LoopService, current_loop_service, stop_loop_service

_LOOK_SECONDS: Final = 0.5
_logger = logging.getLogger(__name__)


class _Container:
    """The container of an application, as long as somebody else holds it."""

    def __init__(self) -> None:
        self.reference: Callable[[], PicoContainer | None] = lambda: None


def remember_container(app: Celery, container: PicoContainer) -> None:
    """Start and stop a container's components with the workers of an application."""
    state_of(app).get(_Container).reference = weakref.ref(container)
    signals.worker_process_init.connect(_start_in_process, weak=False, dispatch_uid="pico-celery-start")
    signals.worker_ready.connect(_start_when_ready, weak=False, dispatch_uid="pico-celery-start")
    for signal in (signals.worker_process_shutdown, signals.worker_shutdown):
        signal.connect(_stop_at_shutdown, weak=False, dispatch_uid="pico-celery-stop")


async def ensure_started(container: PicoContainer, service: LoopService) -> None:
    """Create the asynchronous singletons of a container, once in a process."""
    name = f"container {container.container_id}"
    if name in service.resolved:
        return
    async with service.first_resolution:
        if name in service.resolved:
            return
        for key in asynchronous_singletons(container):
            try:
                await start_singleton(container, key)
            except Exception as error:
                raise ExecutionError(
                    f"the component {getattr(key, '__qualname__', key)} could not be started on the worker's event loop: "
                    f"{type(error).__name__}: {error}"
                ) from error
        service.resolved.add(name)


def start_components(app: Celery | None, service: LoopService) -> None:
    """Create the asynchronous singletons of an application's container."""
    container = _container_of(app)
    if container is None:
        return
    started = service.submit(ensure_started(container, service))
    while not wait([started], timeout=_LOOK_SECONDS).done:
        state.maybe_shutdown()  # a component that does not come up must not keep a worker from ending
    started.result()


def stop_components(app: Celery | None, timeout_seconds: float) -> None:
    """Run the clean-ups of an application's container on the loop, then stop the loop."""
    container = _container_of(app)
    _stop([] if container is None else [container], timeout_seconds)


def _stop(containers: list[PicoContainer], timeout_seconds: float) -> None:
    async def close() -> None:
        for container in containers:
            await close_container(container)

    stop_loop_service(close, timeout_seconds)


def _container_of(app: Celery | None) -> PicoContainer | None:
    known = None if app is None else state_of(app).find(_Container)
    return None if known is None else known.reference()


def _start_in_process(**_: object) -> None:
    """Start in a child of prefork, or in a solo worker; a failure fails the tasks, each with its reason."""
    for app in apps_with(_Container):
        if current_app == app:  # the child of a prefork worker makes its application the current one
            _try_to_start(app)


def _start_when_ready(sender: Consumer, **_: object) -> None:
    # The master of a prefork worker goes on forking: a loop's thread has no place in it.
    if type(sender.pool).__module__ != "celery.concurrency.prefork":
        _try_to_start(sender.app)


def _try_to_start(app: Celery) -> None:
    if _container_of(app) is None:
        return
    try:
        start_components(app, current_loop_service(EngineOptions.of(app)))
    except ExecutionError:
        _logger.exception("the worker's components did not start; each task tries again")


def _stop_at_shutdown(sender: object = None, **_: object) -> None:
    """Stop when a worker, or a child of prefork, ends; the child does not know its application."""
    if isinstance(sender, WorkController):
        stop_components(sender.app, EngineOptions.of(sender.app).shutdown_seconds)
        return
    apps = apps_with(_Container)
    containers = [container for one in apps if (container := _container_of(one)) is not None]
    _stop(containers, max((EngineOptions.of(one).shutdown_seconds for one in apps), default=0.0))
