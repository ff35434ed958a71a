"""A worker whose tasks run into limits, are revoked, misbehave, and look at each other.

As a program (``python -m tests.integration.apps.limits_worker 50``) it is a traced client of itself.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from celery import Celery, current_task, signals
from celery.exceptions import SoftTimeLimitExceeded
from opentelemetry import trace
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from pico_ioc import EnvSource, component, configuration, init

from pico_celery import TaskContext, task
from tests.integration.apps.limits_contracts import Isolation, Limits, Misdeed, Place, Shape, Tracing, TracingClient
from tests.integration.apps.notes import NOTES_VARIABLE, note, wait_for_note

SPANS_VARIABLE = "PICO_TEST_SPANS"
LONG_SECONDS = 60.0
tracer = trace.get_tracer("tests")
_kept: set[Any] = set()  # a loop keeps no strong reference to its tasks
_id_of_prerun: contextvars.ContextVar[str] = contextvars.ContextVar("id_of_prerun", default="")
_id_of_body: contextvars.ContextVar[str] = contextvars.ContextVar("id_of_body", default="")


@signals.task_prerun.connect(weak=False)
def set_id_of_prerun(task_id: str, **_: Any) -> None:
    _id_of_prerun.set(task_id)


@signals.task_failure.connect(weak=False)
def note_failure(task_id: str, exception: BaseException, **_: Any) -> None:
    note(f"failed-{task_id}", type(exception).__name__)


@signals.task_revoked.connect(weak=False)
def note_revoked(request: Any, terminated: bool, signum: Any, expired: bool, **_: Any) -> None:
    note(f"revoked-{request.id}", json.dumps({"terminated": terminated, "signum": signum, "expired": expired}))


@component
class LimitsWorker:
    def __init__(self, context: TaskContext) -> None:
        self.context = context

    @task(Limits.overrun)
    async def overrun(self, shape: Shape, key: str, *, catch: bool) -> None:
        try:
            await _SHAPES[shape](key)
        except SoftTimeLimitExceeded:
            if not catch:
                raise
        except BaseExceptionGroup as group:
            # Before Python 3.13 a TaskGroup wraps what is raised in its body, a cancellation by any other name too.
            if not catch or group.split(SoftTimeLimitExceeded)[1] is not None:
                raise
        note(key, f"caught, cancelled={self.context.cancelled}")
        await self._go_on(key)

    async def _go_on(self, key: str) -> None:
        """Await what a cancellation that is still pending would break."""
        await asyncio.sleep(0.01)
        await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(LONG_SECONDS)
        except TimeoutError:
            note(key, "timeouts work")
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        current = asyncio.current_task()
        assert current is not None
        note(key, f"went on, cancelling={current.cancelling()}")

    @task(Limits.softly)
    async def softly(self, key: str) -> None:
        note(f"{key}-limit", str(self.context.soft_time_limit))
        await asyncio.sleep(LONG_SECONDS)

    @task(Limits.hardly)
    async def hardly(self, key: str) -> None:
        note(f"{key}-limit", str(self.context.time_limit))
        await _hold(key)

    @task(Limits.persist)
    async def persist(self, key: str) -> None:
        try:
            await asyncio.sleep(LONG_SECONDS)
        except SoftTimeLimitExceeded:
            note(f"{key}-soft")
        await _hold(key)

    @task(Limits.swallow)
    async def swallow(self, key: str) -> None:
        note(f"{key}-started")
        while True:
            try:
                return await wait_for_note(key, LONG_SECONDS)
            except asyncio.CancelledError:
                note(f"{key}-swallowed")

    @task(Limits.hold)
    async def hold(self, key: str) -> str:
        await _hold(key)
        return key

    @task(Limits.mark)
    async def mark(self, key: str, text: str) -> None:
        note(key, text)

    @task(Limits.begin)
    async def begin(self) -> float:
        return time.time()

    @task(Limits.seldom)
    async def seldom(self) -> float:
        return time.time()


async def _hold(key: str) -> None:
    note(f"{key}-started")
    try:
        await wait_for_note(key, LONG_SECONDS)
    except asyncio.CancelledError:
        note(key + "-ended", "cancelled")
        raise
    finally:
        await asyncio.sleep(0)
        note(key + "-ended", "finally")


async def _child(key: str) -> None:
    try:
        await asyncio.sleep(LONG_SECONDS)
    except asyncio.CancelledError:
        note(key, "child cancelled")
        raise


async def _in_timeout(key: str) -> None:
    async with asyncio.timeout(LONG_SECONDS):
        await _child(key)


async def _in_gather(key: str) -> None:
    await asyncio.gather(_child(key), _child(key))


async def _in_child_of_group(key: str) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_child(key))
        group.create_task(_child(key))


async def _in_body_of_group(key: str) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_child(key))
        await asyncio.sleep(LONG_SECONDS)


async def _in_wait_for(key: str) -> None:
    await asyncio.wait_for(_child(key), LONG_SECONDS)


async def _in_shield(key: str) -> None:
    inner = asyncio.ensure_future(wait_for_note(f"{key}-release", LONG_SECONDS))
    inner.add_done_callback(lambda done: note(f"{key}-inner", "cancelled" if done.cancelled() else "ended"))
    _kept.add(inner)
    inner.add_done_callback(_kept.discard)
    await asyncio.shield(inner)


class _Resource:
    def __init__(self, key: str, name: str) -> None:
        self.key = key
        self.name = name

    async def __aenter__(self) -> None:
        await asyncio.sleep(0)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0.01)
        note(self.key, f"{self.name} closed")


async def _in_nested(key: str) -> None:
    async with _Resource(key, "outer"):
        try:
            async with _Resource(key, "inner"):
                await asyncio.sleep(LONG_SECONDS)
        finally:
            await asyncio.sleep(0.01)
            note(key, "finally")


async def _in_sleep(_: str) -> None:
    await asyncio.sleep(LONG_SECONDS)


_SHAPES: dict[Shape, Callable[[str], Awaitable[None]]] = {
    "sleep": _in_sleep,
    "timeout": _in_timeout,
    "gather": _in_gather,
    "group_child": _in_child_of_group,
    "group_body": _in_body_of_group,
    "wait_for": _in_wait_for,
    "shield": _in_shield,
    "nested": _in_nested,
}


@component
class Crowds:
    """Where executions wait until all of their crowd are in flight."""

    def __init__(self) -> None:
        self._present: dict[str, int] = {}
        self._complete: dict[str, asyncio.Event] = {}

    async def join(self, name: str, size: int) -> None:
        """Wait until as many have come."""
        complete = self._complete.setdefault(name, asyncio.Event())
        self._present[name] = self._present.get(name, 0) + 1
        if self._present[name] == size:
            complete.set()
        async with asyncio.timeout(LONG_SECONDS):
            await complete.wait()


@component(scope="request")
class Unit:
    """Lives for one task."""

    def __init__(self) -> None:
        self.owner = ""


@component(scope="request")
class Helper:
    """Shares the unit of its task."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit


