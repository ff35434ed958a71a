"""Python code that calls a task: with the contract's types where they are known, and with plain Celery."""

from __future__ import annotations

import contextlib
import dataclasses
import keyword
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from pydantic import AliasChoices, BaseModel, RootModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from pico_celery.contract.definition import ContractDefinition
from pico_celery.document.records import ContractRecord, TaskRecord
from pico_celery_tooling.source_layout import laid_out

WIDTH: Final = 64
"""Characters of a line, so that it can be read beside the text and on a phone."""
_OPTIONS: Final = ("queue", "exchange", "routing_key", "priority")


class UnwritableError(Exception):
    """A value has no code that is known to make it."""


def typed_call(
    record: TaskRecord, contract: ContractRecord, arguments: Mapping[str, object], declared: ContractDefinition | None
) -> str:
    """Return code that calls a task through a client; without the definition it sends plain data."""
    code = CodeWriter()
    for name in ("CeleryClient", "celery", "send_task"):
        code.imports.setdefault("pico_celery", set()).add(name)
    values = _values(code, record, arguments, declared)
    client = f"{contract.type.rpartition('.')[2] or 'Contract'}Client"
    reference = contract.type.rpartition("<locals>.")[2]
    missing = [f"# {reference.partition('.')[0]}: import it from your contracts"]
    if declared is not None:
        with contextlib.suppress(UnwritableError):  # a class within a function cannot be imported
            reference, missing = code.name(declared.cls), []
    call = [f"    client.{record.method}({_keywords(values)})"]
    if not record.options.get("ignore_result"):
        call = [f"    result = {call[0].lstrip()}", "    print(result.get(timeout=10))  # or: await result"]
    lines = [
        *code.import_lines(),
        *missing,
        "",
        "",
        "@celery",
        f"class {client}(CeleryClient):",
        f"    {record.method} = send_task({reference}.{record.method})",
        "",
        "",
        f"def call(client: {client}) -> None:",
        *call,
        "",
    ]
    return laid_out("\n".join(lines), WIDTH)


def plain_call(record: TaskRecord, arguments: Mapping[str, object]) -> str:
    """Return code that calls a task by name, without its contract."""
    code = CodeWriter()
    options = {name: record.options[name] for name in _OPTIONS if name in record.options}
    keywords = {name: code.value(one) for name, one in {"kwargs": dict(arguments), **options}.items()}
    lines = [f"result = app.send_task({quoted(record.name)}, {_keywords(keywords)})"]
    if not record.options.get("ignore_result"):
        lines.append("print(result.get(timeout=10))")
    return laid_out("\n".join([*lines, ""]), WIDTH)


def _values(
    code: CodeWriter, record: TaskRecord, arguments: Mapping[str, object], declared: ContractDefinition | None
) -> dict[str, str]:
    """Return the code of each argument: objects of the contract's types, or plain data where they are not known."""
    task = None if declared is None else next((one for one in declared.tasks.values() if one.name == record.name), None)
    if task is not None:
        trial = CodeWriter()
        try:
            decoded = task.arguments.decode(dict(arguments))
            values = {name: trial.value(decoded[name]) for name in arguments}
        except (UnwritableError, ValidationError, ValueError, KeyError):
            pass  # an example that no sampling finds, or a type without a known constructor
        else:
            code.imports.update(trial.imports)
            return values
    return {name: code.value(value) for name, value in arguments.items()}


def _keywords(values: Mapping[str, str]) -> str:
    """Return arguments by name; names that Python does not allow go into a mapping."""
    named = [f"{name}={value}" for name, value in values.items() if _is_name(name)]
    others = [f"{quoted(name)}: {value}" for name, value in values.items() if not _is_name(name)]
    return ", ".join([*named, *(["**{" + ", ".join(others) + "}"] if others else [])])


def _is_name(text: str) -> bool:
    return text.isidentifier() and not keyword.iskeyword(text)


def quoted(value: object) -> str:
    """Return the repr of a value; of a text with double quotes, as formatters write it."""
    text = repr(value)
    if not isinstance(value, (str, bytes)) or '"' in text or not text.endswith("'"):
        return text
    start = text.index("'")
    return text[:start] + '"' + text[start + 1 : -1].replace("\\'", "'") + '"'


