"""What `violations` says of a payload is what the worker's models would say."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    NaiveDatetime,
    PositiveInt,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from tests.support.schema_pairs import Version, built, described, specs

from pico_celery_tooling.schema.validation import Checker, Violation, violations


class Currency(Enum):
    EUR = "EUR"
    USD = "USD"


class Card(BaseModel):
    kind: Literal["card"]
    number: Annotated[str, Field(pattern=r"^\d{4}$")]


class Transfer(BaseModel):
    kind: Literal["transfer", "sepa"]
    iban: str


class Line(BaseModel):
    price: Annotated[Decimal, Field(max_digits=5, decimal_places=2, ge=0)]
    quantity: PositiveInt
    when: AwareDatetime | None = None


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")
    lines: list[Line]
    payment: Annotated[Card | Transfer, Field(discriminator="kind")]
    note: str | None = None
    totals: dict[Currency, int] = {}


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    count: int
    price: Decimal


class Aliased(BaseModel):
    name: int = Field(validation_alias=AliasChoices("first", "second"))


class Looking(BaseModel):
    model_config = ConfigDict(regex_engine="python-re")
    text: Annotated[str, Field(pattern=r"^a(?!b)")]


class Tree(BaseModel):
    value: int
    kids: list[Tree] = []


GOOD = {
    "lines": [{"price": "1.50", "quantity": 2, "when": "2026-01-01T00:00:00Z"}],
    "payment": {"kind": "card", "number": "1234"},
    "totals": {"EUR": 3},
}


def said(annotation: Any, value: Any) -> list[Violation]:
    schema = described(annotation)
    return violations(schema.document, schema.schema, value)


def with_change(path: list[Any], value: Any) -> Any:
    changed = json.loads(json.dumps(GOOD))
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


def test_a_good_payload_has_no_violations() -> None:
    assert said(Order, GOOD) == []
    assert said(Order, with_change(["lines", 0, "price"], 1.5)) == []


@pytest.mark.parametrize(
    ("path", "value", "where", "expected", "got"),
    [
        (["lines", 0, "quantity"], 0, "lines[0].quantity", "more than 0", "0"),
        (["lines", 0, "quantity"], "two", "lines[0].quantity", "integer", '"two"'),
        (["lines", 0, "price"], "1.234", "lines[0].price", "2 decimal places", '"1.234"'),
        (["lines", 0, "price"], "-1", "lines[0].price", "greater than or equal to 0", '"-1"'),
        (["lines", 0, "price"], "cheap", "lines[0].price", "a valid decimal", '"cheap"'),
        (["lines", 0, "when"], "2026-01-01T00:00:00", "lines[0].when", "timezone", '"2026-01-01T00:00:00"'),
        (["lines", 0, "when"], "soon", "lines[0].when", "a valid datetime", '"soon"'),
        (["lines"], {}, "lines", "array", "{}"),
        (["payment", "kind"], "cash", "payment.kind", 'one of "card", "transfer", "sepa"', '"cash"'),
        (["payment", "number"], "12", "payment.number", r"text that matches ^\d{4}$", '"12"'),
        (["payment"], {}, "payment.kind", "a value", "nothing"),
        (["payment"], 3, "payment", "object", "3"),
        (["notes"], 1, "notes", "no such property", "1"),
        (["note"], 3, "note", "string or null", "3"),
        (["totals"], {"GBP": 1}, "totals", 'one of "EUR", "USD"', '"GBP"'),
        (["totals", "EUR"], "3", "totals.EUR", "integer", '"3"'),
    ],
)
def test_a_violation_says_where_what_was_expected_and_what_was_got(
    path: list[Any], value: Any, where: str, expected: str, got: str
) -> None:
    (violation,) = said(Order, with_change(path, value))
    assert violation.path == where
    assert expected in violation.expected
    assert violation.got == got


def test_all_places_are_told_at_once() -> None:
    told = said(Order, {"lines": [{"price": "x", "quantity": -1}], "other": None})
    assert {one.path for one in told} == {"other", "payment", "lines[0].quantity", "lines[0].price"}


def test_the_member_of_a_union_that_fits_best_is_told_of() -> None:
    (violation,) = said(int | Tree, {"value": 1, "kids": [{"value": 2}, {"value": "x"}]})
    assert (violation.path, violation.expected, violation.got) == ("kids[1].value", "integer", '"x"')
    (violation,) = said(int | None, "x")
    assert violation.expected == "integer or null"


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        (date, "2026-01-31", "2026-13-01"),
        (timedelta, "P1D", "one day and a bit"),
        (HttpUrl, "https://example.com/", "example"),
        (NaiveDatetime, "2026-01-01T00:00:00", "2026-01-01T00:00:00Z"),
        (Looking, {"text": "ac"}, {"text": "ab"}),
        (Annotated[str, Field(pattern="^a$")], "a", "a\n"),
        (Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)], " a ", "   "),
        (Annotated[float, Field(multiple_of=0.1)], 0.3, 0.35),
        (dict[int, int], {"1": 2}, {"x": 2}),
        (dict[Annotated[str, Field(pattern="^x")], int], {"xy": 1}, {"y": 1}),
        (tuple[int, str], [1, "a"], [1]),
        (set[int], [1, 2], [1, 1]),
        (Aliased, {"second": 1}, {"third": 1}),
        (Strict, {"count": 1, "price": "1"}, {"count": 1.0, "price": "1"}),
        (Annotated[bytes, Field(max_length=3)], "abc", "éé"),
        (Annotated[date, Field(ge=date(2020, 1, 1))], "2020-01-01", "2019-12-31"),
        (Annotated[Decimal, Field(allow_inf_nan=True)], "NaN", "N"),
        (Literal[1], 1, True),
    ],
)
def test_formats_and_limits_are_read_as_pydantic_reads_them(annotation: Any, good: Any, bad: Any) -> None:
    assert said(annotation, good) == []
    assert len(said(annotation, bad)) == 1


@pytest.mark.parametrize("value", [{1, 2}, object(), {"a": {3}}])
def test_what_is_no_json_is_a_violation(value: Any) -> None:
    (violation,) = said(Any, value)
    assert violation.expected == "JSON data"


def test_long_values_are_told_short() -> None:
    (violation,) = said(int, "x" * 1000)
    assert len(violation.got) <= 60


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 20) | st.floats(-5, 20) | st.sampled_from(["", "a", "1", "2020-01-01"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["one", "two", "kind"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(specs(), st.lists(_JSON, min_size=5, max_size=20))
def test_what_has_no_violation_is_taken_by_the_real_type(spec: Any, values: list[Any]) -> None:
    version = Version(built(spec))
    schema = version.described("validation")
    checker = Checker(schema.document, schema.schema)
    for value in values:
        if not checker.violations(value):
            assert _takes(version.adapter, value)


def _takes(adapter: TypeAdapter[Any], value: Any) -> bool:
    try:
        adapter.validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True
