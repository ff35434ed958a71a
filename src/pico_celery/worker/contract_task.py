"""The Celery task that serves a contract: it decodes, runs the coroutine on the process's loop, encodes, and retries.

Celery's tracer, request and consumer are used as they are: `ContractTask.run` is an ordinary synchronous function.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar, cast

from billiard.einfo import ExceptionInfo
from celery import Celery, Signature, Task, states, uuid
from celery.app.task import Context
from celery.exceptions import MaxRetriesExceededError, Retry, TaskRevokedError
from celery.result import AsyncResult, EagerResult, ResultBase
from celery.worker.state import revoked

from pico_celery.celery_port import check_redaction, ignores_result
from pico_celery.client.deadlines import hand_on_deadlines, resume_timeout
from pico_celery.client.idempotency import send_once
from pico_celery.client.publishing.prepare import prepare, resolve_deadline
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.deprecation import warn_if_deprecated, warn_of_old_call
from pico_celery.errors import DeadlineExceeded, ExecutionError
from pico_celery.messaging.calls import decode_call, encode_call, shown_call
from pico_celery.messaging.deadline import (
    DEADLINE_HEADER,
    TIMEOUT_HEADER,
    current_deadline,
    inherit,
    read_deadline,
    seconds_until,
    set_current_deadline,
    start_timeout,
    with_deadline,
)
from pico_celery.messaging.headers import DIGEST_HEADER, contract_headers, headers_of, is_current
from pico_celery.messaging.results import SealedResult, encode_result
from pico_celery.worker.binding import Binding, execute
from pico_celery.worker.coroutine import CoroutineRun, RunDeadline
from pico_celery.worker.declaration import sending_options, task_attributes
from pico_celery.worker.deprecation_log import log_outdated_call
from pico_celery.worker.engine_options import EngineOptions
from pico_celery.worker.execution import (
    Execution,
    ReplacementRequested,
    RetryRequested,
    current_execution,
    install,
    run_as_current,
)
from pico_celery.worker.failures import outgoing, policy_of, retry_by
from pico_celery.worker.loop import LoopService, current_loop_service, running_loop_service, wait_for
from pico_celery.worker.message_guard import MessageGuard, SealedRequest

T = TypeVar("T")
_STORED: Final = "pico_celery_retry_stored"
_logger = logging.getLogger(__name__)


class SealedMaxRetriesExceededError(MaxRetriesExceededError):
    """As Celery's, without the arguments in its message, which may hold secrets."""

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        super().__init__("the task failed in its last retry; its arguments are not shown")


