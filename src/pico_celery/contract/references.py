"""References to tasks: the methods of contracts that users name."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.marks import marks_of
from pico_celery.errors import DecoratorError, Fault


def declared(task: Callable[..., Any] | str, user: str) -> TaskDefinition:
    """Return the definition of a contract's method.

    Args:
        task: The method, taken from the contract's class; a name is none.
        user: Who asks, for the message.

    Returns:
        The definition.

    Raises:
        DecoratorError: If no contract declares it.
    """
    definition = marks_of(task).definition
    if definition is None or isinstance(task, MethodType):
        name = getattr(task, "__qualname__", repr(task))
        fault = Fault(
            task=user,
            expected="a method of a contract, such as Orders.place",
            got=name,
            remedy=_remedy(task, name),
            code="not_a_contract_method",
        )
        raise DecoratorError.of(user, [fault])
    return definition


def _remedy(task: Callable[..., Any] | str, name: str) -> str:
    if isinstance(task, str):
        return "name the method itself, not the task: it is checked by types then"
    if isinstance(task, MethodType):
        return "take the method from the contract's class, not from an instance"
    implementation = marks_of(task).implementation
    if implementation is not None:
        return f"this is an implementation of {implementation.name}: take the method of its contract"
    return f"decorate {name.rsplit('.', 1)[0]} with @contract" if "." in name else "take the method of a contract"
