"""Build typed signatures: those of one task, and `group`, `chain` and `chord`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, overload

from celery import Celery
from typing_extensions import TypeVar

from pico_celery.client.canvas.checks import step_options
from pico_celery.client.canvas.signatures import (
    GroupMember,
    GroupSignature,
    GroupWorkflow,
    ImmutableSignature,
    PartialGroup,
    PartialSignature,
    TypedSignature,
    Workflow,
    in_sequence,
    signature_of,
)
from pico_celery.client.canvas.step import Step
from pico_celery.client.canvas.workflow_spec import AnySignature, WorkflowSpec, parallel
from pico_celery.client.options import refuse_options_of_one_call
from pico_celery.client.publishing.prepare import message_options
from pico_celery.contract.definition import TaskDefinition
from pico_celery.errors import CompositionError, Fault
from pico_celery.messaging.calls import EncodedCall, encode_call, encode_rest, first_parameter

A = TypeVar("A")
B = TypeVar("B")
S = TypeVar("S")
T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")

Args = Sequence[object]
Kwargs = Mapping[str, object]
SentWith = tuple[Celery | None, Mapping[str, Any]]
"""The application, where there is one, and the options of the call."""


def call_or_partial(task: TaskDefinition, args: Args, kwargs: Kwargs, sent_with: SentWith) -> AnySignature:
    """Return a complete call, or a partial one where no argument is given and the first one is required."""
    first = first_parameter(task)
    if not args and not kwargs and first is not None and first.required:
        return partial_call(task, args, kwargs, sent_with)
    return complete_call(task, args, kwargs, sent_with, immutable=False)


def complete_call(
    task: TaskDefinition, args: Args, kwargs: Kwargs, sent_with: SentWith, *, immutable: bool
) -> AnySignature:
    """Return a call with all its arguments; an immutable one ignores the result of the task before it."""
    return signature_of(_spec(task, args, kwargs, sent_with, immutable=immutable))


def partial_call(task: TaskDefinition, args: Args, kwargs: Kwargs, sent_with: SentWith) -> AnySignature:
    """Return a call with all its arguments but the first."""
    step = _step(task, encode_rest(task, args, kwargs), sent_with, immutable=False)
    return signature_of(WorkflowSpec(steps=(step,), heads=(task,), partial=True, ends=(task,), app=sent_with[0]))


def mapped_calls(
    task: TaskDefinition, items: Iterable[object], args: Args, kwargs: Kwargs, sent_with: SentWith
) -> AnySignature:
    """Return a group of one call for each item, which is its first argument."""
    refuse_options_of_one_call(task.name, sent_with[1], "an option that many calls can share")
    specs = [_spec(task, (item, *args), kwargs, sent_with, immutable=False) for item in items]
    return signature_of(replace(parallel(specs, as_tuple=False), app=sent_with[0]))


def _spec(task: TaskDefinition, args: Args, kwargs: Kwargs, sent_with: SentWith, *, immutable: bool) -> WorkflowSpec:
    step = _step(task, encode_call(task, args, kwargs), sent_with, immutable=immutable)
    return WorkflowSpec(steps=(step,), immutable=immutable, ends=(task,), app=sent_with[0])


def _step(task: TaskDefinition, call: EncodedCall, sent_with: SentWith, *, immutable: bool) -> Step[object]:
    app, options = sent_with
    return Step(task, call, message_options(task, step_options(task.name, options)), immutable=immutable, app=app)


@overload
def group(first: Workflow[T1], /) -> GroupSignature[T1, tuple[T1]]: ...
@overload
def group(first: Workflow[T1], second: Workflow[T2], /) -> GroupSignature[T1 | T2, tuple[T1, T2]]: ...
@overload
def group(
    first: Workflow[T1], second: Workflow[T2], third: Workflow[T3], /
) -> GroupSignature[T1 | T2 | T3, tuple[T1, T2, T3]]: ...
@overload
def group(
    first: Workflow[T1], second: Workflow[T2], third: Workflow[T3], fourth: Workflow[T4], /
) -> GroupSignature[T1 | T2 | T3 | T4, tuple[T1, T2, T3, T4]]: ...
@overload
def group(
    first: Workflow[T1], second: Workflow[T2], third: Workflow[T3], fourth: Workflow[T4], fifth: Workflow[T5], /
) -> GroupSignature[T1 | T2 | T3 | T4 | T5, tuple[T1, T2, T3, T4, T5]]: ...
@overload
def group(
    first: Workflow[T1],
    second: Workflow[T2],
    third: Workflow[T3],
    fourth: Workflow[T4],
    fifth: Workflow[T5],
    sixth: Workflow[T6],
    /,
) -> GroupSignature[T1 | T2 | T3 | T4 | T5 | T6, tuple[T1, T2, T3, T4, T5, T6]]: ...
@overload
def group(first: PartialSignature[A, T1], /) -> PartialGroup[A, T1, tuple[T1]]: ...
@overload
def group(
    first: PartialSignature[A, T1], second: PartialSignature[A, T2], /
) -> PartialGroup[A, T1 | T2, tuple[T1, T2]]: ...
@overload
def group(
    first: PartialSignature[A, T1], second: PartialSignature[A, T2], third: PartialSignature[A, T3], /
) -> PartialGroup[A, T1 | T2 | T3, tuple[T1, T2, T3]]: ...
@overload
def group(
    first: PartialSignature[A, T1],
    second: PartialSignature[A, T2],
    third: PartialSignature[A, T3],
    fourth: PartialSignature[A, T4],
    /,
) -> PartialGroup[A, T1 | T2 | T3 | T4, tuple[T1, T2, T3, T4]]: ...
@overload
def group(members: Iterable[GroupMember[T]], /) -> GroupSignature[T]: ...
@overload
def group(members: Iterable[PartialSignature[A, T]], /) -> PartialGroup[A, T]: ...
def group(*members: object) -> object:
    """Put calls or workflows side by side.

    Args:
        *members: Signatures, each with a type of its own: the results are a tuple. Or one iterable of signatures with
            results of one type: they are a list, and groups among them count as their own members.

    Returns:
        The group. Where its members need the result of a task before it, so does the group.

    Raises:
        CompositionError: If a member is not a typed signature, ends in a group itself, or has all its arguments where
            others need a result.
    """
    given, as_tuple = _signatures("group", members)
    return signature_of(parallel([member.spec for member in given], as_tuple=as_tuple))


_Next = PartialSignature[A, B] | ImmutableSignature[B]
"""What can stand after a task that returns ``A``."""


@overload
def chain(first: Workflow[A], second: _Next[A, T1], /) -> Workflow[T1]: ...
@overload
def chain(first: Workflow[A], second: _Next[A, T1], third: _Next[T1, T2], /) -> Workflow[T2]: ...
@overload
def chain(first: Workflow[A], second: _Next[A, T1], third: _Next[T1, T2], fourth: _Next[T2, T3], /) -> Workflow[T3]: ...
@overload
def chain(
    first: Workflow[A],
    second: _Next[A, T1],
    third: _Next[T1, T2],
    fourth: _Next[T2, T3],
    fifth: _Next[T3, T4],
    /,
) -> Workflow[T4]: ...
@overload
def chain(
    first: Workflow[A],
    second: _Next[A, T1],
    third: _Next[T1, T2],
    fourth: _Next[T2, T3],
    fifth: _Next[T3, T4],
    sixth: _Next[T4, T5],
    /,
) -> Workflow[T5]: ...
@overload
def chain(first: PartialSignature[A, B], second: _Next[B, T1], /) -> PartialSignature[A, T1]: ...
@overload
def chain(first: PartialSignature[A, B], second: _Next[B, T1], third: _Next[T1, T2], /) -> PartialSignature[A, T2]: ...
@overload
def chain(
    first: PartialSignature[A, B], second: _Next[B, T1], third: _Next[T1, T2], fourth: _Next[T2, T3], /
) -> PartialSignature[A, T3]: ...
@overload
def chain(first: Workflow[A], second: PartialGroup[A, T, S], /) -> GroupWorkflow[T, S]: ...
@overload
def chain(first: Workflow[A], second: _Next[A, T1], third: PartialGroup[T1, T, S], /) -> GroupWorkflow[T, S]: ...
@overload
def chain(
    first: Workflow[A], second: _Next[A, T1], third: _Next[T1, T2], fourth: PartialGroup[T2, T, S], /
) -> GroupWorkflow[T, S]: ...
@overload
def chain(first: GroupWorkflow[T, Any], second: _Next[list[T], T1], /) -> Workflow[T1]: ...
@overload
def chain(first: GroupWorkflow[Any, S], second: PartialSignature[S, T1], /) -> Workflow[T1]: ...
@overload
def chain(first: Workflow[A], second: PartialGroup[A, T, Any], third: _Next[list[T], T1], /) -> Workflow[T1]: ...
@overload
def chain(first: Workflow[A], second: PartialGroup[A, Any, S], third: PartialSignature[S, T1], /) -> Workflow[T1]: ...
@overload
def chain(tasks: Iterable[ImmutableSignature[T]], /) -> Workflow[T]: ...
@overload
def chain(tasks: Iterable[PartialSignature[T, T]], /) -> PartialSignature[T, T]: ...
def chain(*tasks: object) -> object:
    """Put calls or workflows one after another, each taking the result of the one before: the same as ``a | b | c``.

    Args:
        *tasks: Signatures, or one iterable of them. All but the first take a result, or ignore it (``.si(...)``).
            For longer chains than the types know of, join two with ``|``.

    Returns:
        The workflow. Where the first needs the result of a task before it, so does the chain.

    Raises:
        CompositionError: If one is not a typed signature, a result does not fit the parameter that takes it, or there
            are none.
    """
    given, _ = _signatures("chain", tasks)
    if not given:
        fault = Fault(
            task="chain",
            expected="at least one signature",
            got="nothing",
            remedy="leave the chain out where it is empty",
            code="empty_chain",
        )
        raise CompositionError.of("chain", [fault])
    return reduce(in_sequence, given)


@overload
def chord(header: GroupWorkflow[T, Any], body: PartialSignature[list[T], B] | ImmutableSignature[B]) -> Workflow[B]: ...
@overload
def chord(header: GroupWorkflow[Any, S], body: PartialSignature[S, B]) -> Workflow[B]: ...
@overload
def chord(
    header: Iterable[GroupMember[T]], body: PartialSignature[list[T], B] | ImmutableSignature[B]
) -> Workflow[B]: ...
def chord(header: Any, body: object) -> object:
    """Put a task after a group, which takes all results at once: the same as ``group(header) | body``.

    Args:
        header: A group, or signatures with results of one type.
        body: A signature whose first parameter takes the list (or the tuple), or one that ignores it.

    Returns:
        The workflow.

    Raises:
        CompositionError: If the results do not fit the parameter that takes them.
    """
    first: Any = header if isinstance(header, TypedSignature) else group(header)
    return in_sequence(first, body)


def _signatures(name: str, given: tuple[Any, ...]) -> tuple[list[TypedSignature[object]], bool]:
    """Return typed signatures, and whether they were given one by one rather than as one iterable."""
    only = given[0] if len(given) == 1 else None
    one_by_one = not isinstance(only, Iterable) or isinstance(only, (str, Mapping))  # a signature is a dict
    signatures = list(given if one_by_one else given[0])
    faults = [_not_typed(name, one) for one in signatures if not isinstance(one, TypedSignature)]
    if faults:
        raise CompositionError.of(name, faults)
    return signatures, one_by_one


def _not_typed(name: str, member: object) -> Fault:
    return Fault(
        task=name,
        expected="typed signatures, such as client.place.s(order)",
        got=f"a {type(member).__name__}",
        remedy=f"make it with a sender, or use celery.{name} for signatures without types",
        code="not_typed",
    )
