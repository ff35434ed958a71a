"""Handle an error that a task's body raised: declared, retried by a policy, or stored as it is."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from celery.exceptions import TaskPredicate

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.options import CELERY_RETRIES
from pico_celery.contract.retry_policy import NEVER_RETRIED, RetryPolicy
from pico_celery.contract.task_error import TaskError
from pico_celery.messaging.failures import declared_error, encode_failure
from pico_celery.worker.execution import AnyTask

_logger = logging.getLogger(__name__)
_logged: Final[set[tuple[str, type]]] = set()


def policy_of(definition: TaskDefinition, options: Mapping[str, Any]) -> RetryPolicy | None:
    """Return by which policy a task is retried."""
    if "retries" in options:
        own: RetryPolicy = options["retries"]
        return own
    return None if CELERY_RETRIES & options.keys() else definition.retries


def retry_attributes(definition: TaskDefinition, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what declared errors and a policy say about the attributes of the Celery task."""
    declared = tuple(error.cls for error in definition.errors)
    named = tuple(options.get("autoretry_for", ()))
    # autoretry_for=(Exception,) does not mean them; a class that it names it does mean.
    spared = (cls for cls in declared if not cls.retryable and not _is_named(cls, named))
    attributes: dict[str, Any] = {
        # Celery logs what a task is known to raise as information, without a traceback.
        "throws": (*options.get("throws", ()), *declared),
        "dont_autoretry_for": (*options.get("dont_autoretry_for", ()), *NEVER_RETRIED, *spared),
    }
    policy = policy_of(definition, options)
    if policy is not None:
        attributes["max_retries"] = policy.max_attempts - 1
    return attributes


def outgoing(definition: TaskDefinition, error: Exception) -> Exception:
    """Return what is stored of an error, and log one that its contract should declare."""
    if not definition.declared or not isinstance(error, TaskError):
        return error
    if declared_error(definition, error) is None:
        _log_undeclared(definition, type(error))
        return error
    try:
        return encode_failure(definition, error)
    except Exception as unfit:  # noqa: BLE001 - it was changed to what does not fit: that is the failure now
        return unfit


def retry_by(policy: RetryPolicy | None, task: AnyTask, error: Exception) -> None:
    """Retry a task if its policy says so, as Celery does."""
    if policy is None or isinstance(error, TaskPredicate) or not policy.retries(error):
        return
    delay = policy.delay_before((task.request.retries or 0) + 1)
    task.retry(exc=error, countdown=delay.total_seconds(), max_retries=policy.max_attempts - 1)


def _is_named(cls: type[TaskError], named: tuple[type[BaseException], ...]) -> bool:
    return any(issubclass(one, TaskError) and one is not TaskError and issubclass(cls, one) for one in named)


def _log_undeclared(definition: TaskDefinition, cls: type[TaskError]) -> None:
    if (definition.name, cls) in _logged:
        return
    _logged.add((definition.name, cls))
    _logger.warning(
        "%s raised %s, which its contract does not declare: callers get a RemoteError. List it: @task_options(errors=[%s])",
        definition.name,
        cls.__qualname__,
        cls.__name__,
    )