class _RetryingTask(Task[..., Any]):
    """Retries of a task: within its deadline, by its contract, and stored before another process can run them."""

    abstract = True
    binding: Binding
    stores_ignored_errors: bool | None = None
    """What was declared of `store_errors_even_if_ignored`, if anything."""

    @property
    def definition(self) -> TaskDefinition:
        """The task as its contract declares it."""
        return self.binding.definition

    def retry(  # noqa: PLR0917 - Celery's own signature
        self,
        args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: object,
    ) -> Retry:
        """Retry the task, as Celery does; inside its coroutine, published when that has ended.

        With ``throw=False`` it is published at once, where the caller stands: on the event loop, inside a coroutine.
        """
        if isinstance(exc, Exception):
            exc = outgoing(self.definition, exc)
        given: dict[str, Any] = {"eta": eta, "countdown": countdown, "max_retries": max_retries, "exc": exc, **options}
        if throw and self.is_inside_body():
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
        retry: Callable[..., Retry] = super().retry
        return retry(args, kwargs, throw=throw, **given)

    def _retried(
        self, args: Sequence[object] | None, kwargs: Mapping[str, object] | None, given: Mapping[str, Any]
    ) -> Retry:
        """Store that the task is retried, then publish its retry.

        Celery does it the other way round: in another process the retry may have ended by then, and its outcome would
        be overwritten forever.
        """
        request = self.request
        retry: Callable[..., Any] = super().retry
        request.is_eager = True  # Celery makes the signature then, and does not publish it
        try:
            retried = retry(args, kwargs, throw=False, **given)
        finally:
            request.is_eager = False
        retried.is_eager = False
        is_stored = self.store_errors_even_if_ignored or not ignores_result(self, request)
        if is_stored:
            self._store_retry(retried)
        try:
            retried.sig.apply_async()
        except Exception as error:  # noqa: BLE001 - whatever it is, there will be no other outcome
            raise self._stranded(retried.exc, error) from (None if self.definition.arguments.sensitive else error)
        if is_stored:  # the tracer would store it once more
            request.ignore_result = True
            vars(request)[_STORED] = True
        return cast("Retry", retried)

    def _stranded(self, reason: BaseException | None, error: Exception) -> ExecutionError:
        """Return the failure of a task whose retry could not be published: Celery rejects it, and its chord would wait."""
        after = "" if reason is None else f" after {self._shown(reason)}"
        return ExecutionError(
            f"{self.name}[{self.request.id}] could not be retried{after}: its retry could not be published ({self._shown(error)}): "
            "see that the worker reaches its broker, and that the options of the retry are right; then call the task again"
        )

    def _shown(self, error: BaseException) -> str:
        # The text may hold what could not be put into a message.
        name = type(error).__name__
        return name if self.definition.arguments.sensitive else f"{name}: {error}"

    def _store_retry(self, retried: Retry) -> None:
        try:
            raise retried
        except Retry:
            info = ExceptionInfo()
        request = self.request
        store: Callable[..., object] = (
            self.backend.mark_as_retry
        )  # celery-types wants an exception, which a retry need not have
        try:
            store(request.id, retried.exc, info.traceback, request=request)
        except Exception:
            # The try itself must not be lost for it; its outcome is stored in any case.
            _logger.exception("%s[%s] is retried, which could not be stored", self.name, request.id)

    def _check_time_for_retry(self, eta: datetime | None, countdown: float | None, exc: BaseException | None) -> None:
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
            if exc is None or isinstance(exc, DeadlineExceeded):  # its coroutine got it in another shape
                raise late from None
            exc.add_note(str(late))
            raise exc

    def _changed_call(
        self, args: Sequence[object] | None, kwargs: Mapping[str, object] | None
    ) -> tuple[Sequence[object] | None, Mapping[str, object] | None]:
        """Return the arguments of a retry, encoded: those given win over those of this call, whichever way either came."""
        request, names = self.request, self.definition.positional
        extra, values = decode_call(self.definition, request.args or (), request.kwargs or {}, headers_of(request))
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

    @property
    def store_errors_even_if_ignored(self) -> bool:
        """As it was declared, here or for all tasks; not of a retry that is stored already."""
        if _STORED in vars(self.request):
            return False
        declared = self.stores_ignored_errors
        return bool(self.app.conf.task_store_errors_even_if_ignored if declared is None else declared)

    @store_errors_even_if_ignored.setter
    def store_errors_even_if_ignored(  # pyright: ignore[reportIncompatibleVariableOverride]  # read and set, as Celery's is
        self, value: bool | None
    ) -> None:
        self.stores_ignored_errors = value

    @property
    def override_max_retries(self) -> int:
        """What `retry` was given, kept with the request: executions of one task run side by side here."""
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

    def is_inside_body(self) -> bool:
        """Return whether the caller is the coroutine of an execution of this task."""
        service, execution = running_loop_service(), current_execution()
        inside = service is not None and service.is_current_thread()
        return inside and execution is not None and execution.task is self


