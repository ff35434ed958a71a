"""Senders: a contract's task as an attribute of a client class."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any, Final, ParamSpec, Self, TypeVar, overload

from celery import Celery

from pico_celery.client.bound_sender import BoundSender
from pico_celery.client.canvas.signature_mixin import SignatureMixin
from pico_celery.client.options import contract_send_options, merge_options
from pico_celery.contract.catalog import Catalog
from pico_celery.contract.compiler import imply_task
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.deprecation import warn_of_old_name
from pico_celery.contract.signature import location_of
from pico_celery.errors import UnboundClientError

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)
APP_ATTRIBUTE: Final = "__pico_celery_app__"


class TaskSender(SignatureMixin[P, R_co]):
    """A task as an attribute of a client class; on an instance it is a `BoundSender`.

    Args:
        task: The definition, or the name where the task is given as a string.
        options: Checked options of all its calls.
        method: The method that declares name and signature, where the task is given as a string.
    """

    def __init__(
        self, task: TaskDefinition | str, options: Mapping[str, object], method: Callable[..., object] | None = None
    ) -> None:
        self.name: Final = task if isinstance(task, str) else task.name
        self.method: Final = method
        self.attribute = method.__name__ if method else ""
        self.__doc__ = method.__doc__ if method else getattr(task, "doc", "")
        self._given = options
        self._definition = None if isinstance(task, str) else task
        self._options: Mapping[str, Any] | None = None
        self._checked_against: TaskDefinition | None = None

    def __set_name__(self, owner: type[object], name: str) -> None:
        """Learn the attribute's name."""
        self.attribute = name

    @overload
    def __get__(self, instance: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any]) -> BoundSender[P, R_co]: ...
    def __get__(self, instance: object | None, owner: type[object]) -> Self | BoundSender[P, R_co]:
        """Return the sender itself on the class, the call on an instance."""
        if instance is None:
            return self
        app = getattr(instance, APP_ATTRIBUTE, None)
        if app is None:
            raise _unbound(owner, self)
        return BoundSender(app, self.definition, self._merged_options())

    @property
    def where(self) -> str:
        """``file:line`` of the declaration."""
        return location_of(self.method) if self.method else self.definition.where

    @property
    def definition(self) -> TaskDefinition:
        """The task; where no contract declares the name, what the method's own signature says."""
        if self._definition is None:
            if self.method is None:
                raise UnboundClientError(f"the sender of {self.name!r} decorates no method", {"task": self.name})
            return imply_and_keep(self)
        return self._definition

    @property
    def resolved(self) -> bool:
        """Whether a contract declares the task, as far as it is known yet."""
        return self._definition is not None and self._definition.declared

    @property
    def options(self) -> Mapping[str, object]:
        """Options of all its calls, with those of the contract; durations in seconds."""
        return self._merged_options()

    def _resolve(self, catalog: Catalog) -> TaskDefinition | None:
        """Look the name up, once a contract declares it."""
        if not self.resolved:
            found = catalog.get(self.name)
            if found is not None:
                if found.name != self.name and self.method is not None:
                    warn_of_old_name(self.name, found, self.method)
                self._definition, self._options = found, None
        return self._definition if self.resolved else None

    def _keep(self, definition: TaskDefinition) -> None:
        """Send by this definition from now on."""
        self._definition, self._options = definition, None

    @property
    def _task(self) -> TaskDefinition:
        return self.definition

    def _sent_with(self) -> tuple[Celery | None, Mapping[str, object]]:
        return None, self._merged_options()

    def _merged_options(self) -> Mapping[str, object]:
        if self._options is None:
            self._options = merge_options(contract_send_options(self.definition), self._given)
        return self._options


def _unbound(owner: type[object], sender: TaskSender[..., object]) -> UnboundClientError:
    name = owner.__name__
    parameters = inspect.signature(owner).parameters.values()
    app = next((parameter for parameter in parameters if parameter.annotation in {Celery, "Celery"}), None)
    call = f"{name}({app.name}=app)" if app is not None else f"{name}(app)"
    return UnboundClientError(
        f"{name}.{sender.attribute} cannot send {sender.name!r}: this {name} has no Celery application; "
        f"take it from the container, or build it with one: {call}",
        {"client": owner.__qualname__, "task": sender.name},
    )


def imply_and_keep(sender: TaskSender[..., object]) -> TaskDefinition:
    """Take the signature of a sender's method for the contract."""
    assert sender.method is not None  # noqa: S101 - for the type checker: by-name senders have one
    definition = imply_task(_without_result(sender.method), sender.name)
    sender._keep(definition)
    return definition


def _without_result(method: Callable[..., object]) -> Callable[..., object]:
    def declaration(self: object, *args: object, **kwargs: object) -> None: ...

    update_wrapper(declaration, method)
    signature = inspect.signature(method).replace(return_annotation=inspect.Signature.empty)
    declaration.__signature__ = signature  # type: ignore[attr-defined]  # what inspect.signature reads first
    return declaration
