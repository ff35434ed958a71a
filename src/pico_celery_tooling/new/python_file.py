"""A Python file as text, with its syntax tree and the names it binds; and expressions as text."""

from __future__ import annotations

import ast
import copy
import io
import json
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from pico_celery_tooling.output import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A name that an import binds."""

    module: str
    name: str | None
    """The imported name; ``None`` if the module itself is bound."""
    typing_only: bool
    """Whether the import is under ``TYPE_CHECKING``."""
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """A name that a class, a function or an assignment binds."""

    node: ast.stmt
    line: int


Binding = Imported | Defined


@dataclass(frozen=True)
class PythonFile:
    """A file that exists, or is going to."""

    path: Path
    module: str
    """Name by which it is imported."""
    text: str
    """Its content, with plain line feeds if all its lines end alike."""
    newline: str = "\n"
    encoding: str = "utf-8"

    @classmethod
    def read(cls, path: Path, module: str) -> PythonFile:
        """Read a file."""
        try:
            raw = path.read_bytes()
            encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
            text = raw.decode(encoding)
        except (OSError, UnicodeDecodeError, SyntaxError) as error:
            raise ToolError(f"{path} cannot be read: {error}") from None
        if text.count("\r\n") == text.count("\n") > 0:
            return cls(path, module, text.replace("\r\n", "\n"), "\r\n", encoding)
        return cls(path, module, text, "\n", encoding)

    @property
    def raw(self) -> bytes:
        """Its content as bytes."""
        return self.text.replace("\n", self.newline).encode(self.encoding)

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        try:
            return ast.parse(self.text)
        except (SyntaxError, ValueError) as error:
            line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
            reason = error.msg if isinstance(error, SyntaxError) else str(error)
            raise ToolError(f"{self.path}{line} is not Python: {reason}", "correct it first") from None

    @cached_property
    def bindings(self) -> dict[str, Binding]:
        """What its top level binds, by name."""
        found: dict[str, Binding] = {}
        for statement, typing_only in _statements(self.tree.body, typing_only=False):
            for name, binding in self._bound(statement, typing_only=typing_only):
                if not (isinstance(binding, Imported) and typing_only and name in found):
                    found[name] = binding
        return found

    def classes(self) -> Iterator[ast.ClassDef]:
        """Iterate over the classes at its top level."""
        return (node for node in self.tree.body if isinstance(node, ast.ClassDef))

    def class_named(self, name: str) -> ast.ClassDef | None:
        """Return a class at its top level, or ``None``."""
        return next((node for node in self.classes() if node.name == name), None)

    def _bound(self, statement: ast.stmt, *, typing_only: bool) -> Iterator[tuple[str, Binding]]:
        line = statement.lineno
        match statement:
            case ast.Import(names=names):
                for alias in names:
                    name = alias.asname or alias.name.split(".")[0]
                    module = alias.name if alias.asname else name
                    yield name, Imported(module=module, name=None, typing_only=typing_only, line=line)
            case ast.ImportFrom(names=names):
                module = self._absolute(statement)
                for alias in names:
                    imported = Imported(module=module, name=alias.name, typing_only=typing_only, line=line)
                    yield alias.asname or alias.name, imported
            case _:
                for name in bound_by(statement):
                    yield name, Defined(node=statement, line=line)

    def _absolute(self, statement: ast.ImportFrom) -> str:
        if not statement.level:
            return statement.module or ""
        parts = self.module.split(".")
        is_package = self.path.name == "__init__.py"
        base = parts[: len(parts) - statement.level + (1 if is_package else 0)]
        return ".".join([*base, *([statement.module] if statement.module else [])])


def _statements(body: list[ast.stmt], *, typing_only: bool) -> Iterator[tuple[ast.stmt, bool]]:
    for statement in body:
        yield statement, typing_only
        match statement:
            case ast.If(test=test):
                only = typing_only or ast.unparse(test).rpartition(".")[2] == "TYPE_CHECKING"
                yield from _statements(statement.body, typing_only=only)
                yield from _statements(statement.orelse, typing_only=typing_only)
            case ast.Try():
                for part in (statement.body, *(handler.body for handler in statement.handlers), statement.orelse):
                    yield from _statements(part, typing_only=typing_only)
            case _:
                pass


def bound_by(statement: ast.stmt) -> list[str]:
    """Return the names that a definition or an assignment binds."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []


def dotted(node: ast.AST | None) -> str:
    """Return ``a.b.c`` of a name or attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return f"{base}.{node.attr}"
    return ""


def last_name(node: ast.AST | None) -> str:
    """Return the last part of a name, of what is called: ``Field`` for ``pydantic.Field(gt=0)``."""
    return dotted(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2]


def names_in(node: ast.AST) -> Iterator[str]:
    """Iterate over the dotted names in an expression, in their order."""
    if name := dotted(node):
        yield name
        return
    for child in ast.iter_child_nodes(node):
        yield from names_in(child)


def parse_type(text: str, role: str) -> ast.expr:
    """Parse an annotation."""
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ToolError(f"{role}: {text!r} is not a type: {error.msg}", "such as Receipt or list[int]") from None


_ALLOWED: Final = (ast.Name, ast.Subscript, ast.Tuple, ast.Call, ast.BitOr, ast.USub, ast.expr_context)


def source(node: ast.expr, role: str) -> str:
    """Return a type or constant as text, with double quotes; refuse any other expression."""
    for part in ast.walk(node):
        match part:
            case ast.List() | ast.Dict() | ast.Set():
                raise ToolError(f"{role}: {ast.unparse(part)} is shared by all calls", "use None or () as the default")
            case ast.Constant(value=value):
                is_allowed = not isinstance(value, (bytes, complex))
            case ast.Attribute():
                is_allowed = dotted(part) != ""
            case ast.UnaryOp(op=operator, operand=operand):
                is_allowed = isinstance(operator, ast.USub) and isinstance(operand, ast.Constant)
            case ast.BinOp(op=operator):
                is_allowed = isinstance(operator, ast.BitOr)
            case ast.keyword(arg=name):
                is_allowed = name is not None
            case _:
                is_allowed = isinstance(part, _ALLOWED)
        if not is_allowed:
            raise ToolError(f"{role}: {ast.unparse(part)!r} is neither a type nor a constant", "such as list[int]")
    return ast.unparse(_DoubleQuotes().visit(copy.deepcopy(node)))


class _DoubleQuotes(ast.NodeTransformer):
    """Turns strings into names that `ast.unparse` writes unchanged."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """Replace a string."""
        return ast.Name(json.dumps(node.value, ensure_ascii=False)) if isinstance(node.value, str) else node
