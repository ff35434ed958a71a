"""Whether a JSON Schema tells all that a type accepts; validators that are functions and some constraints are not in it.

What is not known here counts as not told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

from pico_celery.contract.digest import canonical_core_schema, digest

_ALWAYS: Final = frozenset({"type", "ref", "metadata", "serialization", "strict"})
_LENGTHS: Final = frozenset({"min_length", "max_length"})
_RANGE: Final = frozenset({"gt", "ge", "lt", "le", "multiple_of"})
_ALIASES: Final = frozenset(
    {"validation_alias", "serialization_alias", "serialization_exclude", "serialization_exclude_if"}
)
_TEMPORAL: Final = frozenset({"microseconds_precision"})
_OBJECT: Final = frozenset({"fields", "extra_behavior", "computed_fields"})
# The core schemas that JSON Schema describes in full, with those of their attributes that it describes, or that do not
# make them accept less.
_TOLD: Final[Mapping[str, frozenset[str]]] = {
    "any": frozenset(),
    "none": frozenset(),
    "bool": frozenset(),
    "int": _RANGE,
    "float": _RANGE,
    "decimal": frozenset(),
    "str": frozenset({*_LENGTHS, "pattern", "regex_engine", "to_lower", "to_upper"}),
    "date": frozenset(),
    "time": _TEMPORAL,
    "datetime": _TEMPORAL,
    "timedelta": _TEMPORAL,
    "uuid": frozenset(),
    "literal": frozenset({"expected"}),
    "enum": frozenset({"cls", "members", "sub_type", "missing"}),
    "list": frozenset({*_LENGTHS, "items_schema", "fail_fast"}),
    "set": frozenset({*_LENGTHS, "items_schema", "fail_fast"}),
    "frozenset": frozenset({*_LENGTHS, "items_schema", "fail_fast"}),
    "tuple": frozenset({*_LENGTHS, "items_schema", "variadic_item_index", "fail_fast"}),
    "dict": frozenset({*_LENGTHS, "keys_schema", "values_schema"}),
    "union": frozenset({"choices", "auto_collapse", "mode"}),
    "tagged-union": frozenset({"choices", "discriminator", "from_attributes"}),
    "nullable": frozenset({"schema"}),
    "default": frozenset({"schema", "default", "default_factory", "default_factory_takes_data", "copy_default"}),
    "definitions": frozenset({"schema", "definitions"}),
    "definition-ref": frozenset({"schema_ref"}),
    "lax-or-strict": frozenset({"lax_schema", "strict_schema"}),
    "json-or-python": frozenset({"json_schema", "python_schema"}),
    "model": frozenset({"cls", "schema", "config", "root_model", "custom_init", "generic_origin"}),
    "model-fields": frozenset({*_OBJECT, "model_name"}),
    "model-field": frozenset({*_ALIASES, "schema", "frozen"}),
    "dataclass": frozenset(
        {"cls", "schema", "config", "fields", "frozen", "slots", "cls_name", "generic_origin", "post_init"}
    ),
    "dataclass-args": frozenset({*_OBJECT, "dataclass_name", "collect_init_only"}),
    "dataclass-field": frozenset({*_ALIASES, "name", "schema", "kw_only", "init", "init_only", "frozen"}),
    "typed-dict": frozenset({*_OBJECT, "cls", "cls_name", "total", "config"}),
    "typed-dict-field": frozenset({*_ALIASES, "schema", "required"}),
}
_LOOKED_AT: Final = frozenset({"keys_schema", "custom_init", "post_init", "validation_alias", "config"})
_TOLD_AT_ONCE: Final = {kind: (told | _ALWAYS) - _LOOKED_AT for kind, told in _TOLD.items()}
"""Attributes of which nothing has to be known to say that JSON Schema tells all of them: most nodes have no others."""
_CONFIG: Final = frozenset(
    {"title", "strict", "extra_fields_behavior", "populate_by_name", "validate_by_name", "validate_by_alias"}
    | {"serialize_by_alias", "from_attributes", "hide_input_in_errors", "typed_dict_total"}
)
_ONLY_IN_PYTHON: Final = frozenset(
    {"python_schema", "strict_schema", "serialization", "metadata", "default", "cls", "members"}
)


def tells_all(schema: CoreSchema) -> bool:
    """Tell whether the JSON Schema of a type describes all that it accepts.

    Args:
        schema: pydantic's schema of the type.

    Returns:
        Whether it is so.
    """
    return all(_is_told(node) for node in core_nodes(schema))


def is_strict(schema: CoreSchema) -> bool:
    """Tell whether a part of a type converts nothing.

    Args:
        schema: pydantic's schema of the type.

    Returns:
        Whether it is so.
    """
    return _any(schema, lambda node: node.get("strict") is True or (node.get("config") or {}).get("strict") is True)


def may_send_nan(schema: CoreSchema) -> bool:
    """Tell whether a part of a type is a Decimal that may be no number."""
    return _any(schema, lambda node: node.get("type") == "decimal" and bool(node.get("allow_inf_nan")))


def _any(schema: Any, is_it: Callable[[Mapping[str, Any]], bool]) -> bool:
    return any(is_it(node) for node in core_nodes(schema))


def core_nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    """Iterate over the parts of a core schema that read JSON."""
    if isinstance(node, Mapping):
        if isinstance(node.get("type"), str):
            yield node
        for key, value in node.items():
            if key not in _ONLY_IN_PYTHON:
                yield from core_nodes(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from core_nodes(value)


def _is_told(node: Mapping[str, Any]) -> bool:
    told = _TOLD.get(node["type"])
    if told is None or not set(node) <= told | _ALWAYS:
        return False
    if node["type"] == "dict" and node.get("keys_schema", {"type": "str"}).get("type") != "str":
        return False  # JSON Schema knows nothing of keys
    if node.get("custom_init") or node.get("post_init"):
        return False  # it may refuse what it gets
    alias = node.get("validation_alias")
    return (alias is None or isinstance(alias, str)) and set(node.get("config") or ()) <= _CONFIG


class TellingSchema(GenerateJsonSchema):
    """JSON Schema that tells a Decimal's text from others, and which fields are always sent."""

    def decimal_schema(self, _schema: Any) -> JsonSchemaValue:
        """Return what a Decimal is on the wire: text, which is not any text."""
        return {"type": "string", "format": "decimal"}

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Return whether a field is always there: one with a default is always sent, and need not be received."""
        if self.mode != "serialization" or field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        return not field.get("serialization_exclude") and "serialization_exclude_if" not in field


def untold(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a part of a type demands and JSON Schema does not describe.

    Args:
        node: A part of a core schema; what is nested in it is not looked at.

    Returns:
        JSON data: constraints by their names, and under ``functions`` the validators by theirs; empty where all is told.
    """
    kind = node.get("type")
    if not isinstance(kind, str) or node.keys() <= _TOLD_AT_ONCE.get(kind, frozenset()):
        return {}
    if kind.startswith("function-"):
        return {"functions": [f"{kind.removeprefix('function-')}:{_function_name(node['function'])}"]}
    told = _TOLD.get(kind)
    found = {
        name: value if isinstance(value, (str, int, float, bool)) else str(value)
        for name, value in node.items()
        if name not in (told or ()) and name not in _ALWAYS and not isinstance(value, (Mapping, list, tuple))
    }
    if told is None:
        found["type"] = kind
    if kind == "dict" and node.get("keys_schema", {"type": "str"}).get("type") != "str":
        found["keys"] = digest(canonical_core_schema(node["keys_schema"]))
    found.update({name: True for name in ("custom_init", "post_init") if node.get(name)})
    alias = node.get("validation_alias")
    if alias is not None and not isinstance(alias, str):
        found["aliases"] = alias
    config = (node.get("config") or {}).items()
    plain = {name: value for name, value in config if isinstance(value, (str, int, float, bool))}
    found.update({name: plain[name] for name in plain if name not in _CONFIG and not name.startswith("ser_")})
    return dict(sorted(found.items()))


def _function_name(info: Any) -> str:
    function = info.get("function") if isinstance(info, Mapping) else info
    function = getattr(function, "__func__", function)
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', type(function).__module__)}.{name}"
