"""How a call ended: `Ok` or `Err` as a value to match, and the exception that a stored failure becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from billiard.exceptions import SoftTimeLimitExceeded, Terminated, TimeLimitExceeded, WorkerLostError
from celery import states
from celery.exceptions import (
    ChordError,
    Ignore,
    InvalidTaskError,
    MaxRetriesExceededError,
    NotRegistered,
    Reject,
    Retry,
    TaskRevokedError,
)

from pico_celery.contract.definition import TaskDefinition
from pico_celery.messaging.failures import StoredFailure, decode_failure

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Ok(Generic[R_co]):
    """The task succeeded.

    Attributes:
        value: Its validated result.
    """

    value: R_co


@dataclass(frozen=True, slots=True)
class Err:
    """The task failed.

    Attributes:
        error: What ``get`` would raise: a declared error, a `RemoteError`, or one of this library's or Celery's own, such as
            a revocation.
    """

    error: Exception


Outcome: TypeAlias = Ok[R] | Err
"""How a call ended: what `AsyncResult.outcome` returns."""

_STAY: Final[tuple[type[Exception], ...]] = (
    ChordError,
    Ignore,
    InvalidTaskError,
    MaxRetriesExceededError,
    NotRegistered,
    Reject,
    Retry,
    SoftTimeLimitExceeded,
    TaskRevokedError,
    Terminated,
    TimeLimitExceeded,
    WorkerLostError,
)
CONTROLS: Final[dict[str, type[Exception]]] = {
    **{f"{cls.__module__}.{cls.__qualname__}": cls for cls in _STAY},
    # A worker's own forms of these, which a client need not have.
    "pico_celery.worker.contract_task.SealedMaxRetriesExceededError": MaxRetriesExceededError,
    "pico_celery.worker.coroutine.SoftTimeLimitCancelled": SoftTimeLimitExceeded,
}
"""Exceptions of Celery that say how a task ended, by the names under which they are stored.

All others of Celery's and kombu's, such as a time-out or a broker that cannot be reached, say what failed inside the task;
to a caller they would say the same of its own wait or broker.
"""


_CONTROLS_OF_FAILURES: Final = {name: cls for name, cls in CONTROLS.items() if cls is not TaskRevokedError}


def is_failure(stored: object) -> bool:
    """Return whether what a result backend keeps is a failure."""
    return isinstance(stored, BaseException) or (isinstance(stored, Mapping) and "exc_type" in stored)


def failure_of(
    definitions: Sequence[TaskDefinition], task_id: str, stored: object, traceback: object, state: str = ""
) -> Exception:
    """Return the exception that a stored failure of a contract's task is to its caller."""
    failure = StoredFailure.of(stored, traceback)
    return decode_failure(definitions, task_id, failure, _CONTROLS_OF_FAILURES if state == states.FAILURE else CONTROLS)
