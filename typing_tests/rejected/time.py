"""Wrong deadlines, scopes and idempotency keys."""

from datetime import UTC, datetime

from typing_tests.accepted.calls import OrdersClient
from typing_tests.shop import Order, Receipt

from pico_celery import SendOptions, TaskOptions, task_options


def kept(*_: object) -> None: ...


def options(client: OrdersClient) -> None:
    client.place.with_options(timeout="5 s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a text where a duration belongs
    client.place.with_options(timeout=datetime.now(UTC))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a point in time where a span belongs
    client.place.with_options(deadline=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # not its name
    client.place.with_options(idempotency_key=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a key is a text
    client.place.with_options(idempotency_ttl="a day")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a text where a duration belongs
    client.place.with_options(key=lambda order: order)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # an option of the contract
    task_options(key="order.id")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a key is a function
    task_options(idempotency_key="1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # an option of the call
    sending: SendOptions = {"timeout": "5"}  # type: ignore[typeddict-item]  # pyright: ignore[reportAssignmentType]  # a text where a duration belongs, in a TypedDict
    policy: TaskOptions = {"key": 5}  # type: ignore[typeddict-item]  # pyright: ignore[reportAssignmentType]  # no function, in a TypedDict
    kept(sending, policy)


async def scopes(client: OrdersClient, order: Order) -> None:
    await client.place.acall(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    await client.place.acall()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # missing
    await client.place.acall(order, dryrun=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword
    client.place.scope("order")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type, in a scope
    number: int = await client.place.acall(order)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another result
    client.place.acall(order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]  # not awaited
    async with client.place.scope(order) as result:
        receipt: Receipt = result  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # a result is no value
        number = await result  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another result, awaited
    kept(number, receipt)


async def not_asynchronous(client: OrdersClient, order: Order) -> None:
    with client.place.scope(order):  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]  # not asynchronous
        kept()
