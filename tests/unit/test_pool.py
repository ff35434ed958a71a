"""The pool by itself: slots, limits, termination and shutdown, without a broker."""

import asyncio
import contextvars
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Protocol

import pytest
from billiard.einfo import ExceptionInfo
from celery import Celery
from celery.app.trace import build_tracer, trace_task_ret
from celery.exceptions import Terminated
from pico_ioc import PicoContainer, component
from tests.support.waiting import becomes, eventually

from pico_celery import TaskContext, contract, task
from pico_celery.contract.catalog import default_catalog
from pico_celery.worker.pool import TaskPool
from pico_celery.worker.pool import tracers as tracers_module


@contract("pooled")
class Pooled(Protocol):
    async def wait(self, key: str) -> str: ...

    async def stubborn(self, key: str) -> str: ...

    async def caught(self, key: str) -> str: ...

    async def limits(self) -> list[float | None]: ...


class Seen:
    """What happened, and the gates that bodies wait at."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.gates: dict[str, threading.Event] = {}

    def gate(self, key: str) -> threading.Event:
        return self.gates.setdefault(key, threading.Event())


SEEN = Seen()


@component
class PooledWorker:
    def __init__(self, context: TaskContext) -> None:
        self.context = context

    @task(Pooled.wait)
    async def wait(self, key: str) -> str:
        SEEN.events.append(f"began {key}")
        try:
            while not SEEN.gate(key).is_set():
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            SEEN.events.append(f"cancelled {key}")
            raise
        return key

    @task(Pooled.stubborn)
    async def stubborn(self, key: str) -> str:
        SEEN.events.append(f"began {key}")
        while not SEEN.gate(key).is_set():
            try:
                await asyncio.sleep(0.005)
            except asyncio.CancelledError:
                SEEN.events.append(f"swallowed {key}")
        return key

    @task(Pooled.caught)
    async def caught(self, key: str) -> str:
        from celery.exceptions import SoftTimeLimitExceeded

        try:
            await asyncio.sleep(60)
        except SoftTimeLimitExceeded:
            await asyncio.sleep(0)
        return f"{key} {self.context.cancelled}"

    @task(Pooled.limits)
    async def limits(self) -> list[float | None]:
        left = self.context.time_left
        found: list[timedelta | None] = [self.context.time_limit, self.context.soft_time_limit]
        assert left is not None
        assert left <= timedelta(seconds=20)
        return [None if limit is None else limit.total_seconds() for limit in found]


class Submitted:
    """A job of the pool, and what its request was told."""

    def __init__(self, pool: TaskPool, name: str, *args: Any, **limits: Any) -> None:
        self.told: list[tuple[str, Any]] = []
        task_id = f"{name}-{args}"
        request = {"id": task_id, "task": name, "delivery_info": {}, "ignore_result": True}
        body: Any = (list(args), {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None})
        self.job: Any = pool.apply_async(
            trace_task_ret,
            args=(name, task_id, request, body, None, None),
            kwargs={"app": pool.app},
            callback=self._hear("succeeded"),
            accept_callback=self._hear("accepted"),
            error_callback=self._hear("failed"),
            timeout_callback=lambda soft, seconds: self.told.append(("timed out", (soft, seconds))),
            **limits,
        )

    def _hear(self, name: str) -> Callable[..., None]:
        return lambda *args: self.told.append((name, args))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def ended(self) -> bool:
        return any(name != "accepted" and value != (True, 0.05) for name, value in self.told)


@pytest.fixture(params=["greenlets", "threads"])
def tracers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways in which a tracer waits."""
    if request.param == "threads":
        monkeypatch.setattr(tracers_module, "HAS_GREENLET", False)
    return str(request.param)


