"""A worker that implements the engine's contracts; its settings come from the environment."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Literal

from celery import Celery, current_task, group, signals
from celery.exceptions import Ignore, Reject
from pico_ioc import EnvSource, component, configuration, init

from pico_celery import ExecutionError, TaskContext, task
from tests.integration.apps.engine_contracts import Call, Engine, Flow, FlowClient, Marks, Seen
from tests.integration.apps.notes import NOTES_VARIABLE, note, wait_for_note

HOLD_SECONDS = 60.0
OVERTAKEN = "engine.retry_then_fail"
OVERTAKING_SECONDS = 0.5
SLOW_BROKER_SECONDS = 0.05
UNMARKED = "unmarked"

mark: ContextVar[str] = ContextVar("mark", default=UNMARKED)


class EngineError(Exception):
    """A failure of user code."""


def holds_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def note_signal(signal: str, sender: Any, task_id: str, *details: Any) -> None:
    note(f"signals-{task_id}", json.dumps([signal, sender.name, *details]))


@signals.task_prerun.connect(weak=False)
def before(sender: Any, task_id: str, task: Any, **_: Any) -> None:
    # Kept with the request: two deliveries of one task may overlap.
    vars(task.request)["mark"] = mark.set(f"mark of {task_id}")
    note_signal("prerun", sender, task_id, task.request.id == task_id, current_task.request.id == task_id)


@signals.task_postrun.connect(weak=False)
def after(sender: Any, task_id: str, task: Any, state: str, **_: Any) -> None:
    found = mark.get()
    try:
        mark.reset(vars(task.request)["mark"])
    except (ValueError, RuntimeError) as error:
        note(f"mark-{task_id}", repr(error))
    else:
        note(f"mark-{task_id}", f"{found}, then {mark.get()}")
    note_signal("postrun", sender, task_id, state, task.request.id == task_id)
    if task.request.retries:
        note(f"overtaken-{task_id}")


@signals.task_success.connect(weak=False)
def succeeded(sender: Any, **_: Any) -> None:
    note_signal("success", sender, sender.request.id)


@signals.task_failure.connect(weak=False)
def failed(sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
    note_signal("failure", sender, task_id, type(exception).__name__, sender.request.id == task_id)


@signals.task_retry.connect(weak=False)
def retried(sender: Any, request: Any, reason: Any, **_: Any) -> None:
    note_signal("retry", sender, request.id, type(reason.exc).__name__)


@signals.task_revoked.connect(weak=False)
def revoked(sender: Any, request: Any, terminated: bool, **_: Any) -> None:
    note_signal("revoked", sender, request.id, terminated)


@signals.task_internal_error.connect(weak=False)
def erred(sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
    note_signal("internal_error", sender, task_id, type(exception).__name__)


@signals.before_task_publish.connect(weak=False)
def publishing(sender: str, headers: dict[str, Any], **_: Any) -> None:
    """Note whether the event loop stands still for it, and how many seconds later the task is due."""
    if sender == OVERTAKEN and headers["retries"]:
        time.sleep(SLOW_BROKER_SECONDS)
    eta = headers.get("eta")
    left = None if eta is None else (datetime.fromisoformat(eta) - datetime.now(UTC)).total_seconds()
    note(f"published-{headers['id']}", json.dumps([holds_loop(), left]))


@signals.after_task_publish.connect(weak=False)
def published(sender: str, headers: dict[str, Any], **_: Any) -> None:
    """Let a retry overtake the run that asked for it, where it can."""
    if sender == OVERTAKEN and headers["retries"]:
        due = time.monotonic() + OVERTAKING_SECONDS
        outcome = Path(os.environ[NOTES_VARIABLE], f"overtaken-{headers['id']}")
        while not outcome.exists() and time.monotonic() < due:
            time.sleep(0.01)


@component
class Parties:
    """Lets tasks of a number go on when all of them have come."""

    def __init__(self) -> None:
        self.barriers: dict[tuple[str, int], asyncio.Barrier] = {}

    async def meet(self, name: str, size: int) -> None:
        barrier = self.barriers.setdefault((name, size), asyncio.Barrier(size))
        async with asyncio.timeout(HOLD_SECONDS):
            await barrier.wait()


@component
class Looker:
    """Not a task's own class: what it depends on knows the execution too."""

    def __init__(self, context: TaskContext) -> None:
        self.context = context

    def look(self) -> Seen:
        context = self.context
        names = set(Seen.model_fields) - {"redelivered", "routing_key", "headers"}
        return Seen(
            headers=dict(context.headers),
            redelivered=context.delivery_info["redelivered"],
            routing_key=context.delivery_info["routing_key"],
            **{name: getattr(context, name) for name in names},
        )


