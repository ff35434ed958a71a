"""The Celery task that serves a contract: it decodes, runs the coroutine on the process's loop, and encodes.

Celery's tracer, request and consumer are used as they are: `ContractTask.run` is an ordinary synchronous function.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from celery import Celery, states, uuid
from celery.exceptions import MaxRetriesExceededError, TaskRevokedError
from celery.result import EagerResult, ResultBase
from celery.worker.state import revoked

from pico_celery.celery_port import check_redaction
from pico_celery.client.deadlines import hand_on_deadlines, resume_timeout
from pico_celery.client.idempotency import send_once
from pico_celery.client.publishing.prepare import prepare, resolve_deadline
from pico_celery.contract.deprecation import warn_if_deprecated, warn_of_old_call
from pico_celery.errors import ExecutionError
from pico_celery.messaging.calls import decode_call, shown_call
from pico_celery.messaging.deadline import set_current_deadline, with_deadline
from pico_celery.messaging.headers import DIGEST_HEADER, headers_of, is_current
from pico_celery.messaging.results import SealedResult, encode_result
from pico_celery.worker.binding import Binding, execute
from pico_celery.worker.bridge import wait_for
from pico_celery.worker.coroutine import CoroutineRun
from pico_celery.worker.deadlines import deadline_of, start_in_time
from pico_celery.worker.deprecation_log import tell_old_call
from pico_celery.worker.engine_options import EngineOptions
from pico_celery.worker.execution import Execution, ReplacementRequested, RetryRequested, install, run_as_current
from pico_celery.worker.failures import outgoing, policy_of, retry_by
from pico_celery.worker.loop import LoopService, current_loop_service, running_loop_service
from pico_celery.worker.message_guard import MessageGuard
from pico_celery.worker.options import sending_options, task_attributes
from pico_celery.worker.redacted_request import SealedRequest
from pico_celery.worker.retrying import RetryingTask


class SealedMaxRetriesExceededError(MaxRetriesExceededError):
    """As Celery's, without the arguments in its message, which may hold secrets."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        super().__init__("the task failed in its last retry; its arguments are not shown")


