"""Declared errors, outcomes and retry policies that are used wrongly: refused by both checkers."""

from datetime import timedelta
from decimal import Decimal
from typing import Protocol, assert_never

from typing_tests.accepted.declared_errors import CardDeclined, Closed, OutOfStock, PaymentDeclined, Till, TillClient

from pico_celery import Err, Ok, RetryPolicy, TaskError, contract, task, task_options


def built() -> object:
    PaymentDeclined("limit")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a field by position
    PaymentDeclined()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a field is missing
    PaymentDeclined(reason=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a field of another type
    PaymentDeclined(reason="limit", retry_after=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # seconds are no timedelta
    PaymentDeclined(reasn="limit")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a misspelt field
    CardDeclined(last_digits="4711")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a field of the base is missing
    Closed(at=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a class without fields
    TaskError(reason="limit")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # the base has no fields
    OutOfStock(message="gone", missing={"tea": "two"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]  # a part of another type
    return PaymentDeclined(reason="limit").reasn  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # a misspelt attribute


class Misspelt(TaskError, retriable=True):  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues]  # a misspelt class keyword
    reason: str


class NumberedCode(TaskError, code=5):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]  # a code is a text
    reason: str


@contract("kiosk")
class Kiosk(Protocol):
    @task_options(errors=[PaymentDeclined(reason="limit")])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # an error in place of its class
    async def pay(self) -> int: ...

    @task_options(errors=[ValueError])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # an exception that is no declared error
    async def close(self) -> None: ...

    @task_options(errors=PaymentDeclined)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a class in place of a list
    async def open(self) -> None: ...

    @task_options(retries=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a number is no policy
    async def count(self) -> int: ...


class Worker:
    @task(Till.close, retries={"max_attempts": 3})  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a dict is no policy
    async def close(self) -> None: ...


def policies(policy: RetryPolicy) -> None:
    RetryPolicy(3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a value by position
    RetryPolicy(max_attempts="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a count is a number
    RetryPolicy(delay=3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a delay is a timedelta
    RetryPolicy(attempts=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a misspelt value
    RetryPolicy(retry_on=[OSError])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a list is no tuple
    RetryPolicy(retry_on=(int,))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no exception
    policy.delay = timedelta(0)  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # a policy is frozen


def matched(client: TillClient) -> str:
    outcome = client.pay(Decimal(1)).outcome(timeout=5)
    text: str = outcome.value  # type: ignore[union-attr, assignment]  # pyright: ignore[reportAttributeAccessIssue, reportAssignmentType]  # a value that may be a failure
    match outcome:
        case Ok(value):
            return value  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # another type
        case Err(PaymentDeclined(reason=reason)):
            return reason + text
        case _:
            assert_never(outcome)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # other failures are left out


async def awaited(client: TillClient) -> None:
    outcome = client.pay(Decimal(1)).aoutcome()
    match outcome:  # a coroutine is neither
        case Ok():
            pass
    number: int = await client.pay(Decimal(1)).aoutcome()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # an outcome is no value
    client.pay(Decimal(1)).outcome(timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a text is no time
    Ok(number).value = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # an outcome is frozen
