"""Which pool a worker takes, and how many tasks at once, when its user has said nothing or something."""

import logging
from collections.abc import Callable
from typing import Any

import pytest
from billiard import cpu_count
from celery import Celery, concurrency, signals
from pico_ioc import PicoContainer, component

from pico_celery import ExecutionError, SettingsError, create_app, task
from pico_celery.app.settings import CelerySettings
from pico_celery.worker.engine_options import EngineOptions, loop_factory
from pico_celery.worker.loop import LoopService
from pico_celery.worker.pool import TaskPool

pytestmark = pytest.mark.filterwarnings("ignore:.*defaults.*:pico_celery.UndeclaredTaskWarning")


@component
class DefaultsWorker:
    @task("defaults.limited", soft_time_limit=3)
    async def limited(self) -> None: ...


@pytest.fixture
def app_with(boot: Callable[..., PicoContainer]) -> Callable[..., Celery]:
    return lambda **settings: boot(DefaultsWorker, settings=settings).get(Celery)


class Starting:
    """A worker before it has a pool."""

    app: Celery
    pool_cls: Any
    concurrency: int
    prefetch_multiplier: int
    time_limit = None
    soft_time_limit = None


def starting(app: Celery, pool: str) -> Any:
    """Announce a worker as Celery does, before it builds its pool."""
    conf: Any = app.conf
    worker = Starting()
    worker.app = app
    worker.pool_cls = concurrency.get_implementation(pool)
    worker.concurrency = conf.worker_concurrency
    worker.prefetch_multiplier = conf.worker_prefetch_multiplier
    signals.worker_init.send(sender=worker)
    return worker


def test_the_librarys_pool_is_the_default(app_with: Callable[..., Celery]) -> None:
    app = app_with()
    worker = starting(app, app.conf.worker_pool)
    assert worker.pool_cls is TaskPool
    assert (worker.concurrency, worker.prefetch_multiplier) == (200, 1)


def test_what_the_user_set_stays(app_with: Callable[..., Celery]) -> None:
    app = app_with(worker_pool="threads", worker_concurrency=7, worker_prefetch_multiplier=3)
    worker = starting(app, app.conf.worker_pool)
    assert (app.conf.worker_pool, worker.concurrency, worker.prefetch_multiplier) == ("threads", 7, 3)


@pytest.mark.parametrize("pool", ["prefork", "processes", "threads", "solo"])
def test_another_pool_has_celerys_defaults_not_those_of_this_library(
    pool: str, app_with: Callable[..., Celery]
) -> None:
    worker = starting(app_with(), pool)
    assert (worker.concurrency, worker.prefetch_multiplier) == (cpu_count(), 4)


def test_no_thread_changes_the_brokers_channel_behind_the_workers_back(
    app_with: Callable[..., Celery], caplog: pytest.LogCaptureFixture
) -> None:
    app = app_with()
    starting(app, app.conf.worker_pool)
    assert app.conf.worker_enable_prefetch_count_reduction is False
    with caplog.at_level(logging.WARNING, "pico_celery"):
        app = app_with(worker_enable_prefetch_count_reduction=True)
        starting(app, app.conf.worker_pool)
    assert app.conf.worker_enable_prefetch_count_reduction is True
    assert "may hang a worker" in caplog.text


def test_an_application_without_asynchronous_tasks_is_left_alone() -> None:
    app = create_app(CelerySettings(broker_url="memory://", backend_url=None))
    assert app.conf.worker_pool == "prefork"
    assert app.conf.worker_concurrency is None


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_pool_without_limits_says_so_at_start(
    pool: str, app_with: Callable[..., Celery], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "pico_celery"):
        starting(app_with(), pool)
    assert "enforces no time limits" in caplog.text
    assert "defaults.limited" in caplog.text
    assert "-P processes" in caplog.text


def test_engine_options_come_from_the_settings(app_with: Callable[..., Celery]) -> None:
    app = app_with(worker_tracer_threads="4", worker_cancel_grace_seconds="0.5", worker_event_loop="asyncio")
    assert EngineOptions.of(app) == EngineOptions(tracer_threads=4, cancel_grace_seconds=0.5, event_loop="asyncio")
    assert EngineOptions.of(None) == EngineOptions()


def test_a_misspelt_engine_setting_is_refused_with_the_right_one() -> None:
    with pytest.raises(SettingsError, match="worker_tracer_threads"):
        CelerySettings.of({"worker_tracers_threads": 4})
    with pytest.raises(SettingsError, match="worker_sync_threads"):
        CelerySettings.of({"worker_sync_threads": "many"})


def test_a_number_that_is_too_small_is_refused_with_the_default() -> None:
    with pytest.raises(SettingsError) as caught:
        CelerySettings.of({"worker_tracer_threads": 0, "worker_cancel_grace_seconds": -1})
    assert [fault.path for fault in caught.value.faults] == ["worker_cancel_grace_seconds", "worker_tracer_threads"]
    assert "expected at least 1, got 0; leave it out for 16" in str(caught.value)


def test_an_unknown_event_loop_is_refused_with_a_remedy() -> None:
    with pytest.raises(ExecutionError, match=r"give package\.module:function"):
        loop_factory("nowhere.at_all:make")
    loop = loop_factory("asyncio:new_event_loop")()
    loop.close()
    with pytest.raises(ExecutionError, match="which is not an event loop"):
        LoopService(EngineOptions(event_loop="os:getcwd"))
