"""Reject malformed messages before Celery's consumer trips over them, and keep the secrets of the others out of logs.

All parts are Celery's own extension points: a task's ``Strategy`` and ``Request``, and a step of the consumer's blueprint.
Source: https://docs.celeryq.dev/en/stable/userguide/extending.html

Celery takes the shape of a message for granted: a message of another shape raises in the worker's consumer, which stops.
Source: https://docs.celeryq.dev/en/stable/internals/protocol.html#version-2
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from celery import Celery, bootsteps
from celery.app.task import Context
from celery.backends.base import Backend
from celery.exceptions import InvalidTaskError
from celery.worker.request import Request
from celery.worker.strategy import default

from pico_celery.celery_port import Consumer, Message, MessageHandler, seal_request, wrap_task_handler
from pico_celery.errors import Fault, PayloadError
from pico_celery.messaging.calls import UNSHOWN
from pico_celery.messaging.deadline import DEADLINE_HEADER, read_deadline
from pico_celery.messaging.headers import is_from_contract_peer
from pico_celery.worker.execution import AnyTask

if TYPE_CHECKING:
    from celery.worker.request import _InfoDict

_BODY_LENGTH: Final = 3  # args, kwargs, embed
_LIMITS: Final = 2  # hard and soft
_logger = logging.getLogger(__name__)


def strategy(task: AnyTask, app: Celery, consumer: Consumer, **options: object) -> Callable[..., None]:
    """Make the handler of a task's messages: Celery's, behind a check of the message's shape."""
    make: Callable[..., Callable[..., object]] = default
    handle = make(task, app, consumer, **options)

    def handle_message(message: Message, body: object, *callbacks: object, **more: object) -> None:
        faults = envelope_faults(task.name, message.headers or {}, message.payload if body is None else body)
        if not faults:
            handle(message, body, *callbacks, **more)
            return
        error = PayloadError.of(task.name, faults)
        _logger.error("Task %s[%s] refused: %s", task.name, (message.headers or {}).get("id"), error)
        _store_failure(task.backend, message, error)
        message.reject_log_error(_logger, consumer.connection_errors)

    return handle_message


class MessageGuard(bootsteps.Step):
    """Refuses a message that makes Celery's own handling fail, instead of letting the worker stop."""

    name = "pico_celery.MessageGuard"

    def __init__(self, parent: Consumer, **options: object) -> None:
        super().__init__(parent, **options)
        wrap_task_handler(parent, partial(_guard, parent))


def _guard(consumer: Consumer, handle: MessageHandler) -> MessageHandler:
    def guarded(message: Message) -> object:
        try:
            return handle(message)
        except Exception as error:  # whatever it is, the next message is a good one
            if isinstance(error, (MemoryError, *consumer.connection_errors, *consumer.channel_errors)):
                raise
            _refuse(consumer, message, error)
            return None

    return guarded


def _refuse(consumer: Consumer, message: Message, error: Exception) -> None:
    # Neither the body nor the error's own text is shown: either may hold what must stay secret.
    _logger.error("Refused a message that is not a task message (%s)", type(error).__name__)
    _store_failure(consumer.app.backend, message, InvalidTaskError("the message is not a task message"))
    if not message.acknowledged:
        message.reject_log_error(_logger, consumer.connection_errors)


def _store_failure(backend: Backend, message: Message, error: Exception) -> None:
    headers, properties = message.headers, message.properties or {}
    task_id = headers.get("id") if isinstance(headers, dict) else None
    if not isinstance(task_id, str):
        return
    known = {"id": task_id, **{name: properties.get(name) for name in ("reply_to", "correlation_id")}}
    request = Context({name: value for name, value in known.items() if isinstance(value, str)})
    try:
        backend.mark_as_failure(task_id, error, request=request)
    except Exception:  # a result that cannot be stored must not stop the worker
        _logger.exception("could not store the failure of %s", task_id)


