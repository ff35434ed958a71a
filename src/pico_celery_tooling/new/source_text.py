"""Source text in the form that ``ruff format`` and ``black`` give it.

Only what the written files contain is covered: calls, collections, signatures, imports and docstrings.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from pico_celery_tooling.output import ToolError

_DIGITS = re.compile(r"(\d+)")


class Section(IntEnum):
    """Groups of imports, in their order."""

    FUTURE = 0
    STANDARD = 1
    THIRD_PARTY = 2
    FIRST_PARTY = 3
    LOCAL = 4


def section_of(module: str, first_party: Collection[str]) -> Section:
    """Return the group of an import."""
    top = module.partition(".")[0]
    if module == "__future__":
        return Section.FUTURE
    if module.startswith("."):
        return Section.LOCAL
    if top in first_party:
        return Section.FIRST_PARTY
    return Section.STANDARD if top in sys.stdlib_module_names else Section.THIRD_PARTY


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return the key by which names are sorted: numbers in them by their value, letters without case."""
    parts = _DIGITS.split(name)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in parts if part)


def member_key(name: str) -> tuple[int, tuple[tuple[int, int, str], ...], str]:
    """Return the key of an imported name: constants, classes, then the others."""
    plain = name.partition(" as ")[0]
    kind = 0 if len(plain) > 1 and plain.isupper() else 1 if plain[:1].isupper() else 2
    return kind, natural(plain), name


INDENT: Final = "    "
_CALL: Final = re.compile(r"\w\($")
_SUBSCRIPT: Final = re.compile(r"\w\[$")
WIDTH: Final = 88
"""Default of both formatters, in characters."""


@dataclass(frozen=True, slots=True)
class Brackets:
    """A call or collection: text, items, text."""

    opening: str
    """Up to the opening bracket: ``Order(``."""
    items: tuple[Expression, ...]
    """What stands between the commas."""
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
    """Return a call."""
    named = [prefixed(f"{name}=", value) for name, value in keywords.items()]
    return Brackets(f"{function}(", (*arguments, *named), ")")


def prefixed(prefix: str, expression: Expression) -> Expression:
    """Return an expression with a text before it, such as ``name=``."""
    if isinstance(expression, str):
        return prefix + expression
    return Brackets(prefix + expression.opening, expression.items, expression.closing)


def statement(expression: Expression, *, level: int = 0, width: int = WIDTH, suffix: str = "") -> str:
    """Return a statement as lines."""
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
    """Return a parameter, whose type can be broken into lines."""
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
    """Return the head of an ``async def``."""
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
    """Return a docstring."""
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


def dotted(node: ast.AST) -> str | None:
    """Return ``a.b.c`` of a name or attribute, or ``None``."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return None if base is None else f"{base}.{node.attr}"
    return None


def names_in(node: ast.AST) -> Iterator[str]:
    """Iterate over the dotted names of an expression, in their order."""
    name = dotted(node)
    if name is not None:
        yield name
        return
    for child in ast.iter_child_nodes(node):
        yield from names_in(child)


def source(node: ast.AST, role: str) -> str:  # noqa: C901, PLR0911 - one case for each form
    """Return an expression as text, with double quotes."""

    def inner(child: ast.AST) -> str:
        return source(child, role)

    match node:
        case ast.Name() | ast.Attribute() if (name := dotted(node)) is not None:
            return name
        case ast.Constant(value=str() as text):
            return json.dumps(text, ensure_ascii=False)
        case ast.Constant(value=value) if not isinstance(value, (bytes, complex)):
            return "..." if value is ... else repr(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            return f"-{inner(node.operand)}"
        case ast.BinOp(op=ast.BitOr()):
            return f"{inner(node.left)} | {inner(node.right)}"
        case ast.Subscript(slice=ast.Tuple(elts=[_, *_] as elements)):
            return f"{inner(node.value)}[{', '.join(map(inner, elements))}]"
        case ast.Subscript():
            return f"{inner(node.value)}[{inner(node.slice)}]"
        case ast.Tuple(elts=elements):
            return f"({', '.join(map(inner, elements))}{',' if len(elements) == 1 else ''})"
        case ast.Call(keywords=keywords) if all(keyword.arg for keyword in keywords):
            named = [f"{keyword.arg}={inner(keyword.value)}" for keyword in keywords]
            return f"{inner(node.func)}({', '.join([*map(inner, node.args), *named])})"
        case ast.List() | ast.Dict() | ast.Set():
            raise ToolError(f"{role}: {ast.unparse(node)} is shared by all calls", "use None or () as the default")
        case _:
            raise ToolError(f"{role}: {ast.unparse(node)!r} is neither a type nor a constant", "such as list[int]")


def parse_type(text: str, role: str) -> ast.expr:
    """Read an annotation."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ToolError(f"{role}: {text!r} is not a type: {error.msg}", "such as Receipt or list[int]") from None
