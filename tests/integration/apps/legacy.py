"""Code of users as they have it today; it runs unchanged."""

import sys
from dataclasses import dataclass

from celery import Celery
from pico_ioc import EnvSource, component, configuration, configured, init

from pico_celery import CeleryClient, celery, send_task, task
from tests.integration.apps.notes import note


@component
class EmailService:
    async def send(self, to: str, subject: str, body: str) -> None:
        note(f"email-{to}", f"{subject}: {body}")


# fmt: off
@component
class EmailWorker:
    def __init__(self, email_service: EmailService):
        self.email_service = email_service
    @task("notifications.send_email")
    async def send_email(self, to: str, subject: str, body: str) -> dict:  # type: ignore[type-arg]  # as it stands in their code
        await self.email_service.send(to=to, subject=subject, body=body)
        return {"sent_to": to}

@celery
class EmailClient(CeleryClient):
    @send_task("notifications.send_email")
    def send_email(self, to: str, subject: str, body: str):  # type: ignore[no-untyped-def]  # as it stands in their code
        pass            # returns a Celery AsyncResult

@configured(prefix="celery")
@dataclass
class CelerySettings:
    broker_url: str = "redis://localhost:6379/0"
    backend_url: str = "redis://localhost:6379/1"
    task_track_started: bool = True
# fmt: on


@component
class OrderService:
    def __init__(self, email_client: EmailClient) -> None:
        self.email_client = email_client

    def confirm(self, to: str) -> object:
        return self.email_client.send_email(to=to, subject="Your order", body="It is on its way.").get(timeout=20)


def start() -> Celery:
    """Start the container, and return its application."""
    container = init(modules=["pico_celery", sys.modules[__name__]], config=configuration(EnvSource(prefix="")))
    start.container = container  # type: ignore[attr-defined]  # for whoever runs this as a script
    return container.get(Celery)


celery_app = start()

if __name__ == "__main__":
    print(start.container.get(OrderService).confirm(sys.argv[1]))  # type: ignore[attr-defined]  # as above
