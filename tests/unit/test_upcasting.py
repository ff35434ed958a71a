"""Claims: what an older message carries is turned into what the contract says, once, before it is validated."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import pytest
from celery import Celery
from pico_ioc import PicoContainer, component
from pydantic import BaseModel, SecretStr

from pico_celery import (
    Catalog,
    CeleryClient,
    ContractError,
    DecoratorError,
    PayloadError,
    TaskContext,
    TaskDefinition,
    celery,
    contract,
    send_task,
    task,
    upcast,
)
from pico_celery.contract.marks import marks_of
from pico_celery.contract.upcasting import upcasters_of
from pico_celery.document.build import document_of
from pico_celery.messaging.calls import UNSHOWN, decode_call, shown_call
from pico_celery.messaging.headers import contract_headers
from pico_celery.worker.deprecation_log import forget_logged

Boot = Callable[..., PicoContainer]
asked: list[Mapping[str, Any]] = []


class Order(BaseModel):
    id: int
    lines: list[str]


@contract("upcasting")
class Orders(Protocol):
    async def place(self, order: Order, *, tries: int = 0, change: bool = False) -> str: ...

    async def cancel(self, number: int) -> None: ...


@upcast(Orders.place)
def place_before_2(payload: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had the order's parts as arguments."""
    asked.append(dict(payload))
    if "order" not in payload:
        lines = payload.pop("lines")
        lines.append("upcast")
        payload["order"] = {"id": payload.pop("id"), "lines": lines}
    return payload


@upcast(Orders.place)
def place_before_3(payload: dict[str, Any]) -> dict[str, Any]:
    """Until version 2 a number was enough for a line."""
    lines = [f"sku-{line}" if isinstance(line, int) else line for line in payload["order"]["lines"]]
    return {**payload, "order": {**payload["order"], "lines": lines}}


@celery
class OrdersClient(CeleryClient):
    place = send_task(Orders.place)


@component
class OrdersWorker:
    def __init__(self, context: TaskContext) -> None:
        self.context = context

    @task(Orders.place)
    async def place(self, order: Order, *, tries: int = 0, change: bool = False) -> str:
        if self.context.retries < tries:
            changed = {"kwargs": {"order": {"id": order.id, "lines": [*order.lines, "again"]}}} if change else {}
            task: Any = self.context.request.task
            assert task == "upcasting.place"
            await self._retry(changed)
        return f"{order.id}: {' '.join(order.lines)}"

    async def _retry(self, changed: Any) -> None:
        from celery import current_task

        await asyncio.sleep(0)
        raise current_task.retry(countdown=0, **changed)

    @task(Orders.cancel)
    async def cancel(self, number: int) -> None: ...


@pytest.fixture(autouse=True)
def _nothing_asked() -> None:
    asked.clear()
    forget_logged()


def definition_of(method: Any) -> TaskDefinition:
    definition = marks_of(method).definition
    assert definition is not None
    return definition


PLACE = definition_of(Orders.place)
CURRENT = contract_headers(PLACE)
OLDER = {"pico_contract": "upcasting", "pico_digest": "0123456789abcdef"}
OLD = {"id": 7, "lines": [1, "tea"]}
NEW = {"order": {"id": 7, "lines": ["tea"]}}


def decoded(kwargs: Any, headers: Mapping[str, Any] | None, *args: Any) -> Any:
    return decode_call(PLACE, args, kwargs, headers)[1]["order"]


# --- when they are asked


@pytest.mark.parametrize("headers", [OLDER, {}, None], ids=["another contract", "plain Celery", "no headers"])
def test_a_message_of_another_contract_or_of_none_is_upcast_in_the_order_of_declaration(headers: Any) -> None:
    assert decoded(OLD, headers) == Order(id=7, lines=["sku-1", "tea", "upcast"])
    assert asked == [{"id": 7, "lines": [1, "tea", "upcast"]}]


def test_a_message_of_the_very_contract_is_not_touched() -> None:
    assert decoded(NEW, CURRENT) == Order(id=7, lines=["tea"])
    assert asked == []
    with pytest.raises(PayloadError) as caught:
        decoded(OLD, CURRENT)
    assert "place_before" not in str(caught.value)


def test_arguments_of_the_current_form_stay_as_they_are() -> None:
    assert decoded(NEW, OLDER) == Order(id=7, lines=["tea"])


