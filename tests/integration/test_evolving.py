"""What was sent by older contracts is served: old names, old arguments, two versions, by real workers over real brokers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery import chain, chord
from celery.exceptions import SoftTimeLimitExceeded, TaskRevokedError
from celery.result import AsyncResult as CeleryAsyncResult

from pico_celery import DeprecatedTaskWarning, Err, PayloadError
from pico_celery.contract.marks import marks_of
from tests.integration.apps import evolving_before as before
from tests.integration.apps.evolving_contracts import Booked, EvolvedClient, Order, Orders
from tests.integration.conftest import Served, StartWorker, matrix
from tests.support.messages import body_of, headers_of, put
from tests.support.waiting import eventually

SOON = timedelta(seconds=20)


@pytest.fixture(scope="module", params=matrix(("async", "rabbitmq"), ("processes", "redis")))
def served(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    pool, transport = request.param
    with start_worker("evolving_worker", pool, transport) as started:
        yield started


@pytest.fixture
def earlier(served: Served) -> before.EarlierClient:
    return before.EarlierClient(served.app)


@pytest.fixture
def client(served: Served) -> EvolvedClient:
    return EvolvedClient(served.app)


def digest_of(method: Any) -> str:
    definition = marks_of(method).definition
    assert definition is not None
    return definition.digest


def test_a_call_of_an_earlier_client_is_served_by_its_old_name_and_upcast(
    served: Served, earlier: before.EarlierClient
) -> None:
    for _ in range(2):
        booked = earlier.submit(7, ["tea"]).get(timeout=SOON)
        assert booked == before.Booked(id=7, lines=["tea"], named="evolved.submit")
    log = served.worker.log
    assert log.count("evolved.submit is an old name of evolved.place, and still called, by 'gen") >= 1
    assert "(contract 'evolved'); later calls are not logged" in log
    if served.worker.pool == "async":
        assert log.count("evolved.submit is an old name") == 1
        assert log.count("its arguments pass through the upcaster") == 1
    assert "place_before_2" in log


def test_a_new_client_is_served_by_the_new_name_as_it_is(client: EvolvedClient) -> None:
    booked = client.place(Order(id=8, lines=["tea"])).get(timeout=SOON)
    assert booked == Booked(id=8, lines=["tea"], named="evolved.place")


def test_an_earlier_client_awaits_a_declared_error(earlier: before.EarlierClient) -> None:
    async def call() -> Any:
        return await earlier.submit(7, []).aoutcome()

    assert asyncio.run(asyncio.wait_for(call(), 20)) == Err(before.Refused(reason="no lines"))


def test_a_message_that_waits_in_the_queue_is_served(served: Served) -> None:
    task_id = str(uuid4())
    put(
        served.site,
        body_of([], {"number": 1, "lines": ["a"]}),
        headers_of("evolved.submit", task_id),
        correlation_id=task_id,
    )
    result: CeleryAsyncResult[Any] = CeleryAsyncResult(task_id, app=served.plain)
    assert result.get(timeout=20) == {"id": 1, "lines": ["a"], "named": "evolved.submit"}


def test_what_an_upcaster_leaves_unfit_is_a_final_failure_that_says_so(served: Served) -> None:
    result = served.plain.send_task("evolved.place", kwargs={"nummer": 1})
    with pytest.raises(PayloadError) as caught:
        result.get(timeout=20)
    assert "place_before_2, which left these arguments as they were" in str(caught.value)
    assert f"[{result.id}] retry" not in served.worker.log


def test_a_retry_of_an_older_message_is_the_same_message_which_older_workers_take_too(
    served: Served, earlier: before.EarlierClient
) -> None:
    result = earlier.submit(9, ["tea"], tries=2)
    assert result.get(timeout=SOON).lines == ["tea"]
    sent = [json.loads(line) for line in served.worker.noted(result.id)]
    assert (
        sent
        == [
            {
                "task": "evolved.submit",
                "digest": digest_of(before.Orders.submit),
                "kwargs": {"number": 9, "lines": ["tea"], "tries": 2},
            }
        ]
        * 2
    )


def test_a_retry_with_other_arguments_says_that_they_are_of_the_current_contract(
    served: Served, earlier: before.EarlierClient
) -> None:
    result = earlier.submit(9, ["change"], tries=1)
    assert result.get(timeout=SOON).lines == ["changed"]
    (sent,) = (json.loads(line) for line in served.worker.noted(result.id))
    assert sent["digest"] == digest_of(Orders.place)
    assert sent["kwargs"]["order"] == {"id": 9, "lines": ["changed"]}


def test_old_names_are_parts_of_chains_and_chords(served: Served) -> None:
    parts: list[Any] = [
        served.plain.signature("evolved.submit", kwargs={"number": number, "lines": ["a"]}) for number in (1, 2)
    ]
    count = served.plain.signature("evolved.count", args=([1, 2],), immutable=True)
    assert chord(parts, count, app=served.plain).apply_async().get(timeout=20) == 3
    linked: Any = chain(count, parts[0].clone().set(immutable=True), app=served.plain)
    assert linked.apply_async().get(timeout=20)["named"] == "evolved.submit"


def test_time_limits_of_the_contract_hold_by_an_old_name(earlier: before.EarlierClient) -> None:
    with pytest.raises(SoftTimeLimitExceeded):
        earlier.wait(uuid4().hex).get(timeout=SOON)


def test_a_task_by_an_old_name_is_revoked_by_its_id(served: Served, earlier: before.EarlierClient) -> None:
    key = uuid4().hex
    result = earlier.wait(key)
    assert eventually(lambda: served.worker.noted(key))
    result.revoke(terminate=True)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=SOON)


def test_a_deprecated_task_warns_its_caller_and_is_told_once_in_the_log(served: Served, client: EvolvedClient) -> None:
    with pytest.warns(DeprecatedTaskWarning, match=r"evolved\.count is deprecated: use evolved\.v2\.count") as caught:
        assert client.count([1, 2]).get(timeout=SOON) == 3
    assert caught[0].filename == __file__
    line = "evolved.count is deprecated (use evolved.v2.count), and still called"
    assert eventually(lambda: line in served.worker.log)
    if served.worker.pool == "async":
        assert served.worker.log.count(line) == 1


@pytest.mark.filterwarnings("ignore::pico_celery.DeprecatedTaskWarning")
def test_two_versions_are_served_side_by_side(client: EvolvedClient) -> None:
    assert client.count([1, 2]).get(timeout=SOON) == 3
    assert client.count_v2([1, 2], start=4).get(timeout=SOON) == "7"
