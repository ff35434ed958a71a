"""Claims: any payload of a supported type survives client -> JSON -> worker -> JSON -> client, and no secret shows."""

import dataclasses
import enum
import gc
import math
import traceback
import types
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Protocol, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kombu.utils.json import dumps, loads
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    ImportString,
    Json,
    RootModel,
    Secret,
    SecretBytes,
    SecretStr,
    SkipValidation,
    Tag,
    TypeAdapter,
    model_validator,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypeAliasType, TypedDict

from pico_celery import Catalog, ContractError, PayloadError, ResultError, TaskDefinition, contract
from pico_celery.contract.marks import marks_of
from pico_celery.contract.payload import NativePayload, Payload, payload_of
from pico_celery.messaging.calls import decode_call, encode_call, shown_call
from pico_celery.messaging.results import SealedResult, decode_result, encode_result

MASK = "**********"
T = TypeVar("T")


def task_of(annotation: Any) -> TaskDefinition:
    """Declare a contract with one task that takes and returns one type."""

    async def echo(self: Any, value: Any) -> Any: ...

    echo.__annotations__ = {"value": annotation, "return": annotation}
    cls = types.new_class("Echoes", (Protocol,), {}, lambda body: body.update(echo=echo))
    contract("echoes", catalog=Catalog())(cls)
    definition = marks_of(echo).definition
    assert definition is not None
    return definition


_cached_task_of = cache(task_of)


def over_the_wire(data: Any) -> Any:
    """Write and read JSON as Celery's messages and results are."""
    return loads(dumps(data))


def there(definition: TaskDefinition, value: Any) -> Any:
    """Take a value from client to worker."""
    call = encode_call(definition, (value,), {})
    args, kwargs = over_the_wire([call.args, call.kwargs])
    extra, values = decode_call(definition, args, kwargs)
    assert extra == ()
    return values["value"]


def and_back(definition: TaskDefinition, value: Any) -> Any:
    """Take a value from worker to client."""
    return decode_result(definition, over_the_wire(encode_result(definition, value)))


def same(one: Any, other: Any) -> bool:  # noqa: PLR0911 - one for each kind of value
    """Compare values with their types, where ``==`` is too lax (1 and 1.0) or too strict (nan)."""
    if isinstance(one, datetime) and isinstance(other, datetime):
        return one.replace(tzinfo=None) == other.replace(tzinfo=None) and one.utcoffset() == other.utcoffset()
    if isinstance(one, time) and isinstance(other, time):
        return one.replace(tzinfo=None) == other.replace(tzinfo=None) and one.utcoffset() == other.utcoffset()
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if isinstance(one, Decimal):
        return str(one) == str(other)
    if isinstance(one, (Secret, SecretStr, SecretBytes)):
        return same(one.get_secret_value(), other.get_secret_value())
    if isinstance(one, BaseModel):
        return same(one.__dict__, other.__dict__) and same(one.__pydantic_extra__, other.__pydantic_extra__)
    if dataclasses.is_dataclass(one):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in dataclasses.fields(one))
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            any(same(key, found) and same(one[key], other[found]) for found in other) for key in one
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(left, right) for left, right in zip(one, other, strict=True))
    return bool(one == other)


def assert_survives(annotation: Any, value: Any) -> None:
    try:
        definition = _cached_task_of(annotation)
    except TypeError:  # an unhashable annotation
        definition = task_of(annotation)
    arrived = there(definition, value)
    assert same(arrived, value), f"the worker got {arrived!r} for {value!r}"
    returned = and_back(definition, arrived)
    assert same(returned, value), f"the client got {returned!r} for {value!r}"


# --- the types


class Colour(enum.Enum):
    RED = "red"
    BLUE = 5


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Word(enum.StrEnum):
    ALPHA = "alpha"
    MASKED = "**********"


class Flags(enum.Flag):
    A = 1
    B = 2
    C = 4


class Line(BaseModel):
    sku: str
    quantity: int = Field(gt=0)
    price: Decimal


class Order(BaseModel):
    id: int
    lines: list[Line]
    note: str | None = None
    placed: datetime
    tags: frozenset[str] = frozenset()


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str


Pet = Annotated[Cat | Dog, Field(discriminator="kind")]


