"""What a call is sent with: arguments, deadline, idempotency key and headers, worked out without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pico_celery.client.idempotency import IdempotencyKey, resolve_key
from pico_celery.contract.definition import TaskDefinition
from pico_celery.errors import DeadlineExceeded, Fault, OptionError
from pico_celery.messaging.calls import EncodedCall, encode_call
from pico_celery.messaging.deadline import (
    DEADLINE_HEADER,
    after,
    current_deadline,
    deadline_in,
    seconds_of,
    seconds_until,
    write_deadline,
)
from pico_celery.messaging.headers import contract_headers

_NOT_GIVEN: Final[Any] = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedCall:
    """A call that is ready to be published."""

    definition: TaskDefinition
    call: EncodedCall
    """Its arguments, validated and encoded."""
    options: Mapping[str, Any]
    """Options of `celery.Celery.send_task`, headers included; with a key, ``task_id`` too."""
    deadline: datetime | None = None
    """When it is to have ended."""
    key: IdempotencyKey | None = None


def prepare(
    definition: TaskDefinition, args: Sequence[object], kwargs: Mapping[str, object], options: Mapping[str, object]
) -> PreparedCall:
    """Validate and encode a call, and work out what it is sent with."""
    return prepare_encoded(definition, encode_call(definition, args, kwargs), options)


def prepare_encoded(definition: TaskDefinition, call: EncodedCall, options: Mapping[str, object]) -> PreparedCall:
    """Work out what an encoded call is sent with, at the time when it is sent."""
    resolved, deadline = fix_deadline(definition.name, options)
    key = resolve_key(definition, call.kwargs, resolved)
    return PreparedCall(
        definition=definition, call=call, options=message_options(definition, resolved), deadline=deadline, key=key
    )


def message_options(definition: TaskDefinition, options: Mapping[str, Any]) -> dict[str, object]:
    """Return options of sending with the headers of the contract."""
    own, headers = options.get("headers"), contract_headers(definition)
    return {**options, "headers": {**own, **headers} if own else dict(headers)}


def resolve_deadline(options: Mapping[str, Any]) -> tuple[dict[str, Any], datetime | None]:
    """Put a header in the place of the option ``timeout``."""
    resolved = dict(options)
    headers, inherited = resolved.get("headers") or {}, current_deadline()
    timeout = resolved.pop("timeout", _NOT_GIVEN)
    if timeout is _NOT_GIVEN and inherited is None and DEADLINE_HEADER not in headers:
        return resolved, None
    if timeout is None or (DEADLINE_HEADER in headers and headers[DEADLINE_HEADER] is None):
        resolved["headers"] = {**headers, DEADLINE_HEADER: None}
        return resolved, None
    own = None if timeout is _NOT_GIVEN else after(seconds_of(timeout))
    found = [one for one in (own, deadline_in(headers), inherited) if one is not None]
    deadline = min(found, default=None)
    if deadline is not None:
        resolved["headers"] = {**headers, DEADLINE_HEADER: write_deadline(deadline)}
    return resolved, deadline


def fix_deadline(task: str, options: Mapping[str, object]) -> tuple[dict[str, Any], datetime | None]:
    """Resolve the deadline of what is sent now, and refuse what cannot begin before it."""
    resolved, deadline = resolve_deadline(options)
    if deadline is not None:
        _check_in_time(task, options, deadline)
    return resolved, deadline


def _check_in_time(task: str, given: Mapping[str, Any], deadline: datetime) -> None:
    countdown, timeout = seconds_of(given.get("countdown") or 0), given.get("timeout")
    timeout = None if timeout is None else seconds_of(timeout)
    if timeout is not None and 0 < timeout <= countdown:
        remedy = "the timeout counts from the call: give a longer one, or timeout=None"
        expected = f"more than the countdown of {countdown:g} s"
        fault = Fault(
            task=task, path="timeout", expected=expected, got=f"{timeout:g} s", remedy=remedy, code="timeout_too_short"
        )
        raise OptionError.of(task, [fault])
    if seconds_until(deadline) <= max(countdown, _seconds_until_eta(given)):
        raise DeadlineExceeded.of(task, str(given.get("task_id") or ""), deadline, "unsent")


def _seconds_until_eta(given: Mapping[str, object]) -> float:
    eta = given.get("eta")
    # A time without a zone is one in the application's zone, which the worker knows.
    return seconds_until(eta) if isinstance(eta, datetime) and eta.tzinfo is not None else 0.0