@component(scope="request")
class Examiner:
    def __init__(self, unit: Unit, helper: Helper, context: TaskContext, crowds: Crowds) -> None:
        self.unit = unit
        self.helper = helper
        self.context = context
        self.crowds = crowds

    @task(Isolation.examine)
    async def examine(self, expected: str, crowd: str, size: int) -> list[str]:
        wrong = [] if self.unit.owner == "" else [f"begin: the unit belongs to {self.unit.owner}"]
        self.unit.owner = expected
        _id_of_body.set(expected)
        await self.crowds.join(crowd, size)
        wrong += self._wrong(expected, "body")
        for number in range(3):
            await asyncio.sleep(0.001 * (hash(expected) % 7))
            wrong += self._wrong(expected, f"body, step {number}")
        for found in await asyncio.gather(self._in_child(expected, "gather"), self._in_child(expected, "gather")):
            wrong += found
        async with asyncio.TaskGroup() as group:
            child = group.create_task(self._in_child(expected, "group"))
        wrong += child.result()
        wrong += await asyncio.to_thread(self._wrong, expected, "thread")
        return wrong + self._wrong(expected, "end")

    async def _in_child(self, expected: str, where: str) -> list[str]:
        wrong = self._wrong(expected, where)
        await asyncio.sleep(0.001)
        return wrong + self._wrong(expected, f"{where}, later")

    def _wrong(self, expected: str, where: str) -> list[str]:
        seen = {
            "current_task.name": (current_task.name, "isolation.examine"),
            "current_task": (current_task.request.id, expected),
            "the task's request": (celery_app.tasks["isolation.examine"].request.id, expected),
            "TaskContext": (self.context.id, expected),
            "TaskContext.request": (self.context.request.id, expected),
            "context variable of prerun": (_id_of_prerun.get(), expected),
            "context variable of the body": (_id_of_body.get(), expected),
            "unit": (self.unit.owner, expected),
            "unit of the helper": (self.helper.unit.owner, expected),
            "unit of the container": (container.get(Unit).owner, expected),
        }
        return [f"{where}: {name} is {found}, not {right}" for name, (found, right) in seen.items() if found != right]


