"""A coroutine on the loop and what interrupts it; the loop's own thread; the watchdog; daemon threads."""

import asyncio
import contextlib
import logging
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from tests.support.long_waits import in_gather, in_group_body, in_group_child, in_timeout, in_wait_for
from tests.support.waiting import becomes, eventually

from pico_celery import ExecutionError
from pico_celery.threads import DaemonThreads
from pico_celery.worker.coroutine import CoroutineRun, SoftTimeLimitCancelled
from pico_celery.worker.engine_options import EngineOptions
from pico_celery.worker.loop import LoopService, wait_for
from pico_celery.worker.watchdog import Watchdog

Body = Callable[[], Coroutine[Any, Any, Any]]


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def service(request: pytest.FixtureRequest) -> Iterator[LoopService]:
    """A loop of each kind."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    options = EngineOptions(event_loop=request.param, cancel_grace_seconds=0.05)
    service = LoopService(options)
    yield service

    async def nothing() -> None:
        """Close nothing."""

    service.stop(nothing, 5)


class Interrupted:
    """A body that runs on the loop, waited for on a thread, and interrupted from here."""

    def __init__(self, service: LoopService, body: Body) -> None:
        self.service = service
        self.began = threading.Event()
        self.outcome: Any = None

        async def noted() -> Any:
            self.began.set()
            return await body()

        self.run: CoroutineRun[Any] = CoroutineRun(noted, "body")
        self.thread = threading.Thread(target=self._wait)
        self.thread.start()
        assert self.began.wait(20)

    def _wait(self) -> None:
        try:
            self.outcome = wait_for(self.service, self.run)
        except BaseException as error:
            self.outcome = error

    def by(self, error: BaseException | None) -> Any:
        self.service.post(self.run.interrupt, error)
        self.thread.join(20)
        assert not self.thread.is_alive()
        return self.outcome


async def sleep() -> str:
    await asyncio.sleep(60)
    return "slept"


async def in_shield() -> None:
    await asyncio.shield(asyncio.sleep(0.2))
    await asyncio.sleep(60)


async def with_cleanup() -> None:
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "body", [sleep, in_timeout, in_gather, in_group_child, in_group_body, in_wait_for, in_shield, with_cleanup]
)
def test_a_soft_limit_ends_a_body_wherever_it_waits(service: LoopService, body: Body) -> None:
    assert isinstance(Interrupted(service, body).by(SoftTimeLimitCancelled()), SoftTimeLimitExceeded)
    assert eventually(lambda: not _left(service))


async def catches() -> str:
    try:
        await asyncio.sleep(60)
    except SoftTimeLimitExceeded:
        async with asyncio.timeout(10):
            await asyncio.sleep(0.01)
    return "caught"


def test_a_body_that_catches_the_soft_limit_goes_on(service: LoopService) -> None:
    assert Interrupted(service, catches).by(SoftTimeLimitCancelled()) == "caught"


def test_a_cancellation_is_a_failure_and_nothing_that_ends_the_tracer(service: LoopService) -> None:
    outcome = Interrupted(service, sleep).by(None)
    assert isinstance(outcome, ExecutionError)
    assert "cancelled from inside" in str(outcome)


async def cancels_itself() -> None:
    current = asyncio.current_task()
    assert current is not None
    current.cancel()
    await asyncio.sleep(60)


async def exits() -> None:
    raise SystemExit(3)


async def is_interrupted() -> None:
    raise KeyboardInterrupt


async def runs_out_of_memory() -> None:
    raise MemoryError("an array of 8 EiB")


async def fails_in_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(exits())


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (cancels_itself, "cancelled from inside"),
        (exits, r"raised SystemExit\(3\), which ends a process"),
        (is_interrupted, "KeyboardInterrupt"),
        (fails_in_group, "SystemExit"),
        (runs_out_of_memory, "raised MemoryError: an array of 8 EiB"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*was never retrieved")
def test_what_would_end_the_process_fails_the_task_and_the_loop_goes_on(
    service: LoopService, body: Body, text: str
) -> None:
    with pytest.raises(ExecutionError, match=text):
        wait_for(service, CoroutineRun(body, "body"))
    assert wait_for(service, CoroutineRun(_one, "body")) == 1


async def _one() -> int:
    return 1


def test_the_loop_survives_an_exit_in_a_background_task_and_in_a_callback(service: LoopService) -> None:
    def exit_now() -> None:
        raise SystemExit(4)

    async def leaves() -> None:
        service.loop.call_soon(exit_now)
        asyncio.create_task(exits()).add_done_callback(lambda task: task.exception())

    wait_for(service, CoroutineRun(leaves, "body"))
    assert [wait_for(service, CoroutineRun(_one, "body")) for _ in range(3)] == [1, 1, 1]


def test_a_body_that_swallows_its_cancellation_is_abandoned_and_named(
    service: LoopService, caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    interrupted = Interrupted(service, stubborn)
    service.post(interrupted.run.interrupt)
    service.post(interrupted.run.abandon)
    interrupted.thread.join(20)
    assert isinstance(interrupted.outcome, ExecutionError)
    assert "body went on after its cancellation" in caplog.text
    assert "in stubborn" in caplog.text
    released.set()
    assert eventually(lambda: not _left(service))


def test_a_body_that_is_interrupted_before_its_first_step_never_runs(service: LoopService) -> None:
    ran: list[int] = []

    async def body() -> None:
        ran.append(1)

    run = CoroutineRun(body, "body")
    ended = threading.Event()
    run.on_end = ended.set

    def start_and_interrupt() -> None:
        run.start(service.loop)
        run.interrupt(SoftTimeLimitCancelled())

    service.post(start_and_interrupt)
    assert ended.wait(20)
    with pytest.raises(SoftTimeLimitExceeded):
        run.outcome()
    assert ran == []


def test_what_is_posted_from_many_threads_runs_in_each_ones_order(service: LoopService) -> None:
    seen: list[tuple[int, int]] = []

    def post(number: int) -> None:
        for index in range(200):
            service.post(seen.append, (number, index))

    threads = [threading.Thread(target=post, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    becomes(lambda: len(seen), 1600)
    for number in range(8):
        assert [index for one, index in seen if one == number] == list(range(200))


def test_a_posted_callback_that_fails_does_not_keep_the_next_one(
    service: LoopService, caplog: pytest.LogCaptureFixture
) -> None:
    ran = threading.Event()
    service.post(lambda: 1 // 0)  # type: ignore[arg-type]  # it never returns
    service.post(ran.set)
    assert ran.wait(20)
    assert "failed on the event loop" in caplog.text


def test_the_watchdog_names_who_holds_the_loop_and_where(
    service: LoopService, caplog: pytest.LogCaptureFixture
) -> None:
    async def holds_the_loop() -> None:
        time.sleep(0.6)

    watchdog = Watchdog(service, 0.05)
    with caplog.at_level(logging.WARNING, "pico_celery"):
        watchdog.start()
        wait_for(service, CoroutineRun(holds_the_loop, "orders.place[4711]"))
        assert eventually(lambda: "free again" in caplog.text)
    watchdog.stop()
    assert "orders.place[4711] has held the event loop for" in caplog.text
    assert "in holds_the_loop" in caplog.text
    assert "asyncio.to_thread" in caplog.text
    assert caplog.text.count("has held the event loop") == 1


def test_the_watchdog_is_silent_about_a_loop_that_waits(service: LoopService, caplog: pytest.LogCaptureFixture) -> None:
    watchdog = Watchdog(service, 0.05)
    watchdog.start()
    wait_for(service, CoroutineRun(lambda: asyncio.sleep(0.5), "idle"))
    watchdog.stop()
    assert "idle" not in caplog.text


def test_daemon_threads_are_few_and_outlive_what_they_run() -> None:
    threads = DaemonThreads("test", 3)
    done: list[str] = []
    gate = threading.Event()

    def fail() -> None:
        raise SystemExit(1)

    def work() -> None:
        gate.wait(20)
        done.append(threading.current_thread().name)

    threads.submit(fail)
    for _ in range(10):
        threads.submit(work)
    assert len(threads) <= 3
    gate.set()
    becomes(lambda: len(done), 10)
    threads.stop()


def _left(service: LoopService) -> list[asyncio.Task[Any]]:
    async def others() -> list[asyncio.Task[Any]]:
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]

    return service.run(others())


def test_no_call_waits_behind_a_blocking_one_while_there_may_be_more_threads() -> None:
    for _ in range(50):
        threads = DaemonThreads("test", 8)
        gate = threading.Event()
        running = threading.Semaphore(0)

        def block(running: threading.Semaphore = running, gate: threading.Event = gate) -> None:
            running.release()
            gate.wait(20)

        for _ in range(3):
            threads.submit(lambda: None)
        for _ in range(8):
            threads.submit(block)
        assert all(running.acquire(timeout=10) for _ in range(8))
        gate.set()
        threads.stop()


# The signal comes anywhere, in a callback of the collector too, which cannot raise it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(120)
def test_a_soft_limit_that_strikes_as_a_body_ends_never_hangs_the_thread_that_waits(service: LoopService) -> None:
    def alarm(*_: object) -> None:
        if armed:
            raise SoftTimeLimitExceeded

    async def body() -> None:
        with contextlib.suppress(SoftTimeLimitExceeded):
            await asyncio.sleep(0.001)

    armed = False
    before = signal.signal(signal.SIGALRM, alarm)
    try:
        for _ in range(600):
            with contextlib.suppress(SoftTimeLimitExceeded):
                armed = True
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0002, 0.0022))
                try:
                    wait_for(service, CoroutineRun(body, "body"))
                finally:
                    armed = False
                    signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_thread_in_to_thread_keeps_no_process_from_exiting() -> None:
    code = """
import asyncio, time
from pico_celery.worker.coroutine import CoroutineRun
from pico_celery.worker.loop import current_loop_service
service = current_loop_service()
service.post(CoroutineRun(lambda: asyncio.to_thread(time.sleep, 300), "body").start, service.loop)
service.run(asyncio.sleep(0.2))
print("ends", flush=True)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout == "ends\n"


def test_what_is_posted_to_a_closed_loop_is_refused_each_time() -> None:
    service = LoopService(EngineOptions(event_loop="asyncio"))

    async def nothing() -> None:
        """Close nothing."""

    service.stop(nothing, 5)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="closed"):
            service.post(lambda: None)
    with pytest.raises(ExecutionError, match="was closed before the task had ended"):
        wait_for(service, CoroutineRun(_one, "body"))
