"""Claims: what is deprecated is said to be, at the line of each call and once in a worker's log; versions live side by side."""

import asyncio
import inspect
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from celery import Celery
from celery.app.task import Context
from pico_ioc import PicoContainer, component
from typing_extensions import deprecated

from pico_celery import (
    Catalog,
    CeleryClient,
    ContractError,
    DeprecatedTaskWarning,
    OptionError,
    TaskDefinition,
    celery,
    contract,
    default_catalog,
    send_task,
    task,
    task_options,
)
from pico_celery.contract.marks import marks_of
from pico_celery.document.build import document_of
from pico_celery.messaging.headers import contract_headers
from pico_celery.worker.deprecation_log import forget_logged, log_outdated_call

Boot = Callable[..., PicoContainer]


@contract("evolving")
class Orders(Protocol):
    @task_options(since="1.4", deprecated="use evolving.v2.place")
    async def place(self, item: str, *, count: int = 1) -> str:
        """Book an item."""
        ...

    @deprecated("use find")
    @task_options(queue="search")
    async def look(self, text: str) -> int: ...

    @task_options(queue="search")
    @deprecated("use find", category=None)
    async def seek(self, text: str) -> int: ...

    async def find(self, text: str) -> int: ...


@contract("evolving", version=2)
class OrdersV2(Protocol):
    async def place(self, item: str, count: int) -> list[str]: ...


@celery
class OrdersClient(CeleryClient):
    place = send_task(Orders.place)
    look = send_task(Orders.look)
    seek = send_task(Orders.seek)
    find = send_task(Orders.find)
    place_v2 = send_task(OrdersV2.place)


@component
class OrdersWorker:
    @task(Orders.place)
    async def place(self, item: str, *, count: int = 1) -> str:
        return item * count

    @task(OrdersV2.place)
    async def place_v2(self, item: str, count: int) -> list[str]:
        return [item] * count

    @task(Orders.look)
    async def look(self, text: str) -> int:
        return len(text)

    @task(Orders.seek)
    async def seek(self, text: str) -> int:
        return len(text)

    @task("evolving.find")
    async def find(self, text: str) -> int:
        return len(text)


@pytest.fixture(autouse=True)
def _tell_again() -> Iterator[None]:
    forget_logged()
    yield
    forget_logged()


@pytest.fixture
def client(boot: Boot) -> OrdersClient:
    return OrdersClient(boot(OrdersWorker).get(Celery))


def definition_of(method: Any) -> TaskDefinition:
    definition = marks_of(method).definition
    assert definition is not None
    return definition


def test_what_the_contract_says_of_a_task_is_on_its_definition_and_not_on_the_wire() -> None:
    @contract("evolving", catalog=Catalog())
    class Plain(Protocol):
        async def place(self, item: str, *, count: int = 1) -> str: ...

    said, plain = definition_of(Orders.place), definition_of(Plain.place)
    assert (said.since, said.deprecated, said.aliases) == ("1.4", "use evolving.v2.place", ())
    assert (plain.since, plain.deprecated, plain.aliases) == (None, None, ())
    assert said.digest == plain.digest


@pytest.mark.parametrize("method", [Orders.look, Orders.seek])
def test_a_method_under_the_decorator_of_pep_702_is_the_same_task_deprecated(method: Any) -> None:
    definition = definition_of(method)
    assert definition.deprecated == "use find"
    assert definition.options["queue"] == "search"
    assert [str(parameter) for parameter in definition.parameters] == ["text: str (positional or keyword)"]
    file, _, line = definition.where.rpartition(":")
    assert file == __file__
    source = inspect.getsource(inspect.unwrap(method))
    assert source.splitlines()[0] in inspect.getsourcelines(Orders)[0][int(line) - inspect.getsourcelines(Orders)[1]]


def test_the_same_text_twice_is_one_and_two_texts_are_a_fault() -> None:
    @contract("evolving_same", catalog=Catalog())
    class Same(Protocol):
        @deprecated("use it")
        @task_options(deprecated="use it")
        async def place(self) -> None: ...

    assert definition_of(Same.place).deprecated == "use it"
    with pytest.raises(ContractError) as caught:

        @contract("evolving_differing", catalog=Catalog())
        class Differing(Protocol):
            @deprecated("use this")
            @task_options(deprecated="use that")
            async def place(self) -> None: ...

    (fault,) = caught.value.faults
    assert (fault.task, fault.path, fault.code) == ("Differing.place", "deprecated", "deprecated_twice")
    assert fault.got == "'use that' by @task_options and 'use this' by @deprecated"
    assert fault.remedy == "say it once: @deprecated, which type checkers read, is enough"


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("deprecated", True, "a valid string"),
        ("deprecated", "", "at least 1 character"),
        ("since", 1.4, "a valid string"),
        ("aliases", "orders.submit", "a list of texts"),
        ("aliases", [1], "a valid string"),
    ],
)
def test_options_are_checked_where_they_are_given(option: str, value: Any, expected: str) -> None:
    given: dict[str, Any] = {option: value}
    with pytest.raises(OptionError) as caught:
        task_options(**given)
    assert expected in caught.value.faults[0].expected


def test_no_introspection_warns(boot: Boot) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client = OrdersClient(boot(OrdersWorker).get(Celery))
        repr(client.look)
        client.look.with_options(countdown=1)
        document_of([one for one in default_catalog.contracts if one.cls is Orders])
        assert OrdersClient.look.definition is definition_of(Orders.look)


