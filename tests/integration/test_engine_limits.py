"""Time limits, rate limits, priorities and prefetch, as Celery's own pools keep them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any, get_args
from uuid import uuid4

import pytest
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded

from pico_celery import AsyncResult
from tests.integration.apps.limits_contracts import HARD_SECONDS, RATE, SOFT_SECONDS, LimitsClient, Shape
from tests.integration.conftest import Served, StartWorker, matrix, site_of
from tests.support.sites import Site
from tests.support.waiting import becomes, eventually

SOON = timedelta(seconds=30)
SHAPES: tuple[Shape, ...] = get_args(Shape)
TRANSPORTS = matrix(("async", "redis"), ("async", "rabbitmq"))
LOOPS = {"redis": "asyncio", "rabbitmq": "auto"}
GLOBAL_SOFT, GLOBAL_HARD, GRACE = 0.6, 1.2, 0.3
MOST_URGENT = {"redis": 0, "rabbitmq": 9}


@pytest.fixture(scope="module", params=TRANSPORTS)
def served(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    """A worker with many slots."""
    pool, transport = request.param
    environment = {"CELERY_WORKER_EVENT_LOOP": LOOPS[transport]}
    with start_worker("limits_worker", pool, transport, concurrency=100, environment=environment) as started:
        yield started


@pytest.fixture(scope="module")
def limits(served: Served) -> LimitsClient:
    return LimitsClient(served.app)


@pytest.fixture(scope="module", params=TRANSPORTS)
def narrow(
    request: pytest.FixtureRequest, start_worker: StartWorker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A worker with one slot, limits for all tasks, and a queue that knows priorities."""
    pool, transport = request.param
    site = with_priorities(site_of(request, transport, tmp_path_factory.mktemp("site")))
    options = ["--soft-time-limit", str(GLOBAL_SOFT), "--time-limit", str(GLOBAL_HARD)]
    environment = {"CELERY_WORKER_EVENT_LOOP": LOOPS[transport], "CELERY_WORKER_CANCEL_GRACE_SECONDS": str(GRACE)}
    given: dict[str, Any] = {"concurrency": 1, "site": site, "options": options, "environment": environment}
    with start_worker("limits_worker", pool, transport, **given) as started:
        yield started


def with_priorities(site: Site) -> Site:
    if site.transport == "redis":
        known = site.settings()["broker_transport_options"]
        more = {**known, "priority_steps": list(range(10)), "queue_order_strategy": "priority"}
        return dataclasses.replace(site, extra={"broker_transport_options": more})
    return dataclasses.replace(site, extra={"task_queue_max_priority": 9})


def new_key() -> str:
    return f"limits-{uuid4().hex}"


def failure(result: AsyncResult[Any]) -> BaseException:
    found = result.get(timeout=SOON, propagate=False)
    assert result.state == "FAILURE"
    assert isinstance(found, BaseException)
    return found


def was_received(served: Served, result: AsyncResult[Any]) -> bool:
    return eventually(lambda: f"[{result.id}] received" in served.worker.log)


class Overruns:
    """Tasks that overrun their limits, sent at once, since each takes its time."""

    def __init__(self, served: Served, limits: LimitsClient) -> None:
        self._served = served
        limited = limits.overrun.with_options(soft_time_limit=SOFT_SECONDS)
        self._sent = {
            (shape, catch): (key := new_key(), limited(shape, key, catch=catch))
            for shape in SHAPES
            for catch in (True, False)
        }
        self.softly = (key := new_key(), limits.softly(key))
        self.hardly = (key := new_key(), limits.hardly(key))
        self.held = (key := new_key(), limits.hold.with_options(time_limit=timedelta(seconds=HARD_SECONDS))(key))

    def caught(self, shape: Shape) -> list[str]:
        """Return what a task noted that caught its limit, and went on."""
        key, result = self._sent[shape, True]
        result.get(timeout=SOON)
        return self._served.worker.noted(key)

    def uncaught(self, shape: Shape) -> tuple[BaseException, list[str]]:
        """Return how a task failed that did not catch its limit, and what it noted."""
        key, result = self._sent[shape, False]
        return failure(result), self._served.worker.noted(key)

    def key(self, shape: Shape) -> str:
        return self._sent[shape, True][0]


