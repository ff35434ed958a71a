"""What a type demands that JSON Schema has no words for, and keywords that are not known here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

from pico_celery.document.explicit import ONLY_PATTERN
from pico_celery.document.telling import BASE64, DEMANDS, KEYS, MISSING, STRICT
from pico_celery.evolution.schema_forms import ANNOTATIONS, UNKNOWN, Form
from pico_celery.evolution.schema_scalars import SCALAR_DEMANDS, Fault

_KNOWN: Final = frozenset(
    {"type", "enum", "const", "anyOf", "oneOf", "$ref", "discriminator", "format", "pattern", "multipleOf"}
    | {"properties", "required", "additionalProperties", "propertyNames", "patternProperties"}
    | {"minProperties", "maxProperties", "items", "prefixItems", "minItems", "maxItems", "uniqueItems"}
    | {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minLength", "maxLength"}
    | {"contentMediaType", "contentSchema", DEMANDS, STRICT, KEYS, ONLY_PATTERN}
)
_HARMLESS: Final = frozenset(
    {"coerce_numbers_to_str", "revalidate_instances", "validate_default", "cache_strings", "loc_by_alias"}
    | {"str_to_lower", "str_to_upper", "microseconds_precision", "url_preserve_empty_path", "regex_engine"}
    | {"validation_error_cause", "use_attribute_docstrings", "polymorphic_serialization"}
)
"""What lets a type accept more, or as much."""
_ELSEWHERE: Final = SCALAR_DEMANDS | {"functions", "aliases", "keys", "version", MISSING}
"""What is compared where it stands."""


def is_free(form: Form) -> bool:
    """Tell whether a form demands nothing that is compared here."""
    return not set(form.demands) - _HARMLESS


def demand_faults(source: Form, target: Form) -> Iterator[Fault]:
    """Iterate over the demands of the target that the source is not known to meet.

    Args:
        source: What is sent.
        target: What is accepted.

    Yields:
        Faults; they are not certain, for names of functions do not tell what these do.
    """
    functions, passed = list(target.demands.get("functions", ())), list(source.demands.get("functions", ()))
    if functions and passed[: len(functions)] != functions:
        yield Fault("demand", _told(passed), _told(functions), certain=False)
    for name, value in target.demands.items():
        known = name in _ELSEWHERE or name in _HARMLESS or (name == "type" and value in {"bytes", "json", BASE64})
        if not known and source.demands.get(name) != value:
            yield Fault("demand", f"{name} {source.demands.get(name, 'of any kind')}", f"{name} {value}", certain=False)
    if "keys" in target.demands and KEYS not in target.node and source.demands.get("keys") != target.demands["keys"]:
        yield Fault("property_names", "other names", "names of some type", certain=False)
    patterns, given = (node.get("patternProperties", {}) for node in (target.node, source.node))
    if max(len(patterns), len(given)) > 1 and not _same(given, patterns):  # one is the names of a mapping
        yield Fault("unknown_keyword", "properties by patterns", "properties by other patterns", certain=False)
    for key, value in target.node.items():
        # Keywords with a prefix are no one's but the project's own, and say nothing to pydantic.
        unknown = key not in _KNOWN and key not in ANNOTATIONS and not key.startswith("x-")
        if (
            (unknown or UNKNOWN in {source.kind, target.kind})
            and key not in ANNOTATIONS
            and not _same(source.node.get(key), value)
        ):
            text = json.dumps(value, default=repr)[:60]
            yield Fault("unknown_keyword", f"{key} {source.node.get(key, 'not given')}", f"{key} {text}", certain=False)


def _same(one: object, other: object) -> bool:
    # What refers to a model may mean another one in another document.
    return one == other and "$ref" not in json.dumps(other, default=repr)


def _told(functions: list[str]) -> str:
    return f"what passes {', '.join(functions)}" if functions else "what passes no validator"
