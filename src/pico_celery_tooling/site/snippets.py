"""Python code that calls a task: with the contract's types where they are known, and with plain Celery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from pico_celery.contract.definition import ContractDefinition, TaskDefinition
from pico_celery.document.records import ContractRecord, TaskRecord
from pico_celery_tooling.site.pycode import Code, UnwritableError, Writer, call, literal, quoted, written

_LIBRARY: Final = "pico_celery"


def typed_call(
    record: TaskRecord, contract: ContractRecord, arguments: Mapping[str, Any], declared: ContractDefinition | None
) -> str:
    """Return code that calls a task through a client."""
    writer = Writer()
    values = _values(writer, record, arguments, declared)
    cls = contract.type.rpartition(".")[2] or "Contract"
    client = f"{cls}Client"
    reference = contract.type
    missing = f"# {contract.type.partition('.')[0]}: import it from your contracts"
    if declared is not None:
        try:
            reference = writer.name(declared.cls)
            missing = ""
        except UnwritableError:
            reference = contract.type.rpartition(".")[2]
            missing = f"# {reference}: import it from your contracts"
    for name in ("CeleryClient", "celery", "send_task"):
        writer.imports.setdefault(_LIBRARY, set()).add(name)
    return "\n".join(
        [
            *writer.lines(),
            *([missing] if missing else []),
            "",
            "",
            "@celery",
            f"class {client}(CeleryClient):",
            f"    {record.method} = send_task({reference}.{record.method})",
            "",
            "",
            f"def call(client: {client}) -> None:",
            *_body(record, values),
            "",
        ]
    )


def plain_call(record: TaskRecord, arguments: Mapping[str, Any]) -> str:
    """Return code that calls a task by name, without its contract."""
    options = {
        name: record.options[name]
        for name in ("queue", "exchange", "routing_key", "priority")
        if name in record.options
    }
    parts: dict[str, Code] = {
        "kwargs": literal(dict(arguments)),
        **{name: literal(one) for name, one in options.items()},
    }
    named = call("app.send_task", parts)
    if isinstance(named, str):
        return named
    with_name = type(named)(named.opening, (("", quoted(record.name)), *named.items), named.closing)
    lines = [f"result = {written(with_name, taken=9)}"]
    if not record.options.get("ignore_result"):
        lines.append("print(result.get(timeout=10))")
    return "\n".join([*lines, ""])


def _values(
    writer: Writer, record: TaskRecord, arguments: Mapping[str, Any], declared: ContractDefinition | None
) -> dict[str, Code]:
    task = _definition(record, declared)
    if task is not None:
        trial = Writer()
        try:
            decoded = task.arguments.decode(dict(arguments))
            codes = {name: trial.code(decoded[name]) for name in arguments}
        except (UnwritableError, ValidationError, ValueError, KeyError):
            pass  # an example that no sampling finds, or a type of somebody's own
        else:
            writer.imports.update(trial.imports)
            return codes
    return {name: literal(value) for name, value in arguments.items()}


def _definition(record: TaskRecord, declared: ContractDefinition | None) -> TaskDefinition | None:
    if declared is None:
        return None
    return next((task for task in declared.tasks.values() if task.name == record.name), None)


def _body(record: TaskRecord, values: Mapping[str, Code]) -> list[str]:
    if record.options.get("ignore_result"):
        return _call(f"    client.{record.method}", values)
    waits = "    print(result.get(timeout=10))  # or: await result"
    return [*_call(f"    result = client.{record.method}", values), waits]


def _call(start: str, values: Mapping[str, Code]) -> list[str]:
    return (start + written(call("", values), indent=4, taken=len(start) - 4)).splitlines()
