"""Claims: a declared error is a class with validated fields, readable, comparable, and whole wherever it is stored."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from celery import Celery
from celery.backends.base import Backend
from kombu.utils.json import dumps, loads
from pydantic import BaseModel, Field, SecretStr

from pico_celery import ErrorClassError, ErrorFieldsError, Fault, PicoCeleryError, TaskError


class Line(BaseModel):
    sku: str
    price: Decimal


class PaymentDeclined(TaskError, retryable=True):
    """The bank said no.

    More is not told.
    """

    limit: ClassVar[int] = 10
    reason: str
    retry_after: timedelta | None = None


class CardDeclined(PaymentDeclined, code="bank.card"):
    card: SecretStr
    pin: str = Field(repr=False)
    lines: list[Line] = Field(default_factory=list)
    raw: bytes = b"\x00\xff"


class OutOfStock(TaskError):
    message: str
    missing: dict[str, int]


class Closed(TaskError):
    """The shop is closed.

    It opens tomorrow.
    """


class Told(TaskError):
    number: int

    def __str__(self) -> str:
        return f"number {self.number}"


CARD = CardDeclined(reason="limit", card=SecretStr("4711"), pin="0815", lines=[Line(sku="tea", price=Decimal("1.10"))])
EXAMPLES = [
    PaymentDeclined(reason="limit", retry_after=timedelta(days=1)),
    CARD,
    OutOfStock(message="gone", missing={"tea": 2}),
    Closed(),
    Told(number=5),
]


def refused(declare: Callable[[], Any]) -> dict[str, Fault]:
    with pytest.raises(ErrorClassError) as raised:
        declare()
    return {fault.path: fault for fault in raised.value.faults}


# --- fields


def test_fields_are_attributes_of_their_types() -> None:
    error = PaymentDeclined(reason="limit", retry_after="PT5S")  # type: ignore[arg-type]
    assert (error.reason, error.retry_after) == ("limit", timedelta(seconds=5))
    assert PaymentDeclined(reason="limit").retry_after is None
    assert isinstance(error, PicoCeleryError)


def test_an_heir_has_the_fields_of_its_base_and_is_retryable_as_that_is() -> None:
    assert (CARD.reason, CARD.retry_after, CARD.raw) == ("limit", None, b"\x00\xff")
    assert (CardDeclined.retryable, Closed.retryable) == (True, False)


def test_a_class_variable_is_no_field() -> None:
    with pytest.raises(
        ErrorFieldsError, match="limit: expected no such field, got one; there are 'reason', 'retry_after'"
    ):
        PaymentDeclined(limit=3, reason="x")  # type: ignore[call-arg]
    assert PaymentDeclined.limit == 10


def test_class_patterns_match_by_field() -> None:
    match EXAMPLES[0]:
        case PaymentDeclined(reason=reason, retry_after=timedelta(days=days)):
            assert (reason, days) == ("limit", 1)
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: PaymentDeclined(reason=5), "reason: expected str, got 5 (int)"),  # type: ignore[arg-type]
        (PaymentDeclined, "reason: expected a value of type str, got nothing; give it by keyword"),
        (lambda: PaymentDeclined(reason="a", reasn="b"), "reasn: expected no such field, got one; did you mean 'reason'?"),  # type: ignore[call-arg]
        (lambda: PaymentDeclined("a"), "expected fields by keyword, got positional arguments; write PaymentDeclined(reason=..., retry_after=...)"),  # type: ignore[call-arg]
        (lambda: OutOfStock(message="a", missing={"tea": "two"}), "missing.tea: expected int"),  # type: ignore[dict-item]
        (lambda: Closed(at=1), "at: expected no such field, got one; the class has no fields"),  # type: ignore[call-arg]
        (lambda: TaskError(reason="a"), "expected a class of your own, got TaskError; derive a class from it"),  # type: ignore[call-arg]
    ],
)  # fmt: skip
def test_fields_that_do_not_fit_are_refused_where_the_error_is_built(build: Callable[[], Any], told: str) -> None:
    with pytest.raises(TypeError) as raised:
        build()
    assert isinstance(raised.value, ErrorFieldsError)
    assert told in str(raised.value)
    assert "the fields do not fit the declared error" in str(raised.value)


def test_a_refused_value_beside_a_secret_is_not_shown() -> None:
    with pytest.raises(ErrorFieldsError) as raised:
        CardDeclined(reason="limit", card=["4711"], pin="0815")  # type: ignore[arg-type]
    assert "4711" not in str(raised.value)
    assert "a value of type list, not shown" in str(raised.value)


# --- the class


def test_all_faults_of_a_class_are_told_at_once_at_its_line(load_module: Callable[[str], Any]) -> None:
    source = """
