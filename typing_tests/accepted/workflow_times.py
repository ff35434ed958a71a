"""Deadlines and outcomes of workflows and of their members."""

from datetime import datetime, timedelta
from typing import assert_type

from typing_tests.accepted.calls import OrdersClient
from typing_tests.accepted.canvas import ShippingClient
from typing_tests.accepted.declared_errors import PaymentDeclined
from typing_tests.shop import Order, Receipt

from pico_celery import AsyncResult, Err, GroupResult, Ok, PublishRetryPolicy, group, schedule

policy: PublishRetryPolicy = {"max_retries": 3, "interval_start": 0}


def deadlines(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    chain = orders.place.s(order) | shipping.ship.with_options(timeout=timedelta(minutes=1)).s()
    assert_type(chain.apply_async(timeout=5), AsyncResult[str])
    assert_type(chain.apply_async(timeout=None, retry_policy=policy).deadline, datetime | None)
    assert_type(orders.place.s(order).set(timeout=None).with_options(timeout=3).delay(), AsyncResult[Receipt])
    assert_type(orders.place.map([order]).apply_async(timeout=timedelta(seconds=5)), GroupResult[Receipt])
    assert_type(shipping.ship.partial().apply_async((orders.place(order).get(),), timeout=5), AsyncResult[str])
    schedule(orders.place.s(order), every=timedelta(hours=1), name="place", timeout=60)


async def awaited_deadlines(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    chain = orders.place.s(order) | shipping.ship.s()
    assert_type(await chain.asend(timeout=5), AsyncResult[str])
    assert_type(await orders.place.map([order]).asend(timeout=5), GroupResult[Receipt])
    parts = group([shipping.ship.s(), shipping.ship.s()])
    assert_type(await parts.asend(await orders.place(order), timeout=5), GroupResult[str])


def outcomes(orders: OrdersClient, shipping: ShippingClient, order: Order) -> list[str]:
    sent = orders.place.map([order]).delay()
    assert_type([member.outcome(timeout=1) for member in sent], list[Ok[Receipt] | Err])
    assert_type(sent.join(timeout=1), list[Receipt])
    reasons: list[str] = []
    for member in sent.members:
        match member.outcome():
            case Ok(receipt):
                assert_type(receipt, Receipt)
            case Err(PaymentDeclined(reason=reason)):
                reasons.append(reason)
            case Err(error):
                assert_type(error, Exception)
    named = group(orders.place.s(order), orders.place.s(order) | shipping.ship.s()).delay()
    assert_type(named[0].outcome(), Ok[Receipt | str] | Err)
    return reasons


async def awaited_outcomes(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    async for member in orders.place.map([order]).delay():
        assert_type(await member.aoutcome(), Ok[Receipt] | Err)
    assert_type(await (orders.place.s(order) | shipping.ship.s()).delay().aoutcome(), Ok[str] | Err)
