"""`Workflow` and its kin: signatures with the types of what they take and return.

A signature is complete (`Workflow`: it can be sent) or needs the result of a task before it (`PartialSignature`). Its
result is one value, or those of a group (`Fork`, `GroupSignature`; `PartialGroup`). Each is a signature of Celery's too,
of the class that Celery has for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Generic, Never, ParamSpec, Protocol, Self, Unpack, overload

from celery.canvas import Signature
from typing_extensions import TypeVar

from pico_celery.client.canvas.checks import (
    accepts,
    as_callback,
    as_errback,
    check_joinable,
    checked_options,
    require_app,
    set_options,
)
from pico_celery.client.canvas.flow import Flow, join
from pico_celery.client.canvas.group_result import GroupResult, S_co, T_co, typed_group, typed_result
from pico_celery.client.canvas.step import CopiedSignature, Step, step_of
from pico_celery.client.offload import offload
from pico_celery.client.options import SendOptions, merge_options
from pico_celery.client.result import AsyncResult, EagerAsyncResult
from pico_celery.client.sending import Outgoing, publish
from pico_celery.errors import CompositionError, Fault
from pico_celery.messaging.calls import EncodedCall
from pico_celery.messaging.results import decode_result

Q = ParamSpec("Q")
A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
T = TypeVar("T")


class TakesFirst(Protocol[A_contra, R_co]):
    """A sender whose call may have its first argument alone."""

    def si(self, first: A_contra, /) -> ImmutableSignature[R_co]:
        """Return the call."""
        ...


class TakesMore(Protocol[A_contra, Q, R_co]):
    """A sender, its first argument apart from the others."""

    def si(self, first: A_contra, /, *args: Q.args, **kwargs: Q.kwargs) -> ImmutableSignature[R_co]:
        """Return the call."""
        ...


class TypedSignature(CopiedSignature[R_co]):
    """Whatever has a place in a workflow."""

    _flow: Flow

    @property
    def flow(self) -> Flow:
        """What it is made of, as it is now: links may have been added to it."""
        app = self._flow.app or self.bound_app
        unchain: Any = getattr(self, "unchain_tasks", None)
        return replace(self._flow, steps=(self.plain(),) if unchain is None else tuple(unchain()), app=app)

    def __ror__(self, other: Never, /) -> Any:  # type: ignore[override]  # a signature is a dict, whose own | would merge
        """Put this after one of Celery's signatures, as Celery does; nothing else can stand there."""
        return _after(other, self)


class GroupMember(Generic[T_co]):
    """What a group may have as a member: a workflow with one result, or a group of results of that type."""


