"""One event loop for each worker process, on a thread of its own, and how Celery's tracer waits for a coroutine on it.

The loop is made at its first use in a process, after any fork, and lives as long as the process: connection pools and
clients that are bound to a loop stay usable from task to task.

A thread or process of a stock pool waits on a lock. A tracer of this library's pool is suspended instead: its thread has a
`Suspender`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from celery.exceptions import SoftTimeLimitExceeded

from pico_celery.errors import ExecutionError
from pico_celery.threads import DaemonThreads
from pico_celery.worker.coroutine import Body, CoroutineRun, SoftTimeLimitCancelled
from pico_celery.worker.engine_options import EngineOptions, loop_factory
from pico_celery.worker.execution import current_execution

T = TypeVar("T")
P = ParamSpec("P")
_TO_THREAD_LIMIT: Final = min(32, (os.cpu_count() or 1) + 4)  # as many as asyncio itself has
CLOSE_GRACE_SECONDS: Final = 1.0
_LOOK_SECONDS: Final = 5.0  # how often a thread that waits looks whether the loop is still there
_logger = logging.getLogger(__name__)


def named_task(loop: asyncio.AbstractEventLoop, coroutine: Body[T], **options: object) -> asyncio.Task[T]:
    """Create an asyncio task, named after the execution that creates it; the loop's task factory."""
    make: Callable[..., asyncio.Task[T]] = asyncio.Task
    task = make(coroutine, loop=loop, **options)
    execution = current_execution()
    if execution is not None:
        task.set_name(f"{execution.label} {task.get_name()}")
    return task


