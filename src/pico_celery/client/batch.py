"""Many calls of one task at once: all are validated before the first is sent, and few commands carry them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from celery import Celery
from kombu.exceptions import BatchPublishError  # type: ignore[attr-defined]  # kombu's types lack it
from kombu.utils.functional import retry_over_time

from pico_celery.client.options import refuse_options_of_one_call
from pico_celery.client.publishing.confirmations import Confirmations
from pico_celery.client.publishing.prepare import PreparedCall, prepare
from pico_celery.client.publishing.publish import is_eager, open_result, publish, published
from pico_celery.client.publishing.publisher import Job
from pico_celery.client.publishing.redis_transport import NotPublishedError
from pico_celery.client.results.async_result import AsyncResult
from pico_celery.client.runtime import runtime_of
from pico_celery.contract.definition import TaskDefinition
from pico_celery.errors import BatchError, Fault, PayloadError

_CHUNK: Final = 500
_SHOWN: Final = 20
_PAUSES: Final[Mapping[str, Any]] = {"interval_start": 0, "interval_step": 0.2, "interval_max": 1}
_logger = logging.getLogger(__name__)


def prepare_many(
    definition: TaskDefinition,
    items: Iterable[Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any],
) -> list[PreparedCall]:
    """Validate and encode the calls of a batch."""
    refuse_options_of_one_call(definition.name, options, "an option that many calls can share")
    calls: list[PreparedCall] = []
    faults: list[Fault] = []
    for position, item in enumerate(items):
        try:
            calls.append(prepare(definition, (item, *args), kwargs, options))
        except PayloadError as error:
            faults.extend(replace(fault, path=f"[{position}].{fault.path}") for fault in error.faults)
    if faults:
        raise PayloadError.of(definition.name, faults[:_SHOWN])
    return calls


def send_batch(
    app: Celery, calls: Sequence[PreparedCall], results: Sequence[AsyncResult[Any]] | None = None
) -> list[AsyncResult[Any]]:
    """Publish a batch, holding the calling thread."""
    if not calls:
        return []
    if is_eager(app, calls[0].definition):
        return [publish(app, call) for call in calls]
    opened = _open_results(app, calls) if results is None else list(results)
    batch = _Batch(app, calls, opened)
    try:
        if any(call.key for call in calls):
            batch.send_with_keys()
            return opened
        with runtime_of(app).results.sending(opened) as added:
            batch.send(added)
    except Exception as error:
        raise batch.error(error) from error
    return opened


def send_batch_soon(app: Celery, calls: Sequence[PreparedCall]) -> list[AsyncResult[Any]]:
    """Hand a batch over to the thread that publishes, so that the event loop goes on."""
    opened = _open_results(app, calls)

    def done(error: BaseException | None) -> None:
        if error is None:
            return
        sent = set(error.sent) if isinstance(error, BatchError) else set()
        told = [result.take_unsent(error) for position, result in enumerate(opened) if position not in sent]
        if not all(told):
            _logger.error("a batch was not sent whole, and nobody waits for all of it yet: %s", error)

    runtime_of(app).publisher.submit(Job(lambda _: send_batch(app, calls, opened), done, alone=True))
    return opened


async def asend_batch(app: Celery, calls: Sequence[PreparedCall]) -> list[AsyncResult[Any]]:
    """Publish a batch and wait until the broker has it, leaving the event loop free."""
    if not calls:
        return []
    future = runtime_of(app).publisher.future_of(lambda _: send_batch(app, calls), alone=True)
    return await published(future, calls[0].definition.name, calls[0].deadline)


def _open_results(app: Celery, calls: Sequence[PreparedCall]) -> list[AsyncResult[Any]]:
    return [open_result(app, call) for call in calls]


class _Batch:
    """The calls of a batch, and how far they are."""

    def __init__(self, app: Any, calls: Sequence[PreparedCall], results: Sequence[AsyncResult[Any]]) -> None:
        self.app = app
        self.calls = calls
        self.results = results
        self.sent: set[int] = set()
        self.unknown: set[int] = set()
        self._post = runtime_of(app).post

    def send(self, added: Mapping[str, Any]) -> None:
        for first in range(0, len(self.calls), _CHUNK):
            positions = range(first, min(first + _CHUNK, len(self.calls)))
            retry_over_time(
                self._send_chunk, NotPublishedError, (positions, added), max_retries=self._max_retries(), **_PAUSES
            )

    def send_with_keys(self) -> None:
        """Send one by one: of each it is asked first whether another call has its idempotency key."""
        for position, (call, result) in enumerate(zip(self.calls, self.results, strict=True)):
            publish(self.app, call, result)
            self._note_sent([position])

    def error(self, reason: Exception) -> BatchError:
        unsent = [position for position in range(len(self.calls)) if position not in self.sent | self.unknown]
        groups = {"sent": sorted(self.sent), "unsent": unsent, "unknown": sorted(self.unknown)}
        ids = [result.id for result in self.results]
        cause = reason.__cause__ or reason
        return BatchError.of(self.calls[0].definition.name, groups, ids, f"{type(cause).__name__}: {cause}")

    def _max_retries(self) -> int | None:
        conf = self.app.conf
        retry = self.calls[0].options.get("retry", conf.task_publish_retry)
        policy = {**conf.task_publish_retry_policy, **(self.calls[0].options.get("retry_policy") or {})}
        # 0 means for ever to kombu.
        limit: int | None = policy.get("max_retries", 3)
        return limit if retry and limit != 0 else -1

    def _send_chunk(self, positions: Sequence[int], added: Mapping[str, Any]) -> None:
        left = [position for position in positions if position not in self.sent]
        try:
            with self.app.amqp.producer_pool.acquire(block=True) as producer:
                if producer.supports_batch_publish:
                    self._send_together(producer, left, added)
                elif hasattr(producer.channel, "confirm_select"):
                    self._send_confirmed(producer, left, added)
                else:
                    self._send_each(producer, left, added)
        except NotPublishedError:
            raise
        except Exception as error:
            if self.unknown:
                raise
            raise NotPublishedError(str(error)) from error

    def _send_together(self, producer: Any, positions: Sequence[int], added: Mapping[str, Any]) -> None:
        try:
            with producer.batch(max_size=len(positions) * 16):
                for position in positions:
                    self._publish(producer, position, added)
        except NotPublishedError:
            raise
        except BatchPublishError:
            self.unknown.update(positions)
            raise
        self._note_sent(positions)

    def _send_each(self, producer: Any, positions: Sequence[int], added: Mapping[str, Any]) -> None:
        for position in positions:
            self.unknown.add(position)
            self._publish(producer, position, added)
            self._note_sent([position])

    def _send_confirmed(self, producer: Any, positions: Sequence[int], added: Mapping[str, Any]) -> None:
        """Send over a channel of its own, whose messages the broker confirms all at once at the end."""
        with Confirmations(producer) as confirmations:
            try:
                for position in positions:
                    self._publish(confirmations.producer, position, added)
                    self.unknown.add(position)
                confirmations.wait(len(positions))
            finally:
                confirmed, refused = confirmations.outcome(len(positions))
                self._note_sent(positions[number] for number in confirmed)
                self.unknown.difference_update(positions[number] for number in refused)
            if refused:
                raise NotPublishedError(f"the broker refused {len(refused)} messages")

    def _note_sent(self, positions: Iterable[int]) -> None:
        for position in positions:
            self.unknown.discard(position)
            self.sent.add(position)

    def _publish(self, producer: Any, position: int, added: Mapping[str, Any]) -> None:
        call, result = self.calls[position], self.results[position]
        # A batch is tried again as a whole, not message by message.
        options = {**added, **call.options, "retry": False}
        self._post.send(call.definition, call.call, options, result, producer)
