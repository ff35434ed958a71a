"""How many modules of the library one call passes on the worker: each is one more to know when something fails."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.conftest import Served, StartWorker, matrix
from tests.support.models import Line, Order

SOON = timedelta(seconds=60)
MOST_MODULES = 16
# What runs beside a call is switched off, so that it does not count as a part of one.
NOTHING_BESIDE = {"CELERY_WORKER_BLOCK_WARNING_SECONDS": "0", "CELERY_WORKER_KEEP_TO_CORE": "false"}


@pytest.fixture(scope="module", params=matrix(("async", "redis")))
def served(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    pool, transport = request.param
    with start_worker("traced_worker", pool, transport, environment=NOTHING_BESIDE) as started:
        yield started


def ask(served: Served, command: str) -> list[str]:
    inspect = served.app.control.inspect(timeout=30, destination=[served.worker.node], limit=1)
    answers: Any = inspect._request(command)
    return list(answers[served.worker.node])


def test_a_call_passes_few_modules(served: Served) -> None:
    order = Order(number=1, lines=[Line(sku="a", price=Decimal(2), quantity=6)])
    served.shop.place(order).get(timeout=SOON)  # what happens once has happened now
    ask(served, "forget_modules")
    served.shop.place(order).get(timeout=SOON)
    passed = ask(served, "report_modules")
    assert "pico_celery.worker.binding" in passed  # on the event loop
    assert "pico_celery.worker.contract_task" in passed  # in the greenlet of the tracer
    assert "pico_celery.worker.pool.task_pool" in passed  # on the main thread
    assert len(passed) <= MOST_MODULES, "\n".join(passed)