def dig(text: str) -> None:
    try:
        raise KeyError(text)
    except KeyError as error:
        raise EngineError(text) from error


@component
class OutcomeWorker:
    def __init__(self, context: TaskContext, looker: Looker, parties: Parties) -> None:
        self.context = context
        self.looker = looker
        self.parties = parties
        self.background: set[asyncio.Task[None]] = set()

    @task(Engine.succeed)
    async def succeed(self, number: int) -> int:
        await asyncio.sleep(0)
        return number + 1

    @task(Engine.fail)
    async def fail(self, text: str) -> None:
        await asyncio.sleep(0)
        dig(text)

    @task(Engine.look)
    async def look(self) -> Seen:
        await asyncio.sleep(0)
        return await asyncio.to_thread(self.looker.look)

    @task(Engine.look_limited, time_limit=50, soft_time_limit=40, max_retries=7)
    async def look_limited(self) -> Seen:
        return self.looker.look()

    @task(Engine.look_patient, max_retries=None)
    async def look_patient(self) -> Seen:
        return self.looker.look()

    @task(Engine.retry_by_context)
    async def retry_by_context(self, key: str, countdown: timedelta) -> int:
        note(f"{key}-runs", f"{time.time()}")
        if self.context.retries == 0:
            await self.context.retry(countdown=countdown, exc=EngineError("not yet"))
        await wait_for_note(key, HOLD_SECONDS)
        return self.context.retries

    @task(Engine.retry_by_celery)
    async def retry_by_celery(self, key: str, times: int) -> int:
        note(key)
        running: Any = current_task
        await asyncio.sleep(0)
        if running.request.retries < times:
            raise running.retry(countdown=0.01)
        return self.context.retries

    @task(
        Engine.back_off,
        autoretry_for=(EngineError,),
        retry_backoff=1,
        retry_backoff_max=timedelta(seconds=2),
        retry_jitter=False,
        max_retries=2,
    )
    async def back_off(self, key: str) -> None:
        note(key, f"{time.time()}")
        raise EngineError(key)

    @task(Engine.retry_anything, autoretry_for=(Exception,), default_retry_delay=0)
    async def retry_anything(self, key: str, number: int) -> int:
        note(key)
        return number

    @task(Engine.retry_then_fail)
    async def retry_then_fail(self, key: str) -> None:
        if self.context.retries == 0:
            await self.context.retry(countdown=0)
        raise EngineError(key)

    @task(Engine.retry_at_most, max_retries=1)
    async def retry_at_most(self, key: str, limit: int, party: str, size: int) -> None:
        note(key)
        if self.context.retries == 0:
            await self.parties.meet(party, size)
        await self.context.retry(countdown=0.01, max_retries=limit)

    @task(Engine.retry_or_auto, max_retries=1, autoretry_for=(EngineError,), default_retry_delay=0)
    async def retry_or_auto(self, key: str, limit: int, party: str, size: int) -> None:
        note(key)
        if self.context.retries == 0:
            await self.parties.meet(party, size)
        await self.context.retry(countdown=0.01, max_retries=limit, exc=EngineError(key))

    @task(Engine.ignore)
    async def ignore(self, key: str) -> None:
        note(key)
        raise Ignore

    @task(Engine.reject, acks_late=True)
    async def reject(self, key: str) -> None:
        note(key)
        raise Reject("not this one", requeue=False)

    @task(Engine.requeue, acks_late=True)
    async def requeue(self, key: str) -> int:
        redelivered = self.context.delivery_info["redelivered"]
        count = note(key, f"{redelivered} {sorted(self.context.headers)}")
        if not redelivered:
            raise Reject("once more", requeue=True)
        return count

    @task(Engine.hold)
    async def hold(self, key: str) -> str:
        return await self._hold(key)

    @task(Engine.hold_late, acks_late=True)
    async def hold_late(self, key: str) -> str:
        return await self._hold(key)

    async def _hold(self, key: str) -> str:
        note(f"{key}-started")
        await wait_for_note(key, HOLD_SECONDS)
        return key

    @task(Engine.report)
    async def report(self, key: str) -> str:
        await self.context.progress({"done": 1, "of": Decimal(2)})
        await wait_for_note(f"{key}-1", HOLD_SECONDS)
        await self.context.progress("half", state="HALFWAY")
        await wait_for_note(f"{key}-2", HOLD_SECONDS)
        return key

    @task(Engine.report_often)
    async def report_often(self, times: int, end: Literal["return", "raise"]) -> int:
        for number in range(times):
            with contextlib.suppress(TimeoutError):
                # Given up while it is stored.
                async with asyncio.timeout(0.0005 * (number % 3)):
                    await self.context.progress(number)
        if end == "raise":
            raise EngineError("the end")
        return times

    @task(Engine.report_afterwards)
    async def report_afterwards(self, key: str, end: Literal["return", "raise"]) -> None:
        self._in_background(self._report_later(key))
        if end == "raise":
            raise EngineError("the end")

    @task(Engine.report_for_ever)
    async def report_for_ever(self, key: str) -> None:
        try:
            async with asyncio.timeout(HOLD_SECONDS):
                for number in itertools.count():
                    await self.context.progress(number)
                    if number == 10:
                        note(f"{key}-started")
        finally:
            note(f"{key}-cancelled", str(self.context.cancelled))

    @task(Engine.report_at_once)
    async def report_at_once(self, times: int, end: Literal["return", "raise"]) -> None:
        for number in range(times):
            self._in_background(self._report_and_note(number))
        await asyncio.sleep(0)
        if end == "raise":
            raise EngineError("the end")

    async def _report_and_note(self, number: int) -> None:
        await self.context.progress(number)
        note(f"reported-{self.context.id}")

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        outliving = asyncio.create_task(work)
        self.background.add(outliving)
        outliving.add_done_callback(self.background.discard)

    async def _report_later(self, key: str) -> None:
        await wait_for_note(key, HOLD_SECONDS)
        try:
            await self.context.progress("too late")
        except Exception as error:
            note(f"{key}-reported", repr(error))
        else:
            note(f"{key}-reported", "no error")

    @task(Engine.marks)
    async def marks(self, party: str, size: int) -> Marks:
        await self.parties.meet(party, size)
        thread = await asyncio.to_thread(mark.get)
        child_task = await asyncio.create_task(_read_mark())
        return Marks(body=mark.get(), child_task=child_task, thread=thread)


