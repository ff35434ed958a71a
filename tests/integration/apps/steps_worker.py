"""A worker whose steps tell their deadlines; its settings come from the environment."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Any

from celery import Celery
from pico_ioc import EnvSource, component, configuration, init

from pico_celery import TaskContext, schedule, task
from tests.integration.apps.notes import note, wait_for_note
from tests.integration.apps.steps_contracts import Dues, Steps, StepsClient

OFTEN = timedelta(seconds=0.3)


@component
class StepsWorker:
    limited = schedule(StepsClient.tell.s("beat", "beat-20"), every=OFTEN, name="limited", timeout=20)
    from_contract = schedule(StepsClient.limited_tell.s("beat", "beat-60"), every=OFTEN, name="from_contract")

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
        return await (await (chain.asend(timeout=None) if detached else chain.asend()))

    @task(Steps.tell)
    async def tell(self, task_id: str, key: str) -> None:
        note(key, f"{task_id} {self._told([])[0]}")

    @task(Steps.limited_tell)
    async def limited_tell(self, task_id: str, key: str) -> None:
        note(key, f"{task_id} {self._told([])[0]}")


_MODULES: list[Any] = ["pico_celery", "tests.integration.apps.steps_contracts", sys.modules[__name__]]
container = init(modules=_MODULES, config=configuration(EnvSource(prefix="")))
celery_app = container.get(Celery)
