"""The container's asynchronous singletons: created on the worker's loop, in order, once; closed on it."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from pico_ioc import PicoContainer, cleanup, component, configure, factory, provides

from pico_celery import AsyncResult, CeleryClient, ExecutionError, celery, send_task, task
from pico_celery.containers import asynchronous_singletons, close_container, start_singleton
from pico_celery.worker.lifecycle import start_components, stop_components
from pico_celery.worker.loop import current_loop_service

EVENTS: list[str] = []


@pytest.fixture(autouse=True)
def _no_events() -> None:
    EVENTS.clear()


@component(lazy=True)
class Settings:
    def __init__(self) -> None:
        self.url = ""

    async def __ainit__(self) -> None:
        await asyncio.sleep(0)
        self.url = "db://"
        EVENTS.append("settings")


@component(lazy=True)
class Database:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.loop: asyncio.AbstractEventLoop | None = None

    async def __ainit__(self) -> None:
        self.loop = asyncio.get_running_loop()
        EVENTS.append(f"database {self.settings.url}")

    @configure
    async def warm_up(self) -> None:
        await asyncio.sleep(0)
        EVENTS.append("warm")

    @cleanup
    async def close(self) -> None:
        assert asyncio.get_running_loop() is self.loop
        EVENTS.append("closed")


@component(lazy=True)
class Cache:
    def __init__(self) -> None:
        self.ready = False

    @configure
    async def fill(self) -> None:
        await asyncio.sleep(0)
        self.ready = True


@component
class DatabaseWorker:
    def __init__(self, database: Database, cache: Cache) -> None:
        self.database = database
        self.cache = cache

    @task("startup.url")
    async def url(self) -> str:
        assert self.database.loop is asyncio.get_running_loop()
        return f"{self.database.settings.url} {self.cache.ready}"


@celery
class StartupClient(CeleryClient):
    @send_task("startup.url")
    def url(self) -> AsyncResult[str]:
        raise NotImplementedError


@pytest.fixture
def container(boot: Callable[..., PicoContainer]) -> PicoContainer:
    with pytest.warns(match="startup.url"):
        return boot(Settings, Database, Cache, DatabaseWorker, StartupClient)


def test_asynchronous_singletons_come_after_what_they_depend_on(container: PicoContainer) -> None:
    keys = asynchronous_singletons(container)
    assert set(keys) == {Settings, Database, Cache}
    assert keys.index(Settings) < keys.index(Database)


def test_they_are_created_on_the_loop_once_and_closed_on_it(container: PicoContainer) -> None:
    app = container.get(Celery)
    service = current_loop_service()
    start_components(app, service)
    start_components(app, service)
    assert EVENTS == ["settings", "database db://", "warm"]
    assert container.get(StartupClient).url().get() == "db:// True"
    stop_components(app, 5)
    assert EVENTS == ["settings", "database db://", "warm", "closed"]


def test_the_first_task_creates_them_where_no_pool_did(container: PicoContainer) -> None:
    client = container.get(StartupClient)
    assert [client.url().get() for _ in range(3)] == ["db:// True"] * 3
    assert EVENTS == ["settings", "database db://", "warm"]


def test_a_component_that_does_not_start_is_named_and_tried_again(boot: Callable[..., PicoContainer]) -> None:
    attempts: list[int] = []

    @component(lazy=True)
    class Flaky:
        def __init__(self) -> None:
            self.ready = False

        async def __ainit__(self) -> None:
            attempts.append(1)
            if len(attempts) == 1:
                raise ConnectionError("no route")
            self.ready = True

    @component
    class FlakyWorker:
        def __init__(self, flaky: Flaky) -> None:
            self.flaky = flaky

        @task("startup.flaky")
        async def flaky_one(self) -> bool:
            return self.flaky.ready

    with pytest.warns(match="startup.flaky"):
        container = boot(Flaky, FlakyWorker)
    app = container.get(Celery)
    with pytest.raises(ExecutionError, match=r"Flaky could not be started .* ConnectionError: no route"):
        start_components(app, current_loop_service())
    start_components(app, current_loop_service())
    assert len(attempts) == 2


def test_a_provider_that_is_a_coroutine_is_awaited(boot: Callable[..., PicoContainer]) -> None:
    class Pool:
        def __init__(self, size: int) -> None:
            self.size = size

    @factory
    class Pools:
        @provides(Pool, scope="singleton", lazy=True)
        async def make(self) -> Pool:
            await asyncio.sleep(0)
            return Pool(3)

    container = boot(Pools)
    assert Pool in asynchronous_singletons(container)

    async def start() -> Any:
        await start_singleton(container, Pool)
        return container.get(Pool).size

    assert current_loop_service().run(start()) == 3


def test_each_container_of_a_process_starts_its_own(boot: Callable[..., PicoContainer]) -> None:
    for _ in range(2):
        with pytest.warns(match="startup.url") if not EVENTS else contextlib.nullcontext():
            container = boot(Settings, Database, Cache, DatabaseWorker, StartupClient)
        assert container.get(StartupClient).url().get() == "db:// True"
    assert EVENTS.count("warm") == 2


def test_components_are_closed_before_what_they_depend_on_even_if_one_fails(
    boot: Callable[..., PicoContainer], caplog: pytest.LogCaptureFixture
) -> None:
    @component
    class Base:
        @cleanup
        async def close(self) -> None:
            EVENTS.append("base")

    @component
    class Broken:
        def __init__(self, base: Base) -> None:
            self.base = base

        @cleanup
        def close(self) -> None:
            EVENTS.append("broken")
            raise OSError("already gone")

    @component(lazy=True)
    class Top:
        def __init__(self, broken: Broken) -> None:
            self.broken = broken

        async def __ainit__(self) -> None:
            EVENTS.append("top starts")

        @cleanup
        async def close(self, base: Base) -> None:
            EVENTS.append(f"top {type(base).__name__}")

    container = boot(Base, Broken, Top)
    service = current_loop_service()
    service.run(start_singleton(container, Top))
    service.run(close_container(container))
    service.run(close_container(container))
    assert EVENTS == ["top starts", "top Base", "broken", "base"]
    assert "Broken.close failed" in caplog.text
