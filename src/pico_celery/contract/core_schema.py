"""Read from a payload's pydantic-core schema what its Python type does not show.

The walk is generic: it follows every mapping and list of the schema and looks at the few node types that matter here,
so a node type that is new to it is passed through, not misread.
Source for the node types: ``pydantic_core.core_schema``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal, NamedTuple

from pydantic import VERSION, BaseModel, Secret, SecretBytes, SecretStr, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import CoreSchema

from pico_celery.contract.digest import canonical_core_schema, digest
from pico_celery.contract.wire_schema import OWN_SERIALIZERS, from_base64
from pico_celery.errors import ContractError, Fault

BytesMode = Literal["utf8", "base64", "hex"]

_SECRETS: Final = (SecretStr, SecretBytes, Secret)
_UNSENDABLE: Final = {
    "callable": "a function",
    "is-instance": "an instance of a class that pydantic has no schema for",
    "is-subclass": "a class",
    "generator": "an iterator",
    "json": "a JSON text that is parsed when it is read (pydantic.Json)",
}
_PRIMITIVES: Final = (str, int, float, bool, type(None))
_KEYS: Final = frozenset(
    {"str", "int", "float", "bool", "any", "uuid", "date", "datetime", "time", "timedelta", "decimal", "url", "bytes"}
    | {"multi-host-url", "definition-ref", "function-plain"}
)
# A custom validator or serializer around a model decides itself what its JSON is; only a run shows it then.
_CUSTOM: Final = ("function-before", "function-wrap", "function-plain")
_FIELDS: Final = ("model-fields", "dataclass-args", "typed-dict")
_SKIPPED: Final = ("serialization", "metadata", "strict_schema", "python_schema", "computed_fields", "cls", "config")


class Unreadable(NamedTuple):
    """A field that a model cannot read from its own JSON."""

    model: str
    field: str
    got: str
    expected: str
    remedy: str


_ONE_ALIAS: Final = "give it one alias for both directions (alias=...)"


@dataclass(slots=True)
class SchemaFacts:
    """What the walk found."""

    secret: bool = False
    """A `SecretStr`, `SecretBytes` or `Secret` is declared somewhere."""
    opaque: bool = False
    """A part of it has no declared type (``Any``, extra fields), so that a secret may stand there too."""
    hidden: bool = False
    """A field is declared with ``repr=False``."""
    bytes_modes: set[BytesMode] = field(default_factory=set)
    """How ``bytes`` are written in JSON, at the places where there are any."""
    unsendable: set[str] = field(default_factory=set)
    """Kinds of values that JSON cannot carry."""
    masked: bool = False
    """A secret is declared that pydantic masks in JSON."""
    uncertain: bool = False
    """A custom validator or serializer decides what the JSON is, so that only a run shows whether it can be read."""
    unreadable: list[Unreadable] = field(default_factory=list)
    """Fields that a model cannot read from its own JSON."""


def inspect_schema(schema: Mapping[str, object]) -> SchemaFacts:
    """Walk a core schema."""
    check_secret_marks()
    facts = SchemaFacts(secret=_has_secret(schema), masked=_masks(schema))
    _walk(schema, {}, facts, custom=False)
    return facts


@cache
def check_secret_marks() -> None:
    """Check, once per process, that secrets are recognized in the core schemas of the installed pydantic.

    They are recognized by the names of private functions: pydantic has no public mark for them. If one is renamed, the
    values of secrets would be logged, so no contract is accepted then.
    """
    unknown = [name for name, schema in _secret_probes() if not (_has_secret(schema) and _masks(schema))]
    if unknown:
        fault = Fault(
            task="pydantic",
            expected="secrets that are recognized in its core schema",
            got=f"pydantic {VERSION}, in which {', '.join(unknown)} cannot be recognized",
            remedy="install a release of pydantic that this release of pico-celery supports, or a newer pico-celery",
            code="secret_marks",
        )
        raise ContractError.of("the type of a payload", [fault])


def _secret_probes() -> Iterator[tuple[str, CoreSchema]]:
    yield "SecretStr", TypeAdapter(SecretStr).core_schema
    yield "SecretBytes", TypeAdapter(SecretBytes).core_schema
    yield "Secret", TypeAdapter(Secret[int]).core_schema


def _has_secret(node: object) -> bool:
    return any(True for _ in _secret_classes(node))


def _secret_classes(node: object) -> Iterator[type]:
    if isinstance(node, Mapping):
        functions = node.get("function")
        if isinstance(functions, Mapping) and "Secret." in getattr(functions.get("function"), "__qualname__", ""):
            yield Secret
        for value in node.values():
            if isinstance(value, type) and issubclass(value, _SECRETS):
                yield value
            else:
                yield from _secret_classes(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _secret_classes(value)


def _masks(node: object) -> bool:
    if isinstance(node, (list, tuple)):
        return any(_masks(item) for item in node)
    if not isinstance(node, Mapping):
        return False
    serializer = _serializer_of(node)
    if serializer is not None:
        return _is_pydantic_mask(serializer)
    return any(_masks(value) for key, value in node.items() if key not in {"metadata", "config"})


def _serializer_of(node: Mapping[str, object]) -> object:
    serialization = node.get("serialization")
    return serialization.get("function") if isinstance(serialization, Mapping) else None


def _is_pydantic_mask(serializer: object) -> bool:
    return getattr(serializer, "__name__", "").startswith("_serialize_secret")


def _walk(node: object, config: Mapping[str, object], facts: SchemaFacts, *, custom: bool) -> None:
    if isinstance(node, (list, tuple)):
        for item in node:
            _walk(item, config, facts, custom=custom)
        return
    if not isinstance(node, Mapping):
        return
    if isinstance(node.get("type"), str):
        if _function_of(node) is from_base64:
            facts.bytes_modes.add("base64")
            return
        config = _note(node, config, facts)
        custom = custom or node["type"] in _CUSTOM or "serialization" in node
        if node["type"] in _FIELDS:
            _check_fields(node, config, facts, custom=custom)
    for key, value in node.items():
        if key not in _SKIPPED:
            _walk(value, config, facts, custom=custom)


def _function_of(node: Mapping[str, object]) -> object:
    function = node.get("function")
    return function.get("function") if isinstance(function, Mapping) else None


def _note(node: Mapping[str, Any], config: Mapping[str, object], facts: SchemaFacts) -> Mapping[str, object]:
    """Note what one node says, and return the config that is in force below it."""
    kind = node["type"]
    facts.unsendable.update(_unsendable(node))
    if kind == "bytes":
        _note_bytes(config, facts)
    elif kind in {"model", "dataclass"}:
        config = node.get("config") or {}
        _note_hidden(node.get("cls"), facts)
    elif kind == "typed-dict":
        config = node.get("config") or {}
    behavior = node.get("extra_behavior", config.get("extra_fields_behavior"))
    extra = kind in _FIELDS and behavior == "allow"
    serializer = _serializer_of(node)
    own = serializer in OWN_SERIALIZERS or _is_pydantic_mask(serializer)
    foreign = "serialization" in node and not own
    facts.opaque = facts.opaque or kind in {"any", "dict"} or extra or foreign
    if serializer is not None and serializer not in OWN_SERIALIZERS and not _is_pydantics(serializer):
        facts.uncertain = True
    return config


def _is_pydantics(serializer: object) -> bool:
    return str(getattr(serializer, "__module__", "")).partition(".")[0] in {"pydantic", "pydantic_core"}


def _note_bytes(config: Mapping[str, Any], facts: SchemaFacts) -> None:
    written, read = config.get("ser_json_bytes", "utf8"), config.get("val_json_bytes", "utf8")
    facts.bytes_modes.add(read)
    if written != read:
        remedy = f"set both, ser_json_bytes and val_json_bytes, to {written!r}"
        facts.unreadable.append(
            Unreadable(
                str(config.get("title", "model")), "bytes", f"written as {written}", f"to read it as {read}", remedy
            )
        )


def _unsendable(node: Mapping[str, Any]) -> Iterator[str]:
    kind = node["type"]
    if kind in _UNSENDABLE:
        yield _UNSENDABLE[kind]
    elif kind == "enum":
        members = (member for member in node["members"] if not isinstance(member.value, _PRIMITIVES))
        yield from (f"{type(member).__name__}.{member.name}, whose value is no JSON" for member in members)
    elif kind == "literal":
        yield from (f"the literal {value!r}" for value in node["expected"] if not isinstance(_raw(value), _PRIMITIVES))
    elif kind == "dict":
        yield from _unsendable_keys(node.get("keys_schema"))
    elif kind in {"set", "frozenset"} and _masks(node.get("items_schema")):
        yield "a set of secrets, whose order is chance (use a list)"
    elif kind == "any" and isinstance(node.get("serialization"), Mapping) and "schema" in node["serialization"]:
        yield "a value that is not validated (SkipValidation)"
    elif getattr(_function_of(node), "__name__", "") == "import_string":
        yield "an object that is imported by name (ImportString)"


def _unsendable_keys(keys: object) -> Iterator[str]:
    if not isinstance(keys, Mapping):
        return
    kind = keys["type"]
    inner = keys.get({"json-or-python": "json_schema", "lax-or-strict": "lax_schema"}.get(kind, "schema"))
    if _has_secret(keys):
        yield "a secret as a key"
    elif kind == "union":
        for choice in keys["choices"]:
            yield from _unsendable_keys(choice[0] if isinstance(choice, tuple) else choice)
    elif kind == "chain":
        yield from _unsendable_keys(keys["steps"][0])
    elif kind == "literal":
        yield from ("keys other than text" for value in keys["expected"] if not isinstance(_raw(value), str))
    elif kind == "enum":
        yield from ("keys other than text" for member in keys["members"] if not isinstance(member.value, (str, int)))
    elif kind in _KEYS:
        return
    elif kind == "nullable" or inner is None:
        yield f"keys of the kind {kind}"
    else:
        yield from _unsendable_keys(inner)


def _raw(value: object) -> object:
    return getattr(value, "value", value)


def _note_hidden(cls: object, facts: SchemaFacts) -> None:
    if isinstance(cls, type) and issubclass(cls, BaseModel):
        facts.hidden = facts.hidden or any(not info.repr for info in cls.model_fields.values())
    elif dataclasses.is_dataclass(cls):
        facts.hidden = facts.hidden or any(not info.repr for info in dataclasses.fields(cls))


def _check_fields(
    node: Mapping[str, object], config: Mapping[str, object], facts: SchemaFacts, *, custom: bool
) -> None:
    found = list(_unreadable_fields(node, config))
    if custom:
        facts.uncertain = facts.uncertain or bool(found)
    else:
        facts.unreadable.extend(found)


def _unreadable_fields(node: Mapping[str, Any], config: Mapping[str, object]) -> Iterator[Unreadable]:
    model = str(node.get("model_name") or node.get("dataclass_name") or getattr(node.get("cls"), "__name__", "model"))
    for name, info in _fields_of(node):
        written = info.get("serialization_alias") or name
        accepted = _accepted_names(name, info, config)
        if info.get("init_only"):
            remedy = "make it an ordinary field"
            yield Unreadable(model, name, "not written, for it is an InitVar", "to read it", remedy)
        elif info.get("serialization_exclude"):
            if _is_required(info, node):
                yield Unreadable(model, name, "not written, for it is excluded", "to read it", "give it a default")
        elif written not in accepted:
            expected = f"to read it as {' or '.join(accepted)}"
            yield Unreadable(model, name, f"written as {written}", expected, _ONE_ALIAS)
    forbids = node.get("extra_behavior", config.get("extra_fields_behavior")) == "forbid"
    for computed in node.get("computed_fields", ()) if forbids else ():
        name = str(computed.get("alias") or computed.get("property_name"))
        remedy = "ignore extra fields, or make it a plain property"
        yield Unreadable(model, name, "written, for it is computed", "no extra fields", remedy)


def _fields_of(node: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, object]]]:
    fields = node.get("fields") or {}
    if isinstance(fields, Mapping):
        yield from fields.items()
    else:
        for info in fields:
            yield info["name"], info


def _is_required(info: Mapping[str, object], node: Mapping[str, object]) -> bool:
    if node.get("type") == "typed-dict":
        return bool(info.get("required", True))
    inner = info.get("schema", {})
    while isinstance(inner, Mapping):
        if inner.get("type") == "default":
            return False
        inner = inner.get("schema")
    return True


def _accepted_names(name: str, info: Mapping[str, Any], config: Mapping[str, object]) -> tuple[str, ...]:
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
_DESCRIBED: Final[Mapping[str, frozenset[str]]] = {
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
_DESCRIBED_AT_ONCE: Final = {kind: (names | _ALWAYS) - _LOOKED_AT for kind, names in _DESCRIBED.items()}
"""Attributes of which nothing has to be known to say that JSON Schema describes all of them: most nodes have no others."""
_CONFIG: Final = frozenset(
    {"title", "strict", "extra_fields_behavior", "populate_by_name", "validate_by_name", "validate_by_alias"}
    | {"serialize_by_alias", "from_attributes", "hide_input_in_errors", "typed_dict_total"}
)
_ONLY_IN_PYTHON: Final = frozenset(
    {"python_schema", "strict_schema", "serialization", "metadata", "default", "cls", "members"}
)


def tells_all(schema: CoreSchema) -> bool:
    """Return whether the JSON Schema of a type describes all that it accepts."""
    return all(_is_told(node) for node in core_nodes(schema))


def is_strict(schema: CoreSchema) -> bool:
    """Return whether a part of a type converts nothing."""
    return _any(schema, lambda node: node.get("strict") is True or (node.get("config") or {}).get("strict") is True)


def may_send_nan(schema: CoreSchema) -> bool:
    """Return whether a part of a type is a Decimal that may be no number."""
    return _any(schema, lambda node: node.get("type") == "decimal" and bool(node.get("allow_inf_nan")))


def _any(schema: object, is_it: Callable[[Mapping[str, Any]], bool]) -> bool:
    return any(is_it(node) for node in core_nodes(schema))


def core_nodes(node: object) -> Iterator[Mapping[str, object]]:
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
    described = _DESCRIBED.get(node["type"])
    if described is None or not set(node) <= described | _ALWAYS:
        return False
    if node["type"] == "dict" and node.get("keys_schema", {"type": "str"}).get("type") != "str":
        return False  # JSON Schema knows nothing of keys
    if node.get("custom_init") or node.get("post_init"):
        return False  # it may refuse what it gets
    alias = node.get("validation_alias")
    return (alias is None or isinstance(alias, str)) and set(node.get("config") or ()) <= _CONFIG


class TellingSchema(GenerateJsonSchema):
    """JSON Schema that distinguishes a Decimal's text from others, and which fields are always sent."""

    def decimal_schema(self, _schema: object) -> JsonSchemaValue:
        """Return what a Decimal is on the wire: text, which is not any text."""
        return {"type": "string", "format": "decimal"}

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: ANN401 - pydantic's core schemas
        """Return whether a field is always there: one with a default is always sent, and need not be received."""
        if self.mode != "serialization" or field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        return not field.get("serialization_exclude") and "serialization_exclude_if" not in field


def untold(node: Mapping[str, Any]) -> dict[str, object]:
    """Return what a part of a type demands and JSON Schema does not describe."""
    kind = node.get("type")
    if not isinstance(kind, str) or node.keys() <= _DESCRIBED_AT_ONCE.get(kind, frozenset()):
        return {}
    if kind.startswith("function-"):
        return {"functions": [f"{kind.removeprefix('function-')}:{_function_name(node['function'])}"]}
    described = _DESCRIBED.get(kind)
    found = {
        name: value if isinstance(value, (str, int, float, bool)) else str(value)
        for name, value in node.items()
        if name not in (described or ()) and name not in _ALWAYS and not isinstance(value, (Mapping, list, tuple))
    }
    if described is None:
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


def _function_name(info: object) -> str:
    function = info.get("function") if isinstance(info, Mapping) else info
    function = getattr(function, "__func__", function)
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return f"{getattr(function, '__module__', type(function).__module__)}.{name}"
