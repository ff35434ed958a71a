"""``@task``: an async method of a component implements a task."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from types import CoroutineType, MappingProxyType, MethodType
from typing import Any, Concatenate, ParamSpec, TypeVar, Unpack, overload

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.marks import Implementation, mark, marks_of
from pico_celery.contract.signature import caller_location, location_of
from pico_celery.errors import DecoratorError, Fault
from pico_celery.worker.options import ImplementationOptions, check_implementation_options

P = ParamSpec("P")
R = TypeVar("R")
_Method = TypeVar("_Method", bound=Callable[..., Coroutine[Any, Any, Any]])


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
    task: Callable[..., Any] | str | None = None, /, *, name: str | None = None, **options: Any
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

    def decorate(method: Any) -> Any:
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
