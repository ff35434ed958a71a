"""Results against parameters: what may meet on the wire, and what may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from annotated_types import Gt, MinLen
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator
from typing_extensions import TypedDict

from pico_celery.contract.compatibility import is_compatible
from pico_celery.contract.payload import Payload


class Receipt(BaseModel):
    number: int
    total: Decimal


class SameReceipt(BaseModel):
    number: int
    total: Decimal


class Narrow(BaseModel):
    number: int


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int


class Late(Receipt):
    reason: str = ""


class LateClosed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int
    total: Decimal


class Checked(BaseModel):
    number: int
    total: Decimal

    @field_validator("number")
    @classmethod
    def _even(cls, number: int) -> int:
        if number % 2:
            raise ValueError("odd")
        return number


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    number: int


class Flag(BaseModel):
    number: bool


class Optional(BaseModel):
    number: int | None = None


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class SameTree(BaseModel):
    name: str
    children: list[SameTree] = []


class OtherTree(BaseModel):
    name: str
    children: list[OtherTree] = []
    weight: int


class Card(BaseModel):
    kind: Literal["card"] = "card"
    digits: str


class Cash(BaseModel):
    kind: Literal["cash"] = "cash"
    given: int


class Nameless(BaseModel):
    given: int


class Renamed(BaseModel):
    number: int = Field(alias="nr")


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Number(Enum):
    ONE = 1


class Box(TypedDict):
    number: int


@dataclass
class Point:
    number: int


def even(number: int) -> int:
    if number % 2:
        raise ValueError("odd")
    return number


Payment = Annotated[Card | Cash, Field(discriminator="kind")]

FITS = [
    (int, int),
    (int, float),
    (bool, int),
    (None, None),
    (int, int | None),
    (int | str, int | str | None),
    (Literal["a"], Literal["a", "b"]),
    (Literal["a"], str),
    (Literal[1], float),
    (Colour, str),
    (Colour, Literal["red", "blue", "green"]),
    (Number, int),
    (str, Any),
    (str, object),
    (Any, str),
    (list[Any], list[int]),
    (Receipt, Receipt),
    (Receipt, SameReceipt),
    (Receipt, Narrow),
    (Receipt, LateClosed),
    (Late, Receipt),
    (Narrow, Optional),
    (Narrow, Point),
    (Point, Narrow),
    (Narrow, Box),
    (Box, Narrow),
    (Narrow, dict[str, int]),
    (Narrow, Strict),
    (Checked, Checked),
    (Checked, Receipt),
    (list[Checked], list[Checked]),
    (list[Checked], Sequence[Checked]),
    (tuple[Checked, Checked], list[Checked]),
    (tuple[int, str], list[int | str]),
    (tuple[int, str], tuple[int, str]),
    (tuple[int, str], tuple[float, str | None]),
    (list[int], list[float]),
    (list[int], Sequence[int]),
    (list[int], tuple[int, ...]),
    (list[int], set[int]),
    (tuple[int, int], Annotated[list[int], MinLen(2)]),
    (dict[str, int], dict[str, float]),
    (dict[str, int], Mapping[str, int]),
    (Card, Payment),
    (Payment, Payment),
    (Payment, Card | Cash | None),
    (Annotated[int, Gt(3)], Annotated[int, Gt(2)]),
    (Annotated[int, Gt(3)], int),
    (UUID, UUID),
    (UUID, str),
    (datetime, datetime),
    (Decimal, Decimal),
    (Tree, Tree),
    (Tree, SameTree),
    (bytes, bytes),
]

DOES_NOT_FIT = [
    (int, str),
    (str, int),
    (float, int),
    (int | None, int),
    (int | str, int),
    (str, Literal["a"]),
    (Literal["a", "b"], Literal["a"]),
    (str, Colour),
    (str, UUID),
    (str, datetime),
    (str, Decimal),
    (datetime, date),
    (date, datetime),
    (timedelta, int),
    (object, int),
    (Narrow, Receipt),
    (Receipt, Closed),
    (Late, LateClosed),
    (Optional, Narrow),
    (Flag, Strict),
    (Receipt, Checked),
    (int, Annotated[int, AfterValidator(even)]),
    (int, Annotated[int, Gt(2)]),
    (Annotated[int, Gt(1)], Annotated[int, Gt(2)]),
    (str, Annotated[str, Field(pattern="^a$")]),
    (list[int], int),
    (int, list[int]),
    (list[int | None], list[int]),
    (list[int], tuple[int, int]),
    (list[int], Annotated[list[int], MinLen(1)]),
    (tuple[int, str], list[int]),
    (tuple[int, str], tuple[str, int]),
    (tuple[int, str], tuple[int]),
    (tuple[int], tuple[int, str]),
    (list[int], Annotated[set[int], MinLen(2)]),
    (dict[str, str], dict[str, int]),
    (dict[str, int], Narrow),
    (dict[int, int], dict[Literal["a"], int]),
    (Nameless, Payment),
    (Narrow, Renamed),
    (Renamed, Narrow),
    (Tree, OtherTree),
    (str, bytes),
]


@pytest.mark.parametrize(("result", "parameter"), FITS, ids=str)
def test_fits(result: Any, parameter: Any) -> None:
    assert is_compatible(result, parameter)


@pytest.mark.parametrize(("result", "parameter"), DOES_NOT_FIT, ids=str)
def test_does_not_fit(result: Any, parameter: Any) -> None:
    assert not is_compatible(result, parameter)


def test_an_annotation_without_a_hash_is_compared_too() -> None:
    assert is_compatible(Annotated[int, ["unhashable"]], int)
    assert not is_compatible(Annotated[str, ["unhashable"]], int)


def _types() -> st.SearchStrategy[Any]:
    models = [
        Receipt,
        SameReceipt,
        Narrow,
        Closed,
        Late,
        LateClosed,
        Strict,
        Flag,
        Optional,
        Card,
        Cash,
        Nameless,
        Renamed,
    ]
    plain = [int, float, str, bool, None, Decimal, UUID, datetime, date, timedelta, bytes, Colour, Number, Box, Point]
    small = [Literal["a"], Literal["a", 1], Annotated[int, Gt(2)], Annotated[str, MinLen(1)], Checked, Payment]
    leaves = st.sampled_from([*models, *plain, *small])
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            inner.map(lambda one: list[one]),  # type: ignore[valid-type]
            inner.map(lambda one: set[int] | list[one]),  # type: ignore[valid-type]
            inner.map(lambda one: dict[str, one]),  # type: ignore[valid-type]
            st.tuples(inner, inner).map(lambda two: tuple[two[0], two[1]]),  # type: ignore[misc]
            inner.map(lambda one: one | None if one is not None else one),
        ),
        max_leaves=4,
    )


@settings(max_examples=400, deadline=None)
@given(_types(), _types(), st.data())
def test_what_is_said_to_fit_is_accepted_whatever_its_value(result: Any, parameter: Any, data: st.DataObject) -> None:
    if not is_compatible(result, parameter):
        return
    sent, accepted = Payload(result), Payload(parameter)
    value = data.draw(_values(result))
    if value is _NONE:
        return
    accepted.decode(sent.encode(sent.validate(value)))


_NONE = object()


def _values(annotation: Any) -> st.SearchStrategy[Any]:
    """Draw values that the type itself accepts."""
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    raw = st.one_of(st.from_type(type(None)), st.integers(-3, 9), st.booleans(), st.text(max_size=3), st.decimals(allow_nan=False, allow_infinity=False),
                    st.uuids(), st.datetimes(), st.dates(), st.just("a"), st.sampled_from(list(Colour)), st.floats(allow_nan=False, allow_infinity=False))  # fmt: skip
    objects = st.fixed_dictionaries(
        {"number": st.integers(-3, 9), "nr": st.integers(1, 3), "total": st.just("1.5"), "digits": st.text(max_size=2), "given": st.integers(1, 3)},
        optional={"kind": st.sampled_from(["card", "cash"]), "reason": st.text(max_size=2)},
    )  # fmt: skip
    base = st.one_of(raw, objects)
    nested = st.one_of(base, st.lists(base, max_size=2), st.tuples(base, base), st.dictionaries(st.text(max_size=2), base, max_size=2))  # fmt: skip

    def fit(value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError:
            return _NONE

    return nested.map(fit)
