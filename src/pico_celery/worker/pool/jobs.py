"""One request in the pool: accepted, executed, limited, ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal as signals
from collections.abc import Callable, Mapping
from datetime import timedelta
from time import monotonic
from typing import Any, Final, Protocol

from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.exceptions import Terminated, WorkerShutdown, WorkerTerminate

from pico_celery.celery_port import is_revoked, worker_flags
from pico_celery.worker.coroutine import CoroutineRun, SoftTimeLimitCancelled
from pico_celery.worker.loop import LoopService

EX_FAILURE: Final = 1
_logger = logging.getLogger(__name__)


class Unwound(BaseException):
    """Unwinds Celery's tracer: the pool has decided the outcome of its task already.

    The tracer lets it pass, but for its clean-ups: ``celery.app.trace`` handles an `Exception` only.
    """


class Holder(Protocol):
    """The pool that a job belongs to."""

    def withdraw(self, job: PoolJob) -> bool:
        """Take back a job that has no slot yet; return whether it had none."""

    def release(self, job: PoolJob) -> None:
        """Give the slot of a job that has ended to another one."""


class Tracer(Protocol):
    """Where the target of a coroutine's job runs, and stands while its coroutine runs."""

    def park(self) -> None:
        """Wait until `resume` is called, which may have happened already."""

    def resume(self) -> None:
        """Let the tracer go on; from any thread."""


class Callbacks:
    """What Celery's request wants to hear of its job."""

    __slots__ = ("accepted", "failed", "succeeded", "timed_out")

    def __init__(
        self,
        accepted: Callable[..., Any] | None,
        succeeded: Callable[..., Any] | None,
        failed: Callable[..., Any] | None,
        timed_out: Callable[..., Any] | None,
    ) -> None:
        self.accepted = accepted
        self.succeeded = succeeded
        self.failed = failed
        self.timed_out = timed_out


class PoolJob:
    """A request in the pool."""

    __slots__ = (
        "__weakref__",
        "_args",
        "_callbacks",
        "_kwargs",
        "_pool",
        "_target",
        "accepted_at",
        "number",
        "terminated_by",
        "time_limits",
    )

    def __init__(
        self,
        *,
        pool: Holder,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        callbacks: Callbacks,
        time_limits: tuple[float | None, float | None],
    ) -> None:
        self._pool = pool
        self._target = target
        self._args = args
        self._kwargs = kwargs
        self._callbacks = callbacks
        self.time_limits = time_limits
        self.number = 0
        self.accepted_at: float | None = None
        self.terminated_by: int | None = None

    @property
    def task_id(self) -> str:
        """Id of the task; of the job itself, where it is none of Celery's."""
        return str(self._args[1]) if len(self._args) > 1 else f"job {id(self)}"

    @property
    def label(self) -> str:
        """Name and id of the task, as Celery's logs write them."""
        return f"{self._args[0]}[{self._args[1]}]" if len(self._args) > 1 else repr(self._target)

    def accept(self) -> None:
        """Tell Celery that the job has a slot; an early acknowledgement happens here."""
        self.accepted_at = monotonic()
        self._call(self._callbacks.accepted, os.getpid(), self.accepted_at)

    def is_revoked(self) -> bool:
        """Return whether the task was revoked, or has expired, while it waited for a slot."""
        try:
            return is_revoked(self._callbacks.accepted)
        except Exception:
            _logger.exception("asking whether %s was revoked failed", self.label)
            return False

    def execute(self) -> None:
        """Run the target where the caller stands, and report its outcome."""
        try:
            try:
                outcome = self._target(*self._args, **self._kwargs)
            except Unwound:
                self._report_verdict()
            except (WorkerShutdown, WorkerTerminate) as error:
                _stop_worker(error)
            except Exception:  # noqa: BLE001 - Reject and what Celery did not expect; its request knows what to do
                self._call(self._callbacks.failed, ExceptionInfo())
            except BaseException as error:  # noqa: BLE001 - as celery.concurrency.base.apply_target reports it
                self._call(self._callbacks.failed, _info_of(WorkerLostError(repr(error))))
            else:
                self._call(self._callbacks.succeeded, outcome)
        finally:
            self._pool.release(self)

    def terminate(self, signum: int | None = None) -> None:
        """End the job, as ``revoke(terminate=True)`` and a cold shutdown ask for."""
        if self.terminated_by is not None:
            return
        if not self._pool.withdraw(self):
            self._terminate_running(signum)
        else:
            self.terminated_by = signum or int(signals.SIGTERM)
            # The request announces the revocation when it hears that it was accepted.
            self.accept()
            self._report_terminated()

    def _terminate_running(self, signum: int | None) -> None:  # noqa: ARG002 - what a coroutine job can do
        _logger.warning(
            "%s is synchronous and runs on a thread: it cannot be terminated, and is still running", self.label
        )

    def _report_verdict(self) -> None:
        self._report_terminated()

    def _report_terminated(self) -> None:
        self._call(self._callbacks.failed, _info_of(Terminated(self.terminated_by or int(signals.SIGTERM))))

    def _time_out(self, seconds: float, *, soft: bool) -> None:
        self._call(self._callbacks.timed_out, soft, seconds)

    def _call(self, callback: Callable[..., Any] | None, *args: Any) -> None:
        if callback is None:
            return
        try:
            callback(*args)
        except (WorkerShutdown, WorkerTerminate) as error:
            _stop_worker(error)
        except MemoryError:
            _logger.critical("out of memory: the worker stops when its tasks have ended", exc_info=True)
            worker_flags().should_stop = EX_FAILURE
        except Exception:
            _logger.exception("reporting %s failed", self.label)


