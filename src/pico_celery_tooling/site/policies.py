"""The options of a task in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from pico_celery.document.records import TaskRecord
from pico_celery_tooling.site.html import Child, Html, code, join, tag

_SECONDS: Final = {
    "timeout": ("Deadline", "after the call; what it sends in its turn inherits it"),
    "time_limit": ("Time limit", "of one run, which is then ended"),
    "soft_time_limit": ("Soft time limit", "of one run, which is then told"),
    "expires": ("Expires", "after the call, if it has not started"),
    "idempotency_ttl": ("Remembered for", "by its key"),
    "default_retry_delay": ("Delay before a retry", ""),
    "retry_backoff_max": ("Longest delay before a retry", ""),
}
_TEXTS: Final = {
    "queue": ("Queue", ""),
    "exchange": ("Exchange", ""),
    "routing_key": ("Routing key", ""),
    "priority": ("Priority", ""),
    "key": ("Key", "calls for which it is the same are one call"),
    "rate_limit": ("Rate limit", "of each worker"),
    "max_retries": ("Retries", "at most"),
    "compression": ("Compression", ""),
}
_FLAGS: Final = {
    "idempotent": ("Idempotent", "twice is the same as once: a lost worker's task runs again", "No"),
    "ignore_result": ("Result", "not stored: nobody can wait for it", "stored"),
    "retry_backoff": ("Backoff", "longer delays before each further retry", "none"),
    "retry_jitter": ("Jitter", "a part of each delay is left to chance", "none"),
    "track_started": ("Reports its start", "Yes", "No"),
    "retry": ("Publishing", "tried again where the broker cannot be reached", "tried once"),
}
_MINUTE: Final = 60


def policies(task: TaskRecord) -> Html | None:
    """Return the options of a task as a list of terms, or ``None`` where it has none."""
    rows = list(_rows(task.options))
    if not rows:
        return None
    return tag("dl", *(tag("div", tag("dt", term), tag("dd", value)) for term, value in rows), class_="facts")


def seconds(value: float) -> str:
    """Return a duration for people: ``1 min 30 s``."""
    left = timedelta(seconds=value)
    if left < timedelta(minutes=1):
        return f"{value:g} s"
    minutes, rest = divmod(left.total_seconds(), _MINUTE)
    hours, minutes = divmod(int(minutes), _MINUTE)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{number:g} {unit}" for number, unit in parts if number)


def _rows(options: Mapping[str, Any]) -> Iterator[tuple[str, Child]]:
    order = [*_TEXTS, *_SECONDS, "retries", *_FLAGS]
    for name in sorted(options, key=lambda one: (order.index(one) if one in order else len(order), one)):
        value = options[name]
        if name in _SECONDS:
            term, more = _SECONDS[name]
            yield (
                term,
                join("none" if value is None else seconds(value), tag("span", more, class_="more") if more else None),
            )
        elif name in _TEXTS:
            term, more = _TEXTS[name]
            yield term, join(code(_plain(value)), tag("span", more, class_="more") if more else None)
        elif name in _FLAGS and isinstance(value, bool):
            term, yes, no = _FLAGS[name]
            yield term, yes if value else no
        elif name == "retries" and isinstance(value, Mapping):
            yield "Retries", _retries(value)
        else:
            yield name.replace("_", " ").capitalize(), code(_plain(value))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _retries(policy: Mapping[str, Any]) -> Html:
    parts = [f"at most {policy.get('max_attempts')} attempts"]
    if "delay" in policy:
        parts.append(f"{seconds(policy['delay'])} before the second")
    if policy.get("backoff", 1) != 1:
        parts.append(f"times {policy['backoff']:g} for each further one")
    if "max_delay" in policy:
        parts.append(f"{seconds(policy['max_delay'])} at the longest")
    if policy.get("jitter"):
        parts.append("left to chance" if policy["jitter"] == 1 else f"{policy['jitter']:.0%} of it left to chance")
    also = policy.get("retry_on") or []
    more: list[Child] = []
    for number, name in enumerate(also):
        more.extend([", and after " if number == 0 else ", ", code(str(name))])
    return join(", ".join(parts), more)
