"""Claims: a policy is a checked value; it says which failures are tried again, how often and when, on both sides of a task."""

from __future__ import annotations

import asyncio
import dataclasses
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

import pytest
from celery import Celery
from celery.exceptions import Reject
from pico_ioc import PicoContainer, component

from pico_celery import (
    CeleryClient,
    DeadlineExceeded,
    Err,
    ErrorFieldsError,
    Ok,
    OptionError,
    PayloadError,
    RemoteError,
    ResultError,
    RetryPolicy,
    TaskContext,
    TaskDefinition,
    TaskError,
    celery,
    contract,
    send_task,
    task,
    task_options,
)
from pico_celery.contract.marks import marks_of
from pico_celery.worker.declaration import task_attributes
from pico_celery.worker.failures import policy_of


class Busy(TaskError, retryable=True):
    seconds: int = 1


class Declined(TaskError):
    reason: str


class CardDeclined(Declined):
    digits: str


NEVER = (PayloadError, ResultError, ErrorFieldsError, DeadlineExceeded)
AT_ONCE = RetryPolicy(max_attempts=3, delay=timedelta(0), retry_on=(OSError,))


@contract("unit_retries")
class Till(Protocol):
    @task_options(errors=[Busy, Declined], retries=AT_ONCE)
    async def pay(self, raises: list[str]) -> int: ...

    @task_options(errors=[Busy, Declined])
    async def plain(self, raises: list[str]) -> int: ...

    @task_options(errors=[Busy, Declined], max_retries=7)
    async def own(self, raises: list[str]) -> int: ...

    @task_options(errors=[Busy, Declined], retries=AT_ONCE)
    async def asked(self, raises: list[str]) -> int: ...


def definition_of(method: Any) -> TaskDefinition:
    definition = marks_of(method).definition
    assert definition is not None
    return definition


# --- the value


def test_a_policy_is_frozen_comparable_and_picklable() -> None:
    policy = RetryPolicy(max_attempts=5, retry_on=(OSError,))
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert {policy: 1}[RetryPolicy(max_attempts=5, retry_on=(OSError,))] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.max_attempts = 2  # type: ignore[misc]
    assert dataclasses.replace(policy, max_attempts=2).max_attempts == 2


