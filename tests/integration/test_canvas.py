"""Typed workflows end to end: under the library's pool and stock ones, on Redis and RabbitMQ, and on plain workers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery.canvas import Signature
from celery.exceptions import TimeoutError as CeleryTimeoutError
from kombu.utils.json import dumps
from pydantic import SecretStr

from pico_celery import CompositionError, PayloadError, chord, group
from tests.integration.apps.canvas_contracts import FlowsClient, Item, Parcel
from tests.integration.conftest import Served, ShareWorker, StartWorker, usual
from tests.support.waiting import becomes

SOON = timedelta(seconds=30)
PLACES = (("async", "redis"), ("async", "rabbitmq"), ("processes", "redis"), ("processes", "rabbitmq"))


@pytest.fixture(scope="module", params=usual(*PLACES, app="canvas_worker"))
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("canvas_worker", pool, transport) as started:
        yield started


@pytest.fixture
def flows(served: Served) -> FlowsClient:
    return FlowsClient(served.app)


def test_a_chain_hands_typed_results_on_and_returns_the_last(served: Served, flows: FlowsClient) -> None:
    workflow = flows.make.s(7) | flows.tag.partial("new", twice=True) | flows.tag.partial("sold")
    result = workflow.delay()
    assert result.get(timeout=SOON) == Item(number=7, tags=["new", "new", "sold"])
    before: Any = result.parent
    assert before.get(timeout=SOON) == Item(number=7, tags=["new", "new"])
    assert before.parent.get(timeout=SOON) == Item(number=7)
    for one in (result, before, before.parent):
        assert served.worker.noted(f"digest-{one.id}") == ["True"]


def test_then_is_the_same_as_a_chain(flows: FlowsClient) -> None:
    result = flows.make.s(7).then(flows.tag, "new").then(flows.number).delay()
    assert result.get(timeout=SOON) == 7


def test_a_part_runs_with_the_argument_that_it_is_sent_with(flows: FlowsClient) -> None:
    blob = b"\xff\x00\x80"
    assert (flows.reverse.s() | flows.reverse.s()).delay(blob).get(timeout=SOON) == blob
    assert group([flows.reverse.s(), flows.reverse.s()]).delay(blob).get(timeout=SOON) == [blob[::-1]] * 2
    assert flows.tag.partial("new").delay(Item(number=1)).get(timeout=SOON) == Item(number=1, tags=["new"])


def test_an_immutable_signature_ignores_the_result_before_it(flows: FlowsClient) -> None:
    result = (flows.make.s(7) | flows.make.si(8) | flows.number.s()).delay()
    assert result.get(timeout=SOON) == 8


def test_what_json_mode_alone_reads_goes_through_every_kind_of_workflow(flows: FlowsClient) -> None:
    blob = b"\xff\x00\x80"
    assert (flows.reverse.s(blob) | flows.reverse.s()).delay().get(timeout=SOON) == blob
    assert (flows.reverse.map([blob, blob]) | flows.glue.s()).delay().get(timeout=SOON) == blob[::-1] * 2
    assert (flows.make.s(3) | flows.pack.s()).delay().get(timeout=SOON) == Parcel(number=3, blob=b"\x03")
    packed = group([flows.make.s(number) | flows.pack.s() for number in range(3)])
    assert (packed | flows.weigh.s()).delay().get(timeout=SOON) == 3


def test_a_group_returns_a_list_and_named_parts_a_tuple(flows: FlowsClient) -> None:
    assert flows.make.map(range(5)).delay().get(timeout=SOON) == [Item(number=number) for number in range(5)]
    sent = group(flows.make.s(1), flows.make.s(2) | flows.number.s()).delay()
    assert sent.get(timeout=SOON) == (Item(number=1), 2)
    assert sent[0].get(timeout=SOON) == Item(number=1)


def test_a_chord_gives_its_body_the_list_or_the_tuple(flows: FlowsClient) -> None:
    assert (flows.make.map(range(5)) | flows.total.s()).delay().get(timeout=SOON) == 10
    assert (flows.make.map([5]) | flows.total.s()).delay().get(timeout=SOON) == 5
    assert chord([flows.make.s(1), flows.make.s(2)], flows.total.s()).delay().get(timeout=SOON) == 3
    both = group(flows.make.s(1), flows.make.s(2) | flows.number.s()) | flows.both.s()
    assert both.delay().get(timeout=SOON) == "1 and 2"


def test_a_group_in_a_chain_gets_the_result_before_it(flows: FlowsClient) -> None:
    forked = flows.make.s(4) | group(flows.tag.partial("left"), flows.number.s())
    assert forked.delay().get(timeout=SOON) == (Item(number=4, tags=["left"]), 4)
    one = flows.make.s(4) | group([flows.tag.partial("only")])
    assert one.delay().get(timeout=SOON) == [Item(number=4, tags=["only"])]
    joined = flows.make.s(4) | group([flows.tag.partial("left"), flows.tag.partial("right")]) | flows.total.s()
    assert joined.delay().get(timeout=SOON) == 8
    of_one = flows.make.s(4) | group([flows.tag.partial("only")]) | flows.total.s()
    assert of_one.delay().get(timeout=SOON) == 4


def test_workflows_nest(flows: FlowsClient) -> None:
    inner = flows.make.map([1, 2]) | flows.total.s() | flows.make.s()
    outer = group([inner, flows.make.s(10), flows.make.s(5) | flows.tag.partial("x")]) | flows.total.s()
    assert outer.delay().get(timeout=SOON) == 18
    flat = group([flows.make.map([1, 2]), group([flows.make.s(3)])])
    assert [item.number for item in flat.delay().get(timeout=SOON)] == [1, 2, 3]
    twice = flows.make.map([1, 2]) | flows.total.s() | flows.make.s() | group([flows.number.s(), flows.number.s()])
    assert twice.delay().get(timeout=SOON) == [3, 3]


def test_a_workflow_can_be_sent_again_and_each_time_runs_anew(flows: FlowsClient) -> None:
    workflow = flows.make.s(4) | group([flows.tag.partial("a"), flows.tag.partial("b")]) | flows.total.s()
    first, second = workflow.delay(), workflow.delay()
    assert first.id != second.id
    assert (first.get(timeout=SOON), second.get(timeout=SOON)) == (8, 8)


def test_results_are_awaited_and_come_as_they_complete(served: Served, flows: FlowsClient) -> None:
    key = f"late-{uuid4().hex}"

    async def run() -> list[str]:
        sent = await group([flows.wait.s(key), flows.wait.s(f"{key}-first")]).asend()
        served.worker.note(f"{key}-first")
        order = []
        async for member in sent:
            order.append(await member)
            served.worker.note(key)
        assert await sent == [key, f"{key}-first"]
        chain = await (flows.make.s(1) | flows.number.s()).asend()
        assert await chain == 1
        return order

    assert asyncio.run(asyncio.wait_for(run(), 30)) == [f"{key}-first", key]


def test_leaving_the_iteration_early_and_a_cancelled_wait_leave_the_tasks_alone(
    served: Served, flows: FlowsClient
) -> None:
    key = f"left-{uuid4().hex}"

    async def run() -> None:
        sent = await group([flows.wait.s(key), flows.wait.s(f"{key}-first")]).asend()
        served.worker.note(f"{key}-first")
        async for member in sent:
            assert await member == f"{key}-first"
            break
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await sent
        served.worker.note(key)
        assert await sent == [key, f"{key}-first"]

    asyncio.run(asyncio.wait_for(run(), 30))


def test_a_failure_is_raised_where_it_belongs(flows: FlowsClient) -> None:
    sent = group([flows.make.s(1), flows.make.s(2) | flows.fail.partial("out of ink"), flows.make.s(3)]).delay()
    with pytest.raises(Exception, match="out of ink 2"):
        sent.get(timeout=SOON)
    values: Any = sent.get(timeout=SOON, propagate=False)
    assert values[0] == Item(number=1)
    assert "out of ink" in str(values[1])
    assert values[2] == Item(number=3)

    async def run() -> list[str]:
        with pytest.raises(Exception, match="out of ink 2"):
            await sent
        return sorted([member.state async for member in sent])

    assert asyncio.run(asyncio.wait_for(run(), 30)) == ["FAILURE", "SUCCESS", "SUCCESS"]
    last = (flows.make.s(2) | flows.fail.partial("out of ink") | flows.number.s()).delay()
    with pytest.raises(Exception, match="out of ink 2"):
        last.get(timeout=SOON)
    body = (group([flows.make.s(1) | flows.fail.partial("no header")]) | flows.total.s()).delay()
    with pytest.raises(Exception, match="no header 1"):
        body.get(timeout=SOON)


def test_the_timeout_of_a_group_is_one_for_all_members(flows: FlowsClient) -> None:
    sent = group([flows.wait.s(f"never-{uuid4().hex}") for _ in range(8)]).delay()
    started = time.monotonic()
    with pytest.raises(CeleryTimeoutError):
        sent.get(timeout=1)
    assert time.monotonic() - started < 6
    sent.revoke(terminate=True)


def test_links_are_sent_with_the_result_or_the_id(served: Served, flows: FlowsClient) -> None:
    key = uuid4().hex
    signature = flows.make.s(5)
    signature.link(flows.note.si(f"{key}-linked"))
    signature.link(flows.tag.partial("linked"))
    assert signature.delay().get(timeout=SOON) == Item(number=5)
    becomes(lambda: served.worker.noted(f"noted-{key}-linked"), ["ran"])
    failing = flows.make.s(5) | flows.fail.partial("broken")
    failing.link_error(flows.tell.partial(f"{key}-failed"))
    result = failing.delay()
    becomes(lambda: served.worker.noted(f"{key}-failed"), [result.id])


def test_secrets_of_a_chain_arrive_and_stay_out_of_the_log(served: Served, flows: FlowsClient) -> None:
    secret = f"s{uuid4().hex}"
    result = (flows.hide.s(SecretStr(secret)) | flows.hide.s()).delay()
    assert result.get(timeout=SOON).get_secret_value() == secret * 4
    assert secret not in served.worker.log


def test_a_task_sends_workflows_and_awaits_them(flows: FlowsClient) -> None:
    assert flows.nested([1, 2, 3]).get(timeout=SOON) == [1, 2, 3, 6]


def test_what_plain_celery_reads_of_a_signature_it_sends(served: Served, flows: FlowsClient) -> None:
    workflow = flows.make.s(4) | group([flows.tag.partial("a"), flows.tag.partial("b")]) | flows.total.s()
    data = json.loads(dumps(workflow))
    for read in (Signature.from_dict(json.loads(json.dumps(data)), app=served.plain), served.plain.signature(data)):
        assert read.apply_async().get(timeout=30) == 8


def test_a_wrong_argument_from_a_plain_peer_is_the_failure_of_its_own_task(served: Served, flows: FlowsClient) -> None:
    chain: Any = served.plain.signature("flows.make", (1,)) | served.plain.signature("flows.tag", kwargs={"tag": 3})
    with pytest.raises(PayloadError, match="tag: expected str"):
        chain.apply_async().get(timeout=30)


@pytest.fixture(scope="module", params=usual(("processes", "redis"), ("threads", "rabbitmq")))
def plain_served(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    pool, transport = request.param
    with start_worker("plain_flows", pool, transport) as started:
        yield started


def test_a_plain_celery_worker_runs_every_kind_of_workflow(plain_served: Served) -> None:
    flows = FlowsClient(plain_served.app)
    chain = flows.make.s(7) | flows.tag.partial("new", twice=True)
    assert chain.delay().get(timeout=SOON) == Item(number=7, tags=["plain", "new", "new"])
    assert flows.make.map([1, 2]).delay().get(timeout=SOON) == [
        Item(number=1, tags=["plain"]),
        Item(number=2, tags=["plain"]),
    ]
    assert (flows.make.map([1, 2]) | flows.total.s() | flows.make.s()).delay().get(timeout=SOON).number == 3
    forked = flows.make.s(4) | group(flows.tag.partial("left"), flows.number.s())
    assert forked.delay().get(timeout=SOON) == (Item(number=4, tags=["plain", "left"]), 4)


@pytest.mark.rabbitmq
def test_without_a_backend_that_has_chords_groups_and_chains_run_and_chords_are_refused(
    start_worker: StartWorker,
) -> None:
    with start_worker("canvas_worker", "async", "rabbitmq-rpc") as served:
        flows = FlowsClient(served.app)
        assert (flows.make.s(1) | flows.number.s()).delay().get(timeout=SOON) == 1
        assert flows.make.map([1, 2]).delay().get(timeout=SOON) == [Item(number=1), Item(number=2)]
        with pytest.raises(CompositionError, match="rpc:// does not"):
            (flows.make.map([1, 2]) | flows.total.s()).delay()
