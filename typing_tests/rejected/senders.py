"""Senders that are declared wrongly: refused by both checkers."""

from datetime import timedelta

from typing_tests.shop import Order, Orders, Receipt

from pico_celery import AsyncResult, CeleryClient, celery, send_task


class Plain:
    def place(self, order: Order) -> Receipt:
        raise NotImplementedError


def without_parameters() -> None: ...


async def without_self() -> None: ...


class NotTasks(CeleryClient):
    number = send_task(1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # neither task nor name
    nothing = send_task()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # neither task nor name
    contract = send_task(Orders)  # type: ignore[arg-type, var-annotated]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a contract is no task
    model = send_task(Order)  # type: ignore[arg-type, var-annotated]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a model is no task
    method = send_task(Plain.place)  # type: ignore[arg-type, var-annotated]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a plain method is no task
    function = send_task(without_parameters)  # type: ignore[arg-type, var-annotated]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a function is no task
    coroutine = send_task(without_self)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a task is a method
    misspelt = send_task(Orders.plcae)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # misspelt task
    twice = send_task(Orders.place, Orders.cancel)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # one task at a time
    named_twice = send_task("shop.place", name="shop.place")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # a name, given twice


class Options(CeleryClient):
    misspelt = send_task(Orders.place, contdown=1)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # misspelt
    ill_typed = send_task(Orders.place, countdown="1")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # wrong type
    span = send_task(Orders.place, eta=timedelta(hours=1))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a span where a point in time belongs
    nested = send_task(Orders.place, retry_policy={"max_retry": 3})  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # misspelt inside
    unsafe = send_task(Orders.place, serializer="pickle")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # not to be chosen
    executing = send_task(Orders.place, max_retries=3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # an option of executing

    @send_task("shop.place", contdown=1)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue]  # misspelt
    def place(self, order: Order, *, dry_run: bool = False) -> AsyncResult[Receipt]:
        raise NotImplementedError

    @send_task(name="shop.cancel", countdown="1")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]  # wrong type
    def cancel(self, order_id: int, reason: str = "") -> AsyncResult[None]:
        raise NotImplementedError

    @send_task(1)  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType, reportCallIssue]  # no name
    def count(self) -> AsyncResult[int]:
        raise NotImplementedError


class BareDecorator(CeleryClient):
    @send_task  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a bare decorator
    def count(self) -> AsyncResult[int]:
        raise NotImplementedError


@celery(scop="singleton")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # misspelt option
class MisspeltOption(CeleryClient):
    place = send_task(Orders.place)


@celery(scope=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # ill-typed option
class IllTypedScope(CeleryClient):
    place = send_task(Orders.place)


@celery(primary="yes")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # ill-typed option
class IllTypedPrimary(CeleryClient):
    place = send_task(Orders.place)


@celery("orders")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # a name is given as name=
class NamedByPosition(CeleryClient):
    place = send_task(Orders.place)


@celery(catalog="default")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # a name is no catalog
class CatalogByName(CeleryClient):
    place = send_task(Orders.place)


@celery  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # a function is no component
def function() -> None: ...


@celery(scope="singleton")  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # a function is no component
def function_with_options() -> None: ...


@celery()
class Reassigning(CeleryClient):
    place = send_task(Orders.place)

    def other(self, order: Order) -> AsyncResult[int]:
        return self.place(order)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # a result of another type


wrong: AsyncResult[Receipt] = MisspeltOption.place(Order(id=1))  # type: ignore[operator]  # pyright: ignore[reportCallIssue]  # the class has no application: no call on it
