"""Claims: a stored failure is a declared error, one of the library's or Celery's own, or a `RemoteError`; nothing is imported
or built because a message names it."""

from __future__ import annotations

import inspect
import json
import pickle
import sys
from datetime import UTC, datetime
from typing import Any, Protocol

import celery.exceptions
import kombu.exceptions
import pydantic
import pydantic_core
import pytest
from celery import Celery, states
from celery.backends.base import Backend
from celery.exceptions import TaskRevokedError
from pydantic import SecretStr

from pico_celery import (
    Catalog,
    DeadlineExceeded,
    ErrorFieldsError,
    ExecutionError,
    Fault,
    PayloadError,
    PicoCeleryError,
    RemoteError,
    TaskDefinition,
    TaskError,
    contract,
    errors,
    task_options,
)
from pico_celery.client.results.outcome import CONTROLS, failure_of
from pico_celery.contract.marks import marks_of
from pico_celery.messaging.failures import StoredFailure, declared_error, decode_failure, encode_failure


class Declined(TaskError):
    reason: str


class CardDeclined(Declined):
    card: SecretStr


class OutOfStock(TaskError):
    missing: int


@contract("unit_failures", catalog=Catalog())
class Till(Protocol):
    @task_options(errors=[Declined])
    async def pay(self, amount: int) -> int: ...

    @task_options(errors=[OutOfStock])
    async def pack(self, number: int) -> int: ...


def definition_of(method: Any) -> TaskDefinition:
    definition = marks_of(method).definition
    assert definition is not None
    return definition


PAY, PACK = definition_of(Till.pay), definition_of(Till.pack)


def stored(error: Exception) -> dict[str, Any]:
    """Return what Celery's result backends keep of an exception."""
    raw: Any = Backend(Celery(set_as_current=False), serializer="json").prepare_exception(error)
    again: dict[str, Any] = json.loads(json.dumps(raw))
    return again


def got(failure: Any, *definitions: TaskDefinition, traceback: str = "") -> Exception:
    return failure_of(list(definitions) or [PAY], "id-1", failure, traceback)


# --- declared errors


def test_a_declared_error_arrives_as_its_class_with_its_fields() -> None:
    sent = encode_failure(PAY, Declined(reason="limit"))
    raw = stored(sent)
    assert raw["exc_message"] == [
        "reason='limit'",
        {"code": "unit_failures.declined", "task": "unit_failures.pay", "fields": {"reason": "limit"}},
    ]
    assert got(raw) == Declined(reason="limit")


def test_a_declared_error_is_known_by_its_code_whatever_class_and_module_are_called_on_the_worker() -> None:
    raw = stored(encode_failure(PAY, Declined(reason="limit")))
    assert got({**raw, "exc_type": "Moved", "exc_module": "elsewhere"}) == Declined(reason="limit")


def test_an_exception_that_celery_has_built_already_is_understood_too() -> None:
    backend = Backend(Celery(set_as_current=False), serializer="json")
    raw = stored(encode_failure(PAY, Declined(reason="limit")))
    built: Any = backend.exception_to_python(raw)
    assert got(built) is built
    lookalike: Any = backend.exception_to_python({**raw, "exc_module": "not.installed"})
    assert type(lookalike) is not Declined
    assert got(lookalike) == Declined(reason="limit")


def test_the_failure_of_an_earlier_task_of_a_chain_is_decoded_by_that_task() -> None:
    raw = stored(encode_failure(PAY, Declined(reason="limit")))
    assert got(raw, PACK, PAY) == Declined(reason="limit")
    assert isinstance(got(raw, PACK), RemoteError), "no task of the chain declares it"


def test_an_heir_that_is_not_declared_arrives_as_its_nearest_declared_base() -> None:
    sent = encode_failure(PAY, CardDeclined(reason="limit", card=SecretStr("4711")))
    assert type(sent) is Declined
    raw = stored(sent)
    assert "4711" not in json.dumps(raw)
    assert got(raw) == Declined(reason="limit")


