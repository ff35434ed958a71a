"""Describe a task or a contract as text: parameters, result, errors, options, and each model once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from textwrap import indent
from typing import Final

from pico_celery.document.records import ContractRecord, Document, JsonSchema, ParameterRecord, TaskRecord, references
from pico_celery_tooling.describe.docstrings import Docstring, read_docstring
from pico_celery_tooling.schema.words import duration, in_words, json_text, model_name

Style = Callable[[str], str]
_SECONDS: Final = frozenset(
    {"timeout", "time_limit", "soft_time_limit", "expires", "countdown", "default_retry_delay", "idempotency_ttl"}
)


def signature(task: TaskRecord) -> str:
    """Return the signature of a task as a contract declares it: ``place(order: Order, *, dry_run: bool = False) -> Receipt``."""
    parts: list[str] = []
    for parameter in task.parameters:
        if parameter.keyword_only and "*" not in parts:
            parts.append("*")
        default = "" if parameter.required else f" = {parameter.default!r}"
        parts.append(f"{parameter.name}: {parameter.type}{default}")
    return f"{task.method}({', '.join(parts)}) -> {task.result.type}"


def summary(doc: str) -> str:
    """Return the first paragraph of a docstring, on one line."""
    return read_docstring(doc).summary


def describe_contract(contract: ContractRecord, *, heading: Style = str) -> str:
    """Describe a contract: its text, and one line for each task."""
    lines = [f"{heading(contract.key)}  {contract.type}, digest {contract.digest}"]
    if contract.doc:
        lines.extend(["", indent(contract.doc, "  ")])
    lines.extend(["", heading("Tasks"), *columns((task.name, task_line(task)) for task in contract.tasks.values())])
    return "\n".join(lines)


def task_line(task: TaskRecord) -> str:
    """Return a task in one line, which says so if it is deprecated."""
    retired = "" if task.deprecated is None else f"DEPRECATED: {task.deprecated}. "
    return retired + summary(task.doc)


def describe_task(document: Document, task: TaskRecord, example: object, *, heading: Style = str) -> str:
    """Describe a task, with an example of its arguments."""
    doc = read_docstring(task.doc)
    contract = document.contract_of(task.name)
    lines = [f"{heading(task.name)}  contract {contract.key}, digest {task.digest}", f"  {signature(task)}"]
    lines.extend(indent(text, "  ") for text in _facts(task, doc))
    for title, section in (
        ("Parameters", _parameters(document, task, doc)),
        ("Result", _result(document, task, doc)),
        ("Errors", _errors(task, doc)),
        ("Models", _models(document, task)),
        ("Options", columns((name, _option(name, value)) for name, value in task.options.items())),
        ("Example", [indent(json.dumps(example, indent=2, ensure_ascii=False), "  ")] if task.parameters else []),
    ):
        if section:
            lines.extend(["", heading(title), *section])
    return "\n".join(lines)


def _facts(task: TaskRecord, doc: Docstring) -> Iterator[str]:
    if doc.text:
        yield f"\n{doc.text}"
    facts = [
        f"since {task.since}" if task.since else "",
        f"DEPRECATED: {task.deprecated}" if task.deprecated is not None else "",
        f"its workers take messages of {', '.join(task.aliases)} too" if task.aliases else "",
    ]
    if any(facts):
        yield "\n" + "\n".join(fact for fact in facts if fact)


def _parameters(document: Document, task: TaskRecord, doc: Docstring) -> list[str]:
    def words(parameter: ParameterRecord) -> str:
        parts = [in_words(document, parameter.accepts)]
        parts.append("required" if parameter.required else f"default {json_text(parameter.default)}")
        if parameter.keyword_only:
            parts.append("by keyword only")
        return _sentence("; ".join(parts), doc.arguments.get(parameter.name, ""))

    return columns((parameter.name, words(parameter)) for parameter in task.parameters)


def _result(document: Document, task: TaskRecord, doc: Docstring) -> list[str]:
    words = in_words(document, task.result.sends)
    return [f"  {_sentence('nothing (null)' if words == 'null' else words, doc.returns)}"]


def _errors(task: TaskRecord, doc: Docstring) -> list[str]:
    rows = [
        (
            error.code,
            _sentence(
                f"{error.type}{', tried again' if error.retryable else ''}",
                doc.raises.get(error.type) or summary(error.doc),
            ),
        )
        for error in task.errors
    ]
    return columns(rows)


def _models(document: Document, task: TaskRecord) -> list[str]:
    """Return the models in a task's payloads, each once, in the order in which they are first used."""
    roots: list[JsonSchema] = [parameter.accepts for parameter in task.parameters]
    roots += [task.result.sends, *(error.sends for error in task.errors)]
    shown: dict[str, list[str]] = {}
    for reference in _reached(document, roots):
        name, lines = model_name(document, reference), _model(document, document.schemas[reference])
        if shown.setdefault(name, lines) != lines:
            shown[f"{name}, as it comes back"] = lines
    return [line for name, lines in shown.items() for line in (f"  {name}{lines[0]}", *lines[1:])]


def _reached(document: Document, roots: Iterable[JsonSchema]) -> dict[str, None]:
    found: dict[str, None] = {}
    waiting = [name for root in roots for name in references(root)]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting = [*references(document.schemas[name]), *waiting]
    return found


def _model(document: Document, schema: JsonSchema) -> list[str]:
    """Return the text after the name of a model, and the lines of its fields."""
    doc = read_docstring(str(schema.get("description", "")))
    properties: Mapping[str, JsonSchema] = schema.get("properties", {})
    if not properties:
        return [f": {_sentence(in_words(document, schema), doc.summary)}"]
    required = schema.get("required", ())

    def words(name: str, field: JsonSchema) -> str:
        parts = [in_words(document, field)]
        if "default" in field:
            parts.append(f"default {json_text(field['default'])}")
        elif name not in required:
            parts.append("may be left out")
        return _sentence("; ".join(parts), str(field.get("description") or doc.attributes.get(name, "")))

    fields = columns(((name, words(name, field)) for name, field in properties.items()), "    ")
    return [f": {doc.summary}" if doc.summary else "", *fields]


def _sentence(facts: str, text: str) -> str:
    return f"{facts}: {' '.join(text.split())}" if text else facts


def _option(name: str, value: object) -> str:
    if name in _SECONDS and isinstance(value, (int, float)) and not isinstance(value, bool):
        return duration(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {json_text(item)}" for key, item in value.items())
    return value if isinstance(value, str) else json_text(value)


def columns(rows: Iterable[tuple[str, str]], margin: str = "  ") -> list[str]:
    """Return names and texts as lines, with the texts aligned."""
    listed = list(rows)
    width = max((len(name) for name, _ in listed), default=0)
    return [f"{margin}{name.ljust(width)}  {text}".rstrip() for name, text in listed]