def test_the_message_itself_is_left_as_it_came() -> None:
    message = {"id": 7, "lines": [1, "tea"]}
    decoded(message, OLDER)
    assert message == {"id": 7, "lines": [1, "tea"]}


def test_positional_arguments_have_the_names_of_the_contract() -> None:
    assert decoded({}, None, {"id": 7, "lines": [1]}) == Order(id=7, lines=["sku-1"])
    assert asked == [NEW | {"order": {"id": 7, "lines": [1]}}]


def test_more_positional_arguments_than_the_contract_has_cannot_be_named() -> None:
    with pytest.raises(PayloadError) as caught:
        decoded({}, None, 7, ["tea"])
    (fault,) = caught.value.faults
    assert (fault.code, fault.expected, fault.got) == ("too_many_arguments", "at most 1 positional argument", "2")
    assert fault.remedy == (
        f"send older arguments by name: the upcasters {__name__}.place_before_2 and {__name__}.place_before_3 could not "
        "tell them apart, for the contract has names for 1 positional argument only"
    )
    assert asked == []


def test_a_task_without_upcasters_says_of_another_contract_what_it_said_before() -> None:
    cancel = definition_of(Orders.cancel)
    assert upcasters_of(cancel) == ()
    with pytest.raises(PayloadError, match="deploy the same version of the contract on both sides"):
        decode_call(cancel, (), {"number": "x"}, OLDER)


# --- what may go wrong


def upcast_by(function: Callable[[dict[str, Any]], Any], kwargs: Any, *, secret: bool = False) -> PayloadError:
    if secret:

        @contract("upcasting", catalog=Catalog())
        class Secrets(Protocol):
            async def place(self, number: int, pin: SecretStr) -> None: ...

        method: Any = Secrets.place
    else:

        @contract("upcasting", catalog=Catalog())
        class Plain(Protocol):
            async def place(self, number: int) -> None: ...

        method = Plain.place
    upcast(method)(function)
    with pytest.raises(PayloadError) as caught:
        decode_call(definition_of(method), (), kwargs, OLDER)
    return caught.value


def fails(payload: dict[str, Any]) -> dict[str, Any]:
    raise KeyError(payload.get("pin", "lines"))


def test_an_error_in_an_upcaster_is_a_payload_error_that_names_it() -> None:
    error = upcast_by(fails, {})
    (fault,) = error.faults
    assert (fault.task, fault.code, fault.got) == ("upcasting.place", "upcast", "KeyError: 'lines'")
    assert fault.expected == f"the arguments by name from the upcaster {__name__}.fails"
    assert fault.remedy.startswith("correct it: it must return a mapping")
    assert "test_upcasting.py" in fault.where[0]
    assert isinstance(error.__cause__, KeyError)


def test_the_text_of_an_error_is_not_shown_where_arguments_are_secret() -> None:
    error = upcast_by(fails, {"pin": "pin-0815"}, secret=True)
    assert error.faults[0].got == "KeyError"
    assert error.__cause__ is None
    assert "pin-0815" not in str(error)


@pytest.mark.parametrize(
    ("result", "got"),
    [
        (None, "None"),
        ([1], "a value of type list"),
        ("text", "a value of type str"),
        ({1: 2}, "a mapping with other keys"),
    ],
)
def test_a_result_that_is_no_mapping_is_a_payload_error_that_names_the_upcaster(result: Any, got: str) -> None:
    def returns(payload: dict[str, Any]) -> Any:
        return result

    (fault,) = upcast_by(returns, {}).faults
    assert (fault.code, fault.got) == ("upcast", got)


def test_a_message_that_is_nested_without_end_is_a_payload_error() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    assert "RecursionError" in upcast_by(lambda payload: payload, {"number": nested}).faults[0].got


def test_what_does_not_fit_after_upcasting_says_that_the_upcaster_was_asked() -> None:
    def changes(payload: dict[str, Any]) -> dict[str, Any]:
        return {"number": "many"}

    def keeps(payload: dict[str, Any]) -> dict[str, Any]:
        return payload

    (fault,) = upcast_by(changes, {}).faults
    assert (fault.path, fault.code) == ("number", "int_parsing")
    assert fault.remedy.startswith("correct the upcaster ")
    assert fault.remedy.endswith("changes, which returned these arguments, or the sender")
    (fault,) = upcast_by(keeps, {"number": "many"}).faults
    assert fault.remedy.endswith("keeps, which left these arguments as they were, or the sender")


