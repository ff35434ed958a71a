"""What all typed signatures have in common: their place in a workflow, and how they are joined.

A signature is complete (`Workflow`: it can be sent) or needs the result of a task before it (`PartialSignature`). Its
result is one value, or those of a group (`Fork`, `GroupSignature`; `PartialGroup`). Each is a signature of Celery's too,
of the class that Celery has for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Never, ParamSpec, Protocol

from celery.canvas import Signature
from typing_extensions import TypeVar

from pico_celery.celery_port import chain_links
from pico_celery.client.canvas.group_result import T_co
from pico_celery.client.canvas.step import CopiedSignature
from pico_celery.client.canvas.workflow_spec import Flow, join

if TYPE_CHECKING:
    from pico_celery.client.canvas.workflow import ImmutableSignature

Q = ParamSpec("Q")
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
        links = chain_links(self)
        return replace(self._flow, steps=(self.plain(),) if links is None else links, app=app)

    if not TYPE_CHECKING:  # to type checkers it stays that of dict, which has no timeout

        def get(self, *args: Any, **options: Any) -> Any:
            """Return an item of the signature, which is a dict; refuse what would be a wait for its result.

            Raises:
                TypeError: If it is called as a result's ``get`` is.
            """
            if options or not args or not isinstance(args[0], str):
                raise TypeError(
                    f"this signature of {self.get('task')} has not been sent yet, so it has no result: "
                    "send it first, with .delay().get(timeout=...) or await (await signature.asend())"
                )
            return dict.get(self, *args)

    def __ror__(self, other: Never, /) -> Any:  # type: ignore[override]  # a signature is a dict, whose own | would merge
        """Put this after one of Celery's signatures, as Celery does; nothing else can stand there."""
        return _after(other, self)


class GroupMember(Generic[T_co]):
    """What a group may have as a member: a workflow with one result, or a group of results of that type."""


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
