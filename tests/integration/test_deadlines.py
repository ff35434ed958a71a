"""Deadlines in every pool, on every kind of broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import uuid4

import pytest
from celery import chain

from pico_celery import AsyncResult, CelerySettings, DeadlineExceeded, PayloadError, create_app
from pico_celery.messaging.deadline import DEADLINE_HEADER
from tests.integration.apps.time_contracts import TimesClient, Way
from tests.integration.conftest import Served, StartWorker, matrix, site_of, usual
from tests.support.sites import close_app
from tests.support.waiting import becomes, eventually

SOON = timedelta(seconds=30)
SLOTS = {"async": 4, "processes": 2, "threads": 2, "solo": 1}
POOLS = usual(
    ("async", "redis"), ("processes", "redis"), ("threads", "redis"), ("solo", "redis"), ("async", "rabbitmq")
)
SENT = {"chain": 3, "group": 2, "chord": 3, "link": 2, "replace": 2}
FIVE_MINUTES = timedelta(minutes=5)


@pytest.fixture(scope="module", params=POOLS)
def served(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    pool, transport = request.param
    environment = {"CELERY_WORKER_CANCEL_GRACE_SECONDS": "0.5"}
    with start_worker("time_worker", pool, transport, concurrency=SLOTS[pool], environment=environment) as started:
        yield started


@pytest.fixture(scope="module")
def times(served: Served) -> TimesClient:
    return TimesClient(served.app)


def new_key() -> str:
    return f"time-{uuid4().hex}"


def failure(result: AsyncResult[Any]) -> BaseException:
    """Return what the worker stored, whatever the client makes of the deadline."""
    assert eventually(result.ready)
    assert result.state == "FAILURE"
    found = result.result
    assert isinstance(found, BaseException)
    return found


def started(served: Served, key: str) -> bool:
    return eventually(lambda: bool(served.worker.noted(f"{key}-started")))


def test_a_running_call_is_cancelled_at_its_deadline_and_cleans_up(served: Served, times: TimesClient) -> None:
    key = new_key()
    result = times.hold.with_options(timeout=3)(key)
    with pytest.raises(DeadlineExceeded) as raised:
        result.get()
    assert (raised.value.noticed, raised.value.task, raised.value.task_id) == ("running", "time.hold", result.id)
    assert type(failure(result)) is DeadlineExceeded
    assert raised.value.deadline == result.deadline
    assert served.worker.noted(f"{key}-ended") == ["deadline, running, True", "finally"]


def test_a_call_that_waits_beyond_its_deadline_is_not_started(served: Served, times: TimesClient) -> None:
    keys = [new_key() for _ in range(SLOTS[served.worker.pool])]
    held = [times.hold(key) for key in keys]
    assert all(started(served, key) for key in keys)
    key = new_key()
    late = times.mark.with_options(timeout=0.3)(key, "ran")
    assert late.deadline is not None
    with pytest.raises(DeadlineExceeded) as raised:
        late.get()
    assert raised.value.noticed == "waiting"
    for one in keys:
        served.worker.note(one)
    assert [result.get(timeout=SOON) for result in held] == keys
    found: Any = failure(late)
    assert type(found) is DeadlineExceeded
    assert found.noticed == "unstarted"
    assert served.worker.noted(key) == []


def test_a_body_that_goes_on_after_its_deadline_is_abandoned(served: Served, times: TimesClient) -> None:
    key = new_key()
    result = times.swallow.with_options(timeout=2)(key)
    found: Any = failure(result)
    assert (type(found), found.noticed) == (DeadlineExceeded, "running")
    assert served.worker.noted(f"{key}-swallowed") == ["ran"]
    assert times.limited().get(timeout=SOON) is not None, "its slot is free again"
    served.worker.note(key)


def test_a_call_that_ends_in_time_is_none_the_worse_for_its_deadline(times: TimesClient) -> None:
    result = times.tell.with_options(timeout=FIVE_MINUTES)(new_key())
    assert result.get() == result.deadline
    assert times.tell(new_key()).get(timeout=SOON) is None


def test_the_contract_gives_every_call_its_deadline(times: TimesClient) -> None:
    result = times.limited()
    assert result.get() == result.deadline
    assert result.deadline is not None
    assert timedelta(minutes=4) < result.deadline - datetime.now(UTC) <= FIVE_MINUTES


@pytest.mark.parametrize("way", [way for way in get_args(Way) if way != "detached"])
def test_all_that_a_body_sends_inherits_its_deadline(served: Served, times: TimesClient, way: Way) -> None:
    if way == "await" and served.worker.pool == "solo":
        pytest.skip("a pool of one slot cannot wait for another task")
    key = new_key()
    result = times.send.with_options(timeout=FIVE_MINUTES)(way, key)
    assert eventually(lambda: len(served.worker.noted(key)) == SENT.get(way, 1))
    assert set(served.worker.noted(key)) == {str(result.deadline)}


def test_a_call_with_a_timeout_of_none_inherits_nothing(served: Served, times: TimesClient) -> None:
    key = new_key()
    times.send.with_options(timeout=FIVE_MINUTES)("detached", key).get(timeout=SOON)
    becomes(lambda: served.worker.noted(key), ["None"])


def test_retries_keep_the_first_deadline(served: Served, times: TimesClient) -> None:
    key = new_key()
    result = times.insist.with_options(timeout=FIVE_MINUTES)(key, 2)
    assert result.get(timeout=SOON) == result.deadline
    assert served.worker.noted(key) == [str(result.deadline)] * 3


def test_a_deadline_is_no_reason_for_an_automatic_retry(served: Served, times: TimesClient) -> None:
    key = new_key()
    found: Any = failure(times.fail_slowly.with_options(timeout=2)(key))
    assert type(found) is DeadlineExceeded
    assert served.worker.noted(key) == ["ran"]


def test_each_task_of_a_chain_has_the_deadline_of_its_own_headers(served: Served) -> None:
    soon = (datetime.now(UTC) + FIVE_MINUTES).isoformat()
    first, second = new_key(), new_key()
    tell: Any = served.app.signature
    timed = tell("time.tell", (first,), immutable=True, headers={DEADLINE_HEADER: soon})
    chain(timed, tell("time.tell", (second,), immutable=True), app=served.app).apply_async()
    becomes(lambda: served.worker.noted(second), ["None"])
    assert served.worker.noted(first) == [soon.replace("T", " ")]


def test_a_plain_client_may_give_a_deadline_and_one_that_is_no_time_is_refused(served: Served) -> None:
    key = new_key()
    past = served.plain.send_task("time.mark", (key, "ran"), headers={DEADLINE_HEADER: "2020-01-01T00:00:00"})
    with pytest.raises(DeadlineExceeded):
        past.get(timeout=30)
    wrong = served.plain.send_task("time.mark", (key, "ran"), headers={DEADLINE_HEADER: "soon"})
    with pytest.raises(PayloadError, match=r"headers\.pico_deadline: expected a time, ISO 8601 in UTC"):
        wrong.get(timeout=30)
    assert served.worker.noted(key) == []


def test_an_awaited_call_ends_at_its_deadline(served: Served, times: TimesClient) -> None:
    async def wait() -> None:
        await times.hold.with_options(timeout=1)(new_key())

    with pytest.raises(DeadlineExceeded):
        asyncio.run(wait())


def test_expires_keeps_celerys_meaning_beside_a_deadline(served: Served, times: TimesClient) -> None:
    key = new_key()
    result = times.mark.with_options(timeout=60, expires=datetime.now(UTC) - timedelta(seconds=1))(key, "ran")
    assert eventually(result.ready)
    assert result.state == "REVOKED"


@pytest.mark.parametrize("transport", matrix(("async", "redis"), ("async", "rabbitmq"), ("async", "rabbitmq-rpc")))
def test_without_any_worker_nothing_hangs(
    request: pytest.FixtureRequest, transport: tuple[str, str], tmp_path: Any
) -> None:
    site = site_of(request, transport[1], tmp_path)
    app = create_app(CelerySettings.of(site.settings()))
    try:
        times = TimesClient(app)
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded) as raised:
            times.tell.with_options(timeout=0.5)("nobody").get()
        assert raised.value.noticed == "waiting"

        async def wait() -> None:
            await times.tell.with_options(timeout=0.5)("nobody")

        with pytest.raises(DeadlineExceeded):
            asyncio.run(wait())
        assert time.monotonic() - began < 20
    finally:
        close_app(app)
        site.remove()
