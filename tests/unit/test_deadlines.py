"""Deadlines: computed once at the call, inherited, never extended; kept by the worker; waited for by the client."""

import asyncio
import copy
import pickle
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from celery import Celery, chain, chord, group
from pico_ioc import PicoContainer, component
from tests.support.long_waits import in_gather, in_group_body, in_group_child, in_timeout, in_wait_for
from tests.support.waiting import eventually

from pico_celery import (
    AsyncResult,
    Catalog,
    CeleryClient,
    DeadlineExceeded,
    OptionError,
    RemoteError,
    TaskContext,
    celery,
    contract,
    send_task,
    task_options,
)
from pico_celery.client.deadlines import GRACE_SECONDS
from pico_celery.client.publishing.prepare import resolve_deadline
from pico_celery.messaging.deadline import (
    DEADLINE_HEADER,
    inherit,
    read_deadline,
    set_current_deadline,
    with_deadline,
    write_deadline,
)
from pico_celery.worker.coroutine import CoroutineRun, RunDeadline
from pico_celery.worker.engine_options import EngineOptions
from pico_celery.worker.loop import LoopService, wait_for
from pico_celery.worker.message_guard import envelope_faults

SOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
LATER = SOON + timedelta(hours=1)


@contract("timed", catalog=Catalog())
class Timed(Protocol):
    @task_options(timeout=timedelta(seconds=30))
    async def limited(self, a: int) -> int: ...

    async def plain(self, a: int) -> int: ...


class TimedClient(CeleryClient):
    limited = send_task(Timed.limited)
    plain = send_task(Timed.plain)


Sent = Callable[[Callable[[], Any]], Mapping[str, Any]]


@pytest.fixture
def client(celery_app: Celery) -> TimedClient:
    return TimedClient(celery_app)


@pytest.fixture
def sent(celery_app: Celery, monkeypatch: pytest.MonkeyPatch) -> Sent:
    """Return the headers with which a call reaches Celery."""
    seen: list[dict[str, Any]] = []

    def send(name: str, args: Any, kwargs: Any, **options: Any) -> Any:
        assert "timeout" not in options, "Celery takes it for the timeout of a publish"
        seen.append(options["headers"])
        return options["result_cls"]("an-id")

    monkeypatch.setattr(celery_app, "send_task", send)

    def call(make: Callable[[], Any]) -> Mapping[str, Any]:
        make()
        return seen.pop()

    return call


def seconds_from_now(headers: Mapping[str, Any]) -> float:
    deadline = read_deadline(headers[DEADLINE_HEADER])
    assert deadline is not None
    return (deadline - datetime.now(UTC)).total_seconds()


def under(deadline: datetime | None, call: Callable[[], Any]) -> Any:
    """Call something as the body of a task with a deadline would."""
    context = copy_context()
    set_current_deadline(context, deadline)
    return context.run(call)