from pico_celery import TaskError


class Wrong(TaskError, code="two words"):
    args: list[int]
    data: str
    code: str
    with_traceback: str
    _hidden: int
    missing: Nowhere
    later: int = "x"
    made: type[int]

    def __init__(self, reason: str) -> None: ...
"""
    found = refused(lambda: load_module("from __future__ import annotations\n" + source))
    assert sorted(found) == sorted(
        ["args", "data", "code", "with_traceback", "_hidden", "missing", "later", "made", "__init__"]
    )
    for name in ("args", "data", "with_traceback"):
        assert (found[name].got, found[name].remedy) == ("a name that every exception has", "rename the field")
    assert found["missing"].remedy == "define or import it before the class, where the module is loaded"
    assert found["later"].got == "the default 'x' (str)"
    assert found["made"].remedy == "use a type that pydantic turns into JSON and back"
    assert found["__init__"].remedy == "declare fields, and remove it"
    assert found["args"].where[0].endswith(".py:6")


def test_a_field_that_a_class_attribute_hides_is_refused() -> None:
    def declare() -> type[TaskError]:
        class Hiding(PaymentDeclined):
            reason = "always"

        return Hiding

    assert refused(declare)["reason"].remedy == "annotate it"


def test_names_that_models_have_are_free() -> None:
    class Odd(TaskError):
        json: str
        copy: int
        model_number: int = 3
        message: str = "default"

    odd = Odd(json="a", copy=1)
    assert (odd.json, odd.copy, odd.model_number, odd.message, str(odd)) == ("a", 1, 3, "default", "default")


def test_names_that_are_local_to_a_function_resolve() -> None:
    class Part(BaseModel):
        size: int

    class Local(TaskError):
        part: Part

    assert Local(part=Part(size=1)).part.size == 1


def test_a_code_and_a_flag_are_not_inherited_alike() -> None:
    class Heir(CardDeclined, retryable=False): ...

    assert (CardDeclined.code, Heir.code, Heir.retryable) == ("bank.card", "bank.card", False)
    with pytest.raises(TypeError, match="retriable"):

        class Misspelt(TaskError, retriable=True): ...  # type: ignore[call-arg]


# --- texts


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (EXAMPLES[0], "reason='limit' retry_after=datetime.timedelta(days=1)"),
        (EXAMPLES[2], "gone"),
        (EXAMPLES[3], "The shop is closed."),
        (EXAMPLES[4], "number 5"),
    ],
)
def test_an_error_is_readable_without_further_work(error: TaskError, text: str) -> None:
    assert (str(error), error.args[0]) == (text, text)


def test_secrets_and_hidden_fields_stay_out_of_every_text() -> None:
    for text in (str(CARD), repr(CARD), CARD.message):
        assert "4711" not in text
        assert "0815" not in text
        assert "pin" not in text
    assert repr(EXAMPLES[2]) == "OutOfStock(message='gone', missing={'tea': 2})"
    assert repr(Closed()) == "Closed()"


def test_a_long_text_is_cut_and_a_broken_one_hides_nothing() -> None:
    class Broken(TaskError):
        text: str

        def __str__(self) -> str:
            raise RuntimeError

    class Long(TaskError):
        text: str

    assert len(str(Long(text="x" * 5000))) == 1024
    assert Broken(text="a").args[0] == "a Broken, whose text fails"


def test_errors_are_equal_by_class_and_fields() -> None:
    assert PaymentDeclined(reason="a") == PaymentDeclined(reason="a")
    assert PaymentDeclined(reason="a") != PaymentDeclined(reason="b")
    assert PaymentDeclined(reason="a") != Told(number=1)
    assert len({Closed(), Closed()}) == 1


# --- storing


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_survive_pickling_and_copying(error: TaskError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is type(error)
        assert again == error
        assert (str(again), again.args) == (str(error), error.args)


def test_notes_and_changed_fields_survive_pickling() -> None:
    error = PaymentDeclined(reason="a")
    error.add_note("seen at the till")
    error.reason = "b"
    again = pickle.loads(pickle.dumps(error))
    assert (again.reason, again.__notes__) == ("b", ["seen at the till"])
    error.reason = 5  # type: ignore[assignment]
    assert pickle.loads(pickle.dumps(error)).reason == "a", "what does not fit is not pickled"


@pytest.mark.parametrize("serializer", ["json", "pickle"])
@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_a_plain_celery_client_gets_class_fields_and_text(
    error: TaskError, serializer: str, celery_app: Celery
) -> None:
    backend = Backend(celery_app, serializer=serializer)
    prepared: Any = backend.prepare_exception(error)
    stored = loads(dumps(prepared)) if serializer == "json" else prepared
    again: Any = backend.exception_to_python(stored)
    assert type(again) is type(error)
    assert again == error


def test_a_plain_celery_client_without_the_contract_reads_name_and_text(celery_app: Celery) -> None:
    backend = Backend(celery_app, serializer="json")
    prepared: Any = backend.prepare_exception(EXAMPLES[0])
    assert json.loads(json.dumps(prepared))["exc_type"] == "PaymentDeclined"
    again: Any = backend.exception_to_python({**prepared, "exc_module": "not.installed"})
    assert type(again).__name__ == "PaymentDeclined"
    assert again.args[0] == "reason='limit' retry_after=datetime.timedelta(days=1)"


def test_stored_fields_that_do_not_fit_make_no_error_of_another_kind(celery_app: Celery) -> None:
    backend = Backend(celery_app, serializer="json")
    stored = {
        "exc_type": "PaymentDeclined",
        "exc_module": __name__,
        "exc_message": ["limit", {"fields": {"pin": "0815"}}],
    }
    built: Any = backend.exception_to_python(stored)
    assert type(built) is PaymentDeclined
    again: Any = built
    assert (str(again), repr(again)) == ("limit", "PaymentDeclined('limit')")
    with pytest.raises(AttributeError, match="deploy the same version of the contract on both sides"):
        _ = again.reason
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'$"):
        _ = again.nothing
    assert pickle.loads(pickle.dumps(again)).args == again.args
    assert again != PaymentDeclined(reason="limit")


def test_the_wire_form_is_pydantic_json_with_secrets_as_they_are() -> None:
    text, data = json.loads(json.dumps(CARD.args))
    assert data["fields"] == {
        "reason": "limit",
        "retry_after": None,
        "card": "4711",
        "pin": "0815",
        "lines": [{"sku": "tea", "price": "1.10"}],
        "raw": "AP8=",
    }
    assert "4711" not in text


def test_a_later_field_of_a_newer_release_is_ignored() -> None:
    error: Any = PaymentDeclined("limit", {"fields": {"reason": "limit", "since": "2027"}})  # type: ignore[call-arg, arg-type]
    assert error == PaymentDeclined(reason="limit")


def test_aware_times_and_numbers_survive() -> None:
    class Late(TaskError):
        at: datetime
        by: Decimal

    late = Late(at=datetime(2027, 1, 1, tzinfo=UTC), by=Decimal("0.10"))
    build: Any = Late
    again: Any = build(*json.loads(json.dumps(late.args)))
    assert (again.at, again.by) == (late.at, late.by)
