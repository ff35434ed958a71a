"""A pytest plugin for Celery's own integration tests: their worker runs on a pool of ours, and tasks of ours.

It is loaded into the suite's own process (``-p``); nothing of Celery's files is edited.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest
from celery import Celery
from celery.app.trace import build_tracer, setup_worker_optimizations

POOL_VARIABLE: Final = "PICO_SUITE_POOL"
TASKS_VARIABLE: Final = "PICO_SUITE_TASKS"
CONCURRENCY_VARIABLE: Final = "PICO_SUITE_CONCURRENCY"
REPORT_VARIABLE: Final = "PICO_SUITE_REPORT"
# Which of Celery's fixtures get the asynchronous tasks: the worker's application, or also that of each test's client.
APPLICATIONS: Final = {
    "sync": (),
    "async": ("celery_session_app",),
    "both": ("celery_session_app", "celery_app"),
}
_containers: list[Any] = []


class Replaced:
    """Fixtures that take the place of those of Celery's conftest."""

    @staticmethod
    @pytest.fixture(scope="session")
    def celery_worker_pool() -> str:
        """The pool of the suite's one worker."""
        return os.environ[POOL_VARIABLE]

    @staticmethod
    @pytest.fixture(scope="session")
    def celery_worker_parameters() -> dict[str, Any]:
        """What the suite's one worker is started with."""
        return {"concurrency": int(os.environ[CONCURRENCY_VARIABLE]), "shutdown_timeout": 30.0}


@pytest.hookimpl(tryfirst=True)
def pytest_plugin_registered(plugin: object) -> None:
    """Replace fixtures of the suite's conftest before pytest reads them."""
    if getattr(plugin, "__name__", "") == "t.integration.conftest":
        for name in ("celery_worker_pool", "celery_worker_parameters"):
            setattr(plugin, name, getattr(Replaced, name))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
    """Give an application the asynchronous tasks as soon as it is there, before its worker starts."""
    value = yield
    if fixturedef.argname == "celery_session_app" and os.environ[POOL_VARIABLE] != "prefork":
        _set_up_worker(value)
    if fixturedef.argname in APPLICATIONS[os.environ[TASKS_VARIABLE]] and isinstance(value, Celery):
        _containers.append(_make_asynchronous(value))
    return value


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note each phase of each test, so that a run that is cut short has told what it did."""
    if report.when != "call" and report.passed:
        return
    line = {"test": report.nodeid, "outcome": report.outcome, "seconds": round(report.duration, 2)}
    if report.failed:
        line["why"] = report.longreprtext[-4000:]
    if report.skipped:
        line["why"] = report.longrepr[2] if isinstance(report.longrepr, tuple) else getattr(report, "wasxfail", "")
    with Path(os.environ[REPORT_VARIABLE]).open("a") as file:
        file.write(json.dumps(line) + "\n")


def _set_up_worker(app: Celery) -> None:
    """Do what ``celery worker`` does before it starts, and Celery's in-process worker leaves to the children of prefork.

    Without it, a pool of threads takes its tasks from the application of whichever test runs.
    """
    setup_worker_optimizations(app, "suite")
    register: Any = app.register_task

    def register_task(task: Any, **options: Any) -> Any:
        # One test registers a task with the running worker.
        registered = register(task, **options)
        registered.__trace__ = build_tracer(registered.name, registered, app.loader, "suite", app=app)
        return registered

    app.register_task = register_task  # type: ignore[method-assign]


def _make_asynchronous(app: Celery) -> Any:
    from pico_ioc import init

    from tests.other_suites import async_tasks

    app.finalize()
    # Celery's default: its tests count on messages that the worker has taken and not yet run.
    app.conf.worker_prefetch_multiplier = 4
    for name in async_tasks.names():
        app.tasks.pop(name)
    return init(modules=["pico_celery", async_tasks], overrides={Celery: app})
