"""Contracts and their options that are declared wrongly: refused by both checkers."""

from datetime import timedelta
from typing import Protocol

from pico_celery import Catalog, TaskOptions, contract, task_options


@contract(1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # neither domain nor class
class NumberedDomain(Protocol):
    async def count(self) -> int: ...


@contract("shop", version="2")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # a version is a number
class TextVersion(Protocol):
    async def count(self) -> int: ...


@contract("shop", versoin=2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # misspelt
class MisspeltVersion(Protocol):
    async def count(self) -> int: ...


@contract("shop", 2)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # a version is a keyword
class VersionByPosition(Protocol):
    async def count(self) -> int: ...


@contract("shop", catalog={})  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # a dict is no catalog
class DictCatalog(Protocol):
    async def count(self) -> int: ...


@contract("shop", catalog=Catalog)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # a class is no catalog
class ClassCatalog(Protocol):
    async def count(self) -> int: ...


@contract  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a function is no contract
def function() -> None: ...


@contract("shop")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # a function is no contract
def function_with_domain() -> None: ...


@contract("shop")
class Options(Protocol):
    @task_options(qeue="shop")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt
    async def misspelt(self) -> None: ...

    @task_options(priority="high")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    async def ill_typed(self) -> None: ...

    @task_options(expires="tomorrow")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    async def text_expiry(self) -> None: ...

    @task_options(retry_policy={"max_retry": 3})  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportArgumentType]  # misspelt inside
    async def nested(self) -> None: ...

    @task_options(delivery_mode="stored")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # none of the modes
    async def mode(self) -> None: ...

    @task_options(serializer="pickle")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # not to be chosen
    async def unsafe(self) -> None: ...

    @task_options(countdown=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # an option of one call
    async def sending(self) -> None: ...

    @task_options("shop")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # options are keywords
    async def by_position(self) -> None: ...


policy: TaskOptions = {"expire": timedelta(hours=1)}  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportAssignmentType]  # misspelt
policy["queue"] = 1  # type: ignore[typeddict-item]  # pyright: ignore[reportGeneralTypeIssues]  # wrong type
task_options(Options.unsafe)  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]  # options are given in a call