@pytest.fixture
def pool_of(boot: Callable[..., PicoContainer], tracers: str) -> Iterator[Callable[..., TaskPool]]:
    """Start pools, and stop them with everything in them."""
    SEEN.__init__()  # type: ignore[misc]  # one for each test
    started: list[TaskPool] = []

    def start(limit: int, **settings: Any) -> TaskPool:
        options = {"worker_cancel_grace_seconds": 0.05, "worker_block_warning_seconds": 0, **settings}
        app = boot(PooledWorker, settings={**options, "task_always_eager": False}).get(Celery)

        @app.task(name="pooled.sync", shared=False)
        def sync(key: str) -> str:
            SEEN.events.append(f"began {key}")
            assert SEEN.gate(key).wait(20)
            return key

        for name, one in app.tasks.items():
            one.__trace__ = build_tracer(name, one, app.loader, "host", app=app)
        pool = TaskPool(limit, app=app)
        pool.start()
        started.append(pool)
        return pool

    yield start
    for gate in SEEN.gates.values():
        gate.set()
    for pool in started:
        pool.terminate()


@pytest.fixture(autouse=True, scope="module")
def _forget_the_contract() -> Iterator[None]:
    yield
    assert default_catalog.get("pooled.wait") is not None


def test_no_more_jobs_run_than_the_limit_and_the_rest_follow_in_order(pool_of: Callable[..., TaskPool]) -> None:
    pool = pool_of(2)
    jobs = [Submitted(pool, "pooled.wait", key) for key in "abcd"]
    becomes(lambda: SEEN.events, ["began a", "began b"])
    assert [job.names for job in jobs] == [["accepted"], ["accepted"], [], []]
    assert (pool.info["running"], pool.info["waiting"]) == (2, 2)
    SEEN.gate("b").set()
    becomes(lambda: SEEN.events, ["began a", "began b", "began c"])
    for key in "acd":
        SEEN.gate(key).set()
    assert eventually(lambda: all(job.ended() for job in jobs))
    assert [job.names for job in jobs] == [["accepted", "succeeded"]] * 4
    assert (pool.info["running"], pool.info["waiting"]) == (0, 0)


def test_a_pool_that_grows_starts_what_waits_and_one_that_shrinks_lets_it_run(pool_of: Callable[..., TaskPool]) -> None:
    pool = pool_of(0)
    jobs = [Submitted(pool, "pooled.wait", key) for key in "ab"]
    pool.grow(2)
    becomes(lambda: len(SEEN.events), 2)
    pool.shrink(2)
    assert pool.num_processes == 0
    SEEN.gate("a").set()
    SEEN.gate("b").set()
    assert eventually(lambda: all(job.ended() for job in jobs))
    with pytest.raises(ValueError, match="cannot shrink a pool of 0"):
        pool.shrink()
    with pytest.raises(ValueError, match="it would run nothing any more"):
        pool_of(2).shrink(2)


def test_synchronous_tasks_take_threads_of_their_own(pool_of: Callable[..., TaskPool]) -> None:
    pool = pool_of(10, worker_sync_threads=2)
    blocking = [Submitted(pool, "pooled.sync", f"sync {number}") for number in range(4)]
    coroutine = Submitted(pool, "pooled.wait", "async")
    SEEN.gate("async").set()
    assert eventually(coroutine.ended)
    assert [job.names for job in blocking] == [["accepted"], ["accepted"], [], []]
    for number in range(4):
        SEEN.gate(f"sync {number}").set()
    assert eventually(lambda: all(job.ended() for job in blocking))


def test_a_soft_limit_that_is_caught_is_logged_and_the_task_goes_on(pool_of: Callable[..., TaskPool]) -> None:
    job = Submitted(pool_of(1), "pooled.caught", "a", soft_timeout=0.05)
    assert eventually(job.ended)
    assert job.told[1] == ("timed out", (True, 0.05))
    assert job.told[2][0] == "succeeded"
    assert "a True" in str(job.told[2][1])


