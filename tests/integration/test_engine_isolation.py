"""Executions side by side on one loop: none sees, ends or holds another without being told on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import get_args
from uuid import uuid4

import pytest

from pico_celery.errors import ExecutionError
from tests.integration.apps.limits_contracts import IsolationClient, Misdeed
from tests.integration.conftest import Served, StartWorker, matrix
from tests.support.waiting import eventually

SOON = timedelta(seconds=30)
LATE = timedelta(seconds=120)
LOOPS = {"redis": "asyncio", "rabbitmq": "auto"}
CROWD, AWAITING = 1000, 500
MISDEEDS: tuple[Misdeed, ...] = get_args(Misdeed)
FATAL = {
    "system_exit": "SystemExit(3)",
    "keyboard_interrupt": "KeyboardInterrupt('a mishap')",
    "group_exit": "SystemExit(3)",
    "gather_exit": "SystemExit(3)",
    "self_cancel": "cancelled from inside",
}


@pytest.fixture(scope="module", params=matrix(("async", "redis"), ("async", "rabbitmq")))
def served(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    pool, transport = request.param
    environment = {"CELERY_WORKER_EVENT_LOOP": LOOPS[transport]}
    with start_worker("limits_worker", pool, transport, concurrency=CROWD, environment=environment) as started:
        yield started


@pytest.fixture(scope="module")
def isolation(served: Served) -> IsolationClient:
    return IsolationClient(served.app)


def new_key() -> str:
    return f"isolation-{uuid4().hex}"


def examine(isolation: IsolationClient, size: int) -> list[str]:
    """Run executions that are all in flight at once, and return what was wrong in them."""
    crowd = new_key()
    ids = [f"{crowd}-{number}" for number in range(size)]
    results = [isolation.examine.with_options(task_id=task_id)(task_id, crowd, size) for task_id in ids]
    return [f"{result.id}: {wrong}" for result in results for wrong in result.get(timeout=LATE)]


def test_a_thousand_interleaved_executions_each_see_their_own(isolation: IsolationClient) -> None:
    assert examine(isolation, CROWD) == []


def test_what_outlives_its_execution_never_sees_the_request_of_another(
    served: Served, isolation: IsolationClient
) -> None:
    keys = [new_key() for _ in range(10)]
    left = {key: isolation.leave(key) for key in keys}
    for result in left.values():
        result.get(timeout=SOON)
    assert examine(isolation, 30) == []
    for key in keys:
        served.worker.note(key)
    for key, result in left.items():
        (line,) = eventually(partial(served.worker.noted, f"{key}-seen"))
        assert set(json.loads(line)) <= {result.id, "None"}


@pytest.mark.parametrize("misdeed", FATAL)
def test_what_would_end_a_process_fails_its_own_task_only(
    served: Served, isolation: IsolationClient, misdeed: Misdeed
) -> None:
    before = isolation.where().get(timeout=SOON)
    key = new_key()
    beside = isolation.wait(key)
    assert eventually(lambda: served.worker.noted(f"{key}-started"))
    result = isolation.misbehave(misdeed)
    error = result.get(timeout=SOON, propagate=False)
    assert result.state == "FAILURE"
    assert isinstance(error, ExecutionError)
    assert FATAL[misdeed] in str(error)
    served.worker.note(key)
    assert beside.get(timeout=SOON) == before
    assert isolation.where().get(timeout=SOON) == before


@pytest.mark.parametrize("misdeed", [misdeed for misdeed in MISDEEDS if misdeed not in FATAL])
def test_what_fails_in_the_background_ends_neither_a_task_nor_the_loop(
    served: Served, isolation: IsolationClient, misdeed: Misdeed
) -> None:
    before = isolation.where().get(timeout=SOON)
    key = new_key()
    beside = isolation.wait(key)
    assert eventually(lambda: served.worker.noted(f"{key}-started"))
    assert isolation.misbehave(misdeed).get(timeout=SOON) == "ended"
    served.worker.note(key)
    assert beside.get(timeout=SOON) == before
    assert isolation.where().get(timeout=SOON) == before


def test_a_task_that_holds_the_loop_is_logged_with_its_name_and_its_stack(
    served: Served, isolation: IsolationClient
) -> None:
    result = isolation.block(0.5)
    result.get(timeout=SOON)
    told = f"isolation.block[{result.id}] has held the event loop for "
    assert eventually(lambda: told in served.worker.log)
    stack = served.worker.log.partition(told)[2].split("[20", 1)[0]
    assert "in _hold_the_loop\n    time.sleep(seconds)" in stack
    assert "in block\n" in stack
    assert "asyncio.to_thread" in stack
    assert served.worker.log.count(told) == 1


def test_tasks_that_only_await_are_never_logged(served: Served, isolation: IsolationClient) -> None:
    crowd = new_key()
    # They wake at once, and keep the loop busy together; none of them holds it.
    results = [isolation.pause(0.2, crowd, AWAITING) for _ in range(AWAITING)]
    for result in results:
        result.get(timeout=LATE)
    assert not said_to_hold_the_loop(served) & {result.id for result in results}


def said_to_hold_the_loop(served: Served) -> set[str]:
    return set(re.findall(r"isolation\.pause\[([^][]+)\][^\n]* has held the event loop", served.worker.log))
