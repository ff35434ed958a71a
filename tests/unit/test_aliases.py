"""Claims: a task that was renamed is found by its old names, by workers, clients and the catalog, and nobody else gets them."""

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import pytest
from celery import Celery
from pico_ioc import PicoContainer, component

from pico_celery import (
    Catalog,
    CeleryClient,
    ConformanceError,
    ContractError,
    DeprecatedTaskWarning,
    RegistrationPolicy,
    celery,
    contract,
    default_catalog,
    send_task,
    task,
    task_options,
    upcast,
)
from pico_celery.contract.catalog import definition_named
from pico_celery.contract.marks import marks_of
from pico_celery.contract.signature import location_of
from pico_celery.worker.contract_task import ContractTask

Boot = Callable[..., PicoContainer]


@contract("aliased")
class Orders(Protocol):
    @task_options(aliases=["aliased.submit", "legacy.submit"], time_limit=7, queue="orders")
    async def place(self, item: str, *, count: int = 1) -> str: ...

    async def cancel(self, number: int) -> None: ...


@component
class OrdersWorker:
    @task(Orders.place, rate_limit="5/s", autoretry_for=(ConnectionError,), max_retries=2)
    async def place(self, item: str, *, count: int = 1) -> str:
        return item * count

    @task(Orders.cancel)
    async def cancel(self, number: int) -> None: ...


PLACE = marks_of(Orders.place).definition


def test_the_catalog_finds_a_task_by_an_alias_and_lists_its_name_alone() -> None:
    for name in ("aliased.place", "aliased.submit", "legacy.submit"):
        assert default_catalog.get(name) is PLACE
        assert definition_named(name) is PLACE
    assert "aliased.submit" not in default_catalog.tasks
    assert [one.name for one in default_catalog if one is PLACE] == ["aliased.place"]


def test_an_alias_is_not_on_the_wire() -> None:
    @contract("aliased", catalog=Catalog())
    class Plain(Protocol):
        @task_options(queue="orders")
        async def place(self, item: str, *, count: int = 1) -> str: ...

    plain = marks_of(Plain.place).definition
    assert plain is not None
    assert PLACE is not None
    assert plain.digest == PLACE.digest


# --- faults of declaration


def faults_of(declare: Callable[[], Any]) -> list[tuple[str, str, str]]:
    with pytest.raises(ContractError) as caught:
        declare()
    assert all(fault.remedy and fault.where for fault in caught.value.faults)
    return [(fault.task, fault.code, fault.got) for fault in caught.value.faults]


def test_faults_of_a_class_are_told_together() -> None:
    def declare() -> None:
        @contract("aliased_wrong", catalog=Catalog())
        class Wrong(Protocol):
            @task_options(aliases=["aliased_wrong.own", "a b", "", "twice", "twice"])
            async def own(self) -> None: ...

            @task_options(aliases=["aliased_wrong.own", "twice"])
            async def other(self) -> None: ...

    assert faults_of(declare) == [
        ("Wrong.other", "declared_twice", "'aliased_wrong.own', the name of Wrong.own"),
        ("Wrong.other", "declared_twice", "'twice', an alias of Wrong.own"),
        ("Wrong.own", "alias", "'aliased_wrong.own', its own name"),
        ("Wrong.own", "alias", "'twice' twice"),
        ("Wrong.own", "name", "'a b'"),
        ("Wrong.own", "name", "''"),
    ]


@pytest.mark.parametrize("alias_first", [True, False])
def test_a_name_belongs_to_one_task_of_all_contracts(alias_first: bool) -> None:
    catalog = Catalog()

    def named() -> None:
        @contract("first", catalog=catalog)
        class Named(Protocol):
            async def go(self) -> None: ...

    def aliased() -> None:
        @contract("second", catalog=catalog)
        class Aliased(Protocol):
            @task_options(aliases=["first.go"])
            async def went(self) -> None: ...

    one, other = (aliased, named) if alias_first else (named, aliased)
    one()
    assert faults_of(other) == [("first.go", "declared_twice", "two: an alias of second.went")]


def test_two_tasks_have_no_alias_in_common() -> None:
    catalog = Catalog()

    @contract("first", catalog=catalog)
    class First(Protocol):
        @task_options(aliases=["old.go"])
        async def go(self) -> None: ...

    def declare() -> None:
        @contract("second", catalog=catalog)
        class Second(Protocol):
            @task_options(aliases=["old.go"])
            async def go(self) -> None: ...

    assert faults_of(declare) == [("old.go", "declared_twice", "two: an alias of first.go and of second.go")]
    assert "second.go" not in catalog.tasks


def test_a_contract_that_is_loaded_again_takes_its_aliases_with_it(load_module: Callable[..., Any]) -> None:
    source = """
from typing import Protocol
from pico_celery import contract, task_options

@contract("reloaded")
class Reloaded(Protocol):
    @task_options(aliases=[{alias!r}])
    async def go(self) -> None: ...
"""
    # Of another length: bytecode is taken again for a source of the same size and second.
    load_module(source.format(alias="reloaded.went"), "unit_reloaded")
    load_module(source.format(alias="reloaded.gone_by"), "unit_reloaded")
    assert default_catalog.get("reloaded.went") is None
    assert default_catalog.get("reloaded.gone_by") is default_catalog.tasks["reloaded.go"]


