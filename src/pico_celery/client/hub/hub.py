"""`ResultHub`: where all clients of an application in a process wait for their results.

One thread receives for everybody, however many event loops and threads wait. It starts with the first who waits, and ends
when nobody has waited for a while; nothing is subscribed to then.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

from celery import Celery
from celery.exceptions import OperationalError

from pico_celery.client.hub.posting import Post
from pico_celery.client.hub.publisher import Publisher
from pico_celery.client.hub.receivers import (
    ConsumerReceiver,
    PollingReceiver,
    Receiver,
    is_redis,
    is_rpc,
    private_backend,
    settle_ready,
)
from pico_celery.client.hub.redis_receiver import RedisReceiver
from pico_celery.client.hub.task_ids import TaskIds
from pico_celery.client.hub.waiters import Meta, Resolve, Sent, Waiter, Waiters
from pico_celery.errors import ExecutionError

_ATTRIBUTE: Final = "__pico_celery_hub__"
_DISABLED: Final = "disabled"
_LINGER_SECONDS: Final = 2.0
_UNREACHABLE_SECONDS: Final = 30.0  # as long as this a backend may be away before those who wait are told
_START_SECONDS: Final = 10.0
_EXIT_SECONDS: Final = 10.0
_FIRST_RETRY_SECONDS: Final = 0.05
_LONGEST_RETRY_SECONDS: Final = 1.0
_logger = logging.getLogger(__name__)


class _Sending(threading.local):
    """Whether this thread publishes a call whose result the hub listens to."""

    active = False


_sending: Final = _Sending()


class ResultHub:
    """Results of one application in one process. Take it from `hub_of`.

    Args:
        app: The application.
    """

    def __init__(self, app: Celery) -> None:
        self._app: Any = app
        self.ids: Final = TaskIds()
        self.publisher: Final = Publisher(app)
        self.post: Final = Post(app)
        self._waiters = Waiters()
        self._replies = str(uuid4())
        self._lock = threading.Lock()
        self._backend: Any = None
        self._receiver: Receiver | None = None
        self._thread: threading.Thread | None = None
        self._closing = False
        self._epoch = 0
        self._listening = threading.Event()
        self._used = 0.0
        self._trouble: BaseException | None = None

    @property
    def backend(self) -> Any:
        """The result backend that results of this application are read from."""
        if self._backend is None:
            with self._lock:
                if self._backend is None:
                    self._backend = self._make_backend()
        return self._backend if self._is_shared(self._backend) else self._app.backend

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
        """Settle a result as soon as it comes, whether or not somebody waits for it by then.

        Args:
            result: Result of a call that is about to be sent.

        Returns:
            What tells `watch` that nothing can have been missed; 0 where something can.
        """
        is_covered = self.ids.covers(result.id) or is_rpc(type(self._backend))
        epoch = self._epoch if is_covered and self._listening.is_set() else 0
        if epoch:
            self._waiters.hold(result)
        return epoch

    def watch(self, task_id: str, resolve: Resolve, heard: int = 0) -> Waiter:
        """Wait for a result.

        Args:
            task_id: Id of the task.
            resolve: Called once, on any thread.
            heard: What `expect` returned before the call was sent; 0 where its result may be there already.

        Returns:
            What `unwatch` takes.

        Raises:
            ExecutionError: If the process is about to end, and listens no more.
        """
        if self._closing:
            raise ExecutionError(f"the result of {task_id} cannot be waited for: the process ends")
        waiter = Waiter(task_id, resolve)
        with self._lock:
            self._used = time.monotonic()
            is_new = heard == 0 or heard != self._epoch
            has_to_look = self._waiters.add(waiter, unseen=is_new)
            self._start()
            receiver = self._receiver
        if has_to_look and receiver is not None and self._listening.is_set():
            self.publisher.call(receiver.wake)
        return waiter

    def move(self, known: str, task_id: str) -> None:
        """Let those who wait for one task wait for another one."""
        if self._waiters.move(known, task_id) and self._receiver is not None:
            self._receiver.wake()

    def unwatch(self, waiter: Waiter) -> None:
        """Wait no more."""
        self._waiters.discard(waiter)

    def drop(self, waiter: Waiter) -> None:
        """Wait no more, said by the garbage collector: it takes no lock."""
        self._waiters.drop(waiter)

    def fail(self, task_id: str, error: BaseException) -> bool:
        """Tell those who wait for a call that it could not be sent; tell whether there are any."""
        return self._waiters.fail(error, [task_id])

    @contextmanager
    def sending(self, results: Sequence[Sent] = ()) -> Iterator[dict[str, Any]]:
        """Publish calls, and settle their results as soon as they come, whether or not somebody waits by then.

        Celery would subscribe to each of them.

        Args:
            results: Results of the calls, which are all ignored or none of them; none where Celery makes them.

        Yields:
            Options that go with the calls.

        Raises:
            celery.exceptions.OperationalError: If replies cannot be received.
        """
        if results and results[0].ignored:
            yield {}
            return
        self._listen_first()
        for result in results:
            result.heard = result.heard or self.expect(result)
        _quieten(self._app.backend)
        _sending.active = True
        try:
            yield self.reply_options
        finally:
            _sending.active = False

    def close(self) -> None:
        """Publish what is still to be published, then stop listening."""
        if not self.publisher.flush(_EXIT_SECONDS):
            _logger.error("calls were not published within %.0f s before the end of the process", _EXIT_SECONDS)
        with self._lock:
            thread, self._closing = self._thread, True
            receiver = self._receiver
        if thread is not None and thread is not threading.current_thread():
            if receiver is not None:
                receiver.wake()
            thread.join(_EXIT_SECONDS)

    def _make_backend(self) -> Any:
        return private_backend(self._app, self._take, self._replies)

    def _is_shared(self, backend: Any) -> bool:
        """Tell whether any number of threads may read from a backend."""
        return is_redis(type(backend)) or is_rpc(type(backend))

    def _take(self, meta: Meta) -> None:
        settle_ready(self._waiters, meta)

    @property
    def reply_options(self) -> dict[str, Any]:
        """Options by which replies come to this process, where results are replies over the broker."""
        return {"reply_to": self.backend.oid} if is_rpc(type(self.backend)) else {}

    def _listen_first(self) -> None:
        """Listen before a call is sent, where what nobody hears is lost."""
        if not is_rpc(type(self.backend)):
            return
        with self._lock:
            self._used = time.monotonic()
            self._start()
        if not self._listening.wait(_START_SECONDS):
            raise OperationalError(
                f"replies over the broker cannot be received: {self._trouble or 'it does not answer'}"
            )

    def _start(self) -> None:
        if self._thread is None and not self._closing:
            self._epoch += 1
            thread = threading.Thread(target=self._run, name="pico-celery-results", daemon=True)
            thread.start()  # which may fail
            self._thread = thread

    def _make_receiver(self) -> Receiver:
        backend = self.backend
        if is_redis(type(backend)):
            return RedisReceiver(backend, self._waiters, self.ids)
        if getattr(backend, "is_async", False):
            return ConsumerReceiver(self._make_backend(), self._waiters)  # a consumer that stopped cannot start again
        return PollingReceiver(self._app, self._waiters)

    def _run(self) -> None:
        pause, since = _FIRST_RETRY_SECONDS, time.monotonic()
        receiver: Receiver | None = None
        while self._is_needed(receiver):
            try:
                if receiver is None:
                    receiver = self._receiver = self._make_receiver()
                if receiver.step():
                    self._listening.set()
                self._trouble, pause, since = None, _FIRST_RETRY_SECONDS, time.monotonic()
            except Exception as error:  # noqa: BLE001 - whatever a backend raises belongs to those who wait for it
                self._note_trouble(error, since)
                time.sleep(pause)  # in a thread of its own; a server that comes back is not stormed
                pause = min(pause * 2, _LONGEST_RETRY_SECONDS)
        if receiver is not None:
            _close(receiver)

    def _note_trouble(self, error: Exception, since: float) -> None:
        self._listening.clear()
        with self._lock:
            self._epoch += 1
        self._trouble = error
        if time.monotonic() - since > _UNREACHABLE_SECONDS:
            self._waiters.fail(error)

    def _is_needed(self, receiver: Receiver | None) -> bool:
        with self._lock:
            now = time.monotonic()
            if self._waiters or (receiver is not None and receiver.transient and self._waiters.holds_any):
                self._used = now
            if not self._closing and now - self._used < _LINGER_SECONDS:
                return True
            self._thread = self._receiver = None
            self._listening.clear()
            self._waiters.release()
            return False


def _close(receiver: Receiver) -> None:
    try:
        receiver.close()
    except Exception:
        _logger.debug("closing the receiver of results failed", exc_info=True)


def _quieten(backend: Any) -> None:
    """Let a backend of Celery's, which belongs to this thread, not subscribe to what the hub listens to."""
    if "on_task_call" in vars(backend):
        return
    subscribe = backend.on_task_call

    def on_task_call(producer: Any, task_id: str) -> Any:
        return None if _sending.active else subscribe(producer, task_id)

    backend.on_task_call = on_task_call