# --- who is warned, and where


async def _awaited(client: OrdersClient) -> None:
    await client.place("a")  # HERE


async def _sent(client: OrdersClient) -> None:
    await client.place.asend("a")  # HERE


async def _called(client: OrdersClient) -> None:
    await client.place.acall("a")  # HERE


async def _scoped(client: OrdersClient) -> None:
    async with client.place.scope("a") as result:  # HERE
        await result


async def _many(client: OrdersClient) -> None:
    await client.place.asend_many(["a"])  # HERE


def _task_of(client: OrdersClient) -> Any:
    return client.place._app.tasks["evolving.place"]


CALLS: dict[str, Callable[[OrdersClient], Any]] = {
    "call": lambda client: client.place("a"),  # HERE
    "options": lambda client: client.place.with_options(countdown=0)("a"),  # HERE
    "s": lambda client: client.place.s("a"),  # HERE
    "s of the class": lambda _: OrdersClient.place.s("a"),  # HERE
    "si": lambda client: client.place.si("a"),  # HERE
    "partial": lambda client: client.place.partial(count=2),  # HERE
    "map": lambda client: client.place.map(["a"]),  # HERE
    "send_many": lambda client: client.place.send_many(["a"]),  # HERE
    "delay": lambda client: _task_of(client).delay("a"),  # HERE
    "apply_async": lambda client: _task_of(client).apply_async(("a",)),  # HERE
    "await": lambda client: asyncio.run(_awaited(client)),
    "send": lambda client: asyncio.run(_sent(client)),
    "a call that waits": lambda client: asyncio.run(_called(client)),
    "scope": lambda client: asyncio.run(_scoped(client)),
    "asend_many": lambda client: asyncio.run(_many(client)),
}


@pytest.mark.parametrize("call", CALLS)
def test_every_caller_is_warned_once_at_the_line_of_the_call(client: OrdersClient, call: str) -> None:
    with pytest.warns(DeprecatedTaskWarning) as caught:
        CALLS[call](client)
    (warning,) = caught
    assert str(warning.message) == "evolving.place is deprecated: use evolving.v2.place"
    assert issubclass(warning.category, DeprecationWarning)
    assert warning.filename == __file__
    assert "# HERE" in Path(__file__).read_text().splitlines()[warning.lineno - 1]


def test_what_runs_as_a_task_of_its_own_is_warned_of_too(client: OrdersClient) -> None:
    async def gathered() -> None:
        await asyncio.gather(client.place.asend("a"), client.place.acall("a"))

    with pytest.warns(DeprecatedTaskWarning, match=r"evolving\.place is deprecated: use evolving\.v2\.place") as caught:
        asyncio.run(gathered())
    assert len(caught) == 2


def test_a_warning_that_is_an_error_keeps_the_call_from_being_sent(client: OrdersClient) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecatedTaskWarning)
        with pytest.raises(DeprecatedTaskWarning, match="use find"):
            client.look("tea")
    assert client.find("tea").get() == 3


def test_the_usual_filter_shows_it_once_for_each_line(client: OrdersClient) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        for _ in range(3):
            client.look("tea")
        client.look("tea")
    assert len(shown) == 2


# --- the worker


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "pico_celery.worker.deprecation_log"]


def test_a_worker_tells_once_that_a_deprecated_task_is_called_and_by_whom(
    client: OrdersClient, caplog: pytest.LogCaptureFixture
) -> None:
    place, current = _task_of(client), dict(contract_headers(definition_of(Orders.place)))
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            assert place.apply(("a",), headers=current).get() == "a"
        client.find("tea").get()
    expected = (
        "evolving.place is deprecated (use evolving.v2.place), and still called, "
        "by a sender that does not say who it is (contract 'evolving'); later calls are not logged"
    )
    assert told(caplog) == [expected]
    assert {one.levelname for one in caplog.records if one.name == "pico_celery.worker.deprecation_log"} == {"INFO"}


def test_what_a_sender_says_of_itself_is_told(caplog: pytest.LogCaptureFixture) -> None:
    definition = definition_of(Orders.place)
    with caplog.at_level(logging.INFO):
        log_outdated_call(definition, definition.name, Context(origin="gen1@shop"), {})
    assert "by 'gen1@shop' (plain Celery)" in told(caplog)[0]


# --- versions


@pytest.mark.filterwarnings("ignore::pico_celery.DeprecatedTaskWarning")
def test_one_worker_serves_both_versions_to_one_client(client: OrdersClient) -> None:
    assert client.place("a", count=2).get() == "aa"
    assert client.place_v2("a", 2).get() == ["a", "a"]
    assert client.place_v2.definition.name == "evolving.v2.place"


def test_one_component_inherits_both_versions_where_their_methods_agree(boot: Boot) -> None:
    catalog = Catalog()

    @contract("heirs", catalog=catalog)
    class First(Protocol):
        async def place(self, item: str) -> object: ...

        async def cancel(self, number: int) -> None: ...

    @contract("heirs", version=2, catalog=catalog)
    class Second(Protocol):
        async def place(self, item: str) -> str: ...

    @component
    class Worker(First, Second):
        async def place(self, item: str) -> str:
            return item

        async def cancel(self, number: int) -> None: ...

    app = boot(Worker).get(Celery)
    for name in ("heirs.place", "heirs.v2.place"):
        assert app.tasks[name].apply(("a",)).get() == "a"
    assert "heirs.cancel" in app.tasks
