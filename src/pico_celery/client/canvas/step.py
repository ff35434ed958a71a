"""A call of a contract's task as one of Celery's signatures; the definition stays in this process."""

from __future__ import annotations

from typing import Any, Final, Self, TypeVar

from celery import Celery
from celery.canvas import Signature
from celery.result import AsyncResult as CeleryAsyncResult

from pico_celery.client.canvas.workflow_spec import AnySignature, WorkflowSpec
from pico_celery.client.deadlines import hand_on_deadlines
from pico_celery.client.results.async_result import AsyncResult as TypedAsyncResult
from pico_celery.client.results.hub import hub_of
from pico_celery.contract.definition import TaskDefinition
from pico_celery.messaging.calls import EncodedCall

R_co = TypeVar("R_co", covariant=True)
hand_on_deadlines()  # of the steps that this process sends
CACHED: Final = ("app", "type", "AsyncResult", "_apply_async")  # what Celery's signatures compute once


class CopiedSignature(Signature[R_co]):
    """A signature whose clones are of its own class, which Celery's are not."""

    _app: Celery | None

    @property
    def spec(self) -> WorkflowSpec:
        """What it is made of now."""
        raise NotImplementedError

    @property
    def bound_app(self) -> Celery | None:
        """The application that sends it, or ``None``, where ``app`` would be the current one."""
        return self._app

    @classmethod
    def adopt(cls, plain: AnySignature, **state: object) -> Self:
        """Return another signature as one of this class, with more attributes; the other one is used up."""
        adopted = cls.__new__(cls)
        known = {name: value for name, value in vars(plain).items() if name not in CACHED}
        vars(adopted).update({**known, **state})
        dict.update(adopted, plain)
        return adopted

    def clone(
        self, args: tuple[object, ...] | None = None, kwargs: dict[str, object] | None = None, **opts: Any
    ) -> Self:
        """Return a copy that may be changed, of the same class."""
        own = {name: value for name, value in vars(self).items() if name not in CACHED}
        return self.adopt(super().clone(args, kwargs, **opts), **own)

    partial = clone

    def plain(self) -> Signature[R_co]:
        """Return a copy of Celery's own class."""
        return super().clone()


class Step(CopiedSignature[R_co]):
    """A call as a step of a workflow: all its encoded arguments or all but the first, and its send options."""

    def __init__(
        self,
        definition: TaskDefinition,
        call: EncodedCall,
        options: dict[str, object],
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
    def AsyncResult(self) -> Any:  # noqa: ANN401, N802 - Celery's name; it calls it with the id
        """What Celery calls with an id for the result of this step."""
        return self._result

    def _result(self, task_id: str) -> TypedAsyncResult[R_co]:
        result: TypedAsyncResult[R_co] = TypedAsyncResult(task_id, app=self.app, definition=self.definition)
        # As a call's own result: waiting for one that is not stored is an error, instead of waiting forever.
        result.ignored = bool(self.options.get("ignore_result"))
        if not result.ignored:
            # Celery makes the results before it sends the calls.
            result._heard = hub_of(self.app).expect(result)
        return result

    def freeze(self, _id: str | None = None, *args: Any, **kwargs: Any) -> CeleryAsyncResult[R_co]:
        """Give the call its id, as Celery does; an id of this process, whose one subscription covers all of them."""
        hub = hub_of(self.app)
        self.options.update({name: value for name, value in hub.reply_options.items() if name not in self.options})
        return super().freeze(_id or hub.ids.new(), *args, **kwargs)

    def reprcall(self, *_args: object, **_kwargs: object) -> str:
        """Return the call for logs, without the values that the contract hides."""
        return f"{self.definition.name}({self.call.kwargsrepr})"


def step_of(signature: Step[object]) -> Step[object]:
    """Return a plain step that shares nothing with the signature that Celery changes."""
    return Step.adopt(signature.clone())
