"""HTML that is escaped by its construction: what is not `Html` is text, and text is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Final, TypeAlias

_VOID: Final = frozenset({"br", "hr", "img", "input", "link", "meta"})


class Html(str):
    """A piece of HTML. Only this module makes one, from what it has escaped."""

    __slots__ = ()


Child: TypeAlias = "str | Html | Sequence[Child] | None"


def join(*children: Child) -> Html:
    """Return children one after the other: HTML as it is, text escaped, lists flattened, nothing for ``None``."""
    return Html("".join(_written(child) for child in children))


def tag(name: str, *children: Child, **attributes: str | bool | None) -> Html:
    """Return an element."""
    told = "".join(
        _attribute(key, value) for key, value in attributes.items() if value is not None and value is not False
    )
    if name in _VOID:
        return Html(f"<{name}{told}>")
    return Html(f"<{name}{told}>{join(*children)}</{name}>")


def marked(text: str, pattern: re.Pattern[str]) -> Html:
    """Return text with a ``span`` around what a pattern finds, whose class is the name of the group."""
    return Html(
        pattern.sub(lambda found: f'<span class="c-{found.lastgroup}">{found[0]}</span>', escape(text, quote=False))
    )


def code(text: str) -> Html:
    """Return text as inline code."""
    return tag("code", text)


def separated(children: Sequence[Child], separator: str) -> Html:
    """Return children with a text between them."""
    parts: list[Child] = []
    for number, child in enumerate(children):
        parts.extend([separator, child] if number else [child])
    return join(parts)


def _written(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, str):
        return escape(child, quote=False)
    return "".join(_written(one) for one in child)


def _attribute(key: str, value: str | bool) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escape(str(value), quote=True)}"'
