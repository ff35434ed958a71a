"""What is sent when a part of a workflow has succeeded, or failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pico_celery.client.canvas.checks import as_callback, as_errback
from pico_celery.client.canvas.signature_mixin import R_co, TypedSignature

if TYPE_CHECKING:
    from pico_celery.client.canvas.partial import PartialSignature
    from pico_celery.client.canvas.workflow import ImmutableSignature


class LinkedSignature(TypedSignature[R_co]):
    """A signature with one result, to which others are linked."""

    def link(self, callback: PartialSignature[R_co, Any] | ImmutableSignature[Any]) -> Any:  # type: ignore[override]  # Celery's takes everything
        """Have a call sent with the result, when the last task has succeeded.

        Args:
            callback: A signature that takes the result, or ignores it.

        Returns:
            The callback.

        Raises:
            CompositionError: If the result does not fit the callback.
        """
        super().link(as_callback(self, callback))
        return callback

    def link_error(self, errback: PartialSignature[str, Any] | ImmutableSignature[Any]) -> Any:  # type: ignore[override]  # as link
        """Have a call sent with the id of a task of the workflow that has failed.

        Args:
            errback: A signature that takes a task's id, or ignores it.

        Returns:
            The errback.

        Raises:
            CompositionError: If it does not take a text.
        """
        super().link_error(as_errback(self, errback))
        return errback
