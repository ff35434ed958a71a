"""Examples: an expression for a value of a type, so that what is written runs at once and within the limits of a ``Field``."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pico_celery_tooling.new.project import Found, Project
from pico_celery_tooling.new.python_file import PythonFile
from pico_celery_tooling.new.source_text import Brackets, Expression, call, dotted

Limits = dict[str, object]
"""Values by name, such as ``gt``; the text of what is no constant."""

_HARMLESS: Final = frozenset(
    {"description", "title", "examples", "repr", "discriminator", "deprecated", "json_schema_extra", "exclude"}
)
_TEXTS: Final = {'"text"': "text", 'b"data"': "data"}
_LONGEST: Final = 80
_INFINITE: Final = float("inf")


class NoSampleError(Exception):
    """No example can be made without running code of the user."""


def limits_of(field: ast.Call) -> Limits:
    """Return the limits that a call of ``Field`` names."""
    return {
        keyword.arg: keyword.value.value if isinstance(keyword.value, ast.Constant) else ast.unparse(keyword.value)
        for keyword in field.keywords
        if keyword.arg and keyword.arg not in {*_HARMLESS, "default", "default_factory"}
    }


def required_limits(value: ast.expr | None) -> Limits | None:
    """Return the limits of a field by what is assigned to it, or ``None`` if it has a default."""
    if value is None or _is_open(value):
        return {}
    if not isinstance(value, ast.Call) or (dotted(value.func) or "").rpartition(".")[2] not in {"Field", "field"}:
        return None
    keywords = {keyword.arg: keyword.value for keyword in value.keywords}
    given = value.args[0] if value.args else keywords.get("default")
    if "default_factory" in keywords or not (given is None or _is_open(given)):
        return None
    return limits_of(value)


def _is_open(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is ...


def within(sample: Expression, limits: Limits) -> Expression:
    """Return an example that keeps to limits."""
    numbers = {name: value for name, value in limits.items() if isinstance(value, (int, float))}
    found: Expression | None = None
    if len(numbers) == len(limits):
        if isinstance(sample, str) and sample in _TEXTS:
            found = _text(sample, numbers)
        elif sample in {"1", "1.5"} or (isinstance(sample, Brackets) and sample.opening == "Decimal("):
            found = _number(sample, numbers)
    if found is None:
        raise NoSampleError(f"the limit {', '.join(f'{name}={value}' for name, value in limits.items())}")
    return found


def _text(sample: str, limits: dict[str, int | float]) -> str | None:
    least, most = int(limits.get("min_length", 0)), int(limits.get("max_length", _LONGEST))
    if not limits.keys() <= {"min_length", "max_length"} or not least <= most or least > _LONGEST:
        return None
    word = _TEXTS[sample]
    length = min(max(least, len(word)), most)
    return sample.replace(word, (word * (length // len(word) + 1))[:length])


def _number(sample: Expression, limits: dict[str, int | float]) -> Expression | None:
    if not limits.keys() <= {"gt", "ge", "lt", "le"}:
        return None
    low = max(limits.get("ge", -_INFINITE), limits.get("gt", -_INFINITE))
    high = min(limits.get("le", _INFINITE), limits.get("lt", _INFINITE))
    value = 1
    if not low < value < high:
        value = int(low) + 1 if low > -_INFINITE else int(high) - 1
    if not low < value < high:
        return None
    return str(value) if isinstance(sample, str) else call("Decimal", str(value))


BUILTINS: Final = frozenset(
    {"bool", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple", "None"}
)
"""Types that need no import."""

_MODULES: Final = {
    "collections.abc": ("Mapping", "Sequence"),
    "datetime": ("date", "datetime", "time", "timedelta"),
    "decimal": ("Decimal",),
    "ipaddress": ("IPv4Address", "IPv6Address"),
    "pathlib": ("Path",),
    "pydantic": (
        "AnyUrl",
        "AwareDatetime",
        "Field",
        "HttpUrl",
        "JsonValue",
        "NonNegativeFloat",
        "NonNegativeInt",
        "PositiveFloat",
        "PositiveInt",
        "SecretBytes",
        "SecretStr",
    ),
    "typing": ("Annotated", "Any", "Literal"),
    "uuid": ("UUID",),
}
KNOWN: Final = {name: module for module, names in _MODULES.items() for name in names}
"""Module of each name."""


def namespace() -> dict[str, Any]:
    """Return all of these types by name, to evaluate an annotation that has no others."""
    from importlib import import_module  # noqa: PLC0415 - only where a default has to be checked

    found: dict[str, Any] = {name: getattr(builtins, name) for name in BUILTINS - {"None"}}
    found.update({name: getattr(import_module(module), name) for name, module in KNOWN.items()})
    return found


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
_WRAPPERS: Final = frozenset({"Optional", "Union", "Required", "NotRequired", "ReadOnly", "Final"})
_NEW_TYPES: Final = frozenset({"NewType", "typing.NewType"})
_ITEMS: Final = 3
_BASES: Final = frozenset({"BaseModel", "TypedDict", "NamedTuple", "TaskError"})
_ENUMS: Final = frozenset({"Enum", "StrEnum", "IntEnum"})
_CHECKS: Final = ("validator", "serializer")


@dataclass
class Sampler:
    """Makes examples."""

    project: Project
    made: frozenset[str]
    """Names of the models that are to be made."""
    module: str
    """Name of the module that they will be in."""
    found: dict[str, Found]
    """Where the names of the annotations come from."""
    imports: set[tuple[str, str]] = field(default_factory=set)
    """What the examples need, as module and name."""
    _open: list[tuple[str, str]] = field(default_factory=list)

    def of(self, annotation: ast.expr) -> Expression:
        """Return an example of a type."""
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
        if origin in _EMPTY:
            return _EMPTY[origin]
        if origin in _WRAPPERS:
            return self._first(inner, look)
        match origin, inner:
            case "tuple", [*_, ast.Constant(value=last)] if last is ...:
                return "()"
            case "tuple", _:
                return Brackets("(", tuple(self._of(node, look) for node in inner), ")")
            case "Literal", [ast.Constant(value=value), *_]:
                return f'"{value}"' if isinstance(value, str) else repr(value)
            case "Annotated", [node, *marks]:
                return self._constrained(node, marks, look)
            case _:
                raise NoSampleError(f"{origin}[...]")

    def _constrained(self, node: ast.expr, marks: list[ast.expr], look: Callable[[str], Found | None]) -> Expression:
        limits: Limits = {}
        for mark in marks:
            if not isinstance(mark, ast.Call) or (dotted(mark.func) or "").rpartition(".")[2] != "Field":
                raise NoSampleError(ast.unparse(mark))
            limits.update(limits_of(mark))
        return self._limited(node, limits, look)

    def _limited(self, node: ast.expr, limits: Limits, look: Callable[[str], Found | None]) -> Expression:
        if isinstance(node, ast.Subscript) and (dotted(node.value) or "").rpartition(".")[2] in {"list", "Sequence"}:
            least = limits.get("min_length")
            if isinstance(least, int) and limits.keys() <= {"min_length", "max_length"} and least <= _ITEMS:
                return Brackets("[", (self._of(node.slice, look),) * least, "]")
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
                case ast.Assign(value=ast.Call(func=function, args=[_, base])) if dotted(function) in _NEW_TYPES:
                    return call(self._imported(found), self._of(base, lambda name: self.project.resolve(file, name)))
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
            return f"{self._imported(found)}.{members[0].id}"
        values = self._fields(file, node, is_data=_is_dataclass(node))
        return call(self._imported(found), **values)

    def _imported(self, found: Found) -> str:
        """Have a class imported, and return what it is called: as in the contract's file, where that has it."""
        local = next((name for name, other in self.found.items() if other == found), found.name)
        self.imports.add((found.module, found.name if local == found.name else f"{found.name} as {local}"))
        return local

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
        limits = required_limits(item.value)
        if limits is None:
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