async def _read_mark() -> str:
    await asyncio.sleep(0)
    return mark.get()


@component
class FlowWorker:
    def __init__(self, looker: Looker, client: FlowClient, app: Celery) -> None:
        self.looker = looker
        self.client = client
        self.app = app

    @task(Flow.add)
    async def add(self, a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    @task(Flow.total)
    async def total(self, numbers: list[int]) -> int:
        return sum(numbers)

    @task(Flow.total_nested)
    async def total_nested(self, numbers: list[int | list[int]]) -> int:
        return sum(sum(one) if isinstance(one, list) else one for one in numbers)

    @task(Flow.fail)
    async def fail(self, text: str) -> int:
        await asyncio.sleep(0)
        raise EngineError(text)

    @task(Flow.finish)
    async def finish(self, numbers: list[int], key: str) -> int:
        note(key)
        return sum(numbers)

    @task(Flow.replace)
    async def replace(self, a: int, b: int) -> int:
        running: Any = current_task
        await asyncio.sleep(0)
        raise running.replace(self.app.signature("flow.add", (a, b)))

    @task(Flow.replace_by_group)
    async def replace_by_group(self, numbers: list[int]) -> list[int]:
        running: Any = current_task
        raise running.replace(group([self.app.signature("flow.add", (one, one)) for one in numbers]))

    @task(Flow.place)
    async def place(self) -> Seen:
        return self.looker.look()

    @task(Flow.call)
    async def call(self) -> Call:
        result = await self.client.place.asend()
        called = await result
        assert isinstance(called, Seen)
        return Call(caller=self.looker.look(), called=called)

    @task(Flow.get)
    async def get(self, how: Literal["ours", "celery"]) -> None:
        result = await self.client.add.asend(1, 2)
        wait: Callable[[], Any] = result.get if how == "ours" else partial(self.app.AsyncResult(result.id).get)
        wait()

    @task(Flow.get_then_await)
    async def get_then_await(self, a: int, b: int) -> int:
        result = await self.client.add.asend(a, b)
        try:
            return result.get()
        except ExecutionError:
            return await result


container = init(modules=["pico_celery", sys.modules[__name__]], config=configuration(EnvSource(prefix="")))
celery_app = container.get(Celery)
