"""Claims: a digest changes exactly when the wire changes, and is the same in every process."""

import enum
import os
import subprocess
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Annotated, Any, Literal, Optional, Protocol, Union
from uuid import UUID

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, NaiveDatetime, PastDate, Strict, create_model
from typing_extensions import TypedDict

from pico_celery import Catalog, contract
from pico_celery.contract.digest import DIGEST_LENGTH
from pico_celery.contract.marks import marks_of


def digest_of(method: Any) -> str:
    cls = types.new_class("Digests", (Protocol,), {}, lambda body: body.update(run=method))
    contract("digests", catalog=Catalog())(cls)
    definition = marks_of(method).definition
    assert definition is not None
    assert len(definition.digest) == DIGEST_LENGTH
    return definition.digest


def digest_of_type(annotation: Any) -> str:
    async def run(self: Any, x: Any) -> None: ...

    run.__annotations__ = {"x": annotation, "return": None}
    return digest_of(run)


def model(name: str = "Model", /, *, config: ConfigDict | None = None, **fields: Any) -> Any:
    return create_model(name, __config__=config, **fields)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class MoreColour(enum.Enum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


class Reordered(enum.Enum):
    """Another text."""

    AZURE = "blue"
    ROUGE = "red"


class Node(BaseModel):
    value: int
    next: "Node | None" = None


class Knot(BaseModel):
    """A node by another name."""

    next: "Knot | None" = None
    value: int = Field(title="other", description="a text", examples=[1])


class NodeOfText(BaseModel):
    value: str
    next: "NodeOfText | None" = None


class Pair(BaseModel):
    left: Node
    right: Node


class PairOfText(BaseModel):
    left: NodeOfText
    right: Node


class Ping(BaseModel):
    pong: "Pong | None" = None


class Pong(BaseModel):
    ping: Ping | None = None
    value: int


class Ping2(BaseModel):
    pong: "Pong2 | None" = None


class Pong2(BaseModel):
    ping: Ping2 | None = None
    value: str


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Hound(BaseModel):
    name: str
    kind: Literal["dog"]


class Wolf(BaseModel):
    kind: Literal["wolf"]
    name: str


class Fields(TypedDict):
    a: int


@dataclass
class Data:
    a: int


SAME: dict[str, tuple[Any, Any]] = {
    "renamed model": (model("One", a=(int, ...)), model("Two", a=(int, ...))),
    "reordered properties": (model(a=(int, ...), b=(str, "x")), model(b=(str, "x"), a=(int, ...))),
    "title and description": (model(a=(int, ...)), model(a=(Annotated[int, Field(title="t", description="d", examples=[5])], ...))),
    "deprecated": (model(a=(int, ...)), model(a=(Annotated[int, Field(deprecated=True)], ...))),
    "order of a union": (int | str, str | int),
    "spelling of a union": (Optional[int], Union[None, int]),  # noqa: UP007, UP045 - the spellings are the claim
    "order of models in a union": (Cat | Dog, Dog | Cat),
    "renamed member of a discriminated union": (
        Annotated[Cat | Dog, Field(discriminator="kind")],
        Annotated[Hound | Cat, Field(discriminator="kind")],
    ),
    "order and names of enum members": (Colour, Reordered),
    "order of a literal": (Literal["a", "b"], Literal["b", "a"]),
    "renamed recursive model": (Node, Knot),
    "nested renamed model": (list[Node], list[Knot]),
    "alias for the name": (model(b=(int, ...)), model(a=(Annotated[int, Field(alias="b")], ...))),
    "list and sequence": (list[int], Sequence[int]),
    "model, TypedDict and dataclass of one shape": (model(a=(int, ...)), Data),
}  # fmt: skip


@pytest.mark.parametrize("case", SAME)
def test_what_is_the_same_on_the_wire_has_the_same_digest(case: str) -> None:
    one, other = SAME[case]
    assert digest_of_type(one) == digest_of_type(other)


DIFFERENT: dict[str, tuple[Any, ...]] = {
    "scalars": (int, str, float, bool, bytes, datetime, date, timedelta, UUID, Decimal, Any, None),
    "containers": (list[int], list[str], set[int], dict[str, int], dict[str, str], tuple[int, str], tuple[str, int], int),
    "nothing allowed": (int, int | None),
    "constraints of ints": (int, *(Annotated[int, Field(**{k: 5})] for k in ("gt", "ge", "lt", "le", "multiple_of")), Annotated[int, Field(gt=6)]),  # type: ignore[call-overload]
    "constraints of text": (str, Annotated[str, Field(min_length=1)], Annotated[str, Field(max_length=1)], Annotated[str, Field(pattern="a")]),
    "constraints of containers": (list[int], Annotated[list[int], Field(min_length=1)], list[Annotated[int, Field(gt=0)]]),
    "constraints of Decimals": (Decimal, Annotated[Decimal, Field(max_digits=5)], Annotated[Decimal, Field(max_digits=6)], Annotated[Decimal, Field(decimal_places=2)]),
    "constraints of dates": (date, Annotated[date, Field(gt=date(2020, 1, 1))], Annotated[date, Field(gt=date(2021, 1, 1))]),
    "kinds of dates": (date, PastDate),
    "kinds of datetimes": (datetime, AwareDatetime, NaiveDatetime),
    "strictness": (int, Annotated[int, Strict()]),
    "infinity": (float, Annotated[float, Field(allow_inf_nan=False)]),
    "keys": (dict[str, int], dict[int, int], dict[UUID, int], dict[date, int]),
    "enum members": (Colour, MoreColour),
    "keys of an enum": (dict[Colour, int], dict[MoreColour, int]),
    "literals": (Literal["a"], Literal["b"], Literal["a", "b"], Literal[1], Literal[True]),
    "fields": (model(a=(int, ...)), model(a=(str, ...)), model(a=(int, 1)), model(a=(int, 2)), model(b=(int, ...)), model(a=(int, ...), b=(int, ...)), model(a=(int | None, ...)), model(a=(int | None, None))),
    "extra fields": tuple(model(config=ConfigDict(extra=extra), a=(int, ...)) for extra in ("allow", "forbid", "ignore")),
    "names beside aliases": (model(a=(Annotated[int, Field(alias="b")], ...)), model(config=ConfigDict(populate_by_name=True), a=(Annotated[int, Field(alias="b")], ...))),
    "recursive models": (Node, NodeOfText),
    "a difference below": (Pair, PairOfText),
    "a difference in a circle": (Ping, Ping2),
    "members of a discriminated union": (Annotated[Cat | Dog, Field(discriminator="kind")], Annotated[Cat | Wolf, Field(discriminator="kind")], Cat | Dog),
    "bytes in models": (model(a=(bytes, ...)), model(config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64"), a=(bytes, ...))),
    "how durations are written": (model(a=(timedelta, ...)), model(config=ConfigDict(ser_json_timedelta="float"), a=(timedelta, ...))),
    "properties called as keywords of JSON Schema": (model(title=(int, ...)), model(description=(int, ...)), model(examples=(int, ...))),
}  # fmt: skip


@pytest.mark.parametrize("case", DIFFERENT)
def test_what_differs_on_the_wire_has_another_digest(case: str) -> None:
    digests = [(annotation, digest_of_type(annotation)) for annotation in DIFFERENT[case]]
    alike = [(str(a), str(b)) for (a, one), (b, other) in combinations(digests, 2) if one == other]
    assert not alike


async def base(self: Any, a: int, b: str = "x", *, c: int = 1, d: int = 2) -> int: ...  # type: ignore[empty-body]
async def renamed(self: Any, a: int, e: str = "x", *, c: int = 1, d: int = 2) -> int: ...  # type: ignore[empty-body]
async def reordered(self: Any, b: str, a: int = 1, *, c: int = 1, d: int = 2) -> int: ...  # type: ignore[empty-body]
async def other_type(self: Any, a: str, b: str = "x", *, c: int = 1, d: int = 2) -> int: ...  # type: ignore[empty-body]
async def other_default(self: Any, a: int, b: str = "y", *, c: int = 1, d: int = 2) -> int: ...  # type: ignore[empty-body]
async def now_required(self: Any, a: int, b: str, *, c: int = 1, d: int = 2) -> int: ...  # type: ignore[empty-body]
async def now_optional(self: Any, a: int = 0, b: str = "x", *, c: int = 1, d: int = 2) -> int: ...  # type: ignore[empty-body]
async def keyword_only(self: Any, a: int, *, b: str = "x", c: int = 1, d: int = 2) -> int: ...  # type: ignore[empty-body]
async def more(self: Any, a: int, b: str = "x", *, c: int = 1, d: int = 2, e: int = 3) -> int: ...  # type: ignore[empty-body]
async def fewer(self: Any, a: int, b: str = "x", *, c: int = 1) -> int: ...  # type: ignore[empty-body]
async def other_result(self: Any, a: int, b: str = "x", *, c: int = 1, d: int = 2) -> str: ...  # type: ignore[empty-body]
async def no_result(self: Any, a: int, b: str = "x", *, c: int = 1, d: int = 2) -> None: ...


def test_every_change_of_the_signature_changes_the_digest() -> None:
    variants = [
        base, renamed, reordered, other_type, other_default, now_required, now_optional, keyword_only, more, fewer,
        other_result, no_result,
    ]  # fmt: skip
    digests = {variant.__name__: digest_of(variant) for variant in variants}
    assert len(set(digests.values())) == len(variants), digests


async def other_keyword_order(self: Any, a: int, b: str = "x", *, d: int = 2, c: int = 1) -> int:  # type: ignore[empty-body]
    """Another text."""


def test_order_of_keyword_only_parameters_and_texts_are_not_on_the_wire() -> None:
    assert digest_of(other_keyword_order) == digest_of(base)


def test_options_are_not_on_the_wire_and_names_are() -> None:
    from pico_celery import task_options

    digests = []
    for options in ({}, {"queue": "q", "expires": 5}, {"name": "digests.other"}):

        async def run(self: Any) -> None: ...

        task_options(**options)(run)
        digests.append(digest_of(run))
    assert digests[0] == digests[1] != digests[2]


def test_the_digest_of_a_contract_changes_with_any_of_its_tasks() -> None:
    def whole(**methods: Any) -> str:
        cls = types.new_class("Whole", (Protocol,), {}, lambda body: body.update(methods))
        contract("whole", catalog=Catalog())(cls)
        definition = marks_of(cls).contract
        assert definition is not None
        return definition.digest

    async def one(self: Any) -> None: ...
    async def two(self: Any) -> None: ...
    async def two_with(self: Any, a: int) -> None: ...

    assert whole(one=one, two=two) == whole(two=two, one=one)
    assert len({whole(one=one), whole(one=one, two=two), whole(one=one, two=two_with)}) == 3


PROCESS = """
from typing import Protocol, Literal
from enum import Enum
from pydantic import BaseModel
from pico_celery import Catalog, contract
from pico_celery.contract.marks import marks_of

class Colour(Enum):
    RED = "red"
    BLUE = "blue"

class Model(BaseModel):
    a: int | str | None
    colours: dict[str, set[Colour]]
    kind: Literal["x", "y"]
    {field}

@contract("stable", catalog=Catalog())
class Stable(Protocol):
    async def run(self, model: Model, tags: frozenset[str] = {default}) -> Model | set[int]: ...

print(marks_of(Stable.run).definition.digest)
"""


@pytest.mark.parametrize(
    ("field", "default"),
    [
        ("b: int = 1", "frozenset()"),
        ("b: int = 1", "frozenset({'one', 'two', 'three', 'four'})"),
        ("b: frozenset[str] = frozenset({'one', 'two', 'three', 'four'})", "frozenset()"),
    ],
    ids=["plain", "set as default", "set as default in a model"],
)
def test_a_digest_is_the_same_in_every_process(field: str, default: str) -> None:
    source = PROCESS.replace("{field}", field).replace("{default}", default)
    found = {
        subprocess.run(
            [sys.executable, "-c", source],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(found) == 1
