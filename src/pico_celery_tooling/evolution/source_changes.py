"""What a change means to those who write code against a contract: callers and implementers."""

from __future__ import annotations

from collections.abc import Iterator

from pico_celery.document.records import ParameterRecord, TaskRecord
from pico_celery_tooling.evolution.findings import Finding
from pico_celery_tooling.evolution.rules import CALLERS, IMPLEMENTERS
from pico_celery_tooling.evolution.task_pairs import Pair, TaskVersion, finding, shown


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
    """Return the signature of a task as it stands in code, without ``self``."""
    positional = [_parameter(parameter) for parameter in task.parameters if not parameter.keyword_only]
    named = [_parameter(parameter) for parameter in task.parameters if parameter.keyword_only]
    both = [*positional, *(["*", *named] if named else [])]
    return f"({', '.join(both)}) -> {task.result.type}"


def _parameter(parameter: ParameterRecord) -> str:
    default = "" if parameter.required else f" = {shown(parameter.default)}"
    return f"{parameter.name}: {parameter.type}{default}"
