"""Texts of a declared error, in which no secret is shown."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

from pico_celery.contract.error_fields import ErrorFields
from pico_celery.contract.typenames import safe_repr

TEXT_LIMIT: Final = 1024  # as what logs show of arguments and results
UNSHOWN: Final = "(not shown)"


def shown_fields(declared: ErrorFields, values: Mapping[str, Any], separator: str) -> str:
    """Return fields as pydantic shows them.

    Args:
        declared: The fields of the class.
        values: Their values by name.
        separator: What stands between two of them.

    Returns:
        The text, shortened; without fields that say ``repr=False``, and with secrets masked.
    """
    parts = [f"{name}={safe_repr(values[name]) if may else UNSHOWN}" for name, may in declared.shown.items()]
    text = separator.join(parts)
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 3] + "..."


def headline(cls: type[Any]) -> str:
    """Return what the docstring of a class says first, or the name of a class without one."""
    doc = inspect.cleandoc(vars(cls).get("__doc__") or "")
    return doc.split("\n", 1)[0] or cls.__name__


def safe_text(error: BaseException) -> str:
    """Return the text of an error, or its class where the text itself fails."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a broken __str__ must not hide the error
        return f"a {type(error).__name__}, whose text fails"
