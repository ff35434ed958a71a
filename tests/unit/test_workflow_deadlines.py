"""Deadlines of workflows and of their steps: what travels, when it begins to count, and what results know; without a broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from celery import Celery, canvas, signals
from pico_ioc import PicoContainer, component

from pico_celery import (
    Catalog,
    CeleryClient,
    DeadlineExceeded,
    OptionError,
    TaskContext,
    celery,
    contract,
    group,
    schedule,
    send_task,
    task_options,
)
from pico_celery.messaging.deadline import (
    DEADLINE_HEADER,
    TIMEOUT_HEADER,
    read_deadline,
    seconds_until,
    set_current_deadline,
    start_timeout,
    with_deadline,
    write_deadline,
)

CATALOG = Catalog()
SHORT = 0.2


@contract("steps", catalog=CATALOG)
class Steps(Protocol):
    async def first(self, number: int) -> int: ...

    @task_options(timeout=timedelta(seconds=30))
    async def limited(self, number: int) -> int: ...

    async def add_up(self, numbers: list[int]) -> int: ...

    async def left(self, number: int) -> float | None: ...

    @task_options(timeout=timedelta(seconds=30))
    async def limited_left(self, number: int) -> float | None: ...

    async def send_on(self) -> list[float | None]: ...


@celery
class StepsClient(CeleryClient, catalog=CATALOG):
    first = send_task(Steps.first)
    limited = send_task(Steps.limited)
    add_up = send_task(Steps.add_up)
    left = send_task(Steps.left)
    limited_left = send_task(Steps.limited_left)
    send_on = send_task(Steps.send_on)


Message = tuple[dict[str, Any], dict[str, Any]]


@pytest.fixture
def client(celery_app: Celery) -> StepsClient:
    return StepsClient(celery_app)


@pytest.fixture
def sent() -> Iterator[list[Message]]:
    """Give headers and embedded canvas of the messages that are published."""
    messages: list[Message] = []

    def note(headers: Any, body: Any, **_: Any) -> None:
        messages.append((headers, body[-1]))

    signals.after_task_publish.connect(note)
    yield messages
    signals.after_task_publish.disconnect(note)


def left(headers: Any) -> float | None:
    """Return how many seconds there are until the deadline of a message, or of a signature in it."""
    deadline = read_deadline(headers.get(DEADLINE_HEADER))
    return None if deadline is None else seconds_until(deadline)


def of_step(signature: Any) -> Any:
    return signature["options"].get("headers") or {}


def within(seconds: float, call: Callable[[], Any]) -> Any:
    """Call something as the body of a task with a deadline does."""
    context = copy_context()
    set_current_deadline(context, datetime.now(UTC) + timedelta(seconds=seconds))
    return context.run(call)


def test_the_timeout_of_a_chain_is_the_deadline_of_all_its_steps_and_results(
    client: StepsClient, sent: list[Message]
) -> None:
    result: Any = (client.first.s(1) | client.first.s() | client.first.s()).apply_async(timeout=5)
    [(headers, embed)] = sent
    assert 4 < (left(headers) or 0) <= 5
    told = headers[DEADLINE_HEADER]
    assert [of_step(step)[DEADLINE_HEADER] for step in embed["chain"]] == [told, told]
    results = [result, result.parent, result.parent.parent]
    assert [write_deadline(one.deadline) for one in results] == [told] * 3


def test_the_timeout_of_a_group_is_one_deadline_for_all_members(client: StepsClient, sent: list[Message]) -> None:
    result = group(client.first.s(1), client.first.s(2) | client.first.s()).apply_async(timeout=timedelta(seconds=5))
    assert len({headers[DEADLINE_HEADER] for headers, _ in sent}) == 1
    assert len({member.deadline for member in result}) == 1
    assert write_deadline(result[0].deadline) == sent[0][0][DEADLINE_HEADER]


def test_the_timeout_of_a_chord_holds_for_its_body(client: StepsClient, sent: list[Message]) -> None:
    result = (client.first.map([1, 2]) | client.add_up.s()).apply_async(timeout=5)
    for headers, embed in sent:
        assert of_step(embed["chord"])[DEADLINE_HEADER] == headers[DEADLINE_HEADER]
    assert write_deadline(result.deadline) == sent[0][0][DEADLINE_HEADER]


def test_the_timeout_of_a_step_counts_from_when_it_is_sent(client: StepsClient, sent: list[Message]) -> None:
    result: Any = (client.limited.s(1) | client.limited.s()).delay()
    [(headers, embed)] = sent
    assert 29 < (left(headers) or 0) <= 30
    assert TIMEOUT_HEADER not in headers
    step = of_step(embed["chain"][0])
    assert step[TIMEOUT_HEADER] == 30.0
    assert DEADLINE_HEADER not in step
    assert write_deadline(result.parent.deadline) == headers[DEADLINE_HEADER]
    assert result.deadline is None  # nobody knows yet when it will be sent


def test_members_that_are_sent_know_the_deadlines_of_their_contract(client: StepsClient, sent: list[Message]) -> None:
    result = client.limited.map([1, 2]).delay()
    assert [write_deadline(member.deadline) for member in result] == [headers[DEADLINE_HEADER] for headers, _ in sent]


def test_the_nearer_of_the_deadlines_of_step_and_workflow_wins(client: StepsClient, sent: list[Message]) -> None:
    (client.limited.s(1) | client.limited.s()).apply_async(timeout=5)
    (client.limited.s(1) | client.limited.s()).apply_async(timeout=50)
    assert [round(left(headers) or 0) for headers, _ in sent] == [5, 30]
    later = of_step(sent[1][1]["chain"][0])
    assert round(left(later) or 0) == 50
    start_timeout(later)
    assert round(left(later) or 0) == 30


@pytest.mark.parametrize(
    ("change", "seconds"),
    [
        (lambda step: step, 30),
        (lambda step: step.set(timeout=3), 3),
        (lambda step: step.set(timeout=timedelta(seconds=60)), 60),
        (lambda step: step.set(timeout=None), None),
        (lambda step: step.set(timeout=None).set(timeout=3), 3),
        (lambda step: step.set(timeout=3).set(timeout=None), None),
        (lambda step: step.set(timeout=3).set(queue="q"), 3),
    ],
)
def test_the_timeout_that_was_said_last_of_a_step_wins(
    client: StepsClient, sent: list[Message], change: Callable[[Any], Any], seconds: int | None
) -> None:
    change(client.limited.s(1)).delay()
    group([change(client.limited.s(1))]).delay()
    (client.first.s(1) | change(client.limited.partial())).delay()
    step = of_step(sent[-1][1]["chain"][0])
    start_timeout(step)
    found = [left(sent[0][0]), left(sent[1][0]), left(step)]
    assert [None if one is None else round(one) for one in found] == [seconds] * 3
    if seconds is None:
        assert step[DEADLINE_HEADER] is None


def test_the_timeout_of_the_call_wins_over_that_of_the_signature(client: StepsClient, sent: list[Message]) -> None:
    assert client.limited.s(1).set(timeout=None).apply_async(timeout=3).deadline is not None
    assert client.limited.s(1).apply_async(timeout=None).deadline is None
    assert [None if left(headers) is None else round(left(headers) or 0) for headers, _ in sent] == [3, None]


def test_a_step_without_deadline_takes_none_of_its_workflow(client: StepsClient, sent: list[Message]) -> None:
    (client.first.s(1) | client.limited.with_options(timeout=None).s()).apply_async(timeout=5)
    assert of_step(sent[0][1]["chain"][0]) == {**of_step(client.limited.s(1).set(timeout=None)), TIMEOUT_HEADER: None}
    plain: Any = with_deadline(sent[0][1]["chain"][0], datetime.now(UTC))
    assert DEADLINE_HEADER not in of_step(plain)


def test_what_comes_after_a_step_without_deadline_has_that_of_the_workflow(
    client: StepsClient, sent: list[Message]
) -> None:
    result = (client.limited.with_options(timeout=None).s(1) | client.first.s()).apply_async(timeout=5)
    [(headers, embed)] = sent
    assert headers[DEADLINE_HEADER] is None
    assert of_step(embed["chain"][0])[DEADLINE_HEADER] == write_deadline(result.deadline)


def test_a_workflow_that_a_task_sends_has_no_later_deadline_than_the_task(
    client: StepsClient, sent: list[Message]
) -> None:
    chain = client.first.s(1) | client.first.s()
    results = [
        within(5, chain.delay),
        within(5, lambda: chain.apply_async(timeout=60)),
        within(5, lambda: chain.apply_async(timeout=2)),
        within(5, lambda: chain.apply_async(timeout=None)),
    ]
    found = [left(headers) for headers, _ in sent]
    assert [None if one is None else round(one) for one in found] == [5, 5, 2, None]
    assert [write_deadline(result.deadline) for result in results] == [
        headers.get(DEADLINE_HEADER) for headers, _ in sent
    ]
    assert DEADLINE_HEADER not in of_step(sent[3][1]["chain"][0])


def test_a_workflow_for_which_there_is_no_time_left_is_not_sent(client: StepsClient, sent: list[Message]) -> None:
    chain = client.first.s(1) | client.first.s()
    with pytest.raises(DeadlineExceeded) as raised:
        within(-1, chain.delay)
    assert (raised.value.task, raised.value.noticed) == ("steps.first", "unsent")
    with pytest.raises(OptionError, match="timeout: expected more than the countdown of 10 s, got 5 s"):
        chain.apply_async(timeout=5, countdown=10)
    assert sent == []


def test_waiting_for_a_workflow_ends_at_its_deadline(client: StepsClient) -> None:
    chain, calls = client.first.s(1) | client.first.s(), client.first.map([1, 2])
    started = time.monotonic()
    for result in (chain.apply_async(timeout=SHORT), calls.apply_async(timeout=SHORT)):
        with pytest.raises(DeadlineExceeded) as raised:
            result.get()
        assert raised.value.noticed == "waiting"

    async def wait() -> None:
        for result in (await chain.asend(timeout=SHORT), await calls.asend(timeout=SHORT)):
            with pytest.raises(DeadlineExceeded):
                await result

    asyncio.run(asyncio.wait_for(wait(), 10))
    assert time.monotonic() - started < 10


def test_a_part_is_sent_with_a_deadline_too(client: StepsClient, sent: list[Message]) -> None:
    result = client.first.partial().apply_async((1,), timeout=5)
    assert write_deadline(result.deadline) == sent[0][0][DEADLINE_HEADER]
    members = group([client.first.s(), client.limited.s()]).apply_async((1,), timeout=5)
    assert len({member.deadline for member in members}) == 1

    async def send() -> Any:
        return await group([client.first.s(), client.limited.s()]).asend(1, timeout=5)

    awaited = asyncio.run(send())
    assert {write_deadline(member.deadline) for member in awaited} == {sent[-1][0][DEADLINE_HEADER]}


def test_a_scheduled_call_has_its_time_from_each_time_it_is_sent(client: StepsClient, sent: list[Message]) -> None:
    every = timedelta(hours=1)
    for name, options, seconds in (("a", {}, 30), ("b", {"timeout": 3}, 3), ("c", {"timeout": None}, None)):
        entry = schedule(client.limited.s(1), every=every, name=name, **options).entry
        client.limited._app.send_task(entry["task"], entry["args"], entry["kwargs"], **entry["options"])
        found = left(sent[-1][0])
        assert (None if found is None else round(found)) == seconds


def test_the_older_protocol_of_celery_carries_deadlines_too(client: StepsClient, celery_app: Celery) -> None:
    celery_app.conf.task_protocol = 1
    seen: list[Any] = []

    def note(headers: Any, **_: Any) -> None:
        seen.append(dict(headers))

    signals.after_task_publish.connect(note)
    try:
        result = group([client.limited.s(1)]).delay()
    finally:
        signals.after_task_publish.disconnect(note)
    assert round(left(seen[0]) or 0) == 30
    assert write_deadline(result[0].deadline) == seen[0][DEADLINE_HEADER]


# In a worker


@component
class StepsWorker(Steps):
    def __init__(self, context: TaskContext, steps: StepsClient) -> None:
        self.context = context
        self.steps = steps

    async def first(self, number: int) -> int:
        return number + 1

    async def limited(self, number: int) -> int:
        return number + 1

    async def add_up(self, numbers: list[int]) -> int:
        return sum(numbers)

    async def left(self, number: int) -> float | None:
        time_left = self.context.time_left
        assert TIMEOUT_HEADER not in self.context.headers
        return None if time_left is None else time_left.total_seconds()

    async def limited_left(self, number: int) -> float | None:
        return await self.left(number)

    async def send_on(self) -> list[float | None]:
        return []


@pytest.fixture
def eager(boot: Callable[..., PicoContainer]) -> StepsClient:
    return boot(StepsClient, StepsWorker, settings={"task_always_eager": True}).get(StepsClient)


@pytest.mark.parametrize(
    ("options", "seconds"), [({}, 30), ({"timeout": 60}, 60), ({"timeout": 3}, 3), ({"timeout": None}, None)]
)
def test_a_worker_sends_a_step_with_the_timeout_of_its_signature(
    eager: StepsClient, options: Any, seconds: int | None
) -> None:
    chain = eager.first.s(1) | eager.limited_left.with_options(**options).s()
    found = chain.delay().get()
    assert (None if found is None else round(found)) == seconds


@pytest.mark.parametrize(("timeout", "seconds"), [(60, 30), (3, 3)])
def test_a_workflow_in_eager_mode_has_its_deadline(eager: StepsClient, timeout: float, seconds: int) -> None:
    found = (eager.first.s(1) | eager.limited_left.s()).apply_async(timeout=timeout).get()
    assert round(found or 0) == seconds


def test_a_step_that_a_plain_process_has_sent_has_its_time_from_when_it_arrives(eager: StepsClient) -> None:
    task: Any = eager.left._app.tasks["steps.left"]
    for headers, seconds in (
        ({TIMEOUT_HEADER: 20}, 20),
        ({TIMEOUT_HEADER: None}, None),
        ({TIMEOUT_HEADER: 20, DEADLINE_HEADER: write_deadline(datetime.now(UTC) + timedelta(seconds=5))}, 5),
    ):
        found = task.apply(kwargs={"number": 1}, headers=headers).get()
        assert (None if found is None else round(found)) == seconds


def test_celery_s_own_chain_carries_timeouts_of_typed_steps(client: StepsClient, sent: list[Message]) -> None:
    made: Any = canvas.chain(client.limited.s(1), client.limited.s(), app=client.first._app)
    made.apply_async()
    assert round(left(sent[0][0]) or 0) == 30
    assert of_step(sent[0][1]["chain"][0])[TIMEOUT_HEADER] == 30.0
