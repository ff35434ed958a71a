"""The one typed place for what Celery and kombu do not document, with a self-check that fails closed.

Each function says what it reaches into, and what would make it unnecessary upstream. `check_celery` runs before the first
task is registered: a release of Celery that renames one of these stops the worker at start, instead of logging a secret or
running a revoked task later.

The client's reaches are still where they are used: ``AsyncResult._maybe_set_cache`` and ``_set_cache``
(to resolve a result without polling), the ``ResultConsumer`` of a backend (to know whether it can be subscribed to),
``Signature.unchain_tasks`` (to copy a chain's links), and kombu's Redis transport (to send a batch in one transaction).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final, NoReturn, Protocol

import celery
from celery import Task, _state
from celery.concurrency import prefork
from celery.concurrency.base import BasePool
from celery.worker import request as requests
from celery.worker import state
from celery.worker.request import Request
from kombu.asynchronous import Hub

from pico_celery.errors import ExecutionError

SUPPORTED: Final = "celery>=5.7,<5.8"
_PROBE: Final = "pico-celery-probe"


class Message(Protocol):
    """A message as kombu delivers it."""

    headers: Any
    properties: Any
    acknowledged: bool

    @property
    def payload(self) -> Any:
        """The decoded body."""

    def reject_log_error(self, logger: Any, errors: Any, requeue: bool = False) -> None:
        """Reject the message; log a connection that is lost meanwhile."""


class Consumer(Protocol):
    """The worker's consumer of messages."""

    app: Any
    connection_errors: tuple[type[Exception], ...]
    channel_errors: tuple[type[Exception], ...]
    create_task_handler: Callable[..., Callable[[Any], Any]]


class Stack(Protocol):
    """A stack of Celery's that belongs to a thread, or to what ``__ident_func__`` returns."""

    def push(self, obj: Any) -> None:
        """Put an object on top."""

    def pop(self) -> Any:
        """Take the top off."""


class WorkerFlags(Protocol):
    """What ends a worker, once it is set; celery-types knows the flags as ``None`` only."""

    should_stop: bool | int | None
    should_terminate: bool | int | None


@dataclass(frozen=True, slots=True)
class _Reach:
    """An attribute that is not documented, and what it is for."""

    owner: object
    attribute: str
    purpose: str

    @property
    def path(self) -> str:
        owner: Any = self.owner
        name = f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else owner.__name__
        return f"{name}.{self.attribute}"


_REACHES: Final = (
    _Reach(_state, "_task_stack", "celery.current_task inside a coroutine"),
    _Reach(prefork, "_run_ready_callbacks", "acknowledgements while the worker stops"),
    _Reach(Hub, "fire_timers", "heartbeats while the worker stops"),
    _Reach(state, "should_stop", "stopping the worker"),
    _Reach(state, "should_terminate", "stopping the worker at once"),
    _Reach(Request, "revoked", "skipping tasks that are revoked while they wait for a slot"),
    _Reach(Request, "info", "keeping secrets out of celery inspect"),
    _Reach(Task, "Request", "keeping secrets out of the worker's log"),
    _Reach(Task, "Strategy", "rejecting malformed messages"),
    _Reach(BasePool, "_get_info", "celery inspect stats"),
)


def check_celery() -> None:
    """Check that this Celery has what this module uses, before any message is taken."""
    for reach in _REACHES:
        if not hasattr(reach.owner, reach.attribute):
            _refuse(reach.path, reach.purpose)
    request, handed = hand_probe_to_pool(Request)
    if getattr(handed["accept_callback"], "__self__", None) is not request:
        _refuse(
            "celery.worker.request.Request.on_accepted", "skipping tasks that are revoked while they wait for a slot"
        )


def check_redaction(request_class: type[Request]) -> None:
    """Check that requests of a class show nothing of their arguments to the pool and to remote control."""
    request, handed = hand_probe_to_pool(request_class)
    for path, shown in (("body, Request.request_dict", handed["args"]), ("info", request.info(safe=False))):
        if _PROBE in repr(shown):
            _refuse(f"celery.worker.request.Request.{path}", "keeping secrets out of the worker's log")


