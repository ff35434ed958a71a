"""Each kind of typed signature as the class that Celery has for it, and how one is made."""

from __future__ import annotations

from typing import Any, Final

from celery import canvas

from pico_celery.client.canvas.fork import Fork, GroupSignature
from pico_celery.client.canvas.group_result import S_co, T_co
from pico_celery.client.canvas.partial import PartialGroup, PartialSignature, PartialTask
from pico_celery.client.canvas.signature_mixin import A_contra, R_co, TypedSignature
from pico_celery.client.canvas.step import Step
from pico_celery.client.canvas.workflow import ImmutableSignature, TaskSignature, Workflow
from pico_celery.client.canvas.workflow_spec import Flow, chain_of

# Celery's types would have them generic in another way.
_Chain: Any = canvas.chain
_Chord: Any = canvas.chord
_Group: Any = canvas.group


class WorkflowChain(Workflow[R_co], _Chain):  # type: ignore[misc]  # as above
    """Tasks one after another."""


class WorkflowChord(Workflow[R_co], _Chord):  # type: ignore[misc]  # as above
    """A group, and a task that takes its results."""


class PartialChain(PartialSignature[A_contra, R_co], _Chain):  # type: ignore[misc]  # as above
    """Tasks one after another, the first without its first argument."""


class PartialChord(PartialSignature[A_contra, R_co], _Chord):  # type: ignore[misc]  # as above
    """A group that needs the result of a task before it, and a task that takes its results."""


class ForkedGroup(GroupSignature[T_co, S_co], _Group):  # type: ignore[misc]  # as above
    """Calls or workflows side by side."""


class ForkedChain(Fork[T_co, S_co], _Chain):  # type: ignore[misc]  # as above
    """Tasks one after another, and a group at the end."""


class ForkedChord(Fork[T_co, S_co], _Chord):  # type: ignore[misc]  # as above
    """A group, and another one each of whose members takes the results of the first."""


class PartialForkedGroup(PartialGroup[A_contra, T_co, S_co], _Group):  # type: ignore[misc]  # as above
    """Calls without their first argument side by side."""


class PartialForkedChain(PartialGroup[A_contra, T_co, S_co], _Chain):  # type: ignore[misc]  # as above
    """Tasks one after another, the first without its first argument, and a group at the end."""


class PartialForkedChord(PartialGroup[A_contra, T_co, S_co], _Chord):  # type: ignore[misc]  # as above
    """As `ForkedChord`, the first group without its members' first arguments."""


# By whether it needs a task before it, and whether its result is a group's.
_KINDS: Final[dict[tuple[bool, bool], dict[str, type[TypedSignature[Any]]]]] = {
    (False, False): {"task": TaskSignature, "chain": WorkflowChain, "chord": WorkflowChord},
    (True, False): {"task": PartialTask, "chain": PartialChain, "chord": PartialChord},
    (False, True): {"group": ForkedGroup, "chain": ForkedChain, "chord": ForkedChord},
    (True, True): {"group": PartialForkedGroup, "chain": PartialForkedChain, "chord": PartialForkedChord},
}


def made(flow: Flow) -> Any:
    """Return the typed signature of a workflow.

    Args:
        flow: What it is made of.

    Returns:
        A signature of the class that fits.
    """
    plain = flow.steps[0] if len(flow.steps) == 1 else chain_of(flow.steps, flow.app)
    kind = "task" if isinstance(plain, Step) else str(plain.subtask_type)
    cls = _KINDS[flow.partial, flow.fork][kind]
    if kind == "task" and flow.immutable:
        cls = ImmutableSignature
    signature = cls.adopt(plain, _flow=flow)
    return canvas.maybe_signature(signature, app=flow.app)  # which gives it the application
