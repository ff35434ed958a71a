"""The envelope of a message: whether it has the shape of a task message at all.

Celery takes the shape for granted: what differs from it raises in the worker's consumer, which then stops.
Source: https://docs.celeryq.dev/en/stable/internals/protocol.html#version-2
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pico_celery.errors import Fault
from pico_celery.messaging.deadline import DEADLINE_HEADER, read_deadline

_BODY_LENGTH = 3  # args, kwargs, embed
_LIMITS = 2  # hard and soft


def envelope_faults(task: str, headers: Mapping[str, Any], payload: Any) -> list[Fault]:
    """Tell what is wrong with the shape of a message."""
    if isinstance(payload, Mapping) and "args" in payload:
        return []
    return [*_header_faults(task, headers), *_body_faults(task, payload)]


def _header_faults(task: str, headers: Mapping[str, Any]) -> list[Fault]:
    faults = []
    if not isinstance(headers.get("id"), str):
        faults.append(_fault(task, "headers.id", "a text", headers.get("id")))
    retries = headers.get("retries")
    if retries is not None and (not isinstance(retries, int) or isinstance(retries, bool)):
        faults.append(_fault(task, "headers.retries", "a whole number", retries))
    limits = headers.get("timelimit")
    if limits is not None and not _are_limits(limits):
        faults.append(_fault(task, "headers.timelimit", "two numbers or nulls", limits))
    try:
        read_deadline(headers.get(DEADLINE_HEADER))
    except ValueError:
        expected = "a time, ISO 8601 in UTC"
        faults.append(_fault(task, f"headers.{DEADLINE_HEADER}", expected, headers.get(DEADLINE_HEADER)))
    return faults


def _are_limits(limits: Any) -> bool:
    if not isinstance(limits, (list, tuple)) or len(limits) != _LIMITS:
        return False
    return all(limit is None or isinstance(limit, (int, float)) for limit in limits)


def _body_faults(task: str, payload: Any) -> list[Fault]:
    if not isinstance(payload, (list, tuple)) or len(payload) != _BODY_LENGTH:
        length = f" of {len(payload)}" if isinstance(payload, (list, tuple)) else ""
        return [_fault(task, "body", "a list of args, kwargs and embed", payload, length)]
    args, kwargs, embed = payload
    faults = []
    if not isinstance(args, (list, tuple)):
        faults.append(_fault(task, "args", "a list", args))
    if not isinstance(kwargs, Mapping):
        faults.append(_fault(task, "kwargs", "a mapping", kwargs))
    if not isinstance(embed, Mapping) and embed is not None:
        faults.append(_fault(task, "embed", "a mapping", embed))
    return faults


def _fault(task: str, path: str, expected: str, got: Any, more: str = "") -> Fault:
    kind = "null" if got is None else f"{type(got).__name__}{more}"
    remedy = "send it with Celery, or as its protocol 2 says"
    return Fault(task=task, path=path, expected=expected, got=kind, remedy=remedy, code="message_shape")
