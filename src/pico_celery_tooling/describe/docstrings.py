"""Docstrings as people write them: a text, and what it says about arguments, result, errors and attributes.

The sections are those of the Google style.
Source: https://google.github.io/styleguide/pyguide.html#383-functions-and-methods
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

_SECTION: Final = re.compile(r"(Args|Arguments|Parameters|Attributes|Returns|Raises):\s*")
_ENTRY: Final = re.compile(r"\*{0,2}([\w.]+)(?:\s*\([^)]*\))?:(?:\s+(.*)|\s*)")


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring in its parts."""

    text: str = ""
    """All that is in none of the other parts."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """What it says about arguments, by name."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What it says about attributes, by name."""
    raises: Mapping[str, str] = field(default_factory=dict)
    """What it says about errors, by class name."""
    returns: str = ""
    """What it says about the result."""

    @property
    def summary(self) -> str:
        """The first paragraph, on one line."""
        return " ".join(self.text.partition("\n\n")[0].split())


@lru_cache(maxsize=4096)
def read_docstring(doc: str) -> Docstring:
    """Read a docstring."""
    text: list[str] = []
    entries: dict[str, dict[str, str]] = {"arguments": {}, "attributes": {}, "raises": {}}
    returns = ""
    for title, lines in _sections(inspect.cleandoc(doc).splitlines()):
        if title == "Returns":
            returns = _joined(lines)
        elif title:
            entries[_PARTS.get(title, "arguments")].update(_entries(lines))
        else:
            text.extend(lines)
    return Docstring(text="\n".join(text).strip(), returns=returns, **entries)


_PARTS: Final = {"Attributes": "attributes", "Raises": "raises"}


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    title, found = "", list[str]()
    for number, line in enumerate(lines):
        header = _SECTION.fullmatch(line)
        if header is not None and _is_indented(lines, number + 1):
            yield title, found
            title, found = header[1], []
        elif title and line and not line[0].isspace():
            yield title, found
            title, found = "", [line]
        else:
            found.append(line)
    yield title, found


def _is_indented(lines: list[str], number: int) -> bool:
    return number < len(lines) and lines[number][:1].isspace()


def _entries(lines: list[str]) -> dict[str, str]:
    block = inspect.cleandoc("\n".join(["", *lines])).splitlines()
    found: dict[str, list[str]] = {}
    name = ""
    for line in block:
        entry = None if line[:1].isspace() else _ENTRY.fullmatch(line)
        if entry is not None:
            name = entry[1]
            found[name] = [entry[2] or ""]
        elif name:
            found[name].append(line)
    return {name: _joined(texts) for name, texts in found.items()}


def _joined(lines: list[str]) -> str:
    paragraphs = "\n".join(line.strip() for line in lines).strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
