"""Each change of a JSON Schema that pydantic can make: what is refused, where, and the payload that shows it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import (
    UUID1,
    UUID4,
    AfterValidator,
    AliasChoices,
    AliasPath,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    HttpUrl,
    Json,
    JsonValue,
    NaiveDatetime,
    SecretStr,
    StringConstraints,
    Tag,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from tests.support.schema_pairs import described

from pico_celery.document.records import Document
from pico_celery_tooling.evolution.rules import NOTHING
from pico_celery_tooling.evolution.subset import Described, Refusal, refusals
from pico_celery_tooling.schema.validation import violations


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Number(IntEnum):
    ONE = 1
    TWO = 2


class Colour(Enum):
    """The values of `Color`, in another order and by other names."""

    B = "blue"
    R = "red"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog", "wolf"]
    name: str


class Bird(BaseModel):
    kind: Literal["bird"] = "bird"
    wings: int = 2


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]
Pets = Annotated[Cat | Dog | Bird, Field(discriminator="kind")]


class Tree(BaseModel):
    value: int
    kids: list[Tree] = []


class TextTree(BaseModel):
    value: str
    kids: list[TextTree] = []


class Branch(BaseModel):
    """As `Tree`, with another name and an optional property more."""

    kids: list[Branch] = []
    value: int
    note: str | None = None


def model(*, config: ConfigDict | None = None, **fields: Any) -> type[BaseModel]:
    made: type[BaseModel] = create_model("Model", __config__=config, **fields)
    return made


YEAR_2020, YEAR_2021 = datetime.fromisoformat("2020-01-01T00:00"), datetime.fromisoformat("2021-01-01T00:00")
FORBID = ConfigDict(extra="forbid")
ALLOW = ConfigDict(extra="allow")
STRICT = ConfigDict(strict=True)
Whole = Annotated[int, Field(ge=0)]
Money = Annotated[Decimal, Field(max_digits=6, decimal_places=2)]
ThreeDigits = Annotated[str, Field(pattern=r"^\d{3}$")]


def positive(value: int) -> int:
    return value


def negative(value: int) -> int:
    return value


# A type, what becomes of it, and what that refuses: rule and path. Both directions stand here for each change.
REFUSED: list[tuple[Any, Any, list[tuple[str, str]]]] = [
    # types
    (int, str, [("type", "")]),
    (str, int, [("type", "")]),
    (float, int, [("type", "")]),
    (int, bool, [("type", "")]),
    (bool, str, [("type", "")]),
    (int, date, [("type", "")]),
    (list[int], int, [("type", "")]),
    (Cat, int, [("type", "")]),
    (Any, int, [("type", "")]),
    (JsonValue, str, [("type", "")]),
    (model(a=(int, ...)), model(a=(str, ...)), [("type", "a")]),
    # null and unions
    (int | None, int, [("null", "")]),
    (None, int, [("null", "")]),
    (int | str, int, [("union_member", "")]),
    (int | str | None, int | None, [("union_member", "")]),
    (int | None, str | None, [("type", "")]),
    (Pets, Pet, [("union_member", "")]),
    (Pet, Cat, [("union_member", "")]),
    (list[Pets], list[Pet], [("union_member", "[*]")]),
    (model(one=(int, ...)), Pet, [("discriminator", "")]),
    (Bird, Pets, [("discriminator", "")]),
    # values
    (str, Literal["a"], [("enum_value", "")]),
    (Literal["a", "b"], Literal["a"], [("const", "")]),
    (Literal["a", "b", "c"], Literal["a", "b"], [("enum_value", "")]),
    (Literal["a"], Literal["b"], [("const", "")]),
    (Color, Literal["red"], [("const", "")]),
    (Color, int, [("type", "")]),
    (Literal["a"], int, [("type", "")]),
    (bool, Literal[True], [("const", "")]),
    (Literal["a"] | None, Literal["a"], [("null", "")]),
    # numbers
    (int, Whole, [("minimum", "")]),
    (Whole, Annotated[int, Field(gt=0)], [("minimum", "")]),
    (int, Annotated[int, Field(lt=10)], [("maximum", "")]),
    (Annotated[int, Field(le=10)], Annotated[int, Field(le=9)], [("maximum", "")]),
    (float, Annotated[float, Field(ge=0)], [("minimum", "")]),
    (Annotated[float, Field(ge=0)], Annotated[float, Field(gt=0)], [("minimum", "")]),
    (int, Annotated[int, Field(multiple_of=2)], [("multiple_of", "")]),
    (Annotated[int, Field(multiple_of=2)], Annotated[int, Field(multiple_of=4)], [("multiple_of", "")]),
    (float, Annotated[float, Field(allow_inf_nan=False)], [("demand", "")]),
    (int, Annotated[int, Field(strict=True)], [("strict", "")]),
    (model(a=(int, ...)), model(config=STRICT, a=(int, ...)), [("strict", "a")]),
    (datetime, Annotated[datetime, Field(strict=True)], [("strict", "")]),
    # Decimals
    (Decimal, int, [("type", "")]),
    (str, Decimal, [("format", "")]),
    (Decimal, Money, [("demand", "")]),
    (float, Money, [("demand", "")]),
    (int, Money, [("demand", "")]),
    (Money, Annotated[Decimal, Field(max_digits=5, decimal_places=2)], [("demand", "")]),
    (Money, Annotated[Decimal, Field(max_digits=6, decimal_places=3)], [("demand", "")]),
    (Decimal, Annotated[Decimal, Field(ge=0)], [("minimum", "")]),
    (Decimal, Annotated[Decimal, Field(lt=Decimal("0.5"))], [("maximum", "")]),
    (Decimal, Annotated[Decimal, Field(multiple_of=0.5)], [("multiple_of", "")]),
    (Annotated[Decimal, Field(allow_inf_nan=True)], Decimal, [("demand", "")]),
    (float, Decimal, [("demand", "")]),
    # text
    (str, Annotated[str, Field(max_length=5)], [("length", "")]),
    (str, Annotated[str, Field(min_length=1)], [("length", "")]),
    (str, ThreeDigits, [("pattern", "")]),
    (ThreeDigits, Annotated[str, Field(pattern=r"^[0-4]+$")], [("pattern", "")]),
    (ThreeDigits, Annotated[str, Field(max_length=2)], [("length", "")]),
    (str, UUID, [("format", "")]),
    (UUID, UUID4, [("format", "")]),
    (UUID1, UUID4, [("format", "")]),
    (str, datetime, [("format", "")]),
    (datetime, date, [("format", "")]),
    (date, time, [("format", "")]),
    (timedelta, time, [("format", "")]),
    (str, bytes | None, []),
    (str, Annotated[bytes, Field(max_length=3)], [("length", "")]),
    (str, Json[int], [("format", "")]),
    (
        Annotated[str, StringConstraints(min_length=1)],
        Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)],
        [("length", "")],
    ),
    (
        model(a=(Annotated[str, Field(min_length=1)], ...)),
        model(config=ConfigDict(str_strip_whitespace=True), a=(Annotated[str, Field(min_length=1)], ...)),
        [("length", "a")],
    ),
    (model(a=(str, ...)), model(config=ConfigDict(str_max_length=3), a=(str, ...)), [("length", "a")]),
    # time
    (datetime, AwareDatetime, [("demand", "")]),
    (datetime, NaiveDatetime, [("demand", "")]),
    (AwareDatetime, NaiveDatetime, [("demand", "")]),
    (datetime, Annotated[datetime, Field(ge=YEAR_2020)], [("minimum", "")]),
    (
        Annotated[date, Field(le=date(2030, 1, 1))],
        Annotated[date, Field(lt=date(2030, 1, 1))],
        [("maximum", "")],
    ),
    (timedelta, Annotated[timedelta, Field(ge=timedelta(0))], [("minimum", "")]),
    # lists, sets, tuples
    (list[int], list[str], [("type", "[*]")]),
    (list[int], Annotated[list[int], Field(max_length=3)], [("length", "")]),
    (list[int], Annotated[list[int], Field(min_length=1)], [("length", "")]),
    (
        Annotated[list[int], Field(min_length=2)],
        Annotated[set[int], Field(min_length=2)],
        [("unique", "")],
    ),
    (list[int], tuple[int, int], [("length", "")]),
    (tuple[int, int, int], tuple[int, int], [("length", "")]),
    (tuple[int, str], tuple[int, int], [("type", "[1]")]),
    (tuple[int, str], list[int], [("type", "[1]")]),
    (list[list[int]], list[list[str]], [("type", "[*][*]")]),
    # mappings
    (dict[str, int], dict[str, str], [("type", "{*}")]),
    (dict[str, int], dict[int, int], [("property_names", "")]),
    (dict[str, int], dict[Color, int], [("property_names", "")]),
    (dict[str, int], dict[ThreeDigits, int], [("property_names", "")]),
    (dict[Color, int], dict[Literal["red"], int], [("property_names", "")]),
    (dict[str, int], Annotated[dict[str, int], Field(min_length=1)], [("length", "")]),
    (dict[str, int], Annotated[dict[str, int], Field(max_length=1)], [("length", "")]),
    (dict[str, Cat], dict[str, Dog], [("enum_value", "{*}.kind"), ("required_property", "{*}.name")]),
    (dict[str, int], model(a=(int, ...)), [("required_property", "a")]),
    (dict[str, int], model(a=(str, "x")), [("type", "a")]),
    (dict[str, int], model(config=FORBID), [("unknown_property", "{*}")]),
    (model(a=(str, ...)), dict[str, int], [("type", "a")]),
    # models
    (model(a=(int, 1)), model(a=(int, ...)), [("required_property", "a")]),
    (model(), model(a=(int, ...)), [("required_property", "a")]),
    (model(a=(int, ...)), model(b=(int, ...)), [("required_property", "b")]),
    (model(a=(int, ...)), model(config=FORBID), [("unknown_property", "a")]),
    (model(config=ALLOW), model(a=(int, 1)), [("type", "a")]),
    (model(config=ALLOW), model(config=FORBID), [("unknown_property", "{*}")]),
    (model(a=(int, Field(alias="b"))), model(a=(int, Field(alias="c"))), [("required_property", "c")]),
    (
        model(c=(int, ...)),
        model(x=(int, Field(validation_alias=AliasChoices("a", "b")))),
        [("required_property", "a")],
    ),
    (model(a=(Cat, ...)), model(a=(model(kind=(str, ...), lives=(str, ...)), ...)), [("type", "a.lives")]),
    # recursion
    (Tree, TextTree, [("type", "value")]),
    (list[Tree], list[TextTree], [("type", "[*].value")]),
    (
        model(here=(Cat, ...), there=(Cat, ...)),
        model(here=(model(lives=(str, ...)), ...), there=(Cat, ...)),
        [("type", "here.lives")],
    ),
]

UNKNOWN: list[tuple[Any, Any, list[tuple[str, str]]]] = [
    (int, Annotated[int, AfterValidator(positive)], [("demand", "")]),
    (Annotated[int, AfterValidator(positive)], Annotated[int, AfterValidator(negative)], [("demand", "")]),
    (int, Annotated[int, BeforeValidator(positive)], [("demand", "")]),
    (Annotated[str, Field(pattern="^a+$")], Annotated[str, Field(pattern="^a*$")], [("pattern", "")]),
    (str, HttpUrl, [("demand", ""), ("format", "")]),
    (str, Annotated[str, WithJsonSchema({"type": "string", "dialect": "x"})], [("unknown_keyword", "")]),
    (int, Annotated[int, WithJsonSchema({"not": {"const": 3}})], [("unknown_keyword", "")]),
    (
        Pet,
        Annotated[
            Annotated[Cat, Tag("cat")] | Annotated[Dog, Tag("dog")], Discriminator(lambda value: str(value["kind"]))
        ],
        [("demand", "")],
    ),
]

ACCEPTED: list[tuple[Any, Any]] = [
    (int, float),
    (bool, int),
    (bool, float),
    (int, Decimal),
    (Annotated[float, Field(allow_inf_nan=False)], Decimal),
    (Annotated[float, Field(ge=-9, le=9)], Decimal),
    (Annotated[float, Field(ge=-9, le=9)], Annotated[float, Field(allow_inf_nan=False)]),
    (float, Annotated[Decimal, Field(allow_inf_nan=True)]),
    (Decimal, float),
    (int, Any),
    (Cat, Any),
    (int, int | None),
    (int, int | str),
    (int | str, str | int),
    (Literal["a", "b"], Literal["b", "a", "c"]),
    (Literal["a"], str),
    (Color, str),
    (Color, Colour),
    (Color, Literal["blue", "red"]),
    (Number, int),
    (Literal["a"], Literal["a", "b"]),
    (bool, Literal[True, False]),
    (Annotated[int, Field(gt=0)], Annotated[int, Field(ge=1)]),
    (Annotated[int, Field(ge=1)], Annotated[int, Field(gt=0)]),
    (Whole, int),
    (Annotated[int, Field(multiple_of=4)], Annotated[int, Field(multiple_of=2)]),
    (Annotated[int, Field(strict=True)], int),
    (Annotated[float, Field(allow_inf_nan=False)], float),
    (Money, Decimal),
    (Money, Annotated[Decimal, Field(max_digits=8, decimal_places=3)]),
    (Annotated[int, Field(ge=0, lt=100)], Money),
    (Annotated[Decimal, Field(gt=1)], Annotated[Decimal, Field(ge=1)]),
    (datetime, str),
    (UUID, str),
    (UUID4, UUID),
    (UUID4, UUID4),
    (date, datetime),
    (AwareDatetime, datetime),
    (SecretStr, str),
    (str, SecretStr),
    (bytes, str),
    (str, bytes),
    (Annotated[str, Field(min_length=2, max_length=3)], Annotated[str, Field(min_length=1)]),
    (ThreeDigits, str),
    (ThreeDigits, ThreeDigits),
    (HttpUrl, str),
    (HttpUrl, HttpUrl),
    (Annotated[datetime, Field(ge=YEAR_2021)], Annotated[datetime, Field(ge=YEAR_2020)]),
    (list[int], set[int]),
    (set[int], list[int]),
    (frozenset[int], set[int]),
    (Annotated[set[int], Field(min_length=2)], Annotated[set[int], Field(min_length=1)]),
    (Annotated[list[int], Field(min_length=1)], Annotated[set[int], Field(min_length=1)]),
    (tuple[int, int], list[int]),
    (tuple[int, ...], list[int]),
    (tuple[int, bool], tuple[float, int]),
    (dict[str, int], dict[str, float]),
    (dict[int, int], dict[str, int]),
    (dict[Color, int], dict[str, int]),
    (dict[Literal["red"], int], dict[Color, int]),
    (dict[UUID, int], dict[str, int]),
    (dict[str, str], model(a=(str, "x"))),
    (Cat, dict[str, Any]),
    (model(a=(int, ...)), model(a=(int, 1))),
    (model(a=(int, 1)), model(a=(int, 2))),
    (model(a=(int, ...), b=(str, "x")), model(b=(str, "x"), a=(int, ...))),
    (model(a=(int, ...)), model(a=(int, ...), b=(int, 1))),
    (model(a=(int, ...), b=(int, ...)), model(a=(int, ...))),
    (model(config=FORBID, a=(int, ...)), model(a=(int, ...))),
    (model(a=(int, ...)), model(config=FORBID, a=(int, ...))),
    (model(a=(int, ...)), model(config=ALLOW, a=(int, ...))),
    (model(b=(int, ...)), model(x=(int, Field(validation_alias=AliasChoices("a", "b"))))),
    (model(config=STRICT, a=(int, ...)), model(a=(int, ...))),
    (model(a=(int, Field(description="A number.", examples=[1], title="A"))), model(a=(int, ...))),
    (model(a=(int, ...)), model(a=(int, Field(json_schema_extra={"x-ui": "slider"})))),
    (Tree, Branch),
    (Tree, Tree),
    (Cat, Pet),
    (Pet, Pets),
    (Pet, Cat | Dog),
    (Cat | Dog, Pet),
    (Pets, Annotated[Bird | Dog | Cat, Field(discriminator="kind")]),
    (Annotated[int, AfterValidator(positive)], int),
    (Annotated[int, AfterValidator(positive)], Annotated[int, AfterValidator(positive)]),
    (Json[int], Json[int]),
]


def type_with_none(annotation: Any) -> Any:
    return annotation | None


def found(one: Any, other: Any) -> list[Refusal]:
    return refusals(described(one), described(other))


def takes(annotation: Any, payload: Any) -> bool:
    try:
        TypeAdapter(annotation).validate_json(json.dumps(payload))
    except ValidationError:
        return False
    return True


def ids(case: Any) -> str | None:
    return None if isinstance(case, list) else str(case)[:60]


@pytest.mark.parametrize(("old", "new", "expected"), REFUSED, ids=ids)
def test_a_change_that_refuses_is_told_with_a_payload_that_shows_it(old: Any, new: Any, expected: Any) -> None:
    told = found(old, new)
    assert sorted((one.rule, one.path) for one in told) == sorted(expected)
    for refusal in told:
        assert refusal.certain
        assert refusal.sent
        assert refusal.accepted
        assert refusal.witness is not NOTHING
        assert takes(old, refusal.witness)
        assert not takes(new, refusal.witness)


@pytest.mark.parametrize(("old", "new", "expected"), UNKNOWN, ids=ids)
def test_what_cannot_be_known_is_told_as_that(old: Any, new: Any, expected: Any) -> None:
    told = found(old, new)
    assert {(one.rule, one.path) for one in told} == set(expected)
    assert not any(one.certain for one in told if one.rule in {"demand", "unknown_keyword"})
    assert all((one.witness is not NOTHING) == one.certain for one in told)


@pytest.mark.parametrize(("old", "new"), ACCEPTED, ids=ids)
def test_a_change_that_refuses_nothing_is_no_false_alarm(old: Any, new: Any) -> None:
    assert found(old, new) == []


def test_the_cases_of_the_table_are_held_in_the_other_direction_too() -> None:
    """What is refused one way is mostly accepted the other way; whatever is said, real models agree."""
    for old, new, _ in REFUSED:
        for refusal in found(new, old):
            if refusal.witness is not NOTHING:
                assert takes(new, refusal.witness), (new, old, refusal)
                assert not takes(old, refusal.witness), (new, old, refusal)


def test_a_model_that_is_met_again_is_told_of_once_at_the_outermost_place() -> None:
    inner, changed = model(zip=(str, ...)), model(zip=(int, ...))
    old = create_model("Order", lines=(list[inner], ...), billing=(inner, ...))  # type: ignore[valid-type]
    new = create_model("Order", lines=(list[changed], ...), billing=(changed, ...))  # type: ignore[valid-type]
    (refusal,) = found(old, new)
    assert refusal.rule == "type"
    assert refusal.path in {"billing.zip", "lines[*].zip"}


def test_a_property_that_only_a_path_names_is_not_taken_as_missing_for_certain() -> None:
    old = model(a=(dict[str, int], ...))
    new = model(x=(int, Field(validation_alias=AliasPath("a", "inner"))))
    assert all(not one.certain or not takes(new, one.witness) for one in found(old, new))


def test_what_pydantic_sends_is_held_against_what_it_accepts() -> None:
    class Old(BaseModel):
        a: int = 1
        price: Decimal = Decimal(1)

    class New(BaseModel):
        a: int
        price: Decimal

    assert refusals(described(Old, "serialization"), described(New)) == []
    assert [one.path for one in refusals(described(Old), described(New))] == ["a", "price"]


def test_a_reference_written_out_is_the_same() -> None:
    schema = described(Tree)
    inner = schema.document.schemas["Tree"]
    assert refusals(schema, Described(inner, schema.document)) == []
    assert refusals(Described(inner, schema.document), schema) == []


def test_equal_text_with_different_definitions_is_not_equal() -> None:
    one, other = {"A": {"type": "string"}}, {"A": {"type": "integer"}}
    schema = {"type": "array", "items": {"$ref": "#/schemas/A"}}
    first, second = Document(contracts={}, schemas=one), Document(contracts={}, schemas=other)
    (refusal,) = refusals(Described(schema, first), Described(schema, second))
    assert (refusal.rule, refusal.path, refusal.certain) == ("type", "[*]", True)


class Leaf(BaseModel):
    value: int


class Either(BaseModel):
    inner: Either | Leaf | None


class EitherText(BaseModel):
    inner: EitherText | Leaf | None
    text: str = ""


def test_unions_that_refer_to_themselves_end() -> None:
    assert found(Either, EitherText) == []
    assert found(Either, Either) == []
    changed = create_model("Leaf", value=(str, ...))
    told = found(Either, create_model("Either", inner=(type_with_none(changed), ...)))
    assert told
    assert told[0].certain


def test_mutual_recursion_fails_where_any_part_fails() -> None:
    def document(kind: str) -> Document:
        def node(other: str, value: Any) -> Any:
            return {
                "type": "object",
                "properties": {"next": {"anyOf": [{"$ref": f"#/schemas/{other}"}, {"type": "null"}]}, "value": value},
                "required": ["value"],
            }

        schemas = {
            "A": node("B", {"type": "string"}),
            "B": node("C", {"type": "string"}),
            "C": node("A", {"type": kind}),
        }
        return Document(contracts={}, schemas=schemas)

    same, other = document("string"), document("integer")
    for name in "ABCABC":
        schema = {"$ref": f"#/schemas/{name}"}
        assert refusals(Described(schema, same), Described(schema, document("string"))) == []
        (refusal,) = refusals(Described(schema, same), Described(schema, other))
        assert refusal.path == {"A": "next.next.value", "B": "next.value", "C": "value"}[name]
        assert refusal.certain


def test_what_was_assumed_of_a_model_that_does_not_fit_is_forgotten() -> None:
    def document(kind: str) -> Document:
        forward = {"type": "object", "properties": {"b": {"$ref": "#/schemas/B"}, "value": {"type": kind}}}
        back = {"type": "object", "properties": {"a": {"$ref": "#/schemas/A"}}}
        return Document(contracts={}, schemas={"A": forward, "B": back})

    one, other = document("string"), document("integer")
    for name, path in (("A", "value"), ("B", "a.value"), ("A", "value")):
        schema = {"$ref": f"#/schemas/{name}"}
        assert [told.path for told in refusals(Described(schema, one), Described(schema, other))] == [path]


ODD: list[dict[str, Any]] = [
    {"pattern": "^a"}, {"allOf": [{"type": "integer"}, {"minimum": 3}]}, {"not": {"const": 3}}, {"type": ["integer", "null"]},
    {"type": "object", "properties": {"a": True, "b": False}}, {"type": "array", "items": False}, {"minProperties": 1},
    {"type": "object", "patternProperties": {"^a": {"type": "integer"}, "^b": {"type": "string"}}},
    {"enum": [1.5, "a", None, [1], {"a": 1}]}, {"const": {"a": [1]}}, {"type": "string", "format": "weird"},
    {"type": "string", "pattern": "(?<=a)b"}, {"type": "string", "pattern": "["}, {"type": "integer", "minimum": 1.5},
    {"type": "object", "dependentRequired": {"a": ["b"]}}, {"type": "array", "contains": {"const": 1}}, {}, {"enum": []},
    {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
]  # fmt: skip
"""Schemas that a user's own `WithJsonSchema` may hold."""


