"""The shop's contract as a client has it that was deployed earlier or later than the worker."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from pydantic import BaseModel

from pico_celery import Catalog, CeleryClient, celery, contract, send_task


class Line(BaseModel):
    sku: str
    quantity: float
    price: Decimal


class Order(BaseModel):
    number: int
    lines: list[Line]


class Receipt(BaseModel):
    number: int
    total: Decimal
    paid: bool


catalog = Catalog()


@contract("shop", catalog=catalog)
class Shop(Protocol):
    async def place(self, order: Order, *, dry_run: bool = False) -> Receipt: ...


@celery(catalog=catalog)
class ShopClient(CeleryClient):
    place = send_task(Shop.place)
