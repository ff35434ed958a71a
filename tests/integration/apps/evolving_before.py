"""The contract of `evolving_contracts` as a client has it that was deployed before its tasks were renamed and changed."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel

from pico_celery import Catalog, CeleryClient, TaskError, celery, contract, send_task, task_options


class Booked(BaseModel):
    id: int
    lines: list[str]
    named: str


class Refused(TaskError):
    reason: str


catalog = Catalog()


@contract("evolved", catalog=catalog)
class Orders(Protocol):
    @task_options(errors=[Refused])
    async def submit(self, number: int, lines: list[str], *, tries: int = 0) -> Booked: ...

    async def wait(self, key: str) -> None: ...


@celery(catalog=catalog)
class EarlierClient(CeleryClient):
    submit = send_task(Orders.submit)
    wait = send_task(Orders.wait)
