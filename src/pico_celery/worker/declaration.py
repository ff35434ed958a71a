"""``@task``, which makes an async method the implementation of a task, and its options, which are Celery's, typed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from types import CoroutineType, MappingProxyType, MethodType
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeVar, Unpack, overload

from typing_extensions import TypedDict

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.marks import Implementation, mark, marks_of
from pico_celery.contract.options import EXECUTING, SENDING, Duration, Priority, check_options, refuse_second_policy
from pico_celery.contract.retry_policy import RetryPolicy
from pico_celery.contract.signature import caller_location, location_of
from pico_celery.errors import DeadlineExceeded, DecoratorError, Fault
from pico_celery.worker.failures import retry_attributes

P = ParamSpec("P")
R = TypeVar("R")
_Method = TypeVar("_Method", bound=Callable[..., Coroutine[Any, Any, Any]])
Exceptions = tuple[type[BaseException], ...] | list[type[BaseException]]


class ImplementationOptions(TypedDict, total=False):
    """Options of ``@task``: how this implementation is executed.

    Source: https://docs.celeryq.dev/en/stable/userguide/tasks.html#list-of-options
    """

    retries: RetryPolicy
    max_retries: int | None
    default_retry_delay: Duration
    autoretry_for: Exceptions
    dont_autoretry_for: Exceptions
    retry_kwargs: dict[str, Any]
    retry_backoff: bool | Duration
    retry_backoff_max: Duration
    retry_jitter: bool
    rate_limit: str | int | float
    time_limit: Duration
    soft_time_limit: Duration
    acks_late: bool
    acks_on_failure: bool
    acks_on_timeout: bool
    acks_on_failure_or_timeout: bool
    reject_on_worker_lost: bool
    retry_on_worker_lost: bool
    ignore_result: bool
    store_errors_even_if_ignored: bool
    track_started: bool
    trail: bool
    send_events: bool
    throws: Exceptions
    resultrepr_maxsize: int
    queue: str
    exchange: str
    routing_key: str
    priority: Priority
    expires: Duration
    compression: str
    delivery_mode: Literal[1, 2, "transient", "persistent"]


_ADVICE: Final = {
    "bind": "leave it out: the method's self is the component; take celery.current_task for the task",
    "base": "leave it out: the task's class is the library's",
    "serializer": "leave it out: the wire is JSON",
    "pydantic": "leave it out: every payload is validated",
    "typing": "leave it out: every call is checked",
    "name": "give it as the first argument of @task",
    "countdown": "give it to with_options of the call",
    "eta": "give it to with_options of the call",
    "timeout": "give it to @task_options of the contract, or with_options of the call: it counts from the call",
    "key": "give it to @task_options of the contract",
}


def check_implementation_options(options: Mapping[str, object], subject: str, where: str) -> dict[str, Any]:
    """Check the options of ``@task``."""
    checked = check_options(ImplementationOptions, options, subject, where=where, advice=_ADVICE)
    refuse_second_policy(checked, subject, where)
    return checked


# Celery deprecates routing as an attribute of a task; `sending_options` gives it to the calls of the task instead.
_SENDING_ONLY: Final = SENDING - EXECUTING


def sending_options(definition: TaskDefinition, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with which a registered task is sent, as ``task.delay()`` sends it."""
    return {name: value for name, value in {**definition.options, **options}.items() if name in _SENDING_ONLY}


def task_attributes(definition: TaskDefinition, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of the Celery task, from the contract and its implementation."""
    attributes = {name: value for name, value in definition.options.items() if name in EXECUTING}
    if definition.options.get("idempotent"):
        attributes.update(acks_late=True, reject_on_worker_lost=True)
    attributes.update({name: value for name, value in options.items() if name not in _SENDING_ONLY})
    attributes.pop("retries", None)
    attributes["stores_ignored_errors"] = attributes.pop("store_errors_even_if_ignored", None)
    attributes.update(retry_attributes(definition, options))
    # Under load many calls come too late: each is one line of the log, without a traceback.
    attributes["throws"] = (*attributes.get("throws", ()), DeadlineExceeded)
    if "autoretry_for" in attributes:
        attributes["autoretry_for"] = tuple(attributes["autoretry_for"])
    return attributes


@overload
def task(
    task: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]], /, **options: Unpack[ImplementationOptions]
) -> Callable[
    [Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]], Callable[Concatenate[Any, P], CoroutineType[Any, Any, R]]
]: ...
@overload
def task(name: str, /, **options: Unpack[ImplementationOptions]) -> Callable[[_Method], _Method]: ...
@overload
def task(*, name: str, **options: Unpack[ImplementationOptions]) -> Callable[[_Method], _Method]: ...
def task(
    task: Callable[..., object] | str | None = None, /, *, name: str | None = None, **options: object
) -> Callable[[Any], Any]:
    """Make an ``async def`` method of a component the implementation of a task.

    By reference (``@task(Orders.place)``) type checkers compare the method with the contract; by name
    (``@task("orders.place")``) it is compared when the container starts, as it is in both cases.

    Args:
        task: The contract's method, or the name of a task.
        name: The name of a task, as a keyword.
        **options: See `ImplementationOptions`; they win over those of the contract.

    Returns:
        A decorator that returns the method itself.

    Raises:
        DecoratorError: If the method is not ``async def``, or the reference belongs to no contract.
        OptionError: If an option is unknown or has a wrong type.
    """
    where = caller_location()
    given = _task_given(name if task is None else task, where)
    subject = given if isinstance(given, str) else given.name
    checked = check_implementation_options(options, f"task({subject})", where)

    def decorate(method: _Method) -> _Method:
        if not inspect.isfunction(method) or not inspect.iscoroutinefunction(inspect.unwrap(method)):
            raise DecoratorError.of(subject, [_not_async(subject, method)])
        mark(method, implementation=Implementation(task=given, options=MappingProxyType(checked)))
        return method

    return decorate


def _task_given(task: object, where: str) -> TaskDefinition | str:
    if isinstance(task, str) and task:
        return task
    definition = None if isinstance(task, MethodType) else marks_of(task).definition
    if definition is not None:
        return definition
    name = getattr(task, "__qualname__", repr(task))
    fault = Fault(
        task="task",
        expected="a contract's method, such as Orders.place, or a task name",
        got=name,
        remedy="write @task(Orders.place), where Orders is a @contract class, or @task('orders.place')",
        where=(where,),
        code="not_a_contract_method",
    )
    raise DecoratorError.of("task", [fault])


def _not_async(subject: str, method: object) -> Fault:
    name = getattr(method, "__qualname__", repr(method))
    got = "an async generator" if inspect.isasyncgenfunction(method) else "def"
    return Fault(
        task=subject,
        path=name,
        expected="an async def method",
        got=got if inspect.isfunction(method) else repr(method),
        remedy="write async def; call blocking code with asyncio.to_thread",
        where=(location_of(method),) if callable(method) else (),
        code="not_async",
    )
