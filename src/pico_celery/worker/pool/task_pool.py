"""`TaskPool`: Celery's pool interface over coroutines on one event loop.

Source of the interface: https://docs.celeryq.dev/en/stable/internals/reference/celery.concurrency.base.html
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from time import monotonic, sleep
from typing import Any, Final

from celery import Celery, signals
from celery.concurrency.base import BasePool
from kombu.asynchronous import Hub, get_event_loop

from pico_celery.celery_port import run_acknowledgements, worker_flags
from pico_celery.threads import DaemonThreads
from pico_celery.worker.contract_task import ContractTask
from pico_celery.worker.engine_options import EngineOptions
from pico_celery.worker.lifecycle import start_components, stop_components
from pico_celery.worker.loop import LoopService, current_loop_service
from pico_celery.worker.pool.cpu_affinity import Core
from pico_celery.worker.pool.jobs import Call, Callbacks, CoroutineJob, PoolJob, Slots
from pico_celery.worker.pool.tracers import HAS_GREENLET, Tracers, make_tracers
from pico_celery.worker.watchdog import Watchdog

_POLL_SECONDS: Final = 0.02
_COLD_SECONDS: Final = 2.0  # beyond the grace of a cancellation
_PUMP_SECONDS: Final = 0.25
_NAMED_JOBS: Final = 20
_OF_CHILDREN: Final = {"maxtasksperchild": "max_tasks_per_child", "max_memory_per_child": "max_memory_per_child"}
_logger = logging.getLogger(__name__)


class TaskPool(BasePool):
    """Runs asynchronous tasks on one event loop, and synchronous ones on threads beside it.

    ``limit`` (``-c``) is the number of tasks in flight.
    """

    app: Celery | None
    limit: int
    options: dict[str, Any]
    signal_safe = False
    is_green = False
    uses_semaphore = False
    task_join_will_block = True
    body_can_be_buffer = True

    def __init__(self, limit: int | None = None, **options: object) -> None:
        initialise: Callable[..., None] = super().__init__
        initialise(limit, **options)
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
        _warn_of_unsupported(self.app, self.options)
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
        target: Callable[..., object],
        args: Iterable[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        callback: Callable[..., object] | None = None,
        accept_callback: Callable[..., object] | None = None,
        timeout_callback: Callable[..., object] | None = None,
        error_callback: Callable[..., object] | None = None,
        soft_timeout: float | None = None,
        timeout: float | None = None,
        **_: object,
    ) -> PoolJob:
        """Run a target as soon as there is a slot."""
        limits = (timeout or self.options.get("timeout"), soft_timeout or self.options.get("soft_timeout"))
        call = Call(target, tuple(args or ()), kwargs or {})
        callbacks = Callbacks(accept_callback, callback, error_callback, timeout_callback)
        if self._is_coroutine(call.args):
            job: PoolJob = CoroutineJob(self._service, self, call, callbacks, limits)
            lane = self._slots.coroutines
        else:
            job = PoolJob(self, call, callbacks, limits)
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

    def terminate_job(self, pid: int, signal: int | str | None = None) -> None:
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

    def _is_coroutine(self, args: tuple[object, ...]) -> bool:
        name = args[0] if args else None
        return self.app is not None and isinstance(name, str) and isinstance(self.app.tasks.get(name), ContractTask)

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
        pump = _HubPump()
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

    def _get_info(self) -> dict[str, object]:
        info: dict[str, object] = super()._get_info()  # type: ignore[misc]  # celery-types leaves it out
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


class _HubPump:
    """Fires heartbeats, and sends acknowledgements, in place of the worker's main loop, which stands still.

    As ``celery.concurrency.prefork.TaskPool.on_stop`` does.
    """

    def __init__(self) -> None:
        self._hub: Hub | None = get_event_loop()
        self._due = 0.0

    def run(self) -> None:
        """Do what is due."""
        if self._hub is None or monotonic() < self._due:
            return
        self._due = monotonic() + _PUMP_SECONDS
        try:
            self._hub.fire_timers()
            run_acknowledgements(self._hub)  # otherwise they wait until the hub is closed
        except Exception:  # the tasks in flight are worth more than one heartbeat
            _logger.warning("a timer of the worker failed while it stops", exc_info=True)


def _warn_of_unsupported(app: Celery | None, options: Mapping[str, object]) -> None:
    """Warn of settings that this pool cannot follow."""
    for option, setting in _OF_CHILDREN.items():
        if options.get(option):
            _logger.warning(
                "%s=%s is not followed: the pool has no child processes. Restart the worker from outside, or take "
                "-P processes",
                setting,
                options[option],
            )
    if not HAS_GREENLET:
        _logger.warning("greenlet is not installed: every task in flight takes a thread of its own")
    if app is not None:
        _warn_of_sync_limits(app, options)


def _warn_of_sync_limits(app: Celery, options: Mapping[str, object]) -> None:
    own = {
        name
        for name, task in app.tasks.items()
        if not isinstance(task, ContractTask) and not name.startswith("celery.")
    }
    everywhere = options.get("timeout") or options.get("soft_timeout")
    limited = {name for name in own if everywhere or app.tasks[name].time_limit or app.tasks[name].soft_time_limit}
    if own:
        _logger.info(
            "%d synchronous tasks run on threads of this process; -P processes runs them in child processes", len(own)
        )
    if limited:
        _logger.warning(
            "time limits of synchronous tasks are not enforced, for they run on threads: %s. Make them async def tasks of "
            "a contract, or serve them by a worker with -P processes",
            ", ".join(sorted(limited)),
        )
