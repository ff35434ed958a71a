"""Pairs of versions of a contract, drawn by hypothesis: real contracts, with JSON values that each side takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Protocol, Union
from uuid import UUID

from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictInt, create_model

from pico_celery import contract
from pico_celery.contract.catalog import Catalog
from pico_celery.contract.definition import TaskDefinition
from pico_celery.document.build import document_of
from pico_celery.document.records import Document

Values = st.SearchStrategy[Any]
Draw = Callable[[Values], Any]


@dataclass(frozen=True)
class Typed:
    """A type, with JSON values that it should accept."""

    annotation: Any
    values: Values


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Shade(Enum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


TEXTS = st.text("abcXYZ 019-é", max_size=8)
WORDS = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
NUMBERS = st.integers(-30, 30)


def _integers(low: int | None, high: int | None, step: int | None, *, strict: bool = False) -> Typed:
    plain: Any = StrictInt if strict else int
    annotation = Annotated[plain, Field(ge=low, le=high, multiple_of=step)]
    values = st.integers(-30 if low is None else low, 30 if high is None else high)
    return Typed(annotation, values if step is None else values.map(lambda value: value // step * step))


@st.composite
def scalars(draw: Draw) -> Typed:
    bound = st.none() | st.integers(-3, 3)
    length = st.none() | st.integers(0, 3)
    kinds: list[Callable[[], Typed]] = [
        lambda: _integers(draw(bound), draw(st.none() | st.integers(4, 9)), draw(st.sampled_from([None, None, 2, 3]))),
        lambda: _integers(None, None, None, strict=True),
        lambda: Typed(float, NUMBERS | st.floats(-9, 9)),
        lambda: Typed(
            Annotated[float, Field(gt=draw(bound), lt=draw(st.none() | st.integers(4, 9)))], st.floats(-9, 9)
        ),
        lambda: Typed(bool, st.booleans()),
        lambda: Typed(str, TEXTS),
        lambda: Typed(
            Annotated[str, Field(min_length=draw(length), max_length=draw(st.none() | st.integers(3, 8)))], TEXTS
        ),
        lambda: Typed(Annotated[str, Field(pattern=draw(st.sampled_from(["^[a-z]+$", "^[a-z0-9]*$", "z"])))], WORDS),
        lambda: Typed(Decimal, st.decimals(-9, 9, places=2).map(str) | NUMBERS),
        lambda: Typed(
            Annotated[Decimal, Field(max_digits=draw(st.integers(3, 6)), decimal_places=draw(st.integers(1, 2)))],
            st.decimals(-9, 9, places=2).map(str),
        ),
        lambda: Typed(datetime, st.datetimes().map(datetime.isoformat)),
        lambda: Typed(AwareDatetime, st.datetimes().map(lambda value: f"{value.isoformat()}Z")),
        lambda: Typed(date, st.dates().map(date.isoformat)),
        lambda: Typed(timedelta, st.integers(0, 999).map(lambda seconds: f"PT{seconds}S")),
        lambda: Typed(UUID, st.uuids().map(str)),
        lambda: Typed(Colour, st.sampled_from(["red", "green"])),
        lambda: Typed(Shade, st.sampled_from(["red", "green", "blue"])),
        lambda: Typed(Literal["a", "b"], st.sampled_from(["a", "b"])),
        lambda: Typed(Literal["a", 1, True], st.sampled_from(["a", 1, True])),
        lambda: Typed(Any, TEXTS | NUMBERS | st.none() | st.lists(NUMBERS, max_size=2)),
        lambda: Typed(bytes, TEXTS),
    ]
    chosen: Callable[[], Typed] = draw(st.sampled_from(kinds))
    return chosen()


@st.composite
def pairs(draw: Draw, depth: int = 2) -> tuple[Typed, Typed]:
    """Draw an old and a new type: the same, nearly the same, or others."""
    if draw(st.integers(0, 7)) == 0:
        return draw(types(depth)), draw(types(depth))
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        one = draw(scalars())
        return (one, one) if draw(st.booleans()) else (one, draw(scalars()))
    made: Callable[[Draw, int], tuple[Typed, Typed]] = draw(
        st.sampled_from([_optional, _listed, _mapped, _tupled, _joined, _modelled, _modelled, _modelled, _tagged])
    )
    return made(draw, depth - 1)


@st.composite
def types(draw: Draw, depth: int = 1) -> Typed:
    found: Typed = draw(pairs(depth))[0] if depth else draw(scalars())
    return found


def _optional(draw: Draw, depth: int) -> tuple[Typed, Typed]:
    old, new = draw(pairs(depth))
    return _maybe(draw, old), _maybe(draw, new)


def _maybe(draw: Draw, typed: Typed) -> Typed:
    return Typed(Union[typed.annotation, None], typed.values | st.none()) if draw(st.booleans()) else typed  # noqa: UP007 - of any annotation


def _listed(draw: Draw, depth: int) -> tuple[Typed, Typed]:
    old, new = draw(pairs(depth))
    return _list_of(draw, old), _list_of(draw, new)


def _list_of(draw: Draw, item: Typed) -> Typed:
    low, high = draw(st.sampled_from([(None, None), (1, None), (None, 2), (0, 3)]))
    values = st.lists(item.values, min_size=low or 0, max_size=3 if high is None else high)
    return Typed(Annotated[list[item.annotation], Field(min_length=low, max_length=high)], values)  # type: ignore[name-defined]


def _mapped(draw: Draw, depth: int) -> tuple[Typed, Typed]:
    old, new = draw(pairs(depth))
    return tuple(Typed(dict[str, one.annotation], st.dictionaries(WORDS, one.values, max_size=2)) for one in (old, new))  # type: ignore[return-value,name-defined]


def _tupled(draw: Draw, depth: int) -> tuple[Typed, Typed]:
    first, second = draw(pairs(depth)), draw(pairs(depth))
    made = []
    for one, other in zip(first, second, strict=True):
        made.append(Typed(tuple[one.annotation, other.annotation], st.tuples(one.values, other.values).map(list)))  # type: ignore[name-defined]
    return made[0], made[1]


def _joined(draw: Draw, depth: int) -> tuple[Typed, Typed]:
    members = [draw(pairs(depth)) for _ in range(draw(st.integers(2, 3)))]
    return _union_of(draw, [old for old, _ in members]), _union_of(draw, [new for _, new in members])


def _union_of(draw: Draw, members: list[Typed]) -> Typed:
    kept = [member for member in members if draw(st.integers(0, 4))] or members[:1]
    return Typed(Union[tuple(member.annotation for member in kept)], st.one_of([member.values for member in kept]))  # noqa: UP007 - of any number


def _modelled(draw: Draw, depth: int) -> tuple[Typed, Typed]:
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True))
    fields = {name: draw(pairs(depth)) for name in names}
    return (
        _model(draw, {name: old for name, (old, _) in fields.items()}),
        _model(draw, {name: new for name, (_, new) in fields.items()}),
    )


def _model(draw: Draw, fields: dict[str, Typed], tag: str | None = None) -> Typed:
    made: dict[str, Any] = {}
    required: dict[str, Values] = {}
    optional: dict[str, Values] = {}
    for name, typed in fields.items():
        presence = draw(st.sampled_from(["required", "required", "required", "optional", "nullable", "left out"]))
        if presence == "required":
            made[name] = (typed.annotation, ...)
            required[name] = typed.values
        elif presence == "optional":
            made[name] = (int, 5)
            optional[name] = NUMBERS
        elif presence == "nullable":
            made[name] = (Union[typed.annotation, None], None)  # noqa: UP007 - of any annotation
            optional[name] = st.none() | typed.values
    if tag is not None:
        made["kind"] = (Literal[tag], ... if draw(st.booleans()) else tag)
        required["kind"] = st.just(tag)
    extra: Any = draw(st.sampled_from(["ignore", "ignore", "forbid", "allow"]))
    model = create_model(f"Model{tag or ''}", __config__=ConfigDict(extra=extra), **made)
    if extra == "allow":
        optional["e"] = NUMBERS
    return Typed(model, st.fixed_dictionaries(required, optional=optional))


def _tagged(draw: Draw, depth: int) -> tuple[Typed, Typed]:
    tags = ["x", "y", "z"][: draw(st.integers(2, 3))]
    fields = {tag: draw(pairs(depth)) for tag in tags}
    old = [_model(draw, {"a": fields[tag][0]}, tag) for tag in tags]
    new = [_model(draw, {"a": fields[tag][1]}, tag) for tag in tags]
    return _one_of(draw, old), _one_of(draw, new)


def _one_of(draw: Draw, members: list[Typed]) -> Typed:
    kept = [member for member in members if draw(st.integers(0, 4))]
    kept = kept if len(kept) > 1 else members[:2]
    union: Any = Union[tuple(member.annotation for member in kept)]  # noqa: UP007 - of any number
    values = st.one_of([member.values for member in kept])
    return Typed(Annotated[union, Field(discriminator="kind")], values)


class Node(BaseModel):
    """A model that holds itself."""

    value: int
    next: Node | None = None


@dataclass(frozen=True)
class Version:
    """A version of a contract with one task, ``svc.run``."""

    definition: TaskDefinition
    document: Document
    arguments: Values
    result: Values
    text: str = field(repr=True)


@dataclass(frozen=True)
class Parameter:
    name: str
    typed: Typed
    required: bool
    keyword_only: bool


def _version(parameters: list[Parameter], result: Typed) -> Version:
    names: dict[str, Any] = {"Protocol": Protocol, "Result": result.annotation, "__name__": __name__}
    listed = []
    ordered = sorted(parameters, key=lambda one: (one.keyword_only, not one.required and not one.keyword_only))
    for parameter in ordered:
        if parameter.keyword_only and "*" not in listed:
            listed.append("*")
        names[f"T_{parameter.name}"] = (
            parameter.typed.annotation if parameter.required else Union[parameter.typed.annotation, None]  # noqa: UP007 - of any annotation
        )
        listed.append(f"{parameter.name}: T_{parameter.name}" + ("" if parameter.required else " = None"))
    source = f"class Svc(Protocol):\n    async def run(self, {', '.join(listed)}) -> Result: ...\n"
    exec(compile(source, __file__, "exec", dont_inherit=True), names)
    catalog = Catalog()
    contract("svc", catalog=catalog)(names["Svc"])
    definition = catalog.tasks["svc.run"]
    required = {one.name: one.typed.values for one in parameters if one.required}
    optional = {one.name: one.typed.values | st.none() for one in parameters if not one.required}
    text = f"{', '.join(map(str, definition.parameters))} -> {result.annotation}"
    arguments = st.fixed_dictionaries(required, optional=optional)
    return Version(definition, document_of(catalog.contracts), arguments, result.values, text)


@st.composite
def versions(draw: Draw) -> tuple[Version, Version]:
    """Draw an old and a new version of a contract."""
    names = draw(st.lists(st.sampled_from("pqr"), min_size=1, max_size=3, unique=True))
    typed = {name: draw(pairs()) for name in names}
    result = draw(pairs())
    made = []
    for side in (0, 1):
        own = draw(st.permutations(names)) if draw(st.integers(0, 5)) == 0 else names
        parameters = [
            Parameter(name, typed[name][side], draw(st.integers(0, 3)) > 0, draw(st.integers(0, 3)) == 0)
            for name in own
            if draw(st.integers(0, 7))
        ]
        made.append(_version(parameters, result[side]))
    return made[0], made[1]
