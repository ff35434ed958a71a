"""Wrong use of a task's context, and of calls that are awaited."""

from typing_tests.accepted.calls import OrdersClient
from typing_tests.shop import Order

from pico_celery import TaskContext


async def retrying(context: TaskContext) -> None:
    if context.retries == 1:
        await context.retry(countdown="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    if context.retries == 2:
        await context.retry(count_down=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt option
    if context.retries == 3:
        await context.retry(3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # options have names


async def telling(context: TaskContext) -> None:
    context.id = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # it tells, and takes nothing
    name: int = context.name  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # a text
    context.progress({"done": name})  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]  # not awaited


async def sending(client: OrdersClient, order: Order) -> None:
    client.place.asend(order)  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]  # not awaited
    await client.place.asend(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    await client.place.asend(order, dryrun=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword
    receipt: int = await (await client.place.asend(order))  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another result
    assert receipt
