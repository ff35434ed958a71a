"""What does not fit never reaches user code, and never stops a worker."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult as CeleryAsyncResult

from pico_celery import PayloadError, ResultError
from tests.integration.conftest import MATRIX, Served, StartWorker, usual
from tests.support.messages import JSON, body_of, embed, headers_of, put
from tests.support.waiting import becomes, eventually

SOON = timedelta(seconds=5)
FIVE_MEGABYTES = 5 * 1024 * 1024


class Supply:
    """A worker that serves; another one where a test left it unable to."""

    def __init__(self, start: Callable[[], AbstractContextManager[Served]]) -> None:
        self._start = start
        self._running = ExitStack()
        self._served: Served | None = None

    def take(self) -> Served:
        if self._served is None:
            self._served = self._running.enter_context(self._start())
        return self._served

    def check(self) -> None:
        """Give up a worker that does not serve any more, so that the next test has one that does."""
        served = self.take()
        try:
            served.probe.note("check").get(timeout=3)
            fit = served.worker.alive and "Unrecoverable error" not in served.worker.log
        except CeleryTimeoutError:
            fit = False
        if not fit:
            self.close()

    def close(self) -> None:
        self._served = None
        self._running.close()


@pytest.fixture(scope="module", params=usual(*MATRIX))
def supply(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Supply]:
    pool, transport = request.param
    supply = Supply(lambda: start_worker("contract_worker", pool, transport))
    yield supply
    supply.close()


@pytest.fixture
def served(supply: Supply) -> Iterator[Served]:
    yield supply.take()
    supply.check()


def served_well(served: Served) -> None:
    """Check that the worker lives, that nothing is left in the queue, and that the next good call is served."""
    key = f"good-{uuid4().hex}"
    assert served.probe.note(key).get(timeout=SOON) == 1
    assert served.worker.noted(key) == ["ran"]
    # A worker that gives up may still finish what it has taken.
    assert "Unrecoverable error" not in served.worker.log
    assert served.worker.alive
    becomes(served.site.waiting_messages, 0, 5)


PLACE = {"number": 1, "lines": [{"sku": "pen", "quantity": 1, "price": "much"}]}
BAD_CALLS: dict[str, tuple[str, list[Any], dict[str, Any], str]] = {
    "a wrong type": ("probe.note", ["{key}"], {"times": "many"}, "times: expected int, got 'many' (str)"),
    "a wrong type inside": ("shop.place", [PLACE], {}, "order.lines.0.price: expected"),
    "too many arguments": ("probe.note", ["{key}", 1, 2], {}, "expected at most 2 positional arguments, got 3"),
    "a missing argument": ("probe.note", [], {}, "key: expected a value of type str, got nothing; pass it"),
    "an unknown keyword": (
        "probe.note",
        ["{key}"],
        {"tiems": 1},
        "unexpected argument 'tiems'; did you mean",
    ),
    "a value given twice": ("probe.note", ["{key}"], {"key": "{key}"}, "key: given twice, by position and by keyword"),
    "a null": ("probe.note", ["{key}"], {"times": None}, "times: expected int"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_a_bad_call_of_a_plain_sender_is_a_final_failure_without_user_code(served: Served, case: str) -> None:
    task, args, kwargs, message = BAD_CALLS[case]
    key = f"bad-{uuid4().hex}"
    filled = json.loads(json.dumps([args, kwargs]).replace("{key}", key))
    result = served.plain.send_task(task, *filled)
    with pytest.raises(PayloadError) as caught:
        result.get(timeout=5)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{task}: the arguments do not fit the contract, 1 fault:\n  - {task}: ")
    assert result.state == "FAILURE"
    assert served.worker.noted(key) == []
    assert eventually(lambda: ran_once(served, result.id))
    served_well(served)


def ran_once(served: Served, task_id: str) -> bool:
    """Return whether the worker took a task once, and said in its log that it failed, not that it will be retried."""
    log = served.worker.log
    return log.count(f"[{task_id}] received") == 1 and f"[{task_id}] raised" in log and f"[{task_id}] retry" not in log


SHAPES: dict[str, tuple[Any, Any, str]] = {
    "kwargs that are a list": ([], ["a"], "kwargs: expected a mapping, got list"),
    "kwargs that are a number": ([], 5, "kwargs: expected a mapping, got int"),
    "kwargs that are null": ([], None, "kwargs: expected a mapping, got null"),
    "args that are a mapping": ({"key": "a"}, {}, "args: expected a list, got dict"),
    "args that are a text": ("text", {}, "args: expected a list, got str"),
    "args that are null": (None, {}, "args: expected a list, got null"),
}


@pytest.mark.parametrize("case", SHAPES)
def test_arguments_of_the_wrong_shape_are_a_final_failure_without_user_code(served: Served, case: str) -> None:
    args, kwargs, message = SHAPES[case]
    task_id = str(uuid4())
    put(served.site, body_of(args, kwargs), headers_of("probe.note", task_id), correlation_id=task_id)
    assert eventually(lambda: f"[{task_id}] refused" in served.worker.log)
    assert message in served.worker.log.split(f"[{task_id}] refused")[1][:600]
    assert f"[{task_id}] received" not in served.worker.log
    if served.keeps_results:
        result: CeleryAsyncResult[Any] = CeleryAsyncResult(task_id, app=served.plain)
        with pytest.raises(PayloadError, match=f"probe.note: {message}"):
            result.get(timeout=5)
    served_well(served)


def test_a_huge_payload_that_does_not_fit_is_refused_in_few_words(served: Served) -> None:
    before = len(served.worker.log)
    result = served.plain.send_task("probe.note", ["key"], {"times": "7" * FIVE_MEGABYTES})
    with pytest.raises(PayloadError) as caught:
        result.get(timeout=5)
    assert len(str(caught.value)) < 2000
    assert len(served.worker.log) - before < 100_000
    served_well(served)


def test_a_result_that_the_contract_does_not_allow_is_a_failure_on_the_worker(served: Served) -> None:
    number = uuid4().int % 10**9
    result = served.probe.lie(number)
    with pytest.raises(ResultError, match=r"probe\.lie: return\.total: expected .*; correct the implementation, or"):
        result.get(timeout=SOON)
    assert result.state == "FAILURE"
    assert served.worker.noted(f"lie-{number}") == ["ran"]
    assert eventually(lambda: ran_once(served, result.id))
    served_well(served)


def test_a_user_exception_is_a_failure_and_autoretry_still_works(served: Served) -> None:
    with pytest.raises(Exception, match="no paper"):
        served.probe.fail("no paper").get(timeout=SOON)
    key = f"often-{uuid4().hex}"
    assert served.probe.fail_often(key, 2).get(timeout=SOON) == 3
    served_well(served)


class Bomb:
    """Makes a directory when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


