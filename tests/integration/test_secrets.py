"""Secrets arrive whole, and show nowhere on the way."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult as CeleryAsyncResult
from pydantic import SecretBytes, SecretStr

from tests.integration.apps.contracts import Hidden, Login
from tests.integration.conftest import Served, ShareWorker, StartWorker, usual
from tests.support.messages import body_of, headers_of, put
from tests.support.waiting import becomes, eventually

SOON = timedelta(seconds=15)
POOLS = [("async", "redis"), ("processes", "redis"), ("threads", "redis"), ("solo", "redis"), ("async", "rabbitmq")]


@pytest.fixture(scope="module", params=usual(*POOLS, app="contract_worker"))
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("contract_worker", pool, transport) as started:
        yield started


@pytest.fixture(params=usual(*POOLS))
def narrow(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    """A worker that two calls fill."""
    pool, transport = request.param
    with start_worker("contract_worker", pool, transport) as started:
        yield started


def new_secret() -> str:
    return f"hush-{uuid4().hex}"


def assert_unseen(served: Served, *secrets: str) -> None:
    """Check that the worker's log says something, and no secret."""
    log = served.worker.log
    assert "DEBUG" in log
    seen = [line for line in log.splitlines() if any(secret in line for secret in secrets)]
    assert seen == []


@contextmanager
def captured_events(served: Served) -> Iterator[list[dict[str, Any]]]:
    """Give the events of the worker, as a monitor receives them."""
    found: list[dict[str, Any]] = []
    stop = threading.Event()
    listening = threading.Event()

    def listen() -> None:
        with served.plain.connection_for_read() as connection:
            receiver = served.plain.events.Receiver(connection, handlers={"*": found.append})
            with receiver.consumer_context() as (own, _, _):
                while not stop.is_set():
                    with contextlib.suppress(TimeoutError):
                        own.drain_events(timeout=0.1)
                    listening.set()  # Redis is subscribed to by the first look for events

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        assert listening.wait(10)
        yield found
    finally:
        stop.set()
        thread.join(10)


def succeeded(events: list[dict[str, Any]]) -> set[str]:
    """Return the ids of the tasks that have succeeded; a worker sends the event after it has stored the result."""
    return {event["uuid"] for event in events if event["type"] == "task-succeeded"}


def test_secrets_arrive_whole_in_arguments_and_results_and_show_in_no_log_or_event(served: Served) -> None:
    password, token, memo = new_secret(), new_secret(), new_secret()
    with captured_events(served) as events:
        login = Login(user="ann", password=SecretStr(password), token=SecretBytes(token.encode()), memo=memo)
        result = served.vault.open(login)
        session = result.get(timeout=SOON)
        becomes(lambda: succeeded(events) & {result.id}, {result.id})
    assert session.key.get_secret_value() == f"{password}+{token}"
    assert (session.user, session.memo) == ("ann", memo)
    told = json.dumps(events, default=str)
    assert "task-received" in told
    assert "user='ann'" in told
    for secret in (password, token, memo):
        assert secret not in told
    assert_unseen(served, password, token, memo)


def test_secrets_of_a_plain_client_show_in_no_log_or_event(served: Served) -> None:
    secret, password, memo = new_secret(), new_secret(), new_secret()
    login = {"user": "bob", "password": password, "token": "t", "memo": memo}
    with captured_events(served) as events:
        echoed = [
            served.plain.send_task("vault.echo", [secret]),
            served.plain.send_task("vault.echo", kwargs={"secret": secret}),
        ]
        assert [result.get(timeout=15) for result in echoed] == [secret, secret]
        opened = served.plain.send_task("vault.open", [login])
        opened.get(timeout=15)
        sent = {result.id for result in (*echoed, opened)}
        becomes(lambda: succeeded(events) & sent, sent)
    told = json.dumps(events, default=str)
    for text in (secret, password, memo):
        assert text not in told
    assert_unseen(served, secret, password, memo)


def test_a_field_without_repr_shows_in_no_log(served: Served) -> None:
    memo = new_secret()
    assert served.vault.hide(Hidden(shown="shown", memo=memo)).get(timeout=SOON).memo == memo
    served.plain.send_task("vault.hide", [{"shown": "shown", "memo": memo}]).get(timeout=15)
    assert_unseen(served, memo)


def test_secrets_survive_a_retry_and_show_nowhere(served: Served) -> None:
    secret, other = new_secret(), new_secret()
    result = served.vault.flaky(f"flaky-{uuid4().hex}", SecretStr(secret))
    assert result.get(timeout=SOON).get_secret_value() == secret
    plain = served.plain.send_task("vault.flaky", [f"flaky-{uuid4().hex}"], {"secret": other})
    assert plain.get(timeout=15) == other
    assert f"vault.flaky[{result.id}] retry" in served.worker.log
    assert_unseen(served, secret, other)


