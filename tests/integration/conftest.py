"""Workers for the integration tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from celery import Celery

from pico_celery import CeleryClient, CelerySettings, create_app
from tests.integration.apps import plain
from tests.integration.apps.clients import ProbeClient, ShopClient, VaultClient
from tests.support.processes import Worker
from tests.support.sites import Site, close_app

Client = TypeVar("Client", bound=CeleryClient)
StartWorker = Callable[..., AbstractContextManager["Served"]]
ShareWorker = Callable[[str, str, str], AbstractContextManager["Served"]]

TRANSPORTS = {
    "redis": ("redis_url", "redis_url"),
    "rabbitmq": ("rabbitmq_url", "redis_url"),
    "rabbitmq-rpc": ("rabbitmq_url", "rpc"),
}
MARKS = {
    "redis": [pytest.mark.redis],
    "rabbitmq": [pytest.mark.rabbitmq, pytest.mark.redis],
    "rabbitmq-rpc": [pytest.mark.rabbitmq],
    "embedded": [pytest.mark.redis],
}
# Every pool on every kind of broker; every backend on every kind of pool would only take longer.
MATRIX = [
    ("async", "redis"),
    ("processes", "redis"),
    ("threads", "redis"),
    ("solo", "redis"),
    ("async", "rabbitmq"),
    ("processes", "rabbitmq"),
    ("async", "rabbitmq-rpc"),
    ("threads", "rabbitmq-rpc"),
    ("solo", "rabbitmq-rpc"),
]


# What a shared worker of the library's own pool runs at once; one with another pool runs two.
SLOTS = {"canvas_worker": 8, "contract_worker": 50, "engine_worker": 60, "errors_worker": 8, "time_worker": 2}


def matrix(*pairs: tuple[str, str], app: str = "") -> list[Any]:
    """Return pairs of pool and transport as parameters with marks; their ids name the application of a shared worker."""
    return [pytest.param(pair, id=_id(app, pair), marks=MARKS[pair[1]]) for pair in pairs]


def _id(app: str, pair: tuple[str, str]) -> str:
    return "-".join((app, *pair) if app else pair)


# The library's own pool on each kind of broker, and the one with processes, are in the usual run; the other combinations,
# which share nothing with them that these do not, take half of its time and are run with the slow tests.
RARE = {
    ("processes", "rabbitmq"),
    ("threads", "redis"),
    ("threads", "rabbitmq"),
    ("solo", "redis"),
    ("threads", "rabbitmq-rpc"),
    ("solo", "rabbitmq-rpc"),
}


def usual(*pairs: tuple[str, str], app: str = "") -> list[Any]:
    """Return pairs of pool and transport as parameters, the rare ones among them for the slow tests."""
    return [
        pytest.param(pair, id=_id(app, pair), marks=[*MARKS[pair[1]], *([pytest.mark.slow] if pair in RARE else [])])
        for pair in pairs
    ]


class Served:
    """A running worker, and the applications that send to it."""

    def __init__(self, worker: Worker, transport: str) -> None:
        self.worker = worker
        self.site = worker.site
        self.transport = transport
        self.app: Celery = create_app(CelerySettings.of(self.site.settings()))
        self.shop = ShopClient(self.app)
        self.probe = ProbeClient(self.app)
        self.vault = VaultClient(self.app)
        self._plain: Celery | None = None

    @property
    def plain(self) -> Celery:
        """A plain Celery application with the same broker."""
        if self._plain is None:
            self._plain = plain.build(self.site.settings())
        return self._plain

    @property
    def keeps_results(self) -> bool:
        """Whether any process may read a result, again and again."""
        return self.transport != "rabbitmq-rpc"

    def close(self) -> None:
        for app in (self.app, self._plain):
            if app is not None:
                close_app(app)


@pytest.fixture(scope="session")
def start_worker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> StartWorker:
    """Give a function that starts a worker and a context in which it runs."""

    @contextmanager
    def start(module: str, pool: str, transport: str, **options: Any) -> Iterator[Served]:
        folder: Path = tmp_path_factory.mktemp(f"{module}-{pool}")
        site = options.pop("site", None) or site_of(request, transport, folder)
        with serve(Worker(module, pool, site, folder, **options), transport) as served:
            yield served

    return start


class SharedWorkers:
    """Workers that the tests of several modules use, one after the other: a start takes more than most tests.

    A test that harms its worker, or counts all that it has done, starts one of its own with ``start_worker``.
    """

    def __init__(self, start: StartWorker) -> None:
        self._start = start
        self._key: tuple[str, str, str] | None = None
        self._running = ExitStack()
        self._worker: Worker | None = None

    @contextmanager
    def share(self, module: str, pool: str, transport: str) -> Iterator[Served]:
        """Give a worker that runs already, or a new one in place of it; the applications that call it are new."""
        key = (module, pool, transport)
        if self._worker is None or self._key != key:
            self.close()
            slots = SLOTS[module] if pool == "async" else 2
            started = self._running.enter_context(self._start(module, pool, transport, concurrency=slots))
            self._key, self._worker = key, started.worker
        worker = self._worker
        served = Served(worker, transport)
        try:
            yield served
        finally:
            served.close()
            if not worker.alive:
                self._worker = None
                pytest.fail(f"a test has ended the worker that it shares with others:\n{worker.log}")

    def close(self) -> None:
        self._worker = None
        self._running.close()


@pytest.fixture(scope="session")
def share_worker(start_worker: StartWorker) -> Iterator[ShareWorker]:
    """Give a function that returns a context with a worker that other modules have used before."""
    workers = SharedWorkers(start_worker)
    yield workers.share
    workers.close()


@contextmanager
def serve(worker: Worker, transport: str) -> Iterator[Served]:
    """Give a worker that has been started, when it is ready; stop it, and remove what it left, at the end."""
    try:
        worker.wait_until_ready()
        served = Served(worker, transport)
        try:
            yield served
        finally:
            served.close()
    finally:
        worker.stop()
        if transport != "embedded":
            worker.site.remove()


def site_of(request: pytest.FixtureRequest, transport: str, folder: Path) -> Site:
    """Return a new site on the servers of a transport."""
    if transport == "embedded":
        return Site(broker_url=f"embedded://{folder / 'broker'}")
    broker, backend = TRANSPORTS[transport]
    backend_url = "rpc://" if backend == "rpc" else request.getfixturevalue(backend)
    return Site(broker_url=request.getfixturevalue(broker), backend_url=backend_url)