def _tag(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else value.kind
    return f"the {kind}"


TaggedPet = Annotated[Annotated[Cat, Tag("the cat")] | Annotated[Dog, Tag("the dog")], Discriminator(_tag)]


@dataclass
class Point:
    x: float
    y: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Shape:
    corners: tuple[Point, ...]
    colour: Colour
    created: date | None = None
    names: list[str] = field(default_factory=list)


class Movie(TypedDict, total=False):
    name: str
    year: int
    ratings: dict[str, float]


class Coordinates(NamedTuple):
    x: int
    y: float


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: int | None = None


class Tree(BaseModel):
    value: int
    children: "list[Tree]" = []


class Branch(TypedDict):
    value: int
    children: "list[Branch]"


JsonValue = TypeAliasType("JsonValue", "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None")


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    id: UUID
    when: datetime
    day: date
    wait: timedelta
    price: Decimal
    ids: set[int]
    pair: tuple[int, str]
    colour: Colour
    data: bytes = Field(default=b"")
    by_id: dict[int, str]
    by_day: dict[date, int]


class Aliased(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    first_name: str = Field(alias="from")
    last_name: str
    other: int = Field(default=0, validation_alias=AliasChoices("o", "other"), serialization_alias="o")


class Binary(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes
    more: list[bytes] = []


class HexBinary(BaseModel):
    model_config = ConfigDict(ser_json_bytes="hex", val_json_bytes="hex")
    data: bytes


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    id: int


class Names(RootModel[dict[str, list[int]]]):
    pass


class Reading(BaseModel):
    value: float
    history: list[float]


class WithEnumValues(BaseModel):
    model_config = ConfigDict(use_enum_values=True)
    word: Word
    level: Level = Level.LOW


class FloatDelta(BaseModel):
    model_config = ConfigDict(ser_json_timedelta="float")
    wait: timedelta


UserId = NewType("UserId", int)

text = st.text(max_size=8) | st.sampled_from([MASK, f"a{MASK}b", "", "null", "NaN", "__type__", "\x00"])
ints = st.integers() | st.integers(min_value=-(10**400), max_value=10**400) | st.sampled_from([2**63, -(2**63) - 1])
floats = st.floats()
decimals = st.decimals(allow_nan=False, allow_infinity=False)
minutes = st.integers(min_value=-23 * 60 - 59, max_value=23 * 60 + 59)
zones = minutes.map(lambda offset: timezone(timedelta(minutes=offset))) | st.just(UTC)
datetimes = st.datetimes() | st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=zones)  # noqa: DTZ001 - hypothesis wants naive limits
times = st.times() | st.times(timezones=zones)
dates = st.dates()
deltas = st.timedeltas()
uuids = st.uuids()
colours = st.sampled_from(Colour)
lines = st.builds(Line, sku=text, quantity=st.integers(min_value=1), price=decimals)
orders = st.builds(
    Order,
    id=ints,
    lines=st.lists(lines, max_size=3),
    note=st.none() | text,
    placed=datetimes,
    tags=st.frozensets(text, max_size=3),
)
pets = st.builds(Cat, lives=ints) | st.builds(Dog, name=text)
points = st.builds(Point, x=floats, y=floats)
shapes = st.builds(
    Shape,
    corners=st.lists(points, max_size=3).map(tuple),
    colour=colours,
    created=st.none() | dates,
    names=st.lists(text),
)
movies: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {}, optional={"name": text, "year": ints, "ratings": st.dictionaries(text, floats, max_size=3)}
)
trees = st.recursive(
    st.builds(Tree, value=ints),
    lambda inner: st.builds(Tree, value=ints, children=st.lists(inner, max_size=3)),
    max_leaves=8,
)
branches = st.recursive(
    st.fixed_dictionaries({"value": ints, "children": st.just([])}),
    lambda inner: st.fixed_dictionaries({"value": ints, "children": st.lists(inner, max_size=3)}),
    max_leaves=8,
)
keys = st.text(max_size=6).filter(lambda key: key != "__type__")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=8,
)
stricts = st.builds(
    Strict,
    id=uuids,
    when=datetimes,
    day=dates,
    wait=deltas,
    price=decimals,
    ids=st.sets(ints, max_size=3),
    pair=st.tuples(ints, text),
    colour=colours,
    data=text.map(str.encode),
    by_id=st.dictionaries(ints, text, max_size=3),
    by_day=st.dictionaries(dates, ints, max_size=3),
)

