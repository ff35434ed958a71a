"""Complete workflows: a call, a chain, a chord."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Never, Self, Unpack, overload

from pico_celery.client.canvas.checks import (
    check_joinable,
    checked_options,
    require_app,
    send_workflow,
    set_options,
)
from pico_celery.client.canvas.group_result import typed_result
from pico_celery.client.canvas.links import LinkedSignature
from pico_celery.client.canvas.signature_mixin import GroupMember, Q, R_co, S, T, TakesMore, joined
from pico_celery.client.canvas.step import Step, step_of
from pico_celery.client.canvas.workflow_spec import Flow
from pico_celery.client.deadlines import resume_timeout
from pico_celery.client.options import SendOptions, merge_options
from pico_celery.client.publishing.prepare import prepare_encoded
from pico_celery.client.publishing.publish import on_publisher, publish
from pico_celery.client.results.async_result import AsyncResult
from pico_celery.client.results.eager_result import EagerAsyncResult
from pico_celery.messaging.calls import EncodedCall
from pico_celery.messaging.results import decode_result

if TYPE_CHECKING:
    from pico_celery.client.canvas.fork import Fork
    from pico_celery.client.canvas.partial import PartialGroup, PartialSignature


class Workflow(GroupMember[R_co], LinkedSignature[R_co]):
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

    def apply_async(self, args: None = None, kwargs: None = None, **options: Unpack[SendOptions]) -> AsyncResult[R_co]:  # type: ignore[override]  # Celery's options, typed
        """Send the workflow.

        Args:
            args: Celery's own; a complete workflow takes no more arguments.
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
        plain: Any = send_workflow(self.flow, app, options, partial(self.plain().apply_async, args, kwargs))
        return typed_result(plain, self.flow.ends[0], app)

    def delay(self, *args: Never, **kwargs: Never) -> AsyncResult[R_co]:
        """Send the workflow, as `apply_async` does without options."""
        untyped: Any = self  # Celery's own canvas may give it arguments
        return untyped.apply_async(args, kwargs)  # type: ignore[no-any-return]  # as above

    async def asend(self, **options: Unpack[SendOptions]) -> AsyncResult[R_co]:
        """Send the workflow without blocking the event loop; inside a task too.

        Args:
            **options: As `apply_async`.

        Returns:
            The result of the last task, when the broker has the first message; ``await`` it in its turn.

        Raises:
            Exception: As `apply_async`.
        """
        return await on_publisher(
            require_app(self), lambda: self.apply_async(**options), self.flow.name, options.get("timeout")
        )

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """Run the workflow here and now, as Celery does where the tasks are registered."""
        plain = super().apply(*args, **kwargs)
        return typed_result(plain, self.flow.ends[0], require_app(self))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do what Celery does: run a call here and now, send a chain or a chord."""
        outcome = super().__call__(*args, **kwargs)
        return typed_result(outcome, self.flow.ends[0], require_app(self))


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

    def apply_async(self, args: None = None, kwargs: None = None, **options: Unpack[SendOptions]) -> AsyncResult[R_co]:  # type: ignore[override]  # Celery's options, typed
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

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the call here and now, as Celery does where the task is registered, and return its typed value."""
        return decode_result(self.definition, Step.__call__(self, *args, **kwargs))


class ImmutableSignature(TaskSignature[R_co]):
    """One call with all its arguments that ignores the result of a task before it: ``.si(...)``."""
