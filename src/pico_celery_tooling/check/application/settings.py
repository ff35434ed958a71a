"""Check the settings of an application: broker, result backend, formats, times."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from celery.backends.base import DisabledBackend
from kombu.utils.url import maybe_sanitize_url

from pico_celery.app.settings import DEFAULT_BACKEND_URL, DEFAULT_BROKER_URL
from pico_celery.contract.retry_policy import RetryPolicy
from pico_celery_tooling.check.application.facts import ApplicationFacts, Rules, setup_finding
from pico_celery_tooling.check.application.policies import longest_delays, returns_something, stores_result
from pico_celery_tooling.evolution.rules import Category, Finding, Level

SETTING_RULES: Final = Rules()
_JSON: Final = frozenset({"json", "application/json"})
_SHOWN: Final = 3


@SETTING_RULES.add("the broker is the one that is taken where nothing is said")
def broker_default(facts: ApplicationFacts) -> Iterator[Finding]:
    """Celery's is a RabbitMQ, this library's a Redis server, both on the same machine."""
    url = facts.conf.broker_write_url
    if url is None or (url == DEFAULT_BROKER_URL and not os.environ.get("CELERY_BROKER_URL")):
        shown = maybe_sanitize_url(url or facts.app.connection_for_write().as_uri())
        message = f"expected a broker that was chosen, got the default, {shown}"
        remedy = "set broker_url; where the default is meant, ignore this rule with that reason"
        yield setup_finding("broker_default", Level.NOTE, "broker_url", message, remedy)


@SETTING_RULES.add("the result backend is the one that is taken where nothing is said")
def backend_default(facts: ApplicationFacts) -> Iterator[Finding]:
    """This library's default is a Redis server on the same machine; Celery has none."""
    if facts.conf.result_backend == DEFAULT_BACKEND_URL:
        message = f"expected a result backend that was chosen, got the default, {DEFAULT_BACKEND_URL}"
        remedy = "set backend_url (None for no results); where the default is meant, ignore this rule with that reason"
        yield setup_finding("backend_default", Level.NOTE, "backend_url", message, remedy)


@SETTING_RULES.add("tasks return something, and there is no result backend")
def backend_missing(facts: ApplicationFacts) -> Iterator[Finding]:
    """Their contracts promise results that nobody can ever read."""
    if not isinstance(facts.app.backend, DisabledBackend):
        return
    names = {name for name, served in facts.served.items() if stores_result(served)}
    for call in facts.calls:
        if call.definition is not None and returns_something(call.definition) and not call.options.get("ignore_result"):
            names.add(call.task)
    if names:
        message = f"expected a result backend for the results of {_listed(names)}, got none: waiting for one fails"
        remedy = "set backend_url, or return None"
        yield setup_finding("backend_missing", Level.BREAK, "backend_url", message, remedy, who="callers who wait")


@SETTING_RULES.add("a task has an idempotency key, and the result backend cannot keep it")
def key_backend(facts: ApplicationFacts) -> Iterator[Finding]:
    """Only Redis takes a key in one step; every call with one is refused otherwise."""
    keyed = _keyed(facts)
    backend: Any = facts.app.backend
    if keyed and not _is_redis(backend):
        for name in keyed:
            message = (
                f"expected a Redis result backend for the task's key, got {type(backend).__name__}: every call fails"
            )
            remedy = "set backend_url to a Redis server, or take key= out of @task_options"
            yield setup_finding("key_backend", Level.BREAK, name, message, remedy, who="callers in this application")


@SETTING_RULES.add("an idempotency key outlives the result of its call")
def key_outlives_result(facts: ApplicationFacts) -> Iterator[Finding]:
    """A second call would wait for a result that is gone, so each call is refused."""
    backend: Any = facts.app.backend
    if not _is_redis(backend):
        return
    kept = min((float(seconds) for seconds in (backend.expires, backend.failure_expires) if seconds), default=None)
    for name, ttl in _keyed(facts).items():
        if kept is not None and ttl is not None and ttl > kept:
            message = f"expected idempotency_ttl of at most result_expires, {kept:g} s, got {ttl:g} s: every call fails"
            remedy = "raise result_expires (and result_failure_expires), or give a shorter idempotency_ttl"
            yield setup_finding("key_outlives_result", Level.BREAK, name, message, remedy, who="callers of the task")


@SETTING_RULES.add("a format that the other side of the wire refuses")
def wire_format(facts: ApplicationFacts) -> Iterator[Finding]:
    """Contracts travel as JSON, and each side takes only the formats that it lists."""
    conf = facts.conf
    accepted = set(conf.accept_content or ())
    found = partial(setup_finding, "wire_format", categories=frozenset({Category.SETUP, Category.WIRE}))
    if not accepted & _JSON:
        message = f"expected 'json' in accept_content, got {sorted(accepted)}: workers refuse every call of a contract"
        yield found(Level.BREAK, "accept_content", message, "add 'json', or leave the setting out")
    results = set(conf.result_accept_content or accepted)
    if conf.result_serializer not in results and not ({conf.result_serializer} <= _JSON and results & _JSON):
        message = f"expected result_serializer among the accepted, {sorted(results)}, got {conf.result_serializer!r}"
        yield found(Level.BREAK, "result_serializer", message, "leave it out: results of contracts are JSON")
    elif conf.result_serializer not in _JSON:
        message = f"expected result_serializer 'json', got {conf.result_serializer!r}: peers that take JSON refuse the results"
        yield found(Level.NOTE, "result_serializer", message, "leave it out: results of contracts are JSON")
    if conf.task_serializer not in _JSON:
        message = f"expected task_serializer 'json', got {conf.task_serializer!r}, in which plain tasks are sent"
        yield found(Level.NOTE, "task_serializer", message, "leave it out, or move these tasks into a contract")


