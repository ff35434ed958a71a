"""A worker whose steps tell their deadlines; its settings come from the environment."""

from __future__ import annotations

import sys
from typing import Any

from celery import Celery
from pico_ioc import EnvSource, component, configuration, init

from pico_celery import TaskContext, task
from tests.integration.apps.notes import note, wait_for_note
from tests.integration.apps.steps_contracts import Dues, Steps, StepsClient


@component
class StepsWorker:
    def __init__(self, context: TaskContext, steps: StepsClient) -> None:
        self.context = context
        self.steps = steps

    def _told(self, dues: Dues) -> Dues:
        deadline = self.context.deadline
        return [*dues, None if deadline is None else deadline.isoformat()]

    @task(Steps.due)
    async def due(self, dues: Dues) -> Dues:
        return self._told(dues)

    @task(Steps.due_limited)
    async def due_limited(self, dues: Dues) -> Dues:
        return self._told(dues)

    @task(Steps.relay)
    async def relay(self, dues: Dues) -> Dues:
        return self._told(dues)

    @task(Steps.join)
    async def join(self, many: list[Dues]) -> Dues:
        return self._told([due for dues in many for due in dues])

    @task(Steps.hold)
    async def hold(self, dues: Dues, key: str) -> Dues:
        note(f"{key}-started")
        await wait_for_note(key, 30)
        return self._told(dues)

    @task(Steps.nest)
    async def nest(self, detached: bool) -> Dues:
        chain = self.steps.due.s(self._told([])) | self.steps.due_limited.s()
        return await (await (chain.send(timeout=None) if detached else chain.send()))

    @task(Steps.tell)
    async def tell(self, task_id: str, key: str) -> None:
        note(key, f"{task_id} {self._told([])[0]}")


_MODULES: list[Any] = ["pico_celery", "tests.integration.apps.steps_contracts", sys.modules[__name__]]
container = init(modules=_MODULES, config=configuration(EnvSource(prefix="")))
celery_app = container.get(Celery)