@component
class IsolationWorker:
    def __init__(self, context: TaskContext, crowds: Crowds) -> None:
        self.context = context
        self.crowds = crowds

    @task(Isolation.where)
    async def where(self) -> Place:
        return Place(pid=os.getpid(), loop=id(asyncio.get_running_loop()))

    @task(Isolation.wait)
    async def wait(self, key: str) -> Place:
        await _hold(key)
        return await self.where()

    @task(Isolation.leave)
    async def leave(self, key: str) -> None:
        watching = asyncio.create_task(self._watch(key))
        _kept.add(watching)
        watching.add_done_callback(_kept.discard)
        await asyncio.sleep(0.01)

    async def _watch(self, key: str) -> None:
        seen: set[str] = set()
        path = Path(os.environ[NOTES_VARIABLE], key)
        running: Any = current_task
        while not path.exists():
            for name in ("isolation.leave", "isolation.examine"):
                seen.add(str(celery_app.tasks[name].request.id))
            seen.add(str(running.request.id) if running else "None")
            seen.add(self.context.id)
            seen.add(_id_of_prerun.get())
            await asyncio.sleep(0.001)
        note(f"{key}-seen", json.dumps(sorted(seen)))

    @task(Isolation.misbehave)
    async def misbehave(self, misdeed: Misdeed) -> str:
        place, _, what = misdeed.partition("_")
        if place == "self":
            current = asyncio.current_task()
            assert current is not None
            current.cancel()
            await asyncio.sleep(LONG_SECONDS)
        error = {"error": ValueError("a mishap"), "exit": SystemExit(3), "interrupt": KeyboardInterrupt("a mishap")}[
            what
        ]
        if place == "group":
            async with asyncio.TaskGroup() as group:
                group.create_task(_raise_soon(error))
        elif place == "gather":
            await asyncio.gather(_raise_soon(error), asyncio.sleep(0.05))
        elif place == "background":
            _kept.add(asyncio.create_task(_raise_soon(error)))
        elif place == "callback":
            asyncio.get_running_loop().call_soon(_raise_now, error)
        else:
            raise error
        await asyncio.sleep(0.1)
        return "ended"

    @task(Isolation.block)
    async def block(self, seconds: float) -> None:
        _hold_the_loop(seconds)

    @task(Isolation.pause)
    async def pause(self, seconds: float, crowd: str, size: int) -> None:
        await self.crowds.join(crowd, size)
        await asyncio.sleep(seconds)


def _hold_the_loop(seconds: float) -> None:
    time.sleep(seconds)


async def _raise_soon(error: BaseException) -> NoReturn:
    await asyncio.sleep(0.01)
    raise error


def _raise_now(error: BaseException) -> NoReturn:
    raise error


class FileExporter(SpanExporter):
    """Writes spans as lines of JSON."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with self.path.open("a") as file:
            for span in spans:
                file.write(f"{json.dumps(_plain(span))}\n")
        return SpanExportResult.SUCCESS


def _plain(span: ReadableSpan) -> dict[str, Any]:
    own = span.get_span_context()
    assert own is not None
    return {
        "name": span.name,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "trace": f"{own.trace_id:x}",
        "id": f"{own.span_id:x}",
        "parent": f"{span.parent.span_id:x}" if span.parent else "",
        "task": str((span.attributes or {}).get("messaging.message.id", "")),
    }


def trace_to(path: Path) -> None:
    """Instrument Celery in this process."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(FileExporter(path)))
    trace.set_tracer_provider(provider)
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]  # its constructor says nothing


@component
class TracingWorker:
    def __init__(self, client: TracingClient, crowds: Crowds) -> None:
        self.client = client
        self.crowds = crowds

    @task(Tracing.outer)
    async def outer(self, number: int, size: int) -> int:
        await self.crowds.join(f"outer-{size}", size)
        with tracer.start_as_current_span(f"body of outer {number}"):
            await asyncio.sleep(0.01)
            inner = await self.client.inner.asend(number)
            return await inner

    @task(Tracing.inner)
    async def inner(self, number: int) -> int:
        with tracer.start_as_current_span(f"body of inner {number}"):
            await asyncio.sleep(0.05)
        return number

    @task(Tracing.fail)
    async def fail(self, text: str) -> None:
        raise ValueError(text)


if SPANS_VARIABLE in os.environ:
    trace_to(Path(os.environ[SPANS_VARIABLE]))

_MODULES: list[Any] = ["pico_celery", "tests.integration.apps.limits_contracts", sys.modules[__name__]]
container = init(modules=_MODULES, config=configuration(EnvSource(prefix="")))
celery_app = container.get(Celery)


def call_outer(size: int) -> list[int]:
    """Send calls, each in a span of its own, and return what they answered."""
    client = container.get(TracingClient)
    results = []
    for number in range(size):
        with tracer.start_as_current_span(f"client {number}"):
            results.append(client.outer(number, size))
    return [result.get(timeout=timedelta(seconds=60)) for result in results]


if __name__ == "__main__":
    print(json.dumps(call_outer(int(sys.argv[1]))))
