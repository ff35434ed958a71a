"""The jobs of a pool: accepted, executed, limited, ended; and the slots for which they wait."""

from __future__ import annotations

import asyncio
import logging
import os
import signal as signals
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import count
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol

from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.exceptions import Terminated, WorkerShutdown, WorkerTerminate

from pico_celery.celery_port import is_revoked, keep_revoked, worker_flags
from pico_celery.worker.coroutine import CoroutineRun, SoftTimeLimitCancelled
from pico_celery.worker.loop import LoopService

EX_FAILURE: Final = 1
_Run = CoroutineRun[Any]
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


class Callbacks(NamedTuple):
    """How a job reports to Celery's request."""

    accepted: Callable[..., object] | None  # with process id and time
    succeeded: Callable[..., object] | None  # with what the tracer returned
    failed: Callable[..., object] | None  # with an ExceptionInfo
    timed_out: Callable[..., object] | None  # with whether the limit is soft, and its seconds


class Call(NamedTuple):
    """What a job runs: Celery's tracer, with a request that begins with the task's name and id."""

    target: Callable[..., object]
    args: tuple[object, ...]
    kwargs: Mapping[str, object]


class PoolJob:
    """A request in the pool."""

    __slots__ = (
        "__weakref__",
        "_call",
        "_callbacks",
        "_pool",
        "accepted_at",
        "number",
        "terminated_by",
        "time_limits",
    )

    def __init__(
        self, pool: Holder, call: Call, callbacks: Callbacks, time_limits: tuple[float | None, float | None]
    ) -> None:
        self._pool = pool
        self._call = call
        self._callbacks = callbacks
        self.time_limits = time_limits
        self.number = 0
        self.accepted_at: float | None = None
        self.terminated_by: int | None = None

    @property
    def task_id(self) -> str:
        """Id of the task; of the job itself, where it is not a task of Celery's."""
        args = self._call.args
        return str(args[1]) if len(args) > 1 else f"job {id(self)}"

    @property
    def label(self) -> str:
        """Name and id of the task, as Celery's logs write them."""
        target, args, _ = self._call
        return f"{args[0]}[{args[1]}]" if len(args) > 1 else repr(target)

    def accept(self) -> None:
        """Report to Celery that the job has a slot; an early acknowledgement happens here."""
        self.accepted_at = monotonic()
        self._report(self._callbacks.accepted, os.getpid(), self.accepted_at)

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
                target, args, kwargs = self._call
                outcome = target(*args, **kwargs)
            except Unwound:
                self._report_verdict()
            except (WorkerShutdown, WorkerTerminate) as error:
                _stop_worker(error)
            except Exception:  # noqa: BLE001 - Reject and what Celery did not expect; its request knows what to do
                self._report(self._callbacks.failed, ExceptionInfo())
            except BaseException as error:  # noqa: BLE001 - as celery.concurrency.base.apply_target reports it
                self._report(self._callbacks.failed, _info_of(WorkerLostError(repr(error))))
            else:
                self._report(self._callbacks.succeeded, outcome)
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
        self._report(self._callbacks.failed, _info_of(Terminated(self.terminated_by or int(signals.SIGTERM))))

    def _time_out(self, seconds: float, *, soft: bool) -> None:
        self._report(self._callbacks.timed_out, soft, seconds)

    def _report(self, callback: Callable[..., object] | None, *args: object) -> None:
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

    __slots__ = ("_hard_passed", "_has_ended", "_run", "_service", "tracer")

    def __init__(
        self,
        service: LoopService,
        pool: Holder,
        call: Call,
        callbacks: Callbacks,
        time_limits: tuple[float | None, float | None],
    ) -> None:
        super().__init__(pool, call, callbacks, time_limits)
        self._service = service
        self._run: _Run | None = None
        self._hard_passed = False
        self._has_ended = False
        self.tracer: Tracer | None = None

    def wait_for(self, run: _Run) -> None:
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

    def _start(self, run: _Run, resume: Callable[[], None]) -> None:
        if self.terminated_by is not None:
            resume()
            return
        self._run, self._has_ended = run, False
        loop = self._service.loop
        timers: list[asyncio.TimerHandle] = []

        def end() -> None:
            self._run, self._has_ended = None, True
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

    def _pass_soft(self, run: _Run, seconds: float) -> None:
        if not run.ended and not self._hard_passed and self.terminated_by is None:
            self._time_out(seconds, soft=True)
            run.interrupt(SoftTimeLimitCancelled())

    def _pass_hard(self, run: _Run) -> None:
        if not run.ended and self.terminated_by is None:
            self._hard_passed = True
            self._end(run)

    def _terminate_on_loop(self, signum: int) -> None:
        run = self._run
        if self._hard_passed or self._has_ended or self.terminated_by is not None:
            return
        self.terminated_by = signum
        if run is not None:
            self._end(run)

    def _end(self, run: _Run) -> None:
        run.interrupt()
        self._service.loop.call_later(self._service.options.cancel_grace_seconds, run.abandon)

    def _report_verdict(self) -> None:
        hard = self.time_limits[0]
        if self._hard_passed and hard is not None:
            self._time_out(hard, soft=False)
        else:
            self._report_terminated()
            self._report(keep_revoked, self._callbacks.accepted)


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


