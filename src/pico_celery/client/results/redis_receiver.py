"""Results from Redis: one subscription to a pattern for all that the process sends.

Celery publishes each state on a channel named as the key that holds it. Ids that this process did not make (signatures of
Celery's, results that are opened again) are subscribed to one by one, as many as there are in one command.
"""

from __future__ import annotations

import contextlib
import logging
import re
from typing import Any, Final

from pico_celery.client.results.receivers import TICK_SECONDS, UNREADABLE, SafetyLook, TaskIds, look_up, settle_ready
from pico_celery.client.results.waiters import Waiters

_SPECIAL: Final = re.compile(rb"([\\*?\[\]])")
_WAKE: Final = "wake"
_logger = logging.getLogger(__name__)


class RedisReceiver:
    """Receives what workers publish on Redis."""

    transient = False

    def __init__(self, backend: Any, waiters: Waiters, ids: TaskIds) -> None:
        self._backend = backend
        self._waiters = waiters
        self._ids = ids
        self._pubsub: Any = None
        self._by_pattern = True  # a server's access rules may forbid it
        self._listens = False
        self._channels: set[str] = set()
        self._unread: set[str] = set()
        self._safety = SafetyLook(waiters)

    def step(self) -> bool:
        """Bring in what there is, or wait for it."""
        if self._pubsub is None:
            self._connect()
        self._follow()
        try:
            message = self._pubsub.get_message(timeout=0 if self._unread else TICK_SECONDS)
            while message is not None:
                self._receive(message)
                message = self._pubsub.get_message(timeout=0)
        except Exception as error:
            if not self._is_forbidden(error):
                self._drop()
                raise
        self._unread.update(self._safety.due())
        if self._unread and (self._listens or not self._by_pattern):
            unread, self._unread = list(self._unread), set()
            try:
                look_up(self._backend, self._waiters, unread)
            except BaseException:
                self._unread.update(unread)
                raise
        return self._listens

    def wake(self) -> None:
        """Let a step that waits look at what is new: it hears its own message."""
        with contextlib.suppress(Exception):  # it looks at its next tick anyway
            self._backend.client.publish(self._key(self._ids.prefix + _WAKE), b"")

    def close(self) -> None:
        """Stop listening."""
        self._drop()
        with contextlib.suppress(Exception):
            # Those that nobody uses: a result may be read at the same time.
            self._backend.client.connection_pool.disconnect(inuse_connections=False)

    def _key(self, task_id: str) -> bytes:
        key: bytes | str = self._backend.get_key_for_task(task_id)
        return key if isinstance(key, bytes) else key.encode()

    def _connect(self) -> None:
        self._channels.clear()
        self._unread.clear()
        pubsub = self._backend.client.pubsub()
        if self._by_pattern:
            pubsub.psubscribe(_SPECIAL.sub(rb"\\\1", self._key(self._ids.prefix)) + b"*")
        else:
            pubsub.subscribe(self._key(self._ids.prefix + _WAKE))
        self._pubsub = pubsub
        self._subscribe([task_id for task_id in self._waiters.ids() if not self._is_covered(task_id)])

    def _is_covered(self, task_id: str) -> bool:
        return self._by_pattern and self._ids.covers(task_id)

    def _follow(self) -> None:
        """Listen to what is waited for since the last step, and no more to what is not."""
        unseen = self._waiters.take_unseen()
        self._subscribe([task_id for task_id in unseen if not self._is_covered(task_id)])
        self._unread.update(task_id for task_id in unseen if self._is_covered(task_id) or task_id in self._channels)
        gone = [task_id for task_id in self._waiters.take_left() if task_id in self._channels]
        if gone:
            self._channels.difference_update(gone)
            self._pubsub.unsubscribe(*map(self._key, gone))

    def _subscribe(self, task_ids: list[str]) -> None:
        new = [task_id for task_id in dict.fromkeys(task_ids) if task_id not in self._channels]
        if new:
            self._channels.update(new)
            self._pubsub.subscribe(*map(self._key, new))

    def _receive(self, message: dict[str, Any]) -> None:
        kind, data = message["type"], message["data"]
        if kind in {"message", "pmessage"}:
            if data:
                try:
                    meta = self._backend.decode(data)
                    if "task_id" not in meta:
                        meta["task_id"] = self._task_id(message["channel"])
                    settle_ready(self._waiters, meta)
                except UNREADABLE as error:
                    self._waiters.fail(error, [self._task_id(message["channel"])])
        elif kind == "psubscribe":  # also after redis-py has connected again: what came meanwhile was not heard
            self._listens = True
            self._unread.update(self._waiters.ids())
        elif kind == "subscribe":
            self._unread.add(self._task_id(message["channel"]))
            self._unread.discard(self._ids.prefix + _WAKE)

    def _task_id(self, channel: str | bytes) -> str:
        name = channel if isinstance(channel, str) else channel.decode()
        return name.removeprefix(self._key(self._ids.prefix).decode().removesuffix(self._ids.prefix))

    def _is_forbidden(self, error: Exception) -> bool:
        """Do without the pattern where the server's access rules do not allow it."""
        if type(error).__name__ != "NoPermissionError" or not self._by_pattern:
            return False
        _logger.warning(
            "the result backend does not allow PSUBSCRIBE: each result is subscribed to alone. Allow the client the channels "
            "'%s*' to save these commands",
            self._key("x").decode()[:-1],
        )
        self._by_pattern = False
        self._drop()
        self._connect()
        return True

    def _drop(self) -> None:
        pubsub, self._pubsub, self._listens = self._pubsub, None, False
        if pubsub is not None:
            with contextlib.suppress(Exception):
                pubsub.close()
