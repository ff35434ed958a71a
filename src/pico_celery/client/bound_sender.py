"""A contract's task as a typed call, of a client that has its application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar, Unpack, cast

from celery import Celery

from pico_celery.client.batch import asend_batch, prepare_many, send_batch, send_batch_soon
from pico_celery.client.call_scope import CallScope
from pico_celery.client.canvas.signature_mixin import SignatureMixin
from pico_celery.client.options import SendOptions, check_send_options, merge_options
from pico_celery.client.publishing.prepare import prepare
from pico_celery.client.publishing.publish import apublish, is_eager, publish, publish_soon
from pico_celery.client.results.async_result import AsyncResult
from pico_celery.client.results.waiting import running_loop
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.deprecation import warn_if_deprecated

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
First = TypeVar("First")
Rest = ParamSpec("Rest")


class BoundSender(SignatureMixin[P, R_co]):
    """A task that can be called: a sender of a client that has its application.

    Args:
        app: The application that publishes.
        definition: The task.
        options: Checked options.
    """

    __slots__ = ("_app", "_options", "definition")

    def __init__(self, app: Celery, definition: TaskDefinition, options: Mapping[str, object]) -> None:
        self._app = app
        self._options = options
        self.definition = definition

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R_co]:
        """Validate the arguments, publish the call, and return its result to be.

        Inside a running event loop the call is handed over to a thread of the library, which publishes in the order of the
        calls: the loop is not held up. Why a call could not be sent is raised where its result is waited for.

        Args:
            *args: As the contract says.
            **kwargs: As the contract says.

        Returns:
            The typed result; ``.get()`` or ``await`` it.

        Raises:
            PayloadError: If the arguments do not fit the contract; nothing is published then.
            kombu.exceptions.OperationalError: If the broker cannot be reached.
        """
        warn_if_deprecated(self.definition)
        app, prepared = self._app, prepare(self.definition, args, kwargs, self._options)
        loop = running_loop()
        if loop is not None and not is_eager(app, self.definition):
            return publish_soon(app, prepared, loop)
        return publish(app, prepared)

    async def asend(self, *args: P.args, **kwargs: P.kwargs) -> AsyncResult[R_co]:
        """Validate the arguments and publish the call without blocking the event loop; inside a task too.

        Args:
            *args: As the contract says.
            **kwargs: As the contract says.

        Returns:
            The typed result to be, when the broker has the message; ``await`` it in its turn.

        Raises:
            PayloadError: If the arguments do not fit the contract; nothing is published then.
            kombu.exceptions.OperationalError: If the broker cannot be reached.
        """
        warn_if_deprecated(self.definition)
        return await apublish(self._app, prepare(self.definition, args, kwargs, self._options))

    def send_many(  # pyright: ignore[reportGeneralTypeIssues]  # any callable with a first parameter: mypy knows it only so
        self: Callable[Concatenate[First, Rest], AsyncResult[R]],
        items: Iterable[First],
        /,
        *args: Rest.args,
        **kwargs: Rest.kwargs,
    ) -> list[AsyncResult[R]]:
        """Send many calls at once: all are validated before the first is sent, and few commands carry them.

        Inside a running event loop the batch is handed over to a thread of the library, as one call is.

        Args:
            items: Values of the first parameter, one for each call.
            *args: Further positional arguments, the same for all calls.
            **kwargs: Keyword arguments, the same for all calls.

        Returns:
            The results to be, in the order of the items.

        Raises:
            PayloadError: If arguments do not fit the contract; nothing is published then.
            BatchError: If not all calls could be sent; it says which were. On an event loop it is raised where the results
                of the others are waited for.
        """
        sender: Any = self
        return cast("list[AsyncResult[R]]", sender._batch(items, args, kwargs))

    async def asend_many(  # pyright: ignore[reportGeneralTypeIssues]  # as send_many
        self: Callable[Concatenate[First, Rest], AsyncResult[R]],
        items: Iterable[First],
        /,
        *args: Rest.args,
        **kwargs: Rest.kwargs,
    ) -> list[AsyncResult[R]]:
        """Send many calls at once without blocking the event loop, and wait until the broker has them.

        Args:
            items: Values of the first parameter, one for each call.
            *args: Further positional arguments, the same for all calls.
            **kwargs: Keyword arguments, the same for all calls.

        Returns:
            The results to be, in the order of the items.

        Raises:
            PayloadError: If arguments do not fit the contract; nothing is published then.
            BatchError: If not all calls could be sent; it says which were.
        """
        sender: Any = self
        warn_if_deprecated(sender.definition)
        return cast("list[AsyncResult[R]]", await sender._abatch(items, args, kwargs))

    def _batch(self, items: Iterable[Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[AsyncResult[Any]]:
        """Send many calls, as `send_many` does, without its types."""
        warn_if_deprecated(self.definition)
        app, calls = self._app, prepare_many(self.definition, items, args, kwargs, self._options)
        if running_loop() is not None and not is_eager(app, self.definition):
            return send_batch_soon(app, calls)
        return send_batch(app, calls)

    async def _abatch(
        self, items: Iterable[Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[AsyncResult[Any]]:
        """Send many calls, as `asend_many` does, without its types."""
        return await asend_batch(self._app, prepare_many(self.definition, items, args, kwargs, self._options))

    def scope(self, *args: P.args, **kwargs: P.kwargs) -> CallScope[R_co]:
        """Validate the arguments, and return a scope in which the call lives: ``async with ... as result``.

        Entering it publishes the call. However it is left, a task that has not ended then is revoked.

        Args:
            *args: As the contract says.
            **kwargs: As the contract says.

        Returns:
            An asynchronous context manager that gives the typed result to be.

        Raises:
            PayloadError: If the arguments do not fit the contract; nothing is published then.
        """
        warn_if_deprecated(self.definition)
        return CallScope(self._app, prepare(self.definition, args, kwargs, self._options))

    async def acall(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Publish the call and wait for its result; if the wait ends before the task, the task is revoked.

        Args:
            *args: As the contract says.
            **kwargs: As the contract says.

        Returns:
            The validated result.

        Raises:
            PayloadError: If the arguments do not fit the contract; nothing is published then.
            DeadlineExceeded: If there is no result by the deadline.
            kombu.exceptions.OperationalError: If the broker cannot be reached.
            Exception: What the task raised.
        """
        async with self.scope(*args, **kwargs) as result:
            return await result

    def with_options(self, **options: Unpack[SendOptions]) -> BoundSender[P, R_co]:
        """Return the same call with other options.

        Args:
            **options: See `SendOptions`; they win over those of the sender and of the contract.

        Returns:
            A sender with the same signature.

        Raises:
            OptionError: If an option is unknown or has a wrong type.
        """
        checked = check_send_options(options, self.definition.name)
        return BoundSender(self._app, self.definition, merge_options(self._options, checked))

    def __repr__(self) -> str:
        """Return the name of the task."""
        return f"<sender of {self.definition.name}>"

    @property
    def _task(self) -> TaskDefinition:
        return self.definition

    def _sent_with(self) -> tuple[Celery | None, Mapping[str, object]]:
        return self._app, self._options
