"""What a coroutine asks of Celery's side of its task: carried out where the tracer stands, not on the event loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from celery import Task
from celery.exceptions import Ignore, Retry


class RetryRequested(Retry):
    """A retry that a body asked for; it is published when the body has ended."""

    options: Mapping[str, Any]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Build the request.

        Args:
            options: Those of `celery.Task.retry`.

        Returns:
            What ends the body.
        """
        when = options.get("eta") or options.get("countdown")
        request = cls("the task asked for its retry", options.get("exc"), when)
        request.options = {name: value for name, value in options.items() if value is not None}
        return request

    def carry_out(self, task: Task[..., Any]) -> Any:
        """Publish the retry.

        Args:
            task: The task.

        Raises:
            Retry: Celery's own.
        """
        raise task.retry(**self.options)


class ReplacementRequested(Ignore):
    """A replacement that a body asked for; it is published when the body has ended."""

    signature: Any

    @classmethod
    def of(cls, signature: Any) -> Self:
        """Build the request.

        Args:
            signature: What takes the task's place.

        Returns:
            What ends the body.
        """
        request = cls("the task asked for its replacement")
        request.signature = signature
        return request

    def carry_out(self, task: Task[..., Any]) -> Any:
        """Publish the replacement.

        Args:
            task: The task.

        Returns:
            In eager mode, the result of the signature.

        Raises:
            Ignore: Celery's own.
        """
        return task.replace(self.signature)
