"""How a task can end, and what it knows of its execution: Celery's semantics under the library's own pool."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery import states
from celery.exceptions import MaxRetriesExceededError, Reject, TaskRevokedError

from pico_celery import AsyncResult, ExecutionError, PayloadError, RemoteError, TaskContext
from tests.integration.apps.engine_contracts import EngineClient, Marks
from tests.integration.conftest import Served, ShareWorker, matrix
from tests.support.waiting import becomes, eventually

SOON = timedelta(seconds=40)
SECONDS = SOON.total_seconds()
STARTED_EVERYWHERE = 20  # executions of one task that are in flight before any of them goes on


@pytest.fixture(scope="module", params=matrix(("async", "redis"), ("async", "rabbitmq"), app="engine_worker"))
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("engine_worker", pool, transport) as started:
        yield started


@pytest.fixture
def engine(served: Served) -> EngineClient:
    return EngineClient(served.app)


@pytest.fixture
def key() -> str:
    return f"key-{uuid4().hex}"


def state_of(result: Any) -> str:
    """Return a state that may be any, which celery-types does not allow for."""
    return str(result.state)


def ended(result: AsyncResult[Any]) -> str:
    """Wait for a result, and return its state."""
    result.get(timeout=SOON, propagate=False)
    return result.state


def signals_of(served: Served, task_id: str) -> list[list[Any]]:
    """Return the signals of a task that the worker sent so far: name, name of the sender, details."""
    return [json.loads(line) for line in served.worker.noted(f"signals-{task_id}")]


def signals_until(served: Served, task_id: str, *last: Any) -> list[list[Any]]:
    """Return the signals of a task up to one that is its last."""
    assert eventually(
        lambda: [one for one in signals_of(served, task_id) if [one[0], *one[2:]][: len(last)] == [*last]]
    )
    return signals_of(served, task_id)


def published(served: Served, task_id: str) -> list[tuple[bool, float | None]]:
    """Return, for each message that the worker published for a task, whether it held the loop, and when it is due."""
    lines = [json.loads(line) for line in served.worker.noted(f"published-{task_id}")]
    return [(held_loop, left) for held_loop, left in lines]


def nothing_is_left(served: Served) -> bool:
    return bool(eventually(lambda: served.site.waiting_messages() == 0, SECONDS))


def revoke(served: Served, task_id: str) -> None:
    """Revoke a task that may be running, and wait for the worker's answer."""
    node = [served.worker.node]
    served.app.control.revoke(task_id, terminate=True, destination=node, reply=True, timeout=SECONDS)


# How it ends


def test_a_task_that_returns_succeeds(engine: EngineClient) -> None:
    result = engine.succeed(41)
    assert result.get(timeout=SOON) == 42
    assert result.state == states.SUCCESS


def test_the_stored_traceback_of_a_failure_shows_the_frames_of_the_user(engine: EngineClient) -> None:
    result = engine.fail("out of ink")
    assert ended(result) == states.FAILURE
    assert isinstance(result.result, RemoteError)
    assert result.result.remote_type.endswith("EngineError")
    shown = str(result.traceback)
    cause, _, failure = shown.partition("The above exception was the direct cause of the following exception")
    assert "raise KeyError(text)" in cause
    method, _, function = failure.partition(", in fail\n")
    assert "engine_worker.py" in method
    assert "dig(text)" in function
    assert ", in dig\n" in function
    assert "raise EngineError(text) from error" in function
    assert function.rstrip().endswith("EngineError: out of ink")


def test_a_task_that_raises_ignore_stores_no_outcome_and_its_message_is_gone(
    served: Served, engine: EngineClient, key: str
) -> None:
    result = engine.ignore(key)
    signals_until(served, result.id, "postrun", "IGNORED")
    assert nothing_is_left(served)
    assert result.state == states.STARTED
    assert served.worker.noted(key) == ["ran"]


def test_a_task_that_rejects_its_message_fails_and_the_message_is_gone(
    served: Served, engine: EngineClient, key: str
) -> None:
    result = engine.reject(key)
    with pytest.raises(Reject, match="not this one"):
        result.get(timeout=SOON)
    assert result.state == states.FAILURE
    assert nothing_is_left(served)
    assert served.worker.noted(key) == ["ran"]