_NO_HUB: Final[tuple[int, ResultHub | None]] = (0, None)
_hubs: Final[weakref.WeakSet[ResultHub]] = weakref.WeakSet()
_hubs_lock = threading.Lock()


def hub_of(app: Celery) -> ResultHub:
    """Return the hub of an application in this process.

    Args:
        app: The application.

    Returns:
        Its hub, which is made at the first call.
    """
    pid, hub = getattr(app, _ATTRIBUTE, _NO_HUB)
    if hub is None or pid != os.getpid():
        with _hubs_lock:
            pid, hub = getattr(app, _ATTRIBUTE, _NO_HUB)
            if hub is None or pid != os.getpid():
                hub = ResultHub(app)
                setattr(app, _ATTRIBUTE, (os.getpid(), hub))
                _hubs.add(hub)
    found: ResultHub = hub
    return found


def close_hub(app: Celery) -> None:
    """Publish what is still to be published, stop listening, and forget the hub of an application.

    Args:
        app: The application.
    """
    pid, hub = getattr(app, _ATTRIBUTE, _NO_HUB)
    if hub is not None:
        delattr(app, _ATTRIBUTE)
    if hub is not None and pid == os.getpid():
        hub.close()


@atexit.register
def _close_all() -> None:
    for hub in list(_hubs):
        hub.close()


def _reset_after_fork() -> None:
    global _hubs_lock  # noqa: PLW0603 - the lock may have been held by a thread that did not survive the fork
    _hubs_lock = threading.Lock()
    _hubs.clear()


os.register_at_fork(after_in_child=_reset_after_fork)
