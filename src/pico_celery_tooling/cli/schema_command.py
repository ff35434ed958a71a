"""``schema``: print the contracts as JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from pico_celery.contract.naming import did_you_mean
from pico_celery.document.lockfile import LOCK_FILE
from pico_celery.document.records import Document, JsonSchema, TaskRecord
from pico_celery_tooling.cli.completion_command import SCHEMA_TARGET, TASK_NAME
from pico_celery_tooling.output import ToolError, json_option, print_json
from pico_celery_tooling.sources.loading import read_lock, read_source

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


@click.command("schema")
@click.argument("source", metavar="[PACKAGE|LOCKFILE]", required=False, type=SCHEMA_TARGET)
@click.argument("task", required=False, type=TASK_NAME)
@click.option("--part", type=click.Choice(PARTS), help="Only this part of each task.")
@click.option(
    "-o",
    "--output",
    default="-",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="The file; the standard output without it.",
)
@json_option
def command(source: str | None, task: str | None, *, part: str | None, output: Path, as_json: bool) -> None:
    """Print JSON Schemas of TASK, or of all tasks, by name.

    \b
    pico-celery schema shop_contracts orders.place --part arguments
    pico-celery schema orders.place                      from contracts.lock.json here
    pico-celery schema shop_contracts -o schemas.json    all tasks

    Each task has `arguments` (an object of all of them by name) and `result`, and `errors` by their codes: the fields of
    each. Each schema is JSON Schema 2020-12 and complete in itself, for validators, forms, and clients in other languages.
    """
    document, task = _target(source, task)
    data: Any
    if task is None:
        data = {name: _part(schemas_of(document, found), part) for name, found in document.tasks.items()}
    elif task in document.tasks:
        data = _part(schemas_of(document, document.tasks[task]), part)
    else:
        raise ToolError(f"no task {task!r} in {source or LOCK_FILE}", did_you_mean(task, document.tasks))
    if str(output) == "-":
        print_json(data)
        return
    try:
        output.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ToolError(f"{output} cannot be written: {error.strerror}", "name another file with -o") from error
    if as_json:
        print_json({"file": str(output), "tasks": len(document.tasks) if task is None else 1})
    else:
        click.echo(f"wrote {output}")


def _target(source: str | None, task: str | None) -> tuple[Document, str | None]:
    """Return the contracts and the task that are meant; a single name may be that of a task in the lock file here."""
    here = Path(LOCK_FILE)
    if task is None and source is not None and not source.endswith(".json") and here.is_file():
        locked = read_lock(here)
        if source in locked.tasks:
            return locked, source
        try:
            return read_source(source).document, None
        except ToolError as error:
            if "no module named" in error.message:
                near = did_you_mean(source, locked.tasks)
                raise ToolError(f"{source!r} is neither a package nor a task in {LOCK_FILE}", near) from error
            raise
    return read_source(source).document, task


def _part(schemas: dict[str, Any], part: str | None) -> object:
    return schemas if part is None else schemas[part]
