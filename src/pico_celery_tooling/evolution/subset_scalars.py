"""Where numbers and texts of one form are not accepted by another."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from pico_celery.document.lock_schema import BASE64, DECIMAL, DEMANDS, KEYS, MISSING, STRICT
from pico_celery_tooling.evolution.schema_forms import ANNOTATIONS, UNKNOWN, Form, described
from pico_celery_tooling.schema.normalize import ONLY_PATTERN

_PLAIN: Final = frozenset({None, "", "password", "binary"})
"""Formats that say nothing of a text."""
_TEMPORAL: Final[Mapping[str, type[Any]]] = {"date-time": datetime, "date": date, "time": time, "duration": timedelta}
_INFINITE: Final = Decimal("Infinity")
_BYTES: Final = frozenset({"bytes", BASE64})
SCALAR_DEMANDS: Final = frozenset(
    {"ge", "gt", "le", "lt", "multiple_of", "max_digits", "decimal_places", "allow_inf_nan", "decimal"}
    | {"tz_constraint", "strip_whitespace", "min_length", "max_length"}
)
"""What is demanded of a number or a text, and compared here."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """What does not fit: which rule, what is sent and accepted where the forms do not say it, and values that may show it."""

    rule: str
    sent: str = ""
    accepted: str = ""
    certain: bool | None = True
    values: tuple[Any, ...] = ()


def scalar_faults(source: Form, target: Form) -> Iterator[Misfit]:
    """Iterate over what does not fit between two forms of numbers, truth values or texts."""
    if target.node.get(STRICT) and not source.node.get(STRICT) and source.kind in _LAX_JSON:
        values = _LAX_JSON[source.kind].get(target.node.get("format") or target.kind, ())
        if values:
            yield Misfit("strict", f"{described(source)}, also as {values[0]!r}", "no conversion", values=values)
    if target.kind == "string":
        yield from _text_faults(source, target)
    elif target.kind in {"integer", "number"}:
        yield from _number_faults(source, target)


_LAX_JSON: Final[Mapping[str, Mapping[str, tuple[Any, ...]]]] = {
    "integer": {"integer": (1.0, 0.0, 2.0, 10.0, -1.0, 100.0)},
    "string": {"date-time": ("2026-03-14", "1999-03-14"), "date": ("2026-03-14T00:00:00", "1999-03-14T00:00:00")},
}
"""Other spellings of a value that JSON Schema takes for the same, as pydantic's strict mode does not."""


@dataclass(frozen=True, slots=True)
class _Range:
    low: Decimal
    above: bool
    high: Decimal
    below: bool


def _limit(form: Form, keys: tuple[tuple[str, bool], ...], *, lowest: bool) -> tuple[Decimal, bool]:
    found: list[tuple[Decimal, bool]] = []
    for key, excluded in keys:
        given = form.node.get(key, form.demands.get(key))
        number = None if given is None else _decimal(given)
        if number is not None:
            found.append((number, excluded))
    if not found:
        return (-_INFINITE if lowest else _INFINITE), False
    sign = 1 if lowest else -1
    return max(found, key=lambda limit: (sign * limit[0], limit[1]))


