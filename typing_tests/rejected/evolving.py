"""What is wrong in a contract's life, and the use of deprecated tasks: refused by both checkers."""

# mypy: enable-error-code="deprecated"
# pyright: reportDeprecated=true

from collections.abc import Coroutine
from typing import Any, Protocol

from pico_ioc import component
from typing_extensions import deprecated
from typing_tests.shop import Orders

from pico_celery import CeleryClient, celery, contract, send_task, task, task_options, upcast


@contract("life")
class Life(Protocol):
    @task_options(aliases="life.finish")
    async def a_text_is_a_sequence_of_texts(self) -> None: ...

    @task_options(aliases=[1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # an alias is a name
    async def numbered(self) -> None: ...

    @task_options(deprecated=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # what to use instead is missing
    async def untold(self) -> None: ...

    @task_options(since=1.4)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a version is a text
    async def numbered_version(self) -> None: ...

    @task_options(alias="life.finish")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt
    async def misspelt(self) -> None: ...

    @deprecated("use shop.place")
    @task_options(queue="life")
    async def finish(self, name: str) -> int: ...

    @task_options(queue="life")
    @deprecated("use shop.place")
    async def stop(self, name: str) -> int: ...


@celery
class LifeClient(CeleryClient):
    finish = send_task(Life.finish)  # type: ignore[deprecated]  # pyright: ignore[reportDeprecated]  # a deprecated task
    stop = send_task(Life.stop)  # type: ignore[deprecated]  # pyright: ignore[reportDeprecated]  # deprecated under the options
    place = send_task(Orders.place)


@component
class LifeWorker:
    @task(Life.finish)  # type: ignore[deprecated]  # pyright: ignore[reportDeprecated]  # implementing it is a use too
    async def finish(self, name: str) -> int:
        return len(name)

    @task("life.stop")
    async def stop(self, name: str) -> int:
        return len(name)


def plain(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


async def waiting(payload: dict[str, Any]) -> dict[str, Any]:
    return payload


def nothing(payload: dict[str, Any]) -> None: ...


def two(payload: dict[str, Any], more: int) -> dict[str, Any]:
    return {**payload, "more": more}


def typed(payload: dict[str, int]) -> list[str]:
    return list(payload)


upcast(Orders.place)(waiting)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # it waits for nothing
upcast(Orders.place)(nothing)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # nothing is returned
upcast(Orders.place)(two)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # more than the arguments
upcast(Orders.place)(typed)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # a list is no mapping
upcast("shop.place")(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a name is no method
upcast(plain)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no method of a contract
upcast(Orders)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a class is no method


async def what_is_sent_must_be_awaited(client: LifeClient) -> None:
    sending: Coroutine[Any, Any, int] = client.finish.asend("it")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType, reportDeprecated]  # a result is no value
    await sending
