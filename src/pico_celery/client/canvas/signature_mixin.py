"""The methods of a sender that make signatures instead of sending: `s`, `si`, `partial` and `map`.

Canvas is imported when the first signature is made, not with every client.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Generic, ParamSpec, TypeVar, cast, overload

from celery import Celery

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.deprecation import warn_if_deprecated

if TYPE_CHECKING:
    from pico_celery.client.canvas.signatures import (
        GroupSignature,
        ImmutableSignature,
        PartialSignature,
        TakesFirst,
        TakesMore,
        TaskSignature,
    )

P = ParamSpec("P")
Q = ParamSpec("Q")
A = TypeVar("A")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class SignatureMixin(Generic[P, R_co]):
    """What a sender needs to make signatures of its task."""

    __slots__ = ()

    @property
    @abstractmethod
    def _task(self) -> TaskDefinition:
        """The task."""

    @abstractmethod
    def _sent_with(self) -> tuple[Celery | None, Mapping[str, object]]:
        """Return the application, where there is one, and the options of the call."""

    @overload
    def s(self, *args: P.args, **kwargs: P.kwargs) -> TaskSignature[R_co]: ...  # type: ignore[overload-overlap]  # nothing at all is complete where nothing is needed
    @overload
    def s(self: TakesFirst[A, T]) -> PartialSignature[A, T]: ...
    def s(self, *args: object, **kwargs: object) -> object:
        """Validate the arguments of a call, and return it as a signature, which can be joined and sent.

        Args:
            *args: As the contract says.
            **kwargs: As the contract says. Without any argument, where the task needs its first one, it is left for the
                result of the task before it: ``first.s(...) | second.s()``.

        Returns:
            A signature of Celery's, with the types of the contract.

        Raises:
            PayloadError: If the arguments do not fit the contract.
        """
        from pico_celery.client.canvas.building import call_or_partial  # noqa: PLC0415 - see the module's docstring

        task, sent_with = _task_of(self)
        return call_or_partial(task, args, kwargs, sent_with)

    def si(self, *args: P.args, **kwargs: P.kwargs) -> ImmutableSignature[R_co]:
        """Validate the arguments of a call, and return it as a signature that ignores the result of a task before it.

        Args:
            *args: As the contract says.
            **kwargs: As the contract says.

        Returns:
            A signature of Celery's, with the types of the contract.

        Raises:
            PayloadError: If the arguments do not fit the contract.
        """
        from pico_celery.client.canvas.building import complete_call  # noqa: PLC0415 - see the module's docstring

        task, sent_with = _task_of(self)
        return cast("ImmutableSignature[R_co]", complete_call(task, args, kwargs, sent_with, immutable=True))

    def partial(self: TakesMore[A, Q, T], *args: Q.args, **kwargs: Q.kwargs) -> PartialSignature[A, T]:
        """Validate all arguments of a call but the first, which the result of the task before it will be.

        Args:
            *args: From the second parameter on.
            **kwargs: Any parameters but the first.

        Returns:
            A signature of Celery's that has its place after another one.

        Raises:
            PayloadError: If the arguments do not fit the contract.
            CompositionError: If the task has no parameter that takes a result.
        """
        from pico_celery.client.canvas.building import partial_call  # noqa: PLC0415 - see the module's docstring

        task, sent_with = _task_of(self)
        return cast("PartialSignature[A, T]", partial_call(task, args, kwargs, sent_with))

    def map(self: TakesMore[A, Q, T], items: Iterable[A], /, *args: Q.args, **kwargs: Q.kwargs) -> GroupSignature[T]:
        """Validate one call for each item, and return them as a group.

        Args:
            items: First arguments.
            *args: The other arguments, the same for each call.
            **kwargs: The other arguments, the same for each call.

        Returns:
            The group, in the order of the items.

        Raises:
            PayloadError: If the arguments of a call do not fit the contract; nothing is sent then.
        """
        from pico_celery.client.canvas.building import mapped_calls  # noqa: PLC0415 - see the module's docstring

        task, sent_with = _task_of(self)
        return cast("GroupSignature[T]", mapped_calls(task, items, args, kwargs, sent_with))


def _task_of(sender: object) -> tuple[TaskDefinition, tuple[Celery | None, Mapping[str, object]]]:
    """Return the task of a sender and what it sends with; warn the caller of the public method if it is deprecated."""
    mixin = cast("SignatureMixin[..., object]", sender)
    warn_if_deprecated(mixin._task)
    return mixin._task, mixin._sent_with()
