"""The Celery task that serves a contract: it decodes, runs the coroutine on the process's loop, and encodes.

Celery's tracer, request and consumer are used as they are: `ContractTask.run` is an ordinary synchronous function.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from billiard.einfo import ExceptionInfo
from celery import Celery, Task, states, uuid
from celery.app.task import get_actual_ignore_result  # type: ignore[attr-defined]  # celery-types lacks it
from celery.exceptions import MaxRetriesExceededError, Reject, Retry, TaskRevokedError
from celery.result import EagerResult, ResultBase
from celery.worker.state import revoked

from pico_celery.client.deadlines import check_in_time, hand_on_deadlines, resume_timeout, settle_deadline
from pico_celery.client.idempotency import send_once, settle_key
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.deprecation import warn_if_deprecated, warn_of_old_call
from pico_celery.errors import DeadlineExceeded, ExecutionError
from pico_celery.messaging.calls import decode_call, encode_call, shown_call
from pico_celery.messaging.deadline import seconds_until, set_current_deadline, with_deadline
from pico_celery.messaging.headers import CONTRACT_HEADER, DIGEST_HEADER, contract_headers, is_current
from pico_celery.messaging.results import SealedResult, encode_result
from pico_celery.worker.bridge import wait_for
from pico_celery.worker.coroutine import CoroutineRun
from pico_celery.worker.current import Execution, current_execution, install, run_as_current
from pico_celery.worker.deadlines import deadline_of, start_in_time
from pico_celery.worker.engine import EngineOptions
from pico_celery.worker.execution import Binding, execute
from pico_celery.worker.failing import outgoing, policy_of, retry_by
from pico_celery.worker.guard import MessageGuard
from pico_celery.worker.loop import LoopService, current_loop_service, running_loop_service
from pico_celery.worker.old_calls import tell_old_call
from pico_celery.worker.options import sending_options, task_attributes
from pico_celery.worker.requests import ReplacementRequested, RetryRequested

_logger = logging.getLogger(__name__)


class SealedMaxRetriesExceededError(MaxRetriesExceededError):
    """As Celery's, without the arguments in its message, which may hold secrets."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        super().__init__("the task failed in its last retry; its arguments are not shown")


