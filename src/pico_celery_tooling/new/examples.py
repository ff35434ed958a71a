"""Example values as expressions, so that new code runs at once and keeps to the limits of a ``Field``.

They are read from the source: nothing of the user is imported, and each run gives the same ones.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pico_celery_tooling.new.project import Found, Project
from pico_celery_tooling.new.python_file import PythonFile, dotted, last_name, names_in
from pico_celery_tooling.new.task_types import KNOWN

NEW_FIELD: Final = {"BaseModel": ("id", "int", "1"), "TaskError": ("reason", "str", '"reason"')}
"""Name, type and example of the field that a new class begins with, by its base."""
_TEXT: Final = '"text"'
_DATA: Final = 'b"data"'
_EXAMPLES: Final = {
    "bool": "True",
    "bytes": _DATA,
    "float": "1.5",
    "int": "1",
    "str": _TEXT,
    "None": "None",
    "Any": _TEXT,
    "JsonValue": _TEXT,
    "PositiveInt": "1",
    "NonNegativeInt": "1",
    "PositiveFloat": "1.5",
    "NonNegativeFloat": "1.5",
    "date": "date(2026, 1, 1)",
    "datetime": "datetime(2026, 1, 1, tzinfo=UTC)",
    "AwareDatetime": "datetime(2026, 1, 1, tzinfo=UTC)",
    "time": "time(12, 0)",
    "timedelta": "timedelta(seconds=1)",
    "Decimal": 'Decimal("1.50")',
    "UUID": "UUID(int=1)",
    "Path": 'Path("file.txt")',
    "SecretStr": 'SecretStr("secret")',
    "SecretBytes": 'SecretBytes(b"secret")',
    "IPv4Address": 'IPv4Address("192.0.2.1")',
    "IPv6Address": 'IPv6Address("2001:db8::1")',
    "AnyUrl": 'AnyUrl("https://example.org/")',
    "HttpUrl": 'HttpUrl("https://example.org/")',
}
_EMPTY: Final = {
    "list": "[]",
    "dict": "{}",
    "Mapping": "{}",
    "Sequence": "[]",
    "set": "set()",
    "frozenset": "frozenset()",
}
_IMPORTS: Final = {**KNOWN, "UTC": "datetime"}
_WRAPPERS: Final = frozenset({"Optional", "Union", "Required", "NotRequired", "ReadOnly", "Final"})
_DATA_BASES: Final = frozenset({"BaseModel", "TypedDict", "NamedTuple", "TaskError"})
_ENUMS: Final = frozenset({"Enum", "StrEnum", "IntEnum"})
_NO_LIMITS: Final = frozenset(
    {"description", "title", "examples", "repr", "discriminator", "deprecated", "json_schema_extra", "exclude"}
    | {"default", "default_factory"}
)
_LONGEST_TEXT: Final = 80
_LONGEST_LIST: Final = 3
_INFINITE: Final = float("inf")

Limits = dict[str, object]
"""Arguments of ``Field``, such as ``gt``; the text of those that are not constants."""
Look = Callable[[str], Found | None]
"""Says where a name is from."""


class NoExampleError(Exception):
    """No example can be made without running code of the user."""


@dataclass
class Examples:
    """Makes examples of types."""

    project: Project
    new: frozenset[str]
    """Names of the models that are going to be made."""
    module: str
    """Name of the module that they will be in."""
    found: dict[str, Found]
    """Where the names of the annotations are from."""
    imports: set[tuple[str, str]] = field(default_factory=set)
    """What the examples need, as module and name."""
    _open: list[Found] = field(default_factory=list)

    def of(self, node: ast.expr, look: Look | None = None) -> str:
        """Return an example of a type."""
        look = look or self.found.get
        match node:
            case ast.Constant(value=None):
                return "None"
            case ast.Constant(value=str() as text):
                return self.of(ast.parse(text, mode="eval").body, look)
            case ast.Name() | ast.Attribute():
                return self._named(dotted(node), look)
            case ast.BinOp(op=ast.BitOr()):
                return self._first([node.left, node.right], look)
            case ast.Subscript():
                inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                return self._generic(last_name(node.value), inner, look)
            case _:
                raise NoExampleError(ast.unparse(node))

    def _first(self, nodes: list[ast.expr], look: Look) -> str:
        """Return an example of the first type that has one, of ``None`` last."""
        reasons = []
        for node in sorted(nodes, key=lambda node: isinstance(node, ast.Constant) and node.value is None):
            try:
                return self.of(node, look)
            except NoExampleError as error:
                reasons.append(error)
        raise reasons[0]

    def _generic(self, origin: str, inner: list[ast.expr], look: Look) -> str:
        if origin in _EMPTY:
            return _EMPTY[origin]
        if origin in _WRAPPERS:
            return self._first(inner, look)
        match origin, inner:
            case "tuple", [*_, ast.Constant(value=last)] if last is ...:
                return "()"
            case "tuple", _:
                items = ", ".join(self.of(node, look) for node in inner)
                return f"({items},)" if len(inner) == 1 else f"({items})"
            case "Literal", [ast.Constant(value=value), *_]:
                return f'"{value}"' if isinstance(value, str) else repr(value)
            case "Annotated", [node, *marks]:
                limits: Limits = {}
                for mark in marks:
                    if not isinstance(mark, ast.Call) or last_name(mark) != "Field":
                        raise NoExampleError(ast.unparse(mark))
                    limits.update(_limits_of(mark))
                return self._within(node, limits, look)
            case _:
                raise NoExampleError(f"{origin}[...]")

    def _within(self, node: ast.expr, limits: Limits, look: Look) -> str:
        """Return an example that keeps to limits."""
        if isinstance(node, ast.Subscript) and last_name(node.value) in {"list", "Sequence"}:
            least = limits.get("min_length")
            if isinstance(least, int) and limits.keys() <= {"min_length", "max_length"} and least <= _LONGEST_LIST:
                return f"[{', '.join([self.of(node.slice, look)] * least)}]"
        example = self.of(node, look)
        numbers = {name: value for name, value in limits.items() if isinstance(value, (int, float))}
        if not limits:
            return example
        found = None
        if len(numbers) == len(limits):
            found = _text(example, numbers) if example in {_TEXT, _DATA} else _number(example, numbers)
        if found is None:
            raise NoExampleError(f"the limit {', '.join(f'{name}={value}' for name, value in limits.items())}")
        return found

    def _named(self, name: str, look: Look) -> str:
        plain = name.rpartition(".")[2]
        if plain in _EMPTY:
            return _EMPTY[plain]
        if name in self.new:
            self.imports.add((self.module, name))
            return "{1}({0[0]}={0[2]})".format(NEW_FIELD["BaseModel"], name)
        found = look(name.partition(".")[0])
        is_known = found is None or found.name == "" or KNOWN.get(found.name) == found.module
        if is_known and plain in _EXAMPLES:
            names = names_in(ast.parse(_EXAMPLES[plain], mode="eval"))
            self.imports.update((_IMPORTS[needed], needed) for needed in names if needed in _IMPORTS)
            return _EXAMPLES[plain]
        if found is None or found.file is None or found.node is None:
            raise NoExampleError(f"{name} is not defined in this package")
        if found in self._open:
            raise NoExampleError(f"{found.name} contains itself")
        self._open.append(found)
        try:
            return self._defined(found, found.file, found.node)
        finally:
            self._open.pop()

    def _defined(self, found: Found, file: PythonFile, node: ast.stmt) -> str:
        def look(name: str) -> Found | None:
            return self.project.resolve(file, name)

        match node:
            case ast.ClassDef(bases=bases) if any(last_name(base) in _ENUMS for base in bases):
                first = next((item.targets[0] for item in node.body if isinstance(item, ast.Assign)), None)
                if not isinstance(first, ast.Name):
                    raise NoExampleError(f"{found.name} has no member")
                return f"{self._imported(found)}.{first.id}"
            case ast.ClassDef():
                fields = self._fields(file, node, is_data=any(last_name(d) == "dataclass" for d in node.decorator_list))
                return f"{self._imported(found)}({', '.join(f'{name}={value}' for name, value in fields.items())})"
            case ast.Assign(value=ast.Call(args=[_, base]) as call) if last_name(call) == "NewType":
                return f"{self._imported(found)}({self.of(base, look)})"
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                return self.of(value, look)
            case _:
                raise NoExampleError(f"{found.name} is not a class")

    def _imported(self, found: Found) -> str:
        """Have a class imported by the name that it has in the contract's file, and return that."""
        local = next((name for name, other in self.found.items() if other == found), found.name)
        self.imports.add((found.module, found.name if local == found.name else f"{found.name} as {local}"))
        return local

    def _fields(self, file: PythonFile, node: ast.ClassDef, *, is_data: bool) -> dict[str, str]:
        """Return examples of the fields that have to be given, those of bases first."""
        place = f"{node.name} ({self.project.shown(file.path)}:{node.lineno})"
        values: dict[str, str] = {}
        for base in node.bases:
            if last_name(base) not in _DATA_BASES:
                found = self.project.resolve(file, dotted(base))
                if found is None or found.file is None or not isinstance(found.node, ast.ClassDef):
                    raise NoExampleError(f"{place} has the base {ast.unparse(base)}")
                values.update(self._fields(found.file, found.node, is_data=is_data))
            is_data = True
        if not is_data:
            raise NoExampleError(f"{place} is neither a model nor a dataclass")
        for item in node.body:
            if _is_check(item):
                raise NoExampleError(f"{place} has {getattr(item, 'name', '')}()")
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                self._field(file, place, item, item.target.id, values)
        return values

    def _field(self, file: PythonFile, place: str, item: ast.AnnAssign, name: str, values: dict[str, str]) -> None:
        if name.startswith("_") or "ClassVar" in ast.unparse(item.annotation):
            return
        limits = _required_limits(item.value)
        if limits is None:
            values.pop(name, None)  # a base requires it
        elif not (isinstance(item.annotation, ast.Subscript) and last_name(item.annotation.value) == "NotRequired"):
            try:
                values[name] = self._within(item.annotation, limits, lambda other: self.project.resolve(file, other))
            except NoExampleError as error:
                raise NoExampleError(f"{place}, {name}: {error}") from None