def test_what_a_task_does_not_declare_is_left_as_it_is() -> None:
    for error in (OutOfStock(missing=1), ValueError("no")):
        assert encode_failure(PAY, error) is error
        assert declared_error(PAY, error) is None


def test_a_declared_error_that_was_changed_to_what_does_not_fit_is_refused() -> None:
    error = Declined(reason="limit")
    error.reason = 5  # type: ignore[assignment]
    with pytest.raises(ErrorFieldsError, match="reason: expected str, got 5"):
        encode_failure(PAY, error)


def test_what_an_error_was_changed_to_is_sent() -> None:
    error = Declined(reason="limit")
    error.reason = "closed"
    assert got(stored(encode_failure(PAY, error))) == Declined(reason="closed")


@pytest.mark.parametrize("as_object", [False, True])
def test_fields_that_do_not_fit_are_a_remote_error_that_says_so(as_object: bool) -> None:
    raw = stored(encode_failure(PAY, Declined(reason="limit")))
    raw["exc_message"][1]["fields"] = {"raison": "limit"}
    failure: Any = (
        Backend(Celery(set_as_current=False), serializer="json").exception_to_python(raw) if as_object else raw
    )
    error = got(failure)
    assert isinstance(error, RemoteError)
    assert (error.task, error.task_id, error.remote_message) == ("unit_failures.pay", "id-1", "reason='limit'")
    assert [(fault.task, fault.path, fault.got) for fault in error.faults] == [
        ("unit_failures.declined", "reason", "nothing")
    ]
    assert "Its fields are not those of the declared error of that code" in str(error)


@pytest.mark.parametrize("fields", [None, [], "text", 5, {"reason": None}])
def test_fields_of_no_shape_at_all_are_told_too(fields: Any) -> None:
    message = ["text", {"code": "unit_failures.declined", "task": "unit_failures.pay", "fields": fields}]
    error = got({"exc_type": "Declined", "exc_module": __name__, "exc_message": message})
    assert isinstance(error, RemoteError)
    assert error.faults


# --- remote errors


class KeywordOnlyError(Exception):
    def __init__(self, *, number: int) -> None:
        super().__init__(f"number {number}", number)


def test_an_undeclared_exception_is_told_with_task_id_type_message_and_remedy() -> None:
    error = got(stored(KeyError("tea")), traceback="Traceback: ...")
    assert isinstance(error, RemoteError)
    assert (error.task, error.task_id, error.remote_type) == ("unit_failures.pay", "id-1", "builtins.KeyError")
    assert (error.remote_message, error.remote_traceback, error.faults) == ("tea", "Traceback: ...", ())
    assert str(error) == (
        "unit_failures.pay[id-1] failed with builtins.KeyError: tea; declare it as a TaskError and list it in the "
        "contract's @task_options(errors=[...]) to catch it by its class"
    )


def test_a_constructor_that_celery_cannot_call_costs_nothing_of_the_message() -> None:
    error = got(stored(KeywordOnlyError(number=7)))
    assert isinstance(error, RemoteError)
    assert error.remote_type == f"{__name__}.KeywordOnlyError"
    assert error.remote_message == "('number 7', 7)"


def test_a_remote_error_survives_pickling_and_is_no_own_error_of_the_next_task() -> None:
    error = got(stored(ValueError("no")))
    again = pickle.loads(pickle.dumps(error))
    assert (again.args, again.task_id, again.remote_message) == (error.args, "id-1", "no")
    passed_on = got(stored(error), PACK)
    assert isinstance(passed_on, RemoteError)
    assert passed_on.task == "unit_failures.pack"
    assert passed_on.remote_type == "pico_celery.errors.RemoteError"
    assert "unit_failures.pay[id-1] failed with builtins.ValueError: no" in passed_on.remote_message


