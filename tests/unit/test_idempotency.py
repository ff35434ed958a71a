"""Idempotency keys: checked at the contract, made of validated arguments, told apart, kept in eager mode."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import pytest
from celery import Celery
from pico_ioc import PicoContainer, component
from pydantic import BaseModel, SecretStr

from pico_celery import (
    Catalog,
    CeleryClient,
    ContractError,
    OptionError,
    PayloadError,
    RemoteError,
    celery,
    contract,
    send_task,
    task_options,
)
from pico_celery.client.idempotency import IdempotencyKey
from pico_celery.contract.idempotency_key import key_of
from pico_celery.contract.marks import marks_of


class Order(BaseModel):
    id: int
    tags: set[str] = set()
    pin: SecretStr = SecretStr("0000")


def key_text(key: Callable[..., Any], order: Mapping[str, Any] | None = None, **more: Any) -> str | None:
    @contract("keyed", catalog=Catalog())
    class Keyed(Protocol):
        @task_options(key=key)
        async def place(self, order: Order, *, dry_run: bool = False, note: str = "none") -> None: ...

    definition = marks_of(Keyed.place).definition
    assert definition is not None
    arguments = definition.arguments.decode({"order": order or {"id": 5}, **more})
    return key_of(definition, arguments)


# --- at the @contract line


def test_a_key_names_parameters_of_the_task_or_the_contract_is_refused() -> None:
    with pytest.raises(ContractError) as raised:

        @contract("keyed_wrong", catalog=Catalog())
        class Keyed(Protocol):
            @task_options(key=lambda ordr, /, dry_run, *args: ordr)
            async def place(self, order: Order, dry_run: bool = False) -> None: ...

            @task_options(key=lambda ordr: ordr)
            async def cancel(self, order: Order) -> None: ...

    found = {fault.path: (fault.expected, fault.got, fault.remedy) for fault in raised.value.faults}
    by_position = ("a parameter given by name", "one that can be given by position only", "name the task's parameters")
    assert found["key.args"] == by_position
    assert {fault.task for fault in raised.value.faults} == {"Keyed.place", "Keyed.cancel"}
    unknown = [fault for fault in raised.value.faults if fault.task == "Keyed.cancel"]
    assert [(fault.got, fault.remedy) for fault in unknown] == [("no such parameter", "did you mean 'order'?")]
    assert all(len(fault.where) == 2 for fault in raised.value.faults)


def test_a_key_whose_parameters_cannot_be_read_is_refused() -> None:
    with pytest.raises(ContractError, match="write a lambda or a function with the task's parameters"):

        @contract("keyed_builtin", catalog=Catalog())
        class Keyed(Protocol):
            @task_options(key=max)
            async def place(self, order: Order) -> None: ...


def test_a_key_that_is_no_function_is_an_option_error() -> None:
    with pytest.raises(OptionError, match="key: expected callable"):
        task_options(key="order.id")  # type: ignore[arg-type]


# --- made of the arguments


@dataclass
class Plain:
    b: int
    a: str


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (lambda order: order.id, "5"),
        (lambda order: f"order-{order.id}", "order-5"),
        (lambda order, dry_run: [order.id, dry_run], "[5,false]"),
        (lambda **arguments: sorted(arguments), '["dry_run","note","order"]'),
        (lambda note: note, "none"),
        (lambda: "always", "always"),
        (lambda order: UUID(int=order.id), "00000000-0000-0000-0000-000000000005"),
        (lambda order: {"b": order.id, "a": (1, 2)}, '{"a":[1,2],"b":5}'),
        (lambda order: Plain(b=1, a="x"), '{"a":"x","b":1}'),
        (lambda order: None, None),
    ],
)
def test_a_key_becomes_the_same_text_for_equal_values(key: Callable[..., Any], text: str | None) -> None:
    assert key_text(key) == text


def test_a_parameter_with_a_default_that_the_task_does_not_have_is_refused_too() -> None:
    with pytest.raises(ContractError, match=r"key\.unknown: expected a parameter of the task"):
        key_text(lambda order, unknown="default": unknown)


def test_the_order_of_a_set_does_not_change_the_key() -> None:
    tags = [f"tag{number}" for number in range(50)]
    made = set()
    for _ in range(5):
        random.shuffle(tags)
        made.add(key_text(lambda order: [order.tags, order.id], {"id": 1, "tags": tags}))
    assert len(made) == 1


@pytest.mark.parametrize(
    ("key", "got", "remedy"),
    [
        (lambda order: order.pin, "a secret, which shows the same for all values", "return a text, a number"),
        (lambda order: order, "a secret, which shows the same for all values", "return a text, a number"),
        (lambda order: object(), "a value of type object", "return a text, a number"),
        (lambda order: "", "an empty text", "return None where a call is to have no key"),
        (lambda order: order.idd, "AttributeError", "correct key= of the contract"),
    ],
)
def test_a_key_that_cannot_be_made_is_an_error_of_the_call(key: Callable[..., Any], got: str, remedy: str) -> None:
    with pytest.raises(PayloadError) as raised:
        key_text(key)
    (fault,) = raised.value.faults
    assert (fault.task, fault.path, fault.got, fault.code) == ("keyed.place", "key", got, "idempotency_key")
    assert fault.remedy.startswith(remedy)


def test_keys_are_kept_under_names_that_show_neither_them_nor_their_length() -> None:
    name = IdempotencyKey(task="a.b", text="secret" * 1000).name
    assert name.startswith("idempotency-a.b-")
    assert len(name) < 100
    assert name != IdempotencyKey(task="a.c", text="secret" * 1000).name


# --- eager mode, and backends that cannot


@contract("keyed_here")
class Here(Protocol):
    @task_options(key=lambda number, note: None if note == "free" else number)
    async def count(self, number: int, note: str = "") -> int: ...

    async def plain(self, number: int) -> int: ...


@celery
class HereClient(CeleryClient):
    count = send_task(Here.count)
    plain = send_task(Here.plain)


_ran: list[int] = []


@component
class HereWorker(Here):
    async def count(self, number: int, note: str = "") -> int:
        _ran.append(number)
        if note == "fail":
            raise ValueError(note)
        return len(_ran)

    async def plain(self, number: int) -> int:
        _ran.append(number)
        return len(_ran)


@pytest.fixture
def here(boot: Callable[..., PicoContainer]) -> HereClient:
    _ran.clear()
    return boot(HereClient, HereWorker).get(HereClient)


def test_eager_calls_with_one_key_run_once(here: HereClient) -> None:
    first, second = here.count(1), here.count(1)
    assert first.id == second.id
    assert first.get() == second.get() == 1
    assert here.count(2).get() == 2
    assert _ran == [1, 2]


def test_a_key_of_the_call_wins_over_that_of_the_contract(here: HereClient) -> None:
    assert here.count.with_options(idempotency_key="1")(7).id == here.count(1).id
    assert here.count.with_options(idempotency_key="x")(1).id != here.count(1).id


def test_a_key_belongs_to_one_task(here: HereClient) -> None:
    assert here.plain.with_options(idempotency_key="1")(1).id != here.count(1).id


def test_a_key_of_none_lets_every_call_run(here: HereClient) -> None:
    assert here.count(1, "free").id != here.count(1, "free").id
    assert _ran == [1, 1]


def test_a_failed_eager_call_is_the_first_call_too_until_it_is_forgotten(here: HereClient) -> None:
    first = here.count(1, "fail")
    assert here.count(1).id == first.id
    with pytest.raises(RemoteError, match="fail"):
        here.count(1).get()
    first.forget()
    assert here.count(1).get() == 2


def test_after_its_time_a_key_of_an_eager_call_is_free(here: HereClient) -> None:
    from tests.support.waiting import eventually

    brief = here.plain.with_options(idempotency_key="k", idempotency_ttl=0.2)
    first = brief(1).id
    assert brief(1).id == first
    assert eventually(lambda: brief(1).id != first)


@pytest.mark.parametrize("backend", ["rpc://", "cache+memory://", "disabled://"])
def test_a_backend_without_atomic_keys_refuses_the_call(backend: str) -> None:
    app = Celery("no_keys", broker="memory://", backend=backend, set_as_current=False)
    with pytest.raises(OptionError) as raised:
        HereClient(app).count(1)
    (fault,) = raised.value.faults
    assert (fault.task, fault.path, fault.code) == ("keyed_here.count", "idempotency_key", "no_atomic_backend")
    assert fault.remedy.startswith("set backend_url to a Redis server, or send without a key")
    app.close()


@pytest.mark.parametrize(
    ("options", "path", "expected"),
    [
        ({"idempotency_key": ""}, "idempotency_key", "a text"),
        ({"idempotency_key": "x", "idempotency_ttl": 0}, "idempotency_ttl", "more than 0 s"),
    ],
)
def test_an_empty_key_or_time_is_an_option_error(
    here: HereClient, options: dict[str, Any], path: str, expected: str
) -> None:
    with pytest.raises(OptionError) as raised:
        here.plain.with_options(**options)(1)
    (fault,) = raised.value.faults
    assert (fault.path, fault.expected) == (path, expected)
