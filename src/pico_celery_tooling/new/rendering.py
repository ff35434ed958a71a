"""Source text in the form that ``ruff format`` and ``black`` give it.

Only what the written files contain is covered: calls, collections, signatures, imports and docstrings.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pico_celery_tooling.new.ordering import member_key

INDENT: Final = "    "
_CALL: Final = re.compile(r"\w\($")
_SUBSCRIPT: Final = re.compile(r"\w\[$")
WIDTH: Final = 88
"""Default of both formatters, in characters."""


@dataclass(frozen=True, slots=True)
class Brackets:
    """A call or collection: text, items, text.

    Attributes:
        opening: Up to the opening bracket: ``Order(``.
        items: What stands between the commas.
        closing: The closing bracket.
    """

    opening: str
    items: tuple[Expression, ...]
    closing: str

    @property
    def flat(self) -> str:
        """On one line."""
        inner = ", ".join(flat(item) for item in self.items)
        comma = "," if self.opening == "(" and len(self.items) == 1 else ""
        return f"{self.opening}{inner}{comma}{self.closing}"


Expression = Brackets | str


def flat(expression: Expression) -> str:
    """Return an expression on one line."""
    return expression if isinstance(expression, str) else expression.flat


def call(function: str, *arguments: Expression, **keywords: Expression) -> Brackets:
    """Return a call.

    Args:
        function: What is called.
        *arguments: By position.
        **keywords: By name.

    Returns:
        The expression.
    """
    named = [prefixed(f"{name}=", value) for name, value in keywords.items()]
    return Brackets(f"{function}(", (*arguments, *named), ")")


def prefixed(prefix: str, expression: Expression) -> Expression:
    """Return an expression with a text before it, such as ``name=``."""
    if isinstance(expression, str):
        return prefix + expression
    return Brackets(prefix + expression.opening, expression.items, expression.closing)


def statement(expression: Expression, *, level: int = 0, width: int = WIDTH, suffix: str = "") -> str:
    """Return a statement as lines.

    Args:
        expression: With what stands before it in its opening, such as ``result = Order(``.
        level: How deep it is indented.
        width: Characters of a line.
        suffix: What follows the closing bracket.

    Returns:
        Lines without a last line break.
    """
    indent = INDENT * level
    line = f"{indent}{flat(expression)}{suffix}"
    if len(line) <= width or isinstance(expression, str) or not expression.items:
        return line
    inner = indent + INDENT
    closing = f"{indent}{expression.closing}{suffix}"
    is_alone = len(expression.items) == 1 and expression.closing.startswith(") ->")  # formatters add a comma then
    if (_CALL.search(expression.opening) and not is_alone) or _is_subscript_of_one(expression):
        together = inner + ", ".join(flat(item) for item in expression.items)
        if len(together) <= width:
            return "\n".join([indent + expression.opening, together, closing])
    if _is_subscript_of_one(expression):
        return "\n".join(
            [indent + expression.opening, statement(expression.items[0], level=level + 1, width=width), closing]
        )
    items = [statement(item, level=level + 1, width=width, suffix=",") for item in expression.items]
    return "\n".join([indent + expression.opening, *items, closing])


def _is_subscript_of_one(expression: Brackets) -> bool:
    return len(expression.items) == 1 and _SUBSCRIPT.search(expression.opening) is not None


def annotated(text: str, prefix: str, suffix: str) -> Expression:
    """Return a parameter, whose type can be broken into lines.

    Args:
        text: The type.
        prefix: The name and a colon.
        suffix: The default.

    Returns:
        The expression.
    """
    return _framed(_subscripts(ast.parse(text, mode="eval").body, text), prefix, suffix)


def _framed(expression: Expression, prefix: str, suffix: str) -> Expression:
    if isinstance(expression, str):
        return f"{prefix}{expression}{suffix}"
    return Brackets(prefix + expression.opening, expression.items, expression.closing + suffix)


def _subscripts(node: ast.expr, text: str) -> Expression:
    if not isinstance(node, ast.Subscript):
        return ast.get_source_segment(text, node) or text
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    name = ast.get_source_segment(text, node.value)
    return Brackets(f"{name}[", tuple(_subscripts(item, text) for item in items), "]")


def signature(name: str, parameters: Sequence[Expression], result: str, *, level: int = 0, width: int = WIDTH) -> str:
    """Return the head of an ``async def``.

    Args:
        name: Of the method.
        parameters: As they stand in the brackets, ``self`` first.
        result: The annotation.
        level: How deep it is indented.
        width: Characters of a line.

    Returns:
        Lines without a last line break.
    """
    head = Brackets(f"async def {name}(", tuple(parameters), f") -> {result}:")
    return statement(head, level=level, width=width)


def import_line(module: str, names: Sequence[str], *, width: int = WIDTH) -> str:
    """Return ``from module import names``, sorted, with a name in each line where one line is too long."""
    ordered = sorted(names, key=member_key)
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) <= width:
        return line
    return "\n".join([f"from {module} import (", *(f"{INDENT}{name}," for name in ordered), ")"])


def docstring(summary: str, *details: str, level: int = 0, width: int = WIDTH) -> str:
    """Return a docstring.

    Args:
        summary: Its first line; where it does not fit in one, only its first sentence is.
        *details: Paragraphs; one that has line breaks is kept as it is.
        level: How deep it is indented.
        width: Characters of a line.

    Returns:
        Lines without a last line break.
    """
    indent = INDENT * level
    if not details and len(indent) + len(summary) + 6 <= width:
        return f'{indent}"""{summary}"""'
    first, dot, rest = summary.partition(". ")
    if dot and len(indent) + len(summary) + 3 > width - (0 if details else 3):
        return docstring(f"{first}.", rest, *details, level=level, width=width)
    lines = _wrapped(summary, width - len(indent) - (3 if details else 6))
    for detail in details:
        lines.append("")
        kept = "\n" in detail
        lines.extend(detail.splitlines() if kept else _wrapped(detail, width - len(indent)))
    body = "\n".join(f"{indent}{line}" if line else "" for line in lines).removeprefix(indent)
    return f'{indent}"""{body}\n{indent}"""'


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
