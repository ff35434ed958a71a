"""Annotations and defaults as they are typed on the command line: read, checked in form, written as formatters do."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator

from pico_celery_tooling.output import ToolError


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
    """Return an expression as text, with double quotes.

    Args:
        node: A type or a default.
        role: What it is, for the message.

    Returns:
        The text.

    Raises:
        ToolError: If there is something in it that belongs to neither.
    """

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
    """Read an annotation.

    Args:
        text: Such as ``list[Order]``.
        role: Whose it is, for the message.

    Returns:
        The expression.

    Raises:
        ToolError: If it is no expression.
    """
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ToolError(f"{role}: {text!r} is not a type: {error.msg}", "such as Receipt or list[int]") from None
