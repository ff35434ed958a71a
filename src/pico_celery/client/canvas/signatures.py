"""Typed signatures: complete ones, which can be sent, and partial ones, which need the result of the task before them.

Each is one of Celery's signatures too, of the class that Celery has for its kind. The result of a `Workflow` or a
`PartialSignature` is one value; that of a `GroupWorkflow` or a `PartialGroup` is the values of a group.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Never, ParamSpec, Protocol, Self, Unpack, cast, overload

from celery import canvas
from celery.canvas import Signature
from celery.result import EagerResult, ResultBase
from typing_extensions import TypeVar

from pico_celery.celery_port import chain_links
from pico_celery.client.canvas.checks import (
    as_callback,
    as_errback,
    check_joinable,
    checked_options,
    first_argument,
    require_app,
    send_workflow,
    set_options,
)
from pico_celery.client.canvas.group_result import GroupResult, S_co, T_co, typed_group, typed_result
from pico_celery.client.canvas.step import CopiedSignature, Step, step_of
from pico_celery.client.canvas.workflow_spec import AnySignature, WorkflowSpec, chain_of, join
from pico_celery.client.deadlines import resume_timeout
from pico_celery.client.options import SendOptions, merge_options
from pico_celery.client.publishing.prepare import prepare_encoded
from pico_celery.client.publishing.publish import on_publisher, publish
from pico_celery.client.results.async_result import AsyncResult
from pico_celery.client.results.eager_result import EagerAsyncResult
from pico_celery.errors import CompositionError, Fault
from pico_celery.messaging.calls import EncodedCall
from pico_celery.messaging.results import decode_result

Q = ParamSpec("Q")
A_contra = TypeVar("A_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)
Result_co = TypeVar("Result_co", covariant=True)
S = TypeVar("S")
T = TypeVar("T")


class TakesFirst(Protocol[A_contra, R_co]):
    """A sender that can be called with its first argument alone."""

    def si(self, first: A_contra, /) -> ImmutableSignature[R_co]:
        """Return the call."""
        ...


class TakesMore(Protocol[A_contra, Q, R_co]):
    """A sender, with its first parameter apart from the others."""

    def si(self, first: A_contra, /, *args: Q.args, **kwargs: Q.kwargs) -> ImmutableSignature[R_co]:
        """Return the call."""
        ...


class TypedSignature(CopiedSignature[R_co]):
    """A signature that knows the tasks it is made of."""

    _spec: WorkflowSpec

    @property
    def spec(self) -> WorkflowSpec:
        """What it is made of now: links may have been added since it was made."""
        return replace(self._spec, steps=chain_links(self) or (self.plain(),), app=self._spec.app or self.bound_app)

    if not TYPE_CHECKING:  # to type checkers it stays that of dict, which has no timeout

        def get(self, *args: object, **options: object) -> object:
            """Return an item of the signature, which is a dict; refuse what is meant as a wait for its result.

            Raises:
                TypeError: If it is called as a result's ``get`` is.
            """
            if options or not args or not isinstance(args[0], str):
                raise TypeError(
                    f"this signature of {self.get('task')} has not been sent yet, so it has no result: "
                    "send it first, with .delay().get(timeout=...) or await (await signature.asend())"
                )
            return dict.get(self, *args)

    def __ror__(self, other: Never, /) -> AnySignature:  # type: ignore[override]  # dict's own | takes dicts
        """Put this after one of Celery's signatures, as Celery does; nothing else can stand there."""
        before: object = other
        if isinstance(before, Signature):
            joined: AnySignature = before.__or__(self.plain())
            return joined
        # A signature is a dict, whose own | would merge the two.
        raise TypeError(f"{before!r} cannot stand before {self!r}: put a signature there")

    def link_error(  # type: ignore[override]  # Celery's takes everything
        self, errback: PartialSignature[str, object] | ImmutableSignature[object]
    ) -> AnySignature:
        """Have a call sent with the id of each task of the workflow that fails.

        Args:
            errback: A signature that takes the id of a task, or ignores it.

        Returns:
            The errback.

        Raises:
            CompositionError: If it does not take a str.
        """
        super().link_error(as_errback(self, errback))
        return errback

    def _typed(self, sent: object) -> object:
        """Return the result that Celery's canvas gave, with the types of the contract."""
        app = require_app(self)
        if self._spec.is_group:
            return typed_group(cast("ResultBase", sent), self._spec.ends, app, as_tuple=self._spec.as_tuple)
        return typed_result(cast("ResultBase", sent), self._spec.ends[0], app)

    def _send(self, args: tuple[object, ...] | None, kwargs: None, options: SendOptions) -> object:
        app = require_app(self)
        spec = self.spec
        check_joinable(spec, app)
        given = first_argument(spec, args, self.args) if spec.partial else args
        # A copy: Celery's chain keeps the id of its last task, so that it could be sent only once.
        return self._typed(send_workflow(spec, app, options, partial(self.plain().apply_async, given, kwargs)))


