"""Calls with one idempotency key are one call; calls that are safe to deliver twice are delivered again."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import TaskRevokedError
from kombu.exceptions import OperationalError
from redis import Redis

from pico_celery import CelerySettings, DeadlineExceeded, OptionError, RemoteError, create_app
from pico_celery.client.idempotency import CLAIM_SECONDS, IdempotencyKey, claim, confirm, release
from tests.integration.apps.time_contracts import TimesClient
from tests.integration.conftest import Served, ShareWorker, StartWorker, matrix, site_of
from tests.support.sites import Site, close_app
from tests.support.waiting import eventually

SOON = timedelta(seconds=30)
CALLERS = 20
FIVE_MINUTES = 300


@pytest.fixture(
    scope="module",
    params=matrix(
        ("async", "redis"), ("processes", "redis"), ("async", "rabbitmq"), ("async", "embedded"), app="time_worker"
    ),
)
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("time_worker", pool, transport) as started:
        yield started


@pytest.fixture(scope="module")
def times(served: Served) -> TimesClient:
    return TimesClient(served.app)


def new_order() -> int:
    return uuid4().int % 10**9


def new_key() -> str:
    return f"once-{uuid4().hex}"


def key_of(order: int, task: str = "time.once") -> IdempotencyKey:
    return IdempotencyKey(task=task, text=str(order))


def stored(app: Any, key: IdempotencyKey) -> tuple[str | None, float]:
    """Return who has a key, and for how many seconds."""
    backend = app.backend
    name = backend.get_key_for_task(key.name)
    holder = backend.client.get(name)
    return holder.decode() if holder else None, backend.client.pttl(name) / 1000


def test_many_callers_at_once_with_one_key_make_one_call(served: Served, times: TimesClient) -> None:
    order = new_order()
    ready = threading.Barrier(CALLERS)

    def call(_: int) -> tuple[str, int]:
        ready.wait(30)
        result = times.once(order)
        return result.id, result.get(timeout=SOON)

    with ThreadPoolExecutor(CALLERS) as threads:
        outcomes = set(threads.map(call, range(CALLERS)))
    assert len(outcomes) == 1
    assert outcomes.pop()[1] == 1
    assert served.worker.noted(f"once-{order}") == ["ran"]


def test_a_second_call_waits_for_the_first_while_it_runs(served: Served, times: TimesClient) -> None:
    order, key = new_order(), new_key()
    first = times.once_held(order, key)
    assert eventually(lambda: bool(served.worker.noted(f"{key}-started")))
    second = times.once_held(order, key)
    assert second.id == first.id
    served.worker.note(key)
    assert (first.get(timeout=SOON), second.get(timeout=SOON)) == (1, 1)


def test_calls_from_the_bodies_of_tasks_know_the_same_keys(times: TimesClient) -> None:
    order = new_order()
    ids = {times.relay(order).get(timeout=SOON) for _ in range(4)}
    assert ids == {times.once(order).id}


def test_an_awaited_call_with_a_key_is_the_same_call(times: TimesClient) -> None:
    order = new_order()

    async def both() -> list[int]:
        first = await times.once.asend(order)
        return [await first, await times.once.acall(order), await (await times.once.asend(order))]

    assert asyncio.run(both()) == [1, 1, 1]


def test_leaving_a_scope_does_not_revoke_the_call_of_another(served: Served, times: TimesClient) -> None:
    order, key = new_order(), new_key()
    first = times.once_held(order, key)
    assert eventually(lambda: bool(served.worker.noted(f"{key}-started")))

    async def leave() -> str:
        async with times.once_held.scope(order, key) as result:
            return result.id

    assert asyncio.run(leave()) == first.id
    served.worker.note(key)
    assert first.get(timeout=SOON) == 1


def test_another_key_or_another_task_is_another_call(times: TimesClient) -> None:
    order = new_order()
    ids = {
        times.once(order).id,
        times.once(new_order()).id,
        times.once.with_options(idempotency_key=new_key())(order).id,
        times.relay.with_options(idempotency_key=str(order))(new_order()).id,
    }
    assert len(ids) == 4
    assert times.once.with_options(idempotency_key=str(order))(new_order()).id in ids


def test_a_call_that_failed_is_the_first_call_until_it_is_forgotten(served: Served, times: TimesClient) -> None:
    order = new_order()
    first = times.once(order, "fail")
    with pytest.raises(RemoteError, match="fail"):
        first.get(timeout=SOON)
    again = times.once(order)
    assert again.id == first.id
    with pytest.raises(RemoteError, match="fail"):
        again.get(timeout=SOON)
    again.forget()
    assert stored(served.app, key_of(order))[0] is None
    assert times.once(order).get(timeout=SOON) == 1


def test_a_call_that_was_revoked_is_the_first_call_too(times: TimesClient) -> None:
    order = new_order()
    first = times.once.with_options(countdown=3)(order)
    first.revoke()
    with pytest.raises(TaskRevokedError):
        times.once(order).get(timeout=SOON)


def test_forgetting_a_result_leaves_the_key_of_a_later_call(served: Served, times: TimesClient) -> None:
    order = new_order()
    old = times.once(order)
    old.get(timeout=SOON)
    old.forget()
    new = times.once(order)
    old.forget()
    assert stored(served.app, key_of(order))[0] == new.id


def test_the_second_call_has_its_own_deadline(served: Served, times: TimesClient) -> None:
    order, key = new_order(), new_key()
    first = times.once_held(order, key)
    assert eventually(lambda: bool(served.worker.noted(f"{key}-started")))
    second = times.once_held.with_options(timeout=0.2)(order, key)
    assert second.id == first.id
    with pytest.raises(DeadlineExceeded) as raised:
        second.get()
    assert raised.value.noticed == "waiting"
    served.worker.note(key)
    assert first.get(timeout=SOON) == 1, "the first call had no deadline, and goes on"


def test_a_key_is_kept_for_its_time_under_the_prefix_of_the_backend(served: Served, times: TimesClient) -> None:
    order = new_order()
    result = times.once(order)
    holder, seconds = stored(served.app, key_of(order))
    assert holder == result.id
    assert FIVE_MINUTES - 30 < seconds <= FIVE_MINUTES
    backend: Any = served.app.backend
    name = backend.get_key_for_task(key_of(order).name).decode()
    prefix = "" if served.transport == "embedded" else f"{served.site.prefix}_"
    assert name.startswith(f"{prefix}celery-task-meta-idempotency-time.once-")
    assert str(order) not in name


def test_after_its_time_a_key_is_free_for_a_new_call(times: TimesClient) -> None:
    brief = times.once.with_options(idempotency_ttl=0.3)
    order = new_order()
    first = brief(order).id
    assert eventually(lambda: brief(order).id != first)


def test_a_key_is_never_kept_longer_than_a_result(served: Served, times: TimesClient) -> None:
    backend: Any = served.app.backend
    expires = backend.expires
    with pytest.raises(OptionError) as raised:
        times.once.with_options(idempotency_ttl=expires + 1)(1)
    (fault,) = raised.value.faults
    assert (fault.path, fault.expected) == (
        "idempotency_ttl",
        f"at most the time that results are kept, {expires:g} s",
    )
    assert fault.remedy.startswith("raise result_expires")
    key = IdempotencyKey(task="time.once", text=new_key())
    claim(served.app, key, "one")
    confirm(served.app, key, "one")
    assert stored(served.app, key)[1] <= expires
    release(served.app, key, "one")


# --- what a client leaves behind that dies half-way


def test_a_claim_that_is_never_confirmed_lapses(served: Served, times: TimesClient) -> None:
    order = new_order()
    assert claim(served.app, key_of(order), "never sent") == "never sent"
    assert 0 < stored(served.app, key_of(order))[1] <= CLAIM_SECONDS
    assert times.once(order).id == "never sent"
    backend: Any = served.app.backend
    backend.client.pexpire(backend.get_key_for_task(key_of(order).name), 1)
    assert eventually(lambda: times.once(order).id != "never sent")
    assert times.once(order).get(timeout=SOON) == 1


def test_a_claim_that_lapsed_while_its_message_was_published_is_taken_again(served: Served) -> None:
    key = IdempotencyKey(task="time.once", text=new_key(), ttl_seconds=FIVE_MINUTES)
    confirm(served.app, key, "one")
    assert stored(served.app, key)[0] == "one"
    assert stored(served.app, key)[1] > CLAIM_SECONDS
    release(served.app, key, "one")


def test_only_who_has_a_key_gives_it_back(served: Served) -> None:
    key = IdempotencyKey(task="time.once", text=new_key())
    assert claim(served.app, key, "one") == "one"
    assert claim(served.app, key, "two") == "one"
    release(served.app, key, "two")
    assert stored(served.app, key)[0] == "one"
    release(served.app, key, "one")
    assert stored(served.app, key)[0] is None
    release(served.app, key, "one")


@pytest.mark.redis
def test_a_call_that_cannot_be_published_gives_its_key_back(redis_url: str) -> None:
    site = Site(broker_url="redis://127.0.0.1:1/0", backend_url=redis_url)
    app = create_app(CelerySettings.of(site.settings()))
    try:
        times, order = TimesClient(app), new_order()
        with pytest.raises(OperationalError):
            times.once.with_options(retry=False)(order)
        assert stored(app, key_of(order))[0] is None
    finally:
        close_app(app)


@pytest.mark.redis
def test_a_user_who_may_only_use_the_keys_of_the_backend_may_use_keys(redis_url: str) -> None:
    site = Site(broker_url="memory://", backend_url=redis_url)
    name = site.prefix
    admin: Any = Redis.from_url(redis_url)
    commands = [
        "+get",
        "+set",
        "+del",
        "+pexpire",
        "+watch",
        "+unwatch",
        "+multi",
        "+exec",
        "+client",
        "+select",
    ]
    admin.acl_setuser(
        name, enabled=True, passwords=["+secret"], keys=[f"{site.prefix}_celery-task-meta-*"], commands=commands
    )
    restricted = Site(
        broker_url="memory://",
        backend_url=redis_url.replace("redis://", f"redis://{name}:secret@"),
        prefix=site.prefix,
    )
    app = create_app(CelerySettings.of(restricted.settings()))
    try:
        key = IdempotencyKey(task="time.once", text=new_key())
        assert [claim(app, key, one) for one in ("one", "two")] == ["one", "one"]
        confirm(app, key, "one")
        assert stored_by(admin, app, key) == b"one"
        release(app, key, "one")
        assert stored_by(admin, app, key) is None
    finally:
        close_app(app)
        admin.acl_deluser(name)
        admin.close()


def stored_by(client: Any, app: Any, key: IdempotencyKey) -> Any:
    return client.get(app.backend.get_key_for_task(key.name))


# --- idempotent=True: safe to deliver twice


@pytest.mark.slow
@pytest.mark.parametrize(
    "where", matrix(("async", "rabbitmq"), ("threads", "rabbitmq"), ("solo", "rabbitmq"), ("async", "redis"))
)
def test_what_a_killed_worker_ran_is_delivered_again(
    request: pytest.FixtureRequest, start_worker: StartWorker, tmp_path: Any, where: tuple[str, str]
) -> None:
    pool, transport = where
    site = site_of(request, transport, tmp_path)
    if transport == "redis":  # which hears nothing of a worker's death, and waits this long
        soon = {"visibility_timeout": 3, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}
        known = site.settings()["broker_transport_options"]
        site = dataclasses.replace(site, extra={"broker_transport_options": {**known, **soon}})
    key = new_key()
    with start_worker("time_worker", pool, transport, concurrency=1, site=site) as first:
        result = TimesClient(first.app).survive(key)
        assert eventually(lambda: first.worker.noted(f"{key}-started"))
        first.worker.process.kill()
        with start_worker("time_worker", pool, transport, concurrency=1, site=site) as second:
            # The second run sees the notes of its own worker only: let it end.
            second.worker.note(f"{key}-never")
            assert TimesClient(second.app).tell(new_key()).get(timeout=60) is None
            assert second.app.AsyncResult(result.id).get(timeout=60) == key


@pytest.mark.slow
@pytest.mark.parametrize("transport", matrix(("processes", "redis"), ("processes", "rabbitmq")))
def test_what_a_killed_child_process_ran_is_delivered_again(
    start_worker: StartWorker, transport: tuple[str, str]
) -> None:
    key = new_key()
    with start_worker("time_worker", *transport, concurrency=1) as served:
        result = TimesClient(served.app).survive(key)
        assert eventually(lambda: served.worker.noted(f"{key}-started"))
        os.kill(int(served.worker.noted(f"{key}-started")[0]), signal.SIGKILL)
        assert result.get(timeout=60) == key
        assert len(set(served.worker.noted(f"{key}-started"))) == 2
