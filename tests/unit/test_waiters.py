"""Claims: results that are collected as garbage at any moment, also in the middle of waiting, leave nothing behind and hold up nobody."""

from __future__ import annotations

import gc
import threading
from typing import Any, Protocol

from celery import Celery

from pico_celery import AsyncResult, Catalog, contract
from pico_celery.client.results.hub import hub_of
from pico_celery.contract.marks import marks_of


@contract("unit_waiters", catalog=Catalog())
class Kept(Protocol):
    async def get(self) -> int: ...


def test_a_result_that_is_collected_while_another_is_registered_does_not_hold_up_the_thread(celery_app: Celery) -> None:
    definition = marks_of(Kept.get).definition
    assert definition is not None
    hub: Any = hub_of(celery_app)

    def collect() -> None:
        result: AsyncResult[int] = AsyncResult("dropped", app=celery_app, definition=definition)
        result.then(lambda _: None, weak=True)
        with hub._waiters._lock:  # as where the collector runs in the middle of Waiters.hold
            del result
            gc.collect()

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "the finalizer of a result waits for a lock that its own thread has"
    assert not hub._waiters
