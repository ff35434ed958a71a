"""A worker in operation: which pool it has, what it tells of itself, how it is grown and shrunk."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from billiard import cpu_count
from celery import chord, group
from celery.canvas import Signature

from tests.integration.apps.operations_contracts import OperationsClient
from tests.integration.conftest import Served, matrix, serve, site_of
from tests.support.processes import NOTES_VARIABLE, ROOT, CeleryProcess, Worker
from tests.support.sites import Site
from tests.support.waiting import becomes, eventually

SOON = 30
APP = "tests.integration.apps.operations_worker:celery_app"
POOL = "pico_celery.worker.pool.task_pool:TaskPool"
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat")
CHOSEN_BY_SITES = "CELERY_WORKER_PREFETCH_MULTIPLIER"


class CommandLine(Worker):
    """A worker with no other options than those given, and no setting of how it works."""

    def __init__(self, site: Site, folder: Path, options: Sequence[str], environment: Mapping[str, str]) -> None:
        self.module, self.pool, self.site = "operations_worker", "given", site
        self.node = f"{site.prefix}@test"
        self.notes = folder / "notes"
        self.notes.mkdir()
        variables = {**site.environment(), NOTES_VARIABLE: str(self.notes)}
        del variables[CHOSEN_BY_SITES]
        arguments = ["-A", APP, "worker", "-n", self.node, "-l", "INFO", *QUIET, *options]
        CeleryProcess.__init__(self, arguments, folder, {**variables, **environment})


@contextmanager
def running(
    request: pytest.FixtureRequest, folder: Path, transport: str, *options: str, **environment: str
) -> Iterator[Served]:
    """Run a worker from its command line."""
    site = site_of(request, transport, folder)
    with serve(CommandLine(site, folder, options, environment), transport) as served:
        yield served


@pytest.fixture(scope="module", params=matrix(("async", "redis"), ("async", "rabbitmq")))
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with running(request, tmp_path_factory.mktemp("plain"), request.param[1]) as started:
        yield started


@pytest.fixture
def client(served: Served) -> OperationsClient:
    return OperationsClient(served.app)


def asked(served: Served, command: str) -> Any:
    """Return what the worker answers to a command of ``celery inspect``."""
    node = served.worker.node
    inspect: Any = served.app.control.inspect(destination=[node], timeout=SOON)
    answers = getattr(inspect, command)()
    assert answers, f"no answer to inspect {command}"
    return answers[node]


def pool_of(served: Served) -> dict[str, Any]:
    pool: dict[str, Any] = asked(served, "stats")["pool"]
    return pool


def started(served: Served, key: str, count: int) -> bool:
    return eventually(lambda: len(served.worker.noted(f"{key}-started")) >= count)


def task(served: Served, name: str, *args: Any) -> Signature[Any]:
    return served.app.signature(name, args=args)


def test_a_plain_worker_has_the_pool_of_the_library_with_200_tasks_in_flight(served: Served) -> None:
    stats = asked(served, "stats")
    assert stats["pool"]["implementation"] == POOL
    assert stats["pool"]["max-concurrency"] == 200
    assert stats["prefetch_count"] == 200


def test_inspect_answers_while_tasks_run_and_names_them(served: Served, client: OperationsClient) -> None:
    key = uuid4().hex
    results = [client.hold(key, number) for number in range(3)]
    assert started(served, key, 3)
    active = asked(served, "active")
    assert {one["id"] for one in active} == {result.id for result in results}
    assert {one["name"] for one in active} == {"operations.hold"}
    assert {one["worker_pid"] for one in active} == {served.worker.process.pid}
    assert asked(served, "ping") == {"ok": "pong"}
    assert pool_of(served)["running"] == 3
    served.worker.note(key)
    assert [result.get(timeout=SOON) for result in results] == [0, 1, 2]
    assert eventually(lambda: not asked(served, "active"))
    assert pool_of(served)["running"] == 0


def test_inspect_stats_counts_what_was_served(served: Served, client: OperationsClient) -> None:
    before = asked(served, "stats")["total"].get("operations.double", 0)
    assert [client.double(number).get(timeout=SOON) for number in range(3)] == [0, 2, 4]
    assert asked(served, "stats")["total"]["operations.double"] == before + 3


def test_a_pool_is_shrunk_and_grown_while_it_works(served: Served, client: OperationsClient) -> None:
    key, node = uuid4().hex, served.worker.node
    served.app.control.pool_shrink(198, destination=[node], reply=True, timeout=SOON)
    assert pool_of(served)["max-concurrency"] == 2
    results = [client.hold(key, number) for number in range(5)]
    assert started(served, key, 2)
    # Two run and are acknowledged; two more are prefetched, and wait for a slot.
    becomes(lambda: len(asked(served, "reserved")), 2)
    assert len(served.worker.noted(f"{key}-started")) == 2
    assert {one["id"] for one in asked(served, "active")}.isdisjoint(one["id"] for one in asked(served, "reserved"))
    served.app.control.pool_grow(198, destination=[node], reply=True, timeout=SOON)
    assert started(served, key, 5)
    assert asked(served, "reserved") == []
    served.worker.note(key)
    assert sorted(result.get(timeout=SOON) for result in results) == [0, 1, 2, 3, 4]
    assert pool_of(served)["max-concurrency"] == 200
    assert asked(served, "stats")["prefetch_count"] == 200


def test_a_pool_is_not_shrunk_below_nothing(served: Served) -> None:
    node = served.worker.node
    control: Any = served.app.control  # celery-types takes it for one that never replies
    (answer,) = control.pool_shrink(201, destination=[node], reply=True, timeout=SOON)
    assert "cannot shrink a pool of 200 by 201" in str(answer[node])
    assert pool_of(served)["max-concurrency"] == 200


def test_blocking_synchronous_tasks_do_not_delay_asynchronous_ones(served: Served, client: OperationsClient) -> None:
    key = uuid4().hex
    blocking = [task(served, "operations.block", key, number).apply_async() for number in range(4)]
    assert started(served, key, 4)
    assert [client.double(number).get(timeout=SOON) for number in range(5)] == [0, 2, 4, 6, 8]
    assert not any(result.ready() for result in blocking)
    assert pool_of(served)["sync-threads"] >= 4
    served.worker.note(key)
    assert [result.get(timeout=SOON) for result in blocking] == [0, 1, 2, 3]


def test_synchronous_and_asynchronous_tasks_are_parts_of_one_workflow(served: Served) -> None:
    doubled = task(served, "operations.add", 1, 2) | task(served, "operations.double")
    assert doubled.apply_async().get(timeout=SOON) == 6
    header = group([task(served, "operations.double", 1), task(served, "operations.add", 2, 3)])
    assert chord(header)(task(served, "operations.total")).get(timeout=SOON) == 7


def test_the_tasks_of_celery_itself_are_served(served: Served) -> None:
    header = group(task(served, "operations.double", number) for number in range(3)).apply_async()
    backend: Any = served.app.backend
    body = task(served, "operations.total").set(task_id=uuid4().hex)
    backend.fallback_chord_unlock(header, body, countdown=0.1)
    assert served.app.AsyncResult(body.options["task_id"]).get(timeout=SOON) == 6
    mapped = served.app.signature("celery.map", kwargs={"task": task(served, "operations.double"), "it": [1, 2, 3]})
    assert mapped.apply_async().get(timeout=SOON) == [2, 4, 6]
    assert served.app.send_task("celery.backend_cleanup").get(timeout=SOON) is None


def test_a_synchronous_task_with_a_time_limit_is_warned_of_at_start(served: Served) -> None:
    before_ready = served.worker.log.partition("ready.")[0]
    assert "time limits of synchronous tasks are not enforced" in before_ready
    assert "on threads: operations.block. Make them async def" in before_ready
    assert "-P processes" in before_ready
    assert "is not followed" not in before_ready


@pytest.mark.redis
def test_autoscale_grows_and_shrinks_the_pool(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    options = ("--autoscale=20,2", "--max-tasks-per-child=10")
    with running(request, tmp_path, "redis", *options, AUTOSCALE_KEEPALIVE="1") as served:
        assert "max_tasks_per_child=10 is not followed: the pool has no child processes" in served.worker.log
        assert pool_of(served)["max-concurrency"] == 2
        key, client = uuid4().hex, OperationsClient(served.app)
        results = [client.hold(key, number) for number in range(25)]
        assert started(served, key, 20)
        assert pool_of(served)["max-concurrency"] == 20
        assert len(served.worker.noted(f"{key}-started")) == 20
        served.worker.note(key)
        assert sorted(result.get(timeout=SOON) for result in results) == list(range(25))
        assert eventually(lambda: pool_of(served)["max-concurrency"] == 2)
        assert client.double(4).get(timeout=SOON) == 8


@pytest.mark.redis
def test_c_is_the_number_of_tasks_in_flight(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with running(request, tmp_path, "redis", "-c", "7", CELERY_WORKER_PREFETCH_MULTIPLIER="3") as served:
        stats = asked(served, "stats")
        assert (stats["pool"]["implementation"], stats["pool"]["max-concurrency"]) == (POOL, 7)
        assert stats["prefetch_count"] == 21
        key, client = uuid4().hex, OperationsClient(served.app)
        results = [client.hold(key, number) for number in range(10)]
        assert started(served, key, 7)
        becomes(lambda: len(asked(served, "reserved")), 3)
        assert len(served.worker.noted(f"{key}-started")) == 7
        served.worker.note(key)
        assert sorted(result.get(timeout=SOON) for result in results) == list(range(10))


@pytest.mark.redis
@pytest.mark.parametrize(
    ("options", "settings", "implementation", "concurrency", "prefetch"),
    [
        pytest.param(["-P", "processes"], {}, "celery.concurrency.prefork:TaskPool", None, 4, id="P-processes"),
        pytest.param(["-P", "processes", "-c2"], {}, "celery.concurrency.prefork:TaskPool", 2, 4, id="P-processes-c2"),
        pytest.param(["-P", "threads"], {}, "celery.concurrency.thread:TaskPool", None, 4, id="P-threads"),
        pytest.param(["-P", "solo"], {}, "celery.concurrency.solo:TaskPool", 1, 4, id="P-solo"),
        pytest.param(
            [],
            {"WORKER_POOL": "threads", "WORKER_CONCURRENCY": "5", "WORKER_PREFETCH_MULTIPLIER": "3"},
            "celery.concurrency.thread:TaskPool",
            5,
            3,
            id="settings",
        ),
    ],
)
def test_a_pool_that_the_user_chose_works_as_in_celery(  # noqa: PLR0917 - parameters of the test
    request: pytest.FixtureRequest,
    tmp_path: Path,
    options: list[str],
    settings: dict[str, str],
    implementation: str,
    concurrency: int | None,
    prefetch: int,
) -> None:
    environment = {f"CELERY_{name}": value for name, value in settings.items()}
    with running(request, tmp_path, "redis", *options, **environment) as served:
        stats = asked(served, "stats")
        pool = stats["pool"]
        assert pool["implementation"] == implementation
        assert pool.get("max-concurrency", 1) == (concurrency or cpu_count())
        if "processes" in options:
            assert len(pool["processes"]) == pool["max-concurrency"]
        if implementation != "celery.concurrency.solo:TaskPool":
            assert stats["prefetch_count"] == prefetch * pool["max-concurrency"]
        client = OperationsClient(served.app)
        assert [client.double(number).get(timeout=SOON) for number in range(3)] == [0, 2, 4]
        assert task(served, "operations.add", 1, 2).apply_async().get(timeout=SOON) == 3
        enforces_limits = implementation.startswith("celery.concurrency.prefork")
        warnings = [line for line in served.worker.log.splitlines() if "enforces no time limits" in line]
        assert ["operations.overrun" in line for line in warnings] == ([] if enforces_limits else [True])


@pytest.mark.redis
def test_a_pool_of_green_threads_is_refused(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if importlib.util.find_spec("gevent") is None:
        pytest.skip("gevent is not installed")
    site = site_of(request, "redis", tmp_path)
    worker = CommandLine(site, tmp_path, ["-P", "gevent"], {})
    try:
        assert eventually(lambda: not worker.alive)
        assert worker.process.returncode != 0
        assert "-P gevent cannot run async def tasks" in worker.log
    finally:
        worker.stop()


@pytest.mark.parametrize("pool", ["pico_celery.worker.pool:TaskPool", "solo"])
def test_a_worker_inside_another_process_runs_asynchronous_tasks(tmp_path: Path, pool: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CELERY_")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment |= {
        "CELERY_BROKER_URL": "memory://",
        "CELERY_BROKER_TRANSPORT_OPTIONS": '{"polling_interval": 0.02}',
        "CELERY_RESULT_BACKEND": "cache+memory://",
        NOTES_VARIABLE: str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.apps.operations_worker", pool],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str([2 * number for number in range(20)]), "7"]
    assert len((tmp_path / "opened").read_text().splitlines()) == 1
