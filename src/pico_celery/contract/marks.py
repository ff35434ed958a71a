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
    """What ``@task`` says about a method."""

    task: TaskDefinition | str
    """The task's definition where it was given by reference, its name where it was given as a string."""
    options: Mapping[str, Any]
    """Celery task options, checked."""

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.task if isinstance(self.task, str) else self.task.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What the decorators say about one object."""

    options: Mapping[str, Any] | None = None
    """Options of ``@task_options`` on a contract's method."""
    definition: TaskDefinition | None = None
    """The task that a contract's method declares."""
    contract: ContractDefinition | None = None
    """The contract that a class declares."""
    implementation: Implementation | None = None
    """The task that a component's method implements."""


_NONE = Marks()


def marks_of(obj: object) -> Marks:
    """Return what the decorators said about an object."""
    found = vars(obj).get(_ATTRIBUTE, _NONE) if isinstance(obj, type) else getattr(obj, _ATTRIBUTE, _NONE)
    return found if isinstance(found, Marks) else _NONE


def mark(obj: object, **changes: Any) -> None:
    """Add to what the decorators said about an object."""
    setattr(obj, _ATTRIBUTE, replace(marks_of(obj), **changes))