@pytest.mark.parametrize(
    ("wrong", "expected", "got"),
    [
        ({"max_attempts": 0}, "a whole number from 1", "0 (int)"),
        ({"max_attempts": True}, "a whole number from 1", "True (bool)"),
        ({"delay": 5}, "a timedelta from 0", "5 (int)"),
        ({"delay": timedelta(-1)}, "a timedelta from 0", "datetime.timedelta(days=-1) (timedelta)"),
        ({"max_delay": "1 h"}, "a timedelta from 0", "'1 h' (str)"),
        ({"backoff": 0.5}, "a number from 1", "0.5 (float)"),
        ({"backoff": float("inf")}, "a number from 1", "inf (float)"),
        ({"jitter": 1.5}, "True, False or a part from 0 to 1", "1.5 (float)"),
        ({"retry_on": [OSError]}, "a tuple of exception classes", "[<class 'OSError'>] (list)"),
        ({"retry_on": (KeyboardInterrupt,)}, "a tuple of exception classes", "(<class 'KeyboardInterrupt'>,) (tuple)"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_where_the_policy_is_made(wrong: dict[str, Any], expected: str, got: str) -> None:
    with pytest.raises(OptionError) as raised:
        RetryPolicy(**wrong)
    (fault,) = raised.value.faults
    assert (fault.path, fault.expected, fault.got) == (next(iter(wrong)), expected, got)
    assert fault.where[0].startswith(__file__)


def test_all_wrong_values_are_told_at_once() -> None:
    with pytest.raises(OptionError) as raised:
        RetryPolicy(max_attempts=0, backoff=0, jitter=-1)
    assert [fault.path for fault in raised.value.faults] == ["backoff", "jitter", "max_attempts"]


@pytest.mark.parametrize("cls", [*NEVER, Declined, CardDeclined])
def test_a_policy_cannot_name_what_is_never_retried(cls: type[Exception]) -> None:
    with pytest.raises(OptionError) as raised:
        RetryPolicy(retry_on=(cls,))
    (fault,) = raised.value.faults
    assert fault.got == f"{cls.__name__}, which is never retried"
    marked = f"leave it out, or mark it: class {cls.__name__}(..., retryable=True)"
    assert fault.remedy == (marked if issubclass(cls, TaskError) else "leave it out")


def test_what_is_marked_and_what_is_named_is_tried_again_and_nothing_else() -> None:
    everything = RetryPolicy(retry_on=(Exception,))
    assert RetryPolicy().retries(Busy())
    assert not RetryPolicy().retries(OSError())
    assert AT_ONCE.retries(ConnectionError())
    assert not AT_ONCE.retries(ValueError())
    assert everything.retries(ValueError())
    assert not everything.retries(Declined(reason="limit"))
    assert not any(everything.retries(cls("text")) for cls in NEVER)
    assert not everything.retries(KeyboardInterrupt())


def test_delays_grow_up_to_the_longest_one() -> None:
    policy = RetryPolicy(delay=timedelta(seconds=2), backoff=3, max_delay=timedelta(seconds=50), jitter=False)
    delays = [policy.delay_before(retry).total_seconds() for retry in (1, 2, 3, 4, 5000)]
    assert delays == [2, 6, 18, 50, 50]
    assert RetryPolicy(delay=timedelta(0), jitter=False).delay_before(5000) == timedelta(0)


@pytest.mark.parametrize(("jitter", "least"), [(True, 0.0), (0.25, 7.5), (False, 10.0)])
def test_jitter_leaves_a_part_of_the_delay_to_chance(jitter: float, least: float) -> None:
    policy = RetryPolicy(delay=timedelta(seconds=10), jitter=jitter)
    delays = [policy.delay_before(1).total_seconds() for _ in range(300)]
    assert all(least <= delay <= 10 for delay in delays)
    assert min(delays) < least + 1
    assert max(delays) > 9


# --- where it is given


def test_the_policy_of_an_implementation_wins() -> None:
    own = RetryPolicy(max_attempts=9)
    pay = definition_of(Till.pay)
    assert policy_of(pay, {}) is AT_ONCE
    assert policy_of(pay, {"retries": own}) is own
    assert policy_of(pay, {"autoretry_for": (OSError,)}) is None, "Celery's own options take its place"
    assert policy_of(definition_of(Till.own), {}) is None
    attributes = task_attributes(definition_of(Till.own), {"retries": own})
    assert attributes["max_retries"] == 8
    assert "retries" not in attributes
    assert task_attributes(definition_of(Till.own), {})["max_retries"] == 7


@pytest.mark.parametrize("name", ["max_retries", "retry_backoff", "default_retry_delay"])
@pytest.mark.parametrize("give", [task_options, lambda **options: task("unit_retries.pay", **options)])
def test_a_policy_beside_celery_s_own_options_is_refused(give: Callable[..., Any], name: str) -> None:
    with pytest.raises(OptionError) as raised:
        give(retries=AT_ONCE, **{name: 1})
    (fault,) = raised.value.faults
    assert (fault.path, fault.remedy) == (name, "leave it out: the RetryPolicy says it all")


def test_declared_errors_are_expected_and_those_not_retryable_escape_autoretry() -> None:
    plain = definition_of(Till.plain)
    attributes = task_attributes(plain, {"autoretry_for": (Exception,), "throws": (KeyError,)})
    assert attributes["throws"] == (KeyError, Busy, Declined, DeadlineExceeded)
    assert attributes["dont_autoretry_for"] == (*NEVER, Declined)
    named = task_attributes(plain, {"autoretry_for": (Declined,)})
    assert named["dont_autoretry_for"] == NEVER, "who names the class means it"


# --- in eager mode, where every retry happens at once


class Attempts:
    """What the next executions raise."""

    seen: list[str]

    def take(self, raises: list[str]) -> int:
        self.seen.append("ran")
        done = len(self.seen)
        if done > len(raises):
            return done
        raise {
            "busy": Busy(seconds=done),
            "declined": Declined(reason="limit"),
            "card": CardDeclined(reason="limit", digits="4711"),
            "os": ConnectionError("no line"),
            "value": ValueError("no"),
            "reject": Reject("no"),
        }[raises[done - 1]]


attempts = Attempts()


@component
class TillWorker:
    def __init__(self, context: TaskContext) -> None:
        self.context = context

    @task(Till.pay)
    async def pay(self, raises: list[str]) -> int:
        return attempts.take(raises)

    @task(Till.plain, autoretry_for=(Exception,), default_retry_delay=0, max_retries=2)
    async def plain(self, raises: list[str]) -> int:
        return attempts.take(raises)

    @task(Till.own, retries=RetryPolicy(max_attempts=1))
    async def own(self, raises: list[str]) -> int:
        return attempts.take(raises)

    @task(Till.asked)
    async def asked(self, raises: list[str]) -> int:
        try:
            return attempts.take(raises)
        except CardDeclined as error:
            await self.context.retry(exc=error, max_retries=1, countdown=0)


@celery
class TillClient(CeleryClient):
    pay = send_task(Till.pay)
    plain = send_task(Till.plain)
    own = send_task(Till.own)
    asked = send_task(Till.asked)


@pytest.fixture
def client(boot: Callable[..., PicoContainer]) -> TillClient:
    attempts.seen = []
    found: TillClient = boot(TillWorker, TillClient).get(TillClient)
    return found


@pytest.mark.parametrize(
    ("name", "raises", "runs", "outcome"),
    [
        ("pay", [], 1, Ok(1)),
        ("pay", ["busy", "os"], 3, Ok(3)),
        ("pay", ["busy", "busy", "busy", "busy"], 3, Err(Busy(seconds=3))),
        ("pay", ["declined"], 1, Err(Declined(reason="limit"))),
        ("pay", ["card"], 1, Err(Declined(reason="limit"))),
        ("plain", ["busy", "value"], 3, Ok(3)),
        ("plain", ["declined"], 1, Err(Declined(reason="limit"))),
        ("plain", ["card"], 1, Err(Declined(reason="limit"))),
        ("own", ["busy"], 1, Err(Busy(seconds=1))),
        ("asked", ["card", "card", "card"], 2, Err(Declined(reason="limit"))),
    ],
    ids=str,
)
def test_a_task_is_tried_as_often_as_it_may(
    client: TillClient, name: str, raises: list[str], runs: int, outcome: Ok[int] | Err
) -> None:
    result = getattr(client, name)(raises)
    assert result.outcome(timeout=5) == outcome
    assert asyncio.run(result.aoutcome()) == outcome
    assert len(attempts.seen) == runs


def test_what_a_policy_does_not_name_is_not_tried_again(client: TillClient) -> None:
    match client.pay(["value"]).outcome():
        case Err(RemoteError(remote_type="builtins.ValueError")):
            assert len(attempts.seen) == 1
        case other:
            pytest.fail(repr(other))


def test_a_direct_call_raises_the_error_itself(client: TillClient) -> None:
    app: Celery = client.pay._app
    with pytest.raises(Busy):
        app.tasks["unit_retries.pay"](["busy"])
    assert len(attempts.seen) == 1
