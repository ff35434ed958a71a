"""What users have from before there were contracts, checked as loosely as they check it: names only, no annotations."""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-calls, allow-any-generics
# pyright: standard

from dataclasses import dataclass
from typing import Any, assert_type

from pico_ioc import component, configured

from pico_celery import AsyncResult, CeleryClient, celery, send_task, task


class EmailService:
    async def send(self, to: str, subject: str, body: str) -> None: ...


@component
class EmailWorker:
    def __init__(self, email_service: EmailService):
        self.email_service = email_service

    @task("notifications.send_email")
    async def send_email(self, to: str, subject: str, body: str) -> dict:
        await self.email_service.send(to=to, subject=subject, body=body)
        return {"sent_to": to}


@celery
class EmailClient(CeleryClient):
    @send_task("notifications.send_email")
    def send_email(self, to: str, subject: str, body: str):
        pass


@configured(prefix="celery")
@dataclass
class CelerySettings:
    broker_url: str = "redis://localhost:6379/0"
    backend_url: str = "redis://localhost:6379/1"
    task_track_started: bool = True


@component
class OrderService:
    def __init__(self, email_client: EmailClient):
        self.email_client = email_client

    def place(self, customer: str) -> AsyncResult[Any]:
        result = self.email_client.send_email(to=customer, subject="Thanks", body="...")
        assert_type(result, AsyncResult[Any])
        return result