class CoroutineJob(PoolJob):
    """A request whose task is a coroutine on the loop.

    Every decision between its end, its limits and its termination is taken on the loop's thread: the first one counts.
    """

    __slots__ = ("_hard_passed", "_run", "_service", "_settled", "tracer")

    def __init__(self, service: LoopService, **job: Any) -> None:
        super().__init__(**job)
        self._service = service
        self._run: CoroutineRun[Any] | None = None
        self._hard_passed = False
        self._settled = False
        self.tracer: Tracer | None = None

    def wait_for(self, run: CoroutineRun[Any]) -> None:
        """Start a coroutine of this job, and come back when it has ended."""
        hard, soft = self.time_limits
        run.time_limits = (_duration(hard), _duration(soft))
        tracer = self.tracer
        if tracer is None:
            raise RuntimeError(f"{self.label} is on no tracer")
        self._service.post(self._start, run, tracer.resume)
        tracer.park()
        if self._hard_passed or self.terminated_by is not None:
            raise Unwound

    def _terminate_running(self, signum: int | None) -> None:
        try:
            self._service.post(self._terminate_on_loop, signum or int(signals.SIGTERM))
        except RuntimeError:
            _logger.warning("%s outlived its event loop", self.label)

    def _start(self, run: CoroutineRun[Any], resume: Callable[[], None]) -> None:
        if self.terminated_by is not None:
            resume()
            return
        self._run, self._settled = run, False
        loop = self._service.loop
        timers: list[asyncio.TimerHandle] = []

        def end() -> None:
            self._run, self._settled = None, True
            for timer in timers:
                timer.cancel()
            resume()

        run.on_end = end
        begun = self.accepted_at or monotonic()
        hard, soft = self.time_limits
        if soft:
            timers.append(loop.call_later(_left(begun, soft), self._pass_soft, run, soft))
        if hard:
            timers.append(loop.call_later(_left(begun, hard), self._pass_hard, run))
        run.start(loop)

    def _pass_soft(self, run: CoroutineRun[Any], seconds: float) -> None:
        if not run.ended and not self._hard_passed and self.terminated_by is None:
            self._time_out(seconds, soft=True)
            run.interrupt(SoftTimeLimitCancelled())

    def _pass_hard(self, run: CoroutineRun[Any]) -> None:
        if not run.ended and self.terminated_by is None:
            self._hard_passed = True
            self._end(run)

    def _terminate_on_loop(self, signum: int) -> None:
        run = self._run
        if self._hard_passed or self._settled or self.terminated_by is not None:
            return
        self.terminated_by = signum
        if run is not None:
            self._end(run)

    def _end(self, run: CoroutineRun[Any]) -> None:
        run.interrupt()
        self._service.loop.call_later(self._service.options.cancel_grace_seconds, run.abandon)

    def _report_verdict(self) -> None:
        hard = self.time_limits[0]
        if self._hard_passed and hard is not None:
            self._time_out(hard, soft=False)
        else:
            self._report_terminated()


def _left(begun: float, seconds: float) -> float:
    return max(0.0, seconds - (monotonic() - begun))


def _duration(seconds: float | None) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None


def _info_of(error: Exception) -> ExceptionInfo:
    try:
        raise error
    except type(error):
        return ExceptionInfo()


def _stop_worker(error: BaseException) -> None:
    code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 0
    if isinstance(error, WorkerTerminate):
        worker_flags().should_terminate = code or EX_FAILURE
    else:
        worker_flags().should_stop = code