class ContractTask(RetryingTask):
    """A task of a contract, bound to the method of a component."""

    abstract = True
    typing = False  # the contract checks every path, with better messages
    serializer = "json"
    Strategy = "pico_celery.worker.message_guard:strategy"
    outdated = False

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Serve one message: decode, execute, encode."""
        request = self.request
        service = self._loop_service()
        deadline = start_in_time(self.name, request, service.options.cancel_grace_seconds)
        headers = headers_of(request)
        if self.outdated or not is_current(self.definition, headers):
            tell_old_call(self.definition, self.name, request, headers)
        extra, values = decode_call(self.definition, args, kwargs, headers)
        task_id = request.id or "direct"
        execution = Execution(self, request, f"{self.name}[{task_id}]")
        execution.run = run = CoroutineRun(
            lambda: run_as_current(execution, execute(service, self.binding, task_id, extra, values)), execution.label
        )
        if deadline is not None:
            execution.deadline = deadline.at
            run.deadline = deadline
        set_current_deadline(run.context, execution.deadline)
        try:
            result = self._wait(service, execution, run)
        except (RetryRequested, ReplacementRequested) as asked:
            return asked.carry_out(self)
        except Exception as error:
            failure = outgoing(self.definition, error)
            retry_by(policy_of(self.definition, self.binding.options), self, failure)
            if failure is error:
                raise
            raise failure from error
        if not self.definition.declared and isinstance(result, ResultBase):
            stored: Any = result
            result = stored.as_tuple()  # as Celery stores the ids of the tasks that a task has sent
        return encode_result(self.definition, result, headers)

    def _wait(self, service: LoopService, execution: Execution, run: CoroutineRun[Any]) -> Any:
        """Wait for a body, and for what it stored of its progress: nothing of it may come after the outcome."""
        try:
            return wait_for(service, run)
        finally:
            execution.wait_for_stores()
            task_id = execution.request.id
            if execution.has_reported and run.interrupted and task_id in revoked:
                # Celery stored the revocation before it cancelled the coroutine.
                error = TaskRevokedError("terminated")
                self.backend.store_result(task_id, error, states.REVOKED, request=execution.request)

    def replace(self, sig: Any) -> Any:
        """Replace the task, as Celery does; inside its coroutine, without publishing on the event loop."""
        if self.is_inside_body():
            raise ReplacementRequested.of(sig)
        deadline = deadline_of(self.request)
        if deadline is not None:
            sig = self.app.signature(with_deadline(sig, deadline))
        return super().replace(sig)

    def _loop_service(self) -> LoopService:
        """Return the loop that runs the coroutine, which must not be the caller's own."""
        service = running_loop_service() or current_loop_service(EngineOptions.of(self.app))
        if service.is_current_thread():
            raise ExecutionError(
                f"{self.name} is run synchronously from inside another task's coroutine, which would block the event loop "
                "forever: await a client's call instead (await client.task.asend(...))"
            )
        return service

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """Execute the task here and now, as Celery does."""
        self._loop_service()
        eager = super().apply(*args, **kwargs)
        result = eager.result
        if isinstance(result, SealedResult):
            return EagerResult(eager.id, result.data, eager.state, name=self.name)
        return eager

    def apply_async(self, args: Any = None, kwargs: Any = None, *rest: Any, **options: Any) -> Any:
        """Send the task, as Celery does, with its arguments validated and encoded as a client's are.

        Messages that canvas and retry make from others are passed on, and so are typed signatures, whose arguments are
        encoded already; the worker that gets them validates them, so that what is wrong with them is the failure of
        their own task.
        """
        given = {name: value for name, value in options.items() if value is not None or name == "timeout"}
        options = {**sending_options(self.definition, self.binding.options), **resume_timeout(given)}
        if options.get("retries"):
            options.pop("timeout", None)  # it counts from the call, not from its last try
        if DIGEST_HEADER in (options.get("headers") or {}) or "parent_id" in options or "root_id" in options:
            options, _ = resolve_deadline(options)
            options.pop("idempotency_ttl", None)  # what a canvas or a retry sends is never another call
            if self.definition.arguments.sensitive and "kwargsrepr" not in options:
                shown = shown_call(self.definition, args or (), kwargs or {}, options.get("headers"))
                options["argsrepr"], options["kwargsrepr"] = shown
            return super().apply_async(args, kwargs, *rest, **options)
        if self.name != self.definition.name:
            warn_of_old_call(self.name, self.definition)
            return self.app.tasks[self.definition.name].apply_async(args, kwargs, *rest, **given)
        warn_if_deprecated(self.definition)
        prepared = prepare(self.definition, args or (), kwargs or {}, options)
        call, key = prepared.call, prepared.key
        options = {"argsrepr": call.argsrepr, "kwargsrepr": call.kwargsrepr, **prepared.options}
        if key is None or self.app.conf.task_always_eager:
            return super().apply_async(call.args, call.kwargs, *rest, **options)
        task_id = options.setdefault("task_id", uuid())
        send = partial(super().apply_async, call.args, call.kwargs, *rest, **options)
        return send_once(self.app, key, task_id, send, self.AsyncResult)


def register(app: Celery, binding: Binding) -> ContractTask:
    """Register a task on an application, under its name and its aliases."""
    definition = binding.definition
    attributes = task_attributes(definition, binding.options)
    if definition.arguments.sensitive or definition.result.sensitive:
        check_redaction(SealedRequest)
        attributes["Request"] = "pico_celery.worker.redacted_request:SealedRequest"
        attributes["MaxRetriesExceededError"] = SealedMaxRetriesExceededError
    members = {
        "name": definition.name,
        "binding": binding,
        "__module__": binding.component.__module__,
        "__doc__": definition.doc or None,
        "outdated": definition.deprecated is not None,
        **attributes,
    }
    cls: type[ContractTask] = type(binding.attribute, (ContractTask,), members)
    task = _add(app, cls)
    for alias in definition.aliases:
        # Of the bound class: what the settings say of the task by its name (task_annotations) holds for it too.
        _add(app, type(binding.attribute, (cls,), {"name": alias, "__module__": cls.__module__, "outdated": True}))
    app.steps["consumer"].add(MessageGuard)
    hand_on_deadlines()
    return task


def _add(app: Celery, cls: type[ContractTask]) -> ContractTask:
    app.tasks.pop(cls.name, None)
    task: ContractTask = app.register_task(cls())
    install(task)
    return task
