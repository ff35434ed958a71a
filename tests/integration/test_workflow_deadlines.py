"""Deadlines of workflows and of their steps: with real workers, on Redis and RabbitMQ, a plain worker among them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from kombu.utils.json import dumps

from pico_celery import DeadlineExceeded, Err, group
from tests.integration.apps.steps_contracts import LIMIT, StepsClient
from tests.integration.conftest import Served, StartWorker, usual
from tests.integration.test_engine_limits import beside
from tests.support.processes import CeleryProcess
from tests.support.waiting import eventually

SOON = timedelta(seconds=30)
PLACES = (("async", "redis"), ("async", "rabbitmq"), ("processes", "redis"))


@pytest.fixture(scope="module", params=usual(*PLACES))
def served(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    pool, transport = request.param
    with start_worker("steps_worker", pool, transport, concurrency=8 if pool == "async" else 3) as started:
        yield started


@pytest.fixture
def steps(served: Served) -> StepsClient:
    return StepsClient(served.app)


def new_key() -> str:
    return f"step-{uuid4().hex}"


def counts_from(due: datetime, timeout: timedelta, earliest: datetime) -> bool:
    """Return whether a timeout was counted from a moment between the earliest one and now."""
    return earliest <= due - timeout <= datetime.now(UTC)


def times(dues: list[str | None]) -> list[datetime]:
    assert None not in dues, dues
    return [datetime.fromisoformat(due or "") for due in dues]


def test_all_steps_of_a_chain_have_the_deadline_of_the_workflow(steps: StepsClient) -> None:
    result: Any = (steps.due.s([]) | steps.due.s() | steps.due_limited.s()).apply_async(timeout=30)
    assert set(times(result.get())) == {result.deadline}
    assert result.deadline == result.parent.deadline == result.parent.parent.deadline


def test_members_of_a_group_and_the_body_of_a_chord_have_it_too(steps: StepsClient) -> None:
    sent = group([steps.due.s([]), steps.due.s([]) | steps.due_limited.s()]).apply_async(timeout=30)
    assert {due for dues in sent.get() for due in times(dues)} == {sent[0].deadline}
    chord = steps.due.s([]) | group([steps.due.s(), steps.due_limited.s()]) | steps.join.s() | steps.due.s()
    result = chord.apply_async(timeout=30)
    found = times(result.get())
    assert len(found) == 6
    assert set(found) == {result.deadline}


def test_the_timeout_of_a_later_step_counts_from_when_it_is_sent(served: Served, steps: StepsClient) -> None:
    key, started = new_key(), time.monotonic()
    result = (steps.hold.s([], key) | steps.due_limited.s() | steps.due_limited.with_options(timeout=20).s()).delay()
    assert eventually(lambda: time.monotonic() - started > 1.5)
    released = datetime.now(UTC)
    served.worker.note(key)
    first, *later = result.get(timeout=SOON)
    assert first is None
    second, third = times(later)
    assert counts_from(second, LIMIT, released)
    assert counts_from(third, timedelta(seconds=20), released)


def test_the_body_of_a_chord_has_its_own_timeout_from_when_it_is_sent(served: Served, steps: StepsClient) -> None:
    key, started = new_key(), time.monotonic()
    chord = group([steps.hold.s([], key)]) | steps.join.with_options(timeout=20).s()
    result = chord.delay()
    assert eventually(lambda: time.monotonic() - started > 1.5)
    released = datetime.now(UTC)
    served.worker.note(key)
    _, due = result.get(timeout=SOON)
    assert counts_from(times([due])[0], timedelta(seconds=20), released)


@pytest.mark.parametrize(("timeout", "seconds"), [(90, 90), (10, 10), (None, None)])
def test_what_is_said_of_a_step_wins_over_its_contract(
    steps: StepsClient, timeout: float | None, seconds: float | None
) -> None:
    before = datetime.now(UTC)
    chain = steps.due.s([]) | steps.due_limited.with_options(timeout=timeout).s()
    due = chain.delay().get(timeout=SOON)[1]
    assert (due is None) == (seconds is None)
    if due is not None and seconds is not None:
        assert counts_from(times([due])[0], timedelta(seconds=seconds), before)


def test_a_step_with_a_timeout_of_none_has_no_deadline_in_a_workflow_that_has_one(steps: StepsClient) -> None:
    chain = steps.due.s([]) | steps.due_limited.with_options(timeout=None).s() | steps.due.s()
    first, second, third = chain.apply_async(timeout=30).get()
    assert first == third
    assert second is None


def test_a_workflow_ends_at_its_deadline_and_no_later_step_runs(served: Served, steps: StepsClient) -> None:
    key, after = new_key(), new_key()
    chain = steps.hold.s([], key) | steps.hold.partial(after)
    chain.link_error(steps.tell.partial(f"{key}-told"))
    result = chain.apply_async(timeout=1.5)
    with pytest.raises(DeadlineExceeded) as raised:
        result.get()
    assert (raised.value.task, raised.value.noticed) == ("steps.hold", "running")
    match result.outcome():
        case Err(DeadlineExceeded()):
            pass
        case other:
            pytest.fail(repr(other))
    assert eventually(lambda: served.worker.noted(f"{key}-told"))
    assert served.worker.noted(f"{key}-told")[0].endswith(" None"), "what is done after the deadline has none"
    assert served.worker.noted(f"{after}-started") == []


def test_a_group_ends_at_its_deadline(steps: StepsClient) -> None:
    sent = group([steps.due.s([]), steps.hold.s([], new_key())]).apply_async(timeout=1.5)

    async def complete() -> list[bool]:
        return [isinstance(await member.aoutcome(), Err) async for member in sent]

    assert asyncio.run(asyncio.wait_for(complete(), 20)) == [False, True]
    with pytest.raises(DeadlineExceeded):
        sent.get()


def test_a_workflow_that_a_task_sends_inherits_and_with_none_it_does_not(steps: StepsClient) -> None:
    result = steps.nest.with_options(timeout=20)(False)
    assert set(times(result.get())) == {result.deadline}
    detached = steps.nest.with_options(timeout=20)(True)
    own, first, second = detached.get()
    assert times([own]) == [detached.deadline]
    assert first is None
    assert times([second])[0] > detached.deadline + timedelta(seconds=30)  # type: ignore[operator]  # it has one


def test_a_plain_client_sends_a_typed_workflow_with_its_timeouts(served: Served, steps: StepsClient) -> None:
    before = datetime.now(UTC)
    data = json.loads(dumps(steps.due_limited.s([]) | steps.due_limited.with_options(timeout=20).s()))
    first, second = times(served.plain.signature(data).apply_async().get(timeout=30))
    assert counts_from(first, LIMIT, before)
    assert counts_from(second, timedelta(seconds=20), before)


@pytest.mark.parametrize("timeout", [30, None], ids=["workflow", "steps"])
def test_a_plain_worker_in_the_middle_hands_deadlines_on(
    served: Served, steps: StepsClient, start_worker: StartWorker, timeout: float | None
) -> None:
    queue = f"{served.site.prefix}.plain"
    site = beside(served.site)
    with start_worker("steps_plain", "solo", served.transport, site=site, options=["-Q", queue]) as plain:
        relay = steps.relay.with_options(queue=queue)
        chain = steps.due.s([]) | relay.s() | steps.due_limited.s() | steps.due_limited.s()
        before = datetime.now(UTC)
        options: Any = {} if timeout is None else {"timeout": timeout}
        first, middle, *last = chain.apply_async(**options).get(timeout=SOON)
        assert middle == "plain"
        if timeout is None:
            assert first is None
            assert all(counts_from(due, LIMIT, before) for due in times(last))
        else:
            assert first is not None
            assert last == [first, first]
        if served.site.transport == "amqp":
            with plain.site.connection() as connection:
                channel: Any = connection.default_channel
                channel.queue_delete(queue)


def test_each_call_that_beat_sends_has_its_timeout_from_then(served: Served, tmp_path: Path) -> None:
    arguments = ["-A", "tests.integration.apps.steps_worker:celery_app", "beat", "-l", "DEBUG"]
    arguments += ["-s", str(tmp_path / "schedule"), "--pidfile="]
    before = datetime.now(UTC)
    beat = CeleryProcess(arguments, tmp_path, {**served.site.environment(), "PICO_TEST_NOTES": str(tmp_path)})
    try:
        for seconds in (20, 60):
            key = f"beat-{seconds}"
            assert eventually(lambda key=key: len(served.worker.noted(key)) >= 3), beat.log  # type: ignore[misc]
            dues = times([line.partition(" ")[2] for line in served.worker.noted(key)])
            assert len(set(dues)) == len(dues)
            assert all(counts_from(due, timedelta(seconds=seconds), before) for due in dues)
    finally:
        beat.stop()
    assert "Traceback" not in beat.log
