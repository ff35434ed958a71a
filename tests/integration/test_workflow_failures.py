"""Declared errors, outcomes and retries in typed workflows: with real workers, on Redis and RabbitMQ."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import ChordError, TaskRevokedError
from celery.result import GroupResult as CeleryGroupResult
from pydantic import SecretStr

from pico_celery import DeadlineExceeded, Err, GroupResult, Ok, RemoteError, group
from tests.integration.apps.errors_contracts import Busy, Declined, Locked, OutOfStock, TillClient
from tests.integration.conftest import Served, ShareWorker, usual
from tests.support.waiting import becomes, eventually

SOON = timedelta(seconds=20)
DECLINED = Declined(reason="limit", limit=Decimal("0.10"), retry_after=timedelta(hours=1))
PLACES = (
    ("async", "redis"),
    ("async", "rabbitmq"),
    ("processes", "redis"),
    ("processes", "rabbitmq"),
    ("async", "rabbitmq-rpc"),
)


@pytest.fixture(scope="module", params=usual(*PLACES, app="errors_worker"))
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("errors_worker", pool, transport) as started:
        yield started


@pytest.fixture
def till(served: Served) -> TillClient:
    return TillClient(served.app)


def new_key() -> str:
    return f"flow-{uuid4().hex}"


def skip_without_chords(served: Served) -> None:
    if not served.keeps_results:
        pytest.skip("rpc:// has no chords")


def run(waiting: Any) -> Any:
    return asyncio.run(asyncio.wait_for(waiting, 20))


async def awaited(result: Any) -> Any:
    return await result


def test_a_group_raises_declared_errors_whichever_way_it_is_waited_for(till: TillClient) -> None:
    sent = group(till.flaky.s(new_key(), []), till.pay.s("declined"), till.pay.s("stranger")).delay()
    for wait in (sent.get, sent.join, sent.join_native):
        with pytest.raises(Declined) as caught:
            wait(timeout=SOON)
        assert caught.value == DECLINED
    with pytest.raises(Declined) as caught:
        run(awaited(sent))
    assert caught.value == DECLINED
    values: Any = sent.get(timeout=SOON, propagate=False)
    assert values[:2] == (1, DECLINED)
    assert isinstance(values[2], RemoteError)


def test_the_outcome_of_each_member_is_matched(till: TillClient) -> None:
    sent = group(till.flaky.s(new_key(), []), till.pay.s("declined"), till.pay.s("locked")).delay()
    locked = Err(Locked(card=SecretStr("5500-0000"), pin="pin-0815"))
    assert [member.outcome(timeout=SOON) for member in sent] == [Ok(1), Err(DECLINED), locked]

    async def complete() -> list[Any]:
        return [await member.aoutcome() async for member in sent]

    found = run(complete())
    assert len(found) == 3
    assert all(one in found for one in (Ok(1), Err(DECLINED), locked))


@pytest.mark.parametrize("again", [False, True], ids=["at-once", "when-all-is-stored"])
def test_what_fails_in_a_chain_is_the_failure_of_all_after_it(till: TillClient, again: bool) -> None:
    sent = (till.pay.s("declined") | till.pack.s() | till.pack.s()).delay()
    if again:
        assert eventually(sent.ready)
    assert sent.outcome(timeout=SOON) == Err(DECLINED)
    assert run(sent.aoutcome()) == Err(DECLINED)
    with pytest.raises(Declined):
        sent.get(timeout=SOON)
    second = (till.flaky.s(new_key(), []) | till.pack.s()).delay()
    assert second.outcome(timeout=SOON) == Err(OutOfStock(missing={"tea": 1}))


def test_a_group_behind_a_task_that_failed_ends_with_its_failure(till: TillClient) -> None:
    sent = (till.pay.s("declined") | group([till.pack.s(), till.pack.s() | till.pack.s()])).delay()
    with pytest.raises(Declined):
        sent.get(timeout=SOON)
    with pytest.raises(Declined):
        run(awaited(sent))
    assert [member.outcome(timeout=SOON) for member in sent] == [Err(DECLINED)] * 2

    async def complete() -> list[Any]:
        return [await member.aoutcome() async for member in sent]

    assert run(complete()) == [Err(DECLINED)] * 2


def test_a_chord_behind_a_task_that_failed_ends_with_its_failure(served: Served, till: TillClient) -> None:
    skip_without_chords(served)
    sent = (till.pay.s("declined") | group([till.pack.s(), till.pack.s()]) | till.add_up.s()).delay()
    match sent.outcome(timeout=SOON):
        case Err(Declined() | ChordError()):
            pass
        case other:
            pytest.fail(repr(other))


def test_a_revoked_task_ends_what_waits_for_its_chain(served: Served, till: TillClient) -> None:
    key = new_key()
    sent = (till.hold.with_options(countdown=2).s(1, key) | till.pack.s()).delay()
    first: Any = sent.parent
    first.revoke()
    waiting = sent.outcome
    served.worker.note(key)
    match waiting(timeout=SOON):
        case Err(TaskRevokedError()):
            pass
        case other:
            pytest.fail(repr(other))


def test_the_body_of_a_chord_fails_with_chord_error_and_its_header_has_the_declared_errors(
    served: Served, till: TillClient
) -> None:
    skip_without_chords(served)
    sent = (group([till.flaky.s(new_key(), []), till.pay.s("declined")]) | till.add_up.s()).delay()
    match sent.outcome(timeout=SOON):
        case Err(ChordError() as error):
            assert "Declined" in str(error)
        case other:
            pytest.fail(repr(other))
    header: Any = sent.parent
    assert isinstance(header, CeleryGroupResult)
    members: Any = header.results
    assert [member.outcome(timeout=SOON) for member in members] == [Ok(1), Err(DECLINED)]


def test_a_retried_step_keeps_its_chain_its_deadline_and_its_headers(served: Served, till: TillClient) -> None:
    key = new_key()
    chain = till.flaky.with_options(headers={"shop": "bern"}).s(key, ["busy", "line"]) | till.pack.s()
    sent = chain.apply_async(timeout=30)
    assert sent.outcome() == Err(OutOfStock(missing={"tea": 3}))
    assert len(served.worker.noted(key)) == 3
    spent = (till.flaky.s(new_key(), ["busy", "busy", "busy"]) | till.pack.s()).delay()
    assert spent.outcome(timeout=SOON) == Err(Busy(attempt=3))


def test_link_error_gets_the_id_of_a_task_with_a_declared_error(served: Served, till: TillClient) -> None:
    keys = [new_key() for _ in range(3)]
    call = till.pay.s("declined")
    call.link_error(till.tell.partial(keys[0]))
    chain = till.flaky.s(new_key(), []) | till.pack.s()
    chain.link_error(till.tell.partial(keys[1]))
    late = till.pay.s("declined")
    late.link_error(till.tell.partial(keys[2]))
    sent: list[Any] = [call.delay(), chain.delay(), late.apply_async(timeout=10)]
    for result, key in zip(sent, keys, strict=True):
        becomes(partial(served.worker.noted, key), [result.id])


def test_scopes_and_calls_raise_declared_errors(till: TillClient) -> None:
    async def use() -> None:
        with pytest.raises(Declined) as caught:
            await till.pay.acall("declined")
        assert caught.value == DECLINED
        async with till.pay.scope("declined") as result:
            assert await result.aoutcome() == Err(DECLINED)
        with pytest.raises(Declined):
            async with till.pay.with_options(timeout=20).scope("declined") as result:
                await result

    run(use())


def test_batches_with_errors_deadlines_and_keys_have_each_result_in_its_place(till: TillClient) -> None:
    ways: Any = ["declined", "locked", "declined"]
    results = till.pay.with_options(timeout=20).send_many(ways)
    assert len({result.deadline for result in results}) == 3
    found: list[Any] = [result.outcome() for result in results]
    assert [type(one.error) for one in found] == [Declined, Locked, Declined]

    async def awaiting() -> list[Any]:
        return [await result.aoutcome() for result in await till.pay.with_options(timeout=20).asend_many(ways)]

    assert [type(one.error) for one in run(awaiting())] == [Declined, Locked, Declined]


def test_the_outcomes_of_a_group_are_there_by_the_deadline_of_all(till: TillClient) -> None:
    sent = group([till.pay.s("declined"), till.pay.s("declined")]).apply_async(timeout=20)
    assert isinstance(sent, GroupResult)
    assert [member.outcome() for member in sent] == [Err(DECLINED)] * 2


def test_a_call_with_a_key_is_one_call_through_its_retries_and_failures(served: Served, till: TillClient) -> None:
    if not served.keeps_results:
        pytest.skip("rpc:// keeps no keys")
    key = new_key()
    keyed = till.flaky.with_options(idempotency_key=key, timeout=20)
    first, second = keyed(key, ["busy", "line"]), keyed(key, ["busy", "line"])
    assert first.id == second.id
    assert first.outcome() == second.outcome() == Ok(3)
    assert len(served.worker.noted(key)) == 3
    declined = till.pay.with_options(idempotency_key=f"{key}-declined")
    results = [declined("declined"), declined("declined")]
    assert [result.outcome(timeout=SOON) for result in results] == [Err(DECLINED)] * 2
    assert results[0].id == results[1].id


def test_a_chord_ends_at_its_deadline(served: Served, till: TillClient) -> None:
    skip_without_chords(served)
    held = (group([till.hold.s(1, new_key()), till.flaky.s(new_key(), [])]) | till.add_up.s()).apply_async(timeout=1.5)
    match held.outcome():
        case Err(DeadlineExceeded() | ChordError() as error):
            assert "DeadlineExceeded" in f"{type(error).__name__} {error}"
        case other:
            pytest.fail(repr(other))
