"""A contract's life: what is said of a task beside its signature, `upcast`, and what stays typed of it."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol, assert_type

from typing_extensions import deprecated
from typing_tests.shop import Orders, OrdersV2

from pico_celery import (
    AsyncResult,
    CeleryClient,
    DeprecatedTaskWarning,
    Fault,
    LockFileError,
    TaskDefinition,
    TaskOptions,
    celery,
    contract,
    send_task,
    task_options,
    upcast,
)

said: TaskOptions = {"since": "1.4", "deprecated": "use shop.v2.place", "aliases": ["shop.submit"]}


@contract("life")
class Life(Protocol):
    @task_options(**said)
    async def begin(self, name: str) -> int: ...

    @task_options(aliases=("life.finish", "life.stop"))
    async def end(self, name: str, *, soon: bool = False) -> int: ...

    @deprecated("use end")
    @task_options(queue="life")
    async def finish(self, name: str) -> int: ...


@upcast(Life.end)
def end_before_2(payload: dict[str, Any]) -> dict[str, Any]:
    payload.setdefault("name", payload.pop("title", ""))
    return payload


@upcast(Life.end)
@upcast(Life.begin)
def any_mapping_will_do(payload: dict[str, Any]) -> Mapping[str, object]:
    return payload


@upcast(Orders.place)
def what_takes_more_fits_too(payload: Mapping[str, object], *, strict: bool = True) -> dict[str, int]:
    return {name: int(strict) for name in payload}


@celery
class LifeClient(CeleryClient):
    end = send_task(Life.end)
    place = send_task(OrdersV2.place)


async def a_call_is_a_coroutine(client: LifeClient) -> None:
    assert_type(await client.end.asend("it", soon=True), AsyncResult[int])
    assert_type(await client.end.acall("it"), int)
    assert_type(await asyncio.create_task(client.end.acall("it")), int)
    assert_type(await client.end.asend_many(["it"], soon=True), list[AsyncResult[int]])
    first, second = await asyncio.gather(client.end.asend("it"), client.end.acall("it"))
    assert_type(first, AsyncResult[int])
    assert_type(second, int)
    sending: Coroutine[Any, Any, AsyncResult[int]] = client.end.asend("it")
    assert_type(await sending, AsyncResult[int])
    async with asyncio.TaskGroup() as group:
        group.create_task(client.end.acall("it"))


def functions_stay_what_they_are() -> None:
    assert_type(end_before_2({"title": "it"}), dict[str, Any])
    assert_type(what_takes_more_fits_too({}, strict=False), dict[str, int])


def definitions(task: TaskDefinition) -> None:
    assert_type(task.since, str | None)
    assert_type(task.deprecated, str | None)
    assert_type(task.aliases, tuple[str, ...])
    category: type[DeprecationWarning] = DeprecatedTaskWarning
    raise category(task.deprecated)


def what_cannot_be_read_is_told_fault_by_fault(error: LockFileError) -> None:
    assert_type(error.faults, tuple[Fault, ...])
