"""Workflows, and a call that ``celery -A examples.shop.app:celery_app beat`` sends every day."""

from collections.abc import Iterable
from datetime import timedelta

from pico_ioc import component

from examples.shop.clients import NotificationsClient, OrdersClient
from pico_celery import GroupSignature, Workflow, schedule
from shop_contracts import Order, Receipt, Recipient, Status


def place_all(orders: OrdersClient, wanted: Iterable[Order]) -> GroupSignature[Receipt]:
    """Place several orders at once. All calls are validated before the first is sent."""
    return orders.place.map(wanted)


def cancel_and_look(orders: OrdersClient, order_id: int) -> Workflow[dict[int, Status]]:
    """Cancel an order, then read its state. ``si`` makes ``status`` ignore the result of ``cancel``."""
    return orders.cancel.s(order_id) | orders.status.si({order_id})


@component
class Housekeeping:
    """The container collects schedules like tasks."""

    remind_the_owner = schedule(
        NotificationsClient.remind.s(Recipient(name="owner", email="owner@example.org"), order_id=0),
        every=timedelta(days=1),
        name="remind-the-owner",
        expires=timedelta(hours=12),
    )
