"""The source text of new code: templates, with long lines and docstrings wrapped as formatters wrap them."""

from __future__ import annotations

import io
import itertools
import re
import textwrap
import tokenize
from collections.abc import Iterator
from functools import partial
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

INDENT: Final = "    "
_QUOTES: Final = '"""'
_TEMPLATES: Final = Environment(
    loader=PackageLoader("pico_celery_tooling.new"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, *, width: int, **values: object) -> str:
    """Return a template with values, within a line length."""
    values["doc"] = partial(docstring, width=width)
    return laid_out(_TEMPLATES.get_template(f"{template}.jinja").render(values).rstrip(), width)


def docstring(summary: str, *details: str, level: int = 0, width: int) -> str:
    """Return a docstring; a detail of several lines keeps them."""
    indent = INDENT * level
    if not details and len(indent) + len(summary) + 2 * len(_QUOTES) <= width:
        return f"{indent}{_QUOTES}{summary}{_QUOTES}"
    room = width - len(indent) - (1 if details else 2) * len(_QUOTES)
    first, dot, rest = summary.partition(". ")
    if dot and len(summary) > room:  # a summary is one line, where it can be
        return docstring(f"{first}.", rest, *details, level=level, width=width)
    lines = _wrapped(summary, room)
    for detail in details:
        lines += ["", *(detail.splitlines() if "\n" in detail else _wrapped(detail, width - len(indent)))]
    text = textwrap.indent("\n".join(lines), indent).removeprefix(indent)
    return f"{indent}{_QUOTES}{text}\n{indent}{_QUOTES}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def laid_out(text: str, width: int) -> str:
    """Return code with lines that are too long broken at their brackets; each statement is on one line."""
    lines: list[str] = []
    in_docstring = False
    for line in text.split("\n"):
        in_docstring ^= line.count(_QUOTES) % 2 == 1
        lines += [line] if in_docstring else _broken(line, width)
    return "\n".join(lines)


def _broken(line: str, width: int) -> list[str]:
    """Return a line as it is or, if it is too long, with what is in its brackets on lines of their own."""
    brackets = _brackets(line) if len(line) > width else []
    if not brackets:
        return [line]
    is_function = line.lstrip().startswith(("def ", "async def "))
    marks = brackets[0 if is_function else -1]
    items = [line[left + 1 : right].strip() for left, right in itertools.pairwise(marks)]
    items = [item for item in items if item]
    head, tail = line[: marks[0] + 1], line[: len(line) - len(line.lstrip())] + line[marks[-1] :]
    inner = line[: len(line) - len(line.lstrip())] + INDENT
    is_call, is_subscript = (re.search(rf"\w{bracket}$", head) is not None for bracket in (r"\(", r"\["))
    together = inner + ", ".join(items)
    if len(together) <= width and is_call and not (is_function and len(items) == 1):
        return [head, together, tail]
    if is_subscript and len(items) == 1:  # a comma would make it a tuple
        return [head, *_broken(together, width), tail]
    return [head, *(part for item in items for part in _broken(f"{inner}{item},", width)), tail]


def _brackets(line: str) -> list[list[int]]:
    """Return the outermost brackets that contain something: where each opens, its commas are, and it closes."""
    return [marks for marks in _all_brackets(line) if line[marks[0] + 1 : marks[-1]].strip()]


def _all_brackets(line: str) -> Iterator[list[int]]:
    depth, marks = 0, [0]
    for token in tokenize.generate_tokens(io.StringIO(line.lstrip() + "\n").readline):
        column = token.start[1] + len(line) - len(line.lstrip())
        if token.type == tokenize.OP and token.string in "([{":
            depth += 1
            marks = [column] if depth == 1 else marks
        elif token.type == tokenize.OP and token.string in ")]}":
            depth -= 1
            if depth == 0:
                yield [*marks, column]
        elif token.string == "," and depth == 1:
            marks.append(column)