class ContractTask(_RetryingTask):
    """A task of a contract, bound to the method of a component."""

    abstract = True
    typing = False  # the contract checks every path, with better messages
    serializer = "json"
    Strategy = "pico_celery.worker.message_guard:strategy"
    outdated = False

    def run(self, *args: object, **kwargs: object) -> object:
        """Serve one message: decode, execute, encode. No user code runs where the arguments or the deadline forbid it."""
        request = self.request
        service = self._loop_service()
        deadline = start_in_time(self.name, request, service.options.cancel_grace_seconds)
        headers = headers_of(request)
        if self.outdated or not is_current(self.definition, headers):
            log_outdated_call(self.definition, self.name, request, headers)
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
        if isinstance(result, ResultBase) and not self.definition.declared:
            stored: Any = result
            result = stored.as_tuple()  # as Celery stores the ids of the tasks that a task has sent
        return encode_result(self.definition, result, headers)

    def _wait(self, service: LoopService, execution: Execution, run: CoroutineRun[object]) -> object:
        """Wait for a body, and for what it stored of its progress: nothing of it may come after the outcome."""
        try:
            return wait_for(service, run)
        finally:
            execution.wait_for_stores()
            task_id = execution.request.id
            if task_id and execution.has_reported and run.interrupted and task_id in revoked:
                # Celery stored the revocation before it cancelled the coroutine.
                error = TaskRevokedError("terminated")
                self.backend.store_result(task_id, error, states.REVOKED, request=execution.request)

    def replace(self, sig: Signature[T]) -> T:
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

    def apply(self, *args: object, **kwargs: object) -> EagerResult[Any]:
        """Execute the task here and now, as Celery does; its result is plain JSON data."""
        self._loop_service()
        execute: Callable[..., EagerResult[Any]] = super().apply
        eager = execute(*args, **kwargs)
        result = eager.result
        if isinstance(result, SealedResult):
            return EagerResult(eager.id, result.data, eager.state, name=self.name)
        return eager

    def apply_async(
        self,
        args: Sequence[object] | None = None,
        kwargs: Mapping[str, object] | None = None,
        *rest: object,
        **given: object,
    ) -> AsyncResult[Any]:
        """Send the task, as Celery does, with its arguments validated and encoded as a client's are.

        Messages that canvas and retry make from others are passed on, and so are typed signatures, whose arguments are
        encoded already; the worker that gets them validates them, so that what is wrong with them is the failure of
        their own task.
        """
        publish: Callable[..., AsyncResult[Any]] = super().apply_async
        given = {name: value for name, value in given.items() if value is not None or name == "timeout"}
        options: dict[str, Any] = {**sending_options(self.definition, self.binding.options), **resume_timeout(given)}
        if options.get("retries"):
            options.pop("timeout", None)  # it counts from the call, not from its last try
        if DIGEST_HEADER in (options.get("headers") or {}) or "parent_id" in options or "root_id" in options:
            options, _ = resolve_deadline(options)
            options.pop("idempotency_ttl", None)  # what a canvas or a retry sends is never another call
            if self.definition.arguments.sensitive and "kwargsrepr" not in options:
                shown = shown_call(self.definition, args or (), kwargs or {}, options.get("headers"))
                options["argsrepr"], options["kwargsrepr"] = shown
            return publish(args, kwargs, *rest, **options)
        if self.name != self.definition.name:
            warn_of_old_call(self.name, self.definition)
            current: Any = self.app.tasks[self.definition.name]
            return cast("AsyncResult[Any]", current.apply_async(args, kwargs, *rest, **given))
        warn_if_deprecated(self.definition)
        prepared = prepare(self.definition, args or (), kwargs or {}, options)
        call, key = prepared.call, prepared.key
        options = {"argsrepr": call.argsrepr, "kwargsrepr": call.kwargsrepr, **prepared.options}
        if key is None or self.app.conf.task_always_eager:
            return publish(call.args, call.kwargs, *rest, **options)
        task_id = options.setdefault("task_id", uuid())
        return send_once(
            self.app, key, task_id, partial(publish, call.args, call.kwargs, *rest, **options), self.AsyncResult
        )


def deadline_of(request: Context) -> datetime | None:
    """Return the deadline of a request; in eager mode the header is among its ``headers``."""
    value = getattr(request, DEADLINE_HEADER, None)
    if value is None and isinstance(request.headers, Mapping):
        value = request.headers.get(DEADLINE_HEADER)
    return read_deadline(value)


def start_in_time(task: str, request: Context, grace_seconds: float) -> RunDeadline | None:
    """Return the deadline of an execution that is about to start; refuse one that comes too late."""
    _start_deadline(request)
    deadline = deadline_of(request)
    if deadline is None:
        return None
    task_id = request.id or ""
    if seconds_until(deadline) <= 0:
        raise DeadlineExceeded.of(task, task_id, deadline, "unstarted")
    return RunDeadline(deadline, DeadlineExceeded.of(task, task_id, deadline, "running"), grace_seconds)


def _start_deadline(request: Context) -> None:
    """Start the timeout of a message whose sender did not: from now on it is a deadline, which retries keep.

    A step that a plain Celery process has sent has its timeout from now, which is what is known. A workflow in eager mode
    calls its steps without sending them.
    """
    inherited = current_deadline() if request.is_eager else None
    custom = dict(request.headers) if isinstance(request.headers, Mapping) else {}
    if inherited is None and TIMEOUT_HEADER not in custom and getattr(request, TIMEOUT_HEADER, None) is None:
        return
    own = {name: getattr(request, name, None) for name in (TIMEOUT_HEADER, DEADLINE_HEADER)}
    custom.update({name: value for name, value in own.items() if value is not None})
    start_timeout(custom)
    if inherited is not None:
        inherit(custom, inherited)
    setattr(request, TIMEOUT_HEADER, None)
    setattr(request, DEADLINE_HEADER, custom.get(DEADLINE_HEADER))
    request.headers = custom


def register(app: Celery, binding: Binding) -> ContractTask:
    """Register a task on an application, under its name and its aliases."""
    definition = binding.definition
    attributes = task_attributes(definition, binding.options)
    if definition.arguments.sensitive or definition.result.sensitive:
        check_redaction(SealedRequest)
        attributes["Request"] = "pico_celery.worker.message_guard:SealedRequest"
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
