"""Periodic calls: on a client's class, on any component, on a client with its application."""

from datetime import timedelta
from typing import assert_type

from celery.schedules import crontab, solar
from typing_tests.accepted.calls import OrdersClient
from typing_tests.shop import Order, Orders

from pico_celery import CeleryClient, PeriodicTask, celery, schedule, send_task


@celery
class Jobs(CeleryClient):
    cancel = send_task(Orders.cancel)
    count = send_task(Orders.count)

    hourly = schedule(cancel.s(1, "late"), every=timedelta(hours=1), name="cancel", expires=timedelta(minutes=30))
    nightly = schedule(count.s(), every=crontab(hour=3, minute=0), name="count")
    evenings = schedule(count.si(), every=solar("sunset", 46.9, 7.4), name="sunset", queue="slow")


class Component:
    weekly = schedule(OrdersClient.place.s(Order(id=1)), every=timedelta(weeks=1), name="weekly")


def on_a_client(orders: OrdersClient) -> None:
    assert_type(schedule(orders.count.s(), every=timedelta(days=1), name="daily"), PeriodicTask)
    assert_type(Jobs.hourly.name, str)
    assert_type(Component.weekly.where, str)
