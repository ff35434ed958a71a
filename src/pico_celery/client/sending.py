"""A call on its way out: prepared without I/O, then published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, cast
from uuid import uuid4

from celery import Celery
from kombu.exceptions import EncodeError

from pico_celery.client.deadlines import check_in_time, settle_deadline
from pico_celery.client.idempotency import IdempotencyKey, eager_keys, send_once, settle_key
from pico_celery.client.result import AsyncResult, EagerAsyncResult
from pico_celery.contract.definition import TaskDefinition
from pico_celery.errors import Fault, PayloadError
from pico_celery.messaging.calls import EncodedCall, encode_call
from pico_celery.messaging.headers import contract_headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A call that is ready to be published.

    Attributes:
        definition: The task.
        call: Its arguments, validated and encoded.
        options: Options of `celery.Celery.send_task`, headers included; with a key, ``task_id`` too.
        deadline: When it is to have ended.
        key: Its idempotency key.
    """

    definition: TaskDefinition
    call: EncodedCall
    options: Mapping[str, Any]
    deadline: datetime | None = None
    key: IdempotencyKey | None = None


def prepare(definition: TaskDefinition, args: Any, kwargs: Mapping[str, Any], options: Mapping[str, Any]) -> Outgoing:
    """Validate and encode a call, and settle what it is sent with. No I/O.

    Args:
        definition: The task.
        args: Positional arguments of the call.
        kwargs: Keyword arguments of the call.
        options: Checked options.

    Returns:
        What `publish` takes.

    Raises:
        PayloadError: If the arguments do not fit the contract.
        DeadlineExceeded: If the running task that makes the call has no time left.
        OptionError: If options contradict each other.
    """
    call = encode_call(definition, args, kwargs)
    settled, deadline = settle_deadline(options)
    check_in_time(definition.name, options, deadline)
    key = settle_key(definition, call.kwargs, settled)
    if key is not None:
        settled.setdefault("task_id", str(uuid4()))
    headers = contract_headers(definition)
    own = settled.get("headers")
    settled["headers"] = {**own, **headers} if own else dict(headers)
    return Outgoing(definition=definition, call=call, options=settled, deadline=deadline, key=key)


def publish(app: Celery, outgoing: Outgoing) -> AsyncResult[Any]:
    """Publish one call, unless another one has its idempotency key.

    Args:
        app: The application.
        outgoing: The call.

    Returns:
        The typed result; with a key, perhaps that of the first call with it.

    Raises:
        PayloadError: If the broker's serializer cannot carry the arguments.
        OptionError: If the result backend knows no idempotency keys.
        kombu.exceptions.OperationalError: If the broker cannot be reached.
    """
    eager = app.conf.task_always_eager and outgoing.definition.name in app.tasks
    key = outgoing.key
    if key is None:
        return _execute(app, outgoing) if eager else _send(app, outgoing)
    if eager:
        return _execute_once(app, outgoing, key)
    task_id = outgoing.options["task_id"]
    return send_once(app, key, task_id, partial(_send, app, outgoing), partial(_result_of_first, app, outgoing))


def _send(app: Celery, outgoing: Outgoing) -> AsyncResult[Any]:
    definition, call = outgoing.definition, outgoing.call
    # Celery calls result_cls with the id alone, and takes any callable.
    result_cls: Any = partial(AsyncResult, app=app, definition=definition, deadline=outgoing.deadline, key=outgoing.key)
    try:
        result = app.send_task(
            definition.name,
            call.args,
            call.kwargs,
            result_cls=result_cls,
            argsrepr=call.argsrepr,
            kwargsrepr=call.kwargsrepr,
            **outgoing.options,
        )
    except EncodeError as error:
        got = type(error).__name__ if definition.arguments.sensitive else str(error)
        fault = Fault(task=definition.name, expected="arguments that are JSON", got=got, code="not_json")
        raise PayloadError.of(definition.name, [fault]) from None
    return cast("AsyncResult[Any]", result)


def _result_of_first(app: Celery, outgoing: Outgoing, task_id: str) -> AsyncResult[Any]:
    result: AsyncResult[Any] = AsyncResult(
        task_id, app=app, definition=outgoing.definition, deadline=outgoing.deadline, key=outgoing.key
    )
    result.ignored = bool(outgoing.options.get("ignore_result"))
    return result


def _execute(app: Celery, outgoing: Outgoing) -> AsyncResult[Any]:
    definition, call = outgoing.definition, outgoing.call
    eager = app.tasks[definition.name].apply(call.args, call.kwargs, **outgoing.options)
    result: EagerAsyncResult[Any] = EagerAsyncResult(eager, definition)
    result.deadline = outgoing.deadline
    return result


def _execute_once(app: Celery, outgoing: Outgoing, key: IdempotencyKey) -> AsyncResult[Any]:
    first: AsyncResult[Any] | None = eager_keys.find(app, key)
    if first is None:
        first = _execute(app, outgoing)
        first.app, first.key = app, key
        eager_keys.keep(app, key, first)
    return first
