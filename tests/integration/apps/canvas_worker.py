"""A worker that serves the contracts of workflows; its settings come from the environment, and beat reads it too."""

from __future__ import annotations

import sys
from datetime import timedelta

from celery import Celery, Task, signals
from celery.schedules import crontab
from pico_ioc import EnvSource, component, configuration, init
from pydantic import SecretStr

from pico_celery import schedule, task
from tests.integration.apps import canvas_contracts as clients
from tests.integration.apps.canvas_contracts import Flows, FlowsClient, Item, Parcel
from tests.integration.apps.notes import note, wait_for_note


@signals.task_prerun.connect(weak=False)
def note_digest(task_id: str, task: Task[..., object], **_: object) -> None:
    """Note whether the message of a task said of which contract it was made."""
    note(f"digest-{task_id}", str(getattr(task.request, "pico_digest", None) is not None))


class FlowError(Exception):
    """A failure of user code."""


@component
class FlowsWorker:
    reminder = schedule(FlowsClient.note.s("component"), every=timedelta(seconds=0.3), name="component")
    yearly = schedule(
        FlowsClient.note.s("never"), every=crontab(minute=0, hour=0, day_of_month=29, month_of_year=2), name="leap"
    )

    def __init__(self, flows: FlowsClient) -> None:
        self.flows = flows

    @task(Flows.make)
    async def make(self, number: int) -> Item:
        return Item(number=number)

    @task(Flows.tag)
    async def tag(self, item: Item, tag: str, *, twice: bool = False) -> Item:
        assert isinstance(item, Item)
        return Item(number=item.number, tags=[*item.tags, tag, *([tag] if twice else [])])

    @task(Flows.pack)
    async def pack(self, item: Item) -> Parcel:
        return Parcel(number=item.number, blob=bytes([item.number]))

    @task(Flows.total)
    async def total(self, items: list[Item]) -> int:
        return sum(item.number for item in items)

    @task(Flows.weigh)
    async def weigh(self, parcels: list[Parcel]) -> int:
        return sum(len(parcel.blob) for parcel in parcels)

    @task(Flows.both)
    async def both(self, pair: tuple[Item, int]) -> str:
        item, number = pair
        return f"{item.number} and {number}"

    @task(Flows.number)
    async def number(self, item: Item) -> int:
        return item.number

    @task(Flows.reverse)
    async def reverse(self, blob: bytes) -> bytes:
        return blob[::-1]

    @task(Flows.glue)
    async def glue(self, blobs: list[bytes]) -> bytes:
        return b"".join(blobs)

    @task(Flows.fail)
    async def fail(self, item: Item, text: str) -> Item:
        raise FlowError(f"{text} {item.number}")

    @task(Flows.wait)
    async def wait(self, key: str) -> str:
        await wait_for_note(key, 30)
        return key

    @task(Flows.tell)
    async def tell(self, task_id: str, key: str) -> None:
        note(key, task_id)

    @task(Flows.note)
    async def note(self, key: str) -> None:
        note(f"noted-{key}")

    @task(Flows.hide)
    async def hide(self, secret: SecretStr) -> SecretStr:
        return SecretStr(secret.get_secret_value() * 2)

    @task(Flows.nested)
    async def nested(self, numbers: list[int]) -> list[int]:
        flows = self.flows
        items = await (await flows.make.map(numbers).asend())
        total = await (await (flows.make.map(numbers) | flows.total.s()).asend())
        return [*[item.number for item in items], total]


container = init(modules=["pico_celery", clients, sys.modules[__name__]], config=configuration(EnvSource(prefix="")))
celery_app = container.get(Celery)
