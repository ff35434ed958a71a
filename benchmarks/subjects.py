"""What is compared: the same order and receipt over plain Celery, Celery's pydantic=True, and a contract.

Each subject is an application that a worker process serves (`celery -A benchmarks.subjects:plain`) and a way to call it.
"""

from __future__ import annotations

import os
from decimal import Decimal
from typing import Any, Protocol

from celery import Celery
from pico_ioc import DictSource, component, configuration, init
from pydantic import BaseModel

from pico_celery import CeleryClient, celery, contract, send_task, task

REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/{database}")


class Line(BaseModel):
    sku: str
    qty: int
    price: Decimal


class Order(BaseModel):
    id: int
    email: str
    lines: list[Line]
    note: str = ""


class Receipt(BaseModel):
    id: int
    total: Decimal
    status: str


ORDER = Order(
    id=4711,
    email="jane.doe@example.org",
    lines=[Line(sku=f"SKU-{number:05d}", qty=number, price=Decimal("19.90")) for number in range(1, 6)],
    note="please ring twice, the bell is broken",
)
ORDER_DICT = ORDER.model_dump(mode="json")


def plain_app(name: str) -> Celery:
    app = Celery(name, broker=REDIS_URL.format(database=0), backend=REDIS_URL.format(database=1))
    app.conf.update(
        task_default_queue=f"bench-{name}",
        task_track_started=False,
        worker_prefetch_multiplier=4,
        broker_connection_retry_on_startup=True,
    )
    return app


plain = plain_app("plain")
modelled = plain_app("modelled")


@plain.task(name="plain.place")
def plain_place(order: dict[str, Any]) -> dict[str, Any]:
    total = sum((Decimal(line["price"]) * line["qty"] for line in order["lines"]), Decimal(0))
    return {"id": order["id"], "total": str(total), "status": "placed"}


@modelled.task(name="modelled.place", pydantic=True)
def modelled_place(order: Order) -> Receipt:
    total = sum((line.price * line.qty for line in order.lines), Decimal(0))
    return Receipt(id=order.id, total=total, status="placed")


@contract("bench")
class Bench(Protocol):
    async def place(self, order: Order) -> Receipt: ...


@component
class BenchWorker:
    @task(Bench.place)
    async def place(self, order: Order) -> Receipt:
        total = sum((line.price * line.qty for line in order.lines), Decimal(0))
        return Receipt(id=order.id, total=total, status="placed")


@celery
class BenchClient(CeleryClient):
    place = send_task(Bench.place)


_container = init(
    modules=["pico_celery", "benchmarks.subjects"],
    config=configuration(
        DictSource(
            {
                "celery": {
                    "broker_url": REDIS_URL.format(database=0),
                    "backend_url": REDIS_URL.format(database=1),
                    "task_track_started": False,
                    "task_default_queue": "bench-contract",
                    "worker_prefetch_multiplier": 4,
                }
            }
        )
    ),
)
contracted = _container.get(Celery)
client = _container.get(BenchClient)

SUBJECTS = {
    "plain dicts": (
        "plain",
        lambda: plain_place.delay(ORDER_DICT),
        lambda: plain_place.apply_async((ORDER_DICT,), ignore_result=True),
    ),
    "pydantic=True": (
        "modelled",
        lambda: modelled_place.delay(ORDER),
        lambda: modelled_place.apply_async((ORDER,), ignore_result=True),
    ),
    "contract": (
        "contracted",
        lambda: client.place(ORDER),
        lambda: client.place.with_options(ignore_result=True)(ORDER),
    ),
}
APPS = {"plain": plain, "modelled": modelled, "contracted": contracted}
