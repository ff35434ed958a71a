"""A worker whose surroundings fail: killed, cut off, slowed down, or without what it prefers to have."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import states
from celery.exceptions import TaskRevokedError

from pico_celery import CelerySettings, create_app
from tests.integration.apps.operations_contracts import OperationsClient
from tests.integration.conftest import Served, StartWorker, matrix, site_of
from tests.support.processes import NOTES_VARIABLE, ROOT, Worker
from tests.support.proxy import proxied
from tests.support.sites import Site, close_app
from tests.support.waiting import becomes, eventually

pytestmark = pytest.mark.slow
SOON = 60
APP = "tests.integration.apps.operations_worker:celery_app"
ENGINES = [("async", "redis"), ("async", "rabbitmq")]
IN_FLIGHT = 40
VISIBILITY_SECONDS = 1
SLOW_SECONDS = 0.01
P99_SECONDS = 0.1


def started(served: Served, key: str, count: int) -> bool:
    return eventually(lambda: len(served.worker.noted(f"{key}-started")) >= count, SOON)


def stats(served: Served) -> dict[str, Any]:
    inspect: Any = served.app.control.inspect(destination=[served.worker.node], timeout=SOON)
    answer: dict[str, Any] = inspect.stats()[served.worker.node]
    return answer


def tcp(url: str) -> str:
    """Return a URL to which a proxy can lead."""
    if "+socket" in url:
        pytest.skip("the proxy needs a server with a TCP port")
    return url


def quick_redelivery(site: Site) -> dict[str, str]:
    """Return settings with which a worker soon takes over what a lost one held."""
    if site.transport != "redis":
        return {}
    options = site.settings()["broker_transport_options"] | {
        "visibility_timeout": VISIBILITY_SECONDS,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    }
    return {"CELERY_BROKER_TRANSPORT_OPTIONS": json.dumps(options)}


@pytest.mark.parametrize("pair", matrix(*ENGINES))
def test_what_a_killed_worker_held_is_delivered_again_and_nothing_is_lost(
    start_worker: StartWorker, pair: tuple[str, str]
) -> None:
    pool, transport = pair
    with start_worker("operations_worker", pool, transport, concurrency=IN_FLIGHT) as served:
        worker, client, key = served.worker, OperationsClient(served.app), uuid4().hex
        results = [client.hold_late(key, number) for number in range(IN_FLIGHT + 10)]
        assert started(served, key, IN_FLIGHT)
        worker.process.kill()
        worker.process.wait(SOON)
        worker.note(key)
        environment = {NOTES_VARIABLE: str(worker.notes), **quick_redelivery(served.site)}
        with start_worker("operations_worker", pool, transport, site=served.site, environment=environment):
            assert [result.get(timeout=SOON) for result in results] == list(range(IN_FLIGHT + 10))
            becomes(served.site.waiting_messages, 0)
        runs = [int(line) for line in worker.noted(f"{key}-started")]
        assert set(runs) == set(range(IN_FLIGHT + 10))
        assert len(runs) >= 2 * IN_FLIGHT + 10


@pytest.mark.parametrize("pair", matrix(*ENGINES))
def test_all_tasks_finish_when_every_connection_of_the_worker_is_cut(
    request: pytest.FixtureRequest, start_worker: StartWorker, tmp_path: Path, pair: tuple[str, str]
) -> None:
    pool, transport = pair
    site = site_of(request, transport, tmp_path)
    with contextlib.ExitStack() as stack:
        broker, broker_url = stack.enter_context(proxied(tcp(site.broker_url)))
        backend, backend_url = stack.enter_context(proxied(tcp(site.backend_url)))
        environment = {"CELERY_BROKER_URL": broker_url, "CELERY_RESULT_BACKEND": backend_url}
        options: Any = {"site": site, "concurrency": 2 * IN_FLIGHT, "environment": environment}
        served = stack.enter_context(start_worker("operations_worker", pool, transport, **options))
        client, key = OperationsClient(served.app), uuid4().hex
        late = [client.hold_late(key, number) for number in range(IN_FLIGHT // 2)]
        early = [client.hold(key, number) for number in range(IN_FLIGHT // 2, IN_FLIGHT)]
        assert started(served, key, IN_FLIGHT)
        before = broker.accepted
        assert broker.cut() > 0
        assert backend.cut() > 0
        assert eventually(lambda: broker.accepted > before, SOON)
        served.worker.note(key)
        assert [result.get(timeout=SOON) for result in [*late, *early]] == list(range(IN_FLIGHT))
        assert client.double(21).get(timeout=SOON) == 42
        # Those acknowledged late may run twice, as in Celery; none is left over, and no slot is lost.
        assert eventually(lambda: stats(served)["pool"]["running"] == 0)
        becomes(served.site.waiting_messages, 0)
        # Only the worker's main thread may write to the broker; two that do break the new connection too.
        assert served.worker.log.count("Connection to broker lost") == 1
        assert "reporting operations." not in served.worker.log


@pytest.mark.redis
def test_a_slow_result_backend_does_not_hold_the_loop(
    request: pytest.FixtureRequest, start_worker: StartWorker, tmp_path: Path
) -> None:
    site = site_of(request, "redis", tmp_path)
    with contextlib.ExitStack() as stack:
        proxy, backend_url = stack.enter_context(proxied(tcp(site.backend_url), delay_seconds=SLOW_SECONDS))
        environment = {"CELERY_RESULT_BACKEND": backend_url, "CELERY_WORKER_PREFETCH_MULTIPLIER": "1"}
        options: Any = {"site": site, "concurrency": 400, "environment": environment}
        served = stack.enter_context(start_worker("operations_worker", "async", "redis", **options))
        client, key = OperationsClient(served.app), uuid4().hex
        lag = client.lag(key)
        assert started(served, key, 1)
        before = proxy.answers
        results = [client.nap(0.1) for _ in range(300)]
        for result in results:
            result.get(timeout=SOON)
        served.worker.note(key)
        measured = lag.get(timeout=SOON)
        assert proxy.answers - before >= len(results), "the results did not go through the proxy"
        assert measured.samples > 50
        assert measured.p99_seconds < P99_SECONDS, measured


@pytest.fixture(scope="module")
def without_greenlet(start_worker: StartWorker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("no-greenlet")
    (folder / "greenlet").mkdir()
    (folder / "greenlet" / "__init__.py").write_text("raise ImportError('greenlet is not there')\n")
    paths = [str(folder), str(ROOT), str(ROOT / "contracts"), os.environ.get("PYTHONPATH", "")]
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    options: Any = {"concurrency": 100, "environment": environment}
    with start_worker("operations_worker", "async", "redis", **options) as served:
        yield served


@pytest.mark.redis
class TestWithoutGreenlet:
    """The same engine, with a thread for each task's tracer."""

    def test_the_worker_says_what_is_missing(self, without_greenlet: Served) -> None:
        assert (
            "greenlet is not installed: every task in flight takes a thread of its own" in without_greenlet.worker.log
        )

    def test_tasks_succeed(self, without_greenlet: Served) -> None:
        client = OperationsClient(without_greenlet.app)
        assert [client.double(number).get(timeout=SOON) for number in range(5)] == [0, 2, 4, 6, 8]

    def test_a_soft_time_limit_is_caught_in_the_body(self, without_greenlet: Served) -> None:
        assert OperationsClient(without_greenlet.app).overrun().get(timeout=SOON) == "caught"

    def test_a_running_task_is_revoked(self, without_greenlet: Served) -> None:
        client, key = OperationsClient(without_greenlet.app), uuid4().hex
        result = client.hold(key, 1)
        assert started(without_greenlet, key, 1)
        result.revoke(terminate=True)
        with pytest.raises(TaskRevokedError):
            result.get(timeout=SOON)
        state: str = result.state
        assert state == states.REVOKED

    def test_50_tasks_are_in_flight_at_once(self, without_greenlet: Served) -> None:
        client, key = OperationsClient(without_greenlet.app), uuid4().hex
        results = [client.hold(key, number) for number in range(50)]
        assert started(without_greenlet, key, 50)
        assert stats(without_greenlet)["pool"]["running"] == 50
        without_greenlet.worker.note(key)
        assert [result.get(timeout=SOON) for result in results] == list(range(50))

    def test_a_warm_shutdown_waits_for_what_is_in_flight(self, without_greenlet: Served) -> None:
        worker, client, key = without_greenlet.worker, OperationsClient(without_greenlet.app), uuid4().hex
        results = [client.hold_late(key, number) for number in range(10)]
        assert started(without_greenlet, key, 10)
        worker.process.send_signal(signal.SIGTERM)
        worker.wait_for_log("Worker: Stopping Pool")
        worker.note(key)
        assert worker.process.wait(SOON) == 0
        assert [result.get(timeout=SOON) for result in results] == list(range(10))
        assert without_greenlet.site.waiting_messages() == 0
        assert len(worker.noted("closed")) == 1