@dataclass(slots=True)
class CodeWriter:
    """Writes values as the code that makes them, on one line, and remembers what has to be imported."""

    imports: dict[str, set[str]] = field(default_factory=dict)
    """Names to import, by module."""

    def value(self, value: object) -> str:
        """Return the code that makes a value."""
        if isinstance(value, Enum):
            return self._enum(value)
        if isinstance(value, float) and not math.isfinite(value):
            return f"float({quoted(str(value))})"
        if value is None or type(value) in _EXACT:
            return quoted(value)
        if type(value) in _SCALARS:
            self.name(type(value))
            return _SCALARS[type(value)](value)
        if isinstance(value, (list, tuple, set, frozenset, dict)) and type(value) in _COLLECTIONS:
            return self._collection(value)
        return self._object(value)

    def name(self, cls: type[object]) -> str:
        """Return how code calls a class, and import it from the shortest package that has it."""
        qualified = cls.__qualname__
        if "<" in qualified or "[" in qualified:
            raise UnwritableError(qualified)
        self.imports.setdefault(_home(cls, qualified), set()).add(qualified.partition(".")[0])
        return qualified

    def import_lines(self) -> list[str]:
        """Return the imports as lines of code, those of the standard library first."""
        lines: dict[bool, list[str]] = {True: [], False: []}
        for module in sorted(self.imports):
            names = ", ".join(sorted(self.imports[module]))
            line = f"from {module} import {names}"
            is_standard = module.partition(".")[0] in sys.stdlib_module_names
            lines[is_standard].append(line if len(line) <= WIDTH else f"from {module} import ({names})")
        return [*lines[True], *([""] if lines[True] and lines[False] else []), *lines[False]]

    def _enum(self, value: Enum) -> str:
        if value.name not in type(value).__members__:  # a combination of flags
            raise UnwritableError(repr(value))
        return f"{self.name(type(value))}.{value.name}"

    def _collection(self, value: _Collection) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{self.value(key)}: {self.value(item)}" for key, item in value.items()) + "}"
        items = [self.value(item) for item in _ordered(value)]
        if isinstance(value, set) and not items:
            return "set()"
        opening, closing = _COLLECTIONS[type(value)]
        comma = "," if isinstance(value, tuple) and len(items) == 1 else ""
        return f"{opening}{', '.join(items)}{comma}{closing}"

    def _object(self, value: object) -> str:
        name = self.name(type(value))
        if isinstance(value, RootModel):
            return f"{name}({self.value(value.root)})"
        return f"{name}({_keywords({key: self.value(item) for key, item in _fields(value).items()})})"


_Collection = list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any] | dict[Any, Any]
_EXACT: Final = (bool, int, float, str, bytes)
_COLLECTIONS: Final[Mapping[type[object], tuple[str, str]]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset([", "])"),
    dict: ("{", "}"),
}


def _ordered(value: Iterable[object]) -> Iterable[object]:
    # A set has another order in each process; a site has the same bytes each time.
    return sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value


def _fields(value: object) -> Mapping[str, object]:
    """Return the arguments by which an object is made."""
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        given = {_alias(name, info): getattr(value, name) for name, info in fields.items() if _is_given(value, name)}
        return {**given, **(value.model_extra or {})}
    if dataclasses.is_dataclass(value):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value) if one.init}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    raise UnwritableError(type(value).__qualname__)


def _duration(value: timedelta) -> str:
    named = {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}
    return f"timedelta({', '.join(f'{name}={number}' for name, number in named.items() if number)})"


_SCALARS: Final[Mapping[type[object], Callable[[Any], str]]] = {
    Decimal: lambda value: f"Decimal({quoted(str(value))})",
    datetime: lambda value: f"datetime.fromisoformat({quoted(value.isoformat())})",
    date: lambda value: f"date.fromisoformat({quoted(value.isoformat())})",
    time: lambda value: f"time.fromisoformat({quoted(value.isoformat())})",
    timedelta: _duration,
    UUID: lambda value: f"UUID({quoted(str(value))})",
    SecretStr: lambda value: f"SecretStr({quoted(value.get_secret_value())})",
    SecretBytes: lambda value: f"SecretBytes({quoted(value.get_secret_value())})",
}


def _is_given(value: BaseModel, name: str) -> bool:
    info = type(value).model_fields[name]
    if info.is_required():
        return True
    return name in value.model_fields_set and getattr(value, name) != info.get_default(call_default_factory=False)


def _alias(name: str, info: FieldInfo) -> str:
    alias = info.validation_alias if info.validation_alias is not None else info.alias
    if isinstance(alias, AliasChoices):
        alias = next((one for one in alias.choices if isinstance(one, str)), None)
        if alias is None:
            raise UnwritableError(name)
    if alias is None:
        return name
    if not isinstance(alias, str):
        raise UnwritableError(name)
    return alias


def _home(cls: type[object], qualified: str) -> str:
    """Return the shortest package that has a class under its own name."""
    parts = cls.__module__.split(".")
    for length in range(1, len(parts)):
        found: object = sys.modules.get(".".join(parts[:length]))
        for name in qualified.split("."):
            found = getattr(found, name, None)
        if found is cls:
            return ".".join(parts[:length])
    return cls.__module__