def test_the_last_failure_of_many_retries_shows_no_secret(served: Served) -> None:
    secret, other = new_secret(), new_secret()
    for result in (served.vault.never(SecretStr(secret)), served.plain.send_task("vault.never", [other])):
        with pytest.raises(Exception, match="every time"):
            result.get(timeout=15)
        assert secret not in str(result.traceback)
        assert other not in str(result.traceback)
    assert_unseen(served, secret, other)


@pytest.mark.parametrize(
    ("task", "args", "kwargs"),
    [
        ("vault.echo", ["{secret}", "{secret}"], {}),
        ("vault.echo", [], {"secrte": "{secret}"}),
        ("vault.echo", [{"value": "{secret}"}], {}),
        ("vault.echo", ["{secret}"], {"secret": "{secret}"}),
        ("vault.open", [{"user": 5, "password": "{secret}", "token": "t", "memo": "{secret}"}], {}),
        ("vault.open", [{"user": "u", "password": ["{secret}"], "token": "t", "memo": "{secret}"}], {}),
        ("vault.hide", [{"shown": "s", "memo": {"m": "{secret}"}}], {}),
        ("vault.hide", [{"shown": "s", "memo": "m", "extra": "{secret}"}], {}),
    ],
)
def test_a_payload_error_shows_no_secret(served: Served, task: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    secret = new_secret()
    filled = json.loads(json.dumps([args, kwargs]).replace("{secret}", secret))
    result = served.plain.send_task(task, *filled)
    with pytest.raises(Exception, match=f"{task}: the arguments do not fit the contract") as caught:
        result.get(timeout=15)
    assert secret not in str(caught.value)
    assert secret not in repr(caught.value)
    assert secret not in str(result.traceback)
    assert_unseen(served, secret)


def test_malformed_messages_show_no_secret(served: Served) -> None:
    secret = new_secret()
    bodies = [body_of({"secret": secret}, {}), body_of([], [secret])]
    for body in bodies:
        task_id = str(uuid4())
        put(served.site, body, headers_of("vault.echo", task_id), correlation_id=task_id)
        served.worker.wait_for_log(f"[{task_id}] refused")
    assert_unseen(served, secret)


def test_remote_control_shows_no_secret(narrow: Served) -> None:
    if narrow.worker.pool == "solo":
        pytest.skip("a solo worker answers no remote control while it works")
    secrets = [new_secret() for _ in range(6)]
    keys = [f"hold-{uuid4().hex}" for _ in range(6)]
    later = narrow.vault.hold.with_options(countdown=60)(keys[5], SecretStr(secrets[5]))
    results: list[CeleryAsyncResult[Any]]
    results = [narrow.vault.hold(key, SecretStr(secret)) for key, secret in zip(keys[:3], secrets[:3], strict=True)]
    results += [
        narrow.plain.send_task("vault.hold", [key, secret]) for key, secret in zip(keys[3:5], secrets[3:5], strict=True)
    ]
    try:
        inspect = narrow.plain.control.inspect([narrow.worker.node], timeout=5)
        becomes(lambda: len([key for key in keys if narrow.worker.noted(f"{key}-started")]), 2)
        assert eventually(lambda: later.id in str(inspect.scheduled()))
        answers = [
            inspect.scheduled(),
            inspect.active(),
            inspect.active(safe=True),
            inspect.reserved(),
            inspect.query_task(later.id),
        ]
        assert "vault.hold" in str(answers[1])
        for secret in secrets:
            assert secret not in str(answers)
    finally:
        for key in keys:
            narrow.worker.note(key)
        narrow.app.control.revoke(later.id, destination=[narrow.worker.node], reply=True, timeout=5)
    for result in results:
        result.get(timeout=15)
    assert_unseen(narrow, *secrets)


def test_what_a_waiting_client_knows_of_its_call_shows_no_secret(served: Served) -> None:
    secret = new_secret()
    result = served.vault.echo(SecretStr(secret))
    assert secret not in repr(result)
    try:
        value = result.get(timeout=SOON)
    except CeleryTimeoutError:
        pytest.fail(served.worker.log)
    assert secret not in repr(value)


@pytest.mark.parametrize("body", [("{secret}",), {"secret": "{secret}"}], ids=["by position", "by name"])
def test_secrets_of_a_short_message_show_in_no_log(served: Served, body: Any) -> None:
    # Celery cuts what it logs of a message at DEBUG: with long headers in front, no secret is ever reached.
    secret = new_secret()
    task_id = str(uuid4())
    filled = json.loads(json.dumps(body).replace("{secret}", secret))
    args, kwargs = ([], filled) if isinstance(filled, dict) else (filled, {})
    headers = {"task": "vault.echo", "id": task_id, "lang": "py"}
    put(served.site, body_of(args, kwargs), headers, correlation_id=task_id)
    assert eventually(lambda: f"vault.echo[{task_id}] succeeded" in served.worker.log)
    assert_unseen(served, secret)
