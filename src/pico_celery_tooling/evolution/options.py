"""Options of two versions of a task: where it waits, how long it may take, what callers may rely on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pico_celery_tooling.evolution.findings import Finding
from pico_celery_tooling.evolution.rules import NEW_CLIENTS, OLD_CLIENTS
from pico_celery_tooling.evolution.task_pairs import Pair, shown

_PLACES: Final = ("queue", "exchange", "routing_key")
_LIMITS: Final = {
    "time_limit": OLD_CLIENTS,
    "soft_time_limit": OLD_CLIENTS,
    "timeout": "new clients",
    "expires": "new clients",
    "idempotency_ttl": "new clients",
}
_TOLD: Final = frozenset({*_PLACES, *_LIMITS, "name", "idempotent", "key", "ignore_result", "retries", "max_retries"})
_BOTH_CLIENTS: Final = "old clients and new ones beside each other"


def compare_options(pair: Pair) -> Iterator[Finding]:
    """Compare the options of two versions of a task."""
    old, new = pair.old.task.options, pair.new.task.options
    if old == new:
        return
    yield from _places(pair, old, new)
    yield from _limits(pair, old, new)
    yield from _promises(pair, old, new)
    yield from _retries(pair, old, new)
    for name in sorted({*old, *new} - _TOLD):
        if old.get(name) != new.get(name):
            message = f"the option {name} is {_value(new, name)} now, and was {_value(old, name)}"
            yield pair.find("option_changed", message, path=name, who="new clients and new workers")


def _places(pair: Pair, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Finding]:
    for name in _PLACES:
        before, now = old.get(name), new.get(name)
        if before == now:
            continue
        message = (
            f"the {name.replace('_', ' ')} is {_place(now)} now: old clients send to {_place(before)}, where messages may "
            "wait"
        )
        remedy = (
            f"keep a worker on {_place(before)} until it is empty and no client sends to it, and ignore this with that "
            "reason"
        )
        yield pair.find(f"{name}_moved", message, path=name, who=OLD_CLIENTS, remedy=remedy)


def _place(name: Any) -> str:
    return "Celery's default" if name is None else repr(name)


def _limits(pair: Pair, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Finding]:
    for name, who in _LIMITS.items():
        before, now = old.get(name), new.get(name)
        if now is not None and (before is None or now < before):
            message = f"{name} is {now:g} s now, and was {'not set' if before is None else f'{before:g} s'}"
            yield pair.find(f"{name}_cut", message, path=name, who=who)


def _promises(pair: Pair, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Finding]:
    if old.get("idempotent") and not new.get("idempotent"):
        message = "the task is no longer idempotent: what was safe to send twice is done twice"
        yield pair.find("idempotent_dropped", message, path="idempotent", who=OLD_CLIENTS)
    if old.get("key") != new.get("key"):
        message = f"the key is {_value(new, 'key')} now, and was {_value(old, 'key')}"
        yield pair.find("key_changed", message, path="key", who=_BOTH_CLIENTS)
    before, now = bool(old.get("ignore_result")), bool(new.get("ignore_result"))
    if now and not before:
        message = "results are no longer stored (ignore_result): old clients wait for them in vain"
        yield pair.find("result_ignored", message, path="ignore_result", who="old clients, at new workers")
    elif before and not now:
        message = "results are stored now: new clients wait in vain for those of old workers (ignore_result)"
        yield pair.find("result_stored", message, path="ignore_result", who=NEW_CLIENTS)


def _retries(pair: Pair, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Finding]:
    before, now = _tries(old), _tries(new)
    if now < before:
        message = f"a failure is tried again {_times(now)} now, and was {_times(before)}"
        yield pair.find("retries_cut", message, path="retries", who=OLD_CLIENTS)
    elif old.get("retries") != new.get("retries") or old.get("max_retries") != new.get("max_retries"):
        message = f"the retries are {_retried(new)} now, and were {_retried(old)}"
        yield pair.find("option_changed", message, path="retries", who="new workers")


def _tries(options: Mapping[str, Any]) -> float:
    """Return how often a failure is tried again at most."""
    policy = options.get("retries")
    if policy is not None:
        return float(policy["max_attempts"] - 1)
    most = options.get("max_retries", 0)  # Celery retries nothing that no option names
    return float("inf") if most is None else float(most)


def _times(number: float) -> str:
    if number == float("inf"):
        return "for ever"
    return "never" if number == 0 else f"{number:g} times"


def _retried(options: Mapping[str, Any]) -> str:
    return shown({name: options[name] for name in ("retries", "max_retries") if name in options})


def _value(options: Mapping[str, Any], name: str) -> str:
    return shown(options[name]) if name in options else "not set"
