"""Reject malformed messages before Celery's consumer trips over them.

Both parts are Celery's own extension points: a task's ``Strategy``, and a step of the consumer's blueprint.
Source: https://docs.celeryq.dev/en/stable/userguide/extending.html
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import bootsteps
from celery.app.task import Context
from celery.exceptions import InvalidTaskError
from celery.worker.strategy import default

from pico_celery.celery_port import Consumer, Message, wrap_task_handler
from pico_celery.errors import PayloadError
from pico_celery.messaging.envelope import envelope_faults

_logger = logging.getLogger(__name__)


def strategy(task: Any, app: Any, consumer: Consumer, **options: Any) -> Callable[..., Any]:
    """Make the handler of a task's messages: Celery's, behind a check of the message's shape."""
    handle = default(task, app, consumer, **options)

    def handle_message(message: Message, body: Any, ack: Any, reject: Any, callbacks: Any, **more: Any) -> Any:
        faults = envelope_faults(task.name, message.headers or {}, message.payload if body is None else body)
        if not faults:
            return handle(message, body, ack, reject, callbacks, **more)
        error = PayloadError.of(task.name, faults)
        _logger.error("Task %s[%s] refused: %s", task.name, (message.headers or {}).get("id"), error)
        _store_failure(task.backend, message, error)
        message.reject_log_error(_logger, consumer.connection_errors)
        return None

    return handle_message


class MessageGuard(bootsteps.Step):
    """Refuses a message that makes Celery's own handling fail, instead of letting the worker stop."""

    name = "pico_celery.MessageGuard"

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        wrap_task_handler(parent, partial(_guard, parent))


def _guard(consumer: Consumer, handle: Callable[[Message], Any]) -> Callable[[Message], Any]:
    def guarded(message: Message) -> Any:
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


def _store_failure(backend: Any, message: Message, error: Exception) -> None:
    headers, properties = message.headers or {}, message.properties or {}
    known = {"id": headers.get("id") if isinstance(headers, dict) else None}
    known.update({name: properties.get(name) for name in ("reply_to", "correlation_id")})
    if not isinstance(known["id"], str):
        return
    request = Context({name: value for name, value in known.items() if isinstance(value, str)})
    try:
        backend.mark_as_failure(known["id"], error, request=request)
    except Exception:  # a result that cannot be stored must not stop the worker
        _logger.exception("could not store the failure of %s", known["id"])
