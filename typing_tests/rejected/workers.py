"""Implementations that differ from the contract: refused by both checkers at the decorator's line."""

from collections.abc import AsyncIterator
from datetime import timedelta

from typing_tests.accepted.calls import OrdersClient
from typing_tests.shop import Order, Orders, OrdersV2, Parcels, Receipt

from pico_celery import ImplementationOptions, task


class Plain:
    def place(self, order: Order) -> Receipt:
        raise NotImplementedError


async def without_self() -> None: ...


class Renamed:
    @task(Orders.place)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # renamed
    async def place(self, oder: Order, *, dry_run: bool = False) -> Receipt:
        raise NotImplementedError

    @task(OrdersV2.place)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # renamed keyword-only parameter
    async def place_v2(self, order: Order, *, dryrun: bool = False) -> Receipt:
        raise NotImplementedError


class Missing:
    @task(Orders.place)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a missing keyword-only parameter
    async def place(self, order: Order) -> Receipt:
        raise NotImplementedError

    @task(Orders.cancel)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a missing parameter
    async def cancel(self, order_id: int) -> None: ...

    @task(Parcels.send)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # all parameters missing
    async def send(self) -> str:
        return ""


class WrongType:
    @task(Orders.place)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    async def place(self, order: int, *, dry_run: bool = False) -> Receipt:
        raise NotImplementedError

    @task(Orders.cancel)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type of the second parameter
    async def cancel(self, order_id: int, reason: int = 0) -> None: ...

    @task(Orders.find)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a part of a union left out
    async def find(self, text: str, limits: None = None) -> list[Order]:
        return []

    @task(Parcels.send)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a narrower type
    async def send(self, to: str, weight: int) -> str:
        return f"{to} {weight}"


class MoreRequired:
    @task(Orders.place)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a default is left out
    async def place(self, order: Order, *, dry_run: bool) -> Receipt:
        raise NotImplementedError

    @task(Orders.cancel)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a new required parameter
    async def cancel(self, order_id: int, reason: str, by: str) -> None: ...

    @task(Orders.count)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a new required keyword-only parameter
    async def count(self, *, of: str) -> int:
        return len(of)


class OtherKind:
    @task(Orders.place)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the order changed
    async def place(self, dry_run: bool, order: Order) -> Receipt:
        raise NotImplementedError

    @task(Orders.cancel)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # positional made keyword-only
    async def cancel(self, *, order_id: int, reason: str = "") -> None: ...

    @task(Parcels.send)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # reordered
    async def send(self, weight: float, to: str) -> str:
        return f"{to} {weight}"

    @task(Orders.find)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # positional-only has no name on the wire
    async def find(self, text: str, limits: dict[str, int] | None = None, /) -> list[Order]:
        return [Order(id=len(text) + len(limits or {}))]


class WrongResult:
    @task(Orders.place)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # another result
    async def place(self, order: Order, *, dry_run: bool = False) -> int:
        return order.id

    @task(Orders.cancel)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a result where the contract has none
    async def cancel(self, order_id: int, reason: str = "") -> bool:
        return order_id == len(reason)

    @task(Orders.count)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # maybe no result
    async def count(self) -> int | None:
        return None

    @task(Orders.find)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # another element
    async def find(self, text: str, limits: dict[str, int] | None = None) -> list[Receipt]:
        return []


class NotAsync:
    @task(Orders.place)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # def
    def place(self, order: Order, *, dry_run: bool = False) -> Receipt:
        raise NotImplementedError

    @task("shop.cancel")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # def, by name
    def cancel(self, order_id: int, reason: str = "") -> None: ...

    @task(Orders.find)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # an async generator
    async def find(self, text: str, limits: dict[str, int] | None = None) -> AsyncIterator[Order]:
        yield Order(id=len(text))

    @task("shop.count", acks_late=True)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # an async generator, by name
    async def count(self) -> AsyncIterator[int]:
        yield 1


class NotATask:
    @task(1)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType, reportCallIssue]  # neither task nor name
    async def number(self) -> None: ...

    @task()  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue]  # neither task nor name
    async def nothing(self) -> None: ...

    @task(Orders)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a contract is no task
    async def contract(self) -> None: ...

    @task(Plain.place)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a plain method is no task
    async def method(self) -> None: ...

    @task(without_self)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a task is a method
    async def coroutine(self) -> None: ...

    @task(Orders.plcae)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # misspelt task
    async def misspelt(self) -> None: ...

    @task(OrdersClient.place)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a sender is no task
    async def sender(self, order: Order, *, dry_run: bool = False) -> Receipt:
        raise NotImplementedError


class Options:
    @task(Orders.count, max_retry=3)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue]  # misspelt
    async def misspelt(self) -> int:
        return 0

    @task("shop.count", max_retry=3)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue]  # misspelt, by name
    async def misspelt_by_name(self) -> int:
        return 0

    @task(Orders.count, max_retries="3")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType, reportCallIssue]  # wrong type
    async def ill_typed(self) -> int:
        return 0

    @task(name="shop.count", max_retries="3")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]  # wrong type, by name
    async def ill_typed_by_name(self) -> int:
        return 0

    @task(Orders.count, autoretry_for=ConnectionError)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType, reportCallIssue]  # several exceptions are expected
    async def one_exception(self) -> int:
        return 0

    @task(Orders.count, bind=True)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue]  # self is the component
    async def bound(self) -> int:
        return 0

    @task(Orders.count, serializer="pickle")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue]  # not to be chosen
    async def unsafe(self) -> int:
        return 0

    @task(Orders.count, countdown=3)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue]  # an option of sending
    async def sending(self) -> int:
        return 0


chosen: ImplementationOptions = {"time_limits": timedelta(minutes=1)}  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportAssignmentType]  # misspelt


class Decorated:
    @task(Orders.place)
    async def place(self, order: Order, *, dry_run: bool = False) -> Receipt:
        raise NotImplementedError


async def methods_stay_typed(worker: Decorated, order: Order) -> int:
    await worker.place(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    await worker.place(order, dryrun=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword
    number: int = await worker.place(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another type
    return number
