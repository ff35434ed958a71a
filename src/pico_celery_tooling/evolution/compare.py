"""Compare two versions of contracts, and find what breaks while both are running, as in every roll-out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pico_celery.document.records import ContractRecord, Document, ErrorRecord, JsonSchema, ParameterRecord, TaskRecord
from pico_celery_tooling.evolution.arguments import compare_arguments
from pico_celery_tooling.evolution.rules import (
    CALLERS,
    IMPLEMENTERS,
    NEW_CLIENTS,
    NEW_WORKERS,
    OLD_CLIENTS,
    OLD_WORKERS,
    Finding,
    Level,
)
from pico_celery_tooling.evolution.subset import remembered
from pico_celery_tooling.evolution.task_pairs import Matching, Pair, TaskVersion, finding, match, shown

_SEVERITY: Final = {level: number for number, level in enumerate(Level)}


def compare(old: Document, new: Document) -> list[Finding]:
    """Compare two versions of contracts.

    In a roll-out old clients meet new workers, new clients meet old workers, and messages that were queued or scheduled
    by old clients meet new workers. What each of them sends has to be accepted by the other.
    """
    matching = match(old, new)
    found = [*_contracts(old, new), *_names(matching, new)]
    for pair in matching.pairs:
        found.extend(_pair(pair))
    return sorted(found, key=lambda one: (one.task, _SEVERITY[one.level], one.path, one.rule))


def _pair(pair: Pair) -> Iterator[Finding]:
    yield from compare_arguments(pair)
    yield from compare_results(pair)
    yield from compare_options(pair)
    yield from compare_source(pair)


def _contracts(old: Document, new: Document) -> Iterator[Finding]:
    classes = {contract.type for contract in new.contracts.values()}
    for key, contract in old.contracts.items():
        now = new.contracts.get(key)
        if now is None and contract.type not in classes:
            message = f"the contract {contract.type or key} is gone: expected its class, got none"
            yield finding("contract_removed", key, message, who=CALLERS)
        elif now is not None and contract.type != now.type:
            message = f"the class of the contract is {now.type} now: expected {contract.type}"
            remedy = f"keep the old name for a while: {contract.type} = {now.type}"
            yield finding("contract_class_renamed", key, message, who=CALLERS, remedy=remedy)


def _names(matching: Matching, new: Document) -> Iterator[Finding]:
    for task in matching.removed:
        yield _removed(task)
    for before, now in matching.renamed:
        message = f"the task is sent as {now.name} now, which old workers do not know: they know {before.name}"
        yield finding("task_renamed", now.name, message, level=Level.ORDER, who=NEW_CLIENTS, remedy=_ORDER)
    for before, now in matching.lost:
        message = (
            f"{before.name} is gone and {now.name} has the same signature: it looks renamed; new workers do not know the "
            f"old name, old workers do not know the new one"
        )
        remedy = f"let workers take the old name too: @task_options(aliases=[{before.name!r}])"
        yield finding("task_renamed", before.name, message, who=OLD_CLIENTS, remedy=remedy)
    for task, alias in matching.unaliased:
        message = f"workers no longer take {alias}, which was an alias of {task.name}"
        yield finding("alias_removed", task.name, message, who=OLD_CLIENTS)
    whole = _whole(matching.added, new)
    for contract in whole:
        names = ", ".join(contract.tasks)
        message = f"the contract {contract.key} is new, and old workers know none of its tasks: {names}"
        yield finding("contract_added", contract.key, message, who=NEW_CLIENTS)
    in_whole = {name for contract in whole for name in contract.tasks}
    for task in matching.added:
        if task.name not in in_whole:
            message = "the task is new, and old workers do not know it"
            yield finding("task_added", task.name, message, who=NEW_CLIENTS)


_ORDER: Final = "roll out the workers before the clients, and keep the alias until no message of the old name waits"


def _removed(task: TaskRecord) -> Finding:
    since = f" (it came in {task.since})" if task.since else ""
    if task.deprecated is None:
        message = f"the task is gone{since}, and was never deprecated: its callers had no warning"
        return finding("task_removed", task.name, message, who=f"callers, {OLD_CLIENTS}")
    message = (
        f"the task is gone{since}; it was deprecated ({task.deprecated!r}), but messages that still wait are refused"
    )
    return finding("deprecated_task_removed", task.name, message, who=OLD_CLIENTS)


def _whole(added: list[TaskRecord], new: Document) -> list[ContractRecord]:
    names = {task.name for task in added}
    return [contract for contract in new.contracts.values() if contract.tasks and names.issuperset(contract.tasks)]


def compare_source(pair: Pair) -> Iterator[Finding]:
    """Compare what code sees of two versions of a task, beside what breaks at run time too."""
    old, new = pair.old.task, pair.new.task
    yield from compare_reference(pair.old, pair.new)
    if signature(old) != signature(new):
        message = f"the signature is {signature(new)} now, and was {signature(old)}"
        who = f"{IMPLEMENTERS}, and callers where a type got narrower"
        yield pair.find("signature_changed", message, who=who)
    if new.deprecated is not None and old.deprecated is None:
        message = f"the task is deprecated now: {new.deprecated}"
        yield pair.find("task_deprecated", message, who=CALLERS)


def compare_reference(old: TaskVersion, new: TaskVersion) -> Iterator[Finding]:
    """Compare what callers refer to a task by: the class of its contract and its method."""
    before, now = _reference(old), _reference(new)
    if (old.document.contract_of(old.task.name).key, old.task.method) == (
        new.document.contract_of(new.task.name).key,
        new.task.method,
    ):
        return
    if before != now:
        message = f"callers refer to it as {now} now: expected {before}"
        yield finding("method_renamed", new.task.name, message, who=CALLERS)


def _reference(version: TaskVersion) -> str:
    contract = version.document.contract_of(version.task.name)
    return f"{contract.type or contract.key}.{version.task.method}"


def signature(task: TaskRecord) -> str:
    """Return the signature of a task as written in code, without ``self``."""
    positional = [_parameter(parameter) for parameter in task.parameters if not parameter.keyword_only]
    named = [_parameter(parameter) for parameter in task.parameters if parameter.keyword_only]
    both = [*positional, *(["*", *named] if named else [])]
    return f"({', '.join(both)}) -> {task.result.type}"


def _parameter(parameter: ParameterRecord) -> str:
    default = "" if parameter.required else f" = {shown(parameter.default)}"
    return f"{parameter.name}: {parameter.type}{default}"


_RESULT: Final = "return"


def compare_results(pair: Pair) -> Iterator[Finding]:
    """Compare results and errors of two versions of a task."""
    old, new = pair.old.task.result, pair.new.task.result
    yield from _answers_refused(pair, "result", _RESULT, (old.sends, old.accepted), (new.sends, new.accepted))
    yield from _errors(pair)


def _errors(pair: Pair) -> Iterator[Finding]:
    old, new = pair.old.task, pair.new.task
    added = [error for error in new.errors if old.error(error.code) is None]
    for before in old.errors:
        now = new.error(before.code)
        if now is not None:
            yield from _error(pair, before, now)
            continue
        recoded = next((error for error in added if error.type == before.type), None)
        if recoded is None:
            message = (
                f"the error {before.type} ({before.code}) is no longer declared: new clients get it as RemoteError"
            )
            yield pair.find("error_removed", message, path=before.code, who=OLD_WORKERS)
            continue
        added.remove(recoded)
        message = (
            f"the error {before.type} has another code: expected {before.code}, got {recoded.code}, which old clients do "
            "not know"
        )
        remedy = f"keep the code: class {before.type}(TaskError, code={before.code!r})"
        yield pair.find("error_code_changed", message, path=before.code, who=NEW_WORKERS, remedy=remedy)
    for error in added:
        message = f"the error {error.type} ({error.code}) is new: old clients get it as RemoteError"
        yield pair.find("error_added", message, path=error.code, who=NEW_WORKERS)


def _error(pair: Pair, before: ErrorRecord, now: ErrorRecord) -> Iterator[Finding]:
    if before.retryable != now.retryable:
        words = ("not retryable", "retryable")
        message = f"the error {now.code} is {words[now.retryable]} now: expected {words[before.retryable]}, as it was"
        yield pair.find("error_retryable_changed", message, path=now.code, who="the task, during the roll-out")
    old, new = (before.sends, before.accepted), (now.sends, now.accepted)
    yield from _answers_refused(pair, "error", now.code, old, new)


def _answers_refused(
    pair: Pair, place: str, root: str, old: tuple[JsonSchema, JsonSchema], new: tuple[JsonSchema, JsonSchema]
) -> Iterator[Finding]:
    """Compare what is sent with what is accepted."""
    if all(pair.is_same(*both) for both in zip(old, new, strict=True)):
        return
    before, now = pair.old.document, pair.new.document
    sides = (
        ((now, new[0]), (before, old[1]), (now, new[1]), Level.BREAK, NEW_WORKERS),
        ((before, old[0]), (now, new[1]), (before, old[1]), Level.ORDER, OLD_WORKERS),
    )
    for sent, accepted, read, level, who in sides:
        for one in pair.memory.of(remembered, sent, accepted, read):
            if not one.is_certain and one.identity in _unchanged(pair, old, new):
                continue
            yield pair.find(
                f"{place}_{one.rule}", one.message, level=level, path=one.path_in(root), who=who, payload=one.witness
            )


def _unchanged(pair: Pair, old: tuple[JsonSchema, JsonSchema], new: tuple[JsonSchema, JsonSchema]) -> set[object]:
    """Return what cannot be known of a version beside itself, in both: there what is sent passes the same checks again."""
    before, now = pair.old.document, pair.new.document
    versions = (((before, old[0]), (before, old[1])), ((now, new[0]), (now, new[1])))
    one, other = ({found.identity for found in pair.memory.of(remembered, *version)} for version in versions)
    return one & other


_PLACES: Final = ("queue", "exchange", "routing_key")
_LIMITS: Final = {
    "time_limit": OLD_CLIENTS,
    "soft_time_limit": OLD_CLIENTS,
    "timeout": "new clients",
    "expires": "new clients",
    "idempotency_ttl": "new clients",
}
_COMPARED: Final = frozenset(
    {*_PLACES, *_LIMITS, "name", "idempotent", "key", "ignore_result", "retries", "max_retries"}
)
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
    for name in sorted({*old, *new} - _COMPARED):
        if old.get(name) != new.get(name):
            message = f"the option {name} is {_value(new, name)} now, and was {_value(old, name)}"
            yield pair.find("option_changed", message, path=name, who="new clients and new workers")


def _places(pair: Pair, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Finding]:
    for name in _PLACES:
        before, now = old.get(name), new.get(name)
        if before == now:
            continue
        message = (
            f"the {name.replace('_', ' ')} is {_place_name(now)} now: old clients send to {_place_name(before)}, where messages may "
            "wait"
        )
        remedy = (
            f"keep a worker on {_place_name(before)} until it is empty and no client sends to it, and ignore this with that "
            "reason"
        )
        yield pair.find(f"{name}_moved", message, path=name, who=OLD_CLIENTS, remedy=remedy)


def _place_name(name: object) -> str:
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
        return "forever"
    return "never" if number == 0 else f"{number:g} times"


def _retried(options: Mapping[str, Any]) -> str:
    return shown({name: options[name] for name in ("retries", "max_retries") if name in options})


def _value(options: Mapping[str, Any], name: str) -> str:
    return shown(options[name]) if name in options else "not set"
