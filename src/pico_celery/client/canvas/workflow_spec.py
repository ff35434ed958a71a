"""What a workflow is made of, and how workflows are joined; the rules are Celery's, the checks are the contracts'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import GenericAlias
from typing import Any, Final

from celery import Celery
from celery.canvas import Signature, chain, chord, group

from pico_celery.contract.compatibility import is_compatible
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.typenames import type_name
from pico_celery.errors import CompositionError, Fault
from pico_celery.messaging.calls import first_parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A workflow, or a part of one.

    Attributes:
        steps: One after another, as Celery's signatures.
        heads: The tasks that take the result of what stands before; none where it is complete, or ignores that result.
        partial: Whether it needs a task before it.
        immutable: Whether it ignores the result of the task before it.
        ends: The tasks whose results are its own.
        fork: Whether its result is a group of results.
        named: Whether those are a tuple, in which each has its type, and not a list.
        chords: Whether results are joined on the way, which not every result backend can.
        app: The application that sends it.
    """

    steps: tuple[Signature[Any], ...]
    heads: tuple[TaskDefinition, ...] = ()
    partial: bool = False
    immutable: bool = False
    ends: tuple[TaskDefinition, ...]
    fork: bool = False
    named: bool = False
    chords: bool = False
    app: Celery | None = None

    @property
    def name(self) -> str:
        """The tasks whose results it returns."""
        names = dict.fromkeys(end.name for end in self.ends)
        return f"group({', '.join(names)})" if self.fork else next(iter(names))

    @property
    def results(self) -> tuple[Any, ...]:
        """Annotations of what it returns: equivalent ones, of which a parameter may accept any."""
        annotations = [end.result.annotation for end in self.ends]
        if not self.fork:
            return tuple(annotations)
        if not annotations or any(annotation != annotations[0] for annotation in annotations):
            return (_tuple_of(annotations),)
        every = [_tuple_of(annotations)] if len(annotations) <= _FEW else []
        return (_list_of(annotations[0]), *every)


_FEW: Final = 16  # a list of so many has a known length, which a parameter may ask for


def _list_of(annotation: Any) -> Any:
    return GenericAlias(list, (annotation,))


def _tuple_of(annotations: Sequence[Any]) -> Any:
    return GenericAlias(tuple, tuple(annotations))


def join(left: Flow, right: Flow) -> Flow:
    """Put one workflow after another.

    Args:
        left: What comes first.
        right: What takes its result, or ignores it.

    Returns:
        Both as one.

    Raises:
        CompositionError: If the result of the first does not fit the second.
    """
    faults = _joint_faults(left, right)
    if faults:
        raise CompositionError.of(f"{left.name} | {_head_name(right)}", faults)
    app = left.app or right.app
    return replace(
        right,
        steps=_attached(left.steps, right.steps, app),
        heads=left.heads,
        partial=left.partial,
        immutable=left.immutable,
        chords=left.chords or right.chords or left.fork,
        app=app,
    )


def parallel(members: Sequence[Flow], *, named: bool) -> Flow:
    """Put workflows side by side.

    Args:
        members: Workflows with one result each, or groups, which count as their members.
        named: Whether the results are a tuple, in which each has its type.

    Returns:
        The group.

    Raises:
        CompositionError: If some of them need a task before them and others do not.
    """
    app = next((member.app for member in members if member.app is not None), None)
    partial = any(member.partial for member in members)
    wrong = [member for member in members if not member.partial and not member.immutable] if partial else []
    faults = [_mixed(member) for member in wrong] + [_nested(member) for member in members if _is_open_chain(member)]
    if faults:
        raise CompositionError.of("group", faults)
    return Flow(
        steps=(group(flat(members, app), app=app),),
        heads=tuple(head for member in members for head in member.heads),
        partial=partial,
        immutable=bool(members) and all(member.immutable for member in members),
        ends=tuple(end for member in members for end in member.ends),
        fork=True,
        named=named,
        chords=any(member.chords for member in members),
        app=app,
    )