def test_what_is_no_json_after_upcasting_is_a_payload_error() -> None:
    assert upcast_by(lambda _: {"number": object()}, {}).faults[0].code == "not_json"


def test_any_mapping_will_do() -> None:
    class Frozen(Mapping[str, Any]):
        def __getitem__(self, name: str) -> Any:
            return {"number": 3}[name]

        def __iter__(self) -> Iterator[str]:
            return iter(["number"])

        def __len__(self) -> int:
            return 1

    @contract("upcasting", catalog=Catalog())
    class Plain(Protocol):
        async def place(self, number: int) -> None: ...

    @upcast(Plain.place)
    def frozen(payload: dict[str, Any]) -> Mapping[str, Any]:
        return Frozen()

    assert decode_call(definition_of(Plain.place), (), {}, None) == ((), {"number": 3})


def test_logs_show_what_the_types_show_of_older_arguments() -> None:
    @contract("upcasting", catalog=Catalog())
    class Secrets(Protocol):
        async def place(self, pin: SecretStr) -> None: ...

    @upcast(Secrets.place)
    def renamed(payload: dict[str, Any]) -> dict[str, Any]:
        return {"pin": payload["code"]} if "code" in payload else payload

    definition = definition_of(Secrets.place)
    assert shown_call(definition, (), {"code": "pin-0815"}, OLDER) == ("()", "{'pin': SecretStr('**********')}")
    assert shown_call(definition, (), {"code": "pin-0815"}, contract_headers(definition)) == (UNSHOWN, UNSHOWN)


# --- the decorator


def test_the_function_stays_what_it_is() -> None:
    assert place_before_2({"order": 1}) == {"order": 1}
    assert [one.function for one in upcasters_of(PLACE)] == [place_before_2, place_before_3]


def test_the_document_tells_which_tasks_have_upcasters() -> None:
    document = document_of([one for one in _contracts() if one.cls is Orders])
    assert {name: record.upcast for name, record in document.tasks.items()} == {
        "upcasting.cancel": False,
        "upcasting.place": True,
    }


def _contracts() -> Any:
    from pico_celery import default_catalog

    return default_catalog.contracts