def in_seconds(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


# --- at the call


def test_a_call_without_timeout_has_no_deadline(client: TimedClient, sent: Sent) -> None:
    assert DEADLINE_HEADER not in sent(lambda: client.plain(1))
    assert client.plain(1).deadline is None


@pytest.mark.parametrize("timeout", [5, 5.0, timedelta(seconds=5)])
def test_a_timeout_becomes_a_point_in_time_that_the_result_knows(
    client: TimedClient, sent: Sent, timeout: float | timedelta
) -> None:
    made: list[AsyncResult[int]] = []
    headers = sent(lambda: made.append(client.plain.with_options(timeout=timeout)(1)))
    assert 4.5 < seconds_from_now(headers) <= 5
    assert made[0].deadline == read_deadline(headers[DEADLINE_HEADER])
    assert headers[DEADLINE_HEADER].endswith("+00:00")


def test_the_contract_says_a_timeout_and_the_call_says_another(client: TimedClient, sent: Sent) -> None:
    assert 29 < seconds_from_now(sent(lambda: client.limited(1))) <= 30
    assert 59 < seconds_from_now(sent(lambda: client.limited.with_options(timeout=60)(1))) <= 60
    assert sent(lambda: client.limited.with_options(timeout=None)(1))[DEADLINE_HEADER] is None


def test_the_deadline_counts_from_each_call_of_a_sender(client: TimedClient, sent: Sent) -> None:
    sender = client.plain.with_options(timeout=5)
    first = sent(lambda: sender(1))[DEADLINE_HEADER]
    assert eventually(lambda: sent(lambda: sender(1))[DEADLINE_HEADER] > first)


@pytest.mark.parametrize(("own", "left"), [(None, 10), (5, 5), (3600, 10)])
def test_a_call_inside_a_task_has_the_nearer_of_both_deadlines(
    client: TimedClient, sent: Sent, own: float | None, left: float
) -> None:
    sender = client.plain if own is None else client.plain.with_options(timeout=own)
    headers = under(in_seconds(10), lambda: sent(lambda: sender(1)))
    assert left - 1 < seconds_from_now(headers) <= left


def test_a_timeout_of_none_is_none_of_the_callers_work(client: TimedClient, sent: Sent) -> None:
    headers = under(in_seconds(10), lambda: sent(lambda: client.plain.with_options(timeout=None)(1)))
    assert headers[DEADLINE_HEADER] is None


def test_a_deadline_is_inherited_by_child_tasks_and_threads_of_asyncio() -> None:
    async def body() -> list[Any]:
        from pico_celery.messaging.deadline import current_deadline

        async def child() -> Any:
            return current_deadline()

        return [*await asyncio.gather(child(), child()), await asyncio.to_thread(current_deadline)]

    assert under(SOON, lambda: asyncio.run(body())) == [SOON, SOON, SOON]


def test_a_call_for_which_there_is_no_time_left_is_not_sent(client: TimedClient, sent: Sent) -> None:
    with pytest.raises(DeadlineExceeded) as raised:
        under(in_seconds(-1), lambda: client.plain(1))
    assert (raised.value.task, raised.value.noticed) == ("timed.plain", "unsent")
    assert "it was not sent; give the task that makes the call a longer timeout" in str(raised.value)
    assert "timeout=None if it is none of its work" in str(raised.value)
    with pytest.raises(DeadlineExceeded):
        under(in_seconds(10), lambda: client.plain.with_options(countdown=20)(1))
    with pytest.raises(DeadlineExceeded):
        under(in_seconds(10), lambda: client.plain.with_options(eta=in_seconds(20))(1))
    assert under(in_seconds(10), lambda: client.plain.with_options(countdown=5)(1)).deadline is not None


def test_a_countdown_that_is_not_shorter_than_the_timeout_is_an_error_of_the_call(client: TimedClient) -> None:
    with pytest.raises(OptionError) as raised:
        client.limited.with_options(countdown=30)(1)
    (fault,) = raised.value.faults
    assert (fault.path, fault.expected, fault.got) == ("timeout", "more than the countdown of 30 s", "30 s")
    assert fault.remedy == "the timeout counts from the call: give a longer one, or timeout=None"


def test_a_timeout_beyond_all_time_is_the_end_of_time() -> None:
    _, deadline = resolve_deadline({"timeout": 1e18})
    assert deadline is not None
    assert deadline.year == 9999


# --- on the wire


@pytest.mark.parametrize("text", ["2030-01-01T12:00:00+00:00", "2030-01-01T12:00:00Z", "2030-01-01T13:00:00+01:00"])
def test_a_deadline_is_read_in_every_zone(text: str) -> None:
    assert read_deadline(text) == SOON
    assert write_deadline(read_deadline(text)) == "2030-01-01T12:00:00+00:00"


def test_a_deadline_without_zone_is_utc() -> None:
    assert read_deadline("2030-01-01T12:00:00") == SOON


@pytest.mark.parametrize("value", ["soon", "", 5, 1.5, [], True])
def test_a_header_that_is_no_time_makes_the_message_one_that_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        read_deadline(value)
    (fault,) = envelope_faults("timed.plain", {"id": "1", DEADLINE_HEADER: value}, [[], {}, {}])
    assert (fault.path, fault.expected) == ("headers.pico_deadline", "a time, ISO 8601 in UTC")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, SOON),
        ({DEADLINE_HEADER: write_deadline(LATER)}, SOON),
        ({DEADLINE_HEADER: write_deadline(SOON - timedelta(1))}, SOON - timedelta(1)),
        ({DEADLINE_HEADER: None}, None),
    ],
)
def test_an_inherited_deadline_never_extends_one(before: dict[str, Any], after: datetime | None) -> None:
    inherit(before, SOON)
    assert read_deadline(before[DEADLINE_HEADER]) == after


