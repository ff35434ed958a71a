"""Messages on AMQP that the broker confirms all at once, instead of one after the other."""

from __future__ import annotations

import contextlib
from time import monotonic
from typing import Any, Final, Self

_CONFIRM_SECONDS: Final = 30.0


class Confirmations:
    """A channel of AMQP in confirm mode, and what the broker has confirmed on it.

    Source: https://www.rabbitmq.com/docs/confirms#publisher-confirms
    """

    def __init__(self, producer: Any) -> None:
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
