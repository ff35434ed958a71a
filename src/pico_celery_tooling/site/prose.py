"""Docstrings as HTML: paragraphs, lists, literal blocks, code and emphasis; everything else stays the text that it is.

It reads what docstrings use of reStructuredText and Markdown alike. A link is one to ``http`` or ``https`` only, and shown
with its address.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from typing import Final

from pico_celery_tooling.site.html import Child, Html, code, join, tag

_INLINE: Final = re.compile(
    r"``(?P<literal>.+?)``"
    r"|:\w+:`~?(?P<role>[^`<>]+)`"
    r"|`(?P<name>[^`\n]+)`"
    r"|\*\*(?P<strong>[^\s*](?:[^*]*[^\s*])?)\*\*"
    r"|(?<![\w*])\*(?P<em>[^\s*](?:[^*]*[^\s*])?)\*(?![\w*])"
    r"|(?P<link>https?://[^\s<>\"'`]*[^\s<>\"'`.,;:!?)\]])",
    re.DOTALL,
)
_ITEM: Final = re.compile(r"(?:[-*+]|\d+[.)])\s+")
_FENCE: Final = re.compile(r"```\w*\s*")


def inline(text: str) -> Html:
    """Return one paragraph of a docstring, without the paragraph's element."""
    parts: list[Child] = []
    end = 0
    for match in _INLINE.finditer(text):
        parts.extend([text[end : match.start()], _marked(match)])
        end = match.end()
    return join(parts, text[end:])


def prose(text: str) -> Html:
    """Return a docstring's text as HTML."""
    return join(_blocks(text.splitlines()))


def _marked(match: re.Match[str]) -> Html:
    kind = match.lastgroup
    found = match[kind or 0]
    if kind == "link":
        return tag("a", found, href=found, rel="noreferrer")
    if kind in {"strong", "em"}:
        return tag(kind, found)
    return code(" ".join(found.split()))


def _blocks(lines: list[str]) -> list[Child]:
    blocks: list[Child] = []
    literal = False
    number = 0
    while number < len(lines):
        line = lines[number]
        if not line.strip():
            number += 1
        elif _FENCE.fullmatch(line):
            end = next((n for n in range(number + 1, len(lines)) if lines[n].strip() == "```"), len(lines))
            blocks.append(_literal(lines[number + 1 : end]))
            number = end + 1
        elif line[0].isspace() and (literal or not blocks):
            end = _end(lines, number, lambda one: not one.strip() or one[0].isspace())
            blocks.append(_literal(lines[number:end]))
            number, literal = end, False
        elif line.startswith(">>> "):
            end = _end(lines, number, lambda one: bool(one.strip()))
            blocks.append(_literal(lines[number:end]))
            number = end
        elif _ITEM.match(line):
            end = _end(lines, number, lambda one: bool(one.strip()))
            blocks.append(_list(lines[number:end]))
            number = end
        else:
            end = _end(lines, number, lambda one: bool(one.strip()) and not _ITEM.match(one))
            paragraph = " ".join(one.strip() for one in lines[number:end])
            literal = paragraph.endswith("::")
            blocks.append(tag("p", inline(paragraph.removesuffix(":") if literal else paragraph)))
            number = end
    return blocks


def _end(lines: list[str], start: int, goes_on: Callable[[str], object]) -> int:
    end = start + 1
    while end < len(lines) and goes_on(lines[end]):
        end += 1
    return end


def _literal(lines: list[str]) -> Html:
    return tag("pre", code(textwrap.dedent("\n".join(lines)).strip("\n")))


def _list(lines: list[str]) -> Html:
    items: list[str] = []
    for line in lines:
        match = _ITEM.match(line)
        if match is None:
            items[-1] = f"{items[-1]} {line.strip()}"
        else:
            items.append(line[match.end() :].strip())
    kind = "ol" if lines[0][0].isdigit() else "ul"
    return tag(kind, *(tag("li", inline(item)) for item in items))