def test_a_header_that_is_no_time_is_left_for_the_worker_to_refuse() -> None:
    headers = {DEADLINE_HEADER: "soon"}
    inherit(headers, SOON)
    assert headers == {DEADLINE_HEADER: "soon"}


def step(*_: Any) -> None:
    """Do nothing."""


def deadlines_in(value: Any) -> Any:
    """Return the tree of a signature's deadlines."""
    if isinstance(value, Mapping) and "task" in value:
        own = (value["options"].get("headers") or {}).get(DEADLINE_HEADER)
        inner = {k: value["kwargs"][k] for k in ("tasks", "header", "body") if k in value["kwargs"]}
        inner.update({k: value["options"][k] for k in ("link", "link_error", "chain") if value["options"].get(k)})
        return own is not None, {name: deadlines_in(one) for name, one in inner.items()}
    return [deadlines_in(one) for one in value]


def test_all_that_a_canvas_is_yet_to_send_inherits_but_for_its_error_callbacks(celery_app: Celery) -> None:
    celery_app.task(name="timed.step", shared=False)(step)
    one = celery_app.signature("timed.step")
    linked = one.clone()
    linked.link(one.clone())
    linked.link_error(one.clone())
    leaf: tuple[bool, dict[str, Any]] = (True, {})
    stamped = with_deadline(chain(linked, group(one.clone(), one.clone()), one.clone(), app=celery_app), SOON)
    assert deadlines_in(stamped)[0]
    flat = str(deadlines_in(stamped))
    assert flat.count("False") == 1, "only what is sent when something fails has no deadline"
    assert deadlines_in(with_deadline(linked, SOON)) == (True, {"link": [leaf], "link_error": [(False, {})]})
    both = chord([one.clone(), one.clone()], one.clone(), app=celery_app)
    assert deadlines_in(with_deadline(both, SOON)) == (True, {"header": [leaf, leaf], "body": leaf})
    assert deadlines_in(linked) == (False, {"link": [(False, {})], "link_error": [(False, {})]}), "a copy"


# --- a coroutine and its deadline


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def service(request: pytest.FixtureRequest) -> Iterator[LoopService]:
    if request.param == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    service = LoopService(EngineOptions(event_loop=request.param))
    yield service

    async def nothing() -> None:
        """Close nothing."""

    service.stop(nothing, 5)


def run_with_deadline(
    service: LoopService, body: Callable[[], Coroutine[Any, Any, Any]], seconds: float = 0.05, grace: float = 20.0
) -> Any:
    run: CoroutineRun[Any] = CoroutineRun(body, "body")
    at = in_seconds(seconds)
    run.deadline = RunDeadline(at, DeadlineExceeded.of("timed.plain", "an-id", at, "running"), grace)
    return wait_for(service, run)


async def sleep() -> str:
    await asyncio.sleep(60)
    return "slept"


async def replaces_the_cancellation() -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        raise asyncio.CancelledError from None


@pytest.mark.parametrize(
    "body",
    [sleep, in_timeout, in_gather, in_group_child, in_group_body, in_wait_for, replaces_the_cancellation],
)
def test_a_deadline_ends_a_body_wherever_it_waits(
    service: LoopService, body: Callable[[], Coroutine[Any, Any, Any]]
) -> None:
    with pytest.raises(DeadlineExceeded) as raised:
        run_with_deadline(service, body)
    assert type(raised.value) is DeadlineExceeded
    assert raised.value.noticed == "running"
    assert "the worker cancelled it; give it a longer timeout" in str(raised.value)
    assert eventually(lambda: not asyncio.all_tasks(service.loop))


def test_a_body_cleans_up_at_its_deadline_and_may_still_answer(service: LoopService) -> None:
    seen: list[str] = []

    async def answers() -> str:
        try:
            await asyncio.sleep(60)
        except DeadlineExceeded as error:
            seen.append(error.noticed)
            async with asyncio.timeout(10):
                await asyncio.sleep(0.01)
        finally:
            seen.append("finally")
        return "half of it"

    assert run_with_deadline(service, answers) == "half of it"
    assert seen == ["running", "finally"]


def test_what_a_body_raises_at_its_deadline_is_its_outcome(service: LoopService) -> None:
    async def fails() -> None:
        try:
            await asyncio.sleep(60)
        except DeadlineExceeded:
            raise ValueError("half-way") from None

    with pytest.raises(ValueError, match="half-way"):
        run_with_deadline(service, fails)


