"""Contracts and clients for workflows and periodic calls."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from pydantic import BaseModel, SecretStr

from pico_celery import CeleryClient, celery, contract, schedule, send_task


class Item(BaseModel):
    number: int
    tags: list[str] = []


class Parcel(BaseModel):
    number: int
    blob: bytes


@contract("flows")
class Flows(Protocol):
    async def make(self, number: int) -> Item: ...

    async def tag(self, item: Item, tag: str, *, twice: bool = False) -> Item: ...

    async def pack(self, item: Item) -> Parcel: ...

    async def total(self, items: list[Item]) -> int: ...

    async def weigh(self, parcels: list[Parcel]) -> int: ...

    async def both(self, pair: tuple[Item, int]) -> str: ...

    async def number(self, item: Item) -> int: ...

    async def reverse(self, blob: bytes) -> bytes: ...

    async def glue(self, blobs: list[bytes]) -> bytes: ...

    async def fail(self, item: Item, text: str) -> Item: ...

    async def wait(self, key: str) -> str: ...

    async def tell(self, task_id: str, key: str) -> None: ...

    async def note(self, key: str) -> None: ...

    async def hide(self, secret: SecretStr) -> SecretStr: ...

    async def nested(self, numbers: list[int]) -> list[int]: ...


@celery
class FlowsClient(CeleryClient):
    make = send_task(Flows.make)
    tag = send_task(Flows.tag)
    pack = send_task(Flows.pack)
    total = send_task(Flows.total)
    weigh = send_task(Flows.weigh)
    both = send_task(Flows.both)
    number = send_task(Flows.number)
    reverse = send_task(Flows.reverse)
    glue = send_task(Flows.glue)
    fail = send_task(Flows.fail)
    wait = send_task(Flows.wait)
    tell = send_task(Flows.tell)
    note = send_task(Flows.note)
    hide = send_task(Flows.hide)
    nested = send_task(Flows.nested)

    often = schedule(note.s("beat"), every=timedelta(seconds=0.3), name="often", expires=timedelta(seconds=60))