def test_data_beside_the_text_of_an_undeclared_error_is_not_shown() -> None:
    error = got(stored(CardDeclined(reason="limit", card=SecretStr("4711"))), PACK)
    assert isinstance(error, RemoteError)
    assert "4711" not in str(error)
    assert error.remote_message == "reason='limit' card=SecretStr('**********')"


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        ({}, ("Exception", "")),
        ({"exc_type": "Odd", "exc_message": "text"}, ("Odd", "text")),
        ({"exc_type": "Odd", "exc_module": None, "exc_message": []}, ("Odd", "")),
        ({"exc_type": "Odd", "exc_module": "m", "exc_message": [1, 2]}, ("m.Odd", "(1, 2)")),
        ({"exc_type": "Odd", "exc_message": ["text", {"code": 5}]}, ("Odd", "text")),
        ("only a text", ("Exception", "only a text")),
        (None, ("Exception", "None")),
        (SystemExit(3), ("builtins.SystemExit", "3")),
    ],
    ids=repr,
)
def test_whatever_is_stored_something_is_told(failure: Any, told: tuple[str, str]) -> None:
    error = got(failure)
    assert isinstance(error, RemoteError)
    assert (error.remote_type, error.remote_message) == told


def test_nothing_is_imported_or_built_because_a_message_names_it() -> None:
    built: list[Any] = []

    class Bomb(Exception):
        def __init__(self, *args: Any) -> None:
            built.append(args)

    sys.modules["unit_bomb"] = type(sys)("unit_bomb")
    sys.modules["unit_bomb"].Bomb = Bomb  # type: ignore[attr-defined]
    try:
        for failure in (
            {"exc_type": "Bomb", "exc_module": "unit_bomb", "exc_message": ["boom"]},
            {"exc_type": "Bomb", "exc_module": "unit_bomb", "exc_message": ["boom", {"code": "x", "fields": {}}]},
            {"exc_type": "system", "exc_module": "os", "exc_message": ["true"]},
            {"exc_type": "BadZipFile", "exc_module": "zipfile_not_imported", "exc_message": []},
        ):
            assert type(got(failure)) is RemoteError
    finally:
        del sys.modules["unit_bomb"]
    assert built == []
    assert "zipfile_not_imported" not in sys.modules


# --- the library's own, and Celery's


def test_an_error_of_the_library_arrives_as_itself_with_its_faults() -> None:
    fault = Fault(task="unit_failures.pay", path="amount", expected="int", got="'x' (str)", remedy="pass an int")
    for sent in (PayloadError.of("unit_failures.pay", [fault]), ExecutionError("cancelled: do this", {"task": "a"})):
        error: Any = got(stored(sent))
        assert type(error) is type(sent)
        assert str(error) == str(sent)
        assert getattr(error, "faults", ()) == getattr(sent, "faults", ())


@pytest.mark.parametrize(
    "cls", [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, PicoCeleryError)]
)
def test_every_error_of_the_library_but_a_remote_one_is_known_by_name(cls: type[PicoCeleryError]) -> None:
    error = got(stored(cls("text", {"task": "unit_failures.pay", "subject": "unit_failures.pay"})))
    assert type(error) is cls
    assert isinstance(error, RemoteError) == (cls is RemoteError)


def test_time_that_a_call_of_the_task_ran_out_of_is_not_taken_for_the_caller_s_own() -> None:
    deadline = datetime(2026, 11, 26, tzinfo=UTC)
    inner = DeadlineExceeded.of("unit_failures.pack", "id-2", deadline, "running")
    error = got(stored(inner))
    assert (type(error), getattr(error, "remote_type", "")) == (RemoteError, "pico_celery.errors.DeadlineExceeded")
    own = DeadlineExceeded.of("unit_failures.pay", "id-1", deadline, "running")
    assert type(got(stored(own))) is DeadlineExceeded


def test_a_task_that_failed_with_a_revocation_waited_for_one_that_was_revoked() -> None:
    failed = failure_of([PAY], "id-1", stored(TaskRevokedError("terminated")), "", states.FAILURE)
    assert (type(failed), getattr(failed, "remote_message", "")) == (RemoteError, "terminated")
    assert (
        type(failure_of([PAY], "id-1", stored(TaskRevokedError("terminated")), "", states.REVOKED)) is TaskRevokedError
    )


