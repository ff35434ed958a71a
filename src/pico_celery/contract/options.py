"""Options: what may be said about a task beside its signature, typed, checked where it is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Annotated, Any, Final, Literal, NotRequired, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from pico_celery.contract.naming import did_you_mean
from pico_celery.contract.retry_policy import RetryPolicy
from pico_celery.contract.task_error import TaskError
from pico_celery.contract.typenames import value_text
from pico_celery.errors import Fault, OptionError

Duration = Annotated[float, Field(allow_inf_nan=False)] | timedelta
"""Seconds, or a `timedelta`."""

Priority = Annotated[int, Field(ge=0, le=255)]
"""What AMQP allows; which end is the more urgent is the broker's."""


Text = Annotated[str, Field(min_length=1)]


class PublishRetryPolicy(TypedDict, total=False):
    """How often a publish is tried again when the broker cannot be reached.

    Source: https://docs.celeryq.dev/en/stable/userguide/calling.html#message-sending-retry
    """

    max_retries: int | None
    interval_start: float
    interval_step: float
    interval_max: float


class TaskOptions(TypedDict, total=False):
    """Policy of a task, given to `task_options` on the contract.

    Those of sending (queue, priority, expiry, ...) hold for every client, those of executing (time limits, retries,
    ...) for every implementation, unless either says otherwise. ``key`` is called with those validated arguments that it
    names as its parameters, and says which calls are the same call. ``since`` says in which version the task came,
    ``deprecated`` what to use instead of it; ``aliases`` are names that it had before, by which workers still take it.
    Source: https://docs.celeryq.dev/en/stable/userguide/calling.html and .../userguide/tasks.html#list-of-options
    """

    name: str
    since: Text
    deprecated: Text
    aliases: Sequence[str]
    queue: str
    exchange: str
    routing_key: str
    priority: Priority
    timeout: Duration | None
    key: Callable[..., Any]
    idempotency_ttl: Duration
    expires: Duration
    time_limit: Duration
    soft_time_limit: Duration
    ignore_result: bool
    idempotent: bool
    errors: Sequence[type[TaskError]]
    retries: RetryPolicy
    max_retries: int | None
    default_retry_delay: Duration
    retry_backoff: bool | Duration
    retry_backoff_max: Duration
    retry_jitter: bool
    rate_limit: str | int | float
    track_started: bool
    retry: bool
    retry_policy: PublishRetryPolicy
    compression: str
    delivery_mode: Literal[1, 2, "transient", "persistent"]


SENDING = frozenset(
    {
        "queue",
        "exchange",
        "routing_key",
        "priority",
        "timeout",
        "idempotency_ttl",
        "expires",
        "time_limit",
        "soft_time_limit",
        "ignore_result",
        "retry",
        "retry_policy",
        "compression",
        "delivery_mode",
    }
)
"""The options of a contract that a client sends with."""

EXECUTING = frozenset(
    {
        "time_limit",
        "soft_time_limit",
        "ignore_result",
        "max_retries",
        "default_retry_delay",
        "retry_backoff",
        "retry_backoff_max",
        "retry_jitter",
        "rate_limit",
        "track_started",
    }
)
"""The options of a contract that a worker executes with."""


def check_options(
    allowed: object,
    options: Mapping[str, object],
    subject: str,
    *,
    where: str = "",
    advice: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """Check options against the TypedDict that types them."""
    if not options:
        return {}
    try:
        checked = _adapter(allowed).validate_python(dict(options))
    except ValidationError as error:
        places = (where,) if where else ()
        raise OptionError.of(subject, _faults(allowed, subject, error, places, advice or {})) from None
    return {name: _seconds(value) for name, value in checked.items()}


CELERY_RETRIES: Final = frozenset(
    {
        "max_retries",
        "default_retry_delay",
        "autoretry_for",
        "dont_autoretry_for",
        "retry_kwargs",
        "retry_backoff",
        "retry_backoff_max",
        "retry_jitter",
    }
)
"""Celery's own options of retrying, which a `RetryPolicy` takes the place of."""


def refuse_second_policy(options: Mapping[str, object], subject: str, where: str) -> None:
    """Refuse options that say twice how a task is retried."""
    beside = sorted(CELERY_RETRIES & options.keys()) if "retries" in options else []
    faults = [
        Fault(
            task=subject,
            path=name,
            expected="one policy of retrying",
            got=f"{name} beside retries=",
            remedy="leave it out: the RetryPolicy says it all",
            where=(where,),
            code="two_policies",
        )
        for name in beside
    ]
    if faults:
        raise OptionError.of(subject, faults)


@cache
def _adapter(allowed: object) -> TypeAdapter[Any]:
    hints = get_type_hints(allowed, include_extras=True)
    fields = {name: NotRequired[hint] for name, hint in hints.items()}
    checked = TypedDict(allowed.__name__, fields)  # type: ignore[misc]  # the same fields, checked strictly
    return TypeAdapter(with_config(ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True))(checked))


def _seconds(value: object) -> object:
    return value.total_seconds() if isinstance(value, timedelta) else value


def _faults(
    allowed: object, subject: str, error: ValidationError, where: tuple[str, ...], advice: Mapping[str, str]
) -> list[Fault]:
    known = get_type_hints(allowed)
    faults: dict[str, Fault] = {}
    for detail in error.errors(include_url=False, include_context=False):
        name = str(detail["loc"][0])
        if detail["type"] == "extra_forbidden":
            name = ".".join(str(part) for part in detail["loc"])
            remedy = advice.get(name) or did_you_mean(name, known)
            fault = Fault(task=subject, path=name, expected="a known option", got="an unknown one", remedy=remedy)
        else:
            expected = detail["msg"].removeprefix("Input should be ").replace("Input should be", "")
            expected = "a list of texts" if detail["type"] == "sequence_str" else expected
            if name in faults and faults[name].expected != expected:
                expected = f"{faults[name].expected} or {expected}"
            fault = Fault(task=subject, path=name, expected=expected, got=value_text(detail["input"]))
        faults[name] = Fault(
            task=fault.task,
            path=fault.path,
            expected=fault.expected,
            got=fault.got,
            remedy=fault.remedy,
            where=where,
            code="unknown_option" if detail["type"] == "extra_forbidden" else "option_type",
        )
    return list(faults.values())
