"""Claims: declared errors go with their tasks, into the heirs of a contract and into its versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pico_ioc import PicoContainer, component

from pico_celery import Catalog, CeleryClient, Err, TaskError, celery, contract, send_task, task, task_options
from pico_celery.contract.marks import marks_of

CATALOG = Catalog()


class Sold(TaskError):
    seat: str


class Closed(TaskError, retryable=True):
    """The box office is closed."""


@contract("unit_base", catalog=CATALOG)
class Base(Protocol):
    @task_options(errors=[Sold])
    async def buy(self, seat: str) -> int: ...


@contract("unit_heir", catalog=CATALOG)
class Heir(Base, Protocol):
    @task_options(errors=[Closed])
    async def ask(self, seat: str) -> int: ...


@contract("unit_base", version=2, catalog=CATALOG)
class Second(Protocol):
    @task_options(errors=[Sold])
    async def buy(self, seat: str, *, child: bool = False) -> int: ...


@celery
class OfficeClient(CeleryClient, catalog=CATALOG):
    buy = send_task(Heir.buy)
    ask = send_task(Heir.ask)
    buy_second = send_task(Second.buy)


@component
class Office(Heir):
    async def buy(self, seat: str) -> int:
        raise Sold(seat=seat)

    async def ask(self, seat: str) -> int:
        raise Closed


@component
class SecondOffice:
    @task(Second.buy)
    async def buy(self, seat: str, *, child: bool = False) -> int:
        raise Sold(seat=f"{seat}, {child}")


def test_tasks_of_a_base_contract_keep_their_errors_in_its_heirs(boot: Callable[..., PicoContainer]) -> None:
    client = boot(OfficeClient, Office, SecondOffice).get(OfficeClient)
    assert client.buy("12a").outcome() == Err(Sold(seat="12a"))
    assert client.ask("12a").outcome() == Err(Closed())


def test_two_versions_of_a_contract_share_a_class_and_its_code(boot: Callable[..., PicoContainer]) -> None:
    client = boot(OfficeClient, Office, SecondOffice).get(OfficeClient)
    assert client.buy_second("12a", child=True).outcome() == Err(Sold(seat="12a, True"))
    definitions = [marks_of(method).definition for method in (Base.buy, Heir.buy, Second.buy)]
    codes = [[error.code for error in definition.errors] for definition in definitions if definition is not None]
    assert codes == [["unit_base.sold"]] * 3
    assert Sold.code == "unit_base.sold"
