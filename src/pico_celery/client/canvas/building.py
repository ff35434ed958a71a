"""``group`` and ``chord``: typed workflows from typed parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, overload

from typing_extensions import TypeVar

from pico_celery.client.canvas.fork import Fork, GroupSignature
from pico_celery.client.canvas.kinds import made
from pico_celery.client.canvas.partial import PartialGroup, PartialSignature
from pico_celery.client.canvas.signature_mixin import GroupMember, TypedSignature, joined
from pico_celery.client.canvas.workflow import ImmutableSignature, Workflow
from pico_celery.client.canvas.workflow_spec import parallel
from pico_celery.errors import CompositionError, Fault

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
def group(*members: Any) -> Any:
    """Put calls or workflows side by side.

    Args:
        *members: Signatures, each with a type of its own: the results are a tuple. Or one iterable of signatures with
            results of one type: they are a list, and groups among them count as their own members.

    Returns:
        The group. Where its members need the result of a task before it, so does the group.

    Raises:
        CompositionError: If a member is no typed signature, ends in a group itself, or has all its arguments where
            others need a result.
    """
    named = not (len(members) == 1 and not isinstance(members[0], TypedSignature))
    given: list[Any] = list(members if named else members[0])
    wrong = [member for member in given if not isinstance(member, TypedSignature)]
    if wrong:
        raise CompositionError.of("group", [_not_typed(member) for member in wrong])
    return made(parallel([member.flow for member in given], named=named))


@overload
def chord(header: Fork[T, Any], body: PartialSignature[list[T], B] | ImmutableSignature[B]) -> Workflow[B]: ...
@overload
def chord(header: Fork[Any, S], body: PartialSignature[S, B]) -> Workflow[B]: ...
@overload
def chord(
    header: Iterable[GroupMember[T]], body: PartialSignature[list[T], B] | ImmutableSignature[B]
) -> Workflow[B]: ...
def chord(header: Any, body: Any) -> Any:
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
    return joined(first, body)


def _not_typed(member: object) -> Fault:
    return Fault(
        task="group",
        expected="typed signatures, such as client.place.s(order)",
        got=f"a {type(member).__name__}",
        remedy="make it with a sender, or use celery.group for signatures without types",
        code="not_typed",
    )