async def waits(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


def yields(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield payload


def two(payload: dict[str, Any], more: int) -> dict[str, Any]:
    return payload


def keyword(*, payload: dict[str, Any]) -> dict[str, Any]:
    return payload


def nothing(payload: dict[str, Any]) -> None: ...


@pytest.mark.parametrize(
    ("function", "code", "got"),
    [
        (waits, "not_plain", "async def"),
        (yields, "not_plain", "a generator"),
        (two, "signature", "two(payload: dict[str, typing.Any], more: int) -> dict[str, typing.Any]"),
        (keyword, "signature", "keyword(*, payload: dict[str, typing.Any]) -> dict[str, typing.Any]"),
        (nothing, "result", "a result of type None"),
        (dict, "not_a_function", "a class"),
        (staticmethod(place_before_2), "not_a_function", "a staticmethod"),
        (3, "not_a_function", "a int"),
    ],
)
def test_what_cannot_be_an_upcaster_is_refused_at_the_decorator(function: Any, code: str, got: str) -> None:
    decorate: Any = upcast(Orders.cancel)
    with pytest.raises(DecoratorError) as caught:
        decorate(function)
    (fault,) = caught.value.faults
    assert (fault.task, fault.code, fault.got) == ("upcasting.cancel", code, got)
    assert fault.remedy
    assert PLACE.where.rpartition(":")[0] == fault.where[0].rpartition(":")[0]
    assert upcasters_of(definition_of(Orders.cancel)) == ()


@pytest.mark.parametrize(
    ("reference", "remedy"),
    [
        ("upcasting.place", "name the method itself, not the task: it is checked by types then"),
        (place_before_2, "take the method of a contract"),
        (OrdersWorker.place, "this is an implementation of upcasting.place: take the method of its contract"),
        (None, "take the method of a contract"),
    ],
)
def test_only_a_contracts_method_has_upcasters(reference: Any, remedy: str) -> None:
    with pytest.raises(DecoratorError) as caught:
        upcast(reference)
    (fault,) = caught.value.faults
    assert (fault.task, fault.code) == ("upcast", "not_a_contract_method")
    assert (fault.expected, fault.remedy) == ("a method of a contract, such as Orders.place", remedy)


def test_one_name_is_declared_once() -> None:
    @contract("upcasting", catalog=Catalog())
    class Plain(Protocol):
        async def place(self, number: int) -> None: ...

    @upcast(Plain.place)
    def first(payload: dict[str, Any]) -> dict[str, Any]:
        return payload

    with pytest.raises(DecoratorError, match="expected one declaration, got two; remove one of them"):
        upcast(Plain.place)(first)

    def second(payload: dict[str, Any]) -> dict[str, Any]:
        return payload

    second.__qualname__ = first.__qualname__
    with pytest.raises(DecoratorError) as caught:
        upcast(Plain.place)(second)
    assert len(caught.value.faults[0].where) == 2
    assert len(upcasters_of(definition_of(Plain.place))) == 1


def test_a_module_that_is_loaded_again_declares_no_second_one(load_module: Callable[..., Any]) -> None:
    @contract("upcasting", catalog=Catalog())
    class Plain(Protocol):
        async def place(self, number: int) -> None: ...

    source = """
from pico_celery import upcast

def declare(method):
    @upcast(method)
    def renamed(payload):
        return payload
    return renamed
"""
    first, renamed = (load_module(source, "unit_upcasters").declare(Plain.place) for _ in range(2))
    assert first is not renamed
    assert [one.function for one in upcasters_of(definition_of(Plain.place))] == [renamed]


def test_a_contract_that_was_refused_has_no_task_to_upcast() -> None:
    with pytest.raises(ContractError):

        @contract("upcasting", catalog=Catalog())
        class Wrong(Protocol):
            def place(self, number: int) -> None: ...


# --- in a worker


def test_eager_calls_of_clients_are_not_upcast_and_plain_ones_are(boot: Boot, caplog: pytest.LogCaptureFixture) -> None:
    app = boot(OrdersWorker).get(Celery)
    assert OrdersClient(app).place(Order(id=1, lines=["a"])).get() == "1: a"
    assert asked == []
    with caplog.at_level(logging.INFO, "pico_celery"):
        for _ in range(2):
            assert app.tasks["upcasting.place"].apply((), OLD).get() == "7: sku-1 tea upcast"
    assert len(asked) == 2
    (told,) = [one.getMessage() for one in caplog.records if one.name == "pico_celery.worker.deprecation_log"]
    assert told.startswith("upcasting.place is called by another contract than this worker has, and its arguments")
    assert "place_before_2" in told


def test_a_retry_of_an_older_message_is_the_same_message(boot: Boot) -> None:
    place = boot(OrdersWorker).get(Celery).tasks["upcasting.place"]
    again = place.apply((), {**OLD, "tries": 2}, headers=OLDER)
    assert again.get() == "7: sku-1 tea upcast", "upcast anew from what was sent, not from what was upcast"
    assert len(asked) == 3


def test_a_retry_with_other_arguments_is_a_message_of_the_current_contract(boot: Boot) -> None:
    place = boot(OrdersWorker).get(Celery).tasks["upcasting.place"]
    changed = place.apply((), {**OLD, "tries": 1, "change": True}, headers=OLDER)
    assert changed.get() == "7: sku-1 tea upcast again"
    assert len(asked) == 2, "for the first try: once to run it, once to know the arguments that are kept"


def test_a_retry_of_a_current_message_with_other_arguments_asks_no_upcaster(boot: Boot) -> None:
    client = OrdersClient(boot(OrdersWorker).get(Celery))
    assert client.place(Order(id=1, lines=["a"]), tries=1, change=True).get() == "1: a again"
    assert asked == []


def test_a_failed_upcast_is_never_tried_again(boot: Boot) -> None:
    place = boot(OrdersWorker).get(Celery).tasks["upcasting.place"]
    result = place.apply((), {"id": 7}, headers=OLDER)
    assert result.state == "FAILURE"
    assert isinstance(result.result, PayloadError)
    assert "KeyError: 'lines'" in str(result.result)
    assert len(asked) == 1
