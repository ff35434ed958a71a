"""A Python file as text: its tree, the names it binds, and how it is written back byte for byte."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pico_celery_tooling.output import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What a name was imported as."""

    module: str
    name: str | None
    """What of it; ``None`` for the module itself."""
    typing_only: bool
    """Whether it is there for type checkers only."""
    line: int
    """Where the import is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """What a name was defined as: a class, a function or an assignment."""

    node: ast.stmt
    line: int


Binding = Imported | Defined


@dataclass(frozen=True)
class PythonFile:
    """A file."""

    path: Path
    module: str
    """Name by which it is imported."""
    text: str
    """What is in it, with plain line feeds where all its lines end alike."""
    newline: str = "\n"
    """What its lines end with."""
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
        """What is on the disk."""
        return self.text.replace("\n", self.newline).encode(self.encoding)

    @property
    def is_package(self) -> bool:
        """Whether it is the ``__init__`` of a package."""
        return self.path.name == "__init__.py"

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
        """The names that it binds at its top, by name."""
        found: dict[str, Binding] = {}
        for statement, typing_only in _statements(self.tree.body, typing_only=False):
            for name, binding in self._bound(statement, typing_only=typing_only):
                if not (isinstance(binding, Imported) and typing_only and name in found):
                    found[name] = binding
        return found

    def classes(self) -> Iterator[ast.ClassDef]:
        """Iterate over the classes at its top."""
        return (node for node in self.tree.body if isinstance(node, ast.ClassDef))

    def class_named(self, name: str) -> ast.ClassDef | None:
        """Return a class at its top, or ``None``."""
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
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, Defined(node=statement, line=line)
            case ast.Assign(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield target.id, Defined(node=statement, line=line)
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, Defined(node=statement, line=line)
            case _:
                pass

    def _absolute(self, statement: ast.ImportFrom) -> str:
        if not statement.level:
            return statement.module or ""
        parts = self.module.split(".")
        base = parts[: len(parts) - statement.level + (1 if self.is_package else 0)]
        return ".".join([*base, *([statement.module] if statement.module else [])])


def _statements(body: list[ast.stmt], *, typing_only: bool) -> Iterator[tuple[ast.stmt, bool]]:
    for statement in body:
        yield statement, typing_only
        match statement:
            case ast.If(test=test):
                name = ast.unparse(test)
                only = typing_only or name.rpartition(".")[2] == "TYPE_CHECKING"
                yield from _statements(statement.body, typing_only=only)
                yield from _statements(statement.orelse, typing_only=typing_only)
            case ast.Try():
                for part in (statement.body, *(handler.body for handler in statement.handlers), statement.orelse):
                    yield from _statements(part, typing_only=typing_only)
            case _:
                pass