@pytest.fixture(scope="module")
def overruns(served: Served, limits: LimitsClient) -> Overruns:
    return Overruns(served, limits)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_soft_limit_of_a_call_that_is_not_caught_fails_the_task(overruns: Overruns, shape: Shape) -> None:
    error, noted = overruns.uncaught(shape)
    assert type(error) is SoftTimeLimitExceeded
    assert not [line for line in noted if line.startswith(("caught", "went on"))]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_task_catches_its_soft_limit_and_goes_on_awaiting(overruns: Overruns, shape: Shape) -> None:
    noted = overruns.caught(shape)
    assert noted[-2:] == ["timeouts work", "went on, cancelling=0"]


def test_the_context_says_cancelled_after_the_soft_limit(overruns: Overruns) -> None:
    assert "caught, cancelled=True" in overruns.caught("sleep")


@pytest.mark.parametrize(
    ("shape", "children"),
    [("timeout", 1), ("gather", 2), ("group_child", 2), ("group_body", 1), ("wait_for", 1)],
)
def test_a_soft_limit_cancels_what_the_task_waits_for(overruns: Overruns, shape: Shape, children: int) -> None:
    assert overruns.caught(shape).count("child cancelled") == children
    assert overruns.uncaught(shape)[1].count("child cancelled") == children


def test_what_is_shielded_outlives_the_soft_limit(served: Served, overruns: Overruns) -> None:
    key = overruns.key("shield")
    assert "child cancelled" not in overruns.caught("shield")
    assert served.worker.noted(f"{key}-inner") == []
    served.worker.note(f"{key}-release")
    becomes(lambda: served.worker.noted(f"{key}-inner"), ["ended"])


def test_clean_ups_that_await_end_before_the_soft_limit_is_caught(overruns: Overruns) -> None:
    assert overruns.caught("nested")[:4] == ["inner closed", "finally", "outer closed", "caught, cancelled=True"]
    assert overruns.uncaught("nested")[1] == ["inner closed", "finally", "outer closed"]


def test_the_soft_limit_of_a_task_fails_it(served: Served, overruns: Overruns) -> None:
    key, result = overruns.softly
    assert type(failure(result)) is SoftTimeLimitExceeded
    assert served.worker.noted(f"{key}-limit") == [str(timedelta(seconds=SOFT_SECONDS))]


def test_a_soft_limit_is_logged_by_celery(served: Served, overruns: Overruns) -> None:
    overruns.uncaught("sleep")
    assert f"Soft time limit ({SOFT_SECONDS}s) exceeded for limits.overrun[" in served.worker.log


def test_the_hard_limit_of_a_task_cancels_and_fails_it(served: Served, overruns: Overruns) -> None:
    key, result = overruns.hardly
    assert isinstance(failure(result), TimeLimitExceeded)
    assert served.worker.noted(f"{key}-limit") == [str(timedelta(seconds=HARD_SECONDS))]
    assert served.worker.noted(f"{key}-ended") == ["cancelled", "finally"]
    assert f"Hard time limit ({HARD_SECONDS}s) exceeded for limits.hardly[{result.id}]" in served.worker.log


def test_the_hard_limit_of_a_call_cancels_and_fails_it(served: Served, overruns: Overruns) -> None:
    key, result = overruns.held
    assert isinstance(failure(result), TimeLimitExceeded)
    assert served.worker.noted(f"{key}-ended") == ["cancelled", "finally"]


def test_a_hard_limit_sends_the_signal_of_failures_once(served: Served, overruns: Overruns) -> None:
    for _, result in (overruns.hardly, overruns.held):
        failure(result)
        # The signal comes after the state.
        becomes(partial(served.worker.noted, f"failed-{result.id}"), ["TimeLimitExceeded"])


def test_the_limit_of_a_call_replaces_that_of_the_task(served: Served, limits: LimitsClient) -> None:
    key = new_key()
    result = limits.hardly.with_options(time_limit=60)(key)
    becomes(lambda: served.worker.noted(f"{key}-limit"), ["0:01:00"])
    served.worker.note(key)
    result.get(timeout=SOON)


def test_a_rate_limit_spreads_the_executions(limits: LimitsClient) -> None:
    begun = [result.get(timeout=SOON) for result in [limits.seldom() for _ in range(RATE)]]
    # Exactly it would be (RATE - 1) / RATE; a busy machine moves the first and the last.
    assert max(begun) - min(begun) > 0.5


def test_tasks_without_a_rate_limit_overtake_those_with_one(limits: LimitsClient) -> None:
    limited = [limits.seldom() for _ in range(RATE)]
    free = limits.begin().get(timeout=SOON)
    assert free < max(result.get(timeout=SOON) for result in limited)


