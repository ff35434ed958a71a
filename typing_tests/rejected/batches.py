"""Batches that fit no contract: each line is refused by both checkers, for the reason that its comments name."""

from typing_tests.accepted.calls import NamedClient, OrdersClient
from typing_tests.shop import Order


def batches(client: OrdersClient, named: NamedClient, orders: list[Order]) -> object:
    client.place.send_many([1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # wrong type of an item
    client.place.send_many(orders[0])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # one item where many belong
    client.place.send_many(orders, dryrun=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword
    client.place.send_many(orders, dry_run="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type of a keyword
    client.place.send_many(orders, True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # keyword-only, given by position
    client.place.send_many()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # no items
    client.cancel.send_many([1], 2)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type of what is the same for all
    client.place.with_options(countdown=1).send_many(["x"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # wrong type of an item, with options
    named.place.send_many([1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # wrong type of an item, by name
    number: int = client.place.send_many(orders)[0].get()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another type of the result
    return number


async def awaited_batches(client: OrdersClient, orders: list[Order]) -> None:
    await client.place.asend_many([1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # wrong type of an item
    await client.place.asend_many(orders, dryrun=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword
    await client.place.send_many(orders)  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]  # a list is not awaited