@SETTING_RULES.add("pickle is accepted, which runs whatever a message says")
def pickle_accepted(facts: ApplicationFacts) -> Iterator[Finding]:
    """Celery warns of it.

    Source: https://docs.celeryq.dev/en/stable/userguide/security.html#serializers
    """
    for name in ("accept_content", "result_accept_content"):
        if {"pickle", "application/x-python-serialize"} & set(getattr(facts.conf, name) or ()):
            message = "expected json only, got pickle too: whoever may write to the broker runs code in the worker"
            yield setup_finding("pickle_accepted", Level.NOTE, name, message, "take pickle out; no contract needs it")


@SETTING_RULES.add("a message waits for longer than the broker's visibility timeout, and is delivered twice")
def visibility_timeout(facts: ApplicationFacts) -> Iterator[Finding]:
    """Redis delivers again what is not acknowledged: what waits for its ETA, and what runs with late acknowledgement.

    Source: https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html#visibility-timeout
    """
    visible = _visibility_seconds(facts)
    if visible is None:
        return
    for subject, what, seconds, level, where in _waits(facts):
        if seconds > visible:
            message = f"expected {what} below the visibility timeout, {visible:g} s, got {seconds:g} s"
            remedy = f"set broker_transport_options={{'visibility_timeout': {2 * round(seconds)}}} for all processes"
            yield setup_finding(
                "visibility_timeout",
                level,
                subject,
                f"{message}: the message is delivered a second time, and the task runs twice",
                remedy,
                where=where,
                categories=frozenset({Category.SETUP, Category.QUEUED}),
            )


@SETTING_RULES.add("calls are run where they are made, and no message is sent")
def always_eager(facts: ApplicationFacts) -> Iterator[Finding]:
    """A setting for tests."""
    if facts.conf.task_always_eager:
        message = "expected calls that are sent, got task_always_eager: the caller runs them itself, and waits"
        yield setup_finding("always_eager", Level.NOTE, "task_always_eager", message, "leave it to the tests")


def _keyed(facts: ApplicationFacts) -> dict[str, float | None]:
    """Return the tasks with an idempotency key: how long it is kept, where that is said."""
    keyed = {
        name: served.definition.options.get("idempotency_ttl")
        for name, served in facts.served.items()
        if served.definition.options.get("key") is not None
    }
    for call in facts.calls:
        if call.definition is not None and call.definition.options.get("key") is not None:
            keyed[call.task] = call.options.get("idempotency_ttl")
    return dict(sorted(keyed.items()))


def _is_redis(backend: object) -> bool:
    try:
        from celery.backends.redis import RedisBackend  # noqa: PLC0415 - an optional dependency
    except ImportError:
        return False
    return isinstance(backend, RedisBackend)


def _visibility_seconds(facts: ApplicationFacts) -> float | None:
    given = dict(facts.conf.broker_transport_options or {}).get("visibility_timeout")
    try:
        channel = getattr(facts.app.connection_for_write().transport, "Channel", None)
    except Exception:  # noqa: BLE001 - the check of the connection reports it
        return None
    defaults = (getattr(channel, name, None) for name in ("default_visibility_timeout", "visibility_timeout"))
    default = next((float(value) for value in defaults if isinstance(value, (int, float))), None)
    # A transport without a default of its own does not know the option.
    return default if default is None or given is None else float(given)


def _waits(facts: ApplicationFacts) -> Iterator[tuple[str, str, float, Level, str]]:
    for call in facts.calls:
        if call.options.get("countdown"):
            yield call.task, f"countdown= of {call.client}", call.options["countdown"], Level.BREAK, call.where
    for entry, values in facts.periodic.items():
        countdown = (values.get("options") or {}).get("countdown")
        if isinstance(countdown, (int, float)):
            yield f"beat_schedule[{entry!r}]", "countdown", float(countdown), Level.BREAK, ""
    for name, served in facts.served.items():
        policy = served.option("retries")
        if isinstance(policy, RetryPolicy):
            longest = max(longest_delays(policy), default=0.0)
            yield name, "the longest delay of the RetryPolicy", longest, Level.NOTE, served.where
        if served.task.acks_late and served.task.time_limit:
            limit = float(served.task.time_limit)
            yield name, "the time limit of a task that is acknowledged late", limit, Level.NOTE, served.where


def _listed(names: set[str]) -> str:
    shown = sorted(names)[:_SHOWN]
    return ", ".join(shown) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
