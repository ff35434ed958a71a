"""Notifications: plain parameters as payloads, and a contract that inherits another."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pico_celery import contract, task_options


@dataclass(frozen=True)
class Recipient:
    """A dataclass is a payload like a model: checked on both sides."""

    name: str
    email: str


@dataclass(frozen=True)
class Delivery:
    """What became of a message."""

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
    """Everything of `Notifications`, and one task more.

    An inherited task keeps its name, ``notifications.send_email``; the new one is ``reminders.remind``. A component that
    inherits this class has to implement both, or the container does not start.
    """

    @task_options(queue="notifications", ignore_result=True)
    async def remind(self, to: Recipient, order_id: int) -> None:
        """Remind a customer of an order that is not paid. Nobody waits for it: ``ignore_result`` stores nothing."""
        ...