class _DaemonExecutor(ThreadPoolExecutor):
    """Runs what `asyncio.to_thread` is given, on daemon threads.

    The interpreter joins an executor's own threads when it exits, however long they block. An event loop takes no executor
    of another class.
    """

    def __init__(self) -> None:
        super().__init__(_TO_THREAD_LIMIT)
        self._daemons = DaemonThreads("pico-celery-to-thread", _TO_THREAD_LIMIT)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call something on a thread, soon."""
        return self._daemons.future_of(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - it does not wait
        """Let the threads end."""
        self._daemons.stop()


class LoopService:
    """The event loop of a process. Take it from `current_loop_service`."""

    def __init__(self, options: EngineOptions) -> None:
        self.options = options
        self._loop = loop_factory(options.event_loop)()
        if not isinstance(self._loop, asyncio.AbstractEventLoop):
            raise ExecutionError(
                f"worker_event_loop={options.event_loop!r} made {self._loop!r}, which is not an event loop: "
                "give package.module:function of a function that makes one"
            )
        factory: Any = named_task  # typeshed asks for one that takes generators too, which Python 3.12 does not
        self._loop.set_task_factory(factory)
        self._loop.set_default_executor(_DaemonExecutor())
        self._stopped = False
        self._posted: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._wake_pending = False
        self.first_resolution = asyncio.Lock()
        self.users: set[object] = set()
        self.resolved: set[str] = set()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), name="pico-celery-loop", daemon=True)
        self._thread.start()
        started.wait()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        return self._loop

    @property
    def is_closed(self) -> bool:
        """Whether nothing runs on it any more."""
        return self._loop.is_closed()

    @property
    def thread_id(self) -> int | None:
        """Identity of the loop's thread."""
        return self._thread.ident

    def is_current_thread(self) -> bool:
        """Return whether the caller runs on the loop."""
        return threading.get_ident() == self._thread.ident

    def post(self, callback: Callable[..., None], *args: object) -> None:
        """Call something on the loop, soon; from any thread."""
        # As call_soon_threadsafe, but one wake-up of the loop serves all that is posted before it runs.
        self._posted.append((callback, args))
        if not self._wake_pending:
            self._wake_pending = True
            try:
                self._loop.call_soon_threadsafe(self._run_posted)
            except BaseException:  # the loop is closed, or a signal handler raised: the next one wakes it
                self._wake_pending = False
                raise

    def run(self, coroutine: Body[T], timeout_seconds: float | None = None) -> T:
        """Run a coroutine of the worker itself and wait for it."""
        return self.submit(coroutine).result(timeout_seconds)

    def submit(self, coroutine: Body[T]) -> Future[T]:
        """Run a coroutine of the worker itself."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def stop(self, closing: Callable[[], Body[None]], timeout_seconds: float) -> None:
        """Stop the loop; cancel what is left on it."""
        if self._stopped:
            return
        self._stopped = True
        self.close_with(closing, timeout_seconds)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout_seconds)

    def close_with(self, closing: Callable[[], Body[None]], timeout_seconds: float) -> None:
        """Run clean-ups on the loop, which goes on."""
        try:
            self.run(_bounded(closing, timeout_seconds), timeout_seconds + CLOSE_GRACE_SECONDS)
        except Exception:  # a shutdown goes on whatever a clean-up raises
            _logger.exception("closing the worker's components failed")

    def _run_posted(self) -> None:
        self._wake_pending = False
        while self._posted:
            callback, args = self._posted.popleft()
            try:
                callback(*args)
            except Exception:
                _logger.exception("%r failed on the event loop", callback)

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(started.set)
        while not self._stopped:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                # A background task of user code raised it; asyncio lets it out of run_forever.
                _logger.exception("%s in a background task; the loop goes on", type(error).__name__)
        self._close()

    def _close(self) -> None:
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left, timeout=CLOSE_GRACE_SECONDS))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _bounded(closing: Callable[[], Body[None]], timeout_seconds: float) -> None:
    async with asyncio.timeout(timeout_seconds):
        await closing()


_services: dict[int, LoopService] = {}
_services_lock = threading.Lock()


def _reset_after_fork() -> None:
    global _services_lock  # noqa: PLW0603 - the lock may have been held by a thread that did not survive the fork
    _services.clear()
    _services_lock = threading.Lock()


os.register_at_fork(after_in_child=_reset_after_fork)


def current_loop_service(options: EngineOptions | None = None) -> LoopService:
    """Return the loop of this process, which starts at the first call."""
    pid = os.getpid()
    service = _services.get(pid)
    if service is None:
        with _services_lock:
            service = _services.get(pid)
            if service is None:
                service = _services[pid] = LoopService(options or EngineOptions())
    return service


def running_loop_service() -> LoopService | None:
    """Return the loop of this process, if it has started."""
    return _services.get(os.getpid())


def stop_loop_service(closing: Callable[[], Body[None]], timeout_seconds: float = 10.0) -> None:
    """Stop the loop of this process, if it ever started."""
    service = _services.get(os.getpid())
    if service is None:
        return
    if service.users:  # another worker of this process runs its tasks on it
        service.close_with(closing, timeout_seconds)
    elif _services.pop(os.getpid(), None) is not None:
        service.stop(closing, timeout_seconds)


class Suspender(Protocol):
    """What can wait for a coroutine in place of a thread."""

    def wait_for(self, run: CoroutineRun[T]) -> None:
        """Start a coroutine, and come back when it has ended."""


class _Waiting(threading.local):
    suspender: Suspender | None = None


waiting: Final = _Waiting()


def wait_for(service: LoopService, run: CoroutineRun[T]) -> T:
    """Start a coroutine and wait for it, without holding more than the place where the caller stands."""
    suspender = waiting.suspender
    if suspender is None:
        _ThreadWaiter(service, run).wait()
    else:
        suspender.wait_for(run)
    return run.outcome()


class _ThreadWaiter:
    """A thread that waits for a coroutine; what interrupts the thread interrupts the coroutine."""

    def __init__(self, service: LoopService, run: CoroutineRun[Any]) -> None:
        self._service = service
        self._run = run
        self._done = threading.Lock()
        self._done.acquire()
        run.on_end = self._done.release

    def wait(self) -> None:
        interruption: BaseException | None = None
        due: list[BaseException | None] = []  # interruptions that the coroutine has not got yet
        started = False
        # A signal handler may raise between any two steps: also when the lock is taken, and is not given back.
        while not self._run.ended:
            if self._service.is_closed:
                raise ExecutionError("the event loop was closed before the task had ended") from interruption
            try:
                if not started:
                    self._service.post(self._run.start, self._service.loop)  # the second time does nothing
                    started = True
                while due:
                    self._service.post(self._run.interrupt, due[0])
                    del due[0]
                if interruption is None:
                    self._done.acquire(timeout=_LOOK_SECONDS)
                elif not self._done.acquire(timeout=self._service.options.cancel_grace_seconds):
                    self._service.post(self._run.abandon)
                    self._done.acquire(timeout=_LOOK_SECONDS)
            except SoftTimeLimitExceeded as limit:
                # The coroutine may catch it and go on, as a synchronous task may; the hard limit is the end of that.
                due.append(SoftTimeLimitCancelled(*limit.args))
            except BaseException as error:  # noqa: BLE001 - signals of the pool end the task in every way they like
                interruption = error
                due.append(None)
        if interruption is not None:
            raise interruption
