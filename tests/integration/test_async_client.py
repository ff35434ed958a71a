"""The client on event loops: nothing blocks them, one subscription serves all, nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import TaskRevokedError
from celery.signals import before_task_publish

from pico_celery import AsyncResult, CelerySettings, PayloadError, create_app
from pico_celery.client.results import hub as hubs
from pico_celery.client.results.hub import hub_of
from tests.integration.apps.contracts import Probe
from tests.integration.conftest import Served, ShareWorker, matrix
from tests.support.models import Line, Order, Receipt
from tests.support.processes import ROOT
from tests.support.sites import close_app
from tests.support.waiting import eventually

SOON = 20
ORDER = Order(number=7, lines=[Line(sku="pen", quantity=2, price=Decimal("1.10"))])
RECEIPT = Receipt(number=7, total=Decimal("2.20"))
OWN_THREADS = {"pico-celery-results", "pico-celery-publisher"}


@pytest.fixture(
    scope="module",
    params=matrix(("async", "redis"), ("async", "rabbitmq"), ("async", "rabbitmq-rpc"), app="contract_worker"),
)
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("contract_worker", pool, transport) as started:
        yield started


def own_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()} & OWN_THREADS


async def value(result: AsyncResult[Any]) -> Any:
    return await result


def numbered(number: int) -> Order:
    return ORDER.model_copy(update={"number": number})


def test_no_call_is_published_on_the_event_loop(served: Served) -> None:
    published_on: list[int] = []

    def see(**_: object) -> None:
        published_on.append(threading.get_ident())

    async def call() -> int:
        assert await served.shop.place(ORDER) == RECEIPT
        assert await (await served.shop.place.asend(ORDER)) == RECEIPT
        assert await value((await served.shop.place.asend_many([ORDER]))[0]) == RECEIPT
        assert await value(served.shop.place.send_many([ORDER])[0]) == RECEIPT
        return threading.get_ident()

    before_task_publish.connect(see)
    try:
        loop_thread = asyncio.run(asyncio.wait_for(call(), SOON))
    finally:
        before_task_publish.disconnect(see)
    assert len(published_on) == 4
    assert loop_thread not in published_on


def test_hundreds_of_calls_at_once_take_two_threads(served: Served) -> None:
    seen: set[str] = set()

    async def call(number: int) -> int:
        receipt = await served.shop.place(numbered(number))
        seen.update(thread.name for thread in threading.enumerate())
        return receipt.number

    async def call_all() -> list[int]:
        return list(await asyncio.gather(*[call(number) for number in range(300)]))

    before = {thread.name for thread in threading.enumerate()}
    assert asyncio.run(asyncio.wait_for(call_all(), 60)) == list(range(300))
    assert {name for name in seen - before if "asyncio" not in name} <= OWN_THREADS


def test_calls_are_published_in_their_order(served: Served) -> None:
    sent: list[str] = []

    def see(headers: dict[str, Any], **_: object) -> None:
        sent.append(headers["id"])

    async def call() -> list[str]:
        results = [served.shop.place(numbered(number)) for number in range(40)]
        await asyncio.gather(*map(value, results))
        return [result.id for result in results]

    before_task_publish.connect(see)
    try:
        ids = asyncio.run(asyncio.wait_for(call(), SOON))
    finally:
        before_task_publish.disconnect(see)
    assert sent == ids


def test_a_result_that_came_before_it_is_awaited_is_there(served: Served) -> None:
    async def call() -> Receipt:
        await served.shop.place(ORDER)  # the process listens now
        result = await served.shop.place.asend(ORDER)
        assert await asyncio.to_thread(
            eventually, lambda: f"shop.place[{result.id}] succeeded" in served.worker.log, SOON
        )
        return await result

    assert asyncio.run(asyncio.wait_for(call(), SOON)) == RECEIPT


def test_a_result_may_be_awaited_by_many(served: Served) -> None:
    async def call() -> list[Receipt]:
        result = served.shop.place(ORDER)
        return list(await asyncio.gather(*[value(result) for _ in range(5)]))

    assert asyncio.run(asyncio.wait_for(call(), SOON)) == [RECEIPT] * 5


def test_a_call_of_a_running_loop_may_be_waited_for_in_another_thread(served: Served) -> None:
    async def call() -> Receipt:
        result = served.shop.place(ORDER)
        return await asyncio.to_thread(result.get, timeout=SOON)

    assert asyncio.run(asyncio.wait_for(call(), SOON)) == RECEIPT


def test_ids_that_the_process_did_not_make_are_heard_of_too(served: Served) -> None:
    async def call() -> list[Receipt]:
        await served.shop.place(ORDER)
        chosen = [served.shop.place.with_options(task_id=str(uuid4()))(ORDER) for _ in range(10)]
        return list(await asyncio.gather(*map(value, chosen)))

    began = time.monotonic()
    assert asyncio.run(asyncio.wait_for(call(), SOON)) == [RECEIPT] * 10
    assert time.monotonic() - began < 4  # by notification, not by the look for what was lost


def test_a_process_may_await_what_another_one_sent(served: Served) -> None:
    if not served.keeps_results:
        pytest.skip("rpc:// delivers a result once, to its caller")
    key = f"other-{uuid4().hex}"
    app = create_app(CelerySettings.of(served.site.settings()))

    async def call() -> tuple[str, str]:
        first = served.probe.hold(key)
        again = AsyncResult.of(Probe.hold, first.id, app)
        waiting = asyncio.ensure_future(value(again))
        await asyncio.sleep(0)
        served.worker.note(key)
        return await first, await waiting

    try:
        assert asyncio.run(asyncio.wait_for(call(), SOON)) == (key, key)
    finally:
        close_app(app)


def test_cancelled_and_timed_out_waits_leave_nothing_behind(served: Served) -> None:
    keys = [f"gone-{uuid4().hex}" for _ in range(20)]

    async def give_up(key: str) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await served.probe.hold(key)

    async def call() -> None:
        await asyncio.gather(*map(give_up, keys))

    asyncio.run(asyncio.wait_for(call(), SOON))
    for key in keys:
        served.worker.note(key)
    gc.collect()
    assert eventually(lambda: not own_threads(), 10)
    if served.site.settings()["result_backend"].startswith("redis"):
        store: Any = served.app.backend
        hub = hub_of(served.app)
        assert store.client.pubsub_channels(f"{served.site.prefix}*") == []
        # Whoever listened to the pattern would hear this.
        assert store.client.publish(store.get_key_for_task(hub.ids.new()), b"") == 0


def test_the_client_wakes_again_after_it_was_idle(served: Served) -> None:
    for _ in range(2):
        assert asyncio.run(asyncio.wait_for(value_of(served), SOON)) == RECEIPT
        assert eventually(lambda: not own_threads(), 10)


async def value_of(served: Served) -> Receipt:
    return await served.shop.place(ORDER)


def test_a_call_that_comes_as_the_client_falls_idle_is_heard_of(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hubs, "_LINGER_SECONDS", 0.1)
    for _ in range(5):
        assert eventually(lambda: hub_of(served.app)._thread is None, SOON)
        assert served.shop.place(ORDER).get(timeout=SOON) == RECEIPT


def test_a_forked_process_has_a_client_of_its_own(served: Served) -> None:
    assert served.shop.place(ORDER).get(timeout=SOON) == RECEIPT
    pid = os.fork()
    if pid == 0:  # the child: no pytest from here on
        status = 1
        try:
            awaited = asyncio.run(asyncio.wait_for(value_of(served), SOON))
            status = 0 if awaited == served.shop.place(ORDER).get(timeout=SOON) == RECEIPT else 2
        finally:
            os._exit(status)
    waited, status = os.waitpid(pid, 0)
    assert (waited, os.waitstatus_to_exitcode(status)) == (pid, 0)
    assert served.shop.place(ORDER).get(timeout=SOON) == RECEIPT
    assert asyncio.run(asyncio.wait_for(value_of(served), SOON)) == RECEIPT


SCRIPT = """
import asyncio, json, os, sys
from decimal import Decimal
from pico_celery import CelerySettings, create_app
from tests.integration.apps.clients import ProbeClient, ShopClient
from tests.integration.apps.contracts import Line, Order