# --- clients


def test_a_sender_by_an_old_name_sends_the_new_one_and_is_warned_once(boot: Boot) -> None:
    with pytest.warns(DeprecatedTaskWarning) as caught:  # noqa: PT031 - one warning for all of it

        @celery
        class OldClient(CeleryClient):
            @send_task("aliased.submit")
            def submit(self, item: str, *, count: int = 1) -> Any: ...

        client = OldClient(boot(OrdersWorker).get(Celery))
        OldClient(client.submit._app)
    (warning,) = caught
    assert str(warning.message) == "aliased.submit is an old name of aliased.place: use 'aliased.place'"
    method = OldClient.submit.method
    assert method is not None
    assert f"{warning.filename}:{warning.lineno}" == location_of(method)
    assert client.submit.definition is PLACE
    assert client.submit("a", count=2).get() == "aa"


def test_the_signature_of_a_sender_by_an_old_name_is_compared_too() -> None:
    with pytest.warns(DeprecatedTaskWarning), pytest.raises(ConformanceError, match=r"aliased\.place: parcel"):

        @celery
        class WrongClient(CeleryClient):
            @send_task("legacy.submit")
            def submit(self, item: str, *, count: int = 1, parcel: int) -> Any: ...


# --- workers


def test_a_worker_has_the_task_under_all_its_names_with_one_policy(boot: Boot) -> None:
    app = boot(OrdersWorker, settings={"task_annotations": {"aliased.place": {"soft_time_limit": 3}}}).get(Celery)
    real = app.tasks["aliased.place"]
    assert isinstance(real, ContractTask)
    for name in ("aliased.submit", "legacy.submit"):
        alias = app.tasks[name]
        assert isinstance(alias, ContractTask)
        assert (alias.name, alias.definition, alias.binding) == (name, PLACE, real.binding)
        for option in ("time_limit", "soft_time_limit", "rate_limit", "max_retries", "autoretry_for", "throws"):
            assert getattr(alias, option) == getattr(real, option), option
        assert alias.apply(("a",), {"count": 3}).get() == "aaa"
    assert real.soft_time_limit == 3
    assert real.name == "aliased.place"


def test_a_worker_that_implements_an_old_name_is_told_the_new_one(boot: Boot) -> None:
    @component
    class OldWorker:
        @task("aliased.submit")
        async def place(self, item: str, *, count: int = 1) -> str:
            return item

    with pytest.raises(ConformanceError) as caught:
        boot(OldWorker)
    (fault,) = caught.value.faults
    assert (fault.task, fault.code, fault.expected) == (
        "aliased.submit",
        "old_name",
        "the task's name, 'aliased.place'",
    )
    assert fault.remedy == "write @task('aliased.place'): it takes the messages of its old names too"


def test_a_plain_celery_task_of_an_old_name_is_a_second_implementation(boot: Boot) -> None:
    container = boot(OrdersWorker)
    app = container.get(Celery)

    def submit(item: str) -> None: ...

    app.tasks.pop("aliased.submit")
    app.task(name="aliased.submit", shared=False)(submit)
    app.finalize()
    from pico_celery import PicoTaskRegistrar

    registrar = PicoTaskRegistrar(container, app, RegistrationPolicy())
    with pytest.raises(ConformanceError) as caught:
        registrar.register_tasks()
    (fault,) = caught.value.faults
    assert (fault.task, fault.code) == ("aliased.submit", "implemented_twice")
    assert "a plain Celery task" in fault.got


def test_who_sends_by_the_old_task_sends_the_new_name(boot: Boot) -> None:
    app = boot(OrdersWorker, settings={"task_always_eager": False}).get(Celery)
    sent: list[str] = []
    from celery.signals import before_task_publish

    def note(sender: str, **_: Any) -> None:
        sent.append(sender)

    before_task_publish.connect(note)
    try:
        with pytest.warns(DeprecatedTaskWarning, match="legacy.submit is an old name of aliased.place") as caught:
            app.tasks["legacy.submit"].apply_async(("a",), countdown=1)
    finally:
        before_task_publish.disconnect(note)
    assert sent == ["aliased.place"]
    assert caught[0].filename == __file__


def test_nothing_warns_where_only_new_names_are_used(boot: Boot) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")

        @celery
        class NewClient(CeleryClient):
            place = send_task(Orders.place)

        assert NewClient(boot(OrdersWorker).get(Celery)).place("a").get() == "a"


def test_a_second_version_may_take_over_the_messages_of_the_first(boot: Boot) -> None:
    @contract("taken_over", version=2)
    class Second(Protocol):
        @task_options(aliases=["taken_over.place"])
        async def place(self, items: list[str]) -> str: ...

    @upcast(Second.place)
    def place_before_2(payload: dict[str, Any]) -> dict[str, Any]:
        return {"items": [payload["item"]]} if "item" in payload else payload

    @component
    class Worker:
        @task("taken_over.v2.place")
        async def place(self, items: list[str]) -> str:
            return "+".join(items)

    app = boot(Worker).get(Celery)
    assert app.tasks["taken_over.place"].apply((), {"item": "a"}).get() == "a"
    assert app.tasks["taken_over.v2.place"].apply((), {"items": ["a", "b"]}).get() == "a+b"
