"""Run Celery's tracer around each coroutine, suspended in a greenlet (or a thread) while the coroutine runs.

Celery's tracer is one synchronous function around the task. Only something that has a stack of its own can wait inside it: a
greenlet, of which thousands fit on a few threads, or, where greenlet is not installed, a thread for each task.

The threads also do what the tracer does before and after the coroutine: signals, states, results and canvas. None of it
holds the event loop, however slow the result backend is.
"""

from __future__ import annotations

import contextvars
import logging
import math
import threading
from collections.abc import Callable
from queue import SimpleQueue
from time import monotonic
from typing import Any, Final, Protocol

from pico_celery.threads import DaemonThreads
from pico_celery.worker.loop import waiting
from pico_celery.worker.pool.jobs import CoroutineJob

try:
    from greenlet import getcurrent, greenlet
except ImportError:  # no wheel for this platform
    HAS_GREENLET = False
else:
    HAS_GREENLET = True

_BLOCKED_SECONDS: Final = 0.005  # a step that has lasted longer waits for a server: the next job goes elsewhere
# How many jobs stand on one thread before the next thread is used. Few busy threads pass the GIL on less often; but each
# waits for the result backend by itself, so that a slow backend needs many.
_SHARE: Final = 32
_SHARE_OF_FAST_BACKEND: Final = 512
_FAST_SECONDS: Final = 0.008  # storing a result, and all else that comes after a coroutine
_WEIGHT: Final = 0.05  # of the newest measurement in the running mean
_logger = logging.getLogger(__name__)


class Tracers(Protocol):
    """Runs the targets of coroutine jobs."""

    def submit(self, job: CoroutineJob) -> None:
        """Run the target of a job, soon."""

    def stop(self) -> None:
        """Let the threads end."""

    def __len__(self) -> int:
        """Return how many threads there are."""


def make_tracers(threads: int, limit: int, prepare: Callable[[], None]) -> Tracers:
    """Return the best tracers of this platform."""
    return GreenletTracers(threads, limit, prepare) if HAS_GREENLET else ThreadTracers(prepare)


class ThreadTracers:
    """A thread for each job."""

    def __init__(self, prepare: Callable[[], None]) -> None:
        self._threads = DaemonThreads(
            "pico-celery-tracer", limit=1_000_000, prepare=prepare
        )  # the pool limits the jobs

    def __len__(self) -> int:
        """Return how many threads there are."""
        return len(self._threads)

    def submit(self, job: CoroutineJob) -> None:
        """Run the target of a job, soon."""
        self._threads.submit(_ThreadTracer(job).serve)

    def stop(self) -> None:
        """Let the threads end."""
        self._threads.stop()


class _ThreadTracer:
    def __init__(self, job: CoroutineJob) -> None:
        self._job = job
        self._resumed = threading.Semaphore(0)

    def serve(self) -> None:
        self._job.tracer = self
        waiting.suspender = self._job
        try:
            contextvars.Context().run(self._job.execute)  # as a greenlet: what the last task has set is not seen
        finally:
            waiting.suspender = None
            self._job.tracer = None

    def park(self) -> None:
        self._resumed.acquire()

    def resume(self) -> None:
        self._resumed.release()


class GreenletTracers:
    """Greenlets on a few threads."""

    def __init__(self, threads: int, limit: int, prepare: Callable[[], None]) -> None:
        self._prepare = prepare
        self._limit = max(1, threads)
        self._spread = max(_SHARE, math.ceil(limit / self._limit))
        self._pace = _Pace()
        self._lock = threading.RLock()
        self._threads: list[_TracerThread] = []

    def __len__(self) -> int:
        """Return how many threads there are."""
        return len(self._threads)

    def submit(self, job: CoroutineJob) -> None:
        """Run the target of a job, soon."""
        with self._lock:
            thread = self._choose()
            thread.taken += 1
        thread.queue.put(_GreenletTracer(thread, job))

    def stop(self) -> None:
        """Let the threads end."""
        for thread in self._threads:
            thread.queue.put(None)

    def _choose(self) -> _TracerThread:
        now = monotonic()
        share = max(self._spread, _SHARE_OF_FAST_BACKEND) if self._pace.seconds < _FAST_SECONDS else self._spread
        for thread in self._threads:
            if thread.load < share and not thread.is_blocked(now):
                return thread
        if len(self._threads) < self._limit:
            thread = _TracerThread(len(self._threads), self._pace, self._prepare)
            self._threads.append(thread)
            return thread
        return min(self._threads, key=lambda one: one.load)


class _Pace:
    """How long the second half of a job takes, after its coroutine; slow until it is known."""

    def __init__(self) -> None:
        self.seconds = 2 * _FAST_SECONDS

    def note(self, seconds: float) -> None:
        self.seconds += _WEIGHT * (seconds - self.seconds)


class _GreenletTracer:
    """One job on a greenlet, which stays on its thread."""

    __slots__ = ("greenlet", "job", "thread")

    def __init__(self, thread: _TracerThread, job: CoroutineJob) -> None:
        self.thread = thread
        self.job = job
        self.greenlet: Any = None

    def park(self) -> None:
        self.thread.hub.switch()

    def resume(self) -> None:
        self.thread.queue.put(self)


class _TracerThread:
    """A thread that gives its greenlets a step each, as they become ready."""

    def __init__(self, index: int, pace: _Pace, prepare: Callable[[], None]) -> None:
        self._prepare = prepare
        self._pace = pace
        self.queue: SimpleQueue[_GreenletTracer | None] = SimpleQueue()
        self.taken = 0  # counted by those who submit, under their lock
        self._ended = 0  # counted by the thread itself
        self.hub: Any = None
        self._step_began: float | None = None
        threading.Thread(target=self._serve, name=f"pico-celery-tracer-{index}", daemon=True).start()

    @property
    def load(self) -> int:
        return self.taken - self._ended

    def is_blocked(self, now: float) -> bool:
        began = self._step_began
        return began is not None and now - began > _BLOCKED_SECONDS

    def _serve(self) -> None:
        self._prepare()
        self.hub = getcurrent()
        while True:
            tracer = self.queue.get()
            if tracer is None:
                return
            self._step_began = began = monotonic()
            resumed = tracer.greenlet is not None
            self._step(tracer)
            self._step_began = None
            if resumed:
                self._pace.note(monotonic() - began)
            del tracer  # or an idle thread keeps the last task's arguments alive

    def _step(self, tracer: _GreenletTracer) -> None:
        if tracer.greenlet is None:
            tracer.job.tracer = tracer
            tracer.greenlet = greenlet(tracer.job.execute)
        waiting.suspender = tracer.job
        try:
            tracer.greenlet.switch()
        except BaseException:  # the thread carries other jobs
            _logger.exception("%s left its tracer", tracer.job.label)
        finally:
            waiting.suspender = None
        if tracer.greenlet.dead:
            tracer.job.tracer = None
            self._ended += 1
