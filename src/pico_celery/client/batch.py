"""Many calls of one task at once: all are validated before the first is sent, and few commands carry them."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, Final, Self

from celery import Celery
from kombu.exceptions import BatchPublishError  # type: ignore[attr-defined]  # kombu's types lack it
from kombu.utils.functional import retry_over_time

from pico_celery.client.options import refuse_options_of_one_call
from pico_celery.client.publishing.prepare import PreparedCall, prepare
from pico_celery.client.publishing.publish import is_eager, open_result, publish, published
from pico_celery.client.publishing.publisher import Job
from pico_celery.client.publishing.redis_transport import NotPublishedError
from pico_celery.client.publishing.runtime import runtime_of
from pico_celery.client.results.async_result import AsyncResult
from pico_celery.contract.definition import TaskDefinition
from pico_celery.errors import BatchError, Fault, PayloadError

_CHUNK: Final = 500
_CONFIRM_SECONDS: Final = 30.0
_SHOWN: Final = 20
_PAUSES: Final[Mapping[str, Any]] = {"interval_start": 0, "interval_step": 0.2, "interval_max": 1}
_logger = logging.getLogger(__name__)


def prepare_many(
    definition: TaskDefinition,
    items: Iterable[object],
    args: Sequence[object],
    kwargs: Mapping[str, object],
    options: Mapping[str, object],
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
    app: Celery, calls: Sequence[PreparedCall], results: Sequence[AsyncResult[object]] | None = None
) -> list[AsyncResult[object]]:
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


def send_batch_soon(app: Celery, calls: Sequence[PreparedCall]) -> list[AsyncResult[object]]:
    """Hand a batch over to the thread that publishes, so that the event loop goes on."""
    opened = _open_results(app, calls)

    def done(error: BaseException | None) -> None:
        if error is None:
            return
        sent = set(error.sent) if isinstance(error, BatchError) else set()
        reported = [result._take_unsent(error) for position, result in enumerate(opened) if position not in sent]
        if not all(reported):
            _logger.error("a batch was not sent whole, and nobody waits for all of it yet: %s", error)

    runtime_of(app).publisher.submit(Job(lambda _: send_batch(app, calls, opened), done, alone=True))
    return opened


async def asend_batch(app: Celery, calls: Sequence[PreparedCall]) -> list[AsyncResult[object]]:
    """Publish a batch and wait until the broker has it, leaving the event loop free."""
    if not calls:
        return []
    future = runtime_of(app).publisher.future_of(lambda _: send_batch(app, calls), alone=True)
    return await published(future, calls[0].definition.name, calls[0].deadline)


def _open_results(app: Celery, calls: Sequence[PreparedCall]) -> list[AsyncResult[object]]:
    return [open_result(app, call) for call in calls]


class _Batch:
    """The calls of a batch, and how far they are."""

    def __init__(self, app: Any, calls: Sequence[PreparedCall], results: Sequence[AsyncResult[object]]) -> None:  # noqa: ANN401 - kombu's and Celery's types lack what is used
        self.app = app
        self.calls = calls
        self.results = results
        self.sent: set[int] = set()
        self.unknown: set[int] = set()
        self._post = runtime_of(app).post

    def send(self, added: Mapping[str, object]) -> None:
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
        # 0 means forever to kombu.
        limit: int | None = policy.get("max_retries", 3)
        return limit if retry and limit != 0 else -1

    def _send_chunk(self, positions: Sequence[int], added: Mapping[str, object]) -> None:
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

    def _send_together(self, producer: Any, positions: Sequence[int], added: Mapping[str, object]) -> None:  # noqa: ANN401 - kombu's and Celery's types lack what is used
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

    def _send_each(self, producer: object, positions: Sequence[int], added: Mapping[str, object]) -> None:
        for position in positions:
            self.unknown.add(position)
            self._publish(producer, position, added)
            self._note_sent([position])

    def _send_confirmed(self, producer: object, positions: Sequence[int], added: Mapping[str, object]) -> None:
        """Send over a channel of its own, whose messages the broker confirms all at once at the end."""
        with _Confirmations(producer) as confirmations:
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

    def _publish(self, producer: object, position: int, added: Mapping[str, object]) -> None:
        call, result = self.calls[position], self.results[position]
        # A batch is tried again as a whole, not message by message.
        options = {**added, **call.options, "retry": False}
        self._post.send(call.definition, call.call, options, result, producer)


class _Confirmations:
    """A channel of AMQP in confirm mode, and what the broker has confirmed on it.

    Source: https://www.rabbitmq.com/docs/confirms#publisher-confirms
    """

    def __init__(self, producer: Any) -> None:  # noqa: ANN401 - kombu's and Celery's types lack what is used
        self._connection = producer.connection
        self._stack = contextlib.ExitStack()
        self._confirmed: set[int] = set()
        self._refused: set[int] = set()
        self._last = 0
        self.producer: Any = None
        self._make = type(producer)

    def __enter__(self) -> Self:
        channel = self._stack.enter_context(contextlib.closing(self._connection.channel()))
        channel.confirm_select()
        channel.events["basic_ack"].add(lambda tag, multiple: self._note(self._confirmed, tag, multiple=multiple))
        channel.events["basic_nack"].add(lambda tag, multiple: self._note(self._refused, tag, multiple=multiple))
        self.producer = self._make(channel, auto_declare=False)
        return self

    def __exit__(self, *details: object) -> None:
        with contextlib.suppress(Exception):  # of a connection that is lost there is nothing to close
            self._stack.close()

    def wait(self, count: int) -> None:
        """Wait until the broker has said of so many messages whether it has them."""
        end = monotonic() + _CONFIRM_SECONDS
        while len(self._confirmed) + len(self._refused) < count:
            left = end - monotonic()
            if left <= 0:
                raise TimeoutError(f"the broker has not confirmed all messages within {_CONFIRM_SECONDS:.0f} s")
            self._connection.drain_events(timeout=left)

    def outcome(self, count: int) -> tuple[list[int], list[int]]:
        """Return which messages, counted from 0, were confirmed and which refused."""
        return [tag - 1 for tag in sorted(self._confirmed) if tag <= count], [tag - 1 for tag in sorted(self._refused)]

    def _note(self, group: set[int], tag: int, *, multiple: bool) -> None:
        tags = range(self._last + 1, tag + 1) if multiple else (tag,)
        group.update(known for known in tags if known not in self._confirmed and known not in self._refused)
        if multiple:
            self._last = tag