def test_wrong_arguments_of_a_call_that_the_task_made_are_not_taken_for_the_caller_s_own() -> None:
    inner = PayloadError.of("unit_failures.pack", [Fault(task="unit_failures.pack", path="number", remedy="pass it")])
    error = got(stored(inner))
    assert type(error) is RemoteError
    assert error.remote_type == "pico_celery.errors.PayloadError"
    assert "unit_failures.pack: number; pass it" in error.remote_message
    assert type(got(stored(inner), PAY, PACK)) is PayloadError, "in a chain it may be the failure of the other task"


def test_a_name_of_the_library_with_other_arguments_is_a_remote_error() -> None:
    error = got({"exc_type": "PayloadError", "exc_module": "pico_celery.errors", "exc_message": [1]})
    assert type(error) is RemoteError


def public_exceptions(module: Any) -> set[type[Exception]]:
    names = getattr(module, "__all__", dir(module))
    found = {getattr(module, name, None) for name in names}
    return {
        cls for cls in found if isinstance(cls, type) and issubclass(cls, Exception) and not issubclass(cls, Warning)
    }


STAY = set(CONTROLS.values())
FOREIGN = sorted(
    {
        *public_exceptions(celery.exceptions),
        *public_exceptions(kombu.exceptions),
        *public_exceptions(pydantic),
        *public_exceptions(pydantic_core),
    },
    key=lambda cls: (cls.__module__, cls.__name__),
)


def test_celery_s_exceptions_that_tell_what_became_of_a_task_are_a_known_list() -> None:
    assert {cls.__name__ for cls in STAY} == {
        "ChordError",
        "Ignore",
        "InvalidTaskError",
        "MaxRetriesExceededError",
        "NotRegistered",
        "Reject",
        "Retry",
        "SoftTimeLimitExceeded",
        "TaskRevokedError",
        "Terminated",
        "TimeLimitExceeded",
        "WorkerLostError",
    }
    assert set(FOREIGN) >= STAY


@pytest.mark.parametrize("cls", FOREIGN, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_each_public_exception_of_celery_kombu_and_pydantic_is_mapped_on_purpose(cls: type[Exception]) -> None:
    raw = {"exc_type": cls.__qualname__, "exc_module": cls.__module__, "exc_message": ["the reason"]}
    error = got(raw)
    assert type(error) is (cls if cls in STAY else RemoteError)
    assert "the reason" in str(error) + repr(error)


def test_the_worker_s_own_forms_of_celery_s_exceptions_arrive_as_celery_s() -> None:
    from pico_celery.worker.contract_task import SealedMaxRetriesExceededError
    from pico_celery.worker.coroutine import SoftTimeLimitCancelled

    for sent, cls in (
        (SealedMaxRetriesExceededError(), celery.exceptions.MaxRetriesExceededError),
        (SoftTimeLimitCancelled(), celery.exceptions.SoftTimeLimitExceeded),
    ):
        assert type(got(stored(sent))) is cls


def test_a_class_that_celery_made_of_a_name_is_not_taken_for_celery_s_own() -> None:
    backend = Backend(Celery(set_as_current=False), serializer="json")
    made: Any = backend.exception_to_python(
        {"exc_type": "TaskRevokedError", "exc_module": "shop", "exc_message": ["no"]}
    )
    assert made.__module__ == "celery.exceptions"
    error = got(made)
    assert isinstance(error, RemoteError)
    assert error.remote_type == "TaskRevokedError"
    genuine = celery.exceptions.TaskRevokedError("expired")
    assert got(genuine) is genuine


def test_controls_are_known_to_the_client_only() -> None:
    failure = StoredFailure.of(stored(celery.exceptions.TaskRevokedError("expired")))
    assert isinstance(decode_failure([PAY], "id-1", failure), RemoteError)
