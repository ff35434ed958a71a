"""What is said of clients and workers, from what workers answer: fine, compatible, incompatible, unserved, unknown."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Annotated, Any, Protocol

import pytest
from celery import Celery
from pico_ioc import PicoContainer, component
from pydantic import Field

from pico_celery import Catalog, TaskError, UndeclaredTaskWarning, contract, task, task_options
from pico_celery.contract.marks import marks_of
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import from_data
from pico_celery.document.records import Document
from pico_celery.worker import inspect_command as telling
from pico_celery_tooling.evolution.rules import Level
from pico_celery_tooling.live.inspect_client import Answers, WorkerAnswer, ask
from pico_celery_tooling.live.verify import (
    Met,
    Side,
    State,
    TaskReport,
    Wanted,
    differing,
    meet,
    verify,
    wait_until_good,
)
from pico_celery_tooling.output import ToolError

NAME = "shop.buy"
QUEUE = "shop"


class SoldOutError(TaskError, code="shop.sold_out"):
    sku: str


class StolenError(TaskError, code="shop.stolen"):
    sku: str


def document(cls: type[Any]) -> Document:
    catalog = Catalog()
    contract("shop", catalog=catalog)(cls)
    return document_of(catalog.contracts)


class Ours(Protocol):
    @task_options(errors=[SoldOutError])
    async def buy(self, sku: str, *, number: int = 1) -> Decimal: ...


class Wider(Protocol):
    @task_options(errors=[SoldOutError])
    async def buy(self, sku: str, *, number: float = 2, gift: bool = False) -> Decimal: ...


class Narrower(Protocol):
    @task_options(errors=[SoldOutError])
    async def buy(self, sku: str, *, number: Annotated[int, Field(ge=5)] = 5) -> Decimal: ...


OURS, WIDER, NARROWER = document(Ours), document(Wider), document(Narrower)


def wanted(*queues: str, declared: bool = True) -> Wanted:
    record = OURS.tasks[NAME] if declared else None
    return Wanted(name=NAME, record=record, document=OURS if declared else None, queues=frozenset(queues))


def worker(name: str, served: Document | None = OURS, *, told: bool = True, **more: Any) -> WorkerAnswer:
    tasks = {} if served is None else {task: record.digest for task, record in served.tasks.items()}
    return WorkerAnswer(worker=name, reports_contracts=True, tasks=tasks, document=served if told else None, **more)


def plain(name: str, *others: str, queues: frozenset[str] | None = None) -> WorkerAnswer:
    return WorkerAnswer(worker=name, reports_contracts=False, others=frozenset(others), queues=queues, problem="plain")


def report(*answers: WorkerAnswer, queues: tuple[str, ...] = (), declared: bool = True) -> TaskReport:
    (found,) = verify([wanted(*queues, declared=declared)], Answers(answers))
    return found


def test_no_answer_is_unknown_and_never_fine() -> None:
    found = report()
    assert (found.state, found.is_good, found.reason) == (State.UNKNOWN, False, "no worker answered")


def test_the_same_digest_is_fine_without_a_definition() -> None:
    found = report(worker("a", told=False), worker("b"))
    assert (found.state, found.is_good) == (State.FINE, True)
    assert [one.workers for one in found.serving] == [("a", "b")]


def test_another_version_that_takes_all_that_is_sent_is_compatible() -> None:
    assert differing([wanted()], Answers((worker("a"), worker("b", WIDER)))) == {NAME}
    found = report(worker("a"), worker("b", WIDER))
    assert (found.state, found.is_good) == (State.COMPATIBLE, True)
    assert [(one.workers, one.state) for one in found.serving] == [(("a",), State.FINE), (("b",), State.COMPATIBLE)]


def test_one_worker_that_refuses_makes_it_incompatible_whatever_the_others_do() -> None:
    found = report(worker("a"), worker("b"), worker("c", NARROWER))
    assert (found.state, found.is_good) == (State.INCOMPATIBLE, False)
    (refusing,) = [one for one in found.serving if one.state is State.INCOMPATIBLE]
    (met,) = refusing.met
    assert (refusing.workers, met.finding.path, met.finding.level) == (("c",), "number", Level.BREAK)
    assert met.finding.payload < 5


def test_another_version_whose_definition_is_not_told_is_unknown() -> None:
    found = report(worker("a", WIDER, told=False))
    assert (found.state, found.is_good) == (State.UNKNOWN, False)
    assert "its definition was not reported" in found.serving[0].reason


def test_a_definition_that_cannot_be_read_is_unknown_with_the_reason() -> None:
    newer = WorkerAnswer(worker="a", reports_contracts=True, tasks={NAME: "0"}, problem="upgrade pico-celery here")
    found = report(newer)
    assert (found.state, "upgrade pico-celery here" in found.serving[0].reason) == (State.UNKNOWN, True)


def test_a_worker_that_serves_the_name_without_a_contract_is_unknown() -> None:
    for answer in (plain("a", NAME), worker("a", None, others=frozenset({NAME}))):
        found = report(answer)
        assert (found.state, found.is_good) == (State.UNKNOWN, False)
    assert report(worker("b"), plain("a", NAME)).state is State.UNKNOWN


def test_a_name_that_no_contract_declares_is_fine_where_somebody_serves_it() -> None:
    assert report(plain("a", NAME), declared=False).state is State.FINE
    assert report(worker("a"), declared=False).state is State.FINE
    assert report(plain("a", "shop.sell"), declared=False).state is State.UNSERVED


def test_where_nobody_serves_it_those_who_answered_are_named() -> None:
    found = report(worker("a", None), plain("b", "shop.sell"))
    assert (found.state, found.is_good, found.reason) == (State.UNSERVED, False, "not served by a, b")


def test_a_worker_of_which_nothing_is_known_may_serve_it() -> None:
    found = report(worker("a", None), plain("b"))
    assert (found.state, found.reason) == (State.UNKNOWN, "it is not known what b serve")


def test_a_worker_that_consumes_its_queue_and_does_not_know_it_is_named() -> None:
    loses = worker("b", None, queues=frozenset({QUEUE, "other"}))
    found = report(worker("a", queues=frozenset({QUEUE})), loses, queues=(QUEUE,))
    assert (found.state, found.serving[-1].workers) == (State.INCOMPATIBLE, ("b",))
    assert found.serving[-1].reason.startswith(f"consuming its queue {QUEUE} without knowing the task")
    elsewhere = worker("b", None, queues=frozenset({"other"}))
    assert report(worker("a", queues=frozenset({QUEUE})), elsewhere, queues=(QUEUE,)).state is State.FINE
    assert report(plain("c", "x", queues=frozenset({QUEUE})), worker("a"), queues=(QUEUE,)).state is State.INCOMPATIBLE


def test_where_nobody_who_serves_it_consumes_its_queue_it_is_unserved() -> None:
    found = report(worker("a", queues=frozenset({"celery"})), queues=(QUEUE,))
    assert (found.state, found.reason) == (
        State.UNSERVED,
        "its messages go to the queue shop, and none of the workers that serve it consumes that: a consumes celery",
    )
    assert report(worker("a", queues=None), queues=(QUEUE,)).state is State.FINE
    assert report(worker("a", queues=frozenset({"celery"}))).state is State.FINE


def test_an_alias_is_served_by_the_task_that_has_it() -> None:
    answer = worker("a", aliases={"shop.purchase": NAME})
    name = Wanted(name="shop.purchase", record=OURS.tasks[NAME], document=OURS)
    assert verify([name], Answers((answer,)))[0].state is State.FINE


def met(theirs: type[Any]) -> dict[str, Met]:
    other = document(theirs)
    found = meet(Side(task=OURS.tasks[NAME], document=OURS), Side(task=other.tasks[NAME], document=other))
    return {f"{one.finding.rule} {one.finding.path}": one for one in found}


def test_what_is_new_on_the_worker_breaks_where_it_is_required_alone() -> None:
    class Theirs(Protocol):
        @task_options(errors=[SoldOutError])
        async def buy(self, sku: str, card: str, *, number: int = 1, gift: bool = False) -> Decimal: ...

    assert list(met(Theirs)) == ["parameter_required card"]


def test_what_the_worker_lacks_or_requires_is_told() -> None:
    class Theirs(Protocol):
        async def buy(self, sku: str) -> Decimal: ...

    class Strict(Protocol):
        async def buy(self, sku: str, *, number: int) -> Decimal: ...

    found = met(Theirs)
    assert list(found) == ["parameter_unknown number"]
    assert "refuses calls that give it" in found["parameter_unknown number"].finding.message
    assert list(met(Strict)) == ["parameter_required number"]


def test_a_result_that_the_client_refuses_breaks_and_an_error_it_does_not_know_is_a_note() -> None:
    class Theirs(Protocol):
        @task_options(errors=[SoldOutError, StolenError])
        async def buy(self, sku: str, *, number: int = 1) -> list[str]: ...

    found = met(Theirs)
    assert found["error_unknown shop.stolen"].finding.level is Level.NOTE
    (result,) = [one for key, one in found.items() if key.startswith("result_")]
    assert (result.finding.path, result.is_certain) == ("return", True)


def test_waiting_ends_when_all_is_good_and_tells_what_it_waits_for() -> None:
    states: list[Any] = [ToolError("no broker"), (), (), (worker("a"),)]
    told: list[str] = []

    def look() -> tuple[Answers, list[TaskReport]]:
        state = states.pop(0)
        if isinstance(state, ToolError):
            raise state
        return Answers(state), verify([wanted()], Answers(state))

    _, (found,) = wait_until_good(look, 30, told.append)
    assert (found.state, states) == (State.FINE, [])
    assert [line.partition(": ")[2] for line in told] == ["no broker", "shop.buy is unknown"]


def test_without_time_to_wait_one_look_is_all() -> None:
    def fail() -> tuple[Answers, list[TaskReport]]:
        raise ToolError("no broker")

    with pytest.raises(ToolError, match="no broker"):
        wait_until_good(fail, 0, print)


# --- the worker's answer


def answer_of(app: Any, **arguments: Any) -> dict[str, Any]:
    state: Any = SimpleNamespace(app=app, consumer=SimpleNamespace(task_consumer=None))
    return telling._answer(state, **arguments)


def test_an_answer_that_cannot_be_made_says_so_and_nothing_of_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        @property
        def tasks(self) -> Any:
            raise ValueError("hunter2-0815")

    told = answer_of(Broken())
    assert list(told) == ["error"]
    assert "ValueError" in told["error"]
    assert "hunter2" not in told["error"]
    assert "hunter2-0815" in caplog.text


def test_an_application_without_contracts_tells_the_names_that_it_serves(celery_app: Celery) -> None:
    @celery_app.task(name="old.mail", shared=False)
    def mail() -> None: ...

    told = answer_of(celery_app, something_newer=True)
    assert (told["tasks"], told["implied"], told["queues"]) == ({}, ["old.mail"], [])
    assert from_data(answer_of(celery_app, definitions=True)["definitions"], "it").tasks == {}
    assert "definitions" not in told


@contract("tell_unit")
class Tell(Protocol):
    @task_options(aliases=["tell_unit.before"])
    async def now(self, number: int) -> int: ...

    async def never(self) -> None: ...


def test_components_are_told_by_their_contracts_with_aliases(boot: Callable[..., PicoContainer]) -> None:
    @component
    class TellWorker:
        @task(Tell.now)
        async def now(self, number: int) -> int:
            return number

        @task("undeclared.one")
        async def one(self) -> None: ...

    with pytest.warns(UndeclaredTaskWarning):
        app = boot(TellWorker).get(Celery)
    told = answer_of(app, names=["tell_unit.before"])
    definition = marks_of(Tell.now).definition
    assert definition is not None
    assert told["tasks"] == {"tell_unit.now": definition.digest}
    assert told["aliases"] == {"tell_unit.before": "tell_unit.now"}
    assert told["implied"] == ["undeclared.one"]
    assert list(told["contracts"]) == ["tell_unit"]
    assert list(from_data(told["definitions"], "it").tasks) == ["tell_unit.now"]
    again = answer_of(app, definitions=True)
    assert again["definitions"] == told["definitions"]


# --- the broker


@pytest.mark.parametrize(
    "url", ["redis://:hunter2@127.0.0.1:1/0", "amqp://me:hunter2@127.0.0.1:1//", "nosuch://me:hunter2@127.0.0.1:1//"]
)
def test_a_broker_that_cannot_be_reached_is_named_without_its_password(url: str) -> None:
    app = Celery(broker=url, set_as_current=False)
    with pytest.raises(ToolError, match="cannot be reached") as caught:
        ask(app, 0.2)
    assert "set broker_url" in caught.value.remedy
    assert "127.0.0.1:1" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_an_answer_that_is_no_answer_is_a_problem_of_that_worker() -> None:
    from pico_celery_tooling.live.inspect_client import _answer

    replies: tuple[Any, ...] = (None, "ok", [], {"ok": "pong"}, {"error": "KeyError('contracts')"}, {"tasks": 5})
    for reply in replies:
        answer = _answer("a", reply)
        assert (answer.reports_contracts, bool(answer.problem)) == (False, True)
    newer = _answer("a", {"tasks": {NAME: "1"}, "definitions": {"lock_version": 99, "contracts": {}}})
    assert (newer.reports_contracts, newer.document, "upgrade pico-celery" in newer.problem) == (True, None, True)


def test_workers_of_one_name_are_told_apart() -> None:
    from pico_celery_tooling.live.inspect_client import _named

    assert _named([("a", 1), ("b", 2), ("a", 3)]) == [("a", 1), ("b", 2), ("a (2)", 3)]
