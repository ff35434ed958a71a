"""Calls that fit no contract: each line is refused by both checkers, for the reason that its comments name."""

from datetime import timedelta

from celery import Celery
from celery.result import AsyncResult as CeleryAsyncResult
from typing_tests.accepted.calls import NamedClient, OrdersClient, OrdersV2Client
from typing_tests.accepted.components import Bare, WithConstructor
from typing_tests.shop import Order, Receipt

from pico_celery import AsyncResult, SendOptions


def arguments(client: OrdersClient, order: Order) -> None:
    client.place(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    client.place("order")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    client.place(None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # None where the contract has no None
    client.place({"id": 1})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a dict where the contract has a model
    client.place(order=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type, by keyword
    client.place(order, dry_run="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type of a keyword-only parameter
    client.place()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # missing
    client.place(dry_run=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # missing, others given
    client.place(order, dry_run=True, by=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # extra
    client.place(order, True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # keyword-only, given by position
    client.place(order, dryrun=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword
    client.place(order, order=order)  # type: ignore[misc]  # pyright: ignore[reportCallIssue]  # given twice
    client.place(oder=order)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword of a required parameter
    client.cancel("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    client.cancel(1, 2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type of the second parameter
    client.cancel(1, "late", "very")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # extra
    client.find("book", {"pages": "three"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]  # wrong type inside a dict
    client.count(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # extra, where there are no parameters
    client.count(of="books")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # unknown keyword, where there are no parameters
    client.plcae(order)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # misspelt task


def arguments_with_options(client: OrdersClient, order: Order) -> None:
    client.place.with_options(countdown=1)(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    client.place.with_options(countdown=1)()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # missing
    client.place.with_options(countdown=1)(order, True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # keyword-only, given by position
    client.place.with_options(countdown=1)(order, dryrun=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword
    client.place.with_options(countdown=1).with_options(priority=1)("order")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type, options given twice
    client.count.with_options(queue="slow")(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # extra
    client.place.with_options(countdown=1).get()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # no call yet, so no result


def arguments_of_inherited_tasks(client: OrdersV2Client, order: Order) -> None:
    client.place(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    client.place(order, dryrun=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword
    client.price()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # missing


def arguments_of_named_senders(client: NamedClient, order: Order) -> None:
    client.place(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    client.place()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # missing
    client.place(order, True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # keyword-only, given by position
    client.place(order, dryrun=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword
    client.place.with_options(countdown=1)(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type, with options
    client.cancel("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type, where the method has no result type
    client.count(1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # extra, where the method has no result type
    client.place.with_options(contdown=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt option


def options(client: OrdersClient) -> None:
    client.place.with_options(contdown=10)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt
    client.place.with_options(countdown="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    client.place.with_options(eta=timedelta(hours=1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a span where a point in time belongs
    client.place.with_options(expires="tomorrow")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    client.place.with_options(queue=1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    client.place.with_options(priority="high")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    client.place.with_options(headers=["trace"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    client.place.with_options(retry_policy={"max_retry": 3})  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportArgumentType]  # misspelt inside
    client.place.with_options(delivery_mode="stored")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # none of the modes
    client.place.with_options(serializer="pickle")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # not to be chosen
    client.place.with_options(max_retries=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # an option of executing
    client.place.with_options({"countdown": 10})  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]  # options are keywords
    chosen: SendOptions = {"contdown": 10}  # type: ignore[typeddict-unknown-key]  # pyright: ignore[reportAssignmentType]  # misspelt
    chosen["countdown"] = "10"  # type: ignore[typeddict-item]  # pyright: ignore[reportGeneralTypeIssues]  # wrong type


def results(client: OrdersClient, named: NamedClient, order: Order) -> object:
    number: int = client.place(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # a result is no value
    number = client.place(order).get()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another type
    number = client.place(order).get(timeout=1)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another type, with a timeout
    number = client.place.with_options(countdown=1)(order).get()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another type, with options
    number = named.place(order).get()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another type, by name
    number = client.place(order).wait()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another type, by Celery's older name
    number = client.count().get(propagate=False)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # a failure may be returned
    text: str = client.find("book").get()[0].id  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another type, inside a list
    client.place(order).get().totl  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # misspelt field
    client.place(order).total  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # a field of the value, asked of the result
    client.count().get().bit_lenth()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # misspelt method of the value
    client.place(order).get(timeout="5")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # wrong type
    client.place(order).wait(timeout="5")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # wrong type
    other: AsyncResult[int] = client.place(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # a result of another type
    celery_result: CeleryAsyncResult[int] = client.place(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # the same as Celery's
    narrower: AsyncResult[bool] = client.count()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # a result of a wider type
    return number, text, other, celery_result, narrower


async def awaited_results(client: OrdersClient, named: NamedClient, order: Order) -> object:
    number: int = await client.place(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another type
    number = await client.place.with_options(countdown=1)(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another type, with options
    number = await named.place(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another type, by name
    receipt: Receipt = await client.find("book")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # a list is no receipt
    receipt = client.place(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # not awaited
    (await client.place(order)).totl  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # misspelt field
    await client.place  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]  # not called
    await client.place(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    return number, receipt


def clients(app: Celery) -> None:
    Bare()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # no application
    Bare("redis://localhost")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a URL is no application
    WithConstructor(app)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # its own constructor takes more
    OrdersClient(ap=app)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword
