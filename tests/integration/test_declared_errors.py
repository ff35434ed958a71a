"""Declared errors end to end: from a real worker, under every pool and over every kind of broker, to every kind of client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from celery import chain, chord, states
from celery.exceptions import ChordError
from celery.result import AsyncResult as CeleryAsyncResult
from celery.result import GroupResult
from pydantic import SecretStr

from pico_celery import AsyncResult, Err, ExecutionError, Ok, RemoteError
from pico_celery.contract.marks import marks_of
from tests.integration.apps.errors_contracts import Busy, Declined, Locked, OutOfStock, Till, TillClient
from tests.integration.conftest import MATRIX, Served, ShareWorker, StartWorker, usual
from tests.integration.test_secrets import captured_events
from tests.support.waiting import becomes, eventually

SOON = timedelta(seconds=20)
DECLINED = Declined(reason="limit", limit=Decimal("0.10"), retry_after=timedelta(hours=1))


@pytest.fixture(scope="module", params=usual(*MATRIX, app="errors_worker"))
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("errors_worker", pool, transport) as started:
        yield started


@pytest.fixture
def till(served: Served) -> TillClient:
    return TillClient(served.app)


def test_a_declared_error_is_raised_by_get_as_its_class_with_its_fields(till: TillClient) -> None:
    result = till.pay("declined")
    with pytest.raises(Declined) as caught:
        result.get(timeout=SOON)
    assert caught.value == DECLINED
    assert caught.value.code == "till.declined"
    assert (result.state, result.failed(), result.result) == ("FAILURE", True, DECLINED)
    assert result.get(propagate=False) == DECLINED
    assert "raise Declined(" in str(result.traceback)


def test_a_declared_error_is_raised_where_it_is_awaited(till: TillClient) -> None:
    async def call() -> None:
        await till.pay("declined")

    with pytest.raises(Declined) as caught:
        asyncio.run(asyncio.wait_for(call(), 20))
    assert caught.value == DECLINED


def test_many_failures_at_once_are_each_their_own(till: TillClient) -> None:
    async def call_all() -> list[Any]:
        ways: list[Any] = ["declined", "locked", "heir", "stranger"] * 5
        return await asyncio.gather(*[till.pay(way).aoutcome() for way in ways])

    outcomes = asyncio.run(asyncio.wait_for(call_all(), 30))
    kinds = [type(outcome.error).__name__ for outcome in outcomes]
    assert kinds == ["Declined", "Locked", "Declined", "RemoteError"] * 5


def test_an_outcome_is_matched_without_raising(till: TillClient) -> None:
    match till.pay("declined").outcome(timeout=SOON):
        case Err(Declined(reason=reason, limit=limit)):
            assert (reason, limit) == ("limit", Decimal("0.10"))
        case other:
            pytest.fail(repr(other))
    assert till.flaky(f"fine-{uuid4().hex}", []).outcome(timeout=SOON) == Ok(1)


def test_an_heir_arrives_as_its_declared_base(till: TillClient) -> None:
    assert till.pay("heir").outcome(timeout=SOON) == Err(Declined(reason="limit"))


def test_an_undeclared_exception_is_a_remote_error_with_all_that_is_known(till: TillClient) -> None:
    result = till.pay("stranger")
    with pytest.raises(RemoteError) as caught:
        result.get(timeout=SOON)
    error = caught.value
    assert (error.task, error.task_id) == ("till.pay", result.id)
    assert error.remote_type.endswith("StrangerError")
    assert error.remote_message == "('no line', 5)"
    assert 'raise StrangerError("no line", 5)' in error.remote_traceback
    assert "@task_options(errors=[...])" in str(error)


def test_an_undeclared_task_error_is_a_remote_error_and_the_worker_says_to_list_it(
    served: Served, till: TillClient
) -> None:
    match till.pay("unlisted").outcome(timeout=SOON):
        case Err(RemoteError(remote_message=message)):
            assert message == "reason='nobody listed me'"
        case other:
            pytest.fail(repr(other))
    assert eventually(lambda: "List it: @task_options(errors=[Unlisted])" in served.worker.log)


def test_an_error_of_the_library_arrives_as_itself(till: TillClient) -> None:
    with pytest.raises(ExecutionError, match="raise an exception that says what failed"):
        till.pay("own").get(timeout=SOON)


def test_a_declared_error_is_logged_as_expected_without_a_traceback(served: Served, till: TillClient) -> None:
    result = till.pay("declined")
    result.outcome(timeout=SOON)
    line = f"till.pay[{result.id}] raised expected: Declined(reason='limit'"
    assert eventually(lambda: line in served.worker.log)
    (told,) = [text for text in served.worker.log.splitlines() if line in text]
    assert "INFO" in told
    other = till.pay("stranger")
    other.outcome(timeout=SOON)
    assert eventually(lambda: f"till.pay[{other.id}] raised unexpected" in served.worker.log)


def test_secrets_of_an_error_arrive_and_are_in_no_log_event_or_text(served: Served, till: TillClient) -> None:
    with captured_events(served) as events:
        result = till.pay("locked")
        with pytest.raises(Locked) as caught:
            result.get(timeout=SOON)
        plainly = served.plain.send_task("till.pay", kwargs={"way": "locked"})
        assert "5500-0000" not in str(plainly.get(timeout=20, propagate=False))
        ids = {result.id, plainly.id}
        becomes(lambda: ids & {event["uuid"] for event in events if event["type"] == "task-failed"}, ids)
    assert (caught.value.card, caught.value.pin) == (SecretStr("5500-0000"), "pin-0815")
    assert eventually(lambda: f"till.pay[{result.id}] raised expected" in served.worker.log)
    told = json.dumps(events, default=str)
    assert "Locked(card=SecretStr(" in told
    for text in (told, served.worker.log, str(caught.value), repr(caught.value), str(result.traceback)):
        assert "5500-0000" not in text
        assert "pin-0815" not in text


def test_a_group_of_calls_raises_the_declared_error(served: Served, till: TillClient) -> None:
    results: list[Any] = [till.flaky(f"group-{uuid4().hex}", []), till.pay("declined")]
    group: Any = GroupResult(uuid4().hex, results, app=served.app)
    with pytest.raises(Declined) as caught:
        group.get(timeout=20)
    assert caught.value == DECLINED


def test_the_failure_of_the_first_task_of_a_chain_is_its_declared_error(served: Served, till: TillClient) -> None:
    if not served.keeps_results:
        pytest.skip("rpc:// delivers a result to the application that sent its task")
    first = served.app.signature("till.pay", kwargs={"way": "declined"})
    second = served.app.signature("till.pack")
    sent: Any = chain(first, second, app=served.app).apply_async()
    pay, pack = marks_of(Till.pay).definition, marks_of(Till.pack).definition
    assert pay is not None
    assert pack is not None
    parent: AsyncResult[int] = AsyncResult(sent.parent.id, app=served.app, definition=pay)
    last: AsyncResult[int] = AsyncResult(sent.id, app=served.app, parent=parent, definition=pack)
    with pytest.raises(Declined) as caught:
        last.get(timeout=SOON)
    assert caught.value == DECLINED
    assert last.outcome(timeout=SOON) == Err(DECLINED)
    assert asyncio.run(asyncio.wait_for(last.aoutcome(), 20)) == Err(DECLINED)


def test_the_failure_of_the_last_task_of_a_chain_is_its_own(served: Served) -> None:
    if not served.keeps_results:
        pytest.skip("rpc:// delivers a result to the application that sent its task")
    first = served.app.signature("till.flaky", kwargs={"key": f"chain-{uuid4().hex}", "raises": []})
    sent = chain(first, served.app.signature("till.pack"), app=served.app).apply_async()
    again = AsyncResult.of(Till.pack, sent.id, served.app)
    assert again.outcome(timeout=SOON) == Err(OutOfStock(missing={"tea": 1}))


def test_a_failed_part_of_a_chord_is_told_to_its_body_without_secrets(served: Served) -> None:
    if not served.keeps_results:
        pytest.skip("rpc:// has no chords")
    ways = [served.app.signature("till.pay", kwargs={"way": way}) for way in ("locked", "locked")]
    sent = chord(ways, served.app.signature("till.pack"), app=served.app).apply_async()
    match AsyncResult.of(Till.pack, sent.id, served.app).outcome(timeout=SOON):
        case Err(ChordError() as error):
            assert "raised Locked(card=SecretStr('**********'))" in str(error)
        case other:
            pytest.fail(repr(other))


# --- retries


def test_retryable_errors_and_those_that_the_policy_names_are_tried_again(served: Served, till: TillClient) -> None:
    key = f"again-{uuid4().hex}"
    result = till.flaky(key, ["busy", "line"])
    assert result.get(timeout=SOON) == 3
    assert len(served.worker.noted(key)) == 3
    assert f"till.flaky[{result.id}] retry: Retry in" in served.worker.log
    if served.keeps_results:  # stored before it is published: another process may have run it, and stored its outcome
        assert served.worker.noted(f"{key}-states") == ["RETRY", "RETRY"]
    assert "Busy(attempt=1)" in served.worker.log


def test_when_all_attempts_are_used_up_the_error_itself_is_the_failure(served: Served, till: TillClient) -> None:
    key = f"never-{uuid4().hex}"
    result = till.flaky(key, ["busy", "line", "busy", "busy"])
    assert result.outcome(timeout=SOON) == Err(Busy(attempt=3))
    assert result.state == states.FAILURE
    assert len(served.worker.noted(key)) == 3


def test_a_retry_that_cannot_be_published_is_a_failure_for_which_nobody_waits_in_vain(
    served: Served, till: TillClient
) -> None:
    key = f"strand-{uuid4().hex}"
    result = till.strand(key)
    with pytest.raises(ExecutionError) as caught:
        result.get(timeout=SOON)
    assert str(caught.value).startswith(f"till.strand[{result.id}] could not be retried after Busy: attempt=1: ")
    assert "OperationalError" in str(caught.value)
    assert "see that the worker reaches its broker" in str(caught.value)
    assert result.state == states.FAILURE
    assert len(served.worker.noted(key)) == 1


def test_a_retry_that_cannot_be_published_fails_its_chord(served: Served) -> None:
    if not served.keeps_results:
        pytest.skip("rpc:// has no chords")
    header = [served.app.signature("till.strand", kwargs={"key": f"strand-{uuid4().hex}"}) for _ in range(2)]
    sent = chord(header, served.app.signature("till.add_up"), app=served.app).apply_async()
    match AsyncResult.of(Till.add_up, sent.id, served.app).outcome(timeout=SOON):
        case Err(ChordError() as error):
            assert "could not be retried" in str(error)
        case other:
            pytest.fail(repr(other))


@pytest.mark.parametrize("way", ["declined", "stranger"])
def test_other_errors_are_never_tried_again(served: Served, till: TillClient, way: Any) -> None:
    key = f"once-{uuid4().hex}"
    outcome = till.flaky(key, [way, "busy"]).outcome(timeout=SOON)
    assert isinstance(outcome, Err)
    assert type(outcome.error) is (Declined if way == "declined" else RemoteError)
    assert len(served.worker.noted(key)) == 1


# --- plain Celery on the other side


def test_a_plain_client_reads_class_text_and_fields(served: Served, till: TillClient) -> None:
    if not served.keeps_results:
        pytest.skip("rpc:// delivers a result once, to its caller")
    result = till.pay("declined")
    result.outcome(timeout=SOON)
    plain: CeleryAsyncResult[Any] = CeleryAsyncResult(result.id, app=served.plain)
    error = plain.get(timeout=20, propagate=False)
    assert error == DECLINED, "the contract is imported here, so Celery finds the class"
    backend: Any = served.plain.backend
    raw = backend.decode(backend.get(backend.get_key_for_task(result.id)))["result"]
    assert (raw["exc_type"], raw["exc_module"]) == ("Declined", "tests.integration.apps.errors_contracts")
    assert raw["exc_message"] == [
        str(DECLINED),
        {
            "code": "till.declined",
            "task": "till.pay",
            "fields": {"reason": "limit", "limit": "0.10", "retry_after": "PT1H"},
        },
    ]


@pytest.mark.redis
def test_a_plain_worker_raises_what_a_contract_declares(start_worker: StartWorker) -> None:
    with start_worker("errors_plain", "threads", "redis") as plainly:
        till = TillClient(plainly.app)
        assert till.pay("declined").outcome(timeout=SOON) == Err(Declined(reason="limit"))
        match till.pay("stranger").outcome(timeout=SOON):
            case Err(RemoteError(remote_type=remote_type, remote_message=message)):
                assert (remote_type, message) == ("builtins.ValueError", "stranger")
            case other:
                pytest.fail(repr(other))
