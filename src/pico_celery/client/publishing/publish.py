"""Publishing a prepared call: `publish` blocks, `apublish` awaits, `publish_soon` hands it over."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from celery import Celery
from kombu.exceptions import EncodeError

from pico_celery.app_state import state_of
from pico_celery.client.deadlines import patience_seconds
from pico_celery.client.idempotency import EagerKeys, IdempotencyKey, send_once
from pico_celery.client.publishing.prepare import PreparedCall
from pico_celery.client.publishing.publisher import Job
from pico_celery.client.publishing.runtime import runtime_of
from pico_celery.client.results.async_result import AsyncResult
from pico_celery.client.results.eager_result import EagerAsyncResult
from pico_celery.contract.definition import TaskDefinition
from pico_celery.errors import DeadlineExceeded, Fault, PayloadError
from pico_celery.messaging.deadline import after, seconds_of

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

T = TypeVar("T")


def publish(
    app: Celery, prepared: PreparedCall, result: AsyncResult[object] | None = None, producer: object = None
) -> AsyncResult[Any]:
    """Publish one call, unless another one has its idempotency key, holding the calling thread."""
    if is_eager(app, prepared.definition):
        return _execute(app, prepared) if prepared.key is None else _execute_once(app, prepared, prepared.key)
    opened = open_result(app, prepared) if result is None else result
    if prepared.key is None:
        return _send(app, prepared, opened, producer)
    send = partial(_send, app, prepared, opened, producer)
    return send_once(app, prepared.key, opened.id, send, opened._adopt)


def _send(app: Celery, prepared: PreparedCall, result: AsyncResult[object], producer: object) -> AsyncResult[object]:
    definition, runtime = prepared.definition, runtime_of(app)
    try:
        with runtime.results.sending([result]) as added:
            sent = runtime.post.send(definition, prepared.call, {**added, **prepared.options}, result, producer)
    except EncodeError as error:
        got = type(error).__name__ if definition.arguments.sensitive else str(error)
        fault = Fault(task=definition.name, expected="arguments that are JSON", got=got, code="not_json")
        raise PayloadError.of(definition.name, [fault]) from None
    return cast("AsyncResult[Any]", sent)


def _execute(app: Celery, prepared: PreparedCall) -> AsyncResult[object]:
    definition, call = prepared.definition, prepared.call
    eager = app.tasks[definition.name].apply(call.args, call.kwargs, **prepared.options)
    result: EagerAsyncResult[Any] = EagerAsyncResult(eager, definition)
    result.deadline = prepared.deadline
    return result


def _execute_once(app: Celery, prepared: PreparedCall, key: IdempotencyKey) -> AsyncResult[Any]:
    keys = state_of(app).get(EagerKeys)
    first = keys.find(key)
    if not isinstance(first, AsyncResult):
        first = _execute(app, prepared)
        first.app, first.key = app, key
        keys.keep(key, first)
    return first


def publish_soon(app: Celery, prepared: PreparedCall, loop: AbstractEventLoop) -> AsyncResult[Any]:
    """Hand a call over to the thread that publishes, so that the event loop goes on."""
    result = open_result(app, prepared)

    def done(error: BaseException | None) -> None:
        if error is not None:
            result._not_sent(error)

    runtime = runtime_of(app)
    if not result.ignored:
        # Who waits for it before it is sent need not look for it in the backend.
        result._heard = runtime.results.expect(result)
    job = Job(lambda producer: publish(app, prepared, result, producer), done, alone=prepared.key is not None)
    runtime.publisher.submit(job, loop.call_soon)
    return result


async def apublish(app: Celery, prepared: PreparedCall) -> AsyncResult[Any]:
    """Publish one call and wait until the broker has it, leaving the event loop free."""
    return await published(publish_in_background(app, prepared), prepared.definition.name, prepared.deadline)


def publish_in_background(app: Celery, prepared: PreparedCall) -> Future[AsyncResult[Any]]:
    """Publish one call on the thread that publishes."""
    publisher = runtime_of(app).publisher
    return publisher.future_of(lambda producer: publish(app, prepared, None, producer), alone=prepared.key is not None)


async def on_publisher(app: Celery, send: Callable[[], T], name: str, within: float | timedelta | None = None) -> T:
    """Send something on the thread that publishes, leaving the event loop free."""
    future = runtime_of(app).publisher.future_of(lambda _: send(), alone=True)
    return await published(future, name, None if within is None else after(seconds_of(within)))


async def published(future: Future[T], name: str, deadline: datetime | None) -> T:
    """Wait for what the publishing thread does, leaving the event loop free."""
    import asyncio  # noqa: PLC0415 - who awaits has imported it; who does not need not

    # Shielded: what has been handed over is sent, whoever stops waiting for that.
    waiting = asyncio.shield(asyncio.wrap_future(future))
    if deadline is None:
        return await waiting
    done, _ = await asyncio.wait([waiting], timeout=patience_seconds(deadline, None))
    if not done:
        waiting.cancel()
        future.cancel()
        raise DeadlineExceeded.of(name, "", deadline, "publishing")
    return await waiting


def open_result(app: Celery, prepared: PreparedCall) -> AsyncResult[object]:
    """Return the result of a call that has not been sent yet."""
    options = prepared.options
    task_id = options.get("task_id") or runtime_of(app).ids.new()
    result: AsyncResult[Any] = AsyncResult(
        task_id, app=app, definition=prepared.definition, deadline=prepared.deadline, key=prepared.key
    )
    result.ignored = cast("Any", options.get("ignore_result"))
    return result


def is_eager(app: Celery, definition: TaskDefinition) -> bool:
    """Return whether calls of a task are run where they are made (``task_always_eager``)."""
    return bool(app.conf.task_always_eager) and definition.name in app.tasks