def test_the_soft_limit_of_the_worker_fails_a_task(narrow: Served) -> None:
    key = new_key()
    result = LimitsClient(narrow.app).overrun("sleep", key, catch=False)
    assert type(failure(result)) is SoftTimeLimitExceeded
    becomes(lambda: narrow.worker.noted(f"failed-{result.id}"), ["SoftTimeLimitExceeded"])


def test_the_hard_limit_of_the_worker_fails_a_task_that_went_on_after_the_soft_one(narrow: Served) -> None:
    key = new_key()
    result = LimitsClient(narrow.app).persist(key)
    assert isinstance(failure(result), TimeLimitExceeded)
    assert narrow.worker.noted(f"{key}-soft") == ["ran"]
    becomes(lambda: narrow.worker.noted(f"{key}-ended"), ["cancelled", "finally"])


def test_a_hard_limit_frees_the_slot(narrow: Served) -> None:
    limits, key = LimitsClient(narrow.app), new_key()
    held, after = limits.hold.with_options(time_limit=0.5)(key), limits.begin()
    assert after.get(timeout=SOON) > 0
    assert held.state == "FAILURE"


def test_a_hard_limit_frees_the_slot_of_a_task_that_swallows_its_cancellation(narrow: Served) -> None:
    limits, key = LimitsClient(narrow.app), new_key()
    stuck, after = limits.swallow(key), limits.begin()
    assert after.get(timeout=SOON) > 0
    assert isinstance(failure(stuck), TimeLimitExceeded)
    assert "swallow" in narrow.worker.log.partition(f"limits.swallow[{stuck.id}] went on after its cancellation")[2]
    assert narrow.worker.noted(f"{key}-swallowed")
    narrow.worker.note(key)


def test_urgent_tasks_overtake_others_in_the_queue(narrow: Served) -> None:
    limits, key = LimitsClient(narrow.app), new_key()
    held = limits.hold.with_options(soft_time_limit=60, time_limit=60)(key)
    assert eventually(lambda: narrow.worker.noted(f"{key}-started"))
    # The worker has one more message than it has slots; what comes after waits in the broker, in its order.
    taken = limits.mark(f"{key}-order", "taken")
    assert was_received(narrow, taken)
    urgent = MOST_URGENT[narrow.transport]
    sent = [limits.mark.with_options(priority=9 - urgent)(f"{key}-order", "late") for _ in range(3)]
    sent += [limits.mark.with_options(priority=urgent)(f"{key}-order", "urgent") for _ in range(3)]
    narrow.worker.note(key)
    for result in [held, taken, *sent]:
        result.get(timeout=SOON)
    assert narrow.worker.noted(f"{key}-order") == ["taken", *["urgent"] * 3, *["late"] * 3]


@pytest.mark.slow
@pytest.mark.parametrize("where", TRANSPORTS)
def test_what_a_full_worker_has_not_prefetched_is_served_by_another(
    start_worker: StartWorker, where: tuple[str, str]
) -> None:
    pool, transport = where
    keys = [new_key() for _ in range(8)]
    with start_worker("limits_worker", pool, transport, concurrency=2) as first:
        limits = LimitsClient(first.app)
        results = [limits.hold(key) for key in keys]
        # Two run, and are acknowledged; two more are prefetched.
        becomes(lambda: received(first), 4)
        with start_worker("limits_worker", pool, transport, concurrency=2, site=beside(first.site)) as second:
            becomes(lambda: received(second), 4)
            assert eventually(lambda: started(first, keys) == started(second, keys) == 2)
            for worker in (first.worker, second.worker):
                for key in keys:
                    worker.note(key)
            assert sorted(result.get(timeout=SOON) for result in results) == sorted(keys)
            assert received(first) == received(second) == 4


def beside(site: Site) -> Site:
    """Return a site with the queue and the results of another, and a worker's name of its own."""
    same = {"task_default_queue", "broker_transport_options", "result_backend_transport_options"}
    extra = {name: value for name, value in site.settings().items() if name in same}
    return dataclasses.replace(site, prefix=f"{site.prefix}-beside", extra=extra)


def received(served: Served) -> int:
    return served.worker.log.count("] received")


def started(served: Served, keys: list[str]) -> int:
    return sum(bool(served.worker.noted(f"{key}-started")) for key in keys)
