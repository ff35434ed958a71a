"""Workflows that do not fit: each joint is refused by both checkers, for the reason that its comments name."""

from typing_tests.accepted.calls import OrdersClient
from typing_tests.accepted.canvas import ShippingClient
from typing_tests.shop import Order, Receipt

from pico_celery import AsyncResult, PartialSignature, TaskSignature, Workflow, chain, chord, group


def arguments(orders: OrdersClient, shipping: ShippingClient, order: Order, receipt: Receipt) -> None:
    orders.place.s(1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # wrong type
    orders.place.s(order, dryrun=True)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # misspelt keyword
    orders.place.si()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # missing
    orders.place.si("order")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type, immutable
    OrdersClient.place.s(1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # wrong type, on the class
    shipping.ship_to.s()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # missing, beside the first
    shipping.ship_to.partial()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # missing, beside the first of a partial
    shipping.ship_to.partial(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type of a rest argument
    shipping.ship_to.partial("Bern", "Basel")  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]  # extra
    shipping.ship_to.partial(adress="Bern")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt keyword of a partial
    orders.count.partial()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # no parameter that takes a result
    orders.place.map([1])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # wrong type of an item
    orders.place.map([order], dry_run="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type of a common argument
    shipping.ship_to.map([receipt])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # missing common argument


def joints(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    orders.place.s(order) | shipping.add_up.s()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # result of another type
    orders.place.s(order) | orders.place.s(order)  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # all arguments given
    orders.place.s(order) | orders.place.s()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # the first argument is of another type
    orders.place.s(order) | shipping.ship_to.s()  # type: ignore[call-arg, operator]  # pyright: ignore[reportCallIssue, reportUnusedExpression]  # missing, beside the result
    orders.place.s(order) | shipping.ship.s() | shipping.ship.s()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # the second result is of another type
    orders.place.s(order) | (shipping.ship.s() | shipping.ship.s())  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # a part that does not fit in itself
    orders.place.s(order) | shipping.ship  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # a sender is no signature
    orders.place(order) | shipping.ship.s()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # a result is no signature
    shipping.ship.s() | shipping.add_up.s()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # a part whose result is of another type


def continuations(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    orders.place.s(order).then(shipping.add_up)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # result of another type
    orders.place.s(order).then(shipping.ship_to)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # missing rest argument
    orders.place.s(order).then(shipping.ship_to, 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type of a rest argument
    orders.place.s(order).then(shipping.ship_to, "Bern", fats=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt rest argument
    orders.place.s(order).then(shipping.ship, order)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # extra rest argument
    orders.place.s(order).then(orders.count)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # takes nothing
    orders.place.s(order).then(shipping.ship.s())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a signature is no sender


def groups(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    group(orders.place.s(order), shipping.ship.s())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # complete and partial together
    group(orders.place(order))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # results are no signatures
    group([orders.place(order)])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # results are no signatures, in a list
    orders.place.s(order) | group(shipping.add_up.s(), shipping.show.s())  # type: ignore[arg-type]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # a part of the group takes another type
    orders.place.s(order) | group([orders.place.s(order)])  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # a group that takes nothing
    group([orders.place.s(order) | group([shipping.ship.s()])])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a chain that ends in a group


def chains(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    chain(orders.place.s(order), shipping.add_up.s())  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]  # result of another type
    chain(orders.place.s(order), shipping.ship.s(), shipping.ship.s())  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]  # the second result is of another type
    chain(orders.place.s(order), orders.place.s(order))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # all arguments given
    chain(orders.place.s(order), shipping.ship)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a sender, not a signature
    chain(orders.place(order), shipping.ship.s())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a result, not a signature
    chain([orders.place.s(order), shipping.ship.s()])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a list of different types
    chain(orders.place.map([order]), shipping.ship.s())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]  # one result where a list comes


def bodies(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    orders.place.map([order]) | shipping.ship.s()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # one result where a list comes
    group(orders.place.s(order), orders.count.s()) | shipping.add_up.s()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # a list with members of another type
    group(orders.place.s(order), orders.count.s()) | shipping.pair.s()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # a tuple with a member of another type
    orders.place.s(order) | shipping.add_up.s()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # a list where one result comes
    chord([orders.count.s()], shipping.add_up.s())  # type: ignore[misc]  # pyright: ignore[reportArgumentType, reportCallIssue]  # the body takes another list
    chord([orders.place.s(order)], orders.count.s())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # the body takes nothing
    orders.place.s(order) | group([shipping.ship.s()]) | shipping.add_up.s()  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue, reportUnusedExpression]  # nested: the list is of another type


def results(orders: OrdersClient, shipping: ShippingClient, order: Order) -> object:
    shipped: AsyncResult[int] = (orders.place.s(order) | shipping.ship.s()).delay()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # result of the whole chain
    total: Workflow[int] = orders.place.map([order]) | shipping.add_up.s()  # type: ignore[operator]  # pyright: ignore[reportAssignmentType]  # result of the chord
    both: tuple[int, Receipt] = group(orders.place.s(order), orders.count.s()).delay().get()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # order of the tuple
    every: list[int] = orders.place.map([order]).delay().get()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # values of the group
    part: PartialSignature[Order, str] = shipping.ship.s()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # what a part takes
    call: TaskSignature[Receipt] = orders.place.s(order) | shipping.ship.s()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # a chain is no call
    return shipped, total, both, every, part, call


def sending(orders: OrdersClient, shipping: ShippingClient, order: Order, receipt: Receipt) -> None:
    orders.place.s(order).delay(order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a complete call takes no more arguments
    orders.place.s(order).apply_async((order,))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a complete call takes no more arguments, in a tuple
    orders.place.map([order]).delay(order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a complete group takes no more arguments
    shipping.ship.s().delay()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a part needs its first argument
    shipping.ship.s().delay(order)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a part, with an argument of another type
    shipping.ship.s().apply_async()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a part needs its first argument, in a tuple
    group([shipping.ship.s()]).delay()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a group of parts needs the first argument


def links(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    orders.place.s(order).link(shipping.add_up.s())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the callback takes another type
    orders.place.s(order).link(orders.place.s(order))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the callback has all its arguments
    orders.place.s(order).link_error(shipping.ship.s())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the errback takes no id


def links_of_parts_and_groups(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    shipping.ship.s().link(shipping.add_up.s())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the callback of a part takes another type
    orders.place.map([order]).link(shipping.add_up.s())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a group has no callback


def options(orders: OrdersClient, shipping: ShippingClient, order: Order) -> None:
    orders.place.s(order).set(contdown=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt option
    orders.place.s(order).with_options(countdown="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # ill-typed option
    orders.place.s(order).apply_async(contdown=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt option of sending
    (orders.place.s(order) | shipping.ship.s()).apply_async(countdown="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # ill-typed option of a chain
    orders.place.map([order]).apply_async(contdown=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt option of a group


async def awaited(orders: OrdersClient, order: Order) -> object:
    await orders.place.s(order)  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]  # a signature is not sent yet
    wrong: list[int] = await orders.place.map([order]).delay()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # values of the group, awaited
    async for member in orders.place.map([order]).delay():
        text: str = await member  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # value of a member
        return wrong, text
    return None