@pytest.mark.parametrize("schema", ODD, ids=str)
def test_schemas_that_pydantic_does_not_write_get_an_answer_too(schema: dict[str, Any]) -> None:
    document = Document(contracts={})
    source = Described(schema, document)
    assert refusals(source, Described(json.loads(json.dumps(schema)), document)) == []
    for other in ODD:
        for refusal in refusals(source, Described(other, document)):
            if refusal.witness is not NOTHING:
                assert violations(document, schema, refusal.witness) == []
                assert violations(document, other, refusal.witness)
        # What only the target says is not lost.
        unknown = set(other) & {"pattern", "allOf", "not", "dependentRequired", "contains"} - set(schema)
        if unknown and "type" in schema and schema["type"] == other.get("type", schema["type"]):
            assert refusals(source, Described(other, document))


def calls_of(work: Callable[[], None]) -> int:
    """Return how many functions of Python are called, which is the same on each machine."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def test_many_tasks_over_many_models_take_work_for_each_model_once() -> None:
    """500 tasks with three payloads each, and 300 models that are equal but not the same objects."""
    part = described(
        model(number=(Whole, ...), name=(str, Field(max_length=80)), price=(Money, ...), kinds=(list[Tree], []))
    )
    (name,) = (one for one in part.document.schemas if one != "Tree")

    def document() -> Document:
        schemas: dict[str, Any] = {}
        for number in range(300):
            own = json.loads(json.dumps(part.document.schemas[name]))
            own["properties"]["before"] = {
                "anyOf": [{"$ref": f"#/schemas/Part{(number * 7 + 3) % 300}"}, {"type": "null"}]
            }
            schemas[f"Part{number}"] = own
        return Document(contracts={}, schemas={**schemas, "Tree": part.document.schemas["Tree"]})

    one, other = document(), document()

    def compare(count: int) -> None:
        for at in range(count):
            schema = {"type": "array", "items": {"$ref": f"#/schemas/Part{at % 300}"}}
            assert refusals(Described(schema, one), Described(dict(schema), other)) == []

    assert calls_of(lambda: compare(300)) < 300 * 2000, (
        "each model is looked at once, not once for each that refers to it"
    )
    assert calls_of(lambda: compare(1200)) < 1200 * 250, "what is known of two models is not found out again"
