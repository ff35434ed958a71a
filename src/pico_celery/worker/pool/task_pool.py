"""`TaskPool`: Celery's pool interface over coroutines on one event loop.

Source of the interface: https://docs.celeryq.dev/en/stable/internals/reference/celery.concurrency.base.html
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import Any, Final

from celery import signals
from celery.concurrency.base import BasePool

from pico_celery.celery_port import worker_flags
from pico_celery.threads import DaemonThreads
from pico_celery.worker.contract_task import ContractTask
from pico_celery.worker.engine_options import EngineOptions
from pico_celery.worker.lifecycle import start_components, stop_components
from pico_celery.worker.loop import LoopService, current_loop_service
from pico_celery.worker.pool.consumer_pump import HubPump
from pico_celery.worker.pool.cpu_affinity import Core
from pico_celery.worker.pool.jobs import Callbacks, CoroutineJob, PoolJob
from pico_celery.worker.pool.slots import Slots
from pico_celery.worker.pool.tracers import Tracers, make_tracers
from pico_celery.worker.pool.unsupported import log_unsupported
from pico_celery.worker.watchdog import Watchdog

_POLL_SECONDS: Final = 0.02
_COLD_SECONDS: Final = 2.0  # beyond the grace of a cancellation
_NAMED_JOBS: Final = 20
_logger = logging.getLogger(__name__)


class TaskPool(BasePool):
    """Runs asynchronous tasks on one event loop, and synchronous ones on threads beside it.

    ``limit`` (``-c``) is the number of tasks in flight.
    """

    limit: int
    signal_safe = False
    is_green = False
    uses_semaphore = False
    task_join_will_block = True
    body_can_be_buffer = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._engine = EngineOptions.of(self.app)
        self._slots = Slots(self.limit, self._engine.sync_threads)
        self._finished = True  # there is nothing to finish before it has started
        self._service: LoopService
        self._core: Core
        self._tracers: Tracers
        self._sync_threads: DaemonThreads
        self._watchdog: Watchdog

    def on_start(self) -> None:
        """Start the loop, the components of the container, and the watchdog."""
        log_unsupported(self.app, self.options)
        self._service = current_loop_service(self._engine)
        self._core = Core(wanted=self._engine.keep_to_core)
        self._tracers = make_tracers(self._engine.tracer_threads, self.limit, prepare=self._core.join)
        self._sync_threads = DaemonThreads("pico-celery-sync", self._engine.sync_threads, prepare=self._core.free)
        self._watchdog = Watchdog(self._service, self._engine.block_warning_seconds)
        self._finished = False
        self._service.users.add(self)
        start_components(self.app, self._service)
        signals.worker_process_init.send(sender=self._hostname)
        self._watchdog.start()
        self._core.join()
        self._core.start()
        # What is there now stays: the collector need not look through the application again and again.
        # Source: https://docs.python.org/3/library/gc.html#gc.freeze
        gc.collect()
        gc.freeze()

    def on_apply(  # type: ignore[override]  # noqa: PLR0917 - celery-types takes it for one that returns nothing
        self,
        target: Callable[..., Any],
        args: Any = None,
        kwargs: Mapping[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        timeout_callback: Callable[..., Any] | None = None,
        error_callback: Callable[..., Any] | None = None,
        soft_timeout: float | None = None,
        timeout: float | None = None,
        **_: Any,
    ) -> PoolJob:
        """Run a target as soon as there is a slot."""
        limits = (timeout or self.options.get("timeout"), soft_timeout or self.options.get("soft_timeout"))
        positional = tuple(args or ())
        given: dict[str, Any] = {
            "pool": self,
            "target": target,
            "args": positional,
            "kwargs": kwargs or {},
            "callbacks": Callbacks(accept_callback, callback, error_callback, timeout_callback),
            "time_limits": limits,
        }
        if self._is_coroutine(positional):
            job: PoolJob = CoroutineJob(self._service, **given)
            lane = self._slots.coroutines
        else:
            job = PoolJob(**given)
            lane = self._slots.synchronous
        if self._slots.take(job, lane):
            self._start(job)
        return job

    def withdraw(self, job: PoolJob) -> bool:
        """Take back a job that has no slot yet."""
        withdrawn = self._slots.withdraw(job)
        if withdrawn:
            self._start_waiting()
        return withdrawn

    def release(self, job: PoolJob) -> None:
        """Give the slot of a job that has ended to the next one."""
        self._slots.release(job)
        self._start_waiting()

    def flush(self) -> None:
        """Forget jobs that have no slot: they are not acknowledged, and the broker delivers them again."""
        self._slots.flush()

    def grow(self, n: int = 1) -> None:
        """Allow more tasks in flight."""
        self._slots.resize(n)
        self.limit = self._slots.limit
        self._start_waiting()

    def shrink(self, n: int = 1) -> None:
        """Allow fewer tasks in flight; those that run go on."""
        self._slots.resize(-n)
        self.limit = self._slots.limit

    def terminate_job(self, pid: int, signal: Any = None) -> None:
        """Do nothing: Celery's request then terminates the job itself."""

    def on_close(self) -> None:
        """Take no more jobs: those without a slot go back to the broker."""
        self._slots.close()

    def on_stop(self) -> None:
        """Wait for what is in flight; only so long, when the worker must end at once."""
        self._slots.close()
        self._drain()
        if not _must_terminate():
            self._finish()

    def on_terminate(self) -> None:
        """Cancel what is in flight and end."""
        self._slots.close()
        for job in tuple(self._slots.jobs):
            job.terminate()
        self._drain(bounded=True)
        self._finish()

    @property
    def _hostname(self) -> str | None:
        _, hostname = self.options.get("initargs") or (None, None)
        return None if hostname is None else str(hostname)

    def _is_coroutine(self, args: tuple[Any, ...]) -> bool:
        return self.app is not None and bool(args) and isinstance(self.app.tasks.get(args[0]), ContractTask)

    def _start(self, job: PoolJob) -> None:
        job.accept()
        if isinstance(job, CoroutineJob):
            self._tracers.submit(job)
        else:
            self._sync_threads.submit(job.execute)

    def _start_waiting(self) -> None:
        while (job := self._slots.next()) is not None:
            if job.is_revoked():
                self._slots.release(job)
            else:
                self._start(job)

    def _drain(self, *, bounded: bool = False) -> None:
        end: float | None = None
        pump = HubPump()
        while self._slots.jobs and (end is None or monotonic() < end):
            bounded = bounded or _must_terminate()
            if not bounded:
                pump.run()
            elif end is None:
                end = monotonic() + self._engine.cancel_grace_seconds + _COLD_SECONDS
            sleep(_POLL_SECONDS)  # no lock and no event: this may be a signal handler
        left = self._slots.abandon()
        if left:
            labels = ", ".join(sorted(job.label for job in left)[:_NAMED_JOBS])
            _logger.warning("%d tasks did not end in time and are left behind: %s", len(left), labels)

    def _finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        self._watchdog.stop()
        self._core.stop()
        self._tracers.stop()
        self._sync_threads.stop()
        gc.unfreeze()  # a worker inside a test is not the end of its process
        self._service.users.discard(self)
        stop_components(self.app, self._engine.shutdown_seconds)
        signals.worker_process_shutdown.send(sender=self._hostname, pid=os.getpid(), exitcode=0)

    def _get_info(self) -> dict[str, Any]:
        info: dict[str, Any] = super()._get_info()  # type: ignore[misc]  # celery-types leaves it out
        info.update(
            {
                "max-concurrency": self.limit,
                "processes": [os.getpid()],
                "running": self._slots.running,
                "waiting": self._slots.waiting,
                "tracer-threads": len(self._tracers),
                "sync-threads": len(self._sync_threads),
                "core": self._core.number,
                "event-loop": f"{type(self._service.loop).__module__}.{type(self._service.loop).__qualname__}",
                "max-tasks-per-child": None,
                "put-guarded-by-semaphore": False,
                "timeouts": (self.options.get("soft_timeout") or 0, self.options.get("timeout") or 0),
            }
        )
        return info


def _must_terminate() -> bool:
    return worker_flags().should_terminate not in {None, False}
