"""`ResultHub`: where all clients of an application in a process wait for their results.

One thread receives for everybody, however many event loops and threads wait. It starts with the first who waits, and ends
when nobody has waited for a while; nothing is subscribed to then.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final
from uuid import uuid4

from celery import Celery
from celery.exceptions import OperationalError

from pico_celery.app_state import PerProcess
from pico_celery.celery_port import check_client
from pico_celery.client.results.receivers import (
    ConsumerReceiver,
    PollingReceiver,
    Receiver,
    RedisReceiver,
    TaskIds,
    is_redis,
    is_rpc,
    private_backend,
    resolve_ready,
)
from pico_celery.client.results.waiters import Resolve, Sent, Waiter, Waiters
from pico_celery.errors import ExecutionError
from pico_celery.threads import submit

_DISABLED: Final = "disabled"
_LINGER_SECONDS: Final = 2.0
_UNREACHABLE_SECONDS: Final = 30.0  # as long as this a backend may be away before those who wait get an error
_START_SECONDS: Final = 10.0
_EXIT_SECONDS: Final = 10.0
_FIRST_RETRY_SECONDS: Final = 0.05
_LONGEST_RETRY_SECONDS: Final = 1.0
_epochs: Final = itertools.count(1)  # no two hubs of a process and its forks have one in common
_logger = logging.getLogger(__name__)


class _Sending(threading.local):
    """Whether this thread publishes a call whose result the hub listens to."""

    active = False


_sending: Final = _Sending()


class ResultHub:
    """Results of one application in one process. Take it from `hub_of`."""

    def __init__(self, app: Celery) -> None:
        check_client()
        self._app: Any = app
        self.ids: Final = TaskIds()
        self.call_soon: Callable[[Callable[[], None]], Any] = submit
        self._waiters = Waiters()
        self._replies = str(uuid4())
        self._lock = threading.Lock()
        self._backend: Any = None
        self._receiver: Receiver | None = None
        self._thread: threading.Thread | None = None
        self._ending: threading.Thread | None = None
        self._closing = False
        self._epoch = 0
        self._listening = threading.Event()
        self._listen_requests = 0
        self._used = 0.0
        self._trouble: BaseException | None = None

    @property
    def backend(self) -> Any:  # noqa: ANN401 - a backend of Celery's, which has no types
        """The result backend that results of this application are read from."""
        if self._backend is None:
            with self._lock:
                if self._backend is None:
                    self._backend = self._make_backend()
        # Any number of threads may read from these; a backend of another kind belongs to its thread.
        is_shared = is_redis(type(self._backend)) or is_rpc(type(self._backend))
        return self._backend if is_shared else self._app.backend

    @property
    def keeps_results(self) -> bool:
        """Whether the application has a result backend at all; asking does not load it, which takes its time."""
        name = self._app.backend_cls or self._app.conf.result_backend or _DISABLED
        return not isinstance(name, str) or name.partition(":")[0] != _DISABLED

    @property
    def trouble(self) -> BaseException | None:
        """Why the result backend cannot be reached at the moment, if so."""
        return self._trouble

    def expect(self, result: Sent) -> int:
        """Store a result as soon as it comes, whether or not somebody waits for it by then."""
        # In one step: a thread that has nothing to do may be about to end, and to forget what is held.
        with self._lock:
            return self._expect(result)

    def watch(self, task_id: str, resolve: Resolve, heard: int = 0) -> Waiter:
        """Wait for a result."""
        if self._closing:
            raise ExecutionError(f"the result of {task_id} cannot be waited for: the process ends")
        waiter = Waiter(task_id, resolve)
        with self._lock:
            if self._closing:
                raise OperationalError(f"no result of {task_id} can be received: the application's hub was closed")
            self._used = time.monotonic()
            is_new = heard == 0 or heard != self._epoch
            has_to_look = self._waiters.add(waiter, unseen=is_new)
            try:
                self._start()
            except BaseException:
                self._waiters.discard(waiter)
                raise
            receiver = self._receiver
        if has_to_look and receiver is not None and self._trouble is None:
            self.call_soon(receiver.wake)
        return waiter

    def move(self, known: str, task_id: str) -> None:
        """Let those who wait for one task wait for another one."""
        if self._waiters.move(known, task_id) and self._receiver is not None:
            self._receiver.wake()

    def unwatch(self, waiter: Waiter) -> None:
        """Wait no more."""
        self._waiters.discard(waiter)

    def fail(self, task_id: str, error: BaseException) -> bool:
        """Fail those who wait for a call that could not be sent; return whether there are any."""
        return self._waiters.fail(error, [task_id])

    @contextmanager
    def sending(self, results: Sequence[Sent] = ()) -> Iterator[dict[str, Any]]:
        """Publish calls, and store their results as soon as they come, whether or not somebody waits by then.

        Celery would subscribe to each of them.
        """
        if results and results[0].ignored:
            yield {}
            return
        while not self._hold(results, is_transient=is_rpc(type(self.backend))):
            self._listen_first()
        _quieten(self._app.backend)
        before, _sending.active = _sending.active, True
        try:
            yield self.reply_options
        finally:
            _sending.active = before

    @property
    def reply_options(self) -> dict[str, object]:
        """Options by which replies come to this process, where results are replies over the broker."""
        return {"reply_to": self.backend.oid} if is_rpc(type(self.backend)) else {}

    def close(self) -> None:
        """Stop listening."""
        with self._lock:
            thread, self._closing = self._thread, True
            receiver = self._receiver
        if thread is not None and thread is not threading.current_thread():
            # Waking talks to the server: one that says nothing would hold the end of the process; without it, a tick passes.
            if receiver is not None and self._listening.is_set() and self._trouble is None:
                receiver.wake()
            thread.join(_EXIT_SECONDS)

    def abandon(self) -> None:
        """Fail those who still wait: nobody receives their results any more."""
        self._waiters.fail(OperationalError("the hub of the application was closed while its results were waited for"))

    @property
    def is_own_thread(self) -> bool:
        """Whether the caller runs on the thread that receives, which a wait would stop for everybody."""
        return threading.current_thread() is self._thread

    def _make_backend(self) -> object:
        return private_backend(self._app, partial(resolve_ready, self._waiters), self._replies)

    def _expect(self, result: Sent) -> int:
        is_covered = self.ids.covers(result.id) or is_rpc(type(self._backend))
        epoch = self._epoch if is_covered and self._listening.is_set() else 0
        if epoch:
            self._waiters.hold(result)
        return epoch

    def _hold(self, results: Sequence[Sent], *, is_transient: bool) -> bool:
        """Hold the results of calls that are about to be sent; return whether they may be sent now."""
        with self._lock:
            if is_transient and not self._listening.is_set():
                return False
            for result in results:
                result._heard = result._heard or self._expect(result)
            return True

    def _listen_first(self) -> None:
        """Listen before a call is sent, where what nobody hears is lost."""
        with self._lock:
            self._listen_requests += 1  # it may take longer to connect than the thread lingers
            self._used = time.monotonic()
            self._start()
        try:
            if not self._listening.wait(_START_SECONDS):
                reason = self._trouble or "it does not answer"
                raise OperationalError(f"replies over the broker cannot be received: {reason}")
        finally:
            with self._lock:
                self._listen_requests -= 1

    def _start(self) -> None:
        if self._thread is None and not self._closing:
            thread = threading.Thread(target=self._run, name="pico-celery-results", daemon=True)
            self._epoch = next(_epochs)
            thread.start()  # it may fail; the next one who waits tries again
            self._thread = thread

    def _make_receiver(self) -> Receiver:
        backend = self.backend
        if is_redis(type(backend)):
            return RedisReceiver(backend, self._waiters, self.ids)
        if getattr(backend, "is_async", False):
            return ConsumerReceiver(self._make_backend, self._waiters)
        return PollingReceiver(self._app, self._waiters)

    def _run(self) -> None:
        pause, since = _FIRST_RETRY_SECONDS, time.monotonic()
        receiver: Receiver | None = None
        ending = self._ending
        if ending is not None and ending is not threading.current_thread():
            ending.join(_EXIT_SECONDS)  # it deletes the queue of replies, which this one is to consume
        while self._is_needed(receiver):
            try:
                if receiver is None:
                    receiver = self._receiver = self._make_receiver()
                if receiver.step():
                    self._listening.set()
                self._trouble, pause, since = None, _FIRST_RETRY_SECONDS, time.monotonic()
            except BaseException as error:  # noqa: BLE001 - whatever a backend raises belongs to those who wait for it
                self._note_trouble(error, since)
                time.sleep(pause)  # in a thread of its own; a server that comes back is not stormed
                pause = min(pause * 2, _LONGEST_RETRY_SECONDS)
        if receiver is not None:
            _close(receiver)

    def _note_trouble(self, error: BaseException, since: float) -> None:
        self._listening.clear()
        with self._lock:
            self._epoch = next(_epochs)
        self._trouble = error
        if time.monotonic() - since > _UNREACHABLE_SECONDS:
            self._waiters.fail(error)

    def _is_needed(self, receiver: Receiver | None) -> bool:
        with self._lock:
            now = time.monotonic()
            if (
                self._waiters
                or self._listen_requests
                or (receiver is not None and receiver.transient and self._waiters.holds_any)
            ):
                self._used = now
            if not self._closing and now - self._used < _LINGER_SECONDS:
                return True
            self._ending = self._thread
            self._thread = self._receiver = None
            self._listening.clear()
            self._waiters.release()
            return False


def _close(receiver: Receiver) -> None:
    try:
        receiver.close()
    except Exception:
        _logger.debug("closing the receiver of results failed", exc_info=True)


def _quieten(backend: Any) -> None:  # noqa: ANN401 - a backend of Celery's, which has no types
    """Let a backend of Celery's, which belongs to this thread, not subscribe to what the hub listens to."""
    if "on_task_call" in vars(backend):
        return
    subscribe = backend.on_task_call

    def on_task_call(producer: object, task_id: str) -> object:
        return None if _sending.active else subscribe(producer, task_id)

    backend.on_task_call = on_task_call


_hubs: Final = PerProcess(ResultHub, ResultHub.close, priority=100)


def hub_of(app: Celery) -> ResultHub:
    """Return the hub of an application in this process."""
    return _hubs.of(app)


def close_hub(app: Celery) -> None:
    """Stop listening, and forget the hub of an application."""
    hub = _hubs.take(app)
    if hub is not None:
        hub.close()
        hub.abandon()
