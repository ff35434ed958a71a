"""The one door to what Celery and kombu do not document: every reach, typed, and checked before it is used.

`WORKER_REACHES`, `CLIENT_REACHES`, `CANVAS_REACHES` and `REDIS_REACHES` list them, each with what would make it unnecessary upstream. The
checks fail closed: a release of Celery that renames one of them stops the worker at start, or the client at its first
call, instead of logging a secret, running a revoked task or losing a batch later.

A client imports this module too, so it imports no canvas, no worker and no transport before they are in use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from logging import Logger, getLogger
from operator import attrgetter
from types import MethodType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, cast

import celery
from celery import Celery, states
from celery.exceptions import TaskRevokedError
from kombu import Message as KombuMessage

from pico_celery.errors import ExecutionError

if TYPE_CHECKING:  # a client that only declares its calls needs none of them
    from celery.app.task import Context, Task
    from celery.canvas import Signature
    from celery.result import AsyncResult
    from celery.worker.request import Request
    from kombu.asynchronous import Hub

SUPPORTED: Final = "celery>=5.7,<5.8"
_PROBE: Final = "pico-celery-probe"
_logger = getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Reach:
    module: str
    attribute: str
    purpose: str
    unnecessary_with: str

    @property
    def path(self) -> str:
        return f"{self.module}.{self.attribute}"


_REVOKED: Final = "skipping tasks that are revoked while they wait for a slot"
_KEPT_REVOKED: Final = "keeping the state of a task that is revoked while it starts"
_SECRETS: Final = "keeping secrets out of the worker's log"
_DRAINING: Final = "heartbeats and acknowledgements while the worker stops"
_STOPPING: Final = "stopping the worker from a task"
_RESULTS: Final = "resolving results without polling"
_BATCHES: Final = "batches that are sent whole or not at all"

WORKER_REACHES: Final = (
    _Reach(
        "celery._state", "_task_stack", "celery.current_task inside a coroutine", "a current task kept in a contextvar"
    ),
    _Reach("kombu.asynchronous", "Hub._pop_ready", _DRAINING, "acknowledgements that do not wait for the hub"),
    _Reach("vine", "promise.fun", _DRAINING, "acknowledgements that do not wait for the hub"),
    _Reach("kombu.asynchronous", "Hub.fire_timers", _DRAINING, "a public step of the hub that reads no messages"),
    _Reach("celery.worker.state", "should_stop", _STOPPING, "a method of the worker that stops it"),
    _Reach("celery.worker.state", "should_terminate", _STOPPING, "a method of the worker that stops it"),
    _Reach("celery.worker.request", "Request.revoked", _REVOKED, "a pool that is given the request, not callbacks"),
    _Reach("celery.worker.request", "Request._already_revoked", _KEPT_REVOKED, "a store that keeps final states"),
    _Reach("celery.worker.request", "Request._context", _KEPT_REVOKED, "a store that keeps final states"),
    _Reach(
        "celery.worker.request", "Request.info", "keeping secrets out of celery inspect", "info() with argsrepr only"
    ),
    _Reach("celery", "Task.Request", _SECRETS, "log lines of argsrepr and kwargsrepr only"),
    _Reach("celery", "Task.Strategy", "rejecting malformed messages", "a consumer that rejects what it cannot read"),
    _Reach(
        "celery.app.task",
        "get_actual_ignore_result",
        "storing retries",
        "a retry that is stored before it is published",
    ),
    _Reach("celery.concurrency.base", "BasePool._get_info", "celery inspect stats", "a documented info() of pools"),
)
CLIENT_REACHES: Final = (
    _Reach("celery.result", "AsyncResult._maybe_set_cache", _RESULTS, "a public way to give a result its outcome"),
    _Reach("celery.result", "AsyncResult._set_cache", _RESULTS, "a public way to give a result its outcome"),
)
CANVAS_REACHES: Final = (
    _Reach("celery.canvas", "_chain.unchain_tasks", "the type of a chain's result", "public access to a chain's links"),
)
REDIS_REACHES: Final = (
    _Reach("kombu.transport.redis", "Transport", _BATCHES, "kombu's own batches in one transaction"),
    _Reach("kombu.transport.redis", "Channel.create_publish_batch", _BATCHES, "kombu's own batches in one transaction"),
    _Reach("kombu.transport.redis", "PublishBatch.publish", _BATCHES, "kombu's own batches in one transaction"),
    _Reach("kombu.transport.redis", "PublishBatch.flush", _BATCHES, "kombu's own batches in one transaction"),
    _Reach(
        "kombu.transport.redis",
        "Channel.conn_or_acquire",
        "one Redis client per channel",
        "a channel that keeps its client",
    ),
)
# The methods of a backend's `ResultConsumer`; unnecessary with a documented way to subscribe to results.
_RESULT_CONSUMER: Final = ("on_state_change", "start", "stop", "drain_events")


class Message(Protocol):
    """A message as kombu delivers it."""

    headers: dict[str, object] | None
    properties: dict[str, object] | None
    acknowledged: bool

    @property
    def payload(self) -> object:
        """The decoded body."""

    def reject_log_error(self, logger: Logger, errors: tuple[type[Exception], ...], requeue: bool = False) -> None:
        """Reject the message; log a connection that is lost meanwhile."""


class _Queues(Protocol):
    queues: Iterable[Any]


MessageHandler = Callable[[Message], object]


class Consumer(Protocol):
    """The worker's consumer of messages."""

    app: Celery
    pool: object
    connection_errors: tuple[type[Exception], ...]
    channel_errors: tuple[type[Exception], ...]
    create_task_handler: Callable[..., MessageHandler]
    task_consumer: _Queues | None
    """None until the consumer is connected."""