class Lane:
    """Jobs of one kind: how many run, and which wait for a slot."""

    __slots__ = ("limit", "running", "waiting")

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.running = 0
        self.waiting: deque[PoolJob] = deque()

    @property
    def is_full(self) -> bool:
        """Whether no more of this kind may run."""
        return self.limit is not None and self.running >= self.limit


class Slots:
    """Gives jobs a slot each, in the order of their coming.

    A job of a task that is in flight here already waits until that one has ended: Celery publishes a retry before it stores
    that the first run ends, and the second run must not overtake it.
    """

    def __init__(self, limit: int, synchronous_limit: int) -> None:
        self.limit = limit
        self._least = min(1, limit)  # --autoscale may begin with none
        self.coroutines = Lane()
        self.synchronous = Lane(synchronous_limit)
        self.jobs: set[PoolJob] = set()  # Celery keeps a weak reference only
        self._lanes = (self.coroutines, self.synchronous)
        self._lane_of: dict[PoolJob, Lane] = {}
        # By id of the task in flight; a deque is bigger than all else that is kept of a job, and nearly never needed.
        self._followers: dict[str, deque[PoolJob] | None] = {}
        self._numbers = count()
        self._closed = False
        self._lock = threading.RLock()  # a cold shutdown comes in a signal handler, whatever it interrupts

    @property
    def running(self) -> int:
        """How many jobs run."""
        return sum(lane.running for lane in self._lanes)

    @property
    def waiting(self) -> int:
        """How many jobs have no slot yet."""
        return len(self.jobs) - self.running

    def take(self, job: PoolJob, lane: Lane) -> bool:
        """Take a job in."""
        with self._lock:
            if self._closed:
                return False  # never acknowledged: the broker gives it to another worker
            job.number = next(self._numbers)
            self.jobs.add(job)
            self._lane_of[job] = lane
            if job.task_id in self._followers:
                followers = self._followers[job.task_id]
                if followers is None:
                    followers = self._followers[job.task_id] = deque()
                followers.append(job)
                return False
            self._followers[job.task_id] = None
            # A slot that has just become free belongs to those who wait: `next` is about to be asked for one of them.
            overtakes = any(one.waiting and not one.is_full for one in self._lanes)
            if self.running < self.limit and not lane.is_full and not overtakes:
                lane.running += 1
                return True
            lane.waiting.append(job)
            return False

    def withdraw(self, job: PoolJob) -> bool:
        """Take back a job that has no slot yet."""
        with self._lock:
            lane = self._lane_of.get(job)
            if lane is None:
                return False
            followers = self._followers.get(job.task_id)
            if followers is not None and job in followers:
                followers.remove(job)
                self._forget(job)
                return True
            if job in lane.waiting:
                lane.waiting.remove(job)
                self._end(job)
                return True
            return False

    def release(self, job: PoolJob) -> None:
        """Take the slot of a job that has ended."""
        with self._lock:
            self._lane_of[job].running -= 1
            self._end(job)

    def next(self) -> PoolJob | None:
        """Give a slot to the job that has waited longest."""
        with self._lock:
            ready = [lane for lane in self._lanes if lane.waiting and not lane.is_full]
            if self._closed or not ready or self.running >= self.limit:
                return None
            lane = min(ready, key=lambda one: one.waiting[0].number)
            lane.running += 1
            return lane.waiting.popleft()

    def resize(self, by: int) -> None:
        """Change how many jobs may run."""
        with self._lock:
            if self.limit + by < self._least:
                raise ValueError(f"cannot shrink a pool of {self.limit} by {-by}: it would run nothing any more")
            self.limit += by

    def flush(self) -> None:
        """Forget every job that has no slot."""
        with self._lock:
            for lane in self._lanes:
                for job in tuple(lane.waiting):
                    for follower in self._followers.pop(job.task_id) or ():
                        self._forget(follower)
                    self._forget(job)
                lane.waiting.clear()
            for task_id, followers in self._followers.items():
                for follower in followers or ():
                    self._forget(follower)
                self._followers[task_id] = None

    def close(self) -> None:
        """Take no more jobs, and forget those without a slot."""
        self._closed = True
        self.flush()

    def abandon(self) -> list[PoolJob]:
        """Forget the jobs that still run."""
        with self._lock:
            left = list(self.jobs)
            self.jobs.clear()
            return left

    def _end(self, job: PoolJob) -> None:
        self._forget(job)
        followers = self._followers[job.task_id]
        if followers:
            follower = followers.popleft()
            self._lane_of[follower].waiting.append(follower)
        else:
            del self._followers[job.task_id]

    def _forget(self, job: PoolJob) -> None:
        self.jobs.discard(job)
        self._lane_of.pop(job, None)