def test_a_body_that_does_not_end_at_its_deadline_is_abandoned_after_the_grace(
    service: LoopService, caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    with pytest.raises(DeadlineExceeded):
        run_with_deadline(service, stubborn, grace=0.05)
    assert "body went on after its cancellation" in caplog.text
    released.set()
    assert eventually(lambda: not asyncio.all_tasks(service.loop))


def test_a_body_that_ends_in_time_leaves_no_timer_behind(service: LoopService) -> None:
    async def body() -> int:
        return 1

    run: CoroutineRun[Any] = CoroutineRun(body, "body")
    run.deadline = RunDeadline(SOON, DeadlineExceeded.of("timed.plain", "an-id", SOON, "running"), 1)
    assert wait_for(service, run) == 1
    assert [timer.cancelled() for timer in run._timers] == [True]


# --- a task and its deadline, run where it is called


@contract("timed_here")
class Here(Protocol):
    async def tell(self) -> list[Any]: ...

    async def oversleep(self) -> None: ...

    async def nested(self) -> list[Any]: ...

    async def ask_again(self, countdown: float) -> None: ...

    async def shield(self) -> None: ...


@celery
class HereClient(CeleryClient):
    tell = send_task(Here.tell)
    oversleep = send_task(Here.oversleep)
    nested = send_task(Here.nested)
    ask_again = send_task(Here.ask_again)
    shield = send_task(Here.shield)


_ran: list[str] = []


@component
class HereWorker(Here):
    def __init__(self, context: TaskContext) -> None:
        self.context = context

    async def tell(self) -> list[Any]:
        _ran.append("tell")
        left = self.context.time_left
        return [str(self.context.deadline), None if left is None else left.total_seconds(), dict(self.context.headers)]

    async def oversleep(self) -> None:
        await asyncio.sleep(60)

    async def nested(self) -> list[Any]:
        headers: dict[str, Any] = {}
        settled, _ = resolve_deadline({"headers": headers})
        return [settled["headers"].get(DEADLINE_HEADER) == str(self.context.deadline).replace(" ", "T")]

    async def ask_again(self, countdown: float) -> None:
        _ran.append("ask_again")
        await self.context.retry(countdown=countdown, exc=ValueError("not yet"))

    async def shield(self) -> None:
        try:
            await asyncio.sleep(60)
        except Exception as error:
            await self.context.retry(countdown=0, exc=error)


@pytest.fixture
def here(boot: Callable[..., PicoContainer]) -> HereClient:
    _ran.clear()
    return boot(HereClient, HereWorker).get(HereClient)


def test_a_call_whose_deadline_has_passed_is_not_started(here: HereClient) -> None:
    past: dict[str, Any] = {"headers": {DEADLINE_HEADER: write_deadline(in_seconds(-1))}}
    task = here.tell._app.tasks["timed_here.tell"]
    result = task.apply((), {}, task_id="an-id", **past)
    assert result.state == "FAILURE"
    assert type(result.result) is DeadlineExceeded
    assert (result.result.task, result.result.task_id) == ("timed_here.tell", "an-id")
    assert "the worker did not start it any more; give it a longer timeout (it counts from the call)" in str(
        result.result
    )
    assert _ran == []


def test_nothing_is_decoded_of_a_call_whose_deadline_has_passed(here: HereClient) -> None:
    past: dict[str, Any] = {"headers": {DEADLINE_HEADER: write_deadline(in_seconds(-1))}}
    result = here.tell._app.tasks["timed_here.ask_again"].apply((), {"countdown": "no number"}, **past)
    assert type(result.result) is DeadlineExceeded


def test_a_running_call_is_cancelled_at_its_deadline(here: HereClient) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded) as raised:
        here.oversleep.with_options(timeout=1)().get()
    assert time.monotonic() - began < 20
    assert raised.value.noticed == "running"


def test_the_context_tells_the_deadline_and_hides_the_header(here: HereClient) -> None:
    deadline, left, headers = here.tell.with_options(timeout=60, headers={"x": "1"})().get()
    assert 55 < (datetime.fromisoformat(deadline) - datetime.now(UTC)).total_seconds() <= 60
    assert 55 < left <= 60
    assert headers == {"x": "1"}
    assert here.tell().get()[:2] == ["None", None]