@pytest.mark.redis
@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
def test_the_event_loop_is_the_one_that_is_asked_for(start_worker: StartWorker, name: str) -> None:
    if name == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    environment = {"CELERY_WORKER_EVENT_LOOP": name}
    with start_worker("operations_worker", "async", "redis", environment=environment) as served:
        assert stats(served)["pool"]["event-loop"].partition(".")[0] == name
        client = OperationsClient(served.app)
        assert [client.double(number).get(timeout=SOON) for number in range(5)] == [0, 2, 4, 6, 8]
        assert client.overrun().get(timeout=SOON) == "caught"
        assert served.worker.stop() == 0
        assert len(served.worker.noted("closed")) == 1


@pytest.mark.redis
@pytest.mark.parametrize(
    ("name", "reason"),
    [("trio", "give package.module:function"), ("no_such_package.loops:make", "give package.module:function")],
)
def test_an_unknown_event_loop_is_refused(
    request: pytest.FixtureRequest, tmp_path: Path, name: str, reason: str
) -> None:
    site = site_of(request, "redis", tmp_path)
    worker = Worker("operations_worker", "async", site, tmp_path, environment={"CELERY_WORKER_EVENT_LOOP": name})
    try:
        assert worker.process.wait(SOON) != 0
        assert f"worker_event_loop={name!r}" in worker.log
        assert reason in worker.log
        assert "ready." not in worker.log
    finally:
        worker.stop()
        site.remove()


