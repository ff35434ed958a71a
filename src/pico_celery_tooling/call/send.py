"""Publish a call, wait for its result in bounded time, and read the result by the contract."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any, Final, TypeVar

from celery import Celery
from kombu.exceptions import EncodeError, OperationalError
from pydantic_core import to_jsonable_python

from pico_celery.client.deadlines import patience_seconds
from pico_celery.client.idempotency import send_once
from pico_celery.client.results.hub import ResultHub, hub_of
from pico_celery.client.results.receivers import is_rpc
from pico_celery.client.results.waiters import Meta, Waiter
from pico_celery.document.records import Document, JsonSchema, TaskRecord
from pico_celery.errors import PicoCeleryError
from pico_celery.messaging.failures import StoredFailure
from pico_celery_tooling.call.arguments import joined
from pico_celery_tooling.call.prepare import TaskCall
from pico_celery_tooling.live.inspect_client import broker_of
from pico_celery_tooling.output import in_time

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
        self._heard = 0
        self.is_first = True
        self._resolved = threading.Event()
        self._meta: Meta | None = None
        self._failure: BaseException | None = None

    def _store(self, meta: Meta) -> None:
        self.resolve(meta, None)

    def resolve(self, meta: Meta | None, error: BaseException | None) -> None:
        """Take what was stored, or why it cannot be had."""
        self._meta, self._failure = self._meta or meta, error
        self._resolved.set()

    def adopt(self, task_id: str) -> SentCall:
        """Be the call that has the idempotency key of this one."""
        self.id, self._heard, self.is_first = task_id, 0, False
        return self

    def watch(self, hub: ResultHub) -> Waiter:
        """Wait for what is stored of the call."""
        return hub.watch(self.id, self.resolve, self._heard)

    def outcome(self, seconds: float) -> Meta | None:
        """Return what was stored, as soon as it is there; ``None`` after so many seconds."""
        if not self._resolved.wait(seconds):
            return None
        if self._meta is None:
            raise UnreachableError(f"the result backend cannot be reached: {_error_text(self._failure)}")
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
        raise UnreachableError(f"{call.task} cannot be sent: {_error_text(error)}") from error
    except Exception as error:
        is_brokers = call.key is None or isinstance(error, OperationalError)
        server = f"the broker {broker_of(app)}" if is_brokers else "the result backend, which keeps idempotency keys,"
        raise UnreachableError(f"{server} cannot be reached: {_error_text(error)}") from error


def wait(
    app: Celery, sent: SentCall, seconds: float, on_tick: Callable[[float], None] | None = None
) -> Mapping[str, Any]:
    """Wait until a call has ended."""
    hub = hub_of(app)
    patience = patience_seconds(sent.deadline, seconds) or 0.0
    waiter = sent.watch(hub)
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
        raise UnreachableError(f"the result backend cannot be reached: {_error_text(hub.trouble)}")
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
        raise UnreachableError(f"the result backend cannot be used: {_error_text(error)}") from error


def _error_text(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {error}".removesuffix(": ")


_SUCCESS: Final = "SUCCESS"
_REVOKED: Final = "REVOKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswer:
    """How a call ended."""

    state: str
    """Celery's name of the state."""
    result: Any = None
    """The result, of one that succeeded."""
    error: Mapping[str, Any] | None = None
    """What failed, of one that did not: ``type``, ``message``, and for a declared error ``code`` and ``fields``."""
    misfits: tuple[str, ...] = ()
    """Why the result, or the fields of the error, are not what the contract says; one line each."""
    traceback: str = ""
    """Text of the traceback on the worker."""

    @property
    def succeeded(self) -> bool:
        """Whether the task returned what its contract says."""
        return self.state == _SUCCESS and not self.misfits

    @property
    def revoked(self) -> bool:
        """Whether the task was revoked."""
        return self.state == _REVOKED

    @property
    def data(self) -> dict[str, Any]:
        """The result or the error, by name."""
        return {"result": self.result} if self.error is None else {"error": dict(self.error)}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads what is stored of a task by its contract."""

    task: TaskRecord
    document: Document = field(repr=False)
    """Where its schemas are."""

    def read(self, meta: Mapping[str, Any]) -> CallAnswer:
        """Read what a result backend keeps."""
        state, stored = str(meta["status"]), meta.get("result")
        if state == _SUCCESS:
            result = _jsonable(stored)
            return CallAnswer(
                state=state, result=result, misfits=self._misfits(self.task.result.accepted, result, "return")
            )
        failure = StoredFailure.of(stored, meta.get("traceback"))
        declared = self._declared(failure)
        if declared is not None:
            declared_error, misfits = declared
            return CallAnswer(state=state, error=declared_error, misfits=misfits, traceback=failure.traceback)
        error: dict[str, Any] = {"type": failure.full_name, "message": failure.text}
        faults = (failure.data or {}).get("faults")
        if isinstance(faults, list) and faults:
            error["faults"] = _jsonable(faults)
        return CallAnswer(state=state, error=error, traceback=failure.traceback)

    def _declared(self, failure: StoredFailure) -> tuple[dict[str, Any], tuple[str, ...]] | None:
        data = failure.data or {}
        code = data.get("code")
        record = self.task.error(code) if isinstance(code, str) else None
        if record is None:
            return None
        fields = _jsonable(data.get("fields"))
        error = {
            "code": record.code,
            "type": record.type,
            "message": failure.text,
            "retryable": record.retryable,
            "fields": fields,
        }
        return error, self._misfits(record.accepted, fields, record.code)

    def _misfits(self, schema: JsonSchema, value: object, name: str) -> tuple[str, ...]:
        from pico_celery_tooling.schema.validation import violations  # noqa: PLC0415 - most calls check no value

        found = violations(self.document, schema, value)
        return tuple(f"{joined(name, one.path)}: expected {one.expected}, got {one.got}" for one in found)


def _jsonable(value: object) -> object:
    """Return what kombu has read as JSON data: it makes Decimals and datetimes of what plain Celery workers store."""
    return to_jsonable_python(value, fallback=str, inf_nan_mode="constants")