def _is_check(item: ast.stmt) -> bool:
    """Return whether a member runs when an object is made, so that its example could be refused."""
    if not isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    decorators = " ".join(ast.unparse(decorator) for decorator in item.decorator_list)
    return item.name in {"__init__", "__post_init__"} or "validator" in decorators or "serializer" in decorators


def _limits_of(call: ast.Call) -> Limits:
    return {
        keyword.arg: keyword.value.value if isinstance(keyword.value, ast.Constant) else ast.unparse(keyword.value)
        for keyword in call.keywords
        if keyword.arg and keyword.arg not in _NO_LIMITS
    }


def _required_limits(value: ast.expr | None) -> Limits | None:
    """Return the limits of a field by the value assigned to it, or ``None`` if it has a default."""
    if value is None or _is_dots(value):
        return {}
    if not isinstance(value, ast.Call) or last_name(value) not in {"Field", "field"}:
        return None
    keywords = {keyword.arg: keyword.value for keyword in value.keywords}
    given = value.args[0] if value.args else keywords.get("default")
    has_default = "default_factory" in keywords or not (given is None or _is_dots(given))
    return None if has_default else _limits_of(value)


def _is_dots(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is ...


def _text(example: str, limits: dict[str, int | float]) -> str | None:
    """Return a text or bytes of a length within limits."""
    least, most = int(limits.get("min_length", 0)), int(limits.get("max_length", _LONGEST_TEXT))
    if not limits.keys() <= {"min_length", "max_length"} or not least <= most or least > _LONGEST_TEXT:
        return None
    start, word, end = example.partition("text" if example == _TEXT else "data")
    length = min(max(least, len(word)), most)
    return start + (word * (length // len(word) + 1))[:length] + end


def _number(example: str, limits: dict[str, int | float]) -> str | None:
    """Return a number within limits, of the kind of the example."""
    is_decimal = example.startswith("Decimal(")
    if not limits.keys() <= {"gt", "ge", "lt", "le"} or not (is_decimal or example in {"1", "1.5"}):
        return None
    low = max(limits.get("ge", -_INFINITE), limits.get("gt", -_INFINITE))
    high = min(limits.get("le", _INFINITE), limits.get("lt", _INFINITE))
    value = 1
    if not low < value < high:
        value = int(low) + 1 if low > -_INFINITE else int(high) - 1
    if not low < value < high:
        return None
    return f"Decimal({value})" if is_decimal else str(value)
