"""What a payload's pydantic-core schema tells that its Python type does not.

The walk is generic: it follows every mapping and list of the schema and looks at the few node types that matter here,
so a node type that is new to it is passed through, not misread.
Source for the node types: ``pydantic_core.core_schema``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

BytesMode = Literal["utf8", "base64", "hex"]

_SECRETS: Final = (SecretStr, SecretBytes, Secret)
_UNSENDABLE: Final = {
    "callable": "a function",
    "is-instance": "an instance of a class that pydantic has no schema for",
    "is-subclass": "a class",
    "generator": "an iterator",
}
# A custom validator or serializer around a model decides itself what its JSON is; only a run can tell then.
_CUSTOM: Final = ("function-before", "function-wrap", "function-plain")
_FIELDS: Final = ("model-fields", "dataclass-args", "typed-dict")
_SKIPPED: Final = ("serialization", "metadata", "strict_schema", "python_schema", "computed_fields", "cls", "config")


@dataclass(slots=True)
class SchemaFacts:
    """What the walk found.

    Attributes:
        secret: A `SecretStr`, `SecretBytes` or `Secret` is declared somewhere.
        opaque: A part of it has no declared type (``Any``, extra fields), so that a secret may stand there too.
        hidden: A field is declared with ``repr=False``.
        bytes_modes: How ``bytes`` are written in JSON, at the places where there are any.
        unsendable: Kinds of values that JSON cannot carry.
        unreadable: ``(model, field, expected, got)`` where a model cannot read its own JSON.
    """

    secret: bool = False
    opaque: bool = False
    hidden: bool = False
    bytes_modes: set[BytesMode] = field(default_factory=set)
    unsendable: set[str] = field(default_factory=set)
    unreadable: list[tuple[str, str, str, str]] = field(default_factory=list)


def inspect_schema(schema: Mapping[str, Any], config: Mapping[str, Any]) -> SchemaFacts:
    """Walk a core schema.

    Args:
        schema: The core schema of a payload.
        config: The core config that is in force at its top.

    Returns:
        What was found.
    """
    facts = SchemaFacts(secret=any(True for _ in _secret_classes(schema)))
    _walk(schema, config, facts, custom=False)
    return facts


def _secret_classes(node: Any) -> Iterator[type]:
    if isinstance(node, Mapping):
        functions = node.get("function")
        if isinstance(functions, Mapping) and "Secret" in getattr(functions.get("function"), "__qualname__", ""):
            yield Secret
        for value in node.values():
            if isinstance(value, type) and issubclass(value, _SECRETS):
                yield value
            else:
                yield from _secret_classes(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _secret_classes(value)


def _walk(node: Any, config: Mapping[str, Any], facts: SchemaFacts, *, custom: bool) -> None:
    if isinstance(node, (list, tuple)):
        for item in node:
            _walk(item, config, facts, custom=custom)
        return
    if not isinstance(node, Mapping):
        return
    if isinstance(node.get("type"), str):
        config = _note(node, config, facts)
        custom = custom or node["type"] in _CUSTOM or "serialization" in node
        if node["type"] in _FIELDS and not custom:
            _check_fields(node, config, facts)
    for key, value in node.items():
        if key not in _SKIPPED:
            _walk(value, config, facts, custom=custom)


def _note(node: Mapping[str, Any], config: Mapping[str, Any], facts: SchemaFacts) -> Mapping[str, Any]:
    """Note what one node tells, and return the config that is in force below it."""
    kind = node["type"]
    if kind in _UNSENDABLE:
        facts.unsendable.add(_UNSENDABLE[kind])
    elif kind == "bytes":
        facts.bytes_modes.add(config.get("ser_json_bytes", "utf8"))
    elif kind in {"model", "dataclass"}:
        config = node.get("config") or {}
        _note_hidden(node.get("cls"), facts)
    elif kind == "typed-dict":
        config = node.get("config") or config
    behavior = node.get("extra_behavior", config.get("extra_fields_behavior"))
    extra = kind in _FIELDS and behavior == "allow"
    facts.opaque = facts.opaque or kind == "any" or extra or "serialization" in node
    return config


def _note_hidden(cls: Any, facts: SchemaFacts) -> None:
    if isinstance(cls, type) and issubclass(cls, BaseModel):
        facts.hidden = facts.hidden or any(not info.repr for info in cls.model_fields.values())
    elif dataclasses.is_dataclass(cls):
        facts.hidden = facts.hidden or any(not info.repr for info in dataclasses.fields(cls))


def _check_fields(node: Mapping[str, Any], config: Mapping[str, Any], facts: SchemaFacts) -> None:
    model = str(node.get("model_name") or node.get("dataclass_name") or getattr(node.get("cls"), "__name__", "model"))
    for name, info in _fields_of(node):
        if info.get("serialization_exclude"):
            if _is_required(info, node):
                facts.unreadable.append((model, name, "a default, for it is left out of the JSON", "a required field"))
            continue
        written = info.get("serialization_alias") or name
        accepted = _accepted_names(name, info, config)
        if written not in accepted:
            facts.unreadable.append((model, name, f"to read it as {' or '.join(accepted)}", f"written as {written}"))
    forbids = node.get("extra_behavior", config.get("extra_fields_behavior")) == "forbid"
    for computed in node.get("computed_fields", ()) if forbids else ():
        written = str(computed.get("alias") or computed.get("property_name"))
        facts.unreadable.append((model, written, "no computed field, for extra fields are forbidden", "one"))


def _fields_of(node: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    fields = node.get("fields") or {}
    if isinstance(fields, Mapping):
        yield from fields.items()
    else:
        for info in fields:
            if not info.get("init_only"):
                yield info["name"], info


def _is_required(info: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    if node.get("type") == "typed-dict":
        return bool(info.get("required", True))
    inner = info.get("schema", {})
    while isinstance(inner, Mapping):
        if inner.get("type") == "default":
            return False
        inner = inner.get("schema")
    return True


def _accepted_names(name: str, info: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[str, ...]:
    alias = info.get("validation_alias")
    if alias is None:
        return (name,)
    names: list[str] = []
    if config.get("validate_by_alias", True):
        if isinstance(alias, str):
            names.append(alias)
        else:
            paths = alias if alias and isinstance(alias[0], (list, tuple)) else [alias]
            names.extend(str(path[0]) if len(path) == 1 else ".".join(map(str, path)) for path in paths)
    if config.get("validate_by_name") or config.get("populate_by_name") or not names:
        names.append(name)
    return tuple(names)
