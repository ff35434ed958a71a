"""Options of sending: Celery's own, typed, with `timedelta` wherever seconds are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import SkipValidation
from typing_extensions import TypedDict

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.options import SENDING, Duration, Priority, PublishRetryPolicy, check_options
from pico_celery.errors import Fault, OptionError

_Callback = Mapping[str, Any]  # a celery.canvas.Signature is a dict; naming it here would import the canvas


class SendOptions(TypedDict, total=False):
    """Options of one call, or of all calls of a sender.

    ``timeout`` is the call's deadline, counted from the call; ``None`` says that it has none and inherits none. Of calls
    with one ``idempotency_key`` only the first is sent, for ``idempotency_ttl`` (a day, without it).
    Source: https://docs.celeryq.dev/en/stable/reference/celery.app.task.html#celery.app.task.Task.apply_async
    """

    timeout: Duration | None
    idempotency_key: str
    idempotency_ttl: Duration
    countdown: Duration
    eta: datetime
    expires: Duration | datetime
    queue: str
    exchange: str
    routing_key: str
    priority: Priority
    task_id: str
    headers: Mapping[str, Any]
    retry: bool
    retry_policy: PublishRetryPolicy
    time_limit: Duration
    soft_time_limit: Duration
    ignore_result: bool
    link: SkipValidation[_Callback | Sequence[_Callback]]
    link_error: SkipValidation[_Callback | Sequence[_Callback]]
    add_to_parent: bool
    shadow: str
    compression: str
    delivery_mode: Literal[1, 2, "transient", "persistent"]
    reply_to: str
    root_id: str
    parent_id: str
    group_id: str
    mandatory: bool


ADVICE: Final = {
    "serializer": "leave it out: the wire is JSON",
    "args": "pass arguments in the call itself",
    "kwargs": "pass arguments in the call itself",
    "delay": "use countdown=",
    "key": "give it to @task_options of the contract, or say idempotency_key=",
    "max_retries": "give it to @task or @task_options: it is a matter of executing",
    "producer": "leave it out: the application's pool is used",
    "connection": "leave it out: the application's pool is used",
}


def check_send_options(options: Mapping[str, object], subject: str) -> dict[str, object]:
    """Check options of sending."""
    return check_options(SendOptions, options, subject, advice=ADVICE)


def refuse_options_of_one_call(
    subject: str, options: Mapping[str, object], expected: str, names: Sequence[str] = ("task_id", "idempotency_key")
) -> None:
    """Refuse options of sending that only one call can have, where there are several, or parts of a workflow."""
    faults = [
        Fault(
            task=subject,
            path=name,
            expected=expected,
            got="one of a single call",
            remedy="leave it out, or send the call alone",
            code="option_of_one_call",
        )
        for name in names
        if name in options
    ]
    if faults:
        raise OptionError.of(subject, faults)


def contract_send_options(definition: TaskDefinition) -> dict[str, object]:
    """Return what the contract says about sending a task."""
    return {name: value for name, value in definition.options.items() if name in SENDING}


def merge_options(base: Mapping[str, Any], nearer: Mapping[str, Any]) -> dict[str, object]:
    """Return options in which the nearer ones win."""
    merged = {**base, **nearer}
    if "headers" in base and "headers" in nearer:
        merged["headers"] = {**base["headers"], **nearer["headers"]}
    for one, others in _EXCLUSIVE.items():
        if one in nearer:
            for other in others:
                if other not in nearer:
                    merged.pop(other, None)
    return merged


_EXCLUSIVE: Final = {
    "eta": ("countdown",),
    "countdown": ("eta",),
    "queue": ("exchange", "routing_key"),
    "exchange": ("queue",),
}
