"""Write a document as a lock file, canonical text with small diffs, and read it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from pico_celery.document.records import LOCK_VERSION, Document
from pico_celery.errors import Fault, LockFileError

LOCK_FILE: Final = "contracts.lock.json"


def to_text(document: Document) -> str:
    """Return a document as the text of a lock file."""
    return json.dumps(to_data(document), indent=2, ensure_ascii=False) + "\n"


def to_data(document: Document) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return a document as JSON data, as `to_text` writes it."""
    return _pruned(document.model_dump(mode="json"))


def from_text(text: str, where: str) -> Document:
    """Read the text of a lock file."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise _refused(where, "", "JSON", str(error), "write it anew with 'pico-celery lock'") from None
    return from_data(data, where)


def from_data(data: object, where: str) -> Document:
    """Read what `to_data` returned, as `from_text` does."""
    version = data.get("lock_version") if isinstance(data, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        got = "JSON without one" if isinstance(data, dict) else type(data).__name__
        raise _refused(where, "lock_version", "the version of a lock file", got, "is it the right file?")
    if version > LOCK_VERSION:
        remedy = "upgrade pico-celery here, or lock with the version that is used here"
        raise _refused(where, "lock_version", f"at most {LOCK_VERSION}", str(version), remedy)
    try:
        return Document.model_validate(data)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(str(part) for part in detail["loc"])
        raise _refused(where, path, "a lock file", detail["msg"], "write it anew with 'pico-celery lock'") from None


def read(path: Path) -> Document:
    """Read a lock file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        got = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise _refused(str(path), "", "a lock file", got, "write it with 'pico-celery lock'") from None
    return from_text(text, str(path))


def _pruned(data: object) -> object:
    """Leave out empty fields of records; schemas, defaults and options are kept unchanged."""
    if isinstance(data, list):
        return [_pruned(item) for item in data]
    if not isinstance(data, dict):
        return data
    kept: dict[str, Any] = {}
    for key, value in data.items():
        if key in _FOREIGN:
            if value is not None and (value or key != "options"):
                kept[key] = value
        elif isinstance(value, (dict, list)):
            if value or key in _ALWAYS:
                kept[key] = _pruned(value)
        elif key in _ALWAYS or value not in _EMPTY:
            kept[key] = value
    return kept


_FOREIGN: Final = frozenset({"accepts", "sends", "schemas", "default", "options"})
_ALWAYS: Final = frozenset({"contracts", "tasks", "required", "lock_version", "version"})
_EMPTY: Final = (None, "", False)


def _refused(where: str, path: str, expected: str, got: str, remedy: str) -> LockFileError:
    fault = Fault(task=where, path=path, expected=expected, got=got, remedy=remedy, code="lock_file")
    return LockFileError.of(where, [fault])