CASES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int": (int, ints),
    "bool": (bool, st.booleans()),
    "float": (float, floats),
    "str": (str, text),
    "none": (None, st.none()),
    "bytes": (bytes, st.binary()),
    "lists of bytes": (list[bytes], st.lists(st.binary(), max_size=4)),
    "bytes or nothing": (bytes | None, st.none() | st.binary()),
    "Decimal": (Decimal, decimals),
    "Fraction": (Fraction, st.fractions()),
    "complex": (complex, st.complex_numbers(allow_nan=False, allow_infinity=False, max_magnitude=1e6)),
    "datetime": (datetime, datetimes),
    "date": (date, dates),
    "time": (time, times),
    "timedelta": (timedelta, deltas),
    "UUID": (UUID, uuids),
    "enum": (Colour, colours),
    "int enum": (Level, st.sampled_from(Level)),
    "str enum": (Word, st.sampled_from(Word)),
    "flags": (Flags, st.integers(min_value=1, max_value=7).map(Flags)),
    "literal": (Literal["a", 1, True] | None, st.sampled_from(["a", None])),
    "new type": (UserId, ints),
    "model": (Line, lines),
    "nested models": (Order, orders),
    "lists of models": (list[Order], st.lists(orders, max_size=2)),
    "mappings of models": (dict[str, list[Order]], st.dictionaries(text, st.lists(orders, max_size=1), max_size=2)),
    "model or nothing": (Line | None, st.none() | lines),
    "set": (set[int], st.sets(ints)),
    "frozenset": (frozenset[UUID], st.frozensets(uuids)),
    "fixed tuple": (tuple[int, str, Line], st.tuples(ints, text, lines)),
    "open tuple": (tuple[float, ...], st.lists(floats).map(tuple)),
    "nested containers": (
        dict[str, set[tuple[int, ...]]],
        st.dictionaries(text, st.sets(st.lists(ints, max_size=3).map(tuple), max_size=3), max_size=3),
    ),
    "sequence": (Sequence[int], st.lists(ints)),
    "mapping": (Mapping[str, int], st.dictionaries(text, ints)),
    "int keys": (dict[int, str], st.dictionaries(ints, text)),
    "float keys": (dict[float, int], st.dictionaries(st.floats(allow_nan=False, allow_infinity=False), ints)),
    "bool keys": (dict[bool, int], st.dictionaries(st.booleans(), ints)),
    "UUID keys": (dict[UUID, Line], st.dictionaries(uuids, lines, max_size=2)),
    "date keys": (dict[date, int], st.dictionaries(dates, ints)),
    "datetime keys": (dict[datetime, int], st.dictionaries(st.datetimes(), ints, max_size=3)),
    "timedelta keys": (dict[timedelta, int], st.dictionaries(deltas, ints, max_size=3)),
    "Decimal keys": (dict[Decimal, int], st.dictionaries(decimals, ints, max_size=3)),
    "bytes keys": (dict[bytes, int], st.dictionaries(st.binary(), ints)),
    "enum keys": (dict[Level, dict[Word, int]], st.dictionaries(st.sampled_from(Level), st.dictionaries(st.sampled_from(Word), ints))),
    "union of scalars": (int | str | None, ints | text | st.none()),
    "union of int and float": (int | float, st.integers(-(2**53), 2**53) | st.floats()),
    "union of models": (Line | Cat | Dog, lines | pets),
    "union of containers": (list[int] | dict[str, int], st.lists(ints) | st.dictionaries(text, ints)),
    "discriminated union": (list[Pet], st.lists(pets, max_size=3)),
    "union with a function as discriminator": (TaggedPet, pets),
    "dataclass": (Point, points),
    "nested dataclasses": (list[Shape], st.lists(shapes, max_size=2)),
    "TypedDict": (Movie, movies),
    "recursive TypedDict": (Branch, branches),
    "NamedTuple": (Coordinates, st.builds(Coordinates, x=ints, y=floats)),
    "constraints": (Annotated[int, Field(gt=0, le=100)], st.integers(1, 100)),
    "constrained containers": (Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=3)], st.lists(st.text(min_size=1), max_size=3)),
    "generic model": (Page[Line], st.builds(Page[Line], items=st.lists(lines, max_size=2), next=st.none() | ints)),
    "generic model of dates": (Page[date], st.builds(Page[date], items=st.lists(dates, max_size=2))),
    "recursive model": (Tree, trees),
    "recursive alias": (JsonValue, json_values),
    "strict model": (Strict, stricts),
    "aliases": (Aliased, st.tuples(text, text, ints).map(lambda it: Aliased.model_validate({"from": it[0], "lastName": it[1], "o": it[2]}))),
    "model with base64 bytes": (Binary, st.builds(Binary, data=st.binary(), more=st.lists(st.binary()))),
    "model with hex bytes": (HexBinary, st.builds(HexBinary, data=st.binary())),
    "model with extra fields": (Open, st.builds(Open.model_validate, st.fixed_dictionaries({"id": ints, "more": json_values}))),
    "root model": (Names, st.dictionaries(text, st.lists(ints), max_size=3).map(Names)),
    "floats in models": (Reading, st.builds(Reading, value=floats, history=st.lists(floats, max_size=3))),
    "enums kept as values": (WithEnumValues, st.builds(WithEnumValues, word=st.sampled_from(Word), level=st.sampled_from(Level))),
    "Any": (Any, json_values),
    "dict": (dict, st.dictionaries(keys, json_values)),
    "dict of Any": (dict[str, Any], st.dictionaries(keys, json_values)),
    "list": (list, st.lists(json_values)),
    "object": (object, json_values),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_payload_survives_both_ways(case: str, data: st.DataObject) -> None:
    annotation, values = CASES[case]
    assert_survives(annotation, data.draw(values))