def test_a_hard_limit_frees_the_slot_of_a_task_that_swallows_its_cancellation(pool_of: Callable[..., TaskPool]) -> None:
    pool = pool_of(1)
    stubborn = Submitted(pool, "pooled.stubborn", "a", timeout=0.05)
    following = Submitted(pool, "pooled.wait", "b")
    SEEN.gate("b").set()
    assert eventually(following.ended)
    assert stubborn.told[1:] == [("timed out", (False, 0.05))]
    assert "swallowed a" in SEEN.events


def test_termination_cancels_and_reports_the_signal(pool_of: Callable[..., TaskPool]) -> None:
    pool = pool_of(1)
    job = Submitted(pool, "pooled.wait", "a")
    assert eventually(lambda: "began a" in SEEN.events)
    job.job.terminate(signal.SIGINT)
    job.job.terminate(signal.SIGTERM)
    assert eventually(job.ended)
    assert SEEN.events == ["began a", "cancelled a"]
    ((info,),) = [value for name, value in job.told if name == "failed"]
    assert isinstance(info, ExceptionInfo)
    error: Any = info.exception
    assert isinstance(error.exc, Terminated)
    assert error.exc.args == (signal.SIGINT,)


def test_a_job_that_waits_for_a_slot_is_terminated_at_once_and_never_runs(pool_of: Callable[..., TaskPool]) -> None:
    pool = pool_of(1)
    first = Submitted(pool, "pooled.wait", "a")
    second = Submitted(pool, "pooled.wait", "b")
    second.job.terminate(signal.SIGTERM)
    # Celery's request announces the revocation of what it hears was accepted.
    assert second.names == ["accepted", "failed"]
    SEEN.gate("a").set()
    assert eventually(first.ended)
    assert "began b" not in SEEN.events
    assert pool.info["waiting"] == 0


def test_termination_after_the_end_changes_nothing(pool_of: Callable[..., TaskPool]) -> None:
    job = Submitted(pool_of(1), "pooled.wait", "a")
    SEEN.gate("a").set()
    assert eventually(job.ended)
    job.job.terminate(signal.SIGTERM)
    assert job.names == ["accepted", "succeeded"]


def test_a_body_sees_the_limits_of_its_call(pool_of: Callable[..., TaskPool]) -> None:
    job = Submitted(pool_of(1), "pooled.limits", soft_timeout=20, timeout=30)
    assert eventually(job.ended)
    assert "[30.0, 20.0]" in str(job.told[1][1])


def test_a_warm_stop_waits_for_what_runs_and_leaves_what_waits(pool_of: Callable[..., TaskPool]) -> None:
    pool = pool_of(1)
    running = Submitted(pool, "pooled.wait", "a")
    waiting = Submitted(pool, "pooled.wait", "b")
    assert eventually(lambda: "began a" in SEEN.events)
    stopper = threading.Thread(target=pool.stop)
    stopper.start()
    assert eventually(lambda: pool.info["waiting"] == 0)
    assert stopper.is_alive()
    late = Submitted(pool, "pooled.wait", "c")
    SEEN.gate("a").set()
    stopper.join(20)
    assert not stopper.is_alive()
    # Not accepted means not acknowledged: the broker delivers them again.
    assert (running.names, waiting.names, late.names) == (["accepted", "succeeded"], [], [])


def test_a_termination_of_the_pool_is_bounded(pool_of: Callable[..., TaskPool]) -> None:
    pool = pool_of(3)
    jobs = [Submitted(pool, "pooled.stubborn", "a"), Submitted(pool, "pooled.wait", "b")]
    blocked = Submitted(pool, "pooled.sync", "c")
    becomes(lambda: len(SEEN.events), 3)
    began = time.monotonic()
    pool.terminate()
    assert time.monotonic() - began < 15
    assert all(job.names == ["accepted", "failed"] for job in jobs)
    assert blocked.names == ["accepted"]
    pool.stop()  # as the worker does again