class Worker(Protocol):
    """A worker that is about to start."""

    app: Celery
    pool_cls: str | type
    concurrency: int
    prefetch_multiplier: int
    time_limit: float | None
    soft_time_limit: float | None


class Stack(Protocol):
    """A stack of Celery's that belongs to a thread, or to what ``__ident_func__`` returns."""

    __ident_func__: Callable[[], object]

    def push(self, obj: object, /) -> object:
        """Put an object on top."""

    def pop(self) -> object:
        """Take the top off."""


class WorkerFlags(Protocol):
    """What ends a worker, once it is set; celery-types knows the flags as ``None`` only."""

    should_stop: bool | int | None
    should_terminate: bool | int | None


class RedisTransport(Protocol):
    """The module of kombu's transport for Redis; kombu's types lack the names."""

    Transport: type
    Channel: type
    PublishBatch: type


def check_celery() -> None:
    """Check that this Celery has what a worker needs, before any message is taken."""
    _check(WORKER_REACHES)
    request, handed = hand_probe_to_pool(cast("type[Request]", _get("celery.worker.request", "Request")))
    if getattr(handed["accept_callback"], "__self__", None) is not request:
        _refuse("celery.worker.request.Request.on_accepted", _REVOKED)
    if tuple(cast("Iterable[object]", handed["args"]))[:2] != ("probe-task", "probe-id"):
        _refuse("celery.worker.request.Request.execute_using_pool", "the names of tasks in the worker's log")


@cache
def check_client() -> None:
    """Check, once, that this Celery has what clients need."""
    _check(CLIENT_REACHES)


def check_redaction(request_class: type[Request]) -> None:
    """Check that requests of a class show nothing of their arguments to the pool and to remote control."""
    request, handed = hand_probe_to_pool(request_class)
    for path, shown in (("body, Request.request_dict", handed["args"]), ("info", request.info(safe=False))):
        if _PROBE in repr(shown):
            _refuse(f"celery.worker.request.Request.{path}", _SECRETS)