# --- secrets


class Login(BaseModel):
    user: str
    password: SecretStr
    pin: SecretBytes = SecretBytes(b"")


@dataclass
class Token:
    name: str
    value: SecretStr


class Vault(BaseModel):
    logins: list[Login]
    by_name: dict[str, SecretStr]
    maybe: SecretStr | None = None
    pair: tuple[str, SecretStr] = ("", SecretStr(""))
    wrapped: Secret[int] = Secret[int](0)
    children: "list[Vault]" = []


class Keys(TypedDict):
    name: str
    key: SecretStr


secret_texts = st.text(max_size=5).map(lambda it: f"§{it}§") | st.just(MASK)
secret_strs = secret_texts.map(SecretStr)
secret_bytes = st.binary().map(SecretBytes)
logins = st.builds(Login, user=text, password=secret_strs, pin=text.map(str.encode).map(SecretBytes))
vaults = st.builds(
    Vault,
    logins=st.lists(logins, max_size=2),
    by_name=st.dictionaries(text, secret_strs, max_size=2),
    maybe=st.none() | secret_strs,
    pair=st.tuples(text, secret_strs),
    wrapped=ints.map(Secret[int]),
)
SECRET_CASES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "SecretStr": (SecretStr, secret_strs),
    "SecretBytes": (SecretBytes, secret_bytes),
    "list of SecretStr": (list[SecretStr], st.lists(secret_strs)),
    "list of SecretBytes": (list[SecretBytes], st.lists(secret_bytes)),
    "set of SecretStr": (frozenset[SecretStr], st.frozensets(secret_strs)),
    "dict of SecretStr": (dict[str, SecretStr], st.dictionaries(text, secret_strs)),
    "dict of lists of SecretStr": (dict[int, list[SecretStr]], st.dictionaries(ints, st.lists(secret_strs))),
    "SecretStr or nothing": (SecretStr | None, st.none() | secret_strs),
    "Secret of int": (Secret[int], ints.map(Secret[int])),
    "Secret of date": (Secret[date], dates.map(Secret[date])),
    "Secret of list": (Secret[list[Decimal]], st.lists(decimals).map(Secret[list[Decimal]])),
    "model": (Login, logins),
    "nested models": (Vault, vaults),
    "models in containers": (dict[str, list[Login]], st.dictionaries(text, st.lists(logins, max_size=2), max_size=2)),
    "dataclass": (list[Token], st.lists(st.builds(Token, name=text, value=secret_strs), max_size=3)),
    "TypedDict": (Keys, st.fixed_dictionaries({"name": text, "key": secret_strs})),
    "union": (Login | Token | SecretStr, logins | secret_strs | st.builds(Token, name=text, value=secret_strs)),
    "generic": (Page[SecretStr], st.builds(Page[SecretStr], items=st.lists(secret_strs))),
    "constrained": (Annotated[SecretStr, Field(min_length=2)], secret_strs),
}


@pytest.mark.parametrize("case", SECRET_CASES)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_secret_arrives_whole(case: str, data: st.DataObject) -> None:
    annotation, values = SECRET_CASES[case]
    assert_survives(annotation, data.draw(values))


def masked(data: Any) -> Any:
    if isinstance(data, str):
        return MASK if data.startswith("§") else data
    if isinstance(data, list):
        return [masked(item) for item in data]
    return {masked(key): masked(value) for key, value in data.items()} if isinstance(data, dict) else data


unmarked = text.filter(lambda drawn: "§" not in drawn)  # what marks the secrets of this test


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    value=st.builds(
        Vault,
        logins=st.lists(st.builds(Login, user=unmarked, password=secret_texts.map(SecretStr)), max_size=2),
        by_name=st.dictionaries(unmarked, secret_strs, max_size=2),
        maybe=secret_strs,
    )
)
def test_what_is_no_secret_is_written_as_pydantic_writes_it(value: Vault) -> None:
    encoded = masked(Payload(Vault).encode(value))
    plain = TypeAdapter(Vault).dump_python(value, mode="json")
    for vault in (encoded, plain):
        vault["wrapped"] = MASK
        vault["pair"][1] = MASK
        for login in vault["logins"]:
            login["pin"] = ""
    assert encoded == plain


def test_text_that_looks_like_a_mask_stays_beside_a_secret() -> None:
    value = Login(user=MASK, password=SecretStr("hunter2"))
    arrived = there(task_of(Login), value)
    assert arrived.user == MASK
    assert arrived.password.get_secret_value() == "hunter2"


