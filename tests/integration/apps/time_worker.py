"""A worker of tasks with deadlines.

As a program (``python -m tests.integration.apps.time_worker hold-key``) it is a client whose loop ends while it waits.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import datetime
from typing import Any

from celery import Celery, chain, chord, group
from celery.signals import task_prerun
from pico_ioc import EnvSource, component, configuration, init

from pico_celery import DeadlineExceeded, TaskContext, task
from tests.integration.apps.notes import hold_for_note, note, wait_for_note
from tests.integration.apps.time_contracts import Times, TimesClient, Way

LONG_SECONDS = 60.0


@task_prerun.connect(weak=False)
def _start_late(kwargs: dict[str, Any], **_: Any) -> None:
    """Hold a task between Celery's taking it and the store of STARTED."""
    key = str(kwargs.get("key", ""))
    if key.startswith("late-"):
        note(f"{key}-prerun")
        hold_for_note(f"{key}-go", LONG_SECONDS)


@component
class TimesWorker:
    def __init__(self, context: TaskContext, client: TimesClient) -> None:
        self.context = context
        self.client = client

    @task(Times.hold)
    async def hold(self, key: str) -> str:
        note(f"{key}-started", self.context.id)
        try:
            await wait_for_note(key, LONG_SECONDS)
        except DeadlineExceeded as error:
            note(f"{key}-ended", f"deadline, {error.noticed}, {self.context.cancelled}")
            raise
        except asyncio.CancelledError:
            note(f"{key}-ended", "cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            note(f"{key}-ended", "finally")
        return key

    @task(Times.swallow)
    async def swallow(self, key: str) -> None:
        note(f"{key}-started")
        while True:
            try:
                return await wait_for_note(key, LONG_SECONDS)
            except asyncio.CancelledError:
                note(f"{key}-swallowed")

    @task(Times.mark)
    async def mark(self, key: str, text: str) -> None:
        note(key, text)

    @task(Times.limited)
    async def limited(self) -> datetime | None:
        return self.context.deadline

    @task(Times.tell)
    async def tell(self, key: str) -> datetime | None:
        note(key, str(self.context.deadline))
        return self.context.deadline

    @task(Times.send)
    async def send(self, way: Way, key: str) -> datetime | None:
        registered: Any = celery_app.tasks["time.tell"]
        one = registered.si(key)
        if way == "client":
            await self.client.tell.asend(key)
        elif way == "await":
            await self.client.tell.acall(key)
        elif way == "thread":
            await asyncio.to_thread(lambda: self.client.tell(key))
        elif way == "detached":
            await self.client.tell.with_options(timeout=None).asend(key)
        elif way == "delay":
            registered.delay(key)
        elif way == "link":
            registered.apply_async((key,), link=one)
        elif way == "chain":
            chain(one, one.clone(), one.clone()).apply_async()
        elif way == "group":
            group(one, one.clone()).apply_async()
        elif way == "chord":
            chord([one, one.clone()], one.clone()).apply_async()
        elif way == "replace":
            running: Any = celery_app.tasks["time.send"]
            running.replace(chain(one, one.clone()))
        return self.context.deadline

    @task(Times.insist)
    async def insist(self, key: str, times: int) -> datetime | None:
        note(key, str(self.context.deadline))
        if self.context.retries < times:
            await self.context.retry(countdown=0.1, max_retries=times)
        return self.context.deadline

    @task(Times.fail_slowly, autoretry_for=(Exception,), default_retry_delay=0)
    async def fail_slowly(self, key: str) -> None:
        note(key)
        await asyncio.sleep(LONG_SECONDS)

    @task(Times.once)
    async def once(self, order: int, key: str = "") -> int:
        if key == "fail":
            raise ValueError(key)
        return note(f"once-{order}")

    @task(Times.once_held)
    async def once_held(self, order: int, key: str) -> int:
        await self.hold(key)
        return note(f"once-{order}")

    @task(Times.relay)
    async def relay(self, order: int) -> str:
        registered: Any = celery_app.tasks["time.once"]
        by_client = await self.client.once.asend(order)
        by_task = await asyncio.to_thread(registered.delay, order)  # in Celery's own words
        assert by_task.id == by_client.id
        return by_client.id

    @task(Times.survive)
    async def survive(self, key: str) -> str:
        if note(f"{key}-started", str(os.getpid())) == 1:
            await wait_for_note(f"{key}-never", LONG_SECONDS)
        return key


_MODULES: list[Any] = ["pico_celery", "tests.integration.apps.time_contracts", sys.modules[__name__]]
container = init(modules=_MODULES, config=configuration(EnvSource(prefix="")))
celery_app = container.get(Celery)


async def leave_early(key: str) -> None:
    """Wait for a task, and be cancelled when it has started."""
    client = container.get(TimesClient)
    waiting = asyncio.create_task(client.hold.acall(key))
    await wait_for_note(f"{key}-started", LONG_SECONDS)
    waiting.cancel()


if __name__ == "__main__":
    asyncio.run(leave_early(sys.argv[1]))