def envelope_faults(task: str, headers: Mapping[str, object], payload: object) -> list[Fault]:
    """Return what is wrong with the shape of a message; no fault shows a value."""
    if isinstance(payload, Mapping) and "args" in payload:  # one of Celery's older protocols, which Celery checks
        return []
    return [*_header_faults(task, headers), *_body_faults(task, payload)]


def _header_faults(task: str, headers: Mapping[str, object]) -> list[Fault]:
    faults = []
    if not isinstance(headers.get("id"), str):
        faults.append(_fault(task, "headers.id", "a text", headers.get("id")))
    retries = headers.get("retries")
    if retries is not None and (not isinstance(retries, int) or isinstance(retries, bool)):
        faults.append(_fault(task, "headers.retries", "a whole number", retries))
    limits = headers.get("timelimit")
    if limits is not None and not _are_limits(limits):
        faults.append(_fault(task, "headers.timelimit", "two numbers or nulls", limits))
    try:
        read_deadline(headers.get(DEADLINE_HEADER))
    except ValueError:
        expected = "a time, ISO 8601 in UTC"
        faults.append(_fault(task, f"headers.{DEADLINE_HEADER}", expected, headers.get(DEADLINE_HEADER)))
    return faults


def _are_limits(limits: object) -> bool:
    if not isinstance(limits, (list, tuple)) or len(limits) != _LIMITS:
        return False
    return all(limit is None or isinstance(limit, (int, float)) for limit in limits)


def _body_faults(task: str, payload: object) -> list[Fault]:
    if not isinstance(payload, (list, tuple)) or len(payload) != _BODY_LENGTH:
        length = f" of {len(payload)}" if isinstance(payload, (list, tuple)) else ""
        return [_fault(task, "body", "a list of args, kwargs and embed", payload, length)]
    args, kwargs, embed = payload
    faults = []
    if not isinstance(args, (list, tuple)):
        faults.append(_fault(task, "args", "a list", args))
    if not isinstance(kwargs, Mapping):
        faults.append(_fault(task, "kwargs", "a mapping", kwargs))
    if not isinstance(embed, Mapping) and embed is not None:
        faults.append(_fault(task, "embed", "a mapping", embed))
    return faults


def _fault(task: str, path: str, expected: str, got: object, more: str = "") -> Fault:
    kind = "null" if got is None else f"{type(got).__name__}{more}"
    remedy = "send it with Celery, or as its protocol 2 says"
    return Fault(task=task, path=path, expected=expected, got=kind, remedy=remedy, code="message_shape")


class SealedRequest(Request):
    """A request of a task with secrets: what it shows of the arguments never comes from their raw text."""

    def __init__(self, message: Message, *, headers: dict[str, object] | None = None, **options: object) -> None:
        shown = headers or message.headers
        if shown is not None and not is_from_contract_peer(shown):
            # A plain client wrote the values themselves into the reprs of its message.
            shown.update(argsrepr=UNSHOWN, kwargsrepr=UNSHOWN)
        initialise: Callable[..., None] = super().__init__
        initialise(message, headers=headers, **options)
        seal_request(self, body=_sealed, headers=_SealedDict)

    def info(self, safe: bool = False) -> _InfoDict:  # noqa: ARG002 - it is always safe
        """Return what remote control shows of the request."""
        return super().info(safe=True)


class _SealedBytes(bytes):
    def __repr__(self) -> str:
        return UNSHOWN


class _SealedText(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return UNSHOWN


class _SealedDict(dict[str, object]):
    def __repr__(self) -> str:
        return UNSHOWN


class _SealedTuple(tuple[object, ...]):
    __slots__ = ()

    def __repr__(self) -> str:
        return UNSHOWN


def _sealed(body: object) -> object:
    """Return a message's body with a repr that shows nothing of it."""
    if isinstance(body, bytes):
        return _SealedBytes(body)
    if isinstance(body, str):
        return _SealedText(body)
    return _SealedTuple(body) if isinstance(body, (tuple, list)) else body
