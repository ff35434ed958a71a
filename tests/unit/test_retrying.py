"""Claims about retries: what is stored of one, and when, beside what its next try may have stored by then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from uuid import uuid4

import pytest
from celery import Celery, current_task, signals, states
from celery.app.trace import build_tracer
from pico_ioc import PicoContainer, component

from pico_celery import RetryPolicy, contract, task

Boot = Callable[..., PicoContainer]
LASTING = {"task_always_eager": False}


@contract("unit_retrying")
class Retries(Protocol):
    async def by_body(self, number: int) -> int: ...


def worker_of(**options: Any) -> type[Any]:
    @component
    class Worker:
        @task(Retries.by_body, **options)
        async def by_body(self, number: int) -> int:
            running: Any = current_task
            if "retries" in options or "autoretry_for" in options:
                raise ConnectionError("no line")
            raise running.retry(exc=ConnectionError("no line"), countdown=0)

    return Worker


def run(app: Celery, **request: Any) -> str:
    """Run the task as a worker does, and return its id."""
    task_id = uuid4().hex
    served = app.tasks["unit_retrying.by_body"]
    trace = build_tracer(served.name, served, app=app)
    delivery = {"routing_key": "celery", "exchange": ""}
    given = {"id": task_id, "task": served.name, "root_id": task_id, "delivery_info": delivery}
    trace(task_id, [], {"number": 1}, {**given, **request})
    return task_id


@contextmanager
def ended_before(app: Celery) -> Iterator[list[str]]:
    """Let each retry have ended, and failed, as soon as it is published; note what was stored by then."""
    seen: list[str] = []

    def end(headers: Any, **_: Any) -> None:
        seen.append(app.AsyncResult(headers["id"]).state)
        app.backend.store_result(headers["id"], KeyError("its own"), states.FAILURE)

    signals.before_task_publish.connect(end)
    try:
        yield seen
    finally:
        signals.before_task_publish.disconnect(end)


WAYS: dict[str, dict[str, Any]] = {
    "its body": {},
    "its policy": {"retries": RetryPolicy(max_attempts=3, retry_on=(ConnectionError,), jitter=False)},
    "Celery": {"autoretry_for": (ConnectionError,), "default_retry_delay": 0},
    "errors are stored": {"store_errors_even_if_ignored": True},
    "only errors are stored": {"store_errors_even_if_ignored": True, "ignore_result": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_the_outcome_of_a_retry_that_has_ended_already_stays(boot: Boot, way: str) -> None:
    app = boot(worker_of(**WAYS[way]), settings=LASTING).get(Celery)
    with ended_before(app) as seen:
        task_id = run(app)
    assert seen == [states.RETRY]
    assert app.AsyncResult(task_id).state == states.FAILURE
    assert "its own" in str(app.AsyncResult(task_id).result)


def test_the_outcome_stays_where_the_settings_say_that_errors_are_stored(boot: Boot) -> None:
    settings = {**LASTING, "options": {"task_store_errors_even_if_ignored": True, "task_ignore_result": True}}
    app = boot(worker_of(), settings=settings).get(Celery)
    with ended_before(app) as seen:
        task_id = run(app)
    assert seen == [states.RETRY]
    assert app.AsyncResult(task_id).state == states.FAILURE


@pytest.mark.parametrize("where", ["task", "call"])
def test_of_a_call_whose_result_is_ignored_no_retry_is_stored(boot: Boot, where: str) -> None:
    app = boot(worker_of(**({"ignore_result": True} if where == "task" else {})), settings=LASTING).get(Celery)
    task_id = run(app, **({"ignore_result": True} if where == "call" else {}))
    assert app.AsyncResult(task_id).state == states.PENDING


@pytest.mark.parametrize("where", ["task", "call"])
def test_the_retry_of_a_call_is_sent_as_the_call_was(boot: Boot, where: str) -> None:
    app = boot(worker_of(**({"ignore_result": True} if where == "task" else {})), settings=LASTING).get(Celery)
    sent: list[Any] = []

    def note(headers: Any, **_: Any) -> None:
        sent.append(headers)

    signals.before_task_publish.connect(note)
    try:
        task_id = run(app, group="its-group", **({"ignore_result": False} if where == "call" else {}))
    finally:
        signals.before_task_publish.disconnect(note)
    (headers,) = sent
    assert (headers["id"], headers["root_id"], headers["group"]) == (task_id, task_id, "its-group")
    assert headers["ignore_result"] is (where == "task")


def test_a_result_backend_that_is_away_does_not_lose_the_try(
    boot: Boot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = boot(worker_of(), settings=LASTING).get(Celery)

    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("no backend")

    monkeypatch.setattr(app.backend, "mark_as_retry", refuse)
    with ended_before(app) as seen:
        task_id = run(app)
    assert seen == [states.STARTED]
    assert f"unit_retrying.by_body[{task_id}] is retried, which could not be stored" in caplog.text