def test_a_task_that_rejects_with_requeue_is_delivered_again_and_told_so(
    served: Served, engine: EngineClient, key: str
) -> None:
    assert engine.requeue(key).get(timeout=SOON) == 2
    assert [line.split()[0] for line in served.worker.noted(key)] == ["False", "True"]
    assert nothing_is_left(served)


def test_a_second_delivery_has_the_headers_of_the_first(served: Served, engine: EngineClient, key: str) -> None:
    engine.requeue.with_options(headers={"x-shop": "north"})(key).get(timeout=SOON)
    first, second = (line.partition(" ")[2] for line in served.worker.noted(key))
    assert first == second
    assert "x-shop" in first


# Acknowledgements


def is_acknowledged(served: Served, task_id: str) -> bool | None:
    """Return what the worker tells of the message of a task that it executes."""
    inspect = served.app.control.inspect(destination=[served.worker.node], timeout=SECONDS)
    active: Any = (inspect.active() or {}).get(served.worker.node, [])
    return next((bool(one["acknowledged"]) for one in active if one["id"] == task_id), None)


def test_a_message_is_acknowledged_as_soon_as_its_task_starts(served: Served, engine: EngineClient, key: str) -> None:
    assert nothing_is_left(served)
    result = engine.hold(key)
    assert eventually(lambda: served.worker.noted(f"{key}-started"), SECONDS)
    assert eventually(lambda: is_acknowledged(served, result.id), SECONDS) is True
    # On Redis, this counts what is not acknowledged.
    assert nothing_is_left(served)
    served.worker.note(key)
    assert result.get(timeout=SOON) == key


def test_a_message_is_acknowledged_only_after_its_task_where_acks_are_late(
    served: Served, engine: EngineClient, key: str
) -> None:
    assert nothing_is_left(served)
    result = engine.hold_late(key)
    assert eventually(lambda: served.worker.noted(f"{key}-started"), SECONDS)
    assert is_acknowledged(served, result.id) is False
    assert served.site.waiting_messages() == (1 if served.transport == "redis" else 0)
    served.worker.note(key)
    assert result.get(timeout=SOON) == key
    assert nothing_is_left(served)
    assert eventually(lambda: is_acknowledged(served, result.id) is None, SECONDS)


# Retries


def test_the_context_retries_after_a_countdown_that_is_a_duration(
    served: Served, engine: EngineClient, key: str
) -> None:
    result = engine.retry_by_context(key, timedelta(seconds=0.3))
    becomes(lambda: result.state, states.RETRY, SECONDS)
    assert "not yet" in str(result.result)
    served.worker.note(key)
    assert result.get(timeout=SOON) == 1
    first, second = map(float, served.worker.noted(f"{key}-runs"))
    assert second - first >= 0.25
    ((held_loop, left),) = published(served, result.id)
    assert not held_loop
    assert left is not None
    assert left <= 0.3


def test_the_current_task_of_celery_retries_and_publishes_nothing_on_the_loop(
    served: Served, engine: EngineClient, key: str
) -> None:
    result = engine.retry_by_celery(key, 3)
    assert result.get(timeout=SOON) == 3
    assert len(served.worker.noted(key)) == 4
    assert [held_loop for held_loop, _ in published(served, result.id)] == [False] * 3


def test_autoretry_backs_off_and_gives_up_after_max_retries(served: Served, engine: EngineClient, key: str) -> None:
    result = engine.back_off(key)
    with pytest.raises(RemoteError, match=key) as caught:
        result.get(timeout=SOON)
    assert caught.value.remote_type.endswith("EngineError")
    assert result.state == states.FAILURE
    runs = [float(line) for line in served.worker.noted(key)]
    assert len(runs) == 3
    assert runs[1] - runs[0] >= 0.95
    assert runs[2] - runs[1] >= 1.95
    sent = published(served, result.id)
    assert [left is not None and left <= most for (_, left), most in zip(sent, (1, 2), strict=True)] == [True, True]
    assert [held_loop for held_loop, _ in sent] == [False, False]


