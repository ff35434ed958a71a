"""One call as Celery's signature: what travels is plain, what stays here knows its contract."""

from __future__ import annotations

from typing import Any, Final, Self, TypeVar

from celery import Celery
from celery.canvas import Signature

from pico_celery.client.deadlines import hand_on_deadlines
from pico_celery.client.results.async_result import AsyncResult
from pico_celery.client.results.hub import hub_of
from pico_celery.contract.definition import TaskDefinition
from pico_celery.messaging.calls import EncodedCall

R_co = TypeVar("R_co", covariant=True)
hand_on_deadlines()  # of the steps that this process sends
CACHED: Final = ("app", "type", "AsyncResult", "_apply_async")  # what Celery's signatures compute once


class CopiedSignature(Signature[R_co]):
    """A signature whose clones are of its own class, which Celery's are not.

    Of Celery's signatures it knows, beside their public side, where they keep their application and what they compute once.
    """

    _app: Celery | None

    @property
    def bound_app(self) -> Celery | None:
        """The application that sends it, where it has one; ``app`` would be the current one then."""
        return self._app

    @classmethod
    def adopt(cls, plain: Signature[Any], **state: Any) -> Self:
        """Return what another signature says as one of this class.

        Args:
            plain: The other one; it is used up.
            **state: Attributes of the new one.

        Returns:
            The signature.
        """
        adopted = cls.__new__(cls)
        known = {name: value for name, value in vars(plain).items() if name not in CACHED}
        vars(adopted).update({**known, **state})
        dict.update(adopted, plain)
        return adopted

    def clone(self, args: Any = None, kwargs: Any = None, **opts: Any) -> Self:
        """Return a copy, as Celery does: it may be changed.

        Args:
            args: As Celery's.
            kwargs: As Celery's.
            **opts: As Celery's.

        Returns:
            A signature of the same class.
        """
        own = {name: value for name, value in vars(self).items() if name not in CACHED}
        return self.adopt(super().clone(args, kwargs, **opts), **own)

    partial = clone

    def plain(self) -> Signature[R_co]:
        """Return a copy that is Celery's and nothing else."""
        return super().clone()


class Step(CopiedSignature[R_co]):
    """A call of a contract's task, as a part of a workflow.

    Args:
        definition: The task.
        call: Its arguments, encoded; all, or all but the first.
        options: Options of sending, headers included.
        immutable: Whether it takes no result of a task before it.
        app: The application that sends it; without one it cannot be sent.
    """

    def __init__(
        self,
        definition: TaskDefinition,
        call: EncodedCall,
        options: dict[str, Any],
        *,
        immutable: bool = False,
        app: Celery | None = None,
    ) -> None:
        if definition.arguments.sensitive:
            # Celery would compute them from the message, secrets included.
            options = {**options, "argsrepr": call.argsrepr, "kwargsrepr": call.kwargsrepr}
        super().__init__(definition.name, call.args, call.kwargs, options, immutable=immutable, app=app)
        self.definition = definition
        self.call = call

    @property
    def AsyncResult(self) -> Any:  # noqa: N802 - Celery's name; it calls it with the id
        """What Celery makes the results of this part of."""
        return self._result

    def _result(self, task_id: str) -> Any:
        result: Any = AsyncResult(task_id, app=self.app, definition=self.definition)
        # As a call's own: who waits for what is not kept is told so, and does not wait for ever.
        result.ignored = bool(self.options.get("ignore_result"))
        if not result.ignored:
            # Celery makes the results before it sends the calls.
            result.heard = hub_of(self.app).expect(result)
        return result

    def freeze(self, _id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        """Give the call its id, as Celery does: one of this process, which hears of all of them by one subscription.

        Args:
            _id: As Celery's.
            *args: As Celery's.
            **kwargs: As Celery's.

        Returns:
            Its result.
        """
        hub = hub_of(self.app)
        self.options.update({name: value for name, value in hub.reply_options.items() if name not in self.options})
        return super().freeze(_id or hub.ids.new(), *args, **kwargs)

    def reprcall(self, *_args: Any, **_kwargs: Any) -> str:
        """Return the call as logs show it: without what the contract hides."""
        return f"{self.definition.name}({self.call.kwargsrepr})"


def step_of(signature: Step[Any]) -> Step[Any]:
    """Return a copy of a call that is a part and nothing else.

    Args:
        signature: A signature of one call.

    Returns:
        A part that shares nothing with it that Celery changes.
    """
    return Step.adopt(signature.clone())
