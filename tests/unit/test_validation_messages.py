"""What faults say of pydantic's errors, by error type; with secrets, no part of the value."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import pickle
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from pico_celery.contract.validation_messages import validation_message
from pico_celery.errors import Fault, PayloadError


class Card(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["card"]


class Voucher(BaseModel):
    kind: Literal["voucher"]


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


def _refuse(value: str) -> str:
    raise ValueError(f"{value} is sold out")


def _assert(value: str) -> str:
    raise AssertionError(f"{value} is sold out")


Payment = Annotated[Card | Voucher, Field(discriminator="kind")]
CASES: list[tuple[str, Any, Any, str]] = [
    ("string_type", str, 5, "expected str, got 5 (int)"),
    ("bool_parsing", bool, "perhaps", "expected bool, got 'perhaps' (str)"),
    ("int_type", int, [], "expected int, got [] (list)"),
    ("int_parsing", int, "x", "expected int, got 'x' (str)"),
    ("int_from_float", int, 1.5, "expected int, got 1.5 (float)"),
    ("float_parsing", float, "x", "expected float, got 'x' (str)"),
    ("decimal_parsing", decimal.Decimal, "x", "expected Decimal, got 'x' (str)"),
    ("date_from_datetime_parsing", dt.date, "soon", "expected date, got 'soon' (str)"),
    ("datetime_from_date_parsing", dt.datetime, "soon", "expected datetime, got 'soon' (str)"),
    ("time_delta_parsing", dt.timedelta, "soon", "expected timedelta, got 'soon' (str)"),
    ("uuid_parsing", UUID, "x", "expected UUID, got 'x' (str)"),
    ("list_type", list[int], "x", "expected list, got 'x' (str)"),
    ("dict_type", dict[str, int], "x", "expected dict, got 'x' (str)"),
    ("model_type", Card, "x", "expected Card, got 'x' (str)"),
    ("missing", Card, {}, "expected a value, got nothing"),
    ("literal_error", Literal["a", "b"], "c", "expected 'a' or 'b', got 'c' (str)"),
    ("enum", Colour, "green", "expected 'red' or 'blue', got 'green' (str)"),
    ("greater_than", Annotated[int, Field(gt=0)], 0, "expected a value greater than 0, got 0 (int)"),
    ("greater_than_equal", Annotated[int, Field(ge=1)], 0, "expected a value of at least 1, got 0 (int)"),
    ("less_than", Annotated[int, Field(lt=0)], 0, "expected a value less than 0, got 0 (int)"),
    ("less_than_equal", Annotated[int, Field(le=0)], 1, "expected a value of at most 0, got 1 (int)"),
    ("multiple_of", Annotated[int, Field(multiple_of=5)], 7, "expected a multiple of 5, got 7 (int)"),
    ("finite_number", FiniteFloat, "inf", "expected a finite number, got 'inf' (str)"),
    ("string_too_short", Annotated[str, Field(min_length=2)], "a", "expected a minimum length of 2, got 'a' (str)"),
    ("string_too_long", Annotated[str, Field(max_length=1)], "ab", "expected a maximum length of 1, got 'ab' (str)"),
    ("string_pattern_mismatch", Annotated[str, StringConstraints(pattern="^x")], "a", "expected a str that matches '^x', got 'a' (str)"),
    ("too_short", Annotated[list[int], Field(min_length=1)], [], "expected a minimum length of 1, got [] (list)"),
    ("extra_forbidden", Card, {"kind": "card", "pin": 4711}, "unexpected field"),
    ("union_tag_invalid", Payment, {"kind": "cash"}, "unknown tag 'cash'; expected one of 'card', 'voucher'"),
    ("union_tag_not_found", Payment, {}, "missing tag 'kind'"),
    ("value_error", Annotated[str, AfterValidator(_refuse)], "tea", "invalid: tea is sold out"),
    ("assertion_error", Annotated[str, AfterValidator(_assert)], "tea", "invalid: tea is sold out"),
]  # fmt: skip


def _detail(annotation: Any, value: Any) -> Any:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(annotation).validate_python(value)
    return caught.value.errors(include_url=False)[0]


@pytest.mark.parametrize(("kind", "annotation", "value", "text"), CASES, ids=[case[0] for case in CASES])
def test_each_error_type_has_its_own_message(kind: str, annotation: Any, value: Any, text: str) -> None:
    detail = _detail(annotation, value)
    fault = Fault(task="t", path="a", **validation_message(detail, sensitive=False)._asdict())
    assert (detail["type"], fault.problem) == (kind, text)
    assert str(fault) == f"t: a: {text}"


def test_an_error_type_that_is_not_listed_keeps_pydantics_message() -> None:
    detail = {"type": "new_one", "loc": (), "msg": "Input is odd", "input": 3}
    assert validation_message(detail, sensitive=False).sentence == "invalid: Input is odd"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Payment, {"kind": "hunter2"}),
        (Annotated[str, AfterValidator(_refuse)], "hunter2"),
        (Annotated[str, AfterValidator(_assert)], "hunter2"),
        (int, "hunter2"),
        (Colour, "hunter2"),
    ],
)
def test_a_sensitive_value_is_in_no_message(annotation: Any, value: Any) -> None:
    assert "hunter2" not in str(validation_message(_detail(annotation, value), sensitive=True))


def test_a_sentence_survives_pickling_and_json() -> None:
    error = PayloadError.of("t", [Fault(task="t", path="a", sentence="given twice", code="given_twice")])
    assert pickle.loads(pickle.dumps(error)).faults == error.faults
    assert PayloadError(error.message, json.loads(json.dumps(error.data))).faults == error.faults


@pytest.mark.parametrize(
    "kind", ["too_short", "greater_than", "union_tag_invalid", "model_type", "int_type", "no_such_type"]
)
def test_a_custom_error_keeps_its_own_text_whatever_type_it_names(kind: Any) -> None:
    def refuse(_: str) -> str:
        raise PydanticCustomError(kind, "needs three words")

    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Annotated[str, AfterValidator(refuse)]).validate_python("two words")
    (detail,) = caught.value.errors()
    assert validation_message(detail, sensitive=False) == ("", "", "invalid: needs three words")
    assert validation_message(detail, sensitive=True) == ("", "", "invalid (not shown)")


@pytest.mark.parametrize(
    ("annotation", "text", "expected"),
    [(Card, "5", "Card"), (dict[str, int], "5", "dict"), (list[int], "{}", "list"), (dt.timedelta, '"x"', "timedelta")],
)
def test_what_is_read_from_json_is_called_by_its_python_type(annotation: Any, text: str, expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(annotation).validate_json(text)
    assert validation_message(caught.value.errors()[0], sensitive=False).expected == expected