def test_a_payload_that_does_not_fit_is_never_retried(served: Served, key: str) -> None:
    sent = served.plain.send_task("engine.retry_anything", kwargs={"key": key, "number": "many"})
    with pytest.raises(PayloadError, match=r"engine\.retry_anything: number: "):
        sent.get(timeout=SECONDS)
    assert sent.state == states.FAILURE
    names = [name for name, *_ in signals_until(served, sent.id, "postrun")]
    assert names == ["prerun", "failure", "postrun"]
    assert published(served, sent.id) == []
    assert served.worker.noted(key) == []


def test_each_of_twenty_interleaved_executions_has_its_own_max_retries(
    served: Served, engine: EngineClient, key: str
) -> None:
    limits = [number % 4 for number in range(STARTED_EVERYWHERE)]
    results = [
        engine.retry_at_most(f"{key}-{number}", limit, key, STARTED_EVERYWHERE) for number, limit in enumerate(limits)
    ]
    for result in results:
        with pytest.raises(MaxRetriesExceededError):
            result.get(timeout=SOON)
    assert [len(served.worker.noted(f"{key}-{number}")) for number in range(len(limits))] == [
        limit + 1 for limit in limits
    ]


def test_each_of_twenty_interleaved_executions_has_its_own_max_retries_beside_autoretry(
    served: Served, engine: EngineClient, key: str
) -> None:
    limits = [number % 4 for number in range(STARTED_EVERYWHERE)]
    results = [
        engine.retry_or_auto(f"{key}-{number}", limit, key, STARTED_EVERYWHERE) for number, limit in enumerate(limits)
    ]
    for number, result in enumerate(results):
        with pytest.raises(Exception, match=f"EngineError: {key}-{number}; "):
            result.get(timeout=SOON)
        assert result.state == states.FAILURE
    assert [len(served.worker.noted(f"{key}-{number}")) for number in range(len(limits))] == [
        limit + 1 for limit in limits
    ]


# Progress


def test_progress_is_seen_by_the_client_as_a_state_with_a_payload(
    served: Served, engine: EngineClient, key: str
) -> None:
    result = engine.report(key)
    becomes(lambda: state_of(result), "PROGRESS", SECONDS)
    assert result.info == {"done": 1, "of": "2"}
    served.worker.note(f"{key}-1")
    becomes(lambda: state_of(result), "HALFWAY", SECONDS)
    assert result.info == "half"
    served.worker.note(f"{key}-2")
    assert result.get(timeout=SOON) == key
    assert result.state == states.SUCCESS


@pytest.mark.parametrize("end", ["return", "raise"])
def test_progress_never_comes_after_the_final_result(served: Served, engine: EngineClient, end: Any) -> None:
    results = [engine.report_often(12, end) for _ in range(STARTED_EVERYWHERE)]
    wanted = {states.SUCCESS if end == "return" else states.FAILURE}
    assert {ended(result) for result in results} == wanted
    for result in results:
        signals_until(served, result.id, "postrun")
    assert nothing_is_left(served)
    # Read anew: a handle keeps the final state that it has seen.
    assert {served.plain.AsyncResult(result.id).state for result in results} == wanted


def test_progress_never_comes_after_a_revocation(served: Served, engine: EngineClient, key: str) -> None:
    result = engine.report_for_ever(key)
    assert eventually(lambda: served.worker.noted(f"{key}-started"), SECONDS)
    revoke(served, result.id)
    signals_until(served, result.id, "postrun")
    signals_until(served, result.id, "revoked")
    assert served.worker.noted(f"{key}-cancelled") == ["True"]
    assert state_of(served.plain.AsyncResult(result.id)) == states.REVOKED


def stored_all(served: Served, task_id: str, times: int) -> bool:
    return eventually(lambda: len(served.worker.noted(f"reported-{task_id}")) == times, SECONDS)