class Cluster:
    """Two nodes under ``celery multi``, with their files in one folder."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site, self.folder = site, folder
        self.names = [f"{site.prefix}-{number}" for number in (1, 2)]
        self.nodes = [f"{name}@test" for name in self.names]
        self.notes = folder / "notes"
        self.notes.mkdir()

    def run(self, command: str, *options: str) -> None:
        """Run a command of ``celery multi``."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CELERY_", "PYTEST_"))}
        paths = os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "contracts"), own.get("PYTHONPATH")]))
        files = [f"--pidfile={self.folder}/%n.pid", f"--logfile={self.folder}/%n.log"]
        done = subprocess.run(
            [sys.executable, "-m", "celery", "multi", command, *self.nodes, *files, *options],
            cwd=self.folder,
            env={**own, **self.site.environment(), "PYTHONPATH": paths, NOTES_VARIABLE: str(self.notes)},
            capture_output=True,
            text=True,
            timeout=SOON,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pids(self) -> list[int]:
        return [int(file.read_text()) for file in sorted(self.folder.glob("*.pid"))]


@pytest.fixture
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(site_of(request, "redis", tmp_path), tmp_path)
    try:
        yield made
    finally:
        for pid in made.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        made.site.remove()


@pytest.mark.redis
def test_two_nodes_of_celery_multi_share_the_work(cluster: Cluster) -> None:
    app = create_app(CelerySettings.of(cluster.site.settings()))
    try:
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        cluster.run("start", "-A", APP, "-c", "10", "-l", "INFO", *quiet)
        assert eventually(lambda: all("ready." in cluster.log(name) for name in cluster.names), SOON)
        assert len(set(cluster.pids())) == 2
        client, key = OperationsClient(app), uuid4().hex
        # Late acknowledgement: a node that has 10 tasks in flight prefetches no more.
        results = [client.hold_late(key, number) for number in range(20)]
        note = cluster.notes / f"{key}-started"
        assert eventually(lambda: note.exists() and len(note.read_text().splitlines()) == 20, SOON)
        inspect: Any = app.control.inspect(destination=cluster.nodes, timeout=SOON)
        assert {node: len(active) for node, active in inspect.active().items()} == dict.fromkeys(cluster.nodes, 10)
        (cluster.notes / key).touch()
        assert [result.get(timeout=SOON) for result in results] == list(range(20))
        cluster.run("stopwait", "-A", APP)
        assert eventually(lambda: not cluster.pids())
        assert len((cluster.notes / "closed").read_text().splitlines()) == 2
    finally:
        close_app(app)
