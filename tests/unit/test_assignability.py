"""Claims: which types of an implementation or client fit those of a contract."""

import enum
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NewType, Optional, TypeVar, Union

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType, TypedDict

from pico_celery.contract.conformance import is_assignable
from pico_celery.contract.typenames import type_name, value_text

T = TypeVar("T")
UserId = NewType("UserId", int)
Ids = TypeAliasType("Ids", list[int])
Listing = TypeAliasType("Listing", list[T], type_params=(T,))
Positive = Annotated[int, Field(gt=0)]


class Animal(BaseModel):
    name: str


class Cat(Animal):
    lives: int


class Word(enum.StrEnum):
    A = "a"


class Fields(TypedDict):
    a: int


@dataclass
class Box(Generic[T]):
    item: T


FITS: list[tuple[Any, Any]] = [
    (int, int),
    (int, Any),
    (int, object),
    (bool, int),
    (int, float),
    (bool, float),
    (None, type(None)),
    (None, int | None),
    (int, int | None),
    (int, int | str),
    (int | str, str | int),
    (int | str, int | str | None),
    (Optional[int], Union[int, None]),  # noqa: UP007, UP045 - the spellings are the claim
    (Cat, Animal),
    (Cat, Animal | None),
    (list[Cat], list[Animal]),
    (list[int], Sequence[int]),
    (list[int], list),
    (list[Any], list),
    (list, list[Any]),
    (dict[str, int], Mapping[str, float]),
    (dict[str, int], dict),
    (dict, dict[Any, Any]),
    (set[int], AbstractSet[int]),
    (tuple[int, str], tuple[int, str]),
    (tuple[int, int], tuple[int, ...]),
    (tuple[int, str], Sequence[int | str]),
    (tuple[()], tuple[int, ...]),
    (tuple[bool, Cat], tuple[int, Animal]),
    (Literal["a"], str),
    (Literal["a"], Literal["a", "b"]),
    (Literal[Word.A], Word),
    (Word, str),
    (UserId, int),
    (UserId, UserId | None),
    (Ids, list[int]),
    (list[int], Ids),
    (Ids | None, list[int] | None),
    (Listing[int], list[int]),
    (list[int], Listing[int]),
    (Positive, int),
    (Positive, Annotated[int, Field(gt=0, description="a text")]),
    (Annotated[int, "a note"], int),
    (int, Annotated[int, "a note"]),
    (Annotated[int, Field(description="a")], Annotated[int, Field(description="b")]),
    (list[Positive], list[int]),
    (Box[bool], Box[int]),
    (Fields, Fields),
    (Fields, dict),
]
DOES_NOT: list[tuple[Any, Any]] = [
    (int, str),
    (float, int),
    (int, bool),
    (Any, int),
    (object, int),
    (int | None, int),
    (int | str, int),
    (str, int | None),
    (Animal, Cat),
    (list[Animal], list[Cat]),
    (list[int], list[str]),
    (list, list[int]),
    (Sequence[int], list[int]),
    (dict[str, int], dict[int, int]),
    (dict[str, str], Mapping[str, int]),
    (frozenset[int], set[int]),
    (list[int], set[int]),
    (tuple[int, str], tuple[int, ...]),
    (tuple[int, ...], tuple[int]),
    (tuple[int, ...], tuple[()]),
    (tuple[int], tuple[int, int]),
    (tuple[int, str], Sequence[int]),
    (str, Literal["a"]),
    (Literal["a", "b"], Literal["a"]),
    (Literal[True], Literal[1]),
    (Literal[1], str),
    (str, Word),
    (str, Sequence[int]),
    (int, UserId),
    (Listing[str], list[int]),
    (Listing[str], Listing[int]),
    (int, Positive),
    (list[int], list[Positive]),
    (Annotated[int, Field(gt=0)], Annotated[int, Field(gt=1)]),
    (Box[str], Box[int]),
    (Fields, Animal),
    (datetime, date),
    (Decimal, float),
    (Cat, dict[str, Any]),
]


@pytest.mark.parametrize(("source", "target"), FITS, ids=str)
def test_it_fits(source: Any, target: Any) -> None:
    assert is_assignable(source, target)


@pytest.mark.parametrize(("source", "target"), DOES_NOT, ids=str)
def test_it_does_not_fit(source: Any, target: Any) -> None:
    assert not is_assignable(source, target)


@pytest.mark.parametrize("annotation", sorted({str(a): a for pair in FITS for a in pair}.items()), ids=lambda it: it[0])
def test_every_type_fits_itself_and_any(annotation: tuple[str, Any]) -> None:
    assert is_assignable(annotation[1], annotation[1])
    assert is_assignable(annotation[1], Any)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (None, "None"),
        (Animal, "Animal"),
        (list[Animal], "list[Animal]"),
        (Animal | None, "Animal | None"),
        (dict[str, list[Decimal]], "dict[str, list[Decimal]]"),
        (Literal["a.b", "c.d"], "Literal['a.b', 'c.d']"),
        (Literal["orders.place"], "Literal['orders.place']"),
    ],
    ids=str,
)
def test_types_are_named_as_their_author_would_write_them(annotation: Any, text: str) -> None:
    assert type_name(annotation) == text


def test_numbers_and_patterns_of_constraints_are_named_whole() -> None:
    assert "0.5" in type_name(Annotated[float, Field(ge=0.5)])
    assert "1.25" in type_name(Annotated[Decimal, Field(gt=Decimal("1.25"))])
    assert "a.b" in type_name(Annotated[str, Field(pattern="a.b")])


def test_values_are_shown_with_their_type_and_shortened() -> None:
    assert value_text("abc") == "'abc' (str)"
    shown = value_text("x" * 500)
    assert len(shown) < 100
    assert shown.endswith("... (str)")


def test_a_broken_repr_does_not_hide_the_error() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

    assert value_text(Shy()).endswith("(Shy)")