@pytest.mark.parametrize("end", ["return", "raise"])
def test_progress_that_is_stored_while_its_task_ends_does_not_replace_the_result(
    served: Served, engine: EngineClient, end: Any
) -> None:
    results = [engine.report_at_once(6, end) for _ in range(STARTED_EVERYWHERE)]
    wanted = {states.SUCCESS if end == "return" else states.FAILURE}
    assert {ended(result) for result in results} == wanted
    for result in results:
        signals_until(served, result.id, "postrun")
        assert stored_all(served, result.id, 6)
    assert {served.plain.AsyncResult(result.id).state for result in results} == wanted


@pytest.mark.parametrize("end", ["return", "raise"])
def test_progress_of_a_background_task_that_outlives_its_task_does_not_replace_the_result(
    served: Served, engine: EngineClient, key: str, end: Any
) -> None:
    result = engine.report_afterwards(key, end)
    wanted = states.SUCCESS if end == "return" else states.FAILURE
    assert ended(result) == wanted
    signals_until(served, result.id, "postrun")
    served.worker.note(key)
    assert eventually(lambda: served.worker.noted(f"{key}-reported"), SECONDS)
    assert served.plain.AsyncResult(result.id).state == wanted


# What a task knows of its execution


def test_the_context_tells_what_the_sender_said(served: Served, engine: EngineClient) -> None:
    task_id = str(uuid4())
    eta = datetime.now(UTC) - timedelta(seconds=1)
    expires = datetime.now(UTC) + timedelta(hours=1)
    call = engine.look.with_options(task_id=task_id, headers={"x-shop": "north"}, eta=eta, expires=expires)
    seen = call().get(timeout=SOON)
    assert (seen.id, seen.correlation_id, seen.name) == (task_id, task_id, "engine.look")
    assert (seen.root_id, seen.parent_id, seen.group_id) == (task_id, None, None)
    assert (seen.eta, seen.expires) == (eta, expires)
    assert (seen.routing_key, seen.redelivered) == (served.site.queue, False)
    assert (seen.retries, seen.max_retries, seen.cancelled) == (0, 3, False)
    assert seen.headers["x-shop"] == "north"


def test_the_headers_of_the_context_are_those_that_the_sender_added(engine: EngineClient) -> None:
    assert engine.look.with_options(headers={"x-shop": "north"})().get(timeout=SOON).headers == {"x-shop": "north"}
    assert engine.look().get(timeout=SOON).headers == {}


def test_the_context_knows_no_limits_where_there_are_none(engine: EngineClient) -> None:
    seen = engine.look().get(timeout=SOON)
    assert (seen.time_limit, seen.soft_time_limit, seen.deadline, seen.time_left) == (None, None, None, None)
    assert (seen.eta, seen.expires) == (None, None)


def test_the_context_tells_the_limits_of_the_task_and_how_much_of_them_is_left(engine: EngineClient) -> None:
    before = datetime.now(UTC)
    seen = engine.look_limited().get(timeout=SOON)
    after = datetime.now(UTC)
    assert (seen.time_limit, seen.soft_time_limit) == (timedelta(seconds=50), timedelta(seconds=40))
    assert seen.time_left is not None
    assert seen.deadline is not None
    assert timedelta(0) < seen.time_left <= timedelta(seconds=40)
    assert before + timedelta(seconds=39) < seen.deadline < after + timedelta(seconds=41)
    assert seen.max_retries == 7


def test_the_context_tells_the_limits_of_the_call_before_those_of_the_task(engine: EngineClient) -> None:
    call = engine.look_limited.with_options(time_limit=timedelta(seconds=70), soft_time_limit=60)
    seen = call().get(timeout=SOON)
    assert (seen.time_limit, seen.soft_time_limit) == (timedelta(seconds=70), timedelta(seconds=60))
    assert seen.time_left is not None
    assert timedelta(seconds=40) < seen.time_left <= timedelta(seconds=60)


def test_the_context_tells_that_retries_have_no_end(engine: EngineClient) -> None:
    assert engine.look_patient().get(timeout=SOON).max_retries is None


PROPERTIES = sorted(name for name, value in vars(TaskContext).items() if isinstance(value, property))


@pytest.mark.parametrize("name", PROPERTIES)
def test_outside_a_task_the_context_says_where_to_use_it(name: str) -> None:
    with pytest.raises(ExecutionError, match="use it in a task's method, not in a constructor"):
        getattr(TaskContext(), name)


