"""Retries of a task: within its deadline, by its contract, and stored before another process can run them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from billiard.einfo import ExceptionInfo
from celery import Task
from celery.app.task import get_actual_ignore_result  # type: ignore[attr-defined]  # celery-types lacks it
from celery.exceptions import Retry

from pico_celery.contract.definition import TaskDefinition
from pico_celery.errors import DeadlineExceeded, ExecutionError
from pico_celery.messaging.calls import decode_call, encode_call
from pico_celery.messaging.deadline import seconds_until
from pico_celery.messaging.headers import contract_headers, headers_of
from pico_celery.worker.binding import Binding
from pico_celery.worker.deadlines import deadline_of
from pico_celery.worker.execution import RetryRequested, current_execution
from pico_celery.worker.failures import outgoing
from pico_celery.worker.loop import running_loop_service

_STORED: Final = "pico_celery_retry_stored"
_logger = logging.getLogger(__name__)


class RetryingTask(Task[..., Any]):
    """A task of a contract, as far as its retries go."""

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
        """
        if isinstance(exc, Exception):
            exc = outgoing(self.definition, exc)
        given = {"eta": eta, "countdown": countdown, "max_retries": max_retries, "exc": exc, **options}
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
        return super().retry(args, kwargs, throw=throw, **given)

    def _retried(self, args: Any, kwargs: Any, given: Mapping[str, Any]) -> Any:
        """Store that the task is retried, then publish its retry.

        Celery does it the other way round: in another process the retry may have ended by then, and its outcome would
        be overwritten forever.
        """
        request: Any = self.request
        request.is_eager = True  # Celery makes the signature then, and does not publish it
        try:
            retried: Any = super().retry(args, kwargs, throw=False, **given)
        finally:
            request.is_eager = False
        retried.is_eager = False
        is_stored = self.store_errors_even_if_ignored or not get_actual_ignore_result(self, request)
        if is_stored:
            self._store_retry(retried)
        try:
            retried.sig.apply_async()
        except Exception as error:  # noqa: BLE001 - whatever it is, there will be no other outcome
            raise self._stranded(retried.exc, error) from (None if self.definition.arguments.sensitive else error)
        if is_stored:  # the tracer would store it once more
            request.ignore_result = True
            vars(request)[_STORED] = True
        return retried

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
        """Tell whether the caller is the coroutine of an execution of this task."""
        service, execution = running_loop_service(), current_execution()
        inside = service is not None and service.is_current_thread()
        return inside and execution is not None and execution.task is self
