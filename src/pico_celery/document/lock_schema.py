"""Generate JSON Schema with two more keywords for what JSON Schema cannot express; other readers skip them.

``x-strict`` says that nothing is converted. ``x-pydantic`` holds what else a type demands, or promises where it is sent:
constraints such as an aware datetime (``{"tz_constraint": "aware"}``), and validators that are functions, by their names
(``{"function-after": "shop.models.check"}``). Two schemas that have the same there demand the same, as far as names show.
``x-keys`` is the schema of a mapping's keys where they are more than text; the format ``decimal`` distinguishes the text of a
Decimal from others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core.core_schema import DecimalSchema, DictSchema, EnumSchema

from pico_celery.contract.core_schema import core_nodes, untold
from pico_celery.contract.wire_schema import from_base64
from pico_celery.document.records import REFERENCE

STRICT: Final = "x-strict"
DEMANDS: Final = "x-pydantic"
KEYS: Final = "x-keys"
MISSING: Final = "missing"
BASE64: Final = "base64"
DECIMAL: Final = "decimal"
_JSON: Final = frozenset({str, int, bool, type(None)})


class LockSchema(GenerateJsonSchema):
    """JSON Schema of a lock file."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"non-serializable-default", "skipped-choice"}  # noqa: RUF012 - pydantic's

    def __init__(self) -> None:
        super().__init__(by_alias=True, ref_template=REFERENCE + "{model}")
        self._seen: set[str] = set()

    def generate_inner(self, schema: Any) -> JsonSchemaValue:  # noqa: ANN401 - pydantic's core schemas
        """Generate the schema of a part, with what JSON Schema does not say of it."""
        generated = _of_base64(schema) or super().generate_inner(schema)
        more = _more(schema)
        if not more:
            return generated
        if "ref" not in schema:
            return _with(generated, more)
        name, reference = self.get_cache_defs_ref_schema(schema["ref"])
        if name in self.definitions and name not in self._seen:  # pydantic goes through all twice
            self._seen.add(name)
            self.definitions[name] = _with(self.definitions[name], more)
        return reference

    def enum_schema(self, schema: EnumSchema) -> JsonSchemaValue:
        """Generate the schema of an enumeration; one with ``_missing_`` may read values that it does not list."""
        generated = super().enum_schema(schema)
        return _with(generated, {DEMANDS: {MISSING: True}}) if _has_hook(schema["cls"]) else generated

    def model_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ANN401 - pydantic's core schemas
        """Generate the schema of a model, with the names that its fields have beside their aliases."""
        return self._with_names(schema, super().model_schema(schema))

    def dataclass_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ANN401 - pydantic's core schemas
        """Generate the schema of a dataclass, as that of a model."""
        return self._with_names(schema, super().dataclass_schema(schema))

    def typed_dict_schema(self, schema: Any) -> JsonSchemaValue:  # noqa: ANN401 - pydantic's core schemas
        """Generate the schema of a TypedDict, as that of a model."""
        return self._with_names(schema, super().typed_dict_schema(schema))

    def _with_names(self, schema: Any, generated: JsonSchemaValue) -> JsonSchemaValue:  # noqa: ANN401 - pydantic's core schemas
        config = schema.get("config") or {}
        properties = generated.get("properties")
        if self.mode != "validation" or not (config.get("validate_by_name") or config.get("populate_by_name")):
            return generated
        for name, alias in _aliased(schema):
            if properties and alias in properties and name != alias:
                properties[alias] = _with(properties[alias], {DEMANDS: {"aliases": [alias, name]}})
        return generated

    def decimal_schema(self, schema: DecimalSchema) -> JsonSchemaValue:
        """Generate the schema of a Decimal, whose text is not any text."""
        generated = super().decimal_schema(schema)
        text = generated["anyOf"][1] if "anyOf" in generated else generated
        text["format"] = DECIMAL
        return generated

    def dict_schema(self, schema: DictSchema) -> JsonSchemaValue:
        """Generate the schema of a mapping, with that of its keys where they are no plain text."""
        generated = super().dict_schema(schema)
        keys = schema.get("keys_schema", {"type": "str"})
        return generated if keys["type"] == "str" else {**generated, KEYS: self.generate_inner(keys)}

    def encode_default(self, dft: object) -> Any:  # noqa: ANN401 - pydantic's core schemas
        """Encode a default; pydantic makes a serializer for each, which what is JSON already does not need."""
        return dft if type(dft) in _JSON else super().encode_default(dft)

    def field_title_should_be_set(self, schema: object) -> bool:
        """Return False: a title made from a name says nothing."""
        del schema
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: ANN401 - pydantic's core schemas
        """Return whether a field is always there: one with a default is always sent, and need not be received."""
        if self.mode != "serialization" or field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        return not field.get("serialization_exclude") and "serialization_exclude_if" not in field


def _of_base64(schema: Any) -> JsonSchemaValue | None:  # noqa: ANN401 - pydantic's core schemas
    """Return the schema of bytes that travel as `pico_celery.contract.wire_schema` says: the same in both directions."""
    read = schema.get("json_schema")
    if read is None or (read.get("function") or {}).get("function") is not from_base64:
        return None
    held = next(node for node in core_nodes(read["schema"]) if node["type"] == "bytes")
    lengths = {name: held[name] for name in ("min_length", "max_length") if name in held}
    return {"type": "string", "format": "base64url", DEMANDS: {**lengths, "type": BASE64}}


def _has_hook(cls: type[Enum]) -> bool:
    hooks = (vars(base).get("_missing_") for base in cls.__mro__)
    return next(hook for hook in hooks if hook is not None) is not vars(Enum)["_missing_"]


def _aliased(schema: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - pydantic's core schemas
    """Iterate over the fields of a model that are read by one alias, with it."""
    while "fields" not in schema:
        if "schema" not in schema:
            return
        schema = schema["schema"]  # of a model, and of validators around its fields
    fields = schema["fields"]
    named = fields.items() if isinstance(fields, Mapping) else ((field["name"], field) for field in fields)
    for name, field in named:
        if isinstance(field.get("validation_alias"), str):
            yield name, field["validation_alias"]


def _more(schema: Mapping[str, Any]) -> dict[str, object]:
    more: dict[str, Any] = {}
    if schema.get("strict") is True or (schema.get("config") or {}).get("strict") is True:
        more[STRICT] = True
    demands = untold(schema)
    if demands:
        more[DEMANDS] = demands
    return more


def _with(generated: JsonSchemaValue, more: Mapping[str, Any]) -> JsonSchemaValue:
    inner, outer = generated.get(DEMANDS, {}), more.get(DEMANDS, {})
    functions = [*inner.get("functions", ()), *outer.get("functions", ())]
    demands = {**inner, **outer, **({"functions": functions} if functions else {})}
    return {**generated, **more, **({DEMANDS: demands} if demands else {})}