def hand_probe_to_pool(request_class: type[Request]) -> tuple[Request, Mapping[str, object]]:
    """Build a request whose arguments are `_PROBE`; return it, and what it gives to ``apply_async`` of a pool."""
    handed: dict[str, object] = {}

    def apply_async(_target: object, args: object = (), **given: object) -> None:
        handed.update(given, args=args)

    app = SimpleNamespace(use_fast_trace_task=False)
    task = SimpleNamespace(ignore_result=True, time_limit=None, soft_time_limit=None, acks_late=True, app=app)
    pool = SimpleNamespace(apply_async=apply_async)
    message = SimpleNamespace(
        headers={"id": "probe-id", "task": "probe-task", "argsrepr": _PROBE, "kwargsrepr": _PROBE},
        properties={},
        delivery_info={},
        body=f'[["{_PROBE}"]]',
        payload=([_PROBE], {_PROBE: _PROBE}, {}),
        content_type="application/json",
        content_encoding="utf-8",
    )
    try:
        create = cast("Callable[..., Any]", _get("celery.worker.request", "create_request_cls"))
        built = create(request_class, task, pool, "probe", None, app=app)
        request = built(message, app=app, task=task)
        built.execute_using_pool(request, pool)
        handed["args"], handed["accept_callback"]
    except Exception as error:  # noqa: BLE001 - whatever it is, one cannot know what would be shown
        missing = error.name if isinstance(error, AttributeError) else "Request"
        _refuse(f"celery.worker.request: {missing}", _SECRETS, error)
    return request, handed


def worker_of(sender: object) -> Worker:
    """Return the sender of ``worker_init``; a worker without the settings of its command line ends here."""
    for name in Worker.__annotations__:
        if not hasattr(sender, name):
            _refuse(f"celery.worker.WorkController.{name}", "adapting a worker to its pool")
    return cast("Worker", sender)


@cache
def task_stack() -> Stack:
    """Return the stack that ``celery.current_task`` reads."""
    return cast("Stack", _get("celery._state", "_task_stack"))


def request_stack(task: Task[..., Any]) -> Stack:
    """Return the stack that ``task.request`` reads; Celery's types call a part of it read-only."""
    return cast("Stack", task.request_stack)


@cache
def worker_flags() -> WorkerFlags:
    """Return the flags that end a worker."""
    return cast("WorkerFlags", import_module("celery.worker.state"))


def run_acknowledgements(hub: Hub) -> None:
    """Acknowledge and reject what is due while the main loop stands still, as prefork does when it is joined.

    The rest goes back to the hub: a reader of the broker's socket would hand messages to a pool that is closed.
    """
    ready: set[Callable[[], object]] = attrgetter("_pop_ready")(hub)()
    while ready:
        callback = ready.pop()
        method = getattr(callback, "fun", None)  # the consumer queues promises of bound methods
        if (
            isinstance(method, MethodType)
            and isinstance(method.__self__, KombuMessage)
            and method.__name__ in _ACKNOWLEDGING
        ):
            try:
                callback()
            except Exception:  # the others are due too
                _logger.exception("a message could not be acknowledged while the worker stops")
        else:
            hub.call_soon(callback)


_ACKNOWLEDGING: Final = frozenset({"ack_log_error", "reject_log_error"})


def is_revoked(accepted: Callable[..., object] | None) -> bool:
    """Return whether the request behind a job was revoked, or has expired; Celery's request announces it.

    The job's ``accept_callback`` is a bound method of its request; any other callback belongs to no task. Celery itself asks
    before it gives a job to the pool, which in its own pools is when there is a slot.
    """
    revoked = getattr(getattr(accepted, "__self__", None), "revoked", None)  # `check_celery` has seen Celery's
    return revoked is not None and bool(revoked())


def keep_revoked(accepted: Callable[..., object] | None) -> None:
    """Store that a task was revoked once more, if its own start or progress was stored after that.

    Celery stores REVOKED when it terminates a task, on the main thread; the task's tracer may be about to store STARTED.
    """
    from celery.backends.base import DisabledBackend  # noqa: PLC0415 - only few tasks are terminated
    from celery.backends.rpc import RPCBackend  # noqa: PLC0415 - as above

    request = cast("Request | None", getattr(accepted, "__self__", None))
    if request is None or not attrgetter("_already_revoked")(request) or not request.store_errors:
        return
    backend: Any = request.task.backend
    if isinstance(backend, (DisabledBackend, RPCBackend)) or backend.get_state(request.id) in states.READY_STATES:
        return
    error = TaskRevokedError("terminated")
    backend.store_result(request.id, error, states.REVOKED, request=attrgetter("_context")(request))


