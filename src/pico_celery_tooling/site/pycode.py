"""Values as Python code that makes them, broken into lines as formatters do."""

from __future__ import annotations

import dataclasses
import keyword
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeAlias
from uuid import UUID

from pydantic import AliasChoices, BaseModel, RootModel, SecretBytes, SecretStr

WIDTH: Final = 64
"""Characters of a line, so that it can be read beside the text and on a phone."""


class UnwritableError(Exception):
    """A value has no code that is known to make it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Code in brackets."""

    opening: str
    """What it begins with, the bracket included."""
    items: tuple[tuple[str, Code], ...]
    """What is in it, each with what stands before it, such as ``name=``."""
    closing: str


Code: TypeAlias = "str | Group"


def written(code: Code, indent: int = 0, taken: int = 0) -> str:
    """Return code as text."""
    if isinstance(code, str):
        return code
    flat = _flat(code)
    if len(flat) + indent + taken <= WIDTH or not code.items:
        return flat
    inner = indent + 4
    lines = [f"{' ' * inner}{prefix}{written(item, inner, len(prefix) + 1)}," for prefix, item in code.items]
    return "\n".join([code.opening, *lines, f"{' ' * indent}{code.closing}"])


def call(name: str, arguments: Mapping[str, Code]) -> Code:
    """Return the code of a call with arguments by name; those that are no identifiers go into a mapping."""
    named = [(f"{key}=", value) for key, value in arguments.items() if _is_name(key)]
    others = [(f"{quoted(key)}: ", value) for key, value in arguments.items() if not _is_name(key)]
    if others:
        named.append(("**", Group("{", tuple(others), "}")))
    return Group(f"{name}(", tuple(named), ")")


def quoted(value: Any) -> str:
    """Return the repr of a value; of a text with double quotes, as formatters write it."""
    text = repr(value)
    if not isinstance(value, (str, bytes)) or '"' in text or not text.endswith("'"):
        return text
    start = text.index("'")
    return text[:start] + '"' + text[start + 1 : -1].replace("\\'", "'") + '"'


def literal(data: Any) -> Code:
    """Return JSON data as Python code."""
    return Writer().code(data)


@dataclass(slots=True)
class Writer:
    """Writes values, and remembers what has to be imported."""

    imports: dict[str, set[str]] = field(default_factory=dict)
    """Names to import, by module."""

    def code(self, value: Any) -> Code:  # noqa: PLR0911 - one line for each kind of value
        """Return the code that makes a value."""
        if isinstance(value, Enum):
            return self._enum(value)
        if value is None or type(value) in _EXACT:
            return quoted(value)
        if isinstance(value, float):
            return repr(value) if math.isfinite(value) else f"float({quoted(str(value))})"
        if type(value) in _CONTAINERS:
            return self._container(value)
        if type(value) is dict:
            return Group(
                "{", tuple((f"{_flat(self.code(key))}: ", self.code(item)) for key, item in value.items()), "}"
            )
        if isinstance(value, (BaseModel, tuple)) or dataclasses.is_dataclass(value):
            return self._object(value)
        return self._scalar(value)

    def name(self, cls: type[Any]) -> str:
        """Return how code calls a class, and have it imported from the nearest package that has it."""
        qualified = cls.__qualname__
        if "<" in qualified or "[" in qualified:
            raise UnwritableError(qualified)
        first = qualified.partition(".")[0]
        self.imports.setdefault(_home(cls, qualified), set()).add(first)
        return qualified

    def lines(self) -> list[str]:
        """Return the imports as lines of code, those of the standard library first."""
        ordered = sorted(
            self.imports, key=lambda module: (module.partition(".")[0] not in sys.stdlib_module_names, module)
        )
        lines: list[str] = []
        for number, module in enumerate(ordered):
            is_own = module.partition(".")[0] not in sys.stdlib_module_names
            if is_own and number and ordered[number - 1].partition(".")[0] in sys.stdlib_module_names:
                lines.append("")
            names = Group("(", tuple(("", name) for name in sorted(self.imports[module])), ")")
            start = f"from {module} import "
            flat = start + ", ".join(sorted(self.imports[module]))
            lines.append(flat if len(flat) <= WIDTH else start + written(names, taken=WIDTH))
        return lines

    def _enum(self, value: Enum) -> Code:
        cls = type(value)
        if value.name not in cls.__members__:
            raise UnwritableError(repr(value))
        return f"{self.name(cls)}.{value.name}"

    def _container(self, value: Any) -> Code:
        items = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        codes = tuple(("", self.code(item)) for item in items)
        opening, closing = _CONTAINERS[type(value)]
        if type(value) is set:
            return Group("{", codes, "}") if codes else "set()"
        if type(value) is tuple and len(codes) == 1:
            return f"({_flat(codes[0][1])},)"
        return Group(opening, codes, closing)

    def _object(self, value: Any) -> Code:
        cls = type(value)
        name = self.name(cls)
        if isinstance(value, RootModel):
            return Group(f"{name}(", (("", self.code(value.root)),), ")")
        if isinstance(value, BaseModel):
            fields = cls.model_fields
            extra = value.model_extra or {}
            given = {_alias(one, fields[one]): getattr(value, one) for one in fields if _is_given(value, one)}
            return call(name, {key: self.code(item) for key, item in {**given, **extra}.items()})
        if dataclasses.is_dataclass(value):
            shown = [one for one in dataclasses.fields(value) if one.init]
            return call(name, {one.name: self.code(getattr(value, one.name)) for one in shown})
        if not hasattr(cls, "_fields"):
            raise UnwritableError(name)
        return call(name, {key: self.code(item) for key, item in value._asdict().items()})

    def _scalar(self, value: Any) -> Code:
        for cls, write in _SCALARS.items():
            if type(value) is cls:
                self.name(cls)
                return write(value)
        raise UnwritableError(repr(type(value)))


