"""Types as a reader of an error message wants to see them."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

_QUALIFIER: Final = re.compile(r"\b(?:(?:\w+|<locals>)\.)+(?=\w)")


def type_name(annotation: Any) -> str:
    """Return a type as its author would write it.

    Args:
        annotation: Any annotation; classes are shown without their module.

    Returns:
        Text such as ``Order``, ``list[int]`` or ``Order | None``.
    """
    if annotation is None or annotation is type(None):
        return "None"
    if annotation is inspect.Parameter.empty:
        return "no annotation"
    return _QUALIFIER.sub("", inspect.formatannotation(annotation))


def value_text(value: object, *, limit: int = 80) -> str:
    """Return a value with its type, shortened.

    Args:
        value: Any value that may be shown.
        limit: Characters of its repr at the most.

    Returns:
        Text such as ``'abc' (str)``.
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a broken __repr__ must not hide the error that is being told
        text = object.__repr__(value)
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    return f"{text} ({type(value).__name__})"
