"""Idempotency keys: of the calls of a task with one key, only the first is sent.

A key belongs to the task id of the call that was sent with it, which the result backend keeps under a name of its own. It is
taken in two steps. `claim` takes it for as long as a publish may last, in one round trip, and `confirm` for its whole time
when the message is with the broker: a client that dies in between does not leave a key behind whose call never comes.

All functions block; they use the result backend of the calling thread, as Celery does.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, TypeVar

from celery import Celery

from pico_celery.app_state import state_lock
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.idempotency_key import key_of
from pico_celery.errors import Fault, OptionError

T = TypeVar("T")
DEFAULT_TTL_SECONDS: Final = 86_400.0
CLAIM_SECONDS: Final = 60.0
"""How long a key is taken by a client that has not said yet that its message is with the broker."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """The key of one call."""

    task: str
    """Name of the task."""
    text: str
    ttl_seconds: float | None = None
    """How long a call with it counts as the same one; ``None`` for the default."""

    @property
    def name(self) -> str:
        """What it is stored under: the text itself may be long, or not for everybody's eyes."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return f"idempotency-{self.task}-{digest}"


def resolve_key(
    definition: TaskDefinition, kwargs: Mapping[str, object], options: dict[str, Any]
) -> IdempotencyKey | None:
    """Take the options of idempotency out of those of a call."""
    text, ttl = options.pop("idempotency_key", None), options.pop("idempotency_ttl", None)
    if text is None and definition.options.get("key") is not None:
        text = key_of(definition, definition.arguments.decode(kwargs))
    return None if text is None else checked_key(definition.name, text, ttl)


def checked_key(task: str, text: str, ttl: float | None) -> IdempotencyKey:
    """Return the key of one call; refuse an empty text, and a time that is over at once."""
    if not text or (ttl is not None and ttl <= 0):
        path = "idempotency_ttl" if text else "idempotency_key"
        expected, got = ("more than 0 s", f"{ttl:g} s") if text else ("a text", "an empty one")
        raise _refused(task, path, expected, got, "leave it out, or correct it", "idempotency_value")
    return IdempotencyKey(task=task, text=text, ttl_seconds=ttl)


def send_once(app: Celery, key: IdempotencyKey, task_id: str, send: Callable[[], T], first: Callable[[str], T]) -> T:
    """Send a call, unless another one has its key."""
    holder = claim(app, key, task_id)
    if holder != task_id:
        return first(holder)
    try:
        sent = send()
    except BaseException:
        release_quietly(app, key, task_id)
        raise
    confirm(app, key, task_id)
    return sent


def claim(app: Celery, key: IdempotencyKey, task_id: str) -> str:
    """Take a key for a call that is about to be published, unless another call has it."""
    backend = _redis_backend(app, key)
    ttl = _ttl_of(backend, key)
    name = backend.get_key_for_task(key.name)
    while True:
        # One round trip: whoever the key belongs to, the second command shows it.
        pipeline = backend.client.pipeline(transaction=False)
        pipeline.set(name, task_id, nx=True, px=_milliseconds(min(ttl, CLAIM_SECONDS)))
        pipeline.get(name)
        holder = pipeline.execute()[1]
        if holder is not None:  # or that of another call lapsed between the two
            return holder.decode() if isinstance(holder, bytes) else str(holder)


def confirm(app: Celery, key: IdempotencyKey, task_id: str) -> None:
    """Keep a key for its whole time, since its call is with the broker. Failures are logged: the call is sent."""
    try:
        backend = _redis_backend(app, key)
        name, milliseconds = backend.get_key_for_task(key.name), _milliseconds(_ttl_of(backend, key))
        if not backend.client.pexpire(name, milliseconds):
            backend.client.set(name, task_id, nx=True, px=milliseconds)
    except Exception:
        _logger.exception("the idempotency key of %s[%s] is kept for a minute only", key.task, task_id)


def release(app: Celery, key: IdempotencyKey, task_id: str) -> None:
    """Give a key back, if it still belongs to a call."""
    backend = _redis_backend(app, key)
    name = backend.get_key_for_task(key.name)
    from redis.exceptions import WatchError  # noqa: PLC0415 - there is a Redis backend

    with backend.client.pipeline() as pipeline:
        pipeline.watch(name)
        if pipeline.get(name) not in {task_id, task_id.encode()}:
            return
        pipeline.multi()
        pipeline.delete(name)
        try:
            pipeline.execute()
        except WatchError:
            return  # it went to another call meanwhile


def release_quietly(app: Celery, key: IdempotencyKey, task_id: str) -> None:
    """Give a key back because its call was not published; where that fails too, the key lapses by itself."""
    try:
        release(app, key, task_id)
    except Exception:
        _logger.warning("the idempotency key of %s stays taken for a minute", key.task, exc_info=True)


class EagerKeys:
    """Keys of an application in eager mode: what a backend keeps otherwise, kept in the process."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, object]] = {}

    def find(self, key: IdempotencyKey) -> object:
        """Return the result of the first call with a key, or ``None``."""
        with state_lock():
            ends, result = self._kept.get(key.name, (0.0, None))
        return result if monotonic() < ends else None

    def keep(self, key: IdempotencyKey, result: object) -> None:
        """Keep the result of a call."""
        now = monotonic()
        with state_lock():
            kept = {name: entry for name, entry in self._kept.items() if entry[0] > now}
            self._kept = {**kept, key.name: (now + (key.ttl_seconds or DEFAULT_TTL_SECONDS), result)}

    def forget(self, key: IdempotencyKey) -> None:
        """Forget a key."""
        with state_lock():
            self._kept.pop(key.name, None)


def _redis_backend(app: Celery, key: IdempotencyKey) -> Any:  # noqa: ANN401 - a backend of Celery's, which has no types
    from celery.backends.redis import RedisBackend  # noqa: PLC0415 - only calls with a key need it

    backend: Any = app.backend
    if not isinstance(backend, RedisBackend):
        got = type(backend).__name__
        remedy = "set backend_url to a Redis server, or send without a key (key= of the contract, idempotency_key=)"
        expected = "a result backend that takes a key in one step, which of Celery's is Redis"
        raise _refused(key.task, "idempotency_key", expected, got, remedy, "no_atomic_backend")
    return backend


def _ttl_of(backend: Any, key: IdempotencyKey) -> float:  # noqa: ANN401 - a backend of Celery's, which has no types
    """Return how long a key is kept: never longer than a result, or a second call would wait for one that is gone."""
    kept = min([seconds for seconds in (backend.expires, backend.failure_expires) if seconds], default=None)
    if key.ttl_seconds is None:
        return DEFAULT_TTL_SECONDS if kept is None else min(DEFAULT_TTL_SECONDS, float(kept))
    if kept is not None and key.ttl_seconds > kept:
        expected, got = f"at most the time that results are kept, {kept:g} s", f"{key.ttl_seconds:g} s"
        remedy = "raise result_expires (and result_failure_expires), or give a shorter one"
        raise _refused(key.task, "idempotency_ttl", expected, got, remedy, "idempotency_ttl")
    return key.ttl_seconds


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _refused(task: str, path: str, expected: str, got: str, remedy: str, code: str) -> OptionError:  # noqa: PLR0917
    fault = Fault(task=task, path=path, expected=expected, got=got, remedy=remedy, code=code)
    return OptionError.of(task, [fault])
