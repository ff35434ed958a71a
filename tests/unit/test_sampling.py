"""Payloads made from a schema: one to look at, and many that the real type takes."""

from __future__ import annotations

import json
import random
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    FutureDate,
    HttpUrl,
    IPvAnyAddress,
    Json,
    JsonValue,
    NaiveDatetime,
    PastDatetime,
    StringConstraints,
    TypeAdapter,
)
from tests.support.schema_pairs import described

from pico_celery_tooling.schema.sampling import example, samples
from pico_celery_tooling.schema.sampling_scalars import matching
from pico_celery_tooling.schema.validation import violations


class Currency(Enum):
    EUR = "EUR"
    USD = "USD"


class Line(BaseModel):
    sku: str = Field(pattern=r"^[A-Z]{3}-\d{4}$")
    quantity: int = Field(ge=1, le=99)
    unit_price: Decimal = Field(max_digits=8, decimal_places=2, gt=0)


class Card(BaseModel):
    kind: Literal["card"] = "card"
    number: str = Field(examples=["4242"])


class Transfer(BaseModel):
    kind: Literal["transfer"] = "transfer"
    iban: str = Field(min_length=15, max_length=34)


class Order(BaseModel):
    id: UUID
    email: str
    currency: Currency = Currency.USD
    lines: list[Line] = Field(min_length=1)
    payment: Annotated[Card | Transfer, Field(discriminator="kind")]
    placed: AwareDatetime
    note: str | None = None
    tags: set[str] = set()
    totals: dict[Currency, Decimal] = {}
    gift: bool = False


class Tree(BaseModel):
    value: int
    left: Tree | None = None
    right: Tree | None = None
    more: list[Tree] = []
    named: dict[str, Tree] = {}


class Ping(BaseModel):
    pong: Pong | None


class Pong(BaseModel):
    ping: Ping | None


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    count: int
    when: datetime
    tags: set[int] = Field(min_length=2)


TYPES: list[Any] = [
    int, float, str, bool, bytes, None, Decimal, datetime, date, time, timedelta, UUID, Any, JsonValue, HttpUrl,
    IPvAnyAddress, Json[int], AwareDatetime, NaiveDatetime, PastDatetime, FutureDate,
    Order, Tree, Ping, Strict, Currency, Literal["a", 1, True] | None,
    Annotated[int, Field(gt=7, lt=10, multiple_of=2)],
    Annotated[int, Field(multiple_of=1001)],
    Annotated[int, Field(le=-5)],
    Annotated[float, Field(gt=0, lt=0.001)],
    Annotated[float, Field(multiple_of=0.25, ge=1)],
    Annotated[Decimal, Field(ge=Decimal("0.05"), le=Decimal("0.06"), decimal_places=3)],
    Annotated[Decimal, Field(max_digits=3, decimal_places=3)],
    Annotated[str, Field(min_length=30)],
    Annotated[str, Field(max_length=1)],
    Annotated[str, StringConstraints(strip_whitespace=True, min_length=2)],
    Annotated[bytes, Field(min_length=4, max_length=5)],
    Annotated[datetime, Field(ge=datetime.fromisoformat("2031-01-01T00:00"))],
    Annotated[date, Field(lt=date(1950, 1, 1))],
    Annotated[timedelta, Field(gt=timedelta(days=10))],
    Annotated[time, Field(gt=time(20, 0))],
    Annotated[set[int], Field(min_length=3, max_length=4)],
    Annotated[set[Currency], Field(min_length=2)],
    Annotated[list[str], Field(min_length=5, max_length=5)],
    tuple[int, str, bool], tuple[int, ...], frozenset[str],
    Annotated[dict[str, int], Field(min_length=3)],
    dict[int, str], dict[Currency, int], dict[UUID, int], dict[date, int],
    dict[Annotated[str, Field(pattern=r"^x-\w+$")], int],
    int | str | None, list[Card | Transfer], dict[str, list[Tree]],
]  # fmt: skip


