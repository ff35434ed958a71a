"""A site from contracts: all its files, as text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any, Final

from pico_celery.contract.definition import ContractDefinition
from pico_celery.contract.naming import prefix_of
from pico_celery.document.records import Document, JsonSchema, TaskRecord
from pico_celery_tooling.describe.docstrings import read_docstring
from pico_celery_tooling.schema.sampling import example
from pico_celery_tooling.site.changes import Changes
from pico_celery_tooling.site.context import Example, PageLocation, Site, display_name, plain_key
from pico_celery_tooling.site.other_pages import changes_page, contract_page, index_page, model_page, models_page
from pico_celery_tooling.site.snippets import typed_call
from pico_celery_tooling.site.task_page import task_page

_MARKUP: Final = re.compile(r"`+|\*\*")
_ASSETS: Final = ("style.css", "theme.js", "explorer.js")


def build_site(
    document: Document, *, title: str, contracts: Sequence[ContractDefinition] = (), changes: Changes | None = None
) -> dict[str, str]:
    """Make a site about contracts."""
    known: dict[str, Any] = {}
    examples = {name: example_of(document, task, known) for name, task in document.tasks.items()}
    declared = {prefix_of(one.name, one.version): one for one in contracts}
    calls = {
        task.name: typed_call(task, contract, examples[task.name].arguments, declared.get(contract.key))
        for contract in document.contracts.values()
        for task in contract.tasks.values()
    }
    site = Site(title=title, document=document, changes=changes, calls=calls, examples=examples)
    return {**dict(_pages(site)), **dict(_assets(site))}


def _pages(site: Site) -> Iterator[tuple[str, str]]:
    document = site.document
    yield "index.html", index_page(PageLocation(site, "index.html"))
    for name, path in site.task_pages.items():
        yield path, task_page(PageLocation(site, path), document.tasks[name])
    for key, path in site.contract_pages.items():
        yield path, contract_page(PageLocation(site, path), document.contracts[key])
    if document.schemas:
        yield "models.html", models_page(PageLocation(site, "models.html"))
    for key, path in site.model_pages.items():
        yield path, model_page(PageLocation(site, path), key)
    if site.changes is not None:
        yield "changes.html", changes_page(PageLocation(site, "changes.html"), site.changes)


def _assets(site: Site) -> Iterator[tuple[str, str]]:
    folder = files("pico_celery_tooling.site") / "assets"
    for name in _ASSETS:
        yield f"assets/{name}", (folder / name).read_text(encoding="utf-8")
    entries = json.dumps(list(_entries(site)), ensure_ascii=True, separators=(",", ":"))
    yield "assets/search-data.js", f"window.contractEntries = {entries};\n"


def _entries(site: Site) -> Iterator[dict[str, str]]:
    """Iterate over what can be found: kind, name, text, path, and words by which it is found too."""
    document = site.document
    for name, task in document.tasks.items():
        words = [one.name for one in task.parameters]
        words += [*task.aliases, *(error.type for error in task.errors), str(task.options.get("queue", ""))]
        yield _entry(
            "task", name, read_docstring(task.doc).summary, site.task_pages[name], words, gone=bool(task.deprecated)
        )
    for key, contract in document.contracts.items():
        yield _entry("contract", key, read_docstring(contract.doc).summary, site.contract_pages[key], [contract.type])
    for name, task in document.tasks.items():
        for error in task.errors:
            text = read_docstring(error.doc).summary
            path = f"{site.task_pages[name]}#errors"
            yield _entry("error", error.code, f"{name}: {text}" if text else name, path, [error.type])
    for key, schema in document.schemas.items():
        if key.endswith("-Output") and f"{plain_key(key)}-Input" in document.schemas:
            continue  # found by its other form
        text = read_docstring(str(schema.get("description", ""))).summary
        yield _entry("model", display_name(key), text, site.model_pages[key], list(schema.get("properties", {})))


def _entry(kind: str, name: str, text: str, path: str, words: list[str], *, gone: bool = False) -> dict[str, Any]:
    told = {"kind": kind, "name": name, "text": _MARKUP.sub("", text), "path": path, "words": " ".join(words)}
    return {**told, **({"gone": True} if gone else {})}


def example_of(document: Document, task: TaskRecord, known: dict[str, Any] | None = None) -> Example:
    """Return an example of a task."""
    made = {} if known is None else known

    def of(schema: JsonSchema) -> Any:
        key = json.dumps(schema, sort_keys=True)
        if key not in made:
            made[key] = example(document, schema)
        return made[key]

    return Example(
        arguments={one.name: of(one.sent) for one in task.parameters if one.required},
        result=of(task.result.sends),
        errors={error.code: of(error.sends) for error in task.errors},
    )