@pytest.mark.parametrize("annotation", [Any, dict[str, Any], dict, list[Any]], ids=str)
def test_a_secret_in_an_any_arrives_whole(annotation: Any) -> None:
    inner = {"password": SecretStr("hunter2"), "text": MASK, "login": Login(user="u", password=SecretStr("h3"))}
    value = [inner] if annotation == list[Any] else inner
    arrived = there(task_of(annotation), value)
    arrived = arrived[0] if annotation == list[Any] else arrived
    assert arrived["password"] == "hunter2"
    assert arrived["text"] == MASK
    assert arrived["login"]["password"] == "h3"


def test_a_secret_in_an_extra_field_arrives_whole() -> None:
    arrived = there(task_of(Open), Open.model_validate({"id": 1, "key": SecretStr("hunter2"), "text": MASK}))
    assert arrived.__pydantic_extra__ == {"key": "hunter2", "text": MASK}


def test_secrets_in_a_set_stay_with_their_neighbours() -> None:
    definition = task_of(set[tuple[SecretStr, int]])
    for attempt in range(30):  # the order of a set is chance
        expected = {(f"secret{attempt}.{number}", number * 8) for number in range(60)}
        arrived = there(definition, {(SecretStr(text), number) for text, number in expected})
        assert {(key.get_secret_value(), number) for key, number in arrived} == expected


class FrozenKey(BaseModel):
    model_config = ConfigDict(frozen=True)
    id: int
    key: SecretStr


@dataclass(frozen=True)
class FrozenToken:
    id: int
    key: SecretStr


