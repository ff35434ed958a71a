"""A worker that reports on which threads and loops its tasks run, for `test_docs_claims`."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Callable
from typing import Protocol

from celery import Celery
from pico_ioc import DictSource, component, configuration, init

from pico_celery import CeleryClient, ExecutionError, TaskContext, celery, contract, send_task, task


@contract("claims")
class Claims(Protocol):
    """Tasks that look at the process in which they run."""

    async def where(self, seconds: float) -> tuple[int, str]:
        """Return the id of the event loop and the name of the thread."""
        ...

    async def threads(self) -> list[str]:
        """Return the names of all threads of the worker."""
        ...

    async def ids_elsewhere(self) -> dict[str, str | None]:
        """Return the task's id as other threads see it."""
        ...

    async def components(self) -> tuple[int, int]:
        """Return the number of a singleton and of a request-scoped component, in the order of their creation."""
        ...


@celery
class ClaimsClient(CeleryClient):
    """Calls the tasks of `Claims`."""

    where = send_task(Claims.where)
    threads = send_task(Claims.threads)
    ids_elsewhere = send_task(Claims.ids_elsewhere)
    components = send_task(Claims.components)


_created_for_processes = itertools.count(1)
_created_for_tasks = itertools.count(1)


@component
class OfTheProcess:
    """Kept as long as the process."""

    def __init__(self) -> None:
        self.created = next(_created_for_processes)


@component(scope="request")
class OfTheTask:
    """Kept as long as one task; counted when a task asks for the number."""

    def __init__(self) -> None:
        self.created = 0


@component
class ClaimsWorker:
    """Implements `Claims`."""

    def __init__(self, context: TaskContext, of_process: OfTheProcess, of_task: OfTheTask) -> None:
        self.context = context
        self.of_process = of_process
        self.of_task = of_task

    @task(Claims.where)
    async def where(self, seconds: float) -> tuple[int, str]:
        await asyncio.sleep(seconds)
        await asyncio.to_thread(lambda: None)
        return id(asyncio.get_running_loop()), threading.current_thread().name

    @task(Claims.threads)
    async def threads(self) -> list[str]:
        await self.context.progress({"so": "far"})
        return [thread.name for thread in threading.enumerate()]

    @task(Claims.ids_elsewhere)
    async def ids_elsewhere(self) -> dict[str, str | None]:
        copied = contextvars.copy_context()
        return {
            "own": self.context.id,
            "to_thread": await asyncio.to_thread(self._id),
            "plain thread": await asyncio.to_thread(_in_a_thread, self._id),
            "thread with a copied context": await asyncio.to_thread(_in_a_thread, lambda: copied.run(self._id)),
        }

    @task(Claims.components)
    async def components(self) -> tuple[int, int]:
        assert self.of_task.created == 0  # nobody has numbered it before
        self.of_task.created = next(_created_for_tasks)
        return self.of_process.created, self.of_task.created

    def _id(self) -> str | None:
        try:
            return self.context.id
        except ExecutionError:
            return None


def _in_a_thread(look: Callable[[], str | None]) -> str | None:
    seen: list[str | None] = []
    thread = threading.Thread(target=lambda: seen.append(look()))
    thread.start()
    thread.join()
    return seen[0]


config = configuration(DictSource({"celery": {"broker_url": "embedded", "task_default_queue": "claims"}}))
container = init(modules=["pico_celery", __name__], config=config)
celery_app = container.get(Celery)


@celery_app.task(name="plain.thread")
def plain_thread() -> str:
    """Return the name of the thread of a plain synchronous task."""
    return threading.current_thread().name
