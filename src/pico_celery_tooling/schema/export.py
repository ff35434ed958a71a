"""The JSON Schemas of tasks for other tools: standard (Draft 2020-12), each complete in itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from pico_celery.document.records import Document, JsonSchema, TaskRecord

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
PARTS: Final = ("arguments", "result", "errors")


def schemas_of(document: Document, task: TaskRecord) -> dict[str, Any]:
    """Return the schemas of a task."""
    return {
        "arguments": _complete(document, _with_defaults(task), task, "arguments"),
        "result": _complete(document, task.result.sends, task, "result"),
        "errors": {
            error.code: _complete(document, error.sends, task, f"errors:{error.code}", error.doc)
            for error in task.errors
        },
    }


def _with_defaults(task: TaskRecord) -> JsonSchema:
    """Return the schema of all arguments, with the defaults of parameters, which forms begin with."""
    known = {one.name: one.default for one in task.parameters if one.default is not None}
    schema = task.arguments
    own = {
        name: {**one, "default": known[name]} if name in known else one for name, one in schema["properties"].items()
    }
    return {**schema, "properties": own}


def _complete(document: Document, schema: JsonSchema, task: TaskRecord, part: str, doc: str = "") -> Mapping[str, Any]:
    described = doc or (task.doc if part == "arguments" else "")
    return {
        "$schema": DIALECT,
        "$id": f"urn:pico-celery:{quote(task.name)}:{quote(part, safe=':')}",
        "title": f"{task.name}: {part.replace(':', ' ')}",
        **({"description": described} if described else {}),
        **({"deprecated": True} if task.deprecated and part == "arguments" else {}),
        **document.standalone(schema),
    }
