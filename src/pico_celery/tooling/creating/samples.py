"""Examples: an expression for a value of a type, so that what is written runs at once."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pico_celery.tooling.creating.expressions import dotted
from pico_celery.tooling.creating.files import PythonFile
from pico_celery.tooling.creating.known import KNOWN
from pico_celery.tooling.creating.project import Found, Project
from pico_celery.tooling.creating.rendering import Brackets, Expression, call

NEW_FIELD: Final = {"model": ("id", "int", "1"), "error": ("reason", "str", '"reason"')}
"""Name, type and example of the field that a new model or error begins with."""

_PLAIN: Final[dict[str, Expression]] = {
    "bool": "True",
    "bytes": 'b"data"',
    "float": "1.5",
    "int": "1",
    "str": '"text"',
    "None": "None",
    "Any": '"text"',
    "JsonValue": '"text"',
    "PositiveInt": "1",
    "NonNegativeInt": "1",
    "PositiveFloat": "1.5",
    "NonNegativeFloat": "1.5",
    "date": call("date", "2026", "1", "1"),
    "datetime": call("datetime", "2026", "1", "1", tzinfo="UTC"),
    "AwareDatetime": call("datetime", "2026", "1", "1", tzinfo="UTC"),
    "time": call("time", "12", "0"),
    "timedelta": call("timedelta", seconds="1"),
    "Decimal": call("Decimal", '"1.50"'),
    "UUID": call("UUID", "int=1"),
    "Path": call("Path", '"file.txt"'),
    "SecretStr": call("SecretStr", '"secret"'),
    "SecretBytes": call("SecretBytes", 'b"secret"'),
    "IPv4Address": call("IPv4Address", '"192.0.2.1"'),
    "IPv6Address": call("IPv6Address", '"2001:db8::1"'),
    "AnyUrl": call("AnyUrl", '"https://example.org/"'),
    "HttpUrl": call("HttpUrl", '"https://example.org/"'),
}
_NEEDS: Final = {"datetime": ("datetime", "UTC"), "AwareDatetime": ("datetime", "UTC")}
_EMPTY: Final = {
    "list": "[]",
    "dict": "{}",
    "Mapping": "{}",
    "Sequence": "[]",
    "set": "set()",
    "frozenset": "frozenset()",
}
_HARMLESS: Final = frozenset(
    {"description", "title", "examples", "repr", "discriminator", "deprecated", "json_schema_extra", "exclude"}
)
_BASES: Final = frozenset({"BaseModel", "TypedDict", "NamedTuple", "TaskError"})
_ENUMS: Final = frozenset({"Enum", "StrEnum", "IntEnum"})
_CHECKS: Final = ("validator", "serializer")


class NoSampleError(Exception):
    """No example can be made without running code of the user.

    Args:
        reason: Why.
    """


@dataclass
class Sampler:
    """Makes examples.

    Attributes:
        project: The package.
        made: Names of the models that are to be made.
        module: Name of the module that they will be in.
        found: Where the names of the annotations come from.
        imports: What the examples need, as module and name.
    """

    project: Project
    made: frozenset[str]
    module: str
    found: dict[str, Found]
    imports: set[tuple[str, str]] = field(default_factory=set)
    _open: list[tuple[str, str]] = field(default_factory=list)

    def of(self, annotation: ast.expr) -> Expression:
        """Return an example of a type.

        Args:
            annotation: It, as it stands in the contract's file.

        Returns:
            The expression.

        Raises:
            NoSampleError: If none can be made.
        """
        return self._of(annotation, self._in_contract)

    def _in_contract(self, name: str) -> Found | None:
        return self.found.get(name)

    def _of(self, node: ast.expr, look: Callable[[str], Found | None]) -> Expression:
        match node:
            case ast.Constant(value=None):
                return "None"
            case ast.Constant(value=str() as text):
                return self._of(ast.parse(text, mode="eval").body, look)
            case ast.Name() | ast.Attribute():
                return self._named(dotted(node) or "", look)
            case ast.BinOp(op=ast.BitOr()):
                return self._first([node.left, node.right], look)
            case ast.Subscript():
                inner = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
                return self._generic((dotted(node.value) or "").rpartition(".")[2], inner, look)
            case _:
                raise NoSampleError(ast.unparse(node))

    def _first(self, nodes: list[ast.expr], look: Callable[[str], Found | None]) -> Expression:
        reasons = []
        for node in sorted(nodes, key=lambda node: isinstance(node, ast.Constant) and node.value is None):
            try:
                return self._of(node, look)
            except NoSampleError as error:
                reasons.append(str(error))
        raise NoSampleError(reasons[0])

    def _generic(self, origin: str, inner: list[ast.expr], look: Callable[[str], Found | None]) -> Expression:
        match origin:
            case "list" | "Sequence" | "set" | "frozenset":
                return _EMPTY[origin]
            case "dict" | "Mapping":
                return _EMPTY[origin]
            case "tuple":
                if isinstance(inner[-1], ast.Constant) and inner[-1].value is ...:
                    return "()"
                return Brackets("(", tuple(self._of(node, look) for node in inner), ")")
            case "Literal":
                value = inner[0].value if isinstance(inner[0], ast.Constant) else None
                return f'"{value}"' if isinstance(value, str) else ast.unparse(inner[0])
            case "Annotated":
                return self._constrained(inner[0], inner[1:], look)
            case "Optional" | "Union" | "Required" | "NotRequired" | "ReadOnly" | "Final":
                return self._first(inner, look)
            case _:
                raise NoSampleError(f"{origin}[...]")

    def _constrained(self, node: ast.expr, marks: list[ast.expr], look: Callable[[str], Found | None]) -> Expression:
        limits: dict[str, ast.expr] = {}
        for mark in marks:
            if not isinstance(mark, ast.Call) or (dotted(mark.func) or "").rpartition(".")[2] != "Field":
                raise NoSampleError(ast.unparse(mark))
            limits.update({keyword.arg: keyword.value for keyword in mark.keywords if keyword.arg})
        return self._limited(node, {name: limits[name] for name in limits if name not in {*_HARMLESS, "default"}}, look)

    def _limited(self, node: ast.expr, limits: dict[str, ast.expr], look: Callable[[str], Found | None]) -> Expression:
        least = limits.get("min_length")
        is_list = isinstance(node, ast.Subscript) and (dotted(node.value) or "").rpartition(".")[2] in {
            "list",
            "Sequence",
        }
        if is_list and isinstance(node, ast.Subscript) and isinstance(least, ast.Constant) and least.value in {1, 2, 3}:
            return Brackets("[", (self._of(node.slice, look),) * least.value, "]")
        return within(self._of(node, look), limits) if limits else self._of(node, look)

    def _named(self, name: str, look: Callable[[str], Found | None]) -> Expression:
        plain = name.rpartition(".")[2]
        if plain in _EMPTY:
            return _EMPTY[plain]
        if name in self.made:
            kind = NEW_FIELD["model"]
            self.imports.add((self.module, name))
            return call(name, **{kind[0]: kind[2]})
        found = look(name.partition(".")[0])
        is_known = found is None or found.name == "" or KNOWN.get(found.name) == found.module
        if is_known and plain in _PLAIN:
            if plain in KNOWN and plain not in {"Any", "JsonValue"} and not isinstance(_PLAIN[plain], str):
                self.imports.add(_NEEDS.get(plain, (KNOWN[plain], plain)))
                self.imports.add(("datetime", "datetime") if plain == "AwareDatetime" else (KNOWN[plain], plain))
            return _PLAIN[plain]
        if found is None or found.file is None or found.node is None:
            raise NoSampleError(f"{name} is not defined in this package")
        return self._defined(found, found.file, found.node)

    def _defined(self, found: Found, file: PythonFile, node: ast.stmt) -> Expression:
        key = (found.module, found.name)
        if key in self._open:
            raise NoSampleError(f"{found.name} contains itself")
        self._open.append(key)
        try:
            match node:
                case ast.ClassDef():
                    return self._class(found, file, node)
                case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                    return self._of(value, lambda name: self.project.resolve(file, name))
                case _:
                    raise NoSampleError(f"{found.name} is no class")
        finally:
            self._open.pop()

    def _class(self, found: Found, file: PythonFile, node: ast.ClassDef) -> Expression:
        bases = [(dotted(base) or "").rpartition(".")[2] for base in node.bases]
        if any(base in _ENUMS for base in bases):
            members = [item.targets[0] for item in node.body if isinstance(item, ast.Assign)]
            if not members or not isinstance(members[0], ast.Name):
                raise NoSampleError(f"{found.name} has no member")
            self.imports.add((found.module, found.name))
            return f"{found.name}.{members[0].id}"
        values = self._fields(file, node, is_data=_is_dataclass(node))
        self.imports.add((found.module, found.name))
        return call(found.name, **values)

    def _fields(self, file: PythonFile, node: ast.ClassDef, *, is_data: bool) -> dict[str, Expression]:
        place = f"{node.name} ({self.project.shown(file.path)}:{node.lineno})"
        values: dict[str, Expression] = {}
        for base in node.bases:
            name = dotted(base) or ""
            if name.rpartition(".")[2] in _BASES:
                is_data = True
                continue
            found = self.project.resolve(file, name)
            if found is None or found.file is None or not isinstance(found.node, ast.ClassDef):
                raise NoSampleError(f"{place} has the base {ast.unparse(base)}")
            values.update(self._fields(found.file, found.node, is_data=is_data))
            is_data = True
        if not is_data:
            raise NoSampleError(f"{place} is neither a model nor a dataclass")
        for item in node.body:
            self._member(file, place, item, values)
        return values

    def _member(self, file: PythonFile, place: str, item: ast.stmt, values: dict[str, Expression]) -> None:
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
            checks = [ast.unparse(decorator) for decorator in item.decorator_list]
            if item.name in {"__init__", "__post_init__"} or any(c in text for text in checks for c in _CHECKS):
                raise NoSampleError(f"{place} has {item.name}()")
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            return
        name, annotation = item.target.id, item.annotation
        if name.startswith("_") or "ClassVar" in ast.unparse(annotation):
            return
        limits, required = _field(item.value)
        if not required:
            values.pop(name, None)
            return
        if isinstance(annotation, ast.Subscript) and (dotted(annotation.value) or "").endswith("NotRequired"):
            return
        try:
            values[name] = self._limited(annotation, limits, lambda other: self.project.resolve(file, other))
        except NoSampleError as error:
            raise NoSampleError(f"{place}, {name}: {error}") from None


def _is_dataclass(node: ast.ClassDef) -> bool:
    texts = [ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list]
    return any(text.rpartition(".")[2] == "dataclass" for text in texts)


def _field(value: ast.expr | None) -> tuple[dict[str, ast.expr], bool]:
    """Return the limits of a field, and whether it must be given."""
    if value is None:
        return {}, True
    if not isinstance(value, ast.Call) or (dotted(value.func) or "").rpartition(".")[2] not in {"Field", "field"}:
        return {}, isinstance(value, ast.Constant) and value.value is ...
    keywords = {keyword.arg: keyword.value for keyword in value.keywords if keyword.arg}
    given = value.args[0] if value.args else keywords.pop("default", None)
    if "default_factory" in keywords or not (given is None or (isinstance(given, ast.Constant) and given.value is ...)):
        return {}, False
    return {name: limit for name, limit in keywords.items() if name not in _HARMLESS}, True


def within(sample: Expression, limits: dict[str, ast.expr]) -> Expression:
    """Return an example that keeps to the limits of a ``Field``.

    Args:
        sample: One that may not.
        limits: ``gt``, ``ge``, ``lt``, ``le``, ``min_length`` and ``max_length``.

    Returns:
        The expression.

    Raises:
        NoSampleError: If there are other limits, or none keeps to them.
    """
    numbers = {name: node.value for name, node in limits.items() if isinstance(node, ast.Constant)}
    if len(numbers) != len(limits) or not all(isinstance(value, (int, float)) for value in numbers.values()):
        raise NoSampleError(f"the limit {', '.join(sorted(limits))}")
    if sample in {'"text"', 'b"data"'} and numbers.keys() <= {"min_length", "max_length"}:
        at_least, at_most = int(numbers.get("min_length", 0)), int(numbers.get("max_length", 80))
        if at_least <= at_most <= 80:  # noqa: PLR2004 - so that it stays readable
            length = min(max(at_least, 4), at_most)
            return (
                f'b"{"data" * length}'[: length + 2] + '"' if sample == 'b"data"' else f'"{("text" * length)[:length]}"'
            )
    elif numbers.keys() <= {"gt", "ge", "lt", "le"}:
        low = max([numbers.get("ge", float("-inf")), numbers.get("gt", float("-inf"))])
        high = min([numbers.get("le", float("inf")), numbers.get("lt", float("inf"))])
        value = 1 if low < 1 < high else int(low) + 1 if low != float("-inf") else int(high) - 1
        if low < value < high:
            match sample:
                case "1" | "1.5":
                    return str(value)
                case Brackets(opening="Decimal("):
                    return call("Decimal", str(value))
                case _:
                    pass
    raise NoSampleError(f"the limit {', '.join(sorted(limits))}")
