"""The parts of a workflow and how two are joined: Celery's rules, checked against the contracts."""

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

AnySignature = Signature[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowSpec:
    """The steps of a workflow, and the tasks at its two ends."""

    steps: tuple[AnySignature, ...]
    heads: tuple[TaskDefinition, ...] = ()
    """The tasks that take the result of the task before it; none where it is complete, or ignores that result."""
    partial: bool = False
    """Whether it needs the result of a task before it."""
    immutable: bool = False
    """Whether it ignores the result of the task before it."""
    ends: tuple[TaskDefinition, ...]
    """The tasks whose results are its own."""
    is_group: bool = False
    """Whether its result is a group of results."""
    as_tuple: bool = False
    """Whether those are a tuple, in which each has its type, and not a list."""
    chords: bool = False
    """Whether results are joined on the way, which not every result backend can do."""
    app: Celery | None = None

    @property
    def name(self) -> str:
        """The tasks whose results it returns."""
        names = dict.fromkeys(end.name for end in self.ends)
        return f"group({', '.join(names)})" if self.is_group else next(iter(names))

    @property
    def results(self) -> tuple[object, ...]:
        """The equivalent annotations of its result; it fits a parameter that accepts one of them."""
        annotations = [end.result.annotation for end in self.ends]
        if not self.is_group:
            return tuple(annotations)
        if not annotations or any(annotation != annotations[0] for annotation in annotations):
            return (_tuple_of(annotations),)
        every = [_tuple_of(annotations)] if len(annotations) <= _FEW else []
        return (_list_of(annotations[0]), *every)


_FEW: Final = 16  # a list of so many has a known length, which a parameter may ask for


def _list_of(annotation: object) -> GenericAlias:
    return GenericAlias(list, (annotation,))


def _tuple_of(annotations: Sequence[object]) -> GenericAlias:
    return GenericAlias(tuple, tuple(annotations))


def join(left: WorkflowSpec, right: WorkflowSpec) -> WorkflowSpec:
    """Return one workflow after another; raise a `CompositionError` if the result of the first does not fit the second."""
    faults = _join_faults(left, right)
    if faults:
        raise CompositionError.of(f"{left.name} | {_head_name(right)}", faults)
    app = left.app or right.app
    return replace(
        right,
        steps=_append(left.steps, right.steps, app),
        heads=left.heads,
        partial=left.partial,
        immutable=left.immutable,
        chords=left.chords or right.chords or left.is_group,
        app=app,
    )


def parallel(members: Sequence[WorkflowSpec], *, as_tuple: bool) -> WorkflowSpec:
    """Return workflows side by side as a group; groups among them count as their own members.

    It is a `CompositionError` if some need a task before them and others do not, or one is a chain that ends in a group.
    """
    app = next((member.app for member in members if member.app is not None), None)
    partial = any(member.partial for member in members)
    wrong = [member for member in members if not member.partial and not member.immutable] if partial else []
    faults = [_mixed(member) for member in wrong] + [_nested(member) for member in members if _ends_in_group(member)]
    if faults:
        raise CompositionError.of("group", faults)
    return WorkflowSpec(
        steps=(group(_flat(members, app), app=app),),
        heads=tuple(head for member in members for head in member.heads),
        partial=partial,
        immutable=bool(members) and all(member.immutable for member in members),
        ends=tuple(end for member in members for end in member.ends),
        is_group=True,
        as_tuple=as_tuple,
        chords=any(member.chords for member in members),
        app=app,
    )


def chain_of(steps: Sequence[AnySignature], app: Celery | None) -> AnySignature:
    """Return Celery's chain of steps that are joined already; ``|`` would join their groups in another way."""
    make: Any = chain  # its types do not know that it takes a list
    signature: AnySignature = make(list(steps), app=app)
    return signature


def _flat(members: Sequence[WorkflowSpec], app: Celery | None) -> list[AnySignature]:
    """Return the members of a group, with the members of groups among them in their place."""
    found: list[AnySignature] = []
    for member in members:
        only = member.steps[0] if len(member.steps) == 1 else chain_of(member.steps, app)
        found.extend(only.tasks if isinstance(only, group) else [only])
    return found


def _ends_in_group(member: WorkflowSpec) -> bool:
    return member.is_group and not (len(member.steps) == 1 and isinstance(member.steps[0], group))


def _append(
    steps: tuple[AnySignature, ...], more: tuple[AnySignature, ...], app: Celery | None
) -> tuple[AnySignature, ...]:
    """Return steps with more after them; what follows a group becomes the body of a chord."""
    *before, last = steps
    with_body = _as_chord(last, more[0], app)
    return (*steps, *more) if with_body is None else (*before, with_body, *more[1:])


def _as_chord(step: AnySignature, body: AnySignature, app: Celery | None) -> AnySignature | None:
    if isinstance(step, group):
        # Named as a chord here, a group of one stays a list of one: Celery would take it for the task itself.
        return chord(list(step.tasks), body=body, app=app)
    if isinstance(step, chord):
        inner = _as_chord(step.body, body, app)
        return None if inner is None else chord(list(step.tasks), body=inner, app=app)
    return None


def _join_faults(left: WorkflowSpec, right: WorkflowSpec) -> list[Fault]:
    if right.is_group and not right.ends:
        return [_empty(left)]
    if right.immutable:
        return []
    if not right.partial:
        return [_complete(left, right)]
    return [fault for head in dict.fromkeys(right.heads) for fault in _head_faults(left, head)]


def _head_faults(left: WorkflowSpec, head: TaskDefinition) -> list[Fault]:
    parameter = first_parameter(head)
    if parameter is None or any(is_compatible(result, parameter.annotation) for result in left.results):
        return []
    if left.is_group and not left.ends and is_compatible(list[Any], parameter.annotation):
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


def _head_name(flow: WorkflowSpec) -> str:
    names = dict.fromkeys(head.name for head in flow.heads) or dict.fromkeys(end.name for end in flow.ends)
    return ", ".join(names) or "group()"


def _complete(left: WorkflowSpec, right: WorkflowSpec) -> Fault:
    return Fault(
        task=_head_name(right),
        expected=f"a signature that takes the result of {left.name}",
        got="one that has all its arguments",
        remedy="leave its first argument out: .s() or .partial(...); or ignore the result with .si(...)",
        code="complete",
    )


def _empty(left: WorkflowSpec) -> Fault:
    return Fault(
        task=left.name,
        expected="at least one task after it",
        got="an empty group",
        remedy="leave the group out where it is empty",
        code="empty_group",
    )


def _mixed(member: WorkflowSpec) -> Fault:
    return Fault(
        task=member.name,
        expected="a signature that takes the result of the task before the group, as others in the group do",
        got="one that has all its arguments",
        remedy="use .si(...) for those that ignore the result",
        code="mixed_group",
    )


def _nested(member: WorkflowSpec) -> Fault:
    return Fault(
        task=member.name,
        expected="members with one result each",
        got="a chain that ends in a group",
        remedy="put a task after that group that takes its results",
        code="nested_fork",
    )