def hand_probe_to_pool(request_class: type[Request]) -> tuple[Request, Mapping[str, Any]]:
    """Let a request of a class hand a message to a pool that only looks at it."""
    handed: dict[str, Any] = {}

    def apply_async(_target: object, args: Any = (), **given: Any) -> None:
        handed.update(given, args=args)

    app: Any = SimpleNamespace(use_fast_trace_task=False)
    task: Any = SimpleNamespace(ignore_result=True, time_limit=None, soft_time_limit=None, acks_late=True, app=app)
    pool: Any = SimpleNamespace(apply_async=apply_async)
    payload: tuple[Any, ...] = ([_PROBE], {_PROBE: _PROBE}, {})
    message: Any = SimpleNamespace(
        headers={"id": "probe", "task": "probe", "argsrepr": _PROBE, "kwargsrepr": _PROBE},
        properties={},
        delivery_info={},
        body=f'[["{_PROBE}"]]',
        payload=payload,
        content_type="application/json",
        content_encoding="utf-8",
    )
    try:
        module: Any = requests
        built: Any = module.create_request_cls(request_class, task, pool, "probe", None, app=app)
        request: Request = built(message, app=app, task=task)
        built.execute_using_pool(request, pool)
        handed["args"], handed["accept_callback"]
    except Exception as error:  # noqa: BLE001 - whatever it is, one cannot know what would be shown
        missing = error.name if isinstance(error, AttributeError) else "Request"
        _refuse(f"celery.worker.request: {missing}", "keeping secrets out of the worker's log", error)
    return request, handed


def task_stack() -> Stack:
    """Return the stack that ``celery.current_task`` reads; a public ``push_current_task`` would make it unnecessary."""
    stack: Stack = _state._task_stack  # type: ignore[attr-defined]  # noqa: SLF001
    return stack


def worker_flags() -> WorkerFlags:
    """Return the flags that end a worker; a documented way to stop the worker from a pool would make it unnecessary."""
    flags: Any = state
    return flags  # type: ignore[no-any-return]


def run_acknowledgements(hub: Hub) -> None:
    """Send what is due to the broker while the main loop stands still, as prefork does when it is joined.

    A public method of the hub, or acknowledgements that do not wait for it, would make it unnecessary.
    """
    prefork._run_ready_callbacks(hub)  # type: ignore[attr-defined]  # noqa: SLF001


def is_revoked(accepted: Callable[..., Any] | None) -> bool:
    """Return whether the request behind a job was revoked, or has expired; Celery's request announces it.

    Celery asks its request before it gives a job to the pool, which in its own pools is when there is a slot. A pool that is
    given the request, not only callbacks, would make it unnecessary.
    """
    revoked = getattr(getattr(accepted, "__self__", None), "revoked", None)  # `check_celery` has seen Celery's
    return revoked is not None and bool(revoked())


def seal_request(
    request: Request, *, body: Callable[[Any], Any], headers: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """Replace what a request gives to the pool, which logs it at level DEBUG.

    A request whose log lines use ``argsrepr`` and ``kwargsrepr`` would make it unnecessary.
    """
    parts: Any = request
    parts._body = body(parts._body)  # noqa: SLF001
    parts._request_dict = headers(parts._request_dict)  # noqa: SLF001


def wrap_task_handler(consumer: Consumer, wrap: Callable[[Callable[[Any], Any]], Callable[[Any], Any]]) -> None:
    """Put a function around the consumer's handler of messages.

    A consumer that rejects a message on which its handler fails would make it unnecessary.
    """
    if not hasattr(consumer, "create_task_handler"):
        _refuse("celery.worker.consumer.Consumer.create_task_handler", "rejecting malformed messages")
    create = consumer.create_task_handler

    def create_task_handler(*args: Any, **kwargs: Any) -> Callable[[Any], Any]:
        return wrap(create(*args, **kwargs))

    consumer.create_task_handler = create_task_handler


def _refuse(path: str, purpose: str, cause: Exception | None = None) -> NoReturn:
    raise ExecutionError(
        f"Celery {celery.__version__} has changed {path}, which pico_celery needs for {purpose}: install {SUPPORTED!r}"
    ) from cause
