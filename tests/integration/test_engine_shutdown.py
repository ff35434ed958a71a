"""How a worker starts and how it ends: its components, the tasks in flight, and those not yet begun."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest
from celery import states

from tests.integration.apps.operations_contracts import BROKEN_VARIABLE, OperationsClient
from tests.integration.conftest import Served, StartWorker, matrix, site_of
from tests.support.processes import NOTES_VARIABLE, Worker
from tests.support.waiting import becomes, eventually

SOON = 30
ENGINES = [("async", "redis"), ("async", "rabbitmq")]
IN_FLIGHT, NOT_STARTED = 40, 10
COLD_SECONDS = 15
EX_FAILURE = 1


def end(worker: Worker, signum: signal.Signals, timeout_seconds: float = 60.0) -> int:
    """Send a signal to a worker and wait for its end."""
    worker.process.send_signal(signum)
    return worker.process.wait(timeout_seconds)


def pairs(worker: Worker, key: str) -> list[tuple[int, int]]:
    """Return process and loop of each note."""
    return [(int(pid), int(loop)) for pid, loop in map(str.split, worker.noted(key))]


@pytest.fixture(scope="module", params=matrix(*ENGINES))
def warm(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Warm]:
    pool, transport = request.param
    environment = {"CELERY_WORKER_PREFETCH_MULTIPLIER": "2"}
    with start_worker("operations_worker", pool, transport, concurrency=IN_FLIGHT, environment=environment) as served:
        worker, client, key = served.worker, OperationsClient(served.app), uuid4().hex
        opened = pairs(worker, "opened")
        late = [client.hold_late(key, number) for number in range(IN_FLIGHT // 2)]
        early = [client.hold(key, number) for number in range(IN_FLIGHT // 2, IN_FLIGHT)]
        becomes(lambda: len(worker.noted(f"{key}-started")), IN_FLIGHT)
        waiting = [client.double(number) for number in range(NOT_STARTED)]
        assert eventually(lambda: worker.log.count("Task operations.double[") == NOT_STARTED)
        worker.process.send_signal(signal.SIGTERM)
        worker.wait_for_log("Worker: Stopping Pool")
        still_in_flight = not any(result.ready() for result in [*late, *early])
        worker.note(key)
        code = worker.process.wait(60)
        expected = NOT_STARTED - served_here(worker)
        eventually(lambda: served.site.waiting_messages() == expected)  # RabbitMQ hears of the end a little later
        left = served.site.waiting_messages()
        values = [result.get(timeout=SOON) for result in [*late, *early]]
        runs = [len(worker.noted(f"{key}-started")), served_here(worker)]
        with start_worker("operations_worker", pool, transport, site=served.site, concurrency=IN_FLIGHT) as second:
            again = [result.get(timeout=SOON) for result in waiting]
            eventually(lambda: served_here(second.worker) >= left)  # it is logged after the result is stored
            runs += [len(second.worker.noted(f"{key}-started")), served_here(second.worker)]
        yield Warm(served, opened, still_in_flight, code, left, values, again, runs)


def served_here(worker: Worker) -> int:
    """Return how many of the tasks that had to wait were served by a worker."""
    return len(re.findall(r"Task operations\.double\[\S+\] succeeded", worker.log))


@dataclass
class Warm:
    """What was seen at a warm shutdown with tasks in flight and others that had no slot yet."""

    served: Served
    opened: list[tuple[int, int]]
    still_in_flight: bool
    code: int
    left: int
    values: list[int]
    again: list[int]
    runs: list[int]


def test_an_asynchronous_singleton_is_there_before_the_first_task(warm: Warm) -> None:
    ((pid, _),) = warm.opened
    assert pid == warm.served.worker.process.pid


def test_an_asynchronous_singleton_is_closed_on_its_loop_at_a_warm_shutdown(warm: Warm) -> None:
    assert pairs(warm.served.worker, "closed") == warm.opened


def test_a_warm_shutdown_waits_for_what_is_in_flight(warm: Warm) -> None:
    assert warm.still_in_flight
    assert warm.code == 0
    assert warm.values == list(range(IN_FLIGHT))


def test_a_warm_shutdown_acknowledges_what_ended_and_gives_back_what_had_not_begun(warm: Warm) -> None:
    held, doubled, held_again, doubled_later = warm.runs
    assert (held, held_again) == (IN_FLIGHT, 0)
    # A task may get a slot in the moment before the pool closes.
    assert warm.left == doubled_later == NOT_STARTED - doubled > 0
    assert warm.again == [2 * number for number in range(NOT_STARTED)]


def test_a_warm_shutdown_logs_no_error(warm: Warm) -> None:
    log = warm.served.worker.log.rpartition("Warm shutdown")[2]
    assert "Traceback" not in log
    assert "ERROR" not in log
    assert "left behind" not in log


@pytest.fixture(scope="module", params=matrix(*ENGINES))
def cold(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Cold]:
    pool, transport = request.param
    with start_worker("operations_worker", pool, transport, concurrency=40) as served:
        worker, client, key = served.worker, OperationsClient(served.app), uuid4().hex
        late = [client.hold_late(key, number) for number in range(5)]
        stubborn = [client.swallow(key, number) for number in range(5, 10)]
        early = client.hold(key, 10)
        frozen = served.app.send_task("operations.freeze", (key, 300))
        becomes(lambda: len(worker.noted(f"{key}-started")), 12)
        begun = monotonic()
        code = end(worker, signal.SIGQUIT)
        seconds = monotonic() - begun
        worker.note(key)
        environment = {NOTES_VARIABLE: str(worker.notes)}
        with start_worker("operations_worker", pool, transport, site=served.site, environment=environment):
            again = [result.get(timeout=SOON) for result in [*late, *stubborn]]
            runs = [int(line) for line in worker.noted(f"{key}-started") if line.isdecimal()]
            yield Cold(served, code, seconds, again, sorted(runs), {early.state, frozen.state})


@dataclass
class Cold:
    """What was seen at a cold shutdown with tasks that do not let themselves be ended."""

    served: Served
    code: int
    seconds: float
    again: list[int]
    runs: list[int]
    states_of_early: set[str]


def test_a_cold_shutdown_is_bounded_whatever_the_tasks_do(cold: Cold) -> None:
    assert cold.seconds < COLD_SECONDS
    assert cold.code == 0
    assert "Cold shutdown" in cold.served.worker.log


def test_late_acknowledged_tasks_are_delivered_again_after_a_cold_shutdown(cold: Cold) -> None:
    assert cold.again == list(range(10))
    assert cold.runs == sorted([*range(10), *range(11)])


def test_early_acknowledged_tasks_are_not_said_to_have_succeeded_after_a_cold_shutdown(cold: Cold) -> None:
    assert cold.states_of_early <= {states.STARTED, states.RETRY, states.REVOKED, states.FAILURE}


@pytest.mark.redis
def test_each_child_process_has_an_asynchronous_singleton_of_its_own(start_worker: StartWorker) -> None:
    with start_worker("operations_worker", "processes", "redis") as served:
        worker = served.worker
        becomes(lambda: len(worker.noted("opened")), 2)
        opened = pairs(worker, "opened")
        assert worker.process.pid not in dict(opened)
        assert len(dict(opened)) == 2
        client = OperationsClient(served.app)
        seen = {(line.pid, line.loop) for line in [client.line().get(timeout=SOON) for _ in range(6)]}
        assert seen <= set(opened)
        assert end(worker, signal.SIGTERM) == 0
        assert sorted(pairs(worker, "closed")) == sorted(opened)
        assert sorted(pairs(worker, "opened")) == sorted(opened)


@pytest.mark.redis
def test_a_worker_whose_component_does_not_start_ends_and_names_it(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    site = site_of(request, "redis", tmp_path)
    worker = Worker("operations_worker", "async", site, tmp_path, environment={BROKEN_VARIABLE: "yes"})
    try:
        assert worker.process.wait(60) == EX_FAILURE
        assert "ready." not in worker.log
        assert "the component Fragile could not be started on the worker's event loop" in worker.log
        assert "OSError: no route to the host" in worker.log
        # What had started before it is closed.
        assert pairs(worker, "closed") == pairs(worker, "opened") != []
        assert "closing the worker's components failed" not in worker.log
        assert "RuntimeWarning" not in worker.log
    finally:
        worker.stop()
        site.remove()
