"""Publishing a call and waiting for what is stored of it, each in bounded time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic
from typing import Any, Final, TypeVar

from celery import Celery
from kombu.exceptions import EncodeError, OperationalError

from pico_celery.client.deadlines import patience_seconds
from pico_celery.client.idempotency import send_once
from pico_celery.client.results.hub import hub_of
from pico_celery.client.results.receivers import is_rpc
from pico_celery.client.results.waiters import Meta
from pico_celery.errors import PicoCeleryError
from pico_celery_tooling.bounded import in_time
from pico_celery_tooling.call.prepare import TaskCall
from pico_celery_tooling.live.inspect_client import broker_of

T = TypeVar("T")
_CONNECT_SECONDS: Final = 5
_PUBLISH_SECONDS: Final = 15.0
_TICK_SECONDS: Final = 0.5
NO_STATE: Final = "the result backend does not answer"


class UnreachableError(Exception):
    """A server cannot be reached, or does not answer; the message says which one and why."""


class NoAnswerError(Exception):
    """A call has not ended in the time in which it was waited for; the message says what is known of it."""


class SentCall:
    """A call that was sent; what is stored of it comes by way of the hub.

    Attributes:
        id: Id of the task.
        is_first: Whether it was sent now, and is not that of an earlier call with the same idempotency key.
    """

    def __init__(self, task_id: str, deadline: datetime | None, *, ignored: bool) -> None:
        self.id = task_id
        self.deadline = deadline
        self.ignored = ignored
        self.heard = 0
        self.is_first = True
        self._told = threading.Event()
        self._meta: Meta | None = None
        self._failure: BaseException | None = None

    def settle(self, meta: Meta) -> None:
        """Take what was stored."""
        self.resolve(meta, None)

    def resolve(self, meta: Meta | None, error: BaseException | None) -> None:
        """Take what was stored, or why it cannot be had."""
        self._meta, self._failure = self._meta or meta, error
        self._told.set()

    def adopt(self, task_id: str) -> SentCall:
        """Be the call that has the idempotency key of this one."""
        self.id, self.heard, self.is_first = task_id, 0, False
        return self

    def outcome(self, seconds: float) -> Meta | None:
        """Return what was stored, as soon as it is there; ``None`` after so many seconds."""
        if not self._told.wait(seconds):
            return None
        if self._meta is None:
            raise UnreachableError(f"the result backend cannot be reached: {_told(self._failure)}")
        return self._meta


def send(app: Celery, call: TaskCall) -> SentCall:
    """Send a call."""
    hub = hub_of(app)
    options = dict(call.options)
    sent = SentCall(options.pop("task_id", None) or hub.ids.new(), call.deadline, ignored=call.ignores_result)
    keeps = hub.keeps_results and not call.ignores_result
    if keeps:
        _check_backend(app)

    def publish() -> SentCall:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=1, timeout=_CONNECT_SECONDS)
        if not keeps:
            app.send_task(call.task, (), dict(call.kwargs), **options, task_id=sent.id)
            return sent
        with hub.sending([sent]) as added:
            app.send_task(call.task, (), dict(call.kwargs), **{**added, **options}, task_id=sent.id)
        return sent

    def publish_once() -> SentCall:
        return publish() if call.key is None else send_once(app, call.key, sent.id, publish, sent.adopt)

    try:
        return in_time(publish_once, _PUBLISH_SECONDS)
    except PicoCeleryError:
        raise
    except TimeoutError:
        reason = f"no answer within {_PUBLISH_SECONDS:g} s; {call.task}[{sent.id}] may have been sent all the same"
        raise UnreachableError(f"the broker {broker_of(app)} cannot be reached: {reason}") from None
    except EncodeError as error:
        raise UnreachableError(f"{call.task} cannot be sent: {_told(error)}") from error
    except Exception as error:
        is_brokers = call.key is None or isinstance(error, OperationalError)
        server = f"the broker {broker_of(app)}" if is_brokers else "the result backend, which keeps idempotency keys,"
        raise UnreachableError(f"{server} cannot be reached: {_told(error)}") from error


def wait(
    app: Celery, sent: SentCall, seconds: float, on_tick: Callable[[float], None] | None = None
) -> Mapping[str, Any]:
    """Wait until a call has ended."""
    hub = hub_of(app)
    patience = patience_seconds(sent.deadline, seconds) or 0.0
    waiter = hub.watch(sent.id, sent.resolve, sent.heard)
    start = monotonic()
    try:
        while True:
            left = start + patience - monotonic()
            meta = sent.outcome(max(0.0, left if on_tick is None else min(left, _TICK_SECONDS)))
            if meta is not None:
                return meta
            if left <= 0:
                break
            if on_tick is not None:
                on_tick(monotonic() - start)
    finally:
        hub.unwatch(waiter)
    if hub.trouble is not None:
        raise UnreachableError(f"the result backend cannot be reached: {_told(hub.trouble)}")
    if patience < seconds and sent.deadline is not None:
        raise NoAnswerError(f"no result by its deadline, {sent.deadline.isoformat(timespec='seconds')}")
    raise NoAnswerError(f"no result after {seconds:g} s")


def state_of(app: Celery, sent: SentCall) -> str:
    """Return the state of a call that has not ended, for people who watch it."""
    hub = hub_of(app)
    if hub.trouble is not None:
        return NO_STATE
    backend = hub.backend
    if is_rpc(type(backend)):
        return ""  # a look would take the reply away
    try:
        return in_time(lambda: str(backend.get_task_meta(sent.id, cache=False)["status"]), 1.0)
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return NO_STATE


def _check_backend(app: Celery) -> None:
    try:
        hub_of(app).backend  # noqa: B018 - asking makes it
    except Exception as error:
        raise UnreachableError(f"the result backend cannot be used: {_told(error)}") from error


def _told(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")
