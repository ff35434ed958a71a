"""Publishing on behalf of event loops: one thread for each application, in the order of the calls.

What was handed over while it was busy is sent together, where the transport can do that.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from kombu.exceptions import BatchPublishError  # type: ignore[attr-defined]  # kombu's types lack it

from pico_celery.client.publishing.message import handed_over_by

T = TypeVar("T")
_LINGER_SECONDS: Final = 2.0
_TURN_SECONDS: Final = 0.02
_TOGETHER: Final = 32
_logger = logging.getLogger(__name__)


class Job:
    """Something to be published."""

    __slots__ = ("alone", "context", "done", "send")

    def __init__(
        self, send: Callable[[object], object], done: Callable[[BaseException | None], None], *, alone: bool = False
    ) -> None:
        self.send = send
        self.done = done
        self.alone = alone
        self.context = contextvars.copy_context()

    def run(self, producer: object = None) -> None:
        """Publish it."""
        self.context.run(self.send, producer)


class Publisher:
    """The thread that publishes."""

    def __init__(self, app: Any) -> None:  # noqa: ANN401 - Celery's types lack what is used
        self._app = app
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._busy = False
        self._is_armed = False

    def submit(self, job: Job, call_soon: Callable[[Callable[[], None]], object] | None = None) -> None:
        """Publish something, soon."""
        sender = self._app.current_worker_task
        if sender:
            job.context.run(handed_over_by.set, sender.request)
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._serve, name="pico-celery-publisher", daemon=True)
                thread.start()  # it may fail; then nothing is queued, and the next call tries again
                self._thread = thread
            self._jobs.append(job)
            self._changed.notify_all()
            if call_soon is None:
                return
            is_armed, self._is_armed = self._is_armed, True
        if not is_armed:
            call_soon(self._wake)

    def _wake(self) -> None:
        with self._changed:
            self._is_armed = False
            self._changed.notify_all()

    def future_of(self, send: Callable[[object], T], *, alone: bool = False) -> Future[T]:
        """Publish something, soon, and keep what comes of it."""
        future: Future[T] = Future()
        made: list[T] = []
        begun: list[bool] = []  # a batch that broke is sent again: a future begins once only

        def begin() -> bool:
            if not begun:
                begun.append(future.set_running_or_notify_cancel())
            return begun[0]

        def send_unless_withdrawn(producer: object) -> None:
            if begin():
                made.append(send(producer))

        def done(error: BaseException | None) -> None:
            if not begin():
                return
            if error is not None:
                future.set_exception(error)
            elif made:
                future.set_result(made[-1])

        self.submit(Job(send_unless_withdrawn, done, alone=alone))
        return future

    def call(self, function: Callable[[], object]) -> None:
        """Call something that may block, soon."""
        self.submit(Job(lambda _: function(), _log_failure, alone=True))

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until everything is published; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._jobs and not self._busy, timeout_seconds)

    def _serve(self) -> None:
        while jobs := self._next():
            try:
                if len(jobs) == 1:
                    _publish(jobs[0])
                else:
                    self._publish_together(jobs)
            except BaseException:  # the thread outlives what it runs
                _logger.exception("publishing failed")
            jobs.clear()  # or an idle thread keeps the last calls alive

    def _next(self) -> list[Job]:
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._jobs, _LINGER_SECONDS):
                self._thread = None
                return []
            # While a loop's turn goes on, its next calls come along; whatever becomes of the loop, they are sent.
            self._changed.wait_for(lambda: not self._is_armed, _TURN_SECONDS)
            self._is_armed = False
            self._busy = True
            jobs = [self._jobs.popleft()]
            while self._jobs and len(jobs) < _TOGETHER and not jobs[0].alone and not self._jobs[0].alone:
                jobs.append(self._jobs.popleft())
            return jobs

    def _publish_together(self, jobs: list[Job]) -> None:
        pending = list(jobs)
        try:
            with self._app.amqp.producer_pool.acquire(block=True) as producer, producer.batch(max_size=_TOGETHER * 8):
                for job in jobs:
                    try:
                        job.run(producer)
                    except BaseException as error:  # noqa: BLE001 - it belongs to that call alone
                        pending.remove(job)
                        _report(job, error)
        except BatchPublishError as error:
            # As with one message whose connection breaks: it is sent again, and may arrive twice.
            _logger.warning("%d calls that were sent together are sent again: %s", len(pending), error)
            for job in pending:
                _publish(job)
        except BaseException as error:  # noqa: BLE001 - no connection can be had: each of them must hear of it
            for job in pending:
                _report(job, error)
        else:
            for job in pending:
                _report(job, None)


def _publish(job: Job) -> None:
    try:
        job.run()
    except BaseException as error:  # noqa: BLE001 - it belongs to who called
        _report(job, error)
    else:
        _report(job, None)


def _report(job: Job, error: BaseException | None) -> None:
    try:
        job.done(error)
    except Exception:
        _logger.exception("the outcome of a publish could not be reported")


def _log_failure(error: BaseException | None) -> None:
    if error is not None:
        _logger.debug("a call of the library's own failed", exc_info=error)
