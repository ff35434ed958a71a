"""A typed call end to end: under every pool, over every kind of broker, in real processes."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery.exceptions import TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult as CeleryAsyncResult
from celery.signals import before_task_publish

from pico_celery import AsyncResult, OptionError, PayloadError, RemoteError, ResultError
from tests.integration.apps.contracts import Card, Cash, Moment, Refusal, Shop
from tests.integration.conftest import MATRIX, Served, ShareWorker, usual
from tests.support.models import Line, Order, Receipt
from tests.support.sites import close_backend
from tests.support.waiting import becomes, eventually

SOON = timedelta(seconds=20)
ORDER = Order(number=7, lines=[Line(sku="pen", quantity=2, price=Decimal("1.10"))])
RECEIPT = Receipt(number=7, total=Decimal("2.20"))


@pytest.fixture(scope="module", params=usual(*MATRIX, ("async", "embedded"), app="contract_worker"))
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("contract_worker", pool, transport) as started:
        yield started


def test_a_call_returns_the_model_that_the_contract_says(served: Served) -> None:
    result = served.shop.place(ORDER, dry_run=True)
    assert isinstance(result, AsyncResult)
    assert isinstance(result, CeleryAsyncResult)
    assert result.get(timeout=SOON) == Receipt(number=7, total=Decimal("2.20"), dry_run=True)
    assert (result.state, result.ready(), result.successful(), result.failed()) == ("SUCCESS", True, True, False)
    assert isinstance(result.result, Receipt)


def test_defaults_are_filled_in_by_the_worker(served: Served) -> None:
    assert served.shop.place(ORDER).get(timeout=SOON) == RECEIPT


def test_a_sender_by_name_is_the_same_call(served: Served) -> None:
    assert served.shop.place_by_name(ORDER).get(timeout=SOON) == RECEIPT


def test_results_of_every_kind_arrive_as_their_types(served: Served) -> None:
    nothing = served.shop.cancel(3)
    lines = served.shop.price_list(ORDER)
    paid = served.shop.pay(7, Cash(given=Decimal(5)))
    refused = served.shop.pay(7, Card(digits="4711"))
    total = served.shop.sum_up([RECEIPT, RECEIPT])
    moment = Moment(amount=Decimal("0.10"), key=UUID(int=7), at=datetime(2026, 11, 22, tzinfo=UTC))
    remembered = served.shop.remember(moment)
    blob = served.shop.attach("picture", b"\x00\xff\x80")
    assert nothing.get(timeout=SOON) is None
    assert served.worker.noted("cancel-3") == ["ran"]
    assert lines.get(timeout=SOON) == ORDER.lines
    assert paid.get(timeout=SOON) == Receipt(number=7, total=Decimal(5))
    assert refused.get(timeout=SOON) == Refusal(reason="no cards, 4711")
    assert total.get(timeout=SOON) == Decimal("4.40")
    assert remembered.get(timeout=SOON) == moment
    assert blob.get(timeout=SOON) == b"\x80\xff\x00"


def test_many_awaited_calls_at_once_each_get_their_own_result(served: Served) -> None:
    async def call_all() -> list[Receipt]:
        orders = [ORDER.model_copy(update={"number": number}) for number in range(40)]
        return list(await asyncio.gather(*[served.shop.place(order) for order in orders]))

    receipts = asyncio.run(asyncio.wait_for(call_all(), 30))
    assert [receipt.number for receipt in receipts] == list(range(40))


def test_awaiting_does_not_block_the_event_loop(served: Served) -> None:
    key = f"free-{uuid4().hex}"

    async def wait_and_tick() -> str:
        waiting = asyncio.ensure_future(_value(served.probe.hold(key)))
        # Only a loop that is free gets here while the task waits for the note.
        for _ in range(5):
            await asyncio.sleep(0.01)
        assert not waiting.done()
        served.worker.note(key)
        return await asyncio.wait_for(waiting, 20)

    assert asyncio.run(wait_and_tick()) == key


async def _value(result: AsyncResult[str]) -> str:
    return await result


def test_two_event_loops_in_two_threads_await_at_once(served: Served) -> None:
    found: dict[int, list[int]] = {}

    def run(first: int) -> None:
        async def call() -> list[int]:
            orders = [ORDER.model_copy(update={"number": number}) for number in range(first, first + 10)]
            return [receipt.number for receipt in await asyncio.gather(*[served.shop.place(one) for one in orders])]

        found[first] = asyncio.run(asyncio.wait_for(call(), 30))
        close_backend(served.app)

    threads = [threading.Thread(target=run, args=(first,)) for first in (0, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert found == {0: list(range(10)), 100: list(range(100, 110))}


def test_a_cancelled_wait_leaves_the_task_running(served: Served) -> None:
    key = f"left-{uuid4().hex}"

    async def give_up() -> AsyncResult[str]:
        result = served.probe.hold(key)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_value(result), 0.1)
        return result

    result = asyncio.run(give_up())
    served.worker.note(key)
    if served.keeps_results:
        assert result.get(timeout=SOON) == key
    else:
        assert eventually(lambda: f"probe.hold[{result.id}] succeeded" in served.worker.log)


def test_a_failure_is_raised_where_it_is_awaited(served: Served) -> None:
    async def call() -> None:
        await served.probe.fail("out of pens")

    with pytest.raises(RemoteError, match="out of pens") as caught:
        asyncio.run(asyncio.wait_for(call(), 20))
    assert caught.value.remote_type.endswith("ShopError")


def test_a_failure_is_raised_by_get_and_returned_without_propagate(served: Served) -> None:
    result = served.probe.fail("out of ink")
    with pytest.raises(Exception, match="out of ink"):
        result.get(timeout=SOON)
    assert (result.state, result.failed()) == ("FAILURE", True)
    assert "out of ink" in str(result.get(propagate=False))
    assert "raise ShopError(text)" in str(result.traceback)


def test_options_of_one_call_reach_the_worker(served: Served) -> None:
    task_id = str(uuid4())
    call = served.probe.where.with_options(task_id=task_id, priority=3, headers={"x-shop": "north"})
    result = call()
    assert result.id == task_id
    result.get(timeout=SOON)
    (told,) = served.worker.noted(f"request-{task_id}")
    assert json.loads(told) == [served.site.queue, 3, {"x-shop": "north"}]


def test_the_current_task_of_celery_is_the_one_that_runs(served: Served) -> None:
    results = [served.probe.current() for _ in range(6)]
    assert [result.get(timeout=SOON) for result in results] == [f"probe.current {result.id}" for result in results]


def test_a_countdown_holds_a_call_back(served: Served) -> None:
    started = time.monotonic()
    result = served.shop.place.with_options(countdown=timedelta(seconds=1))(ORDER)
    assert result.get(timeout=SOON) == RECEIPT
    assert time.monotonic() - started >= 0.9


def test_an_expired_call_is_revoked_and_not_run(served: Served) -> None:
    number = uuid4().int % 10**9
    past = datetime.now(UTC) - timedelta(seconds=5)
    result = served.shop.cancel.with_options(expires=past)(number)
    with pytest.raises(TaskRevokedError, match="expired"):
        result.get(timeout=SOON)
    assert served.worker.noted(f"cancel-{number}") == []


def test_a_call_to_another_queue_waits_there(served: Served) -> None:
    other = f"{served.site.prefix}.other"
    result = served.shop.place.with_options(queue=other)(ORDER)
    with pytest.raises(CeleryTimeoutError):
        result.get(timeout=timedelta(seconds=0.3))
    served.app.control.add_consumer(other, destination=[served.worker.node], reply=True, timeout=10)
    try:
        assert result.get(timeout=SOON) == RECEIPT
    finally:
        served.app.control.cancel_consumer(other, destination=[served.worker.node], reply=True, timeout=10)
        with served.app.connection_for_write() as connection:
            channel: Any = connection.default_channel
            channel.queue_delete(other)


def test_a_revoked_call_is_not_run(served: Served) -> None:
    number = uuid4().int % 10**9
    # Far enough not to come first on a busy machine. Over rpc:// the caller hears of it when it would have run.
    seconds = 30 if served.keeps_results else 9
    result = served.shop.cancel.with_options(countdown=seconds)(number)
    # A broadcast over AMQP is not confirmed: the worker's answer tells that it came.
    assert eventually(
        lambda: served.app.control.revoke(result.id, destination=[served.worker.node], reply=True, timeout=2)
    )
    with pytest.raises(TaskRevokedError):
        result.get(timeout=SOON)
    assert served.worker.noted(f"cancel-{number}") == []


def test_a_result_is_reopened_by_the_task_and_its_id(served: Served) -> None:
    if not served.keeps_results:
        pytest.skip("rpc:// delivers a result once, to its caller")
    sent = served.shop.place(ORDER)
    sent.get(timeout=SOON)
    again = AsyncResult.of(Shop.place, sent.id, served.app)
    assert again.get(timeout=SOON) == RECEIPT

    async def wait_again() -> Receipt:
        return await AsyncResult.of(Shop.place, sent.id, served.app)

    assert asyncio.run(asyncio.wait_for(wait_again(), 20)) == RECEIPT


def test_a_forgotten_result_is_gone(served: Served) -> None:
    if not served.keeps_results:
        pytest.skip("rpc:// delivers a result once, to its caller")
    result = served.shop.place(ORDER)
    result.get(timeout=SOON)
    result.forget()
    assert AsyncResult.of(Shop.place, result.id, served.app).state == "PENDING"


def test_a_call_that_ignores_its_result_runs_and_stores_none(served: Served) -> None:
    key = f"quiet-{uuid4().hex}"
    result = served.probe.quietly(key)
    assert result.get(timeout=SOON) is None
    becomes(lambda: served.worker.noted(key), ["ran"])
    assert result.state == "PENDING"


def test_waiting_for_an_ignored_result_that_cannot_be_none_is_an_error(served: Served) -> None:
    result = served.shop.place.with_options(ignore_result=True)(ORDER)
    with pytest.raises(ResultError, match="send it without ignore_result, or do not wait for it"):
        result.get(timeout=SOON)


def test_a_wrong_payload_is_refused_before_anything_is_published(served: Served) -> None:
    published: list[str] = []

    def see(sender: str, **_: object) -> None:
        published.append(sender)

    before_task_publish.connect(see)
    try:
        with pytest.raises(
            PayloadError, match=r"shop\.place: order\.lines\.0\.quantity: expected a value greater than 0"
        ):
            served.shop.place({"number": 1, "lines": [{"sku": "a", "quantity": 0, "price": "1"}]})  # type: ignore[arg-type]
        with pytest.raises(
            TypeError, match=r"shop\.place: order: expected a value of type Order, got nothing; pass it"
        ):
            served.shop.place()  # type: ignore[call-arg]
        with pytest.raises(OptionError, match="did you mean 'countdown'"):
            served.shop.place.with_options(cuontdown=1)  # type: ignore[call-arg]
        assert published == []
        served.shop.cancel(1).get(timeout=SOON)
        assert published == ["shop.cancel"]
    finally:
        before_task_publish.disconnect(see)


def test_all_tasks_of_a_process_run_on_one_loop_and_share_what_is_bound_to_it(served: Served) -> None:
    found = [result.get(timeout=SOON) for result in [served.probe.where() for _ in range(12)]]
    loops = {(one.pid, one.loop, one.resource) for one in found}
    assert len(loops) == len({one.pid for one in found})
    assert len({one.pid for one in found}) <= (2 if served.worker.pool == "processes" else 1)