Raw = tuple[bytes | str, Any, dict[str, Any]]


def good(task_id: str) -> bytes:
    return body_of([f"never-{task_id}"], {})


def v2(task_id: str, **changes: Any) -> dict[str, Any]:
    return headers_of("probe.note", task_id, **changes)


def without(name: str) -> Callable[[str], Raw]:
    return lambda i: (good(i), {key: value for key, value in v2(i).items() if key != name}, {})


MALFORMED: dict[str, Callable[[str], Raw]] = {
    "not json": lambda i: (b"{not json", v2(i), {}),
    "not utf-8": lambda i: (b"\xff\xfe\x00", v2(i), {}),
    "nothing": lambda i: (b"", v2(i), {}),
    "a number": lambda i: (b"5", v2(i), {}),
    "null": lambda i: (b"null", v2(i), {}),
    "a text": lambda i: (b'"text"', v2(i), {}),
    "a list of one": lambda i: (json.dumps([[f"never-{i}"]]).encode(), v2(i), {}),
    "a list of four": lambda i: (json.dumps([[], {}, embed(), 1]).encode(), v2(i), {}),
    "a mapping": lambda i: (json.dumps({"key": f"never-{i}"}).encode(), v2(i), {}),
    "a mapping with args that are a number": lambda i: (json.dumps({"args": 5, "kwargs": {}}).encode(), v2(i), {}),
    "options that are a number": lambda i: (json.dumps([[], {}, 5]).encode(), v2(i), {}),
    "callbacks that are a number": lambda i: (json.dumps([[], {}, {**embed(), "callbacks": 5}]).encode(), v2(i), {}),
    "options that are null": lambda i: (json.dumps([[], {}, None]).encode(), v2(i), {}),
    "five megabytes of no json": lambda i: (b"x" * FIVE_MEGABYTES, v2(i), {}),
    "five megabytes of text": lambda i: (json.dumps("x" * FIVE_MEGABYTES).encode(), v2(i), {}),
    "deeply nested": lambda i: (b"[" * 100_000 + b"]" * 100_000, v2(i), {}),
    "an unknown content type": lambda i: (good(i), v2(i), {"content_type": "application/x-nobody"}),
    "yaml": lambda i: (b"[[a], {}, {}]", v2(i), {"content_type": "application/x-yaml"}),
    "plain text": lambda i: (b"hello", v2(i), {"content_type": "text/plain"}),
    "an unknown encoding": lambda i: (body_of([], {}), v2(i), {"content_encoding": "utf-99"}),
    "no headers at all": lambda i: (good(i), {}, {}),
    "no headers and no json": lambda _: (b"{no", {}, {}),
    "protocol 1 without a task": lambda i: (json.dumps({"id": i, "args": [], "kwargs": {}}).encode(), {}, {}),
    "protocol 1 with wrong kwargs": lambda i: (
        json.dumps({"task": "probe.note", "id": i, "args": [], "kwargs": [1]}).encode(),
        {},
        {},
    ),
    "no task in the headers": without("task"),
    "no id in the headers": without("id"),
    "an id that is a list": lambda i: (good(i), v2(i, id=[1]), {}),
    "a task that is a list": lambda i: (good(i), v2(i, task=["probe.note"]), {}),
    "a task that is a number": lambda i: (good(i), v2(i, task=5), {}),
    "an unknown task": lambda i: (good(i), v2(i, task="probe.nothing"), {}),
    "an eta that is no time": lambda i: (good(i), v2(i, eta="tomorrow"), {}),
    "an expiry that is no time": lambda i: (good(i), v2(i, expires="tomorrow"), {}),
    "limits that are a text": lambda i: (body_of([], {}), v2(i, timelimit="soon"), {}),
    "retries that are a text": lambda i: (body_of([], {}), v2(i, retries="often"), {}),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_message_is_dropped_with_a_word_and_the_worker_goes_on(served: Served, case: str) -> None:
    task_id = str(uuid4())
    body, headers, options = MALFORMED[case](task_id)
    before = len(served.worker.log)
    put(served.site, body, headers, **{"content_type": JSON, **options})
    served_well(served)
    assert served.worker.noted(f"never-{task_id}") == []
    # RabbitMQ does not tell of a message that a worker keeps without a word, unacknowledged until it ends.
    assert eventually(lambda: re.search(r"(WARNING|ERROR|CRITICAL)/", served.worker.log[before:]), 5)


def test_a_pickle_is_never_read(served: Served, tmp_path: Path) -> None:
    mark = tmp_path / "unpickled"
    for headers in (v2(str(uuid4())), {}):
        body = pickle.dumps([[Bomb(mark)], {}, embed()])
        options = {"content_type": "application/x-python-serialize", "content_encoding": "binary"}
        put(served.site, body, headers, **options)
    served_well(served)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists(), "the bomb itself does not work"


def test_no_message_is_left_unacknowledged(served: Served) -> None:
    served_well(served)
    # What a worker holds without acknowledging it comes back to the queue when it ends.
    served.worker.stop()
    assert served.site.waiting_messages() == 0
