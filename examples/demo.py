"""``make demo``: contracts, a real worker, typed calls and two mistakes, step by step. Needs no server.

Everything, including the embedded broker, is in a temporary directory, and every process that is started is stopped. The
exit status is 0 if everything behaves as the text says.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

from celery.exceptions import TimeoutError as NoAnswerError
from kombu.exceptions import OperationalError

from examples.shop.clients import NotificationsClient, OrdersClient
from examples.shop.workflows import cancel_and_look, place_all
from pico_celery import (
    CeleryClient,
    CelerySettings,
    EmbeddedBroker,
    Err,
    PayloadError,
    PicoCeleryError,
    UnknownTaskError,
    celery,
    create_app,
    default_catalog,
    send_task,
)
from shop_contracts import Address, Card, Line, Order, PaymentDeclined, Receipt, Recipient, Status, Voucher

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 30.0
STOP_SECONDS = 10.0
ANSWER_SECONDS = 10.0
Error = TypeVar("Error", bound=PicoCeleryError)


class DemoFailedError(Exception):
    """Something did not behave as the demo says."""


def main() -> int:
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="pico-demo-") as directory:
            run(Path(directory))
    except (DemoFailedError, PicoCeleryError, NoAnswerError, OperationalError) as error:
        print(f"\nDEMO FAILED: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(f"\nEverything worked, in {time.monotonic() - started:.1f} s. Next: README.md")
    return 0


def run(directory: Path) -> None:
    step("The contracts: Protocols in contracts/shop_contracts, checked at import.")
    show_contracts()

    step("A worker, in a process of its own, with a private Redis on a Unix socket in a temporary directory.")
    url = f"embedded://{directory / 'broker'}"
    with broker(directory / "broker"), worker(directory, url):
        app = create_app(CelerySettings(broker_url=url))
        orders, notifications = OrdersClient(app), NotificationsClient(app)
        call_and_wait(orders)
        asyncio.run(call_and_await(orders))
        match_a_declared_error(orders)
        call_with_options(orders)
        send_workflows(orders)
        send_only(notifications, directory / "worker.log")
    step("Worker and broker have been stopped.")

    step("A mistake in an argument: the client refuses it. That needs no worker, and none is running now.")
    refuse_payload(orders)
    step("A mistake in a client: its module cannot be imported.")
    refuse_client()


def show_contracts() -> None:
    for task in default_catalog:
        parameters = ", ".join(str(parameter) for parameter in task.parameters)
        print(f"   {task.name}: {parameters}")
    check(len(default_catalog.tasks) > 0, "no contract is declared")


def call_and_wait(orders: OrdersClient) -> None:
    step("A call: orders.place(order).get(timeout=10) waits for a Receipt, and mypy knows the type.")
    receipt = orders.place(an_order()).get(timeout=ANSWER_SECONDS)
    print(f"   {receipt!r}")
    check(isinstance(receipt, Receipt), f"expected a Receipt, got {receipt!r}")
    check(receipt.total == Decimal("13.00"), f"expected a total of 13.00, got {receipt.total}")


async def call_and_await(orders: OrdersClient) -> None:
    step("The same in asyncio: await orders.place(order), twenty at once on one event loop.")
    began = time.monotonic()
    receipts = await asyncio.gather(*[orders.place(an_order(number)) for number in range(1, 21)])
    print(
        f"   {len(receipts)} receipts in {time.monotonic() - began:.2f} s, the last one for order {receipts[-1].order_id}"
    )
    check([receipt.order_id for receipt in receipts] == list(range(1, 21)), "the receipts are not those of the orders")
    await orders.cancel(20)
    statuses = await orders.status({1, 20, 99})
    print(f"   after orders.cancel(20): {statuses}")
    check(statuses == {1: Status.BOOKED, 20: Status.CANCELLED, 99: Status.UNKNOWN}, f"wrong statuses: {statuses}")


def match_a_declared_error(orders: OrdersClient) -> None:
    step(
        "A declared error: the contract lists PaymentDeclined, so the caller gets it with its fields, as a value to match."
    )
    order = an_order(30).model_copy(update={"payment": Voucher(code="TEA", value=Decimal(5))})
    match orders.place(order).outcome(timeout=ANSWER_SECONDS):
        case Err(PaymentDeclined(reason=reason, missing=missing)):
            print(f"   Err(PaymentDeclined(reason={reason!r}, missing={missing!r}))")
            check(missing == Decimal("8.00"), f"expected 8.00 to be missing, got {missing}")
        case other:
            raise DemoFailedError(f"expected a declined payment, got {other!r}")


def call_with_options(orders: OrdersClient) -> None:
    step("Options: orders.place.with_options(countdown=0.5)(order) has the same signature and runs later.")
    began = time.monotonic()
    orders.place.with_options(countdown=0.5)(an_order(), dry_run=True).get(timeout=ANSWER_SECONDS)
    waited = time.monotonic() - began
    print(f"   answered after {waited:.1f} s")
    check(waited >= 0.5, f"the countdown of 0.5 s was ignored: {waited:.2f} s")  # noqa: PLR2004 - the same 0.5


def send_workflows(orders: OrdersClient) -> None:
    step("Workflows: orders.place.map([...]) is a group, orders.cancel.s(31) | orders.status.si({31}) a chain.")
    receipts = place_all(orders, [an_order(number) for number in (31, 32, 33)]).delay().get(timeout=ANSWER_SECONDS)
    print(f"   {len(receipts)} receipts: {[receipt.order_id for receipt in receipts]}")
    check([receipt.order_id for receipt in receipts] == [31, 32, 33], f"wrong receipts: {receipts}")
    statuses = cancel_and_look(orders, 31).delay().get(timeout=ANSWER_SECONDS)
    print(f"   {statuses}")
    check(statuses == {31: Status.CANCELLED}, f"wrong statuses: {statuses}")


def send_only(notifications: NotificationsClient, log: Path) -> None:
    step(
        "A task without a result: the contract says ignore_result, so nothing is stored. The worker's log shows that it ran."
    )
    notifications.remind(Recipient(name="Ada", email="ada@example.org"), 7)
    line = "mail to ada@example.org: Please pay order 7"
    wait_for(lambda: line in log.read_text(errors="replace"), ANSWER_SECONDS, f"the worker never logged {line!r}")
    print(f"   {line}")


def refuse_payload(orders: OrdersClient) -> None:
    order = an_order().model_dump()
    order["lines"][0]["quantity"] = 0
    order["payment"] = {"method": "cash"}
    error = expect(PayloadError, lambda: orders.place(order))  # type: ignore[arg-type]  # mypy finds this mistake first
    check("lines.0.quantity" in str(error), f"the error does not say where: {error}")


def refuse_client() -> None:
    def import_client() -> None:
        @celery
        class MisspeltClient(CeleryClient):
            @send_task("orders.plaice")
            def place(self, order: Order) -> None: ...

    error = expect(UnknownTaskError, import_client)
    check("'orders.place'" in str(error), f"the error does not name the nearest task: {error}")


def an_order(number: int = 1) -> Order:
    return Order(
        id=number,
        lines=[
            Line(sku="tea", quantity=2, price=Decimal("4.50")),
            Line(sku="cup", quantity=1, price=Decimal("4.00")),
        ],
        ship_to=Address(street="1 Lake Road", city="Bern", country="CH"),
        payment=Card(number="4111 1111 1111 1111"),  # type: ignore[arg-type]  # pydantic converts it to a SecretStr
    )


@contextmanager
def broker(directory: Path) -> Iterator[None]:
    """Start the embedded broker of a directory, and stop it at the end."""
    with EmbeddedBroker(directory) as embedded:
        pid = embedded.server_pid()
        print(f"   redis-server: process {pid}")
        try:
            yield
        finally:
            embedded.shutdown()
        check(embedded.server_pid() is None, f"the embedded broker, process {pid}, did not stop")


@contextmanager
def worker(directory: Path, url: str) -> Iterator[None]:
    """Run a worker process, and stop it at the end."""
    command = [sys.executable, "-m", "celery", "-A", "examples.shop.app:celery_app", "worker"]
    command += ["-Q", "orders,notifications", "-P", "threads", "-c", "4", "-l", "INFO"]
    command += ["-n", f"demo-{os.getpid()}@localhost", "--without-mingle", "--without-gossip"]
    log = directory / "worker.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CELERY_", "SHOP_"))}
    environment |= {"SHOP_CELERY_BROKER_URL": url, "PYTHONUNBUFFERED": "1"}
    print(f"   $ celery {' '.join(command[3:12])}")
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603 - a command of our own
    try:
        otherwise = f"the worker did not get ready; its log:\n{{log}}\n(command: {' '.join(command)})"
        wait_for(lambda: is_ready(process, log), READY_SECONDS, otherwise, log)
        print(f"   worker: process {process.pid}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def is_ready(process: "subprocess.Popen[bytes]", log: Path) -> bool:
    text = log.read_text(errors="replace")
    if process.poll() is not None:
        raise DemoFailedError(f"the worker ended with status {process.returncode}; its log:\n{text}")
    return " ready." in text


def step(text: str) -> None:
    print(f"\n== {text}", flush=True)


def check(condition: bool, otherwise: str) -> None:
    if not condition:
        raise DemoFailedError(otherwise)


def expect(kind: type[Error], action: Callable[[], object]) -> Error:
    """Print and return the error that the action must raise."""
    try:
        action()
    except kind as error:
        for line in f"{type(error).__name__}: {error}".splitlines():
            print(f"   {line}")
        return error
    raise DemoFailedError(f"expected a {kind.__name__}, but nothing was refused")


def wait_for(condition: Callable[[], bool], seconds: float, otherwise: str, log: Path | None = None) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise DemoFailedError(otherwise.format(log=log.read_text(errors="replace") if log else ""))
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
