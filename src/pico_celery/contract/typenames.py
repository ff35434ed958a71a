"""Types as a reader of an error message wants to see them."""

from __future__ import annotations

import inspect
import re
from typing import Final

_QUALIFIER: Final = re.compile(r"""('[^']*'|"[^"]*")|\b(?:(?:[A-Za-z_]\w*|<locals>)\.)+(?=[A-Za-z_])""")

_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+(?=>)")
"""In the repr of a function: another one in each process."""


def type_name(annotation: object) -> str:
    """Return a type as its author would write it."""
    if annotation is None or annotation is type(None):
        return "None"
    if annotation is inspect.Parameter.empty:
        return "no annotation"
    text = _QUALIFIER.sub(lambda match: match.group(1) or "", inspect.formatannotation(annotation))
    return _ADDRESS.sub("", text)


def value_text(value: object, *, limit: int = 80) -> str:
    """Return a value with its type, shortened."""
    text = safe_repr(value)
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    return f"{text} ({type(value).__name__})"


def safe_repr(value: object) -> str:
    """Return a value's repr, or its type's name where the repr itself fails."""
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a broken __repr__ must neither stop a call nor hide an error
        return f"<{type(value).__name__}, whose repr fails>"
