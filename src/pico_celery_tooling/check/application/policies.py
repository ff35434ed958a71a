"""Check how the tasks of an application retry, time out, and keep their results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pico_celery.contract.conformance import is_assignable
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.naming import snake_case
from pico_celery.contract.retry_policy import RetryPolicy
from pico_celery_tooling.check.application.facts import ApplicationFacts, Rules, Served, setup_finding
from pico_celery_tooling.evolution.rules import Category, Finding, Level

POLICY_RULES: Final = Rules()

READING: Final = frozenset(
    {
        "calculate",
        "check",
        "compare",
        "compute",
        "convert",
        "count",
        "describe",
        "diff",
        "estimate",
        "exists",
        "fetch",
        "filter",
        "find",
        "format",
        "get",
        "has",
        "health",
        "info",
        "is",
        "list",
        "load",
        "look",
        "lookup",
        "match",
        "parse",
        "peek",
        "ping",
        "preview",
        "query",
        "quote",
        "rank",
        "read",
        "render",
        "score",
        "search",
        "select",
        "show",
        "stat",
        "state",
        "stats",
        "status",
        "suggest",
        "sum",
        "summarize",
        "validate",
        "verify",
        "version",
        "view",
    }
)
"""First words of the names of tasks that only look at something, as far as a name shows."""

_CELERY_RETRIES: Final = ("autoretry_for", "max_retries", "retry_backoff", "default_retry_delay", "retry_kwargs")


@POLICY_RULES.add("a task that changes something says neither what it may fail with nor what is tried again")
def no_failure_policy(facts: ApplicationFacts) -> Iterator[Finding]:
    """A guess, so a note: what is idempotent, has a key, or only reads by its name and returns what it read, is left out."""
    for name, served in facts.served.items():
        definition = served.definition
        said = (
            bool(definition.errors)
            or any(served.option(option) is not None for option in ("retries", "key", *_CELERY_RETRIES))
            or bool(served.option("idempotent"))
        )
        if said or not definition.declared or _only_reads(definition):
            continue
        message = (
            "expected declared errors (errors=), a RetryPolicy (retries=), a key or idempotent=True for a task that "
            "changes something, got none of them: when it fails, callers cannot know whether to try again"
        )
        remedy = "say in @task_options what it may fail with and what is tried again, or that it is idempotent"
        yield setup_finding("no_failure_policy", Level.NOTE, name, message, remedy, where=served.where)


@POLICY_RULES.add("a task may run forever")
def no_time_limit(facts: ApplicationFacts) -> Iterator[Finding]:
    """A task that hangs holds one of the worker's places until the worker is restarted."""
    for name, served in facts.served.items():
        if served.limit_seconds is None and not served.definition.options.get("timeout"):
            message = "expected a time limit, got none: a task that hangs keeps its place in the worker forever"
            remedy = "say time_limit= (or timeout=, from the call on) in @task_options, or set task_time_limit"
            yield setup_finding("no_time_limit", Level.NOTE, name, message, remedy, where=served.where)


@POLICY_RULES.add("a time limit that is never reached, because something else ends the task before")
def time_limit_never_reached(facts: ApplicationFacts) -> Iterator[Finding]:
    """The deadline counts from the call, the time limit from the start: the second has to be shorter to have a meaning."""
    for name, served in facts.served.items():
        timeout = served.definition.options.get("timeout")
        for option in ("time_limit", "soft_time_limit"):
            limit = getattr(served.task, option)
            if limit and timeout and limit >= timeout:
                message = f"expected {option} below timeout= ({timeout:g} s from the call on), got {limit:g} s"
                remedy = f"shorten {option}, or give the caller more time with timeout="
                yield setup_finding("time_limit_never_reached", Level.NOTE, name, message, remedy, where=served.where)
        hard, soft = served.task.time_limit, served.task.soft_time_limit
        if hard and soft and soft >= hard:
            message = (
                f"expected soft_time_limit below time_limit ({hard:g} s), got {soft:g} s: there is no time to clean up"
            )
            remedy = "shorten soft_time_limit, or leave it out"
            yield setup_finding("time_limit_never_reached", Level.NOTE, name, message, remedy, where=served.where)


@POLICY_RULES.add("attempts that come after the deadline of the call")
def retries_beyond_deadline(facts: ApplicationFacts) -> Iterator[Finding]:
    """A call past its deadline is not tried again, so the policy promises attempts that are never made."""
    for name, served in facts.served.items():
        timeout, policy = served.definition.options.get("timeout"), served.option("retries")
        if not timeout or not isinstance(policy, RetryPolicy):
            continue
        waits = longest_delays(policy)
        total, made = 0.0, 1
        for wait in waits:
            total += wait
            made += total < timeout
        if made < policy.max_attempts:
            message = (
                f"expected {policy.max_attempts} attempts within timeout= ({timeout:g} s from the call on), got delays "
                f"that leave room for {made}"
            )
            remedy = "lengthen timeout=, shorten delay, backoff or max_delay, or take fewer attempts"
            yield setup_finding("retries_beyond_deadline", Level.NOTE, name, message, remedy, where=served.where)


@POLICY_RULES.add("a result that callers wait for is not stored")
def result_ignored(facts: ApplicationFacts) -> Iterator[Finding]:
    """Where only the worker ignores it, callers wait until their timeout; where the contract does, they get an error."""
    for name, served in facts.served.items():
        contract_ignores = served.definition.options.get("ignore_result")
        returns = returns_something(served.definition)
        if contract_ignores and returns:
            message = (
                "expected a task that returns None with ignore_result=True, got one with a result: waiting for it fails"
            )
            remedy = (
                "return None, or leave ignore_result out; a caller who needs no result says it with ignore_result=True"
            )
            yield setup_finding("result_ignored", Level.NOTE, name, message, remedy, where=served.where)
        elif served.task.ignore_result and contract_ignores is None and served.definition.declared:
            by = "@task" if "ignore_result" in served.task.binding.options else "task_ignore_result of the settings"
            message = (
                f"expected the worker to store the result as the contract promises, got ignore_result by {by}: callers do "
                "not know it, and wait in vain"
            )
            remedy = "say ignore_result=True in @task_options of the contract, so that callers know it, or leave it out"
            level = Level.BREAK if returns else Level.NOTE
            categories = frozenset({Category.SETUP, Category.WIRE})
            who = "callers who wait for it"
            yield setup_finding(
                "result_ignored", level, name, message, remedy, where=served.where, who=who, categories=categories
            )


def longest_delays(policy: RetryPolicy) -> list[float]:
    """Return the delays before the second and further attempts, in seconds, where chance takes nothing off them."""
    base, limit = policy.delay.total_seconds(), policy.max_delay.total_seconds()
    delays: list[float] = []
    wait = min(base, limit)
    for _ in range(min(policy.max_attempts - 1, _MOST_ATTEMPTS)):
        delays.append(wait)
        wait = min(wait * policy.backoff, limit)
    return delays


def returns_something(definition: TaskDefinition) -> bool:
    """Return whether a task's result is more than that it has ended."""
    return not is_assignable(type(None), definition.result.annotation)


def stores_result(served: Served) -> bool:
    """Return whether a task has a result that is to be stored."""
    return returns_something(served.definition) and not served.task.ignore_result


def _only_reads(definition: TaskDefinition) -> bool:
    words = snake_case(definition.method).split("_")
    return returns_something(definition) and words[0] in READING


_MOST_ATTEMPTS: Final = 10_000
