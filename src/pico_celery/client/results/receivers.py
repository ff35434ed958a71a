"""How results come in: by a subscription of Redis, by a consumer of Celery's, or by looking again and again.

A receiver is used by one thread only, but for `Receiver.wake`.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, Protocol
from uuid import uuid4

from celery import states
from celery.app.backends import by_url
from kombu.exceptions import SerializationError, SerializerNotInstalled

from pico_celery.celery_port import result_consumer_of
from pico_celery.client.results.waiters import Meta, Waiters

_SPECIAL: Final = re.compile(rb"([\\*?\[\]])")
_WAKE: Final = "wake"
_logger = logging.getLogger(__name__)
TICK_SECONDS: Final = 0.5  # how long a receiver may block before it looks at what has changed
_CONSUMER_TICK_SECONDS: Final = 0.2  # nothing wakes it before
SAFETY_SECONDS: Final = 5.0  # a notification may be lost; a look at the store finds its result
_REPLY_QUEUE_SECONDS: Final = 300  # as long as this it waits for its consumer to come back
_FIRST_POLL_SECONDS: Final = 0.002
_LONGEST_POLL_SECONDS: Final = 0.25
LOOK_UP_AT_ONCE: Final = 500
UNREADABLE: Final = (SerializationError, SerializerNotInstalled, ValueError, TypeError, LookupError)
"""What reading one result raises that is wrong with it alone; not that the store cannot be reached."""


class Receiver(Protocol):
    """Brings in the results of one application."""

    transient: bool
    """Whether what nobody receives is lost: then one has to listen before a call is sent."""

    def step(self) -> bool:
        """Bring in what there is, or wait for it for at most `TICK_SECONDS`; return whether it listens."""

    def wake(self) -> None:
        """Let a step that waits look at what is new; from any thread, and it may block."""

    def close(self) -> None:
        """Stop listening."""


def private_backend(app: Any, sink: Any, replies: str = "") -> object:  # noqa: ANN401 - a backend of Celery's, which has no types
    """Return a result backend of the hub's own, beside those that Celery keeps for each thread."""
    found: Any = by_url(app.backend_cls or app.conf.result_backend, app.loader)
    cls, url = found
    base: Any = result_consumer_of(cls)
    if base is not None and not is_redis(cls):
        # In place of Celery's, which keeps what nobody has asked for yet.
        own: dict[str, Any] = {"on_state_change": lambda _, meta, __: sink(meta)}
        if is_rpc(cls):
            own = {
                "on_state_change": _acknowledged(sink),
                "start": lambda consumer, task_id, **_: base.start(consumer, task_id, no_ack=False),
            }
        consumer = type("ResultConsumer", (base,), own)
        members: dict[str, Any] = {"ResultConsumer": consumer, "__module__": cls.__module__}
        if is_rpc(cls):
            members.update(binding=property(_reply_queue), oid=replies)
        cls = type(cls.__name__, (cls,), members)
    return cls(app=app, url=url)


def _acknowledged(sink: Any) -> object:  # noqa: ANN401 - a backend of Celery's, which has no types
    # Without it, replies on their way when a connection breaks would be lost. What comes twice is known already.
    def on_state_change(_: object, meta: object, message: Any) -> None:  # noqa: ANN401 - a backend of Celery's, which has no types
        sink(meta)
        message.ack()

    return on_state_change


def _reply_queue(backend: Any) -> object:  # noqa: ANN401 - a backend of Celery's, which has no types
    # Celery's own is deleted with its connection: a reply that comes before the next one would be lost.
    return backend.Queue(
        backend.oid, backend.exchange, backend.oid, durable=True, auto_delete=False, expires=_REPLY_QUEUE_SECONDS
    )


def is_redis(cls: object) -> bool:
    """Return whether a backend's class is Celery's for Redis, or a subclass (Sentinel)."""
    return _is_of(cls, "celery.backends.redis")


def is_rpc(cls: object) -> bool:
    """Return whether a backend's class is Celery's for replies over the broker."""
    return _is_of(cls, "celery.backends.rpc")


def _is_of(cls: Any, module: str) -> bool:  # noqa: ANN401 - a backend of Celery's, which has no types
    # By name: whoever uses another backend has not installed what these need.
    return any(base.__module__ == module for base in cls.__mro__)


class ConsumerReceiver:
    """Receives what a backend's own consumer receives (``rpc://``)."""

    def __init__(self, make_backend: Callable[[], Any], waiters: Waiters) -> None:
        self._make_backend = make_backend
        self._waiters = waiters
        self._renew()
        self.transient = is_rpc(type(self._backend))

    def _renew(self) -> None:
        self._backend: Any = self._make_backend()
        self._consumer: Any = self._backend.result_consumer
        self._started = False

    def step(self) -> bool:
        """Bring in what there is, or wait for it."""
        try:
            has_begun = self._follow()  # somebody may wait for that
            with contextlib.suppress(TimeoutError):
                self._consumer.drain_events(timeout=0.001 if has_begun else _CONSUMER_TICK_SECONDS)
        except Exception:
            # Celery's consumer may be left half-way: with a connection on which it consumes nothing.
            with contextlib.suppress(Exception):
                self._consumer.stop()
            self._renew()
            raise
        return self._started

    def _follow(self) -> bool:
        """Listen to what is waited for since the last step, and no more to what is not; return whether there is any new."""
        unseen = self._waiters.take_unseen()
        if self.transient:
            unseen = [] if self._started else ["replies"]  # its name does not matter: one queue for all
        elif not self._started:
            unseen = self._waiters.ids()
        for task_id in unseen:
            self._consumer.consume_from(task_id)
            self._started = True
            if not self.transient:
                resolve_ready(self._waiters, {**self._backend.get_task_meta(task_id), "task_id": task_id})
        for task_id in self._waiters.take_left():
            if not self.transient:
                self._consumer.cancel_for(task_id)
        return bool(unseen)

    def wake(self) -> None:
        """Do nothing: what is new is seen with the next step."""

    def close(self) -> None:
        """Stop listening."""
        if self._started:
            self._consumer.stop()
        if self.transient:
            with self._backend.app.connection_for_write() as connection:
                self._backend.binding(connection.default_channel).delete()