def _decimal(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _range(form: Form) -> _Range:
    low, above = _limit(
        form, (("minimum", False), ("exclusiveMinimum", True), ("ge", False), ("gt", True)), lowest=True
    )
    high, below = _limit(
        form, (("maximum", False), ("exclusiveMaximum", True), ("le", False), ("lt", True)), lowest=False
    )
    if form.kind == "integer":
        if low.is_finite():
            low, above = Decimal(math.floor(low) + 1 if above else math.ceil(low)), False
        if high.is_finite():
            high, below = Decimal(math.ceil(high) - 1 if below else math.floor(high)), False
    whole = _whole_digits(form, low, high) if "max_digits" in form.demands else _INFINITE
    if whole.is_finite():
        top = Decimal(10) ** int(whole)
        low, above = (-top, True) if -top > low else (low, above)
        high, below = (top, True) if top < high else (high, below)
    return _Range(low, above, high, below)


def _number_faults(source: Form, target: Form) -> Iterator[Misfit]:
    sent, taken = _range(source), _range(target)
    low, _ = _limit(target, (("minimum", False), ("exclusiveMinimum", True), ("ge", False), ("gt", True)), lowest=True)
    high, _ = _limit(
        target, (("maximum", False), ("exclusiveMaximum", True), ("le", False), ("lt", True)), lowest=False
    )
    if low.is_finite() and (sent.low < taken.low or (sent.low == taken.low and taken.above and not sent.above)):
        yield Misfit("minimum")
    if high.is_finite() and (sent.high > taken.high or (sent.high == taken.high and taken.below and not sent.below)):
        yield Misfit("maximum")
    step = _decimal(target.node.get("multipleOf", target.demands.get("multiple_of")))
    if step:
        given = _decimal(source.node.get("multipleOf", source.demands.get("multiple_of")))
        given = given or (Decimal(1) if source.kind == "integer" else None)
        if given is None or given % step:
            yield Misfit("multiple_of")
    if _is_decimal(target):
        yield from _digit_faults(source, target, sent)
    yield from _finite_faults(source, target)


def _is_decimal(form: Form) -> bool:
    return bool(form.demands.get("decimal")) or form.node.get("format") == DECIMAL


def _places(form: Form) -> Decimal:
    return Decimal(0) if form.kind == "integer" else Decimal(form.demands.get("decimal_places", _INFINITE))


def _whole_digits(form: Form, low: Decimal, high: Decimal) -> Decimal:
    """Return with how many digits before the point a number may be written."""
    demands = form.demands
    if "max_digits" in demands:
        return Decimal(demands["max_digits"] - demands.get("decimal_places", 0))
    size = max(abs(low), abs(high))
    return Decimal(len(str(int(size)))) if size.is_finite() else _INFINITE


def _digit_faults(source: Form, target: Form, sent: _Range) -> Iterator[Misfit]:
    demands = target.demands
    if _places(source) > Decimal(demands.get("decimal_places", _INFINITE)):
        # A source with a limit on all digits alone limits those behind the point too.
        within = source.demands.get("max_digits", math.inf) <= demands["decimal_places"]
        if not within:
            yield Misfit("demand")
    if "max_digits" not in demands:
        return
    whole = _whole_digits(source, sent.low, sent.high)
    if "max_digits" in source.demands and "decimal_places" not in source.demands:
        digits = Decimal(source.demands["max_digits"])
    else:
        digits = whole + _places(source)
    if digits > demands["max_digits"] or whole > _whole_digits(target, -_INFINITE, _INFINITE):
        yield Misfit("demand", certain=None if digits.is_finite() else True)


def _finite_faults(source: Form, target: Form) -> Iterator[Misfit]:
    if _is_decimal(source):
        if _is_decimal(target) and source.demands.get("allow_inf_nan") and not target.demands.get("allow_inf_nan"):
            yield Misfit("demand", values=("NaN", "Infinity"))
        return
    only_finite = not target.demands.get("allow_inf_nan") if _is_decimal(target) else _is_finite(target)
    if only_finite and source.kind == "number" and not _is_finite(source):
        yield Misfit("demand", values=(math.nan, math.inf, -math.inf))


def _is_finite(form: Form) -> bool:
    """Return whether a float has to be a number: NaN is within no limit."""
    between = _range(form)
    return form.demands.get("allow_inf_nan") is False or (between.low.is_finite() and between.high.is_finite())


def _text_faults(source: Form, target: Form) -> Iterator[Misfit]:
    one, other = source.node.get("format"), target.node.get("format")
    if other not in _PLAIN and one != other:
        yield from _format_faults(source, target)
        return
    if other == DECIMAL:
        yield from _number_faults(source, target)
        return
    if other in _TEMPORAL:
        yield from _temporal_faults(source, target)
    if source.node.get("contentMediaType") != target.node.get("contentMediaType") and "contentMediaType" in target.node:
        yield Misfit("format", "", f"text in {target.node['contentMediaType']}", values=("{",))
    elif target.node.get("contentSchema", {}) not in ({}, source.node.get("contentSchema")):
        yield Misfit("format", certain=None)
    yield from _length_faults(source, target)
    yield from _pattern_faults(source, target)


def _format_faults(source: Form, target: Form) -> Iterator[Misfit]:
    one, other = source.node.get("format"), target.node.get("format")
    fits = (one, other) == ("date", "date-time") and not target.node.get(STRICT)
    if other == "uuid" and str(one).startswith("uuid"):
        return  # one of a version
    known = other in _TEMPORAL or str(other).startswith("uuid") or other == DECIMAL
    if not fits:
        certain = True if known and (one in _PLAIN or one in _TEMPORAL or one in {"uuid", DECIMAL}) else None
        yield Misfit("format", certain=certain)
    elif set(target.demands) & SCALAR_DEMANDS:
        yield Misfit("format", certain=None)


def _temporal_faults(source: Form, target: Form) -> Iterator[Misfit]:
    zone = target.demands.get("tz_constraint")
    if zone is not None and source.demands.get("tz_constraint") != zone:
        yield Misfit("demand")
    read = _reader(str(target.node["format"]))
    for rule, keys, sign in (("minimum", ("ge", "gt"), 1), ("maximum", ("le", "lt"), -1)):
        taken, sent = _edge(target, keys, read), _edge(source, keys, read)
        if taken is None:
            continue
        if sent is None:
            yield Misfit(rule)
            continue
        try:
            inside = sent[0] > taken[0] if sign == 1 else sent[0] < taken[0]
        except TypeError:  # one has a time zone, the other has none
            yield Misfit(rule, certain=None)
            continue
        if not inside and not (sent[0] == taken[0] and sent[1] >= taken[1]):
            yield Misfit(rule)


def _edge(form: Form, keys: tuple[str, str], read: Any) -> tuple[Any, bool] | None:
    for key, excluded in zip(reversed(keys), (True, False), strict=True):
        if key in form.demands:
            try:
                return read(form.demands[key]), excluded
            except ValidationError:
                return None
    return None


@cache
def _reader(kind: str) -> Any:
    return TypeAdapter(_TEMPORAL[kind]).validate_python


def _length_faults(source: Form, target: Form) -> Iterator[Misfit]:
    given, wanted = source.node, target.node
    strips = target.demands.get("strip_whitespace") and not source.demands.get("strip_whitespace")
    least, most = int(wanted.get("minLength", 0)), wanted.get("maxLength")
    # A pattern or a format may say as much as a length: then a payload must show it.
    certain = True if not {"pattern"} & set(given) and given.get("format") in _PLAIN else None
    if int(given.get("minLength", 0)) < least:
        yield Misfit("length", certain=certain)
    elif least and strips:
        yield Misfit("length", certain=certain, values=(" " * least,))
    if most is not None and given.get("maxLength", math.inf) > most:
        yield Misfit("length", certain=certain)
    yield from _byte_faults(source, target)


def _byte_faults(source: Form, target: Form) -> Iterator[Misfit]:
    if target.demands.get("type") not in _BYTES:
        return
    is_bytes = source.demands.get("type") == target.demands["type"]
    sent = source.demands if is_bytes else {
        "min_length": source.node.get("minLength", 0),
        "max_length": source.node.get("maxLength", math.inf) * 4,  # of UTF-8
    }  # fmt: skip
    if sent.get("min_length", 0) < target.demands.get("min_length", 0):
        yield Misfit("length", certain=None)
    if sent.get("max_length", math.inf) > target.demands.get("max_length", math.inf):
        yield Misfit("length", certain=None, values=("é" * int(source.node.get("maxLength", 1)), "A" * _quads(target)))


def _quads(target: Form) -> int:
    """Return how long base64 is of a byte more than is accepted, without padding."""
    return (int(target.demands["max_length"]) // 3 + 1) * 4


def _pattern_faults(source: Form, target: Form) -> Iterator[Misfit]:
    wanted = target.node.get("pattern")
    if wanted is None:
        return
    strips = target.demands.get("strip_whitespace") and not source.demands.get("strip_whitespace")
    if source.node.get("pattern") != wanted or strips:
        yield Misfit("pattern", certain=None)


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
    """Return whether a form demands nothing that is compared here."""
    return not set(form.demands) - _HARMLESS


def demand_faults(source: Form, target: Form) -> Iterator[Misfit]:
    """Iterate over the demands of the target that the source is not known to meet."""
    functions, passed = list(target.demands.get("functions", ())), list(source.demands.get("functions", ()))
    if functions and passed[: len(functions)] != functions:
        yield Misfit("demand", _told(passed), _told(functions), certain=False)
    for name, value in target.demands.items():
        known = name in _ELSEWHERE or name in _HARMLESS or (name == "type" and value in {"bytes", "json", BASE64})
        if not known and source.demands.get(name) != value:
            yield Misfit(
                "demand", f"{name} {source.demands.get(name, 'of any kind')}", f"{name} {value}", certain=False
            )
    if "keys" in target.demands and KEYS not in target.node and source.demands.get("keys") != target.demands["keys"]:
        yield Misfit("property_names", "other names", "names of some type", certain=False)
    patterns, given = (node.get("patternProperties", {}) for node in (target.node, source.node))
    if max(len(patterns), len(given)) > 1 and not _same(given, patterns):  # one is the names of a mapping
        yield Misfit("unknown_keyword", "properties by patterns", "properties by other patterns", certain=False)
    for key, value in target.node.items():
        # Keywords with a prefix are no one's but the project's own, and say nothing to pydantic.
        unknown = key not in _KNOWN and key not in ANNOTATIONS and not key.startswith("x-")
        if (
            (unknown or UNKNOWN in {source.kind, target.kind})
            and key not in ANNOTATIONS
            and not _same(source.node.get(key), value)
        ):
            text = json.dumps(value, default=repr)[:60]
            yield Misfit(
                "unknown_keyword", f"{key} {source.node.get(key, 'not given')}", f"{key} {text}", certain=False
            )


def _same(one: object, other: object) -> bool:
    # What refers to a model may mean another one in another document.
    return one == other and "$ref" not in json.dumps(other, default=repr)


def _told(functions: list[str]) -> str:
    return f"what passes {', '.join(functions)}" if functions else "what passes no validator"
