"""Batches on Redis of which one can tell afterwards whether they were sent.

kombu's batch is a pipeline: where its connection breaks, nobody knows how much of it the server has executed. Here it is a
transaction that leaves a mark. Whoever has lost the connection sets the mark in its place: where that succeeds, the
transaction was not executed and never will be, for it watches the mark; where it does not, all of it was.
Source: https://redis.io/docs/latest/develop/using-commands/transactions/#optimistic-locking-using-check-and-set
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final
from uuid import uuid4

from kombu.exceptions import BatchPublishError  # type: ignore[attr-defined]  # kombu's types lack it

_MARK_SECONDS: Final = 300


class NotPublishedError(BatchPublishError):  # type: ignore[misc]  # as above
    """A batch was not sent, and never will be by itself."""


@cache
def certain_batch() -> Any:  # noqa: C901 - a class whose base is known only here
    """Return the class of batches, which needs kombu's transport for Redis."""
    from kombu.transport import redis  # noqa: PLC0415 - only where the broker is one

    base: Any = redis.PublishBatch  # type: ignore[attr-defined]  # kombu's types lack it

    class CertainBatch(base):  # type: ignore[misc]  # kombu has no types
        """As kombu's, in one transaction with a mark."""

        def __init__(self, channel: Any, max_size: int) -> None:
            super().__init__(channel, max_size)
            self._mark = f"pico-celery.batch.{uuid4()}"
            self._is_watched = False

        def flush(self) -> None:
            """Execute what is buffered, all of it or nothing.

            Raises:
                NotPublishedError: If nothing was executed.
                BatchPublishError: If the server cannot be asked.
            """
            if self._is_watched:
                self.pipeline.set(self._mark, 1, ex=_MARK_SECONDS)
            try:
                super().flush()
            except BatchPublishError as error:
                if not self._is_watched or not self._was_executed(error):
                    raise
            self._is_watched = False

        def publish(self, message: Any, **kwargs: Any) -> Any:
            """Buffer a message."""
            if not self._is_watched:
                self.pipeline.watch(self._mark)
                self.pipeline.multi()
                self._is_watched = True
            return super().publish(message, **kwargs)

        def _was_executed(self, error: BaseException) -> bool:
            try:
                with self.channel.conn_or_acquire() as client:
                    is_mine = client.set(self._mark, 0, nx=True, ex=_MARK_SECONDS)
            except Exception:  # noqa: BLE001 - then nobody can tell
                raise error from None
            if is_mine:
                raise NotPublishedError("the batch was not sent") from error
            return True

    return CertainBatch
