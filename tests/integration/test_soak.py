"""Thousands of calls through one worker: everything is answered, and nothing piles up."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.integration.conftest import Served, StartWorker, matrix
from tests.support.models import Line, Order

pytestmark = pytest.mark.slow
ROUNDS, CALLS = 12, 250
GROWTH_MEGABYTES = 40


@pytest.fixture(params=matrix(("async", "redis"), ("async", "rabbitmq"), ("threads", "redis"), ("solo", "redis")))
def served(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    pool, transport = request.param
    with start_worker("contract_worker", pool, transport) as running:
        yield running


def resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        pytest.skip("the memory of another process is read from /proc")
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@pytest.mark.timeout(300)
def test_thousands_of_awaited_calls_are_all_answered_and_leave_no_memory_behind(served: Served) -> None:
    async def calls(first: int) -> list[Decimal]:
        orders = [order_of(first + number) for number in range(CALLS)]
        receipts = await asyncio.gather(*(served.shop.place(order) for order in orders))
        assert [receipt.number for receipt in receipts] == [order.number for order in orders]
        return [receipt.total for receipt in receipts]

    sizes = []
    for round_ in range(ROUNDS):
        assert set(asyncio.run(calls(round_ * CALLS))) == {Decimal("21.00")}
        sizes.append(resident_megabytes(served.worker.process.pid))
    # The first rounds fill the pools and caches.
    assert sizes[-1] - sizes[2] < GROWTH_MEGABYTES, sizes
    assert served.worker.alive


def order_of(number: int) -> Order:
    return Order(number=number, lines=[Line(sku="a", quantity=2, price=Decimal("10.50"))])
