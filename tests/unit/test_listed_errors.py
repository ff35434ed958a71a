"""Claims: a contract lists its errors; codes are stable, unique, and the same for every version of a domain."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from types import new_class
from typing import Any, Protocol

import pytest

from pico_celery import (
    Catalog,
    ContractError,
    OptionError,
    RetryPolicy,
    TaskDefinition,
    TaskError,
    contract,
    task_options,
)
from pico_celery.contract.marks import marks_of


class PaymentDeclined(TaskError, retryable=True):
    """The bank said no."""

    reason: str


class CardDeclined(TaskError, code="bank.card"):
    reason: str


SLOWLY = RetryPolicy(max_attempts=5)


@contract("unit_till", catalog=Catalog())
class Till(Protocol):
    @task_options(errors=[PaymentDeclined, CardDeclined], retries=SLOWLY)
    async def pay(self, amount: int) -> int: ...

    async def plain(self) -> None: ...


def definition_of(method: Any) -> TaskDefinition:
    definition = marks_of(method).definition
    assert definition is not None
    return definition


def declared(errors: list[type[TaskError]], domain: str = "unit_till_digest", **more: Any) -> TaskDefinition:
    @contract(domain, catalog=Catalog(), **more)
    class Declared(Protocol):
        @task_options(errors=errors)
        async def pay(self, amount: int) -> int: ...

    return definition_of(Declared.pay)


def refused(declare: Callable[[], Any]) -> Mapping[str, Any]:
    with pytest.raises(ContractError) as raised:
        declare()
    (fault,) = raised.value.faults
    return {"got": fault.got, "remedy": fault.remedy, "where": fault.where, "task": fault.task, "code": fault.code}


def test_the_definition_has_the_errors_and_the_policy() -> None:
    pay, plain = definition_of(Till.pay), definition_of(Till.plain)
    assert [(error.code, error.cls, error.retryable, error.doc) for error in pay.errors] == [
        ("unit_till.payment_declined", PaymentDeclined, True, "The bank said no."),
        ("bank.card", CardDeclined, False, ""),
    ]
    assert pay.errors[0].where.startswith(__file__)
    assert pay.error("bank.card") is pay.errors[1]
    assert pay.error("bank") is None
    assert (pay.retries, plain.retries, plain.errors) == (SLOWLY, None, ())


def test_a_class_knows_its_code_once_a_contract_lists_it() -> None:
    class Unlisted(TaskError): ...

    assert Unlisted.code == ""
    declared([Unlisted], "unit_codes")
    assert Unlisted().code == "unit_codes.unlisted"
    assert PaymentDeclined(reason="a").code == "unit_till.payment_declined"
    assert CardDeclined.code == "bank.card"


def test_the_code_is_the_same_in_a_second_version_of_the_contract() -> None:
    class Late(TaskError): ...

    first, second = declared([Late], "unit_versions"), declared([Late], "unit_versions", version=2)
    assert (first.name, second.name) == ("unit_versions.pay", "unit_versions.v2.pay")
    assert first.errors[0].code == second.errors[0].code == "unit_versions.late"


def test_the_schema_tells_the_errors_by_code() -> None:
    errors = definition_of(Till.pay).schema["errors"]
    assert set(errors) == {"unit_till.payment_declined", "bank.card"}
    assert errors["unit_till.payment_declined"]["retryable"] is True
    assert errors["unit_till.payment_declined"]["fields"]["required"] == ["reason"]
    assert definition_of(Till.plain).schema["errors"] == {}


def test_the_digest_changes_with_code_flag_and_fields_and_with_nothing_else() -> None:
    def make(*, retryable: bool = False, code: str = "a.failed", kind: type = str, doc: str = "") -> type[TaskError]:
        members = {"__annotations__": {"reason": kind}, "__module__": __name__, "__doc__": doc}
        keywords = {"retryable": retryable, "code": code}
        made: type[TaskError] = new_class("Failed", (TaskError,), keywords, lambda namespace: namespace.update(members))
        return made

    first = declared([make(), CardDeclined]).digest
    assert declared([CardDeclined, make(doc="Another text.")]).digest == first
    others = [
        declared([make(retryable=True), CardDeclined]),
        declared([make(code="a.other"), CardDeclined]),
        declared([make(kind=int), CardDeclined]),
        declared([make()]),
        declared([]),
    ]
    assert len({first, *(other.digest for other in others)}) == 6


def test_a_task_without_errors_has_the_digest_that_it_had_before() -> None:
    assert declared([]).digest == "7c250ea2ef1be148"


def test_a_policy_is_not_on_the_wire() -> None:
    @contract("unit_till", catalog=Catalog())
    class Patient(Protocol):
        @task_options(errors=[PaymentDeclined, CardDeclined])
        async def pay(self, amount: int) -> int: ...

    assert definition_of(Patient.pay).digest == definition_of(Till.pay).digest


def test_definitions_with_errors_are_pickled_by_name() -> None:
    @contract("unit_pickled_errors")
    class Pickled(Protocol):
        @task_options(errors=[CardDeclined])
        async def pay(self) -> int: ...

    definition = definition_of(Pickled.pay)
    assert pickle.loads(pickle.dumps(definition)) is definition


# --- what is refused


def test_a_class_in_two_domains_needs_a_code_of_its_own() -> None:
    class Shared(TaskError): ...

    declared([Shared], "unit_first")

    def again() -> None:
        @contract("unit_second", catalog=Catalog())
        class Second(Protocol):
            @task_options(errors=[Shared])
            async def pay(self, amount: int) -> int: ...

    told = refused(again)
    assert told["got"] == "two, 'unit_first.shared' of Declared and 'unit_second.shared'"
    assert told["remedy"] == 'give the class a code that both share: class Shared(..., code="unit_first.shared")'
    assert len(told["where"]) == 2
    assert Shared.code == "unit_first.shared", "a contract that is refused gives no codes"
    declared([CardDeclined], "unit_first")
    declared([CardDeclined], "unit_second")


def test_two_errors_of_one_code_are_refused_on_a_task_and_on_a_contract() -> None:
    class Twin(TaskError, code="bank.card"): ...

    told = refused(lambda: declared([CardDeclined, Twin]))
    assert told["got"] == "CardDeclined and Twin as 'bank.card'"
    assert told["remedy"] == 'give one of them a code of its own: class Twin(..., code="...")'

    def on_two_tasks() -> None:
        @contract("unit_twins", catalog=Catalog())
        class Twins(Protocol):
            @task_options(errors=[CardDeclined])
            async def pay(self) -> None: ...

            @task_options(errors=[Twin])
            async def refund(self) -> None: ...

    assert refused(on_two_tasks)["task"] == "Twins.refund"


def test_an_error_that_is_listed_twice_is_refused() -> None:
    assert refused(lambda: declared([CardDeclined, CardDeclined]))["remedy"] == "list it once"


def test_the_base_itself_is_refused() -> None:
    told = refused(lambda: declared([TaskError]))
    assert told["got"] == "TaskError itself"
    assert told["remedy"] == "list what the task raises, such as class PaymentDeclined(TaskError): reason: str"


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([ValueError], "a subclass of TaskError"),
        ([CardDeclined(reason="a")], "a subclass of TaskError"),
        (CardDeclined, "an instance of Sequence"),
    ],
)
def test_what_is_no_declared_error_is_refused_at_the_line_of_the_options(errors: Any, expected: str) -> None:
    with pytest.raises(OptionError) as raised:
        task_options(errors=errors)
    (fault,) = raised.value.faults
    assert (fault.path, fault.expected) == ("errors", expected)
    assert fault.where[0].startswith(__file__)