@pytest.mark.parametrize("annotation", TYPES, ids=lambda one: str(one)[:60])
def test_examples_and_samples_are_taken_by_the_real_type(annotation: Any) -> None:
    schema, adapter = described(annotation), TypeAdapter(annotation)
    shown = example(schema.document, schema.schema)
    assert violations(schema.document, schema.schema, shown) == []
    drawn = list(samples(schema.document, schema.schema, 25))
    assert len(drawn) == 25
    for payload in [shown, *drawn]:
        adapter.validate_json(json.dumps(payload))


def test_an_example_is_pleasant_to_look_at() -> None:
    schema = described(Order)
    shown = example(schema.document, schema.schema)
    assert set(shown) == set(Order.model_fields)
    assert shown["email"] == "ada@example.com"
    assert shown["currency"] == "USD"  # its default
    assert shown["payment"] == {"kind": "card", "number": "4242"}  # its example
    assert shown["lines"][0]["quantity"] == 2
    assert re.fullmatch(r"[A-Z]{3}-\d{4}", shown["lines"][0]["sku"])
    assert shown["lines"][0]["unit_price"] == "10.50"
    assert shown["note"]
    assert shown["tags"]
    assert str(UUID(shown["id"])) == shown["id"]
    assert datetime.fromisoformat(shown["placed"]).tzinfo is not None
    json.dumps(shown)


def test_the_same_schema_gives_the_same_example_and_the_same_seed_the_same_samples() -> None:
    one, other = described(Order), described(Order)
    assert example(one.document, one.schema) == example(other.document, other.schema)
    drawn = [list(samples(one.document, one.schema, 10, seed)) for seed in (3, 3, 4)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_samples_go_to_the_limits() -> None:
    schema = described(Annotated[int, Field(ge=-3, le=12)])
    assert {-3, 12} <= set(samples(schema.document, schema.schema, 120))
    schema = described(Annotated[str, Field(min_length=2, max_length=40)])
    assert {2, 40} <= {len(text) for text in samples(schema.document, schema.schema, 120)}
    schema = described(Line | None)
    assert None in list(samples(schema.document, schema.schema, 40))
    schema = described(Order)
    drawn = list(samples(schema.document, schema.schema, 60))
    assert {"note" in payload for payload in drawn} == {True, False}
    assert {payload["payment"].get("kind") for payload in drawn} == {"card", "transfer"}


def test_recursion_ends() -> None:
    schema = described(Tree)
    assert len(json.dumps(example(schema.document, schema.schema))) < 500
    for payload in samples(schema.document, schema.schema, 40):
        assert len(json.dumps(payload)) < 200_000
    assert any("left" in payload for payload in samples(schema.document, schema.schema, 40))


def test_what_describes_nothing_gives_no_samples_and_does_not_hang() -> None:
    schema = described(Annotated[int, Field(gt=3, lt=4)])
    assert list(samples(schema.document, schema.schema, 5)) == []
    example(schema.document, schema.schema)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]{3}-\d{4}$", r"^\+?\d[\d -]{7,14}\d$", r"(foo|bar)+baz?", r"^[^\s@]+@[^\s@]+\.[a-z]{2,}$", r"^\w+(?:-\w+)*$",
        r"^(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])$", r"^#[0-9a-fA-F]{6}$", r"^.{3,5}$", r"\A[^abc]\Z", r"^\$\d+\.\d\d$",
        r"^[\w.+-]+$", r"^a*?b+?$", r"^[]x]y$", r"^$", "literal",
    ],
)  # fmt: skip
def test_texts_are_found_for_patterns(pattern: str) -> None:
    chance = random.Random(1)
    for _ in range(30):
        text = matching(pattern, chance)
        assert text is not None
        assert re.search(pattern, text), text


@pytest.mark.parametrize("pattern", [r"^a(?=b)", r"(a)\1", r"^\p{L}+$", "(", "[", "a{"])
def test_what_is_not_read_in_a_pattern_gives_no_text(pattern: str) -> None:
    assert matching(pattern, random.Random(1)) is None
