"""Break long lines of generated Python code at their brackets, as formatters do."""

from __future__ import annotations

import io
import itertools
import re
import tokenize
from collections.abc import Iterator
from typing import Final

INDENT: Final = "    "
_QUOTES: Final = '"""'


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
