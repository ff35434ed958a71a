"""JSON Schema with what JSON Schema has no words for: two more keywords, which other readers skip.

``x-strict`` says that nothing is converted. ``x-pydantic`` holds what else a type demands, or promises where it is sent:
constraints such as an aware datetime (``{"tz_constraint": "aware"}``), and validators that are functions, by their names
(``{"function-after": "shop.models.check"}``). Two schemas that have the same there demand the same, as far as names tell.
``x-keys`` is the schema of a mapping's keys where they are more than text; the format ``decimal`` tells the text of a
Decimal from others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core.core_schema import DecimalSchema, DictSchema

from pico_celery.contract.knowable import untold
from pico_celery.document.records import REFERENCE

STRICT: Final = "x-strict"
DEMANDS: Final = "x-pydantic"
KEYS: Final = "x-keys"
DECIMAL: Final = "decimal"
_JSON: Final = frozenset({str, int, bool, type(None)})


class LockSchema(GenerateJsonSchema):
    """JSON Schema of a lock file."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"non-serializable-default", "skipped-choice"}  # noqa: RUF012 - pydantic's

    def __init__(self) -> None:
        super().__init__(by_alias=True, ref_template=REFERENCE + "{model}")
        self._told: set[str] = set()

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        """Generate the schema of a part, with what JSON Schema does not say of it."""
        generated = super().generate_inner(schema)
        more = _more(schema)
        if not more:
            return generated
        if "ref" not in schema:
            return _with(generated, more)
        name, reference = self.get_cache_defs_ref_schema(schema["ref"])
        if name in self.definitions and name not in self._told:  # pydantic goes through all twice
            self._told.add(name)
            self.definitions[name] = _with(self.definitions[name], more)
        return reference

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

    def encode_default(self, dft: Any) -> Any:
        """Encode a default; pydantic makes a serializer for each, which what is JSON already does not need."""
        return dft if type(dft) in _JSON else super().encode_default(dft)

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False: a title made from a name says nothing."""
        del schema
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:
        """Return whether a field is always there: one with a default is always sent, and need not be received."""
        if self.mode != "serialization" or field["type"] == "typed-dict-field":
            return super().field_is_required(field, total)
        return not field.get("serialization_exclude") and "serialization_exclude_if" not in field


def _more(schema: Mapping[str, Any]) -> dict[str, Any]:
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
