"""JSON values as words for people."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

_SHOWN: Final = 60


def one_of(values: Iterable[Any]) -> str:
    """Return values as text: ``one of "a", "b"``."""
    texts = [short(value) for value in values]
    return texts[0] if len(texts) == 1 else f"one of {', '.join(texts)}"


def short(value: Any) -> str:
    """Return a value as JSON that fits into a line."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def same_json(one: Any, other: Any) -> bool:
    """Return whether two values are the same JSON: `True` is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