class ContractTask(Task[..., Any]):
    """A task of a contract, bound to the method of a component."""

    abstract = True
    typing = False  # the contract checks every path, with better messages
    serializer = "json"
    Strategy = "pico_celery.worker.guard:strategy"
    binding: Binding
    outdated = False

    @property
    def definition(self) -> TaskDefinition:
        """The task as its contract declares it."""
        return self.binding.definition

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Serve one message: decode, execute, encode.

        Args:
            *args: Positional arguments of the message.
            **kwargs: Keyword arguments of the message.

        Returns:
            The encoded result.

        Raises:
            PayloadError: If the arguments do not fit the contract; no user code has run.
            ResultError: If the result does not.
            DeadlineExceeded: If the deadline has passed, now or before its end; it is not started then, or cancelled.
            Exception: What the implementation raised.
        """
        request = self.request
        service = self._loop_service()
        deadline = start_in_time(self.name, request, service.options.cancel_grace_seconds)
        headers = _headers_of(request)
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

    def retry(  # noqa: PLR0917 - Celery's own signature
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: Any = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Any:
        """Retry the task, as Celery does; inside its coroutine, published when that has ended.

        With ``throw=False`` it is published at once, where it stands: on the event loop, inside a coroutine.

        Args:
            args: As Celery's.
            kwargs: As Celery's.
            exc: As Celery's.
            throw: As Celery's.
            eta: As Celery's.
            countdown: As Celery's, in seconds.
            max_retries: As Celery's.
            **options: As Celery's.

        Returns:
            Celery's `Retry`, where ``throw`` is false.

        Raises:
            Retry: Where ``throw`` is true.
        """
        if isinstance(exc, Exception):
            exc = outgoing(self.definition, exc)
        given = {"eta": eta, "countdown": countdown, "max_retries": max_retries, "exc": exc, **options}
        if throw and self._is_inside_body():
            raise RetryRequested.of({"args": args, "kwargs": kwargs, **given})
        if throw:
            self._check_time_for_retry(eta, countdown, exc)
        if args is not None or kwargs is not None:
            args, kwargs = self._changed_call(args, kwargs)
            if self.definition.declared:  # what is encoded anew is of the contract here, whichever the message was of
                headers = given.get("headers") or self.request.headers or {}
                given["headers"] = {**headers, **contract_headers(self.definition)}
        if throw and not self.request.is_eager and not self.request.called_directly:
            raise self._retried(args, kwargs, given)
        return super().retry(args, kwargs, throw=throw, **given)

    def _retried(self, args: Any, kwargs: Any, given: Mapping[str, Any]) -> Any:
        """Store that the task is retried, then publish its retry.

        Celery does it the other way round: in another process the retry may have ended by then, and its outcome would
        be overwritten for ever.
        """
        request: Any = self.request
        request.is_eager = True  # Celery makes the signature then, and does not publish it
        try:
            retried: Any = super().retry(args, kwargs, throw=False, **given)
        finally:
            request.is_eager = False
        retried.is_eager = False
        if not get_actual_ignore_result(self, request) and not self.store_errors_even_if_ignored:
            self._store_retry(retried)
            request.ignore_result = True  # the tracer would store it once more
        try:
            retried.sig.apply_async()
        except Exception as error:
            raise Reject(error, requeue=False) from error
        return retried

    def _store_retry(self, retried: Any) -> None:
        try:
            raise retried
        except Retry:
            info = ExceptionInfo()
        request: Any = self.request
        try:
            self.backend.mark_as_retry(request.id, retried.exc, info.traceback, request=request)
        except Exception:
            # The try itself must not be lost for it; its outcome is stored in any case.
            _logger.exception("%s[%s] is retried, which could not be stored", self.name, request.id)

    def _check_time_for_retry(self, eta: Any, countdown: float | None, exc: BaseException | None) -> None:
        """End the task now where its next try would begin after its deadline, as where no tries are left."""
        deadline = deadline_of(self.request)
        if deadline is None:
            return
        left = seconds_until(deadline)
        if isinstance(eta, datetime) and eta.tzinfo is not None:
            wait = seconds_until(eta)
        else:
            wait = 0.0 if eta else float(self.default_retry_delay if countdown is None else countdown)
        if wait >= left:
            late = DeadlineExceeded.of(self.name, self.request.id or "", deadline, "retrying")
            if exc is None or isinstance(exc, DeadlineExceeded):  # which its coroutine heard of in another shape
                raise late from None
            exc.add_note(str(late))
            raise exc

    def _changed_call(self, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Return the arguments of a retry, encoded: those given win over those of this call, whichever way either came."""
        request, names = self.request, self.definition.positional
        extra, values = decode_call(self.definition, request.args or (), request.kwargs or {}, _headers_of(request))
        if extra:  # only an implied contract with *args: what it does not describe is left to Celery
            return args, kwargs
        if args is None:
            # Arguments travel by name: what must be given may have been given by position, which Celery would keep.
            required = {parameter.name for parameter in self.definition.parameters if parameter.required}
            kept = {name: values[name] for name in (*names[: len(request.args or ())], *required) if name in values}
        else:
            kept = (
                {} if kwargs is not None else {name: values[name] for name in values if name not in names[: len(args)]}
            )
        call = encode_call(self.definition, args or (), {**kept, **(kwargs or {})})
        return call.args, call.kwargs

    def replace(self, sig: Any) -> Any:
        """Replace the task, as Celery does; inside its coroutine, without publishing on the event loop.

        Args:
            sig: The signature that takes its place.

        Returns:
            In eager mode, the result of the signature.

        Raises:
            Ignore: As Celery's.
        """
        if self._is_inside_body():
            raise ReplacementRequested.of(sig)
        deadline = deadline_of(self.request)
        if deadline is not None:
            sig = self.app.signature(with_deadline(sig, deadline))
        return super().replace(sig)

    @property
    def override_max_retries(self) -> int:
        """What `retry` was told, kept with the request: executions of one task run side by side here."""
        try:
            value: int = vars(self.request)["override_max_retries"]
        except KeyError:
            raise AttributeError("override_max_retries") from None
        return value

    @override_max_retries.setter
    def override_max_retries(self, value: int) -> None:
        vars(self.request)["override_max_retries"] = value

    @override_max_retries.deleter
    def override_max_retries(self) -> None:
        vars(self.request).pop("override_max_retries", None)

    def _loop_service(self) -> LoopService:
        """Return the loop that runs the coroutine, which must not be the caller's own."""
        service = running_loop_service() or current_loop_service(EngineOptions.of(self.app))
        if service.is_current_thread():
            raise ExecutionError(
                f"{self.name} is run synchronously from inside another task's coroutine, which would block the event loop "
                "for ever: await a client's call instead (await client.task.send(...))"
            )
        return service

    def _is_inside_body(self) -> bool:
        service, execution = running_loop_service(), current_execution()
        inside = service is not None and service.is_current_thread()
        return inside and execution is not None and execution.task is self

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """Execute the task here and now, as Celery does.

        Args:
            *args: As Celery's.
            **kwargs: As Celery's.

        Returns:
            Celery's eager result, with plain JSON data in it.

        Raises:
            ExecutionError: Inside the coroutine of a task, whose event loop it would block for ever.
        """
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

        Args:
            args: Positional arguments.
            kwargs: Keyword arguments.
            *rest: As Celery's.
            **options: As Celery's.

        Returns:
            Celery's result.

        Raises:
            PayloadError: If the arguments do not fit the contract.
            DeadlineExceeded: If the running task that sends it has no time left.
        """
        given = {name: value for name, value in options.items() if value is not None or name == "timeout"}
        options = {**sending_options(self.definition, self.binding.options), **resume_timeout(given)}
        if options.get("retries"):
            options.pop("timeout", None)  # it counts from the call, not from its last try
        encoded = DIGEST_HEADER in (options.get("headers") or {})
        timed, (options, deadline) = options, settle_deadline(options)
        if encoded or "parent_id" in options or "root_id" in options:
            options.pop("idempotency_ttl", None)  # what a canvas or a retry sends is never another call
            if self.definition.arguments.sensitive and "kwargsrepr" not in options:
                shown = shown_call(self.definition, args or (), kwargs or {}, options.get("headers"))
                options["argsrepr"], options["kwargsrepr"] = shown
            return super().apply_async(args, kwargs, *rest, **options)
        if self.name != self.definition.name:
            warn_of_old_call(self.name, self.definition)
            return self.app.tasks[self.definition.name].apply_async(args, kwargs, *rest, **given)
        warn_if_deprecated(self.definition)
        call = encode_call(self.definition, args or (), kwargs or {})
        check_in_time(self.name, timed, deadline)
        options.setdefault("argsrepr", call.argsrepr)
        options.setdefault("kwargsrepr", call.kwargsrepr)
        options["headers"] = {**(options.get("headers") or {}), **contract_headers(self.definition)}
        key = settle_key(self.definition, call.kwargs, options)
        if key is None or self.app.conf.task_always_eager:
            return super().apply_async(call.args, call.kwargs, *rest, **options)
        task_id = options.setdefault("task_id", uuid())
        send = partial(super().apply_async, call.args, call.kwargs, *rest, **options)
        return send_once(self.app, key, task_id, send, self.AsyncResult)


def _headers_of(request: Any) -> Mapping[str, Any]:
    digest = getattr(request, DIGEST_HEADER, None)
    if digest is not None:
        return {DIGEST_HEADER: digest, CONTRACT_HEADER: getattr(request, CONTRACT_HEADER, "")}
    headers = getattr(request, "headers", None)
    return headers if isinstance(headers, Mapping) else {}


def register(app: Celery, binding: Binding) -> ContractTask:
    """Register a task on an application, under its name and its aliases.

    Args:
        app: The application.
        binding: Task and method.

    Returns:
        The registered Celery task.
    """
    definition = binding.definition
    attributes = task_attributes(definition, binding.options)
    if definition.arguments.sensitive or definition.result.sensitive:
        attributes["Request"] = "pico_celery.worker.sealed_request:SealedRequest"
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
