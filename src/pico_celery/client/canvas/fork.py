"""Complete workflows that end in a group."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Never, Unpack

from pico_celery.client.canvas.checks import as_errback, check_joinable, require_app, send_workflow
from pico_celery.client.canvas.group_result import GroupResult, S_co, T_co, typed_group
from pico_celery.client.canvas.signature_mixin import GroupMember, T, TypedSignature, joined
from pico_celery.client.options import SendOptions
from pico_celery.client.publishing.publish import on_publisher
from pico_celery.errors import CompositionError, Fault

if TYPE_CHECKING:
    from pico_celery.client.canvas.partial import PartialSignature
    from pico_celery.client.canvas.workflow import ImmutableSignature, Workflow


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
        self, args: None = None, kwargs: None = None, **options: Unpack[SendOptions]
    ) -> GroupResult[T_co, S_co]:
        """Send the workflow.

        Args:
            args: Celery's own; a complete workflow takes no more arguments.
            kwargs: As ``args``.
            **options: See `SendOptions`; those of a group hold for each member.

        Returns:
            The results of the members.

        Raises:
            Exception: As `Workflow.apply_async`.
        """
        app = require_app(self)
        check_joinable(self.flow, app)
        plain: Any = send_workflow(self.flow, app, options, partial(self.plain().apply_async, args, kwargs))
        return typed_group(plain, self._flow.ends, app, named=self._flow.named)

    def delay(self, *args: Never, **kwargs: Never) -> GroupResult[T_co, S_co]:  # type: ignore[override]  # as apply_async
        """Send the workflow, as `apply_async` does without options."""
        untyped: Any = self  # Celery's own canvas may give it arguments
        return untyped.apply_async(args, kwargs)  # type: ignore[no-any-return]  # as above

    async def asend(self, **options: Unpack[SendOptions]) -> GroupResult[T_co, S_co]:
        """Send the workflow without blocking the event loop; inside a task too.

        Args:
            **options: As `apply_async`.

        Returns:
            The results of the members, when the broker has the messages.

        Raises:
            Exception: As `Workflow.apply_async`.
        """
        return await on_publisher(
            require_app(self), lambda: self.apply_async(**options), self.flow.name, options.get("timeout")
        )

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """Run the workflow here and now, as Celery does where the tasks are registered."""
        plain = super().apply(*args, **kwargs)
        return typed_group(plain, self._flow.ends, require_app(self), named=self._flow.named)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Send the workflow, as Celery does."""
        untyped: Any = self
        return untyped.apply_async(args, **kwargs)

    def link(self, callback: Never) -> Never:  # type: ignore[override]  # noqa: ARG002 - it is refused whatever it is
        """Refuse a callback: Celery would link it to the first member alone.

        Args:
            callback: What is refused.

        Raises:
            CompositionError: In every case.
        """
        name = self.flow.name
        remedy = "put a task after the group, which takes all its results: group(...) | task.s()"
        fault = Fault(task=name, expected="a task after the group", got="a link", remedy=remedy, code="group_link")
        raise CompositionError.of(f"{name}.link", [fault])

    def link_error(self, errback: PartialSignature[str, Any] | ImmutableSignature[Any]) -> Any:  # type: ignore[override]  # Celery's takes everything
        """Have a call sent with the id of each task of the workflow that fails, as `Workflow.link_error` does."""
        super().link_error(as_errback(self, errback))
        return errback


class GroupSignature(GroupMember[T_co], Fork[T_co, S_co]):
    """Calls or workflows side by side."""