class CompleteSignature(TypedSignature[R_co], Generic[R_co, Result_co]):
    """A call or workflow that has all its arguments."""

    def apply_async(self, args: None = None, kwargs: None = None, **options: Unpack[SendOptions]) -> Result_co:  # type: ignore[override]  # Celery's options, typed
        """Send it.

        Args:
            args: Celery's own; a complete signature takes no more arguments.
            kwargs: As ``args``.
            **options: See `SendOptions`, with Celery's meaning for the kind of signature: those of a chain hold for its
                first task, those of a group for each member.

        Returns:
            The result of the last task, or of the members of a group at the end; ``parent`` leads to those before it.

        Raises:
            CompositionError: If the result backend cannot join the results of a group.
            OptionError: If an option is unknown or has a wrong type.
            UnboundClientError: If it was made from a client's class, which has no application.
            kombu.exceptions.OperationalError: If the broker cannot be reached.
        """
        return cast("Result_co", self._send(args, kwargs, options))

    def delay(self, *args: Never, **kwargs: Never) -> Result_co:  # type: ignore[override]  # as apply_async
        """Send it without options, as `apply_async` does."""
        send: Callable[..., Result_co] = self.apply_async  # Celery's own canvas may give it arguments
        return send(args, kwargs)

    async def asend(self, **options: Unpack[SendOptions]) -> Result_co:
        """Send it without blocking the event loop; inside a task too.

        Args:
            **options: As `apply_async`.

        Returns:
            The result, when the broker has the first message; ``await`` it in its turn.

        Raises:
            Exception: As `apply_async`.
        """
        return await on_publisher(
            require_app(self), lambda: self.apply_async(**options), self.spec.name, options.get("timeout")
        )

    def apply(self, *args: Any, **kwargs: Any) -> EagerResult[R_co]:
        """Run it here and now, as Celery does where the tasks are registered."""
        return cast("EagerResult[R_co]", self._typed(super().apply(*args, **kwargs)))


class IncompleteSignature(TypedSignature[R_co], Generic[A_contra, R_co, Result_co]):
    """A call or workflow that needs the result of the task before it."""

    def apply_async(  # type: ignore[override]  # Celery's options, typed
        self, args: tuple[A_contra], kwargs: None = None, **options: Unpack[SendOptions]
    ) -> Result_co:
        """Send it with the first argument in place of the result of the task before it.

        Args:
            args: The first argument alone.
            kwargs: Celery's own; the other arguments are given already.
            **options: As `Workflow.apply_async`.

        Returns:
            As `Workflow.apply_async`.

        Raises:
            PayloadError: If the argument does not fit.
            CompositionError: If there is none.
            Exception: As `Workflow.apply_async`.
        """
        return cast("Result_co", self._send(args, kwargs, options))

    def delay(self, first: A_contra, /) -> Result_co:  # type: ignore[override]  # as apply_async
        """Send it with the first argument and without options, as `apply_async` does."""
        return self.apply_async((first,))

    async def asend(self, first: A_contra, /, **options: Unpack[SendOptions]) -> Result_co:
        """Send it with the first argument, without blocking the event loop; inside a task too.

        Args:
            first: The first argument.
            **options: As `apply_async`.

        Returns:
            The result, when the broker has the first message.

        Raises:
            Exception: As `apply_async`.
        """
        return await on_publisher(
            require_app(self), lambda: self.apply_async((first,), **options), self.spec.name, options.get("timeout")
        )


class GroupMember(Generic[T_co]):
    """What a group may have as a member: a workflow with one result, or a group of results of that type."""


class SingleResult(TypedSignature[R_co]):
    """A signature whose result is one value, which callbacks can take."""

    def link(  # type: ignore[override]  # Celery's takes everything
        self, callback: PartialSignature[R_co, object] | ImmutableSignature[object]
    ) -> AnySignature:
        """Have a call sent with the result when the last task has succeeded.

        Args:
            callback: A signature that takes the result, or ignores it.

        Returns:
            The callback.

        Raises:
            CompositionError: If the result does not fit the callback.
        """
        super().link(as_callback(self, callback))
        return callback