def seal_request(
    request: Request,
    *,
    body: Callable[[object], object],
    headers: Callable[[MutableMapping[str, object]], MutableMapping[str, object]],
) -> None:
    """Replace what a request gives to the pool, which logs it at level DEBUG.

    An attribute that Celery has renamed raises here: the message is rejected, and not shown.
    """
    parts = cast("_RequestParts", request)
    parts._body = body(parts._body)  # noqa: SLF001 - this is the door
    parts._request_dict = headers(parts._request_dict)  # noqa: SLF001 - this is the door


class _RequestParts(Protocol):
    _body: object
    _request_dict: MutableMapping[str, object]


def wrap_task_handler(consumer: Consumer, wrap: Callable[[MessageHandler], MessageHandler]) -> None:
    """Put a function around the consumer's handler of messages.

    A consumer that rejects a message on which its handler fails would make it unnecessary.
    """
    if not hasattr(consumer, "create_task_handler"):
        _refuse("celery.worker.consumer.Consumer.create_task_handler", "rejecting malformed messages")
    create = consumer.create_task_handler

    def create_task_handler(*args: object, **kwargs: object) -> MessageHandler:
        return wrap(create(*args, **kwargs))

    consumer.create_task_handler = create_task_handler


def ignores_result(task: Task[..., Any], request: Context) -> bool:
    """Return whether nothing is stored of an execution, by its call or else by its task."""
    ignores = cast("Callable[[Task[..., Any], Context], bool]", _get("celery.app.task", "get_actual_ignore_result"))
    return ignores(task, request)


def store_meta(result: AsyncResult[Any], meta: Mapping[str, object]) -> None:
    """Give a result what was stored of its task, without calling who waits for it."""
    attrgetter("_set_cache")(result)(dict(meta))


def resolve_result(result: AsyncResult[Any], meta: Mapping[str, object]) -> None:
    """Give a result what was stored of its task, as the consumers of Celery's backends do."""
    attrgetter("_maybe_set_cache")(result)(dict(meta))


def chain_links(signature: Signature[Any]) -> tuple[Signature[Any], ...] | None:
    """Return copies of a chain's tasks, which have its links; None of another signature."""
    return tuple(attrgetter("unchain_tasks")(signature)()) if isinstance(signature, _chain_class()) else None


@cache
def _chain_class() -> type:
    _check(CANVAS_REACHES)
    return cast("type", _get("celery.canvas", "_chain"))


def result_consumer_of(backend: type) -> type | None:
    """Return the class by which a backend subscribes to results; None of a backend that is polled."""
    consumer: type | None = getattr(backend, "ResultConsumer", None)
    if consumer is None:
        if any(base.__name__ == "AsyncBackendMixin" for base in backend.__mro__):
            _refuse(f"{backend.__module__}.{backend.__qualname__}.ResultConsumer", _RESULTS)
        return None
    for name in _RESULT_CONSUMER:
        if not hasattr(consumer, name):
            _refuse(f"{consumer.__module__}.{consumer.__qualname__}.{name}", _RESULTS)
    return consumer


@cache
def redis_transport() -> RedisTransport:
    """Return kombu's transport for Redis, which is imported and checked at the first use."""
    _check(REDIS_REACHES)
    return cast("RedisTransport", import_module("kombu.transport.redis"))


def _check(reaches: Iterable[_Reach]) -> None:
    for reach in reaches:
        try:
            _get(reach.module, reach.attribute)
        except AttributeError:
            _refuse(reach.path, reach.purpose)


def _get(module: str, attribute: str) -> object:
    return attrgetter(attribute)(import_module(module))


def _refuse(path: str, purpose: str, cause: Exception | None = None) -> NoReturn:
    raise ExecutionError(
        f"Celery {celery.__version__} has changed {path}, which pico_celery needs for {purpose}: install {SUPPORTED!r}"
    ) from cause
