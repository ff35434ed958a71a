"""The one attribute in which this library keeps what its decorators say about a function or class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pico_celery.contract.definition import ContractDefinition, TaskDefinition

_ATTRIBUTE = "__pico_celery__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Implementation:
    """What ``@task`` says about a method.

    Attributes:
        task: The task's definition where it was given by reference, its name where it was given as a string.
        options: Celery task options, checked.
    """

    task: TaskDefinition | str
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.task if isinstance(self.task, str) else self.task.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What the decorators say about one object.

    Attributes:
        options: Options of ``@task_options`` on a contract's method.
        definition: The task that a contract's method declares.
        contract: The contract that a class declares.
        implementation: The task that a component's method implements.
    """

    options: Mapping[str, Any] | None = None
    definition: TaskDefinition | None = None
    contract: ContractDefinition | None = None
    implementation: Implementation | None = None


_NONE = Marks()


def marks_of(obj: object) -> Marks:
    """Return what the decorators said about an object.

    Args:
        obj: Any object. A class has only marks of its own, not those of its bases.

    Returns:
        The marks, empty where no decorator was used.
    """
    found = vars(obj).get(_ATTRIBUTE, _NONE) if isinstance(obj, type) else getattr(obj, _ATTRIBUTE, _NONE)
    return found if isinstance(found, Marks) else _NONE


def mark(obj: object, **changes: Any) -> None:
    """Add to what the decorators said about an object.

    Args:
        obj: A function or class.
        **changes: Attributes of `Marks`.
    """
    setattr(obj, _ATTRIBUTE, replace(marks_of(obj), **changes))
