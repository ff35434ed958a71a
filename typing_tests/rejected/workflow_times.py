"""Deadlines and outcomes of workflows that are used wrongly: refused by both checkers."""

from typing_tests.accepted.calls import OrdersClient
from typing_tests.accepted.canvas import ShippingClient
from typing_tests.shop import Order

from pico_celery import Ok


def deadlines(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    (orders.place.s(order) | shipping.ship.s()).apply_async(timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a text is no time of a chain
    orders.place.map([order]).apply_async(timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a text is no time of a group
    orders.place.s(order).set(timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a text is no time of a step
    (orders.place.s(order) | shipping.ship.s()).apply_async(deadline=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # not the name of a chain's timeout


async def awaited_deadlines(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    await (orders.place.s(order) | shipping.ship.s()).asend(timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a text is no time of a chain that is awaited


def outcomes(orders: OrdersClient, order: Order) -> object:
    sent = orders.place.map([order]).delay()
    sent.outcome()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # each member has an outcome of its own
    number: Ok[int] = sent[0].outcome()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # the outcome of a member of another type
    return number
