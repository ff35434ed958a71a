"""Notifications: plain parameters as payloads, and a contract that inherits another."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pico_celery import contract, task_options


@dataclass(frozen=True)
class Recipient:
    """Who gets a message. Dataclasses are validated on both sides, like models."""

    name: str
    email: str


@dataclass(frozen=True)
class Delivery:
    """Where and when a message was sent."""

    sent_to: str
    at: datetime


@contract
class Notifications(Protocol):
    """Messages to customers.

    Without an argument the domain is the class name in snake_case: the task is ``notifications.send_email``.
    """

    @task_options(queue="notifications", max_retries=3, retry_backoff=True)
    async def send_email(self, to: Recipient, subject: str, body: str) -> Delivery:
        """Send one message."""
        ...


@contract
class Reminders(Notifications, Protocol):
    """The tasks of `Notifications`, and one more.

    The inherited task keeps its name, ``notifications.send_email``; the new one is ``reminders.remind``. A component that
    inherits this class must implement both; otherwise the container does not start.
    """

    @task_options(queue="notifications", ignore_result=True)
    async def remind(self, to: Recipient, order_id: int) -> None:
        """Remind a customer of an unpaid order. Nobody waits for a result, so ``ignore_result`` stores none."""
        ...
