"""A call on its way out: prepared without I/O, then published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from celery import Celery
from kombu.exceptions import EncodeError

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
        options: Options of `celery.Celery.send_task`, headers included.
    """

    definition: TaskDefinition
    call: EncodedCall
    options: Mapping[str, Any]


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
    """
    return prepare_encoded(definition, encode_call(definition, args, kwargs), options)


def prepare_encoded(definition: TaskDefinition, call: EncodedCall, options: Mapping[str, Any]) -> Outgoing:
    """Settle what an encoded call is sent with, at the time when it is sent. No I/O.

    Args:
        definition: The task.
        call: Its arguments, validated and encoded.
        options: Checked options.

    Returns:
        What `publish` takes.
    """
    return Outgoing(definition=definition, call=call, options=message_options(definition, options))


def message_options(definition: TaskDefinition, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of sending with the headers of the contract. No I/O.

    Args:
        definition: The task.
        options: Checked options.

    Returns:
        New options.
    """
    return {**options, "headers": {**(options.get("headers") or {}), **contract_headers(definition)}}


def publish(app: Celery, outgoing: Outgoing) -> AsyncResult[Any]:
    """Publish one call.

    Args:
        app: The application.
        outgoing: The call.

    Returns:
        The typed result.

    Raises:
        PayloadError: If the broker's serializer cannot carry the arguments.
        kombu.exceptions.OperationalError: If the broker cannot be reached.
    """
    definition, call = outgoing.definition, outgoing.call
    if app.conf.task_always_eager and definition.name in app.tasks:
        eager = app.tasks[definition.name].apply(call.args, call.kwargs, **outgoing.options)
        return EagerAsyncResult(eager, definition)
    # Celery calls result_cls with the id alone, and takes any callable.
    result_cls: Any = partial(AsyncResult, app=app, definition=definition)
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