class PollingReceiver:
    """Looks into a store that reports no changes, for all waiters at once."""

    transient = False

    def __init__(self, app: Any, waiters: Waiters) -> None:  # noqa: ANN401 - a backend of Celery's, which has no types
        self._backend: Any = app.backend  # this thread's own
        self._waiters = waiters
        self._interval = _FIRST_POLL_SECONDS
        self._woken = threading.Event()
        self._reads_many = hasattr(self._backend, "mget")
        self._is_database = _is_of(type(self._backend), "celery.backends.database")

    def step(self) -> bool:
        """Bring in what there is, or wait for it."""
        self._woken.clear()
        if self._waiters.take_unseen():
            self._interval = _FIRST_POLL_SECONDS
        self._waiters.take_left()
        ids = self._waiters.ids()
        if self._reads_many:
            try:
                look_up(self._backend, self._waiters, ids)
            except NotImplementedError:
                self._reads_many = False
        if not self._reads_many:
            for task_id in ready_in_database(self._backend, ids) if self._is_database else ids:
                try:
                    meta = self._backend.get_task_meta(task_id, cache=False)
                except UNREADABLE as error:
                    self._waiters.fail(error, [task_id])
                else:
                    resolve_ready(self._waiters, {**meta, "task_id": task_id})
        self._woken.wait(self._interval)
        self._interval = min(self._interval * 1.5, _LONGEST_POLL_SECONDS)
        return False

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    def close(self) -> None:
        """Do nothing."""


class SafetyLook:
    """Says whose results to look for although nothing was heard of them."""

    def __init__(self, waiters: Waiters) -> None:
        self._waiters = waiters
        self._last = monotonic()

    def due(self) -> list[str]:
        """Return the ids to look for now."""
        now = monotonic()
        if now - self._last < SAFETY_SECONDS:
            return []
        self._last = now
        return self._waiters.ids_since(now - SAFETY_SECONDS)


def look_up(backend: Any, waiters: Waiters, task_ids: list[str]) -> None:  # noqa: ANN401 - a backend of Celery's, which has no types
    """Look results up in a store that reads many keys at once, and resolve those that are there."""
    for first in range(0, len(task_ids), LOOK_UP_AT_ONCE):
        some = task_ids[first : first + LOOK_UP_AT_ONCE]
        keys = [backend.get_key_for_task(task_id) for task_id in some]
        found = backend.mget(keys)
        values = [found.get(key) for key in keys] if hasattr(found, "items") else found
        for task_id, value in zip(some, values, strict=True):
            if value:
                try:
                    meta = backend.decode(value)
                except UNREADABLE as error:  # that of one call must not cost the others theirs
                    waiters.fail(error, [task_id])
                else:
                    resolve_ready(waiters, {**meta, "task_id": task_id})


def ready_in_database(backend: Any, task_ids: list[str]) -> list[str]:  # noqa: ANN401 - a backend of Celery's, which has no types
    """Ask a database for many tasks at once which of them have ended."""
    ready: list[str] = []
    task = backend.task_cls
    with contextlib.closing(backend.ResultSession()) as session:
        for first in range(0, len(task_ids), LOOK_UP_AT_ONCE):
            some = task_ids[first : first + LOOK_UP_AT_ONCE]
            found = session.query(task.task_id).filter(task.task_id.in_(some), task.status.in_(states.READY_STATES))
            ready.extend(row[0] for row in found)
    return ready


def resolve_ready(waiters: Waiters, meta: Meta) -> None:
    """Resolve a result whose state is final."""
    if meta["status"] in states.READY_STATES:
        waiters.resolve(meta)


_COMMON: Final = 19  # xxxxxxxx-xxxx-4xxx-: 60 random bits for the process, 62 are left for each task


class TaskIds:
    """Makes ids; each is a version 4 UUID.

    Attributes:
        prefix: What all of them begin with.
    """

    __slots__ = ("prefix",)

    def __init__(self) -> None:
        self.prefix: Final = str(uuid4())[:_COMMON]

    def new(self) -> str:
        """Return a new id."""
        return self.prefix + str(uuid4())[_COMMON:]

    def covers(self, task_id: str) -> bool:
        """Return whether an id begins as this process's do."""
        return task_id.startswith(self.prefix)


class RedisReceiver:
    """Receives what workers publish on Redis: one subscription to a pattern for all that the process sends.

    Celery publishes each state on a channel named as the key that holds it. Ids that this process did not make (signatures
    of Celery's, results that are opened again) are subscribed to one by one, as many as there are in one command.
    """

    transient = False

    def __init__(self, backend: Any, waiters: Waiters, ids: TaskIds) -> None:  # noqa: ANN401 - a backend of Celery's, which has no types
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
                    resolve_ready(self._waiters, meta)
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
