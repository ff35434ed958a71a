"""The workers: components whose methods implement the tasks.

mypy and pyright compare every method here with its contract, and so does the container when it starts.
"""

from datetime import UTC, datetime
from decimal import Decimal

from pico_ioc import component

from examples.shop.clients import NotificationsClient
from examples.shop.services import Ledger, Mailer, Payment
from pico_celery import task
from shop_contracts import Delivery, Order, Orders, OrdersV2, Placement, Receipt, Recipient, Reminders, Status


@component
class OrdersWorker:
    """Implements both versions of the orders contract, task by task."""

    def __init__(self, ledger: Ledger, payment: Payment, notifications: NotificationsClient) -> None:
        self.ledger = ledger
        self.payment = payment
        self.notifications = notifications

    @task(Orders.place)
    async def place(self, order: Order, *, dry_run: bool = False) -> Receipt:
        if dry_run:
            return receipt(order, sum((line.quantity * line.price for line in order.lines), Decimal(0)))
        total = await self.payment.charge(order)
        await self.ledger.book(order.id, Status.BOOKED)
        return receipt(order, total)

    @task(Orders.cancel)
    async def cancel(self, order_id: int) -> None:
        await self.ledger.book(order_id, Status.CANCELLED)

    @task(Orders.status)
    async def status(self, order_ids: set[int]) -> dict[int, Status]:
        return {order_id: await self.ledger.status(order_id) for order_id in sorted(order_ids)}

    @task(OrdersV2.place)
    async def place_and_mail(self, placement: Placement) -> Receipt:
        placed = await self.place(placement.order)
        customer = Recipient(name="customer", email=placement.customer_email)
        self.notifications.send_email(customer, f"Order {placed.order_id}", f"That makes {placed.total}.")
        return placed


@component
class RemindersWorker(Reminders):
    """Inherits its contract, so it must implement all tasks, including the inherited ``send_email``."""

    def __init__(self, mailer: Mailer) -> None:
        self.mailer = mailer

    async def send_email(self, to: Recipient, subject: str, body: str) -> Delivery:
        await self.mailer.send(to.email, f"{subject}: {body}")
        return Delivery(sent_to=to.email, at=datetime.now(UTC))

    async def remind(self, to: Recipient, order_id: int) -> None:
        await self.mailer.send(to.email, f"Please pay order {order_id}")


def receipt(order: Order, total: Decimal) -> Receipt:
    return Receipt(order_id=order.id, total=total, status=Status.BOOKED, booked_at=datetime.now(UTC))