app = create_app(CelerySettings.of(json.loads(os.environ["SITE"])))
shop, probe = ShopClient(app), ProbeClient(app)
order = Order(number=7, lines=[Line(sku="pen", quantity=2, price=Decimal("1.10"))])

async def main():
    print((await shop.place(order)).total)
    waiting = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    for number in range(20):
        shop.cancel(number + int(sys.argv[1]))

async def wait():
    await probe.hold("never-" + sys.argv[1], seconds=1)

asyncio.run(main())
"""


def test_a_script_ends_at_once_without_noise_and_has_sent_all_it_called(served: Served, tmp_path: Path) -> None:
    base = uuid4().int % 10**8
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    environment = {
        **os.environ,
        "SITE": json.dumps(dict(served.site.settings())),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "contracts")]),
        "PYTHONWARNINGS": "default",
    }
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(path), str(base)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "2.20\n"), done.stderr
    noise = [line for line in done.stderr.splitlines() if "ResourceWarning" not in line and line[:1] != " "]
    assert noise == []
    assert time.monotonic() - began < 2 * SOON
    assert eventually(lambda: all(served.worker.noted(f"cancel-{base + number}") for number in range(20)), SOON)


def test_a_wrong_payload_is_refused_by_the_call_on_a_loop_too(served: Served) -> None:
    async def call() -> None:
        served.shop.place({"number": "seven"})  # type: ignore[arg-type]

    with pytest.raises(PayloadError, match=r"shop\.place: order\.number"):
        asyncio.run(call())


def test_a_revoked_call_is_told_to_who_awaits_it(served: Served) -> None:
    async def call() -> None:
        result = await served.shop.cancel.with_options(countdown=9).asend(uuid4().int % 10**9)
        revoke = served.app.control.revoke
        assert await asyncio.to_thread(
            eventually,
            lambda: revoke(result.id, destination=[served.worker.node], reply=True, timeout=2),
        )
        await result

    with pytest.raises(TaskRevokedError):
        asyncio.run(asyncio.wait_for(call(), 30))
