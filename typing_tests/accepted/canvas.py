"""Signatures and workflows: each joint has the types of the contract."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Protocol, assert_type

from typing_tests.accepted.calls import NamedClient, OrdersClient
from typing_tests.shop import Order, Receipt

from pico_celery import (
    AsyncResult,
    CeleryClient,
    CompositionError,
    GroupResult,
    GroupSignature,
    GroupWorkflow,
    ImmutableSignature,
    PartialGroup,
    PartialSignature,
    TaskSignature,
    Workflow,
    celery,
    chain,
    chord,
    contract,
    group,
    send_task,
)


@contract("shipping")
class Shipping(Protocol):
    async def ship(self, receipt: Receipt) -> str: ...

    async def ship_to(self, receipt: Receipt, address: str, *, fast: bool = False) -> str: ...

    async def show(self, value: object, width: int = 80) -> int: ...

    async def add_up(self, receipts: list[Receipt]) -> Decimal: ...

    async def pair(self, both: tuple[Receipt, str]) -> bool: ...

    async def wait(self, seconds: float = 1.0) -> int: ...

    async def tell(self, task_id: str) -> None: ...


@celery
class ShippingClient(CeleryClient):
    ship = send_task(Shipping.ship)
    ship_to = send_task(Shipping.ship_to)
    show = send_task(Shipping.show)
    add_up = send_task(Shipping.add_up)
    pair = send_task(Shipping.pair)
    wait = send_task(Shipping.wait)
    tell = send_task(Shipping.tell)


def one_call(orders: OrdersClient, named: NamedClient, order: Order) -> None:
    assert_type(orders.place.s(order), TaskSignature[Receipt])
    assert_type(orders.place.s(order=order, dry_run=True), TaskSignature[Receipt])
    assert_type(orders.place.si(order), ImmutableSignature[Receipt])
    assert_type(orders.count.s(), TaskSignature[int])
    assert_type(named.place.s(order), TaskSignature[Receipt])
    assert_type(OrdersClient.place.s(order), TaskSignature[Receipt])
    assert_type(orders.place.with_options(countdown=1).s(order), TaskSignature[Receipt])
    assert_type(orders.place.s(order).with_options(queue="slow"), TaskSignature[Receipt])
    assert_type(orders.place.s(order).set(expires=timedelta(hours=1)).clone(), TaskSignature[Receipt])
    assert_type(orders.place.s(order).delay(), AsyncResult[Receipt])
    assert_type(orders.place.s(order).apply_async(countdown=1), AsyncResult[Receipt])


def calls_without_their_first_argument(orders: OrdersClient, shipping: ShippingClient) -> None:
    assert_type(shipping.ship.s(), PartialSignature[Receipt, str])
    part: PartialSignature[Receipt, str] = shipping.ship_to.partial("Bern", fast=True)
    assert_type(part.delay(Receipt(total=Decimal(1))), AsyncResult[str])
    assert_type(part.apply_async((Receipt(total=Decimal(1)),), countdown=1), AsyncResult[str])
    keyword: PartialSignature[Receipt, str] = shipping.ship_to.partial(address="Bern")
    optional: PartialSignature[float, int] = shipping.wait.partial()
    late: PartialSignature[Order, Receipt] = orders.place.with_options(countdown=1).partial(dry_run=True)
    assert_type(part | shipping.show.s(), PartialSignature[Receipt, int])
    assert_type([keyword, part], list[PartialSignature[Receipt, str]])
    assert_type(optional | shipping.show.s(), PartialSignature[float, int])
    assert_type(late | part, PartialSignature[Order, str])


def one_after_another(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    assert_type(orders.place.s(order) | shipping.ship.s(), Workflow[str])
    assert_type(orders.place.s(order) | shipping.ship.s() | shipping.show.partial(40), Workflow[int])
    assert_type(orders.place.s(order) | (shipping.ship.s() | shipping.show.s()), Workflow[int])
    assert_type(orders.place.s(order) | orders.count.si() | shipping.wait.partial(), Workflow[int])
    assert_type(orders.place.s(order).then(shipping.ship), Workflow[str])
    assert_type(orders.place.s(order).then(shipping.ship_to, "Bern"), Workflow[str])
    assert_type(orders.place.s(order).then(shipping.ship_to, address="Bern", fast=True), Workflow[str])
    assert_type(orders.place.s(order).then(shipping.show, 40).then(shipping.wait), Workflow[int])
    assert_type((orders.place.s(order) | shipping.ship.s()).delay(), AsyncResult[str])
    assert_type((orders.place.s(order) | shipping.ship.s()).delay().get(timeout=1), str)


def side_by_side(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    place, shipped = orders.place.s(order), orders.place.s(order) | shipping.ship.s()
    assert_type(group(place).delay().get(), tuple[Receipt])
    assert_type(group(place, shipped), GroupSignature[Receipt | str, tuple[Receipt, str]])
    assert_type(group(place, shipped).delay(), GroupResult[Receipt | str, tuple[Receipt, str]])
    assert_type(group(place, shipped, orders.count.s()).delay().get(timeout=1), tuple[Receipt, str, int])
    assert_type(group(place, place, place, shipped).delay().get(), tuple[Receipt, Receipt, Receipt, str])
    assert_type(group(place, place, place, place, shipped).apply_async(countdown=1)[0], AsyncResult[Receipt | str])
    assert_type(
        group(place, place, place, place, place, shipped).delay().get(),
        tuple[Receipt, Receipt, Receipt, Receipt, Receipt, str],
    )
    assert_type(group([place, place]), GroupSignature[Receipt])
    assert_type(group(orders.place.s(one) for one in [order]).delay().get(), list[Receipt])
    assert_type(group([orders.place.map([order]), group([place, place])]), GroupSignature[Receipt])
    assert_type(orders.place.map([order]), GroupSignature[Receipt])
    assert_type(orders.place.map([order], dry_run=True).delay(), GroupResult[Receipt])
    assert_type(orders.place.map([order]).delay().members, tuple[AsyncResult[Receipt], ...])


def groups_after_a_task(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    parts = group(shipping.ship.s(), shipping.show.s())
    assert_type(parts, PartialGroup[Receipt, str | int, tuple[str, int]])
    assert_type(group([shipping.ship.s()]), PartialGroup[Receipt, str])
    assert_type(group(shipping.ship.s()), PartialGroup[Receipt, str, tuple[str]])
    assert_type(orders.place.s(order) | parts, GroupWorkflow[str | int, tuple[str, int]])
    assert_type((orders.place.s(order) | parts).delay().get(), tuple[str, int])
    assert_type(orders.place.s(order) | group([shipping.ship.s()]) | shipping.show.s(), Workflow[int])
    assert_type(orders.place.partial() | parts, PartialGroup[Order, str | int, tuple[str, int]])
    assert_type(parts | shipping.show.s(), PartialSignature[Receipt, int])
    assert_type(parts.delay(Receipt(total=Decimal(1))), GroupResult[str | int, tuple[str, int]])


def chains(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    place, parts = orders.place.s(order), group(shipping.ship.s(), shipping.show.s())
    ship, show, count = shipping.ship.s(), shipping.show.s(), orders.count.si()
    assert_type(chain(place, ship), Workflow[str])
    assert_type(chain(place, ship, shipping.tell.s()), Workflow[None])
    assert_type(chain(place, ship, shipping.tell.s(), count).delay().get(timeout=1), int)
    assert_type(chain(place, count, count, orders.place.si(order), ship), Workflow[str])
    assert_type(chain(place, ship, count, orders.place.si(order), show, orders.place.si(order)), Workflow[Receipt])
    assert_type(chain(ship, shipping.tell.s()), PartialSignature[Receipt, None])
    assert_type(chain(orders.place.partial(), ship, shipping.tell.s()), PartialSignature[Order, None])
    assert_type(chain(place, parts), GroupWorkflow[str | int, tuple[str, int]])
    assert_type(chain(orders.count.s(), orders.place.si(order), parts).delay().get(), tuple[str, int])
    assert_type(chain(orders.place.map([order]), shipping.add_up.s()), Workflow[Decimal])
    assert_type(chain(group(place, place | ship), shipping.pair.s()), Workflow[bool])
    assert_type(chain(place, group([shipping.ship.s()]), count), Workflow[int])
    assert_type(chain(orders.count.si() for _ in range(3)), Workflow[int])


def tasks_after_a_group(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    place, shipped = orders.place.s(order), orders.place.s(order) | shipping.ship.s()
    assert_type(orders.place.map([order]) | shipping.add_up.s(), Workflow[Decimal])
    assert_type(group(place, place) | shipping.add_up.s(), Workflow[Decimal])
    assert_type(group(place, shipped) | shipping.pair.s(), Workflow[bool])
    assert_type(group(place, shipped) | orders.count.si(), Workflow[int])
    assert_type(chord(orders.place.map([order]), shipping.add_up.s()), Workflow[Decimal])
    assert_type(chord([place, place], shipping.add_up.s()), Workflow[Decimal])
    assert_type(chord(group(place, shipped), shipping.pair.s()), Workflow[bool])
    assert_type(group([chord([place], shipping.add_up.s())]).delay().get(), list[Decimal])


def links(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    signature = orders.place.s(order)
    signature.link(shipping.ship.s())
    signature.link(orders.count.si())
    signature.link_error(shipping.tell.s())
    (signature | shipping.ship.s()).link_error(orders.count.si())
    shipping.ship.s().link(shipping.show.s())
    orders.place.map([order]).link_error(shipping.tell.s())


async def awaited(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    result = await orders.place.s(order).asend(countdown=1)
    assert_type(result, AsyncResult[Receipt])
    assert_type(await (await (orders.place.s(order) | shipping.ship.s()).asend()), str)
    sent = await orders.place.map([order]).asend()
    assert_type(await sent, list[Receipt])
    async for member in sent:
        assert_type(await member, Receipt)
    for member in sent:
        assert_type(member, AsyncResult[Receipt])
    both = await asyncio.gather(sent, group(orders.place.s(order), orders.count.s()).delay())
    assert_type(both[1], tuple[Receipt, int])


def what_does_not_fit(error: CompositionError) -> str:
    return error.faults[0].remedy
