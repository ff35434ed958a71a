"""A site from contracts: all its files, as text, and how they are written to a directory of their own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Final

from pico_celery.contract.definition import ContractDefinition
from pico_celery.contract.naming import prefix_of
from pico_celery.document.records import Document, JsonSchema, TaskRecord
from pico_celery_tooling.describe.docstrings import read_docstring
from pico_celery_tooling.schema.sampling import example
from pico_celery_tooling.site.changes import Changes
from pico_celery_tooling.site.markup import plain
from pico_celery_tooling.site.pages import Example, Site, display_name, plain_key
from pico_celery_tooling.site.snippets import typed_call

_ASSETS: Final = ("style.css", "theme.js", "explorer.js")
MARKER: Final = ".pico-celery-docs.json"
"""Lists what the site has written, so that only that is removed when the site is written again."""


def build_site(
    document: Document, *, title: str, contracts: Sequence[ContractDefinition] = (), changes: Changes | None = None
) -> dict[str, str]:
    """Return the files of a site, by path."""
    known: dict[str, object] = {}
    examples = {name: example_of(document, task, known) for name, task in document.tasks.items()}
    declared = {prefix_of(one.name, one.version): one for one in contracts}
    calls = {
        task.name: typed_call(task, contract, examples[task.name].arguments, declared.get(contract.key))
        for contract in document.contracts.values()
        for task in contract.tasks.values()
    }
    site = Site(title=title, document=document, changes=changes, calls=calls, examples=examples)
    return {**dict(site.pages()), **dict(_assets(site))}


def example_of(document: Document, task: TaskRecord, known: dict[str, object] | None = None) -> Example:
    """Return an example of a task; ``known`` holds the examples that were made before, by schema."""
    made = {} if known is None else known

    def of(schema: JsonSchema) -> object:
        key = json.dumps(schema, sort_keys=True)
        if key not in made:
            made[key] = example(document, schema)
        return made[key]

    return Example(
        arguments={one.name: of(one.sent) for one in task.parameters if one.required},
        result=of(task.result.sends),
        errors={error.code: of(error.sends) for error in task.errors},
    )


def _assets(site: Site) -> Iterator[tuple[str, str]]:
    folder = files("pico_celery_tooling.site") / "assets"
    for name in _ASSETS:
        yield f"assets/{name}", (folder / name).read_text(encoding="utf-8")
    entries = json.dumps(list(_entries(site)), ensure_ascii=True, separators=(",", ":"))
    yield "assets/search-data.js", f"window.contractEntries = {entries};\n"


def _entries(site: Site) -> Iterator[dict[str, str | bool]]:
    """Iterate over what the search finds: kind, name, text, path, and further words that lead to it."""
    document = site.document
    for name, task in document.tasks.items():
        words = [one.name for one in task.parameters]
        words += [*task.aliases, *(error.type for error in task.errors), str(task.options.get("queue", ""))]
        entry = _entry("task", name, read_docstring(task.doc).summary, site.task_pages[name], words)
        yield {**entry, "gone": True} if task.deprecated else entry
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


def _entry(kind: str, name: str, text: str, path: str, words: list[str]) -> dict[str, str | bool]:
    return {"kind": kind, "name": name, "text": plain(text), "path": path, "words": " ".join(words)}


# Writing


class ForeignDirectoryError(Exception):
    """A directory has files, and no marker of a site."""


@dataclass(frozen=True, slots=True)
class WrittenFiles:
    """How many files were written and removed."""

    changed: int
    """Files that are new or different."""
    removed: int
    """Files of the previous site that are no longer part of it."""


def write_site(folder: Path, pages: Mapping[str, str]) -> WrittenFiles:
    """Write a site, and remove the files that only its previous version had."""
    before = _own_files(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # The marker comes first, so that a site that could not be written completely is still recognised as one.
    _write(folder / MARKER, _marker({*before, *pages}))
    changed = sum(_write(folder / path, text) for path, text in pages.items())
    gone = [path for path in before if path not in pages]
    removed = sum(_remove(folder, path) for path in gone)
    _write(folder / MARKER, _marker(set(pages)))
    return WrittenFiles(changed=changed, removed=removed)


def _own_files(folder: Path) -> list[str]:
    if folder.exists() and not folder.is_dir():
        raise ForeignDirectoryError(f"{folder} is a file")
    if not folder.exists() or not any(folder.iterdir()):
        return []
    try:
        listed = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ForeignDirectoryError(f"{folder} has files that are not those of a site") from None
    return [path for path in listed if isinstance(path, str) and _is_inside(path)] if isinstance(listed, list) else []


def _is_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and "\\" not in path


def _marker(paths: set[str]) -> str:
    about = "Written by 'pico-celery docs', which removes these files when the contracts no longer have them."
    return json.dumps({"about": about, "files": sorted(paths)}, indent=1) + "\n"


def _write(path: Path, text: str) -> bool:
    data = text.encode("utf-8")
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return True


def _remove(folder: Path, path: str) -> bool:
    file = folder / path
    if not file.is_file():
        return False
    file.unlink()
    if file.parent != folder and not any(file.parent.iterdir()):
        file.parent.rmdir()
    return True
