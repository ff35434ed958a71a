"""The parts of a client's hub, without a server: who waits for what, who publishes when."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import threading
import time
import uuid
import weakref
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
from celery import Celery
from celery.exceptions import OperationalError
from kombu.exceptions import BatchPublishError, DecodeError  # type: ignore[attr-defined]  # kombu's types lack one
from sqlalchemy import event
from sqlalchemy.engine import Engine
from tests.support.waiting import eventually

from pico_celery import (
    AsyncResult,
    CeleryClient,
    DeadlineExceeded,
    ExecutionError,
    OptionError,
    contract,
    send_task,
)
from pico_celery.client.publishing.publisher import Job, Publisher
from pico_celery.client.publishing.runtime import close_runtime, runtime_of
from pico_celery.client.results import hub as hubs
from pico_celery.client.results.hub import ResultHub, hub_of
from pico_celery.client.results.receivers import TaskIds
from pico_celery.client.results.waiters import Waiter, Waiters

SOON = 10


class Held:
    """A result as the hub sees it."""

    def __init__(self, task_id: str) -> None:
        self.id = task_id
        self.ignored = False
        self._heard = 0
        self.metas: list[Any] = []

    def _store(self, meta: Any) -> None:
        self.metas.append(meta)


def meta_of(task_id: str) -> dict[str, Any]:
    return {"task_id": task_id, "status": "SUCCESS", "result": 1}


# --- ids


def test_ids_are_uuids_of_version_4_that_begin_alike() -> None:
    ids, others = TaskIds(), TaskIds()
    made = [ids.new() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert {uuid.UUID(task_id).version for task_id in made} == {4}
    assert [str(uuid.UUID(task_id)) for task_id in made] == made
    assert all(ids.covers(task_id) and not others.covers(task_id) for task_id in made)


# --- waiters


def waiter(task_id: str, told: list[Any]) -> Waiter:
    return Waiter(task_id, lambda meta, error: told.append((meta, error)))


def test_a_result_is_told_once_to_each_that_waits_for_it() -> None:
    waiters, told = Waiters(), list[Any]()
    for task_id in ("a", "a", "b"):
        waiters.add(waiter(task_id, told), unseen=False)
    waiters.resolve(meta_of("a"))
    waiters.resolve(meta_of("a"))
    assert told == [(meta_of("a"), None)] * 2
    assert waiters.ids() == ["b"]
    assert waiters.take_left() == ["a"]
    assert waiters.take_left() == []


def test_who_is_discarded_hears_nothing_and_leaves_nothing() -> None:
    waiters, told = Waiters(), list[Any]()
    first, second = waiter("a", told), waiter("a", told)
    waiters.add(first, unseen=True)
    waiters.add(second, unseen=True)
    waiters.discard(first)
    waiters.discard(first)
    assert waiters.take_left() == []
    waiters.discard(second)
    waiters.resolve(meta_of("a"))
    assert (told, bool(waiters), waiters.take_left()) == ([], False, ["a"])


def test_only_the_first_that_is_unseen_asks_for_a_look() -> None:
    waiters = Waiters()
    assert [
        waiters.add(waiter(one, []), unseen=unseen) for one, unseen in (("a", False), ("b", True), ("c", True))
    ] == [
        False,
        True,
        False,
    ]
    assert waiters.take_unseen() == ["b", "c"]
    assert waiters.add(waiter("d", []), unseen=True)


def test_a_held_result_is_settled_without_a_waiter_and_let_go_with_its_holder() -> None:
    waiters, held = Waiters(), Held("a")
    waiters.hold(held)
    waiters.resolve(meta_of("a"))
    assert held.metas == [meta_of("a")]
    gone = Held("b")
    waiters.hold(gone)
    assert waiters.holds_any
    del gone
    gc.collect()
    assert not waiters.holds_any


def test_who_waits_for_one_task_can_be_moved_to_another() -> None:
    waiters, told = Waiters(), list[Any]()
    moved = waiter("a", told)
    waiters.add(moved, unseen=False)
    assert waiters.move("a", "b")
    assert not waiters.move("a", "c")
    waiters.resolve(meta_of("a"))
    assert (told, waiters.take_unseen()) == ([], ["b"])
    waiters.resolve(meta_of("b"))
    assert told == [(meta_of("b"), None)]


def test_a_callback_that_fails_keeps_no_result_from_the_others(caplog: pytest.LogCaptureFixture) -> None:
    waiters, told = Waiters(), list[Any]()

    def fail(*_: Any) -> None:
        raise ValueError("mine")

    waiters.add(Waiter("a", fail), unseen=False)
    waiters.add(waiter("a", told), unseen=False)
    with caplog.at_level(logging.ERROR):
        waiters.resolve(meta_of("a"))
    assert told == [(meta_of("a"), None)]
    assert "what was to be called with a result failed" in caplog.text


def test_an_error_is_told_to_all_or_to_some() -> None:
    waiters, told, error = Waiters(), list[Any](), OSError("gone")
    for task_id in ("a", "b", "c"):
        waiters.add(waiter(task_id, told), unseen=False)
    assert waiters.fail(error, ["a", "x"])
    assert not waiters.fail(error, ["x"])
    assert told == [(None, error)]
    assert waiters.fail(error)
    assert told == [(None, error)] * 3


# --- the publisher


@pytest.fixture
def publisher(celery_app: Celery) -> Publisher:
    return Publisher(celery_app)


def test_jobs_are_published_in_their_order_in_the_context_of_their_call(publisher: Publisher) -> None:
    variable: contextvars.ContextVar[int] = contextvars.ContextVar("of_the_call")
    seen: list[tuple[int, int]] = []
    done: list[BaseException | None] = []

    def see(number: int, _: Any) -> None:
        seen.append((number, variable.get()))

    for number in range(50):
        variable.set(number)
        publisher.submit(Job(partial(see, number), done.append))
    assert publisher.flush(SOON)
    assert seen == [(number, number) for number in range(50)]
    assert done == [None] * 50


def test_a_job_that_fails_fails_alone(publisher: Publisher) -> None:
    hold, done = threading.Event(), dict[int, BaseException | None]()

    def send(number: int, _: Any) -> None:
        hold.wait(SOON)
        if number % 5 == 1:
            raise ValueError(number)

    for number in range(20):
        publisher.submit(Job(partial(send, number), partial(done.__setitem__, number)))
    hold.set()
    assert publisher.flush(SOON)
    assert {number for number, error in done.items() if error is not None} == {1, 6, 11, 16}
    assert len(done) == 20


def test_a_future_that_is_withdrawn_before_its_turn_is_not_sent(publisher: Publisher) -> None:
    hold, sent = threading.Event(), list[str]()
    blocking = publisher.future_of(lambda _: hold.wait(SOON))
    first = publisher.future_of(lambda _: sent.append("first"))
    second = publisher.future_of(lambda _: sent.append("second"))
    assert first.cancel()
    hold.set()
    assert blocking.result(SOON)
    second.result(SOON)
    assert sent == ["second"]
    assert first.cancelled()


def test_what_a_loop_hands_over_is_sent_though_the_loop_never_turns_again(publisher: Publisher) -> None:
    sent: list[int] = []
    never: list[Callable[[], None]] = []
    publisher.submit(Job(lambda _: sent.append(1), lambda _: None), never.append)
    assert eventually(lambda: sent == [1], SOON)
    assert len(never) == 1


def test_a_loop_that_is_held_up_by_its_own_code_does_not_hold_up_its_calls(publisher: Publisher) -> None:
    async def call() -> list[float]:
        loop, took = asyncio.get_running_loop(), list[float]()
        for _ in range(3):
            sent, began = threading.Event(), time.monotonic()
            publisher.submit(Job(lambda _, sent=sent: sent.set(), lambda _: None), loop.call_soon)  # type: ignore[misc]
            assert sent.wait(SOON)  # holds the loop
            took.append(time.monotonic() - began)
        return took

    assert max(asyncio.run(call())) < SOON / 2


def test_the_thread_ends_when_nothing_is_to_be_published_and_starts_again(publisher: Publisher) -> None:
    for expected in (1, 2):
        sent = publisher.future_of(lambda _: threading.current_thread().name).result(SOON)
        assert sent == "pico-celery-publisher"
        assert eventually(
            lambda: all(thread.name != "pico-celery-publisher" for thread in threading.enumerate()), SOON
        ), expected


# --- the hub of an application


@contract("unit_hub")
class Numbers(Protocol):
    async def double(self, number: int) -> int: ...


class NumbersClient(CeleryClient):
    double = send_task(Numbers.double)


def test_an_application_has_one_hub_that_goes_with_it() -> None:
    app = Celery("unit-hub", broker="memory://", backend="cache+memory://", set_as_current=False)
    hub = hub_of(app)
    assert hub_of(app) is hub
    NumbersClient(app).double(1)
    gone = weakref.ref(hub)
    close_runtime(app)
    app.close()
    del app, hub
    gc.collect()
    assert gone() is None


def test_results_of_a_backend_that_only_polls_are_awaited_by_one_thread(celery_app: Celery) -> None:
    client = NumbersClient(celery_app)

    async def call() -> list[int]:
        results = [await client.double.asend(number) for number in range(50)]
        waiting = [asyncio.ensure_future(value(result)) for result in results]
        await asyncio.sleep(0)
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("pico-celery-results") == 1
        for number, result in enumerate(results):
            celery_app.backend.store_result(result.id, number * 2, "SUCCESS")
        return list(await asyncio.gather(*waiting))

    assert asyncio.run(asyncio.wait_for(call(), SOON)) == [number * 2 for number in range(50)]


def test_a_client_that_holds_a_reply_goes_on_listening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "_LINGER_SECONDS", 0.3)
    app = Celery("unit-replies", broker="memory://", backend="rpc://", set_as_current=False)
    hub = hub_of(app)

    hold = hub._waiters.hold

    def hold_late(result: Held) -> None:
        eventually(lambda: hub._thread is None, 1)  # as long as it takes to fall idle, if it can
        hold(result)

    monkeypatch.setattr(hub._waiters, "hold", hold_late)
    result = Held(hub.ids.new())
    waiting = hub.watch(hub.ids.new(), lambda *_: None)
    assert hub._listening.wait(SOON)
    hub.unwatch(waiting)
    assert hub.expect(result)
    assert hub._thread is not None
    del result
    assert eventually(lambda: hub._thread is None, SOON)
    close_runtime(app)
    app.close()


def test_a_database_is_asked_for_all_that_are_waited_for_at_once(tmp_path: Path) -> None:
    url = f"db+sqlite:///{tmp_path / 'results.sqlite'}"
    app = Celery("unit-database", broker="memory://", backend=url, set_as_current=False)
    client, queries = NumbersClient(app), list[str]()

    def count(_: Any, __: Any, statement: str, *___: Any) -> None:
        queries.append(statement)

    async def call() -> list[int]:
        results = [await client.double.asend(number) for number in range(40)]
        waiting = [asyncio.ensure_future(value(result)) for result in results]
        assert await asyncio.to_thread(eventually, lambda: len(queries) > 3)
        for number, result in enumerate(results):
            app.backend.store_result(result.id, number * 2, "SUCCESS")
        return list(await asyncio.gather(*waiting))

    event.listen(Engine, "before_cursor_execute", count)
    try:
        assert asyncio.run(asyncio.wait_for(call(), 30)) == [number * 2 for number in range(40)]
    finally:
        event.remove(Engine, "before_cursor_execute", count)
        close_runtime(app)
        app.close()
    looks = [query for query in queries if query.startswith("SELECT") and " IN (" in query]
    single = [query for query in queries if query.startswith("SELECT") and "task_id = ?" in query]
    assert looks
    # Each is read once when it is there, and by the three looks of storing it.
    assert len(single) <= 4 * 40


def test_a_callback_of_then_is_called_when_the_result_is_there(celery_app: Celery) -> None:
    seen = threading.Event()
    result = NumbersClient(celery_app).double(2)
    result.then(lambda settled: seen.set() if settled.get() == 4 else None)
    celery_app.backend.store_result(result.id, 4, "SUCCESS")
    assert seen.wait(SOON)


async def value(result: AsyncResult[int]) -> int:
    return await result


def test_a_withdrawn_future_in_a_batch_that_breaks_leaves_the_thread_at_work(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            raise BatchPublishError("the connection broke")

        def batch(self, **_: Any) -> Any:
            return self

    app: Any = publisher._app
    monkeypatch.setattr(type(app.amqp.producer_pool), "acquire", lambda *_, **__: Broken())
    hold, sent = threading.Event(), list[str]()
    blocking = publisher.future_of(lambda _: hold.wait(SOON))
    withdrawn = publisher.future_of(lambda _: sent.append("withdrawn"))
    others = [publisher.future_of(partial(lambda name, _: sent.append(name), str(number))) for number in range(2)]
    withdrawn.cancel()
    hold.set()
    assert blocking.result(SOON)
    for other in others:
        other.result(SOON)
    assert sorted(set(sent)) == ["0", "1"]
    assert publisher.future_of(lambda _: "later").result(SOON) == "later"


def test_a_callback_that_ends_the_process_does_not_end_the_thread_that_receives(celery_app: Celery) -> None:
    client = NumbersClient(celery_app)

    def leave(_: Any) -> None:
        raise SystemExit(1)

    result = client.double(1)
    result.then(leave)
    celery_app.backend.store_result(result.id, 2, "SUCCESS")
    assert result.get(timeout=SOON) == 2
    other = client.double(2)
    celery_app.backend.store_result(other.id, 4, "SUCCESS")
    assert other.get(timeout=SOON) == 4


def test_a_callback_that_waits_on_the_receiving_thread_is_refused(celery_app: Celery) -> None:
    client, said = NumbersClient(celery_app), list[BaseException]()
    result, other = client.double(1), client.double(2)

    def wait(_: Any) -> None:
        try:
            other.get(timeout=SOON)
        except ExecutionError as error:
            said.append(error)

    result.then(wait)
    celery_app.backend.store_result(result.id, 2, "SUCCESS")
    assert eventually(lambda: said, SOON)
    assert "wait on a thread of your own" in str(said[0])


def test_a_result_that_cannot_be_decoded_fails_its_own_caller_alone(celery_app: Celery) -> None:
    client = NumbersClient(celery_app)
    broken, good = client.double(1), client.double(2)
    store: Any = celery_app.backend
    store.client.set(store.get_key_for_task(broken.id), b"\xff no json")
    store.store_result(good.id, 4, "SUCCESS")
    assert good.get(timeout=SOON) == 4
    with pytest.raises(DecodeError):
        broken.get(timeout=SOON)


def test_who_waits_when_the_hub_is_closed_is_told(celery_app: Celery) -> None:
    result = NumbersClient(celery_app).double(1)
    told: list[BaseException] = []

    def wait() -> None:
        try:
            result.get(timeout=SOON)
        except OperationalError as error:
            told.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert eventually(lambda: bool(hub_of(celery_app)._waiters), SOON)
    close_runtime(celery_app)
    waiting.join(SOON)
    assert "was closed while its results were waited for" in str(told[0])


def test_a_call_that_became_another_one_while_it_was_watched_waits_for_that_one(
    celery_app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = NumbersClient(celery_app).double(1)
    celery_app.backend.store_result("the-first", 2, "SUCCESS")
    hub = hub_of(celery_app)
    watch = hub.watch

    def adopted_first(task_id: str, *args: Any) -> Any:
        result._adopt("the-first")  # as the publishing thread may do between any two steps
        return watch(task_id, *args)

    monkeypatch.setattr(hub, "watch", adopted_first)
    assert result.get(timeout=SOON) == 2


def test_a_tracer_that_wraps_send_task_sees_every_call(celery_app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    class Proxy:
        """Shows all attributes of what it wraps, as those of wrapt do."""

        def __init__(self, wrapped: Any) -> None:
            self._wrapped = wrapped

        def __getattr__(self, name: str) -> Any:
            return getattr(self._wrapped, name)

        def __call__(self, name: str, *args: Any, **options: Any) -> Any:
            seen.append(name)
            return self._wrapped(name, *args, **options)

    seen: list[str] = []
    client = NumbersClient(celery_app)
    client.double(1)
    monkeypatch.setattr(celery_app, "send_task", Proxy(celery_app.send_task))
    client.double(1)
    client.double.with_options(countdown=1)(1)
    assert seen == ["unit_hub.double"] * 2


def test_the_collector_may_close_a_wait_inside_the_lock() -> None:
    waiters, told = Waiters(), list[Any]()
    gone = waiter("a", told)
    waiters.add(gone, unseen=False)
    with waiters._lock:  # as an allocation in it may do
        waiters.discard(gone)
    assert waiters.take_left() == ["a"]
    assert not waiters


def test_then_hears_that_a_call_was_not_sent(celery_app: Celery) -> None:
    result, errors = NumbersClient(celery_app).double(1), list[BaseException]()
    result.then(lambda _: None, errors.append)
    error = OSError("no broker")
    result._not_sent(error)
    result.then(lambda _: None, errors.append)
    assert errors == [error, error]


def test_a_broker_that_does_not_take_a_call_holds_nobody_beyond_the_deadline(celery_app: Celery) -> None:
    client, hold = NumbersClient(celery_app), threading.Event()
    runtime_of(celery_app).publisher.call(lambda: hold.wait(SOON))  # as a broker that does not answer

    async def call(way: Callable[[Any], Any]) -> str:
        with pytest.raises(DeadlineExceeded) as caught:
            await way(client.double.with_options(timeout=0.1))
        return str(caught.value)

    ways: list[Callable[[Any], Any]] = [
        lambda sender: sender.asend(1),
        lambda sender: sender.acall(1),
        lambda sender: sender.asend_many([1]),
        lambda sender: (sender.s(1) | client.double.s()).asend(timeout=0.1),
    ]
    try:
        for way in ways:
            said = asyncio.run(asyncio.wait_for(call(way), SOON))
            assert "the broker has not taken it; see that the broker can be reached" in said
    finally:
        hold.set()
    close_runtime(celery_app)


@pytest.mark.parametrize("timeout", [float("nan"), float("inf")])
def test_a_timeout_is_a_number_of_seconds_that_ends(celery_app: Celery, timeout: float) -> None:
    with pytest.raises(OptionError, match="timeout: expected a finite number"):
        NumbersClient(celery_app).double.with_options(timeout=timeout)


def test_a_wait_may_be_longer_than_a_thread_can_wait(celery_app: Celery) -> None:
    result = NumbersClient(celery_app).double(1)
    celery_app.backend.store_result(result.id, 2, "SUCCESS")
    assert result.get(timeout=timedelta.max) == 2


def test_who_listens_first_is_not_left_by_a_thread_that_starts_slower_than_it_lingers(
    celery_app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Listening:
        transient = True

        def step(self) -> bool:
            return True

        def wake(self) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr("pico_celery.client.results.hub._LINGER_SECONDS", 0.02)
    monkeypatch.setattr("pico_celery.client.results.hub._START_SECONDS", 5.0)
    hub = ResultHub(celery_app)
    monkeypatch.setattr(hub, "_make_receiver", Listening)
    released = threading.Event()
    hub._ending = threading.Thread(target=released.wait, args=(5,))  # the one before, which still closes its connection
    hub._ending.start()
    threading.Timer(0.3, released.set).start()
    hub._listen_first()
    hub.close()
