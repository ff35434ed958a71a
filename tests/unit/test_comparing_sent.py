"""What clients and workers make of values counts, not only what they take: serializers, names, bytes, hooks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Protocol

import pytest
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    computed_field,
)
from typing_extensions import TypedDict

from pico_celery import contract
from pico_celery.contract.catalog import Catalog
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import from_text, to_text
from pico_celery.document.records import Document
from pico_celery_tooling.evolution.compare import compare
from pico_celery_tooling.evolution.rules import NOTHING


def document(of: Any) -> Document:
    async def run(self: Any, value: Any) -> None: ...

    run.__annotations__ = {"value": of, "return": of}
    catalog = Catalog()
    contract("orders", catalog=catalog)(type("Orders", (Protocol,), {"run": run, "__module__": __name__}))
    return from_text(to_text(document_of(catalog.contracts)), "here")


def found(old: Any, new: Any) -> list[tuple[str, str, str, Any]]:
    findings = compare(document(old), document(new))
    return [(one.level.value, one.rule, one.path, one.payload) for one in findings if one.level.value != "note"]


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int


class Twice(BaseModel):
    a: int

    @computed_field
    def twice(self) -> int:
        return self.a * 2


class Plain(BaseModel):
    a: int


class Written(BaseModel):
    a: int = Field(serialization_alias="z", validation_alias=AliasChoices("a", "z"))


def test_what_new_clients_compute_is_refused_by_old_workers_that_forbid_it() -> None:
    assert ("order", "argument_unknown_property", "value.twice", {"value": {"a": 1, "twice": 1}}) in found(
        Closed, Twice
    )


def test_a_name_under_which_new_clients_write_is_refused_by_old_workers() -> None:
    assert ("order", "argument_required_property", "value.a", {"value": {"z": 1}}) in found(Plain, Written)


class OldNames(BaseModel):
    user_id: int


class NewNames(BaseModel):
    model_config = ConfigDict(validate_by_name=True)
    user_id: int = Field(alias="userId")


class OldRecord(TypedDict):
    user_id: int


@dataclass
class Holder:
    it: OldNames


@dataclass
class NewHolder:
    it: NewNames


def test_a_field_that_is_read_by_its_name_too_takes_what_had_no_alias() -> None:
    assert [one[:3] for one in found(OldNames, NewNames)] == [
        ("break", "result_required_property", "return.user_id"),
        ("order", "argument_required_property", "value.user_id"),
    ]
    assert [one[:2] for one in found(Holder, NewHolder)] == [
        ("break", "result_required_property"),
        ("order", "argument_required_property"),
    ]
    assert [one[:2] for one in found(OldRecord, NewNames)] == [
        ("break", "result_required_property"),
        ("order", "argument_required_property"),
    ]


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Lenient(Enum):
    RED = "red"
    OTHER = "other"

    @classmethod
    def _missing_(cls, value: object) -> Lenient:
        return cls.OTHER


def test_what_a_hook_of_an_enumeration_may_read_is_not_said_to_be_refused() -> None:
    findings = compare(document(Color), document(Lenient))
    (told,) = (one for one in findings if (one.level.value, one.path) == ("break", "value"))
    assert told.message.startswith("cannot be known: ")
    assert told.payload is NOTHING
    assert ("order", "argument_enum_value", "value", {"value": "other"}) in found(Color, Lenient)


@pytest.mark.parametrize("outer", [bytes, list[bytes], dict[str, bytes | None]])
def test_base64_that_is_longer_is_refused_and_shown(outer: Any) -> None:
    short = Annotated[bytes, Field(max_length=4)]
    inner: Any = {bytes: short, list[bytes]: list[short], dict[str, bytes | None]: dict[str, short | None]}[outer]
    (told,) = (one for one in found(outer, inner) if one[0] == "break")
    assert told[1] == "argument_length"
    assert told[3] is not NOTHING
    assert [one[0] for one in found(inner, outer)] == ["break", "order"]  # the result, and new clients


def test_text_is_no_base64() -> None:
    (told,) = (one for one in found(str, bytes) if one[0] == "break")
    assert told[:3] == ("break", "argument_format", "value")
    assert "break" in {one[0] for one in found(bytes, str)}
    assert not [one for one in found(bytes, str) if one[:2] == ("break", "argument_format")]


def test_a_serializer_is_not_said_to_write_what_its_own_side_does_not_read() -> None:
    as_text = Annotated[int, PlainSerializer(str, return_type=str)]
    findings = compare(document(int), document(as_text))
    (told,) = (one for one in findings if one.rule == "result_type")
    assert told.message.startswith("cannot be known: ")  # pydantic reads "1" as 1
    strict = Annotated[int, Field(strict=True)]
    (shown,) = (one for one in compare(document(strict), document(as_text)) if one.rule == "result_type")
    assert isinstance(shown.payload, str)
