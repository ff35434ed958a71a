"""What a sender makes of its call without sending it: signatures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Generic, ParamSpec, TypeVar, overload

from celery import Celery

from pico_celery.client.canvas.flow import Flow, parallel
from pico_celery.client.canvas.fork import GroupSignature
from pico_celery.client.canvas.kinds import made
from pico_celery.client.canvas.partial import PartialSignature
from pico_celery.client.canvas.step import Step
from pico_celery.client.canvas.typed import TakesFirst, TakesMore
from pico_celery.client.canvas.workflow import ImmutableSignature, TaskSignature
from pico_celery.client.sending import message_options
from pico_celery.contract.definition import TaskDefinition
from pico_celery.messaging.calls import EncodedCall, encode_call
from pico_celery.messaging.partials import encode_rest, first_parameter

P = ParamSpec("P")
Q = ParamSpec("Q")
A = TypeVar("A")
T = TypeVar("T")
R_co = TypeVar("R_co", covariant=True)


class SignatureMaker(Generic[P, R_co]):
    """A sender, as far as it makes signatures."""

    __slots__ = ()

    @property
    @abstractmethod
    def _task(self) -> TaskDefinition:
        """The task."""

    @abstractmethod
    def _sent_with(self) -> tuple[Celery | None, Mapping[str, Any]]:
        """Return the application, where there is one, and the options of the call."""

    @overload
    def s(self, *args: P.args, **kwargs: P.kwargs) -> TaskSignature[R_co]: ...  # type: ignore[overload-overlap]  # nothing at all is complete where nothing is needed
    @overload
    def s(self: TakesFirst[A, T]) -> PartialSignature[A, T]: ...
    def s(self, *args: Any, **kwargs: Any) -> Any:
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
        first = first_parameter(self._task)
        if not args and not kwargs and first is not None and first.required:
            return self._partial(args, kwargs)
        return self._complete(args, kwargs, immutable=False)

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
        signature: ImmutableSignature[R_co] = self._complete(args, kwargs, immutable=True)
        return signature

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
        maker: Any = self
        part: PartialSignature[A, T] = maker._partial(args, kwargs)  # noqa: SLF001 - its own
        return part

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
        maker: Any = self
        flows = [maker._call((item, *args), kwargs) for item in items]  # noqa: SLF001 - its own
        app, _ = maker._sent_with()  # noqa: SLF001 - its own
        signature: GroupSignature[T] = made(replace(parallel(flows, named=False), app=app))
        return signature

    def _complete(self, args: Any, kwargs: Mapping[str, Any], *, immutable: bool) -> Any:
        return made(self._call(args, kwargs, immutable=immutable))

    def _call(self, args: Any, kwargs: Mapping[str, Any], *, immutable: bool = False) -> Flow:
        app, step = self._step(encode_call(self._task, args, kwargs), immutable=immutable)
        return Flow(steps=(step,), immutable=immutable, ends=(self._task,), app=app)

    def _partial(self, args: Any, kwargs: Mapping[str, Any]) -> Any:
        task = self._task
        app, step = self._step(encode_rest(task, args, kwargs), immutable=False)
        return made(Flow(steps=(step,), heads=(task,), partial=True, ends=(task,), app=app))

    def _step(self, call: EncodedCall, *, immutable: bool) -> tuple[Celery | None, Step[Any]]:
        app, options = self._sent_with()
        chosen = message_options(self._task, options)
        return app, Step(self._task, call, chosen, immutable=immutable, app=app)
