"""Tasks that are revoked, expire, or wait for their time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from pico_celery import AsyncResult
from tests.integration.apps.limits_contracts import LimitsClient
from tests.integration.conftest import Served, StartWorker, matrix
from tests.support.waiting import becomes, eventually

SOON = timedelta(seconds=30)
SLOTS = 4
LOOPS = {"redis": "asyncio", "rabbitmq": "auto"}
TERMINATED = {"terminated": True, "signum": 15, "expired": False}
REVOKED = {"terminated": False, "signum": None, "expired": False}
EXPIRED = {"terminated": False, "signum": None, "expired": True}


@pytest.fixture(scope="module", params=matrix(("async", "redis"), ("async", "rabbitmq")))
def served(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    pool, transport = request.param
    environment = {"CELERY_WORKER_EVENT_LOOP": LOOPS[transport], "CELERY_WORKER_CANCEL_GRACE_SECONDS": "0.5"}
    with start_worker("limits_worker", pool, transport, concurrency=SLOTS, environment=environment) as started:
        yield started


@pytest.fixture(scope="module")
def limits(served: Served) -> LimitsClient:
    return LimitsClient(served.app)


def new_key() -> str:
    return f"revoke-{uuid4().hex}"


def started(served: Served, key: str) -> bool:
    return eventually(lambda: bool(served.worker.noted(f"{key}-started")))


def was_received(served: Served, result: AsyncResult[Any]) -> bool:
    return eventually(lambda: f"[{result.id}] received" in served.worker.log)


def was_revoked(result: AsyncResult[Any]) -> bool:
    result.get(timeout=SOON, propagate=False)
    return str(result.state) == "REVOKED"


def signals_of(served: Served, result: AsyncResult[Any]) -> list[dict[str, Any]]:
    """Return what the signals of revocation said; they come after the state."""
    eventually(lambda: served.worker.noted(f"revoked-{result.id}"))
    return [json.loads(line) for line in served.worker.noted(f"revoked-{result.id}")]


@contextmanager
def full(served: Served, limits: LimitsClient, slots: int = SLOTS) -> Iterator[list[AsyncResult[str]]]:
    """Hold slots of the worker for a while."""
    keys = [new_key() for _ in range(slots)]
    held = [limits.hold(key) for key in keys]
    try:
        assert all(started(served, key) for key in keys)
        yield held
    finally:
        for key in keys:
            served.worker.note(key)
        for result in held:
            result.get(timeout=SOON, propagate=False)


def test_revoke_with_terminate_cancels_the_running_coroutine(served: Served, limits: LimitsClient) -> None:
    key = new_key()
    result = limits.hold(key)
    assert started(served, key)
    result.revoke(terminate=True)
    assert was_revoked(result)
    becomes(lambda: served.worker.noted(f"{key}-ended"), ["cancelled", "finally"])


def test_revoke_with_terminate_sends_one_signal_and_none_of_failure(served: Served, limits: LimitsClient) -> None:
    key = new_key()
    result = limits.hold(key)
    assert started(served, key)
    result.revoke(terminate=True)
    becomes(lambda: len(served.worker.noted(f"{key}-ended")), 2)
    assert limits.begin().get(timeout=SOON) > 0
    assert signals_of(served, result) == [TERMINATED]
    assert served.worker.noted(f"failed-{result.id}") == []


def test_revoke_with_terminate_frees_the_slot(served: Served, limits: LimitsClient) -> None:
    with full(served, limits) as held:
        waiting = limits.begin()
        assert was_received(served, waiting)
        held[0].revoke(terminate=True)
        assert waiting.get(timeout=SOON) > 0
        assert was_revoked(held[0])


def test_revoke_with_terminate_frees_the_slot_of_a_task_that_swallows_its_cancellation(
    served: Served, limits: LimitsClient
) -> None:
    key = new_key()
    with full(served, limits, SLOTS - 1):
        stuck = limits.swallow(key)
        assert started(served, key)
        waiting = limits.begin()
        assert was_received(served, waiting)
        stuck.revoke(terminate=True)
        assert waiting.get(timeout=SOON) > 0
        assert was_revoked(stuck)
    assert signals_of(served, stuck) == [TERMINATED]
    assert served.worker.noted(f"{key}-swallowed") == ["ran"]
    assert f"limits.swallow[{stuck.id}] went on after its cancellation" in served.worker.log
    served.worker.note(key)


@pytest.mark.parametrize("terminate", [False, True], ids=["revoke", "terminate"])
def test_a_task_that_is_revoked_while_it_waits_for_a_slot_never_runs(
    served: Served, limits: LimitsClient, terminate: bool
) -> None:
    key = new_key()
    with full(served, limits):
        waiting = limits.mark(key, "ran")
        assert was_received(served, waiting)
        waiting.revoke(terminate=terminate)
        assert eventually(lambda: told_of(served, waiting))
    assert limits.begin().get(timeout=SOON) > 0
    assert served.worker.noted(key) == []
    assert signals_of(served, waiting) == [TERMINATED if terminate else REVOKED]
    assert was_revoked(waiting)


def told_of(served: Served, result: AsyncResult[Any]) -> bool:
    """Whether the worker knows of a revocation."""
    found = served.app.control.inspect([served.worker.node], timeout=1).revoked() or {}
    return result.id in found.get(served.worker.node, [])


class Later:
    """Tasks that wait for their time, sent at once, since each takes its time."""

    def __init__(self, served: Served, limits: LimitsClient) -> None:
        self.revoked = {
            terminate: (key := new_key(), limits.mark.with_options(countdown=1.5)(key, "ran"))
            for terminate in (False, True)
        }
        for terminate, (_, result) in self.revoked.items():
            assert was_received(served, result)
            result.revoke(terminate=terminate)
        self.expired = (key := new_key(), limits.mark.with_options(countdown=1, expires=0.5)(key, "ran"))
        self.eta = datetime.now(UTC) + timedelta(seconds=1)
        self.at_eta = limits.begin.with_options(eta=self.eta)()
        self.sent = time.time()
        self.counted_down = limits.begin.with_options(countdown=timedelta(seconds=1))()
        self.at_once = limits.begin()


@pytest.fixture(scope="module")
def later(served: Served, limits: LimitsClient) -> Later:
    return Later(served, limits)


@pytest.mark.parametrize("terminate", [False, True], ids=["revoke", "terminate"])
def test_a_task_that_is_revoked_before_its_time_never_runs(served: Served, later: Later, terminate: bool) -> None:
    key, result = later.revoked[terminate]
    assert was_revoked(result)
    # Celery stores the state at once, and sends the signal when it would have run the task.
    assert len(signals_of(served, result)) == 1
    assert served.worker.noted(key) == []


def test_revoke_without_terminate_lets_a_running_task_end(served: Served, limits: LimitsClient) -> None:
    key = new_key()
    result = limits.hold(key)
    assert started(served, key)
    result.revoke()
    assert eventually(lambda: told_of(served, result))
    served.worker.note(key)
    assert result.get(timeout=SOON) == key
    assert served.worker.noted(f"{key}-ended") == ["finally"]


def test_a_revoked_task_lets_the_others_go_on(served: Served, limits: LimitsClient) -> None:
    with full(served, limits, 3) as held:
        held[1].revoke(terminate=True)
        assert was_revoked(held[1])
        assert [result.state for result in (held[0], held[2])] == ["STARTED", "STARTED"]
    assert [result.state for result in held] == ["SUCCESS", "REVOKED", "SUCCESS"]


def test_a_task_that_has_expired_when_its_time_comes_never_runs(served: Served, later: Later) -> None:
    key, result = later.expired
    assert was_revoked(result)
    assert served.worker.noted(key) == []
    assert signals_of(served, result) == [EXPIRED]


def test_a_task_that_expires_while_it_waits_for_a_slot_never_runs(served: Served, limits: LimitsClient) -> None:
    key = new_key()
    with full(served, limits):
        expiry = datetime.now(UTC) + timedelta(seconds=0.7)
        waiting = limits.mark.with_options(expires=expiry)(key, "ran")
        assert was_received(served, waiting)
        assert eventually(lambda: datetime.now(UTC) > expiry)
    assert was_revoked(waiting)
    assert limits.begin().get(timeout=SOON) > 0
    assert served.worker.noted(key) == []
    assert signals_of(served, waiting) == [EXPIRED]


def test_a_task_that_has_not_expired_runs(served: Served, limits: LimitsClient) -> None:
    key = new_key()
    limits.mark.with_options(expires=60)(key, "ran").get(timeout=SOON)
    assert served.worker.noted(key) == ["ran"]


def test_a_task_does_not_begin_before_its_eta(later: Later) -> None:
    begun = later.at_eta.get(timeout=SOON)
    assert begun >= later.eta.timestamp() - 0.05


def test_a_task_does_not_begin_before_its_countdown(later: Later) -> None:
    begun = later.counted_down.get(timeout=SOON)
    assert begun >= later.sent + 0.95


def test_a_task_without_eta_overtakes_those_with_one(later: Later) -> None:
    assert later.at_once.get(timeout=SOON) < later.at_eta.get(timeout=SOON)


def test_tasks_that_wait_for_their_time_hold_no_slot(served: Served, limits: LimitsClient) -> None:
    waiting = [limits.begin.with_options(countdown=600)() for _ in range(3 * SLOTS)]
    assert all(was_received(served, result) for result in waiting)
    assert limits.begin().get(timeout=SOON) > 0
    for result in waiting:
        result.revoke()
