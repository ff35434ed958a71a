"""Results against parameters: what may meet on the wire, and what may not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from annotated_types import Gt, MinLen
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator
from typing_extensions import TypedDict

from pico_celery.contract.compatibility import is_compatible
from pico_celery.contract.payload import Payload
from pico_celery.contract.typenames import type_name


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


def _name(annotation: Any) -> str:
    return re.sub(r" at 0x\w+", "", type_name(annotation))


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


@pytest.mark.parametrize(("result", "parameter"), FITS, ids=_name)
def test_fits(result: Any, parameter: Any) -> None:
    assert is_compatible(result, parameter)


@pytest.mark.parametrize(("result", "parameter"), DOES_NOT_FIT, ids=_name)
def test_does_not_fit(result: Any, parameter: Any) -> None:
    assert not is_compatible(result, parameter)


def test_an_annotation_without_a_hash_is_compared_too() -> None:
    assert is_compatible(Annotated[int, ["unhashable"]], int)
    assert not is_compatible(Annotated[str, ["unhashable"]], int)


LEAVES: list[Any] = [
    *[Receipt, SameReceipt, Narrow, Closed, Late, LateClosed, Checked, Strict, Flag, Optional, Card, Cash, Nameless, Renamed],
    *[int, float, str, bool, None, Decimal, UUID, datetime, date, timedelta, bytes, Colour, Number, Box, Point, Payment],
    *[Literal["a"], Literal["a", 1], Annotated[int, Gt(2)], Annotated[str, MinLen(1)], int | None, int | str],
]  # fmt: skip
TYPES: list[Any] = [
    *LEAVES,
    *[list[int], list[float], list[Receipt], list[SameReceipt], set[int], tuple[int, int], tuple[int, ...], tuple[int, str]],
    *[dict[str, int], dict[int, int], dict[str, Narrow], Annotated[list[int], MinLen(1)], list[int | None]],
]  # fmt: skip
_ONE: list[Any] = [
    *[None, True, False, 0, 1, 2, 7, -3, 1.5, float("nan"), float("inf"), "", "a", "abc", "1", "red", "card", b"\xff", Decimal("1.50")],
    *[UUID(int=7), datetime(2026, 1, 2, 3, tzinfo=UTC), datetime(2026, 1, 2), date(2026, 1, 2), timedelta(seconds=90), Colour.RED, Number.ONE],  # noqa: DTZ001
    *[{"number": number, "total": "2.5", "nr": 3, "digits": "x", "given": 1, **more} for number in (0, 1, 3) for more in ({}, {"kind": "cash"}, {"reason": "late"})],
    *[{"number": None}, {"number": 3}, {"number": 1, "total": 2}, {"given": 1}, {"nr": 4}, {"digits": "4", "kind": "card"}, {1: 2}, {"a": 1}],
]  # fmt: skip
VALUES: list[Any] = [*_ONE, *[[one] for one in _ONE], *[[one, two] for one in _ONE[:12] for two in _ONE[:12]], [], {}]


def _sent(annotation: Any) -> list[Any]:
    """Return what values of a type are on the wire."""
    payload, found = Payload(annotation), []
    for value in VALUES:
        try:
            found.append(payload.encode(payload.validate(value)))
        except (ValueError, TypeError):
            continue
    return found


def test_whatever_is_said_to_fit_is_accepted() -> None:
    payloads = {index: Payload(annotation) for index, annotation in enumerate(TYPES)}
    fitting, refused = 0, []
    for result in TYPES:
        data = _sent(result)
        assert data, result
        for index, parameter in enumerate(TYPES):
            if not is_compatible(result, parameter):
                continue
            fitting += 1
            for value in data:
                try:
                    payloads[index].decode(value)
                except ValidationError:
                    refused.append((result, parameter, value))
    assert refused == []
    assert fitting > 2 * len(TYPES)  # more than each with itself