def test_an_eager_result_knows_its_deadline(here: HereClient) -> None:
    result = here.tell.with_options(timeout=60)()
    assert str(result.deadline) == result.get()[0]


def test_a_call_in_a_body_inherits_the_deadline_of_its_task(here: HereClient) -> None:
    assert here.nested.with_options(timeout=60)().get() == [True]


def test_a_retry_that_would_begin_after_the_deadline_ends_the_task_with_its_reason(here: HereClient) -> None:
    with pytest.raises(RemoteError, match="not yet") as raised:
        here.ask_again.with_options(timeout=30)(60).get()
    assert _ran == ["ask_again"]
    assert (
        "its next try would begin later; give it a longer timeout, or retry it sooner" in raised.value.remote_traceback
    )


def test_a_deadline_is_no_reason_for_a_retry(here: HereClient) -> None:
    with pytest.raises(DeadlineExceeded) as raised:
        here.shield.with_options(timeout=0.1)().get()
    assert type(raised.value) is DeadlineExceeded


# --- at the client


def waiting(celery_app: Celery, seconds: float) -> AsyncResult[Any]:
    from pico_celery.contract.marks import marks_of

    definition = marks_of(Timed.plain).definition
    assert definition is not None
    return AsyncResult("nobody", app=celery_app, definition=definition, deadline=in_seconds(seconds))


def test_get_waits_until_shortly_after_the_deadline_and_says_so(celery_app: Celery) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded) as raised:
        waiting(celery_app, 0.2).get()
    assert time.monotonic() - began + 0.01 >= 0.2 + GRACE_SECONDS
    assert (raised.value.noticed, raised.value.task_id) == ("waiting", "nobody")
    assert "see that a worker serves its queue and that the clocks agree" in str(raised.value)
    assert raised.value.deadline is not None


def test_get_with_a_longer_timeout_ends_at_the_deadline(celery_app: Celery) -> None:
    with pytest.raises(DeadlineExceeded):
        waiting(celery_app, 0.1).get(timeout=100)


def test_get_with_a_shorter_timeout_is_celerys_own_error(celery_app: Celery) -> None:
    from celery.exceptions import TimeoutError as TimedOut

    with pytest.raises(TimedOut):
        waiting(celery_app, 60).get(timeout=0.1)


def test_await_ends_at_the_deadline_and_leaves_nothing_behind(celery_app: Celery) -> None:
    result = waiting(celery_app, 0.1)

    async def wait() -> Any:
        return await result

    with pytest.raises(DeadlineExceeded) as raised:
        asyncio.run(wait())
    assert raised.value.noticed == "waiting"


def test_an_outer_timeout_of_asyncio_stays_its_own(celery_app: Celery) -> None:
    async def wait() -> Any:
        async with asyncio.timeout(0.1):
            return await waiting(celery_app, 60)

    with pytest.raises(TimeoutError):
        asyncio.run(wait())


def test_what_a_worker_stored_wins_over_the_deadline(celery_app: Celery) -> None:
    result = waiting(celery_app, -5)
    celery_app.backend.store_result("nobody", 7, "SUCCESS")
    assert result.get() == 7


def test_copies_and_pickles_of_a_result_keep_its_deadline(boot: Callable[..., PicoContainer]) -> None:
    from pico_celery.contract.marks import marks_of

    app = boot(HereClient, HereWorker).get(HereClient).tell._app
    definition = marks_of(Here.tell).definition
    assert definition is not None
    result: AsyncResult[Any] = AsyncResult("x", app=app, definition=definition, deadline=SOON)
    assert copy.copy(result).deadline == copy.deepcopy(result).deadline == SOON
    again: Any = pickle.loads(pickle.dumps(result))
    assert again.deadline == SOON


def test_the_error_tells_task_id_deadline_and_place_as_data() -> None:
    error = DeadlineExceeded.of("a.b", "1", SOON, "unstarted")
    again: DeadlineExceeded = pickle.loads(pickle.dumps(error))
    assert (again.task, again.task_id, again.deadline, again.noticed) == ("a.b", "1", SOON, "unstarted")
    empty = DeadlineExceeded("another release")
    assert (empty.task, empty.task_id, empty.deadline, empty.noticed) == ("", "", None, "")
