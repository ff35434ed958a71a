"""`RetryPolicy`: which failures of a task are tried again, how often, and when."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from pico_celery.contract.signature import caller_location
from pico_celery.contract.task_error import TaskError
from pico_celery.contract.typenames import value_text
from pico_celery.errors import DeadlineExceeded, ErrorFieldsError, Fault, OptionError, PayloadError, ResultError

NEVER_RETRIED: Final = (PayloadError, ResultError, ErrorFieldsError, DeadlineExceeded)
"""What does not fit does not fit the next time either, and what is late gets no earlier."""

_CALLER: Final = 4  # caller_location <- __post_init__ <- __init__ <- whoever builds the policy


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Which failures of a task are tried again, how often, and when.

    Given as ``retries=`` to `task_options` of a contract or to `task` of an implementation, which wins. Tried again are
    declared errors that are marked ``retryable``, and what ``retry_on`` names; never a declared error that is not marked, a
    payload or result that does not fit, or a call past its deadline. When all attempts are used up the last error is
    the failure of the task.

    Args:
        max_attempts: How often the task is run at the most, the first time included; from 1.
        delay: Time before the second attempt.
        backoff: By what the delay is multiplied for each further attempt; from 1.
        max_delay: The longest delay.
        jitter: The part of a delay that is left to chance, from 0 to 1: with ``True`` (all of it) anything from no delay
            to the whole one, so that tasks that failed together do not come back together.
        retry_on: Further classes of exceptions that are tried again.

    Raises:
        OptionError: If a value has a wrong type or range; all faults in one error.
    """

    max_attempts: int = 3
    delay: timedelta = timedelta(seconds=1)
    backoff: float = 2.0
    max_delay: timedelta = timedelta(minutes=10)
    jitter: bool | float = True
    retry_on: tuple[type[Exception], ...] = ()

    def __post_init__(self) -> None:
        """Check the values."""
        faults = list(_faults(self))
        if faults:
            raise OptionError.of("RetryPolicy", faults)

    def retries(self, error: BaseException) -> bool:
        """Return whether an error is one that is tried again.

        Args:
            error: What the task raised.

        Returns:
            Whether it is, while there are attempts left.
        """
        if isinstance(error, NEVER_RETRIED):
            return False
        return error.retryable if isinstance(error, TaskError) else isinstance(error, self.retry_on)

    def delay_before(self, retry: int) -> timedelta:
        """Return how long to wait before a retry; different each time, where there is jitter.

        Args:
            retry: Its number, from 1.

        Returns:
            The time, `max_delay` at the most.
        """
        base, limit = self.delay.total_seconds(), self.max_delay.total_seconds()
        try:
            seconds = min(base * self.backoff ** (retry - 1), limit)
        except OverflowError:
            seconds = limit if base else 0.0
        chance = random.random()  # noqa: S311 - it spreads load, and guards nothing
        return timedelta(seconds=seconds * (1 - float(self.jitter) * chance))


def _faults(policy: RetryPolicy) -> Iterator[Fault]:
    where = caller_location(_CALLER)
    zero = timedelta(0)
    for name, expected, fits in (
        ("max_attempts", "a whole number from 1", _is_count(policy.max_attempts)),
        ("delay", "a timedelta from 0", _is_time(policy.delay) and policy.delay >= zero),
        ("backoff", "a number from 1", _is_number(policy.backoff) and policy.backoff >= 1),
        ("max_delay", "a timedelta from 0", _is_time(policy.max_delay) and policy.max_delay >= zero),
        ("jitter", "True, False or a part from 0 to 1", _is_part(policy.jitter)),
        ("retry_on", "a tuple of exception classes", _are_classes(policy.retry_on)),
    ):
        if not fits:
            got = value_text(getattr(policy, name))
            yield Fault(task="RetryPolicy", path=name, expected=expected, got=got, where=(where,), code="option_type")
    if _are_classes(policy.retry_on):
        yield from (_refused(cls, where) for cls in policy.retry_on if _is_never(cls))


def _is_never(cls: type[Exception]) -> bool:
    if issubclass(cls, NEVER_RETRIED):
        return True
    return issubclass(cls, TaskError) and cls is not TaskError and not cls.retryable


def _refused(cls: type[Exception], where: str) -> Fault:
    declared = issubclass(cls, TaskError)
    return Fault(
        task="RetryPolicy",
        path="retry_on",
        expected="exceptions that another attempt may avoid",
        got=f"{cls.__name__}, which is never retried",
        remedy=f"leave it out, or mark it: class {cls.__name__}(..., retryable=True)" if declared else "leave it out",
        where=(where,),
        code="never_retried",
    )


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1


def _is_time(value: object) -> bool:
    return isinstance(value, timedelta)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_part(value: Any) -> bool:  # noqa: ANN401 - whatever a user wrote
    return isinstance(value, bool) or (_is_number(value) and 0 <= value <= 1)


def _are_classes(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(cls, type) and issubclass(cls, Exception) for cls in value)
