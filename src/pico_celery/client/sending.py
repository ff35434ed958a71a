"""A call on its way out: prepared without I/O, then published."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from celery import Celery
from kombu.exceptions import EncodeError

from pico_celery.client.hub.hub import hub_of
from pico_celery.client.hub.publisher import Job
from pico_celery.client.result import AsyncResult, EagerAsyncResult
from pico_celery.contract.definition import TaskDefinition
from pico_celery.errors import Fault, PayloadError
from pico_celery.messaging.calls import EncodedCall, encode_call
from pico_celery.messaging.headers import contract_headers

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

T = TypeVar("T")


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
    call = encode_call(definition, args, kwargs)
    headers = contract_headers(definition)
    own = options.get("headers")
    return Outgoing(
        definition=definition,
        call=call,
        options={**options, "headers": {**own, **headers} if own else dict(headers)},
    )


def publish(
    app: Celery, outgoing: Outgoing, result: AsyncResult[Any] | None = None, producer: Any = None
) -> AsyncResult[Any]:
    """Publish one call, holding the calling thread.

    Args:
        app: The application.
        outgoing: The call.
        result: Its result, where that was opened before (`open_result`).
        producer: kombu's producer; one of the application's pool without it.

    Returns:
        The typed result.

    Raises:
        PayloadError: If the broker's serializer cannot carry the arguments.
        kombu.exceptions.OperationalError: If the broker cannot be reached.
    """
    definition, call, options = outgoing.definition, outgoing.call, outgoing.options
    if is_eager(app, definition):
        eager = app.tasks[definition.name].apply(call.args, call.kwargs, **options)
        return EagerAsyncResult(eager, definition)
    opened = open_result(app, outgoing) if result is None else result
    hub = hub_of(app)
    try:
        with hub.sending([opened]) as added:
            sent = hub.post.send(definition, call, {**added, **options}, opened, producer)
    except EncodeError as error:
        got = type(error).__name__ if definition.arguments.sensitive else str(error)
        fault = Fault(task=definition.name, expected="arguments that are JSON", got=got, code="not_json")
        raise PayloadError.of(definition.name, [fault]) from None
    return cast("AsyncResult[Any]", sent)


def publish_soon(app: Celery, outgoing: Outgoing, loop: AbstractEventLoop) -> AsyncResult[Any]:
    """Hand a call over to the thread that publishes, so that the event loop goes on.

    Args:
        app: The application.
        outgoing: The call.
        loop: The event loop on which this is called.

    Returns:
        The typed result. Where the call cannot be sent, whoever waits for it is told why.
    """
    result = open_result(app, outgoing)

    def done(error: BaseException | None) -> None:
        if error is not None:
            result.not_sent(error)

    hub = hub_of(app)
    if not result.ignored:
        result.heard = hub.expect(result)
    hub.publisher.submit(Job(lambda producer: publish(app, outgoing, result, producer), done), loop.call_soon)
    return result


async def publish_on_loop(app: Celery, outgoing: Outgoing) -> AsyncResult[Any]:
    """Publish one call and wait until the broker has it, leaving the event loop free.

    Args:
        app: The application.
        outgoing: The call.

    Returns:
        The typed result.

    Raises:
        PayloadError: If the broker's serializer cannot carry the arguments.
        kombu.exceptions.OperationalError: If the broker cannot be reached.
    """
    return await published(hub_of(app).publisher.future_of(lambda producer: publish(app, outgoing, None, producer)))


async def published(future: Future[T]) -> T:
    """Wait for what the publishing thread does, leaving the event loop free.

    Args:
        future: Of `Publisher.future_of`.

    Returns:
        Its result.

    Raises:
        Exception: What it raised.
    """
    import asyncio  # noqa: PLC0415 - who awaits has imported it; who does not need not

    # Shielded: what has been handed over is sent, whoever stops waiting for that.
    return await asyncio.shield(asyncio.wrap_future(future))


def open_result(app: Celery, outgoing: Outgoing) -> AsyncResult[Any]:
    """Return the result of a call that has not been sent yet.

    Args:
        app: The application.
        outgoing: The call.

    Returns:
        The typed result, with an id of its own.
    """
    options = outgoing.options
    task_id = options.get("task_id") or hub_of(app).ids.new()
    result: AsyncResult[Any] = AsyncResult(task_id, app=app, definition=outgoing.definition)
    result.ignored = cast("Any", options.get("ignore_result"))
    return result


def is_eager(app: Celery, definition: TaskDefinition) -> bool:
    """Tell whether calls of a task are run where they are made (``task_always_eager``)."""
    return bool(app.conf.task_always_eager) and definition.name in app.tasks
