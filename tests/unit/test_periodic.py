"""Periodic calls: checked where they are written, collected by the container, kept apart from the user's own."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from celery import Celery
from celery.beat import Scheduler
from celery.schedules import crontab
from pico_ioc import PicoContainer, component

from pico_celery import Catalog, CeleryClient, OptionError, PayloadError, celery, contract, schedule, send_task, task

CATALOG = Catalog()
HOUR = timedelta(hours=1)


@contract("jobs", catalog=CATALOG)
class Jobs(Protocol):
    async def clean_up(self, days: int, *, deep: bool = False) -> int: ...

    async def report(self, number: int) -> None: ...


@celery
class JobsClient(CeleryClient, catalog=CATALOG):
    clean_up = send_task(Jobs.clean_up, queue="slow")
    report = send_task(Jobs.report)


@celery
class Scheduled(CeleryClient, catalog=CATALOG):
    clean_up = send_task(Jobs.clean_up, queue="slow")
    hourly = schedule(clean_up.s(days=30), every=HOUR, name="clean-up", expires=timedelta(minutes=50))


@component
class Reports:
    nightly = schedule(JobsClient.report.s(7), every=crontab(hour=3, minute=0), name="report")


class Heir(Scheduled):
    hourly = schedule(JobsClient.clean_up.s(days=1), every=HOUR, name="other-name")


def schedule_of(container: PicoContainer) -> dict[str, Any]:
    return dict(container.get(Celery).conf.beat_schedule)


def test_the_container_collects_what_clients_and_components_declare(boot: Callable[..., PicoContainer]) -> None:
    entries = schedule_of(boot(Scheduled, Reports))
    assert set(entries) == {"clean-up", "report"}
    entry = entries["clean-up"]
    assert (entry["task"], entry["args"], entry["kwargs"]) == ("jobs.clean_up", (), {"days": 30})
    assert entry["schedule"] == HOUR
    assert entry["options"]["queue"] == "slow"
    assert entry["options"]["expires"] == 3000.0
    assert entry["options"]["headers"]["pico_contract"] == "jobs"
    assert entries["report"]["schedule"] == crontab(hour=3, minute=0)


def test_the_user_s_own_entries_stay(boot: Callable[..., PicoContainer]) -> None:
    own = {"mine": {"task": "jobs.report", "schedule": 60.0}}
    container = boot(Scheduled, settings={"beat_schedule": own})
    assert set(schedule_of(container)) == {"mine", "clean-up"}
    assert own == {"mine": {"task": "jobs.report", "schedule": 60.0}}


def test_a_name_that_the_settings_have_is_an_error(boot: Callable[..., PicoContainer]) -> None:
    own = {"clean-up": {"task": "jobs.report", "schedule": 60.0}}
    with pytest.raises(
        OptionError, match=r"(?s)'clean-up', which another entry has; change name=.*beat_schedule in the settings"
    ):
        boot(Scheduled, settings={"beat_schedule": own})


def test_two_entries_of_one_name_are_an_error_that_names_both_places(boot: Callable[..., PicoContainer]) -> None:
    @component
    class Twin:
        again = schedule(JobsClient.report.s(1), every=HOUR, name="clean-up")

    with pytest.raises(OptionError) as refused:
        boot(Scheduled, Twin)
    fault = refused.value.faults[0]
    assert fault.code == "scheduled_twice"
    assert len(fault.where) == len(set(fault.where)) == 2
    assert all("test_periodic.py:" in where for where in fault.where)


def test_an_heir_that_overrides_an_entry_replaces_it(boot: Callable[..., PicoContainer]) -> None:
    assert set(schedule_of(boot(celery(Heir)))) == {"other-name"}


def test_a_client_with_its_application_adds_to_that_one(celery_app: Celery) -> None:
    client = JobsClient(celery_app)
    celery_app.conf.beat_schedule = {"mine": {"task": "jobs.report", "schedule": 60.0}}
    declared = schedule(client.clean_up.s(days=1), every=HOUR, name="daily")
    assert set(celery_app.conf.beat_schedule) == {"mine", "daily"}
    with pytest.raises(OptionError, match="change name= of one of them"):
        schedule(client.report.s(1), every=HOUR, name="daily")
    assert celery_app.conf.beat_schedule["daily"] == declared.entry


def test_the_same_declaration_again_changes_nothing(celery_app: Celery) -> None:
    client = JobsClient(celery_app)
    for _ in range(2):
        schedule(client.clean_up.s(days=1), every=HOUR, name="daily")
    assert set(celery_app.conf.beat_schedule) == {"daily"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"every": timedelta(0)}, "every: expected a timedelta longer than zero, or a schedule.*such as timedelta"),
        ({"every": timedelta(seconds=-1)}, "every: expected a timedelta longer than zero"),
        ({"every": 3600}, r"every: .* got 3600 \(int\)"),
        ({"name": " "}, "name: expected a name, got ' '.*beat remembers by it"),
        ({"name": None}, "name: expected a name"),
        ({"expries": HOUR}, "did you mean 'expires'"),
        ({"expires": "soon"}, "expires"),
        ({"eta": datetime(2030, 1, 1, tzinfo=UTC)}, "eta: expected no point in time.*or use countdown="),
        ({"task_id": "one"}, "task_id: expected no id.*leave it out"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_where_it_is_written(arguments: dict[str, Any], message: str) -> None:
    call: Any = schedule
    with pytest.raises(OptionError, match=f"(?s){message}"):
        call(JobsClient.report.s(1), **{"every": HOUR, "name": "report", **arguments})


def test_only_a_complete_call_can_be_scheduled() -> None:
    call: Any = schedule
    for wrong in (
        JobsClient.report,
        JobsClient.report.s(),
        JobsClient.report.map([1]),
        JobsClient.report.si(1) | JobsClient.report.si(2),
    ):
        with pytest.raises(OptionError, match="beat sends single calls: schedule a task that sends the workflow"):
            call(wrong, every=HOUR, name="report")
    with pytest.raises(PayloadError, match="days: expected int"):
        call(JobsClient.clean_up.s("many"), every=HOUR, name="clean-up")  # type: ignore[call-overload]


def test_beat_s_own_scheduler_takes_the_entries_and_can_store_them(celery_app: Celery) -> None:
    client = JobsClient(celery_app)
    schedule(client.clean_up.s(days=1, deep=True), every=timedelta(seconds=1), name="often")
    scheduler = Scheduler(celery_app)
    entry = scheduler.schedule["often"]
    assert (entry.task, entry.kwargs) == ("jobs.clean_up", {"days": 1, "deep": True})
    copied = pickle.loads(pickle.dumps(entry))
    assert (copied.options, copied.schedule) == (entry.options, entry.schedule)


def test_a_scheduled_task_runs_with_what_was_validated(boot: Callable[..., PicoContainer]) -> None:
    ran: list[tuple[int, bool]] = []

    @component
    class JobsWorker:
        entry = schedule(JobsClient.clean_up.s(days=30, deep=True), every=HOUR, name="clean-up")

        @task(Jobs.clean_up)
        async def clean_up(self, days: int, *, deep: bool = False) -> int:
            ran.append((days, deep))
            return days

    app = boot(JobsWorker).get(Celery)
    scheduler = Scheduler(app)
    scheduler.apply_async(scheduler.schedule["clean-up"])
    assert ran == [(30, True)]
