"""Comparing two versions of contracts: what breaks when both are there at once, as in every roll-out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pico_celery.document.records import ContractRecord, Document, TaskRecord
from pico_celery_tooling.evolution.arguments import compare_arguments
from pico_celery_tooling.evolution.findings import Finding, Level
from pico_celery_tooling.evolution.options import compare_options
from pico_celery_tooling.evolution.results import compare_results
from pico_celery_tooling.evolution.rules import CALLERS, NEW_CLIENTS, OLD_CLIENTS
from pico_celery_tooling.evolution.source_changes import compare_source
from pico_celery_tooling.evolution.task_pairs import Matching, Pair, finding, match

_SEVERITY: Final = {level: number for number, level in enumerate(Level)}


def compare(old: Document, new: Document) -> list[Finding]:
    """Compare two versions of contracts.

    In a roll-out old clients meet new workers, new clients meet old workers, and messages that were queued or scheduled
    by old clients meet new workers. What each of them sends has to be accepted by the other.
    """
    matching = match(old, new)
    found = [*_contracts(old, new), *_names(matching, old, new)]
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


def _names(matching: Matching, old: Document, new: Document) -> Iterator[Finding]:
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
    told = {name for contract in whole for name in contract.tasks}
    for task in matching.added:
        if task.name not in told:
            message = "the task is new, and old workers do not know it"
            yield finding("task_added", task.name, message, who=NEW_CLIENTS)
    del old


_ORDER: Final = "roll out the workers before the clients, and keep the alias until no message of the old name waits"


def _removed(task: TaskRecord) -> Finding:
    since = f" (it came in {task.since})" if task.since else ""
    if task.deprecated is None:
        message = f"the task is gone{since}, and its callers were not told before: it was not deprecated"
        return finding("task_removed", task.name, message, who=f"callers, {OLD_CLIENTS}")
    message = (
        f"the task is gone{since}; its callers were told before (deprecated: {task.deprecated!r}), but messages that still "
        "wait are refused"
    )
    return finding("deprecated_task_removed", task.name, message, who=OLD_CLIENTS)


def _whole(added: list[TaskRecord], new: Document) -> list[ContractRecord]:
    names = {task.name for task in added}
    return [contract for contract in new.contracts.values() if contract.tasks and names.issuperset(contract.tasks)]
