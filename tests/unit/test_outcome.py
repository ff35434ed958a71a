"""Claims: a result gives one exception for one failure, on every path, whatever the backend gave; an outcome is a value."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest
from celery import Celery, states
from celery.exceptions import TaskRevokedError
from celery.exceptions import TimeoutError as CeleryTimeoutError

from pico_celery import (
    AsyncResult,
    Catalog,
    DeadlineExceeded,
    Err,
    Ok,
    PayloadError,
    RemoteError,
    ResultError,
    TaskDefinition,
    TaskError,
    contract,
    task_options,
)
from pico_celery.client.results import hub
from pico_celery.contract.compiler import imply_task
from pico_celery.contract.marks import marks_of
from pico_celery.messaging.failures import encode_failure


class Declined(TaskError):
    reason: str


@contract("unit_outcomes", catalog=Catalog())
class Till(Protocol):
    @task_options(errors=[Declined])
    async def pay(self, amount: int) -> int: ...


def definition_of(method: Any) -> TaskDefinition:
    definition = marks_of(method).definition
    assert definition is not None
    return definition


PAY = definition_of(Till.pay)
DECLINED = Declined(reason="limit")


async def legacy(self: Any, amount: Any) -> Any: ...


def id_of(app: Celery) -> str:
    """Return an id that no other test uses: all share one memory."""
    return f"outcome-{app.main}"


def result_of(app: Celery, *, definition: TaskDefinition = PAY, **meta: Any) -> AsyncResult[int]:
    return AsyncResult(id_of(app), app=app, definition=definition, **meta)


def fail(app: Celery, error: Exception, state: str = states.FAILURE) -> None:
    backend: Any = app.backend
    backend.store_result(id_of(app), encode_failure(PAY, error), state, traceback="Traceback: told")


def test_every_way_to_a_failure_gives_the_same_exception(celery_app: Celery) -> None:
    fail(celery_app, Declined(reason="limit"))
    result = result_of(celery_app)

    async def wait() -> int:
        return await result

    raised: list[Any] = []
    for way in (lambda: result.get(timeout=1), result.maybe_throw, lambda: asyncio.run(wait())):
        with pytest.raises(Declined) as caught:
            way()
        raised.append(caught.value)
    raised += [result.result, result.info, result.get(propagate=False), result.maybe_throw(propagate=False)]
    assert raised == [DECLINED] * 7
    assert len({id(error) for error in raised}) == 1
    assert result.outcome(timeout=1) == asyncio.run(result.aoutcome()) == Err(DECLINED)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(DECLINED, Declined), (KeyError("tea"), RemoteError), (PayloadError.of("unit_outcomes.pay", []), PayloadError)],
)
def test_what_a_backend_keeps_is_understood_before_celery_has_built_anything(
    celery_app: Celery, error: Exception, kind: type[Exception]
) -> None:
    backend: Any = celery_app.backend
    result: Any = result_of(celery_app)
    raw = backend.prepare_exception(encode_failure(PAY, error), serializer="json")
    result._store({"status": "FAILURE", "result": raw, "traceback": "Traceback: told", "children": []})
    with pytest.raises(kind) as caught:
        result.get()
    assert result.outcome() == Err(caught.value)
    if isinstance(caught.value, RemoteError):
        assert (caught.value.remote_type, caught.value.remote_traceback) == ("builtins.KeyError", "Traceback: told")


def test_a_task_that_is_retried_shows_why_as_the_caller_s_exception(celery_app: Celery) -> None:
    result: Any = result_of(celery_app)
    fail(celery_app, KeyError("tea"), states.RETRY)
    assert isinstance(result.result, RemoteError)
    fail(celery_app, Declined(reason="later"), states.RETRY)
    assert result.state == "RETRY"
    assert result.result == Declined(reason="later")
    fail(celery_app, Declined(reason="now"))
    assert result.result == Declined(reason="now")


def test_a_revocation_stays_what_it_is(celery_app: Celery) -> None:
    celery_app.backend.mark_as_revoked(id_of(celery_app), "revoked", request=None)
    match result_of(celery_app).outcome(timeout=1):
        case Err(TaskRevokedError() as error):
            assert str(error) == "revoked"
        case other:
            pytest.fail(repr(other))


def test_the_failure_of_a_name_without_a_contract_is_as_celery_has_it(celery_app: Celery) -> None:
    fail(celery_app, KeyError("tea"))
    result = result_of(celery_app, definition=imply_task(legacy, "unit.legacy"))
    with pytest.raises(KeyError):
        result.get(timeout=1)
    backend: Any = celery_app.backend
    raw: Any = result_of(celery_app, definition=imply_task(legacy, "unit.legacy"))
    stored = backend.prepare_exception(KeyError("tea"), serializer="json")
    raw._store({"status": "FAILURE", "result": stored, "traceback": None, "children": []})
    with pytest.raises(KeyError):
        raw.get()
    match raw.outcome():
        case Err(KeyError()):
            pass
        case other:
            pytest.fail(repr(other))


def test_a_forgotten_failure_is_forgotten(celery_app: Celery) -> None:
    fail(celery_app, Declined(reason="limit"))
    result = result_of(celery_app)
    assert result.result == DECLINED
    result.forget()
    assert result.result is None
    celery_app.backend.store_result(id_of(celery_app), 5, states.SUCCESS)
    assert result.outcome(timeout=1) == Ok(5)


# --- outcomes


def test_a_success_is_ok_with_its_validated_value(celery_app: Celery) -> None:
    celery_app.backend.store_result(id_of(celery_app), 5, states.SUCCESS)
    assert result_of(celery_app).outcome(timeout=1) == Ok(5)
    assert asyncio.run(result_of(celery_app).aoutcome()) == Ok(5)


def test_a_result_that_does_not_fit_is_an_err(celery_app: Celery) -> None:
    celery_app.backend.store_result(id_of(celery_app), "five", states.SUCCESS)
    for outcome in (result_of(celery_app).outcome(timeout=1), asyncio.run(result_of(celery_app).aoutcome())):
        match outcome:
            case Err(ResultError(paths=paths)):
                assert paths == ("return",)
            case other:
                pytest.fail(repr(other))


def test_a_time_out_is_raised_not_returned(celery_app: Celery) -> None:
    with pytest.raises(CeleryTimeoutError):
        result_of(celery_app).outcome(timeout=0.01)


def test_a_deadline_that_has_passed_without_an_answer_is_an_err(celery_app: Celery) -> None:
    result: AsyncResult[int] = AsyncResult("late", app=celery_app, definition=PAY, deadline=datetime.now(UTC))
    for outcome in (result.outcome(), asyncio.run(result.aoutcome())):
        assert isinstance(outcome, Err)
        assert isinstance(outcome.error, DeadlineExceeded)
        assert outcome.error.noticed == "waiting"
    with pytest.raises(CeleryTimeoutError):
        result.outcome(timeout=0.05)


def test_why_a_call_was_not_sent_is_raised_not_returned(celery_app: Celery) -> None:
    reasons = (OSError("no broker"), ResultError("of another call", {}), DeadlineExceeded("too late to send", {}))
    for reason in reasons:
        result: AsyncResult[int] = AsyncResult(f"unsent-{reason}", app=celery_app, definition=PAY)
        result._not_sent(reason)
        with pytest.raises(type(reason)) as caught:
            result.outcome(timeout=5)
        assert caught.value is reason
        with pytest.raises(type(reason)):
            asyncio.run(result.aoutcome())


@pytest.mark.parametrize("known", [False, True], ids=["stored", "heard-before"])
def test_the_failure_of_a_task_before_is_the_outcome(celery_app: Celery, known: bool) -> None:
    fail(celery_app, DECLINED)
    parent = result_of(celery_app)
    if known:
        assert parent.outcome(timeout=5) == Err(DECLINED)
    last: AsyncResult[int] = AsyncResult("never-comes", app=celery_app, parent=parent, definition=PAY)
    assert last.outcome(timeout=5) == Err(DECLINED)
    assert asyncio.run(asyncio.wait_for(last.aoutcome(), 5)) == Err(DECLINED)
    with pytest.raises(Declined):
        last.get(timeout=5)


def test_waiting_for_what_is_not_kept_is_raised_not_returned(celery_app: Celery) -> None:
    result = result_of(celery_app)
    result.ignored = True
    with pytest.raises(ResultError, match="send it without ignore_result, or do not wait for it"):
        result.outcome()
    with pytest.raises(ResultError, match="send it without ignore_result, or do not wait for it"):
        asyncio.run(result.aoutcome())


def test_a_backend_that_cannot_be_reached_is_raised_not_returned(
    celery_app: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no backend")

    monkeypatch.setattr(type(celery_app.backend), "mget", refuse)
    with pytest.raises(CeleryTimeoutError, match="the result backend cannot be reached: ConnectionError: no backend"):
        result_of(celery_app).outcome(timeout=0.5)
    monkeypatch.setattr(hub, "_UNREACHABLE_SECONDS", 0.1)
    with pytest.raises(ConnectionError, match="no backend"):
        asyncio.run(asyncio.wait_for(result_of(celery_app).aoutcome(), 20))


def test_outcomes_are_frozen_values() -> None:
    assert (Ok(1), Err(DECLINED)) == (Ok(1), Err(Declined(reason="limit")))
    assert Ok(1) != Ok(2)
    for outcome, name in ((Ok(1), "value"), (Err(DECLINED), "error")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(outcome, name, None)
        assert not hasattr(outcome, "__dict__")
