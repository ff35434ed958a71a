"""A worker of the version of `live_contracts` that the environment says, with a task that no contract declares."""

from __future__ import annotations

from celery import Celery
from pico_ioc import EnvSource, component, configuration, init
from pydantic import SecretStr

from pico_celery import task
from tests.integration.apps.live_contracts import TOKEN, Line, Live


@component
class LiveWorker:
    @task(Live.place)
    async def place(self, line: Line, *, note: str = "none") -> int:
        del note
        return line.quantity

    @task(Live.status)
    async def status(self, number: int, *, token: SecretStr = TOKEN) -> str:
        del token
        return str(number)

    @task("legacy.mail")
    async def mail(self, to: str) -> None:
        del to


container = init(modules=["pico_celery", __name__], config=configuration(EnvSource()))
celery_app = container.get(Celery)


@celery_app.task(name="legacy.plain")
def plain(number: int) -> int:
    return number