class Workflow(GroupMember[R_co], TypedSignature[R_co]):
    """A complete workflow with one result: a call, a chain, a chord."""

    @overload  # type: ignore[override]  # Celery's takes every signature
    def __or__(self, other: PartialSignature[R_co, T] | ImmutableSignature[T], /) -> Workflow[T]: ...
    @overload
    def __or__(self, other: PartialGroup[R_co, T, S], /) -> Fork[T, S]: ...
    def __or__(self, other: Any, /) -> Any:
        """Put a task, or a group, after this workflow; it takes its result.

        Args:
            other: A signature that needs a result before it, or one that ignores it (``.si(...)``).

        Returns:
            The longer workflow.

        Raises:
            CompositionError: If the result does not fit the parameter that takes it.
        """
        return joined(self, other)

    def then(self, sender: TakesMore[R_co, Q, T], /, *args: Q.args, **kwargs: Q.kwargs) -> Workflow[T]:
        """Put a call after this workflow, which takes its result as the first argument.

        Args:
            sender: A sender of a client, such as ``client.ship``.
            *args: Its other arguments.
            **kwargs: Its other arguments.

        Returns:
            The longer workflow.

        Raises:
            CompositionError: If the result does not fit the parameter that takes it.
            PayloadError: If the other arguments do not fit the contract.
        """
        following: Any = sender
        workflow: Workflow[T] = joined(self, following.partial(*args, **kwargs))
        return workflow

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Unpack[SendOptions]) -> AsyncResult[R_co]:  # type: ignore[override]  # Celery's options, typed
        """Send the workflow.

        Args:
            args: Celery's own parts pass them; a complete workflow needs none.
            kwargs: As ``args``.
            **options: See `SendOptions`, with Celery's meaning for the kind of workflow: what is said of a chain holds
                for its first task.

        Returns:
            The result of the last task; ``parent`` leads to those before it.

        Raises:
            CompositionError: If the result backend cannot join the results of a group.
            OptionError: If an option is unknown or has a wrong type.
            UnboundClientError: If it was made from a client's class, which has no application.
            kombu.exceptions.OperationalError: If the broker cannot be reached.
        """
        app = require_app(self)
        check_joinable(self.flow, app)
        # A copy: Celery's chain keeps the id of its last task, so that it could be sent only once.
        plain: Any = self.plain().apply_async(args, kwargs, **checked_options(options, self.flow.name))
        return typed_result(plain, self.flow.ends[0], app)

    def delay(self, *args: Any, **kwargs: Any) -> AsyncResult[R_co]:
        """Send the workflow, as `apply_async` does without options."""
        return self.apply_async(args, kwargs)

    async def send(self, **options: Unpack[SendOptions]) -> AsyncResult[R_co]:
        """Send the workflow without blocking the event loop; inside a task too.

        Args:
            **options: As `apply_async`.

        Returns:
            The result of the last task, when the broker has the first message; ``await`` it in its turn.

        Raises:
            Exception: As `apply_async`.
        """
        return await offload(lambda: self.apply_async(**options))

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """Run the workflow here and now, as Celery does where the tasks are registered."""
        plain = super().apply(*args, **kwargs)
        return typed_result(plain, self.flow.ends[0], require_app(self))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what Celery does: run a call here and now, send a chain or a chord."""
        outcome = super().__call__(*args, **kwargs)
        return typed_result(outcome, self.flow.ends[0], require_app(self))

    def link(self, callback: PartialSignature[R_co, Any] | ImmutableSignature[Any]) -> Any:  # type: ignore[override]  # Celery's takes everything
        """Have a call sent with the result, when the last task has succeeded.

        Args:
            callback: A signature that takes the result, or ignores it.

        Returns:
            The callback.

        Raises:
            CompositionError: If the result does not fit the callback.
        """
        super().link(as_callback(self, callback))
        return callback

    def link_error(self, errback: PartialSignature[str, Any] | ImmutableSignature[Any]) -> Any:  # type: ignore[override]  # as link
        """Have a call sent with the id of a task of the workflow that has failed.

        Args:
            errback: A signature that takes a task's id, or ignores it.

        Returns:
            The errback.

        Raises:
            CompositionError: If it does not take a text.
        """
        super().link_error(as_errback(self, errback))
        return errback


class TaskSignature(Workflow[R_co], Step[R_co]):
    """One call with all its arguments, validated."""

    @property
    def flow(self) -> Flow:
        """What it is made of, as it is now."""
        return Flow(steps=(step_of(self),), immutable=self.immutable, ends=(self.definition,), app=self.bound_app)

    def set(self, immutable: bool | None = None, **options: Unpack[SendOptions]) -> Self:  # type: ignore[override]  # Celery's options, typed
        """Change the options of the call, in place.

        Args:
            immutable: As Celery's: whether the result of a task before it is ignored.
            **options: See `SendOptions`; they win over those that it has.

        Returns:
            The signature itself.

        Raises:
            OptionError: If an option is unknown or has a wrong type.
        """
        return set_options(self, immutable, options)

    def with_options(self, **options: Unpack[SendOptions]) -> Self:
        """Return the same call with other options.

        Args:
            **options: See `SendOptions`; they win over those that it has.

        Returns:
            A new signature.

        Raises:
            OptionError: If an option is unknown or has a wrong type.
        """
        return self.clone().set(**options)

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Unpack[SendOptions]) -> AsyncResult[R_co]:  # type: ignore[override]  # Celery's options, typed
        """Send the call.

        Args:
            args: Celery's own parts pass them; a complete call needs none.
            kwargs: As ``args``.
            **options: See `SendOptions`; they win over those that the signature has.

        Returns:
            The typed result.

        Raises:
            OptionError: If an option is unknown or has a wrong type.
            UnboundClientError: If it was made from a client's class, which has no application.
            kombu.exceptions.OperationalError: If the broker cannot be reached.
        """
        if args or kwargs:  # only for Celery, which knows what it does
            return super().apply_async(args, kwargs, **options)
        app = require_app(self)
        own = {name: value for name, value in self.options.items() if name not in {"argsrepr", "kwargsrepr"}}
        chosen = merge_options(own, checked_options(options, self.definition.name))
        if "group_id" in own:  # Celery's rule: a member stays in its group
            chosen["group_id"] = own["group_id"]
        call = EncodedCall(tuple(self.args), self.kwargs, self.call.argsrepr, self.call.kwargsrepr)
        return publish(app, Outgoing(definition=self.definition, call=call, options=chosen))

    def apply(self, *args: Any, **kwargs: Any) -> EagerAsyncResult[R_co]:
        """Run the call here and now, as Celery does where the task is registered."""
        return EagerAsyncResult(Step.apply(self, *args, **kwargs), self.definition)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the call here and now, as Celery does where the task is registered, and return its typed value."""
        return decode_result(self.definition, Step.__call__(self, *args, **kwargs))


