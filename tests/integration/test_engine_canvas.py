"""Tasks that follow, replace, send and await each other: workflows under the library's own pool."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery import chain, chord, group, states
from celery.canvas import Signature, chunks, xstarmap
from celery.exceptions import ChordError

from pico_celery import ExecutionError, RemoteError
from tests.integration.apps.engine_contracts import Call, FlowClient, Seen
from tests.integration.conftest import Served, ShareWorker, matrix
from tests.support.waiting import becomes

SECONDS = 40.0
SOON = timedelta(seconds=SECONDS)


@pytest.fixture(scope="module", params=matrix(("async", "redis"), ("async", "rabbitmq"), app="engine_worker"))
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("engine_worker", pool, transport) as started:
        yield started


@pytest.fixture
def flow(served: Served) -> FlowClient:
    return FlowClient(served.app)


class Parts:
    """Signatures of the tasks of the contract."""

    def __init__(self, served: Served) -> None:
        self._app = served.app

    def add(self, *args: int) -> Any:
        return self._app.signature("flow.add", args)

    def total(self) -> Signature[Any]:
        return self._app.signature("flow.total")

    def total_nested(self) -> Signature[Any]:
        return self._app.signature("flow.total_nested")

    def fail(self, text: str) -> Signature[Any]:
        return self._app.signature("flow.fail", (text,), immutable=True)

    def finish(self, key: str) -> Signature[Any]:
        return self._app.signature("flow.finish", kwargs={"key": key})

    def replace(self, *args: int) -> Signature[Any]:
        return self._app.signature("flow.replace", args)

    def replace_by_group(self, numbers: list[int]) -> Signature[Any]:
        return self._app.signature("flow.replace_by_group", (numbers,))

    def place(self) -> Signature[Any]:
        return self._app.signature("flow.place", immutable=True)


@pytest.fixture
def parts(served: Served) -> Parts:
    return Parts(served)


def held_loop(served: Served, *task_ids: str) -> list[bool]:
    """Return, for each message that the worker published for tasks, whether the event loop stood still for it."""
    lines = [line for task_id in task_ids for line in served.worker.noted(f"published-{task_id}")]
    return [json.loads(line)[0] for line in lines]


def send(workflow: Any) -> Any:
    """Send a workflow; its results have more of a family than celery-types knows of."""
    return workflow.apply_async()


# Workflows


def test_a_chain_hands_each_result_to_the_next_task(served: Served, parts: Parts) -> None:
    result = send(chain(parts.add(1, 2), parts.add(10), parts.add(100), app=served.app))
    assert result.get(timeout=SECONDS) == 113
    assert result.parent.get(timeout=SECONDS) == 13


def test_a_group_of_fifty_returns_fifty_results_in_order(served: Served, parts: Parts) -> None:
    result = send(group([parts.add(number, number) for number in range(50)], app=served.app))
    assert result.get(timeout=SECONDS) == [2 * number for number in range(50)]


def test_a_chord_of_fifty_hands_all_results_to_its_body(served: Served, parts: Parts) -> None:
    result = send(chord([parts.add(number, number) for number in range(50)], parts.total(), app=served.app))
    assert result.get(timeout=SECONDS) == 2 * sum(range(50))


def test_a_chord_with_a_failed_part_fails_and_its_body_does_not_run(served: Served, parts: Parts) -> None:
    key = f"body-{uuid4().hex}"
    header = [*[parts.add(number, 0) for number in range(5)], parts.fail("out of ink")]
    result = send(chord(header, parts.finish(key), app=served.app))
    with pytest.raises(Exception, match="out of ink"):
        result.get(timeout=SECONDS)
    becomes(lambda: result.state, states.FAILURE, SECONDS)
    assert isinstance(result.result, ChordError)
    assert "EngineError('out of ink')" in str(result.result)
    assert served.worker.noted(key) == []


def test_a_failed_task_of_a_chain_ends_the_chain(served: Served, parts: Parts) -> None:
    key = f"body-{uuid4().hex}"
    last = send(chain(parts.add(1, 2), parts.fail("out of ink"), parts.finish(key), app=served.app))
    with pytest.raises(Exception, match="out of ink"):
        last.get(timeout=SECONDS)
    becomes(lambda: last.state, states.FAILURE, SECONDS)
    assert last.parent.state == states.FAILURE
    assert last.parent.parent.state == states.SUCCESS
    assert served.worker.noted(key) == []


def test_a_group_in_a_chain_in_a_chord_brings_all_results_to_the_body(served: Served, parts: Parts) -> None:
    forked = [
        chain(parts.add(number, 1), group([parts.add(10), parts.add(20)], app=served.app), app=served.app)
        for number in range(3)
    ]
    result = send(chord([*forked, parts.add(1000, 0)], parts.total_nested(), app=served.app))
    assert result.get(timeout=SECONDS) == sum(2 * (number + 1) + 30 for number in range(3)) + 1000


def test_a_chord_in_a_chain_hands_on_the_result_of_its_body(served: Served, parts: Parts) -> None:
    fork = chord([parts.add(1), parts.add(2), parts.add(3)], parts.total(), app=served.app)
    result = send(chain(parts.add(1, 1), fork, parts.add(100), app=served.app))
    assert result.get(timeout=SECONDS) == 112


def test_starmap_runs_an_asynchronous_task_over_each_element(served: Served, parts: Parts) -> None:
    mapped = xstarmap(parts.add(), [(number, 1) for number in range(8)], app=served.app)
    assert send(mapped).get(timeout=SECONDS) == [number + 1 for number in range(8)]


def test_chunks_run_an_asynchronous_task_over_each_element(served: Served, parts: Parts) -> None:
    chunked = chunks(parts.add(), [(number, 1) for number in range(8)], 3, app=served.app)
    assert send(chunked).get(timeout=SECONDS) == [[1, 2, 3], [4, 5, 6], [7, 8]]


# Replacement


def test_a_task_replaces_itself_and_publishes_nothing_on_the_loop(served: Served, flow: FlowClient) -> None:
    result = flow.replace(2, 3)
    assert result.get(timeout=SOON) == 5
    assert held_loop(served, result.id) == [False]


def test_a_task_that_replaces_itself_in_a_chain_keeps_the_rest_of_the_chain(served: Served, parts: Parts) -> None:
    result = send(chain(parts.add(1, 1), parts.replace(3), parts.add(100), app=served.app))
    assert result.get(timeout=SECONDS) == 105


def test_a_task_that_replaces_itself_in_a_chord_counts_with_its_replacement(served: Served, parts: Parts) -> None:
    result = send(chord([parts.replace(number, 1) for number in range(5)], parts.total(), app=served.app))
    assert result.get(timeout=SECONDS) == 15


def test_a_task_replaces_itself_by_a_group(served: Served, parts: Parts) -> None:
    result = send(chain(parts.replace_by_group([1, 2, 3]), parts.total(), app=served.app))
    assert result.get(timeout=SECONDS) == 12


# Family


def test_tasks_of_a_chain_know_their_root_and_parent(served: Served, parts: Parts) -> None:
    last = send(chain(parts.place(), parts.place(), parts.place(), app=served.app))
    last.get(timeout=SECONDS)
    first, second, third = (
        Seen.model_validate(result.get(timeout=SECONDS)) for result in (last.parent.parent, last.parent, last)
    )
    assert (first.id, second.id, third.id) == (last.parent.parent.id, last.parent.id, last.id)
    assert [seen.root_id for seen in (first, second, third)] == [first.id] * 3
    assert [seen.parent_id for seen in (first, second, third)] == [None, first.id, second.id]


def test_tasks_of_a_group_in_a_chain_know_their_group_root_and_parent(served: Served, parts: Parts) -> None:
    workflow = chain(parts.place(), group([parts.place() for _ in range(5)], app=served.app), app=served.app)
    result = send(workflow)
    members = [Seen.model_validate(one) for one in result.get(timeout=SECONDS)]
    assert [seen.id for seen in members] == [one.id for one in result.results]
    assert {seen.group_id for seen in members} == {result.id}
    assert {(seen.root_id, seen.parent_id) for seen in members} == {(result.parent.id, result.parent.id)}


def test_a_task_that_a_body_sends_has_that_task_as_its_parent_and_root(flow: FlowClient) -> None:
    result: Any = flow.call()
    call: Call = result.get(timeout=SOON)
    assert (call.caller.id, call.caller.root_id, call.caller.parent_id) == (result.id, result.id, None)
    assert (call.called.root_id, call.called.parent_id) == (result.id, result.id)
    assert [child.id for child in result.children or []] == [call.called.id]


def test_a_task_that_a_body_of_a_chain_sends_has_the_root_of_the_chain(served: Served, parts: Parts) -> None:
    call = served.app.signature("flow.call", immutable=True)
    result = send(chain(parts.place(), call, app=served.app))
    found = result.get(timeout=SECONDS)
    assert found["called"]["root_id"] == found["caller"]["root_id"] == result.parent.id
    assert (found["caller"]["parent_id"], found["called"]["parent_id"]) == (result.parent.id, result.id)


# Calls from task to task


def test_a_body_awaits_the_typed_result_of_another_task_and_sends_it_off_the_loop(
    served: Served, flow: FlowClient
) -> None:
    results = [flow.call() for _ in range(20)]
    called = {result.get(timeout=SOON).called.id for result in results}
    assert len(called) == 20
    assert held_loop(served, *called) == [False] * 20


def test_get_in_a_body_is_an_error_that_says_to_await_and_the_worker_goes_on(served: Served, flow: FlowClient) -> None:
    for _ in range(3):
        with pytest.raises(ExecutionError, match=r"flow\.get waits for flow\.add\[.*await the result instead"):
            flow.get("ours").get(timeout=SOON)
    assert served.worker.alive
    assert flow.add(1, 2).get(timeout=SOON) == 3


def test_get_of_a_result_of_celery_in_a_body_is_an_error_and_the_worker_goes_on(
    served: Served, flow: FlowClient
) -> None:
    with pytest.raises(RemoteError, match=r"builtins\.RuntimeError: Never call result\.get\(\) within a task"):
        flow.get("celery").get(timeout=SOON)
    assert served.worker.alive
    assert flow.add(1, 2).get(timeout=SOON) == 3


def test_a_body_that_was_refused_get_may_await_the_same_result(flow: FlowClient) -> None:
    assert flow.get_then_await(3, 4).get(timeout=SOON) == 7
