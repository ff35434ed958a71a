"""`TaskContext`: what a component can read of the running task, and ask of it: a retry, a report of its progress."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic
from types import MappingProxyType
from typing import Any, Final, NoReturn, Unpack

from pico_ioc import component
from pydantic_core import to_jsonable_python
from typing_extensions import TypedDict

from pico_celery.contract.options import Duration, Priority, check_options
from pico_celery.errors import ExecutionError
from pico_celery.messaging.deadline import DEADLINE_HEADER
from pico_celery.messaging.headers import CONTRACT_HEADER, DIGEST_HEADER
from pico_celery.threads import submit
from pico_celery.worker.execution import Execution, RetryRequested, current_execution

PROGRESS: Final = "PROGRESS"
# Added on the way: by this library's clients, and by kombu's Redis transport to a second delivery.
_ADDED_HEADERS: Final = frozenset({CONTRACT_HEADER, DIGEST_HEADER, DEADLINE_HEADER, "redelivered"})


class RetryOptions(TypedDict, total=False):
    """Options of `TaskContext.retry`.

    Source: https://docs.celeryq.dev/en/stable/reference/celery.app.task.html#celery.app.task.Task.retry
    """

    countdown: Duration
    eta: datetime
    exc: BaseException
    max_retries: int
    expires: Duration | datetime
    queue: str
    exchange: str
    routing_key: str
    priority: Priority
    time_limit: Duration
    soft_time_limit: Duration


@component
class TaskContext:
    """The execution that the running code belongs to.

    Take it through the constructor of any component. One object serves all executions: it describes the one that asks, also
    in its child tasks and in `asyncio.to_thread`. Outside a task every member raises `ExecutionError`.
    """

    @property
    def id(self) -> str:
        """Id of the task."""
        return str(_here().request.id)

    @property
    def name(self) -> str:
        """Name of the task."""
        return str(_here().task.name)

    @property
    def retries(self) -> int:
        """How often the task was retried before."""
        return int(_here().request.retries or 0)

    @property
    def max_retries(self) -> int | None:
        """How often it may be retried; ``None`` for without limit."""
        limit: int | None = _here().task.max_retries
        return limit

    @property
    def root_id(self) -> str | None:
        """Id of the first task of the workflow that this one belongs to."""
        return _text(_here().request.root_id)

    @property
    def parent_id(self) -> str | None:
        """Id of the task that sent this one."""
        return _text(_here().request.parent_id)

    @property
    def group_id(self) -> str | None:
        """Id of the group that the task belongs to."""
        return _text(_here().request.group)

    @property
    def correlation_id(self) -> str | None:
        """Correlation id of the message."""
        return _text(_here().request.correlation_id)

    @property
    def delivery_info(self) -> Mapping[str, Any]:
        """Exchange, routing key, priority, and whether the broker has delivered the message before (``redelivered``)."""
        return MappingProxyType(dict(_here().request.delivery_info or {}))

    @property
    def headers(self) -> Mapping[str, Any]:
        """The headers that the sender added to the message."""
        headers = _here().request.headers or {}
        return MappingProxyType({name: value for name, value in headers.items() if name not in _ADDED_HEADERS})

    @property
    def eta(self) -> datetime | None:
        """The time before which the task was not to start."""
        return _time(_here().request.eta)

    @property
    def expires(self) -> datetime | None:
        """The time after which the task was not to start."""
        return _time(_here().request.expires)

    @property
    def time_limit(self) -> timedelta | None:
        """The hard limit of this execution."""
        return _limits(_here())[0]

    @property
    def soft_time_limit(self) -> timedelta | None:
        """The soft limit of this execution."""
        return _limits(_here())[1]

    @property
    def deadline(self) -> datetime | None:
        """When the first of its deadline and its two limits ends this execution, as a time in UTC."""
        here = _here()
        left = _left_of_limits(here)
        ends = [here.deadline, None if left is None else datetime.now(UTC) + left]
        return min((end for end in ends if end is not None), default=None)

    @property
    def time_left(self) -> timedelta | None:
        """How much time is left until its deadline or the first of its two limits; zero where that has passed."""
        here = _here()
        left = _left_of_limits(here)
        if here.deadline is None:
            return left
        until = max(timedelta(0), here.deadline - datetime.now(UTC))
        return until if left is None else min(left, until)

    @property
    def cancelled(self) -> bool:
        """Whether the execution has been asked to end: by its deadline, a limit, a revocation or the worker's shutdown."""
        run = _here().run
        return run is not None and run.interrupted

    @property
    def request(self) -> Any:  # noqa: ANN401 - Celery's, with an attribute for each header
        """Celery's own request."""
        return _here().request

    async def retry(self, **options: Unpack[RetryOptions]) -> NoReturn:
        """End this execution and run the task again later. Nothing is sent before the body has ended.

        Args:
            **options: See `RetryOptions`. ``countdown`` or ``eta`` says when, the task's ``default_retry_delay`` without
                them; ``exc`` why, and is raised when no retries are left; ``max_retries`` how many there may be, the
                task's own number without it.

        Raises:
            celery.exceptions.Retry: Always; do not catch it.
            OptionError: If an option is unknown or has a wrong type.
        """
        here = _here()
        given = {
            name: value for name, value in options.items() if value is not None
        }  # None is Celery's word for not given
        raise RetryRequested.of(check_options(RetryOptions, given, f"TaskContext.retry of {here.task.name}"))

    async def progress(self, payload: object = None, *, state: str = PROGRESS) -> None:
        """Store how far the task is, where ``AsyncResult.state`` and ``AsyncResult.info`` show it.

        Args:
            payload: Anything that pydantic turns into JSON.
            state: Name of the state.

        Raises:
            ExecutionError: If the task has ended.
        """
        here = _here()
        if here.run is not None and here.run.ended:
            raise ExecutionError(
                f"{here.label} has ended and has its result: await in the body what reports its progress"
            )
        meta = to_jsonable_python(payload)
        here.has_reported = True
        future = submit(here.task.backend.store_result, here.request.id or "", meta, state, request=here.request)
        here.pending.append(future)
        # Shielded: a store that has begun ends before the result is stored, whatever cancels the body.
        await asyncio.shield(asyncio.wrap_future(future))
        here.pending.remove(future)

    def __repr__(self) -> str:
        """Return the values it has now."""
        here = current_execution()
        return f"<TaskContext of {here.label}>" if here is not None else "<TaskContext outside a task>"


def _here() -> Execution:
    here = current_execution()
    if here is None:
        raise ExecutionError(
            "TaskContext describes a running task, and none runs here: use it in a task's method, not in a constructor, and "
            "pass on its values where the code outlives the task"
        )
    return here


def _left_of_limits(here: Execution) -> timedelta | None:
    limits = [limit for limit in _limits(here) if limit is not None]
    if not limits:
        return None
    return max(timedelta(0), min(limits) - timedelta(seconds=monotonic() - here.began))


def _limits(here: Execution) -> tuple[timedelta | None, timedelta | None]:
    run = here.run
    if run is not None and run.time_limits is not None:
        return run.time_limits
    task, conf = here.task, here.task.app.conf
    hard, soft = here.request.timelimit or (None, None)
    return (
        _duration(hard or task.time_limit or conf.task_time_limit),
        _duration(soft or task.soft_time_limit or conf.task_soft_time_limit),
    )


def _duration(seconds: float | None) -> timedelta | None:
    return timedelta(seconds=seconds) if seconds else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _time(value: object) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(str(value))