class FrozenName(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: str


def test_a_set_of_models_with_secrets_is_refused_for_its_order_is_chance() -> None:
    with pytest.raises(ContractError, match="JSON cannot carry a set of secrets"):
        task_of(frozenset[FrozenKey])


def test_a_set_of_dataclasses_with_secrets_survives() -> None:
    assert_survives(set[FrozenToken], {FrozenToken(n, SecretStr(str(n))) for n in range(20)})


def test_text_that_looks_like_a_mask_in_a_set_of_models_survives_beside_an_any() -> None:
    assert_survives(tuple[frozenset[FrozenName], Any], (frozenset({FrozenName(name=MASK)}), 1))


@pytest.mark.parametrize("annotation", [dict[SecretStr, int], dict[SecretBytes, int]], ids=str)
def test_secrets_as_keys_are_refused_for_error_paths_would_show_them(annotation: Any) -> None:
    with pytest.raises(ContractError, match="JSON cannot carry a secret as a key"):
        task_of(annotation)


def test_secret_bytes_beside_bytes_in_a_model_survive() -> None:
    assert_survives(Binary2, Binary2(data=b"\xff", key=SecretBytes(b"\xff\x00")))


class Binary2(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    data: bytes
    key: SecretBytes


def test_binary_secret_bytes_in_a_plain_model_are_refused_with_a_remedy() -> None:
    with pytest.raises(PayloadError) as raised:
        encode_call(task_of(Login), (Login(user="u", password=SecretStr("p"), pin=SecretBytes(b"\xff\x00")),), {})
    assert raised.value.paths == ("value",)
    assert (
        raised.value.faults[0].remedy == "give the model ConfigDict(ser_json_bytes='base64', val_json_bytes='base64')"
    )


def test_a_secret_model_survives() -> None:
    assert_survives(Secret[Binary], Secret[Binary](Binary(data=b"\xff")))


# --- bytes: whole, or refused with a remedy, never something else


class PlainBytes(BaseModel):
    data: bytes


class OnlyWritesBase64(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64")
    data: bytes


class OnlyReadsBase64(BaseModel):
    model_config = ConfigDict(val_json_bytes="base64")
    data: bytes


@dataclass
class BytesInDataclass:
    data: bytes


class BytesInTypedDict(TypedDict):
    data: bytes


@pytest.mark.parametrize("data", [b"abcd", b"abc", b"", b"\xff\x00", b"YWJj"], ids=repr)
def test_bytes_in_a_typed_dict_survive(data: bytes) -> None:
    assert_survives(BytesInTypedDict, {"data": data})


@pytest.mark.parametrize("cls", [PlainBytes, BytesInDataclass])
def test_bytes_that_are_text_survive_in_a_plain_model(cls: Any) -> None:
    assert_survives(cls, cls(data=b"abcd"))


def test_bytes_in_a_dataclass_fare_alike_as_argument_and_as_result() -> None:
    definition = task_of(BytesInDataclass)
    value = BytesInDataclass(data=b"\xff")
    arrived = there(definition, value)
    assert arrived == value
    assert and_back(definition, arrived) == value


def test_bytes_that_are_no_text_are_refused_in_a_plain_model_with_a_remedy() -> None:
    with pytest.raises(PayloadError) as raised:
        encode_call(task_of(PlainBytes), (PlainBytes(data=b"\xff"),), {})
    (fault,) = raised.value.faults
    assert (fault.task, fault.path, fault.got, fault.code) == ("echoes.echo", "value", "binary", "bytes")
    assert fault.remedy == "give the model ConfigDict(ser_json_bytes='base64', val_json_bytes='base64')"


# --- refused, or whole


class TupleEnum(enum.Enum):
    PAIR = (1, 2)


class DecimalEnum(enum.Enum):
    HALF = Decimal("0.5")


class DateEnum(enum.Enum):
    FIRST = date(2020, 1, 1)


class BytesEnum(enum.Enum):
    RAW = b"\xff"


class ObjectEnum(enum.Enum):
    THING = object()


@dataclass
class Seeded:
    value: int
    seed: dataclasses.InitVar[int]

    def __post_init__(self, seed: int) -> None:
        self.value += seed


class OneWay(BaseModel):
    name: str = Field(serialization_alias="written")


class Around(BaseModel):
    inner: OneWay

    @model_validator(mode="before")
    @classmethod
    def look(cls, data: Any) -> Any:
        return data


class JsonText(BaseModel):
    data: Json[list[int]]


def _as_it_is(value: Any) -> Any:
    return value


HARD: dict[str, tuple[Any, Any]] = {
    "enum of tuples": (TupleEnum, TupleEnum.PAIR),
    "enum of Decimals": (DecimalEnum, DecimalEnum.HALF),
    "enum of dates": (DateEnum, DateEnum.FIRST),
    "enum of bytes": (BytesEnum, BytesEnum.RAW),
    "enum of objects": (ObjectEnum, ObjectEnum.THING),
    "keys that are tuples": (dict[tuple[int, int], str], {(1, 2): "x"}),
    "keys that are None": (dict[None, int], {None: 1}),
    "keys that may be None": (dict[int | None, int], {None: 1, 2: 3}),
    "keys that are int literals": (dict[Literal[1, 2], int], {1: 2}),
    "keys that are frozensets": (dict[frozenset[int], int], {frozenset({1}): 1}),
    "keys that are complex": (dict[complex, int], {1j: 1}),
    "keys of an enum of Decimals": (dict[DecimalEnum, int], {DecimalEnum.HALF: 1}),
    "literal bytes": (Literal[b"a"], b"a"),
    "Json": (Json[list[int]], "[1, 2]"),
    "Json in a model": (JsonText, JsonText.model_validate({"data": "[1]"})),
    "InitVar": (Seeded, Seeded(1, 2)),
    "unvalidated model": (SkipValidation[Line], Line(sku="a", quantity=1, price=Decimal(1))),
    "one way alias below a validator of a model": (Around, Around.model_validate({"inner": {"name": "x"}})),
    "one way alias below a validator of a parameter": (Annotated[list[OneWay], BeforeValidator(_as_it_is)], [OneWay(name="x")]),
    "bytes that are only written as base64": (OnlyWritesBase64, OnlyWritesBase64(data=b"abcd")),
    "bytes that are only read as base64": (OnlyReadsBase64, OnlyReadsBase64(data=b"abcd")),
}  # fmt: skip


@pytest.mark.parametrize("case", HARD)
def test_a_type_that_cannot_survive_is_refused_at_the_contract(case: str) -> None:
    annotation, value = HARD[case]
    try:
        task_of(annotation)
    except ContractError as error:
        assert {fault.path for fault in error.faults} == {"return", "value"}  # noqa: PT017 - to be refused is one of two good outcomes
        assert error.faults[0].remedy  # noqa: PT017 - as above
        return
    try:
        assert_survives(annotation, value)
    except PayloadError as error:
        assert "its JSON cannot be read back" in str(error)  # noqa: PT017 - before anything is sent


@pytest.mark.parametrize("annotation", [ImportString, list[ImportString[Any]], dict[str, ImportString[Any]]], ids=str)
def test_a_type_that_imports_what_a_message_names_is_refused(annotation: Any) -> None:
    with pytest.raises(ContractError):
        task_of(annotation)


@pytest.mark.parametrize(
    "value",
    [
        {"__type__": "decimal", "__value__": "1"},
        {"__type__": "uuid", "__value__": "x"},
        {"__type__": "unheard of", "__value__": 1},
        {"inner": [{"__type__": "datetime", "__value__": "2020-01-01"}]},
    ],
    ids=str,
)
def test_data_that_looks_like_a_kombu_type_survives_or_is_refused_by_the_client(value: dict[str, Any]) -> None:
    definition = task_of(dict[str, Any])
    try:
        call = encode_call(definition, (value,), {})
    except PayloadError:
        return
    assert decode_call(definition, [], over_the_wire(call.kwargs))[1] == {"value": value}


# --- what plain Celery peers send


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (datetime, datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC)),
        (date, date(2024, 1, 2)),
        (time, time(1, 2, 3)),
        (Decimal, Decimal("1.10")),
        (UUID, UUID(int=5)),
        (bytes, b"\xff\x00"),
        (list[bytes], [b"\xff\x00"]),
    ],
    ids=str,
)
def test_what_a_plain_sender_writes_with_kombus_json_is_read(annotation: Any, value: Any) -> None:
    definition = task_of(annotation)
    args, kwargs = over_the_wire([[value], {}])
    assert decode_call(definition, args, kwargs) == ((), {"value": value})