class ImmutableSignature(TaskSignature[R_co]):
    """One call with all its arguments that ignores the result of a task before it: ``.si(...)``."""


class PartialSignature(TypedSignature[R_co], Generic[A_contra, R_co]):
    """A call, or a workflow that begins with one, that needs the result of a task before it."""

    @overload  # type: ignore[override]  # as Workflow
    def __or__(self, other: PartialSignature[R_co, T] | ImmutableSignature[T], /) -> PartialSignature[A_contra, T]: ...
    @overload
    def __or__(self, other: PartialGroup[R_co, T, S], /) -> PartialGroup[A_contra, T, S]: ...
    def __or__(self, other: Any, /) -> Any:
        """Put a task, or a group, after this part; it takes its result.

        Args:
            other: As `Workflow.__or__`.

        Returns:
            The longer part.

        Raises:
            CompositionError: If the result does not fit the parameter that takes it.
        """
        return joined(self, other)

    def accepts(self, first: A_contra, /) -> bool:
        """Tell whether a value can be what the task before it returns.

        Args:
            first: The value.

        Returns:
            Whether the parameter that takes it accepts it.
        """
        return accepts(self.flow.heads, first)

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:  # type: ignore[override]  # as Workflow
        """Refuse to be sent alone; Celery's own parts, which have the result, send it."""
        return super().apply_async(_needed(self, args), kwargs, **options)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse to be sent alone, as `apply_async` does."""
        return self.apply_async(args, kwargs)


class PartialTask(PartialSignature[A_contra, R_co], Step[R_co]):
    """A call without its first argument."""

    @property
    def flow(self) -> Flow:
        """What it is made of, as it is now."""
        task = self.definition
        return Flow(steps=(step_of(self),), heads=(task,), partial=True, ends=(task,), app=self.bound_app)

    def set(self, immutable: bool | None = None, **options: Unpack[SendOptions]) -> Self:  # type: ignore[override]  # Celery's options, typed
        """Change the options of the call, in place, as `TaskSignature.set` does."""
        return set_options(self, immutable, options)


class Fork(TypedSignature[S_co], Generic[T_co, S_co]):
    """A complete workflow that ends in a group: its result is those of the members."""

    def __or__(  # type: ignore[override]  # as Workflow
        self, other: PartialSignature[S_co, T] | PartialSignature[list[T_co], T] | ImmutableSignature[T], /
    ) -> Workflow[T]:
        """Put a task after the group, which takes all results at once: a chord.

        Args:
            other: A signature whose first parameter takes the list (or the tuple), or one that ignores it.

        Returns:
            The longer workflow.

        Raises:
            CompositionError: If the results do not fit the parameter that takes them.
        """
        workflow: Workflow[T] = joined(self, other)
        return workflow

    def apply_async(  # type: ignore[override]  # as Workflow
        self, args: Any = None, kwargs: Any = None, **options: Unpack[SendOptions]
    ) -> GroupResult[T_co, S_co]:
        """Send the workflow.

        Args:
            args: Celery's own parts pass them.
            kwargs: As ``args``.
            **options: See `SendOptions`; those of a group hold for each member.

        Returns:
            The results of the members.

        Raises:
            Exception: As `Workflow.apply_async`.
        """
        app = require_app(self)
        check_joinable(self.flow, app)
        plain: Any = self.plain().apply_async(args, kwargs, **checked_options(options, self.flow.name))
        return typed_group(plain, self._flow.ends, app, named=self._flow.named)

    def delay(self, *args: Any, **kwargs: Any) -> GroupResult[T_co, S_co]:  # type: ignore[override]  # as apply_async
        """Send the workflow, as `apply_async` does without options."""
        return self.apply_async(args, kwargs)

    async def send(self, **options: Unpack[SendOptions]) -> GroupResult[T_co, S_co]:
        """Send the workflow without blocking the event loop; inside a task too.

        Args:
            **options: As `apply_async`.

        Returns:
            The results of the members, when the broker has the messages.

        Raises:
            Exception: As `Workflow.apply_async`.
        """
        return await offload(lambda: self.apply_async(**options))

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """Run the workflow here and now, as Celery does where the tasks are registered."""
        plain = super().apply(*args, **kwargs)
        return typed_group(plain, self._flow.ends, require_app(self), named=self._flow.named)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Send the workflow, as Celery does."""
        return self.apply_async(args, kwargs)


