"""Wrong use of `AsyncResult.of`: refused by both checkers."""

from celery import Celery
from typing_tests.accepted.calls import OrdersClient
from typing_tests.shop import Order, Orders, Receipt

from pico_celery import AsyncResult


def not_a_task() -> None: ...


def opened_again(app: Celery, client: OrdersClient) -> object:
    AsyncResult.of("shop.place", "1", app)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a name has no type
    AsyncResult.of(Orders, "1", app)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a contract is no task
    AsyncResult.of(Order, "1", app)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a model is no task
    AsyncResult.of(not_a_task, "1", app)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a function is no task
    AsyncResult.of(client.place, "1", app)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a sender is no task
    AsyncResult.of(Orders.plcae, "1", app)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # misspelt task
    AsyncResult.of(Orders.place, 1, app)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # an id is a text
    AsyncResult.of(Orders.place, "1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # no application
    AsyncResult.of(Orders.place, "1", "redis://localhost")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a URL is no application
    AsyncResult.of(Orders.place, id="1", app=app)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword
    count: AsyncResult[int] = AsyncResult.of(Orders.place, "1", app)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]  # a result of another type
    number: int = AsyncResult.of(Orders.place, "1", app).get()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another type
    return count, number


async def awaited(app: Celery) -> object:
    number: int = await AsyncResult.of(Orders.place, "1", app)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]  # another type
    receipt: Receipt = await AsyncResult.of(Orders.find, "1", app)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]  # a list is no receipt
    return number, receipt


def by_hand(app: Celery) -> None:
    AsyncResult("1", app=app)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # without the task nothing is typed or validated
