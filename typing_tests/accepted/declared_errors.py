"""Declared errors: fields, the constructor that they make, where they are listed, and how they are caught or matched."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Protocol, assert_never, assert_type

from celery import Celery
from pydantic import Field

from pico_celery import (
    AsyncResult,
    CeleryClient,
    DeadlineExceeded,
    Err,
    ErrorClassError,
    ErrorDefinition,
    ErrorFieldsError,
    Fault,
    Ok,
    PicoCeleryError,
    RemoteError,
    RetryPolicy,
    TaskDefinition,
    TaskError,
    TaskOptions,
    celery,
    contract,
    send_task,
    task,
    task_options,
)


class PaymentDeclined(TaskError, retryable=True):
    """The bank said no."""

    reason: str
    retry_after: timedelta | None = None


class CardDeclined(PaymentDeclined, code="bank.card"):
    last_digits: str = Field(pattern="^[0-9]{4}$", repr=False)
    tries: list[int] = Field(default_factory=list[int])


class OutOfStock(TaskError):
    message: str
    missing: dict[str, int]

    def __str__(self) -> str:
        return f"{self.message}: {len(self.missing)} articles"


class Closed(TaskError):
    """The shop is closed."""


slowly = RetryPolicy(max_attempts=5, delay=timedelta(seconds=2), backoff=3, jitter=0.5, retry_on=(OSError,))
policy: TaskOptions = {"errors": [PaymentDeclined], "retries": slowly}


@contract("till")
class Till(Protocol):
    @task_options(errors=[PaymentDeclined, CardDeclined, OutOfStock, Closed], retries=slowly)
    async def pay(self, amount: Decimal) -> int: ...

    @task_options(errors=(Closed,), retries=RetryPolicy(max_delay=timedelta(hours=1), jitter=False))
    async def close(self) -> None: ...

    @task_options(**policy)
    async def refund(self, amount: Decimal) -> None: ...


@celery
class TillClient(CeleryClient):
    pay = send_task(Till.pay)
    close = send_task(Till.close)


class TillWorker:
    @task(Till.pay, retries=RetryPolicy(max_attempts=1))
    async def pay(self, amount: Decimal) -> int:
        if amount > 100:
            raise PaymentDeclined(reason="limit", retry_after=timedelta(days=1))
        if amount > 10:
            raise OutOfStock(message="gone", missing={"tea": 2})
        raise Closed


def built() -> None:
    error = CardDeclined(reason="limit", last_digits="4711")
    assert_type(error.reason, str)
    assert_type(error.retry_after, timedelta | None)
    assert_type(error.last_digits, str)
    assert_type(error.tries, list[int])
    assert_type(error.retryable, bool)
    assert_type(error.code, str)
    assert_type(CardDeclined.code, str)
    assert_type(OutOfStock(message="gone", missing={}).message, str)
    assert_type(Closed().message, str)
    assert_type(Closed().data, dict[str, Any])
    base: TaskError = error
    root: PicoCeleryError = base
    assert_type(str(root), str)


def caught(client: TillClient) -> int:
    try:
        return client.pay(Decimal(1)).get(timeout=1)
    except CardDeclined as error:
        assert_type(error.last_digits, str)
    except PaymentDeclined as error:
        assert_type(error.retry_after, timedelta | None)
    except RemoteError as error:
        assert_type(error.task, str)
        assert_type(error.task_id, str)
        assert_type(error.remote_type, str)
        assert_type(error.remote_message, str)
        assert_type(error.remote_traceback, str)
        assert_type(error.faults, tuple[Fault, ...])
    except (ErrorClassError, ErrorFieldsError) as error:
        assert_type(error.faults, tuple[Fault, ...])
    except DeadlineExceeded as error:
        assert_type(error.message, str)
    return 0


def matched(client: TillClient) -> str:
    outcome = client.pay(Decimal(1)).outcome(timeout=timedelta(seconds=5))
    assert_type(outcome, Ok[int] | Err)
    match outcome:
        case Ok(receipt):
            assert_type(receipt, int)
            return str(receipt)
        case Err(PaymentDeclined(reason=reason, retry_after=later)):
            assert_type(reason, str)
            assert_type(later, timedelta | None)
            return reason
        case Err(OutOfStock(missing=missing)):
            assert_type(missing, dict[str, int])
            return ""
        case Err(error):
            assert_type(error, Exception)
            return str(error)
        case _:
            assert_never(outcome)


async def matched_in_asyncio(client: TillClient, app: Celery) -> int:
    match await client.pay(Decimal(1)).aoutcome():
        case Ok(receipt):
            return receipt
        case Err(error):
            raise error


def outcomes_are_covariant(result: AsyncResult[bool]) -> Ok[int] | Err:
    return result.outcome(1.5)


def defined(definition: TaskDefinition) -> None:
    assert_type(definition.errors, tuple[ErrorDefinition, ...])
    assert_type(definition.error("till.closed"), ErrorDefinition | None)
    assert_type(definition.retries, RetryPolicy | None)
    for error in definition.errors:
        assert_type(error.code, str)
        assert_type(error.cls, type[TaskError])
        assert_type(error.retryable, bool)
        assert_type(error.doc, str)
        assert_type(error.where, str)
        assert_type(error.schema, Mapping[str, Any])


def policies(error: Exception) -> None:
    assert_type(slowly.max_attempts, int)
    assert_type(slowly.delay, timedelta)
    assert_type(slowly.retries(error), bool)
    assert_type(slowly.delay_before(2), timedelta)