def test_a_flush_forgets_what_has_no_slot(pool_of: Callable[..., TaskPool]) -> None:
    pool = pool_of(1)
    first = Submitted(pool, "pooled.wait", "a")
    second = Submitted(pool, "pooled.wait", "b")
    pool.flush()
    SEEN.gate("a").set()
    assert eventually(first.ended)
    assert second.names == []


def test_two_hundred_jobs_stand_on_few_threads(pool_of: Callable[..., TaskPool], tracers: str) -> None:
    pool = pool_of(200, worker_tracer_threads=3)
    jobs = [Submitted(pool, "pooled.wait", f"{number}") for number in range(200)]
    becomes(lambda: len(SEEN.events), 200)
    assert pool.info["tracer-threads"] == (3 if tracers == "greenlets" else 200)
    for number in range(200):
        SEEN.gate(f"{number}").set()
    assert eventually(lambda: all(job.ended() for job in jobs))
    assert {tuple(job.names) for job in jobs} == {("accepted", "succeeded")}


def test_a_second_delivery_waits_for_the_first_and_a_flush_forgets_it(pool_of: Callable[..., TaskPool]) -> None:
    pool = pool_of(5)
    first = Submitted(pool, "pooled.wait", "a")
    second = Submitted(pool, "pooled.wait", "a")
    third = Submitted(pool, "pooled.wait", "a")
    becomes(lambda: SEEN.events, ["began a"])
    assert (second.names, third.names, pool.info["waiting"]) == ([], [], 2)
    third.job.terminate(signal.SIGTERM)
    assert third.names == ["accepted", "failed"]
    SEEN.gate("a").set()
    assert eventually(lambda: first.ended() and second.ended())
    assert SEEN.events == ["began a", "began a"]
    SEEN.gates.clear()
    fourth = Submitted(pool, "pooled.wait", "a")
    fifth = Submitted(pool, "pooled.wait", "a")
    becomes(lambda: len(SEEN.events), 3)
    pool.flush()
    SEEN.gate("a").set()
    assert eventually(fourth.ended)
    assert fifth.names == []
    sixth = Submitted(pool, "pooled.wait", "a")
    assert eventually(sixth.ended)


def test_a_job_that_waited_is_asked_whether_it_was_revoked(pool_of: Callable[..., TaskPool]) -> None:
    class Request:
        """What Celery asks of its request before it gives a job to a pool."""

        accepted = 0

        def on_accepted(self, *_: Any) -> None:
            self.accepted += 1

        def revoked(self) -> bool:
            return True

    pool = pool_of(1)
    first = Submitted(pool, "pooled.wait", "a")
    request = Request()
    pool.apply_async(lambda: SEEN.events.append("ran"), accept_callback=request.on_accepted)
    last = Submitted(pool, "pooled.wait", "b")
    SEEN.gate("a").set()
    SEEN.gate("b").set()
    assert eventually(lambda: first.ended() and last.ended())
    assert request.accepted == 0
    assert "ran" not in SEEN.events


def test_a_worker_that_stops_leaves_the_loop_to_the_others_of_its_process(pool_of: Callable[..., TaskPool]) -> None:
    first, second = pool_of(1), pool_of(1)
    first.stop()
    job = Submitted(second, "pooled.wait", "a")
    SEEN.gate("a").set()
    assert eventually(job.ended)
    assert job.names == ["accepted", "succeeded"]


def test_a_context_variable_of_one_job_is_not_seen_by_the_next(pool_of: Callable[..., TaskPool]) -> None:
    from celery import signals

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")
    seen: list[str] = []

    def remember(task_id: str, **_: Any) -> None:
        seen.append(variable.get())
        variable.set(task_id)

    signals.task_prerun.connect(remember)
    try:
        pool = pool_of(1)
        for key in "abc":
            SEEN.gate(key).set()
            job = Submitted(pool, "pooled.wait", key)
            assert eventually(job.ended)
    finally:
        signals.task_prerun.disconnect(remember)
    assert seen == ["", "", ""]