def chain_of(steps: Sequence[Signature[Any]], app: Celery | None) -> Signature[Any]:
    """Return steps as Celery's chain, as they are: Celery itself would join groups in another way."""
    make: Any = chain  # its types do not know that it takes a list
    made: Signature[Any] = make(list(steps), app=app)
    return made


def flat(members: Sequence[Flow], app: Celery | None) -> list[Signature[Any]]:
    """Return the members of a group as Celery takes them: groups in it by their own members."""
    found: list[Signature[Any]] = []
    for member in members:
        only: Any = member.steps[0] if len(member.steps) == 1 else chain_of(member.steps, app)
        found.extend(only.tasks if isinstance(only, group) else [only])
    return found


def _is_open_chain(member: Flow) -> bool:
    return member.fork and not (len(member.steps) == 1 and isinstance(member.steps[0], group))


def _attached(
    steps: tuple[Signature[Any], ...], more: tuple[Signature[Any], ...], app: Celery | None
) -> tuple[Signature[Any], ...]:
    """Return steps with more after them: what follows a group is the body of a chord."""
    *before, last = steps
    closed = _closed(last, more[0], app)
    return (*steps, *more) if closed is None else (*before, closed, *more[1:])


def _closed(step: Any, body: Signature[Any], app: Celery | None) -> Signature[Any] | None:
    if isinstance(step, group):
        # Named as a chord here, a group of one stays a list of one: Celery would take it for the task itself.
        return chord(list(step.tasks), body=body, app=app)
    if isinstance(step, chord):
        inner = _closed(step.body, body, app)
        return None if inner is None else chord(list(step.tasks), body=inner, app=app)
    return None


def _joint_faults(left: Flow, right: Flow) -> list[Fault]:
    if right.fork and not right.ends:
        return [_empty(left)]
    if right.immutable:
        return []
    if not right.partial:
        return [_complete(left, right)]
    return [fault for head in dict.fromkeys(right.heads) for fault in _head_faults(left, head)]


def _head_faults(left: Flow, head: TaskDefinition) -> list[Fault]:
    parameter = first_parameter(head)
    if parameter is None or any(is_compatible(result, parameter.annotation) for result in left.results):
        return []
    if left.fork and not left.ends and is_compatible(list[Any], parameter.annotation):
        return []
    result = " or ".join(type_name(result) for result in left.results[:1])
    return [
        Fault(
            task=head.name,
            path=parameter.name,
            expected=f"{type_name(parameter.annotation)}, as its parameter says",
            got=f"{result}, the result of {left.name}",
            remedy=f"put a task between them that turns one into the other, or use {head.name} with .si(...) to ignore the result",
            where=(head.where, *dict.fromkeys(end.where for end in left.ends)),
            code="result_into_parameter",
        )
    ]


def _head_name(flow: Flow) -> str:
    names = dict.fromkeys(head.name for head in flow.heads) or dict.fromkeys(end.name for end in flow.ends)
    return ", ".join(names) or "group()"


def _complete(left: Flow, right: Flow) -> Fault:
    return Fault(
        task=_head_name(right),
        expected=f"a signature that takes the result of {left.name}",
        got="one that has all its arguments",
        remedy="leave its first argument out: .s() or .partial(...); or ignore the result with .si(...)",
        code="complete",
    )


def _empty(left: Flow) -> Fault:
    return Fault(
        task=left.name,
        expected="at least one task after it",
        got="an empty group",
        remedy="leave the group out where it is empty",
        code="empty_group",
    )


def _mixed(member: Flow) -> Fault:
    return Fault(
        task=member.name,
        expected="a signature that takes the result of the task before the group, as others in the group do",
        got="one that has all its arguments",
        remedy="use .si(...) for those that ignore the result",
        code="mixed_group",
    )


def _nested(member: Flow) -> Fault:
    return Fault(
        task=member.name,
        expected="members with one result each",
        got="a chain that ends in a group",
        remedy="put a task after that group that takes its results",
        code="nested_fork",
    )
