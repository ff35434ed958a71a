"""Schedules that cannot be: each line is refused by both checkers, for the reason that its comments name."""

from datetime import timedelta

from typing_tests.accepted.calls import OrdersClient
from typing_tests.accepted.canvas import ShippingClient
from typing_tests.shop import Order

from pico_celery import schedule

HOUR = timedelta(hours=1)


def schedules(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    schedule(orders.count.s(), every=3600, name="count")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a number has no unit
    schedule(orders.count.s(), every="hourly", name="count")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a text is no schedule
    schedule(orders.count.s(), name="count")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # never
    schedule(orders.count.s(), every=HOUR)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # no name
    schedule(orders.count, every=HOUR, name="count")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a sender is no call
    schedule(orders.count(), every=HOUR, name="count")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # sent already
    schedule(shipping.ship.s(), every=HOUR, name="ship")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a part of a call
    schedule(orders.place.s(order) | shipping.ship.s(), every=HOUR, name="ship")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # beat sends single calls
    schedule(orders.place.map([order]), every=HOUR, name="place")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # beat sends single calls, and no groups
    schedule(orders.count.s(), every=HOUR, name="count", expries=HOUR)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt option
    schedule(orders.count.s(), every=HOUR, name="count", expires="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # ill-typed option
