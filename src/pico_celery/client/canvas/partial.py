"""Parts of workflows that need the result of a task before them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, Unpack, overload

from pico_celery.client.canvas.checks import (
    check_joinable,
    first_argument,
    require_app,
    send_workflow,
    set_options,
)
from pico_celery.client.canvas.group_result import GroupResult, S_co, T_co, typed_group, typed_result
from pico_celery.client.canvas.links import LinkedSignature
from pico_celery.client.canvas.signature_mixin import A_contra, R_co, S, T, TypedSignature, joined
from pico_celery.client.canvas.step import Step, step_of
from pico_celery.client.canvas.workflow_spec import Flow
from pico_celery.client.options import SendOptions
from pico_celery.client.publishing.publish import on_publisher
from pico_celery.client.results.async_result import AsyncResult

if TYPE_CHECKING:
    from pico_celery.client.canvas.workflow import ImmutableSignature


class PartialSignature(LinkedSignature[R_co], Generic[A_contra, R_co]):
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

    def apply_async(  # type: ignore[override]  # as Workflow
        self, args: tuple[A_contra], kwargs: None = None, **options: Unpack[SendOptions]
    ) -> AsyncResult[R_co]:
        """Send it with the first argument in place of the result before it.

        Args:
            args: The first argument alone.
            kwargs: Celery's own; the other arguments are given already.
            **options: As `Workflow.apply_async`.

        Returns:
            The result of the last task.

        Raises:
            PayloadError: If the argument does not fit.
            CompositionError: If there is none.
            Exception: As `Workflow.apply_async`.
        """
        app = require_app(self)
        check_joinable(self.flow, app)
        given = first_argument(self.flow, args, self.args)
        plain: Any = send_workflow(self.flow, app, options, partial(self.plain().apply_async, given, kwargs))
        return typed_result(plain, self.flow.ends[0], app)

    def delay(self, first: A_contra, /) -> AsyncResult[R_co]:
        """Send it with the first argument in place of the result before it, as `apply_async` does without options."""
        return self.apply_async((first,))

    async def asend(self, first: A_contra, /, **options: Unpack[SendOptions]) -> AsyncResult[R_co]:
        """Send it with the first argument, without blocking the event loop; inside a task too.

        Args:
            first: The first argument.
            **options: As `apply_async`.

        Returns:
            The result of the last task, when the broker has the first message.

        Raises:
            Exception: As `apply_async`.
        """
        return await on_publisher(
            require_app(self), lambda: self.apply_async((first,), **options), self.flow.name, options.get("timeout")
        )


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


class PartialGroup(TypedSignature[S_co], Generic[A_contra, T_co, S_co]):
    """A group whose members each need the result of the task before it, or a workflow that ends in one."""

    def __or__(  # type: ignore[override]  # as Workflow
        self, other: PartialSignature[S_co, T] | PartialSignature[list[T_co], T] | ImmutableSignature[T], /
    ) -> PartialSignature[A_contra, T]:
        """Put a task after the group, which takes all results at once, as `Fork.__or__` does."""
        part: PartialSignature[A_contra, T] = joined(self, other)
        return part

    def apply_async(  # type: ignore[override]  # as Workflow
        self, args: tuple[A_contra], kwargs: None = None, **options: Unpack[SendOptions]
    ) -> GroupResult[T_co, S_co]:
        """Send it with the first argument in place of the result before it, as `PartialSignature.apply_async` does."""
        app = require_app(self)
        check_joinable(self.flow, app)
        given = first_argument(self.flow, args, self.args)
        plain: Any = send_workflow(self.flow, app, options, partial(self.plain().apply_async, given, kwargs))
        return typed_group(plain, self._flow.ends, app, named=self._flow.named)

    def delay(self, first: A_contra, /) -> GroupResult[T_co, S_co]:  # type: ignore[override]  # as apply_async
        """Send it with the first argument in place of the result before it, as `apply_async` does without options."""
        return self.apply_async((first,))

    async def asend(self, first: A_contra, /, **options: Unpack[SendOptions]) -> GroupResult[T_co, S_co]:
        """Send it with the first argument, without blocking the event loop, as `PartialSignature.asend` does."""
        return await on_publisher(
            require_app(self), lambda: self.apply_async((first,), **options), self.flow.name, options.get("timeout")
        )