class GroupSignature(GroupMember[T_co], Fork[T_co, S_co]):
    """Calls or workflows side by side."""


class PartialGroup(TypedSignature[S_co], Generic[A_contra, T_co, S_co]):
    """A group whose members each need the result of the task before it, or a workflow that ends in one."""

    def __or__(  # type: ignore[override]  # as Workflow
        self, other: PartialSignature[S_co, T] | PartialSignature[list[T_co], T] | ImmutableSignature[T], /
    ) -> PartialSignature[A_contra, T]:
        """Put a task after the group, which takes all results at once, as `Fork.__or__` does."""
        part: PartialSignature[A_contra, T] = joined(self, other)
        return part

    def accepts(self, first: A_contra, /) -> bool:
        """Tell whether a value can be what the task before it returns, as `PartialSignature.accepts` does."""
        return accepts(self.flow.heads, first)

    def apply_async(self, args: Any = None, kwargs: Any = None, **options: Any) -> Any:  # type: ignore[override]  # as Workflow
        """Refuse to be sent alone; Celery's own parts, which have the result, send it."""
        return super().apply_async(_needed(self, args), kwargs, **options)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse to be sent alone, as `apply_async` does."""
        return self.apply_async(args, kwargs)


def joined(left: TypedSignature[Any], right: Any) -> Any:
    """Put one signature after another.

    Args:
        left: What comes first.
        right: What comes after it.

    Returns:
        The typed signature of both.

    Raises:
        CompositionError: If they do not fit.
    """
    from pico_celery.client.canvas.kinds import made  # noqa: PLC0415 - the kinds stand above

    if not isinstance(right, TypedSignature):
        if isinstance(right, Signature):
            return left.plain() | right
        # A signature is a dict, whose own | would merge the two.
        raise TypeError(f"{right!r} cannot stand after {left!r}: put a signature there, such as client.task.s()")
    return made(join(left.flow, right.flow))


def _after(before: Any, signature: TypedSignature[Any]) -> Any:
    if isinstance(before, Signature):
        return before.__or__(signature.plain())
    # A signature is a dict, whose own | would merge the two.
    raise TypeError(f"{before!r} cannot stand before {signature!r}: put a signature there")


def _needed(part: TypedSignature[Any], args: Any) -> Any:
    if args:
        return args
    names = ", ".join(dict.fromkeys(head.name for head in part.flow.heads))
    fault = Fault(
        task=names,
        expected="the result of a task before it",
        got="nothing",
        remedy="put it after one (first.s(...) | this), or give all arguments to .s(...)",
        code="partial_sent",
    )
    raise CompositionError.of(names, [fault])