class ManyResults(TypedSignature[S_co], Generic[T_co, S_co]):
    """A signature whose result is that of a group; the values are a list or a tuple."""

    def link(self, callback: Never) -> Never:  # type: ignore[override]  # noqa: ARG002 - refused whatever it is
        """Refuse a callback: Celery would link it to the first member alone.

        Args:
            callback: What is refused.

        Raises:
            CompositionError: In every case.
        """
        name = self.spec.name
        remedy = "put a task after the group, which takes all its results: group(...) | task.s()"
        fault = Fault(task=name, expected="a task after the group", got="a link", remedy=remedy, code="group_link")
        raise CompositionError.of(f"{name}.link", [fault])


class Workflow(GroupMember[R_co], CompleteSignature[R_co, AsyncResult[R_co]], SingleResult[R_co]):
    """A call, chain or chord that has all its arguments and one result."""

    @overload  # type: ignore[override]  # Celery's takes every signature
    def __or__(self, other: PartialSignature[R_co, T] | ImmutableSignature[T], /) -> Workflow[T]: ...
    @overload
    def __or__(self, other: PartialGroup[R_co, T, S], /) -> GroupWorkflow[T, S]: ...
    def __or__(self, other: object, /) -> object:
        """Put a task or a group after this workflow; it takes its result.

        Args:
            other: A signature that needs the result of a task before it, or one that ignores it (``.si(...)``).

        Returns:
            The longer workflow.

        Raises:
            CompositionError: If the result does not fit the parameter that takes it.
        """
        return in_sequence(self, other)

    def then(self, sender: TakesMore[R_co, Q, T], /, *args: Q.args, **kwargs: Q.kwargs) -> Workflow[T]:
        """Put a call after this workflow; it takes its result as the first argument.

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
        return cast("Workflow[T]", in_sequence(self, following.partial(*args, **kwargs)))

    def __call__(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - as Celery's own
        """Do what Celery does: run a call here and now, send a chain or a chord."""
        return self._typed(super().__call__(*args, **kwargs))


class TaskSignature(Workflow[R_co], Step[R_co]):
    """One call with all its arguments, validated."""

    @property
    def spec(self) -> WorkflowSpec:
        """What it is made of now."""
        task = self.definition
        return WorkflowSpec(steps=(step_of(self),), immutable=self.immutable, ends=(task,), app=self.bound_app)

    def set(self, immutable: bool | None = None, **options: Unpack[SendOptions]) -> Self:  # type: ignore[override]  # Celery's options, typed
        """Change the options of the call, in place.

        Args:
            immutable: As Celery's: whether the result of the task before it is ignored.
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

    def apply_async(self, args: None = None, kwargs: None = None, **options: Unpack[SendOptions]) -> AsyncResult[R_co]:  # type: ignore[override]  # as CompleteSignature
        """Send the call.

        Args:
            args: Celery's own; a complete call takes no more arguments.
            kwargs: As ``args``.
            **options: See `SendOptions`; they win over those that the signature has.

        Returns:
            The typed result.

        Raises:
            OptionError: If an option is unknown or has a wrong type.
            UnboundClientError: If it was made from a client's class, which has no application.
            kombu.exceptions.OperationalError: If the broker cannot be reached.
        """
        given: Any = (args, kwargs)
        if any(given):  # only by Celery's own canvas, which knows what it does
            return super().apply_async(*given, **options)
        app = require_app(self)
        own = {name: value for name, value in self.options.items() if name not in {"argsrepr", "kwargsrepr"}}
        chosen = merge_options(own, checked_options(options, self.definition.name))
        if "group_id" in own:  # Celery's rule: a member stays in its group
            chosen["group_id"] = own["group_id"]
        call = EncodedCall(tuple(self.args), self.kwargs, self.call.argsrepr, self.call.kwargsrepr)
        return publish(app, prepare_encoded(self.definition, call, resume_timeout(chosen)))

    def apply(self, *args: Any, **kwargs: Any) -> EagerAsyncResult[R_co]:
        """Run the call here and now, as Celery does where the task is registered."""
        return EagerAsyncResult(Step.apply(self, *args, **kwargs), self.definition)

    def __call__(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - as Celery's own
        """Run the call here and now, as Celery does where the task is registered, and return its typed value."""
        return decode_result(self.definition, Step.__call__(self, *args, **kwargs))


class ImmutableSignature(TaskSignature[R_co]):
    """One call with all its arguments that ignores the result of the task before it: ``.si(...)``."""


class GroupWorkflow(CompleteSignature[S_co, GroupResult[T_co, S_co]], ManyResults[T_co, S_co], Generic[T_co, S_co]):
    """A group, or a chain that ends in one, with all its arguments; its result is those of the members."""

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
        return cast("Workflow[T]", in_sequence(self, other))

    def __call__(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401 - as Celery's own
        """Send it, as Celery does."""
        send: Callable[..., object] = self.apply_async
        return send(args, **kwargs)


class GroupSignature(GroupMember[T_co], GroupWorkflow[T_co, S_co]):
    """Calls or workflows side by side, with all their arguments."""


class PartialSignature(
    IncompleteSignature[A_contra, R_co, AsyncResult[R_co]], SingleResult[R_co], Generic[A_contra, R_co]
):
    """A call, chain or chord with one result that needs the result of the task before it."""

    @overload  # type: ignore[override]  # as Workflow
    def __or__(self, other: PartialSignature[R_co, T] | ImmutableSignature[T], /) -> PartialSignature[A_contra, T]: ...
    @overload
    def __or__(self, other: PartialGroup[R_co, T, S], /) -> PartialGroup[A_contra, T, S]: ...
    def __or__(self, other: object, /) -> object:
        """Put a task or a group after this one; it takes its result, as `Workflow.__or__` says."""
        return in_sequence(self, other)


class PartialTask(PartialSignature[A_contra, R_co], Step[R_co]):
    """One call without its first argument."""

    @property
    def spec(self) -> WorkflowSpec:
        """What it is made of now."""
        task = self.definition
        return WorkflowSpec(steps=(step_of(self),), heads=(task,), partial=True, ends=(task,), app=self.bound_app)

    def set(self, immutable: bool | None = None, **options: Unpack[SendOptions]) -> Self:  # type: ignore[override]  # Celery's options, typed
        """Change the options of the call, in place, as `TaskSignature.set` does."""
        return set_options(self, immutable, options)


class PartialGroup(
    IncompleteSignature[A_contra, S_co, GroupResult[T_co, S_co]],
    ManyResults[T_co, S_co],
    Generic[A_contra, T_co, S_co],
):
    """A group, or a chain that ends in one, that needs the result of the task before it."""

    def __or__(  # type: ignore[override]  # as Workflow
        self, other: PartialSignature[S_co, T] | PartialSignature[list[T_co], T] | ImmutableSignature[T], /
    ) -> PartialSignature[A_contra, T]:
        """Put a task after the group, which takes all results at once, as `GroupWorkflow.__or__` does."""
        return cast("PartialSignature[A_contra, T]", in_sequence(self, other))


def _kinds(typed: type[TypedSignature[object]], **classes: type) -> dict[str, type[TypedSignature[object]]]:
    """Return the subclass of a typed signature for each kind of Celery's, which dispatches on its own classes."""
    made = {}
    for kind, celery_class in classes.items():
        name = f"{typed.__name__}{kind.title()}"
        made[kind] = type(name, (typed, celery_class), {"__module__": __name__, "__doc__": typed.__doc__})
    return made


# By whether it needs the result of a task before it, and whether its result is a group's.
_KINDS: Final[dict[tuple[bool, bool], dict[str, type[TypedSignature[Any]]]]] = {
    (False, False): {"task": TaskSignature, **_kinds(Workflow, chain=canvas.chain, chord=canvas.chord)},
    (True, False): {"task": PartialTask, **_kinds(PartialSignature, chain=canvas.chain, chord=canvas.chord)},
    (False, True): {
        **_kinds(GroupSignature, group=canvas.group),
        **_kinds(GroupWorkflow, chain=canvas.chain, chord=canvas.chord),
    },
    (True, True): _kinds(PartialGroup, group=canvas.group, chain=canvas.chain, chord=canvas.chord),
}


def signature_of(spec: WorkflowSpec) -> TypedSignature[object]:
    """Return the typed signature of a workflow."""
    plain = spec.steps[0] if len(spec.steps) == 1 else chain_of(spec.steps, spec.app)
    kind = "task" if isinstance(plain, Step) else str(plain.subtask_type)
    cls = ImmutableSignature if kind == "task" and spec.immutable else _KINDS[spec.partial, spec.is_group][kind]
    signature = cls.adopt(plain, _spec=spec)
    canvas.maybe_signature(signature, app=spec.app)  # which gives it the application
    return signature


def in_sequence(first: TypedSignature[object], second: object) -> TypedSignature[object]:
    """Return the signature of one after another; raise a `CompositionError` if they do not fit."""
    if isinstance(second, TypedSignature):
        return signature_of(join(first.spec, second.spec))
    if isinstance(second, Signature):
        joined: Any = first.plain() | second  # a signature of Celery's, as one without types is
        return cast("TypedSignature[Any]", joined)
    # A signature is a dict, whose own | would merge the two.
    raise TypeError(f"{second!r} cannot stand after {first!r}: put a signature there, such as client.task.s()")