def test_a_plain_sender_may_be_positional_or_by_keyword() -> None:
    definition = task_of(Line)
    wire = {"sku": "a", "quantity": 2, "price": "1.5"}
    line = Line(sku="a", quantity=2, price=Decimal("1.5"))
    assert decode_call(definition, [wire], {}) == ((), {"value": line})
    assert decode_call(definition, (), {"value": wire}) == ((), {"value": line})


# --- a value that does not fit


def test_a_subclass_is_sent_as_what_the_contract_declares() -> None:
    class Discounted(Line):
        rebate: int = 5

    line = Discounted(sku="a", quantity=1, price=Decimal(1))
    assert there(task_of(Line), line) == Line(sku="a", quantity=1, price=Decimal(1))


def test_a_model_that_was_changed_to_another_type_is_refused_with_its_path() -> None:
    line = Line(sku="a", quantity=1, price=Decimal(1))
    line.__dict__["quantity"] = "many"
    with pytest.raises(PayloadError) as raised:
        encode_call(task_of(Line), (line,), {})
    assert raised.value.paths == ("value.quantity",)
    assert raised.value.faults[0].code == "not_serializable"


def test_a_model_that_was_changed_against_its_constraints_is_refused_by_the_worker() -> None:
    order = Order(id=1, lines=[Line(sku="a", quantity=1, price=Decimal(1))], placed=datetime(2024, 1, 1))  # noqa: DTZ001 - naive is a payload too
    order.lines[0].quantity = -1
    definition = task_of(Order)
    with pytest.raises(PayloadError) as raised:
        decode_call(definition, (), encode_call(definition, (order,), {}).kwargs)
    assert raised.value.paths == ("value.lines.0.quantity",)


def test_text_with_a_lone_surrogate_is_refused_by_the_client() -> None:
    for annotation in (str, Any, dict[str, Any]):
        with pytest.raises(PayloadError):
            encode_call(task_of(annotation), ("\ud800" if annotation is not dict[str, Any] else {"a": "\ud800"},), {})


def test_an_object_in_an_any_is_refused_by_the_client() -> None:
    with pytest.raises(PayloadError, match=r"echoes\.echo: value: expected Any, got Unable to serialize unknown type"):
        encode_call(task_of(Any), (object(),), {})


def test_a_repr_that_raises_does_not_keep_a_call_from_being_sent() -> None:
    class Shy(BaseModel):
        id: int

        def __repr__(self) -> str:
            raise RuntimeError("no repr")

    assert encode_call(task_of(Shy), (Shy(id=1),), {}).kwargs == {"value": {"id": 1}}


def test_a_result_that_does_not_fit_names_the_path_on_both_sides() -> None:
    definition = task_of(Order)
    bad = {"id": "x", "lines": [{"sku": "a", "quantity": 0, "price": "1"}], "placed": "2024-01-01T00:00:00"}
    for side, remedy in (
        (encode_result, "correct the implementation, or widen the contract's result"),
        (decode_result, "the worker's contract differs: deploy the same version of the contract on both sides"),
    ):
        with pytest.raises(ResultError) as raised:
            side(definition, bad)
        assert raised.value.task == "echoes.echo"
        assert raised.value.paths == ("return.id", "return.lines.0.quantity")
        assert {fault.remedy for fault in raised.value.faults} == {remedy}


# --- nothing secret shows


class Hidden(BaseModel):
    name: str
    card: str = Field(repr=False)


@dataclass
class HiddenInDataclass:
    name: str
    card: str = field(repr=False)


class HiddenInTypedDict(TypedDict):
    name: str
    card: Annotated[str, Field(repr=False)]


SECRETIVE: dict[str, tuple[Any, Any]] = {
    "SecretStr": (SecretStr, SecretStr("hunter2")),
    "SecretBytes": (SecretBytes, SecretBytes(b"hunter2")),
    "Secret": (Secret[str], Secret[str]("hunter2")),
    "list": (list[SecretStr], [SecretStr("hunter2")]),
    "dict": (dict[str, SecretStr], {"a": SecretStr("hunter2")}),
    "model": (Login, Login(user="u", password=SecretStr("hunter2"))),
    "models": (Page[Login], Page[Login](items=[Login(user="u", password=SecretStr("hunter2"))])),
    "dataclass": (Token, Token("n", SecretStr("hunter2"))),
    "TypedDict": (Keys, {"name": "n", "key": SecretStr("hunter2")}),
    "Any": (Any, [SecretStr("hunter2")]),
    "hidden field": (Hidden, Hidden(name="n", card="hunter2")),
    "hidden field of a dataclass": (HiddenInDataclass, HiddenInDataclass("n", "hunter2")),
    "hidden field of a TypedDict": (HiddenInTypedDict, {"name": "n", "card": "hunter2"}),
    "hidden parameter": (Annotated[str, Field(repr=False)], "hunter2"),
    "hidden items": (list[Annotated[str, Field(repr=False)]], ["hunter2"]),
}