_EXACT: Final = (bool, int, str, bytes)
_CONTAINERS: Final[Mapping[type[Any], tuple[str, str]]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset([", "])"),
}


def _duration(value: timedelta) -> str:
    named = {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}
    return f"timedelta({', '.join(f'{name}={number}' for name, number in named.items() if number)})"


_SCALARS: Final[Mapping[type[Any], Callable[[Any], str]]] = {
    Decimal: lambda value: f"Decimal({quoted(str(value))})",
    datetime: lambda value: f"datetime.fromisoformat({quoted(value.isoformat())})",
    date: lambda value: f"date.fromisoformat({quoted(value.isoformat())})",
    time: lambda value: f"time.fromisoformat({quoted(value.isoformat())})",
    timedelta: _duration,
    UUID: lambda value: f"UUID({quoted(str(value))})",
    SecretStr: lambda value: f"SecretStr({quoted(value.get_secret_value())})",
    SecretBytes: lambda value: f"SecretBytes({quoted(value.get_secret_value())})",
}


def _flat(code: Code) -> str:
    if isinstance(code, str):
        return code
    return code.opening + ", ".join(prefix + _flat(item) for prefix, item in code.items) + code.closing


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def _is_given(value: BaseModel, name: str) -> bool:
    info = type(value).model_fields[name]
    if info.is_required():
        return True
    return name in value.model_fields_set and getattr(value, name) != info.get_default(call_default_factory=False)


def _alias(name: str, info: Any) -> str:
    alias = info.validation_alias if info.validation_alias is not None else info.alias
    if isinstance(alias, AliasChoices):
        alias = next((one for one in alias.choices if isinstance(one, str)), alias)
    if alias is None:
        return name
    if not isinstance(alias, str):
        raise UnwritableError(name)
    return alias


def _home(cls: type[Any], qualified: str) -> str:
    """Return the shortest package that has a class under its own name."""
    parts = cls.__module__.split(".")
    for length in range(1, len(parts)):
        module = sys.modules.get(".".join(parts[:length]))
        found: Any = module
        for name in qualified.split("."):
            found = getattr(found, name, None)
        if found is cls:
            return ".".join(parts[:length])
    return cls.__module__