def test_outside_a_task_the_context_neither_retries_nor_reports() -> None:
    with pytest.raises(ExecutionError, match="use it in a task's method, not in a constructor"):
        asyncio.run(TaskContext().retry())
    with pytest.raises(ExecutionError, match="use it in a task's method, not in a constructor"):
        asyncio.run(TaskContext().progress(1))


# Signals


def test_signals_of_a_success_have_their_sender_and_id(served: Served, engine: EngineClient) -> None:
    result = engine.succeed(1)
    assert signals_until(served, result.id, "postrun") == [
        ["prerun", "engine.succeed", True, True],
        ["success", "engine.succeed"],
        ["postrun", "engine.succeed", "SUCCESS", True],
    ]


def test_signals_of_a_failure_have_their_sender_and_id(served: Served, engine: EngineClient) -> None:
    result = engine.fail("it must")
    assert signals_until(served, result.id, "postrun") == [
        ["prerun", "engine.fail", True, True],
        ["failure", "engine.fail", "EngineError", True],
        ["postrun", "engine.fail", "FAILURE", True],
    ]


def test_signals_of_a_retry_have_their_sender_and_id(served: Served, engine: EngineClient, key: str) -> None:
    served.worker.note(key)
    result = engine.retry_by_context(key, timedelta(0))
    result.get(timeout=SOON)
    name = "engine.retry_by_context"
    # The second run may begin before the first one has ended.
    assert sorted(signals_until(served, result.id, "postrun", "SUCCESS"), key=str) == sorted(
        [
            ["prerun", name, True, True],
            ["retry", name, "EngineError"],
            ["postrun", name, "RETRY", True],
            ["prerun", name, True, True],
            ["success", name],
            ["postrun", name, "SUCCESS", True],
        ],
        key=str,
    )


def test_a_retry_begins_when_the_run_that_asked_for_it_has_ended(
    served: Served, engine: EngineClient, key: str
) -> None:
    result = engine.retry_then_fail(key)
    name = "engine.retry_then_fail"
    assert signals_until(served, result.id, "postrun", "FAILURE") == [
        ["prerun", name, True, True],
        ["retry", name, "NoneType"],
        ["postrun", name, "RETRY", True],
        ["prerun", name, True, True],
        ["failure", name, "EngineError", True],
        ["postrun", name, "FAILURE", True],
    ]
    assert served.plain.AsyncResult(result.id).state == states.FAILURE


def test_signals_of_a_revoked_task_have_their_sender_and_id(served: Served, engine: EngineClient, key: str) -> None:
    result = engine.hold(key)
    assert eventually(lambda: served.worker.noted(f"{key}-started"), SECONDS)
    revoke(served, result.id)
    with pytest.raises(TaskRevokedError):
        result.get(timeout=SOON)
    assert state_of(result) == states.REVOKED
    found = signals_until(served, result.id, "postrun")
    assert [one for one in found if one[0] == "revoked"] == [["revoked", "engine.hold", True]]
    assert {one[0] for one in found} == {"prerun", "revoked", "postrun"}


def test_an_error_outside_the_body_sends_the_internal_error_signal(served: Served, engine: EngineClient) -> None:
    broken = served.app.signature("engine.succeed", (1,), options={"countdown": "soon"})
    result = engine.succeed.with_options(link=broken)(1)
    assert ended(result) == states.FAILURE
    found = signals_until(served, result.id, "internal_error")
    assert ["internal_error", "engine.succeed", "TypeError"] in found
    assert engine.succeed(1).get(timeout=SOON) == 2


def test_a_context_variable_set_before_the_task_is_seen_in_it_and_reset_after_it(
    served: Served, engine: EngineClient, key: str
) -> None:
    results = [engine.marks(key, STARTED_EVERYWHERE) for _ in range(STARTED_EVERYWHERE)]
    for result in results:
        mark = f"mark of {result.id}"
        assert result.get(timeout=SOON) == Marks(body=mark, child_task=mark, thread=mark)
    for result in results:
        signals_until(served, result.id, "postrun")
        assert served.worker.noted(f"mark-{result.id}") == [f"mark of {result.id}, then unmarked"]