@pytest.mark.parametrize("case", SECRETIVE)
def test_no_secret_shows_in_the_reprs_of_a_call_or_a_result(case: str) -> None:
    annotation, value = SECRETIVE[case]
    definition = task_of(annotation)
    call = encode_call(definition, (value,), {})
    assert "hunter2" in dumps(call.kwargs) or annotation is SecretBytes
    assert "hunter2" not in call.argsrepr + call.kwargsrepr
    encoded = encode_result(definition, value)
    if annotation is not Any:
        assert isinstance(encoded, SealedResult)
        assert "hunter2" not in repr(encoded) + str(encoded)
        assert "hunter2" not in "".join(shown_call(definition, [], over_the_wire(call.kwargs)))
        assert "hunter2" not in "".join(shown_call(definition, ["hunter2", "hunter2"], {"other": "hunter2"}))


WRONG: dict[str, tuple[Any, Any]] = {
    "value of a secret": (SecretStr, ["hunter2"]),
    "neighbour of a secret": (Login, {"user": ["hunter2"], "password": "hunter2"}),
    "missing neighbour": (Login, {"password": "hunter2"}),
    "secret in a list": (list[Annotated[SecretStr, Field(max_length=2)]], ["hunter2"]),
    "secret in a union": (Login | list[SecretStr], {"password": "hunter2"}),
    "hidden field": (Hidden, {"name": 5, "card": "hunter2"}),
    "hidden field of a wrong type": (Hidden, {"name": "n", "card": ["hunter2"]}),
    "hidden field of a dataclass": (HiddenInDataclass, {"name": "n", "card": ["hunter2"]}),
    "hidden field of a TypedDict": (HiddenInTypedDict, {"name": "n", "card": ["hunter2"]}),
    "hidden parameter": (Annotated[str, Field(repr=False)], ["hunter2"]),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("side", ["client", "worker"])
def test_no_secret_shows_in_a_payload_error_or_its_traceback(case: str, side: str) -> None:
    annotation, value = WRONG[case]
    definition = task_of(annotation)
    with pytest.raises(PayloadError) as raised:
        encode_call(definition, (value,), {}) if side == "client" else decode_call(definition, [value], {})
    error = raised.value
    assert error.task == "echoes.echo"
    assert "hunter2" not in str(error) + repr(error) + str(error.data) + repr(error.args)
    assert "hunter2" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("case", WRONG)
def test_no_secret_shows_in_a_result_error_or_its_traceback(case: str) -> None:
    annotation, value = WRONG[case]
    for side in (encode_result, decode_result):
        with pytest.raises(ResultError) as raised:
            side(task_of(annotation), value)
        assert "hunter2" not in str(raised.value) + repr(raised.value) + str(raised.value.data)
        assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_a_secret_of_another_type_is_refused_without_showing_it() -> None:
    login = Login(user="u", password=SecretStr("hunter2"))
    login.__dict__["password"] = "hunter2"
    with pytest.raises(PayloadError) as raised:
        encode_call(task_of(Login), (login,), {})
    assert "hunter2" not in "".join(traceback.format_exception(raised.value)) + str(raised.value.data)


def test_a_type_is_compiled_once_while_a_task_uses_it() -> None:
    kept = payload_of(list[Login])
    assert payload_of(list[Login]) is kept
    assert payload_of(list[Login], NativePayload) is not kept


@pytest.mark.parametrize(
    ("one", "other"),
    [(Literal[1], Literal[True]), (int | str, str | int), (list[int | str], list[str | int])],
    ids=str,
)
def test_types_that_are_nearly_the_same_are_compiled_apart(one: Any, other: Any) -> None:
    kept = payload_of(one)
    assert payload_of(other) is not kept
    assert payload_of(other).annotation is other


def test_a_type_without_a_hash_is_compiled() -> None:
    assert payload_of(Annotated[int, Field(gt=1), ["a note"]]).validate(2) == 2


def test_a_compiled_type_goes_with_the_last_that_uses_it() -> None:
    class Passing(BaseModel):
        number: int

    payload = payload_of(list[Passing])
    gone = weakref.ref(payload)
    del payload
    gc.collect()
    assert gone() is None
