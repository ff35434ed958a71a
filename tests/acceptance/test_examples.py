"""The examples do what they say: contracts alone, the worker as a process, the API over HTTP, the demo."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from examples.shop.clients import NotificationsClient, OrdersClient
from httpx import ASGITransport, AsyncClient

from pico_celery import CelerySettings, EmbeddedBroker, Err, create_app
from shop_contracts import (
    Address,
    BankTransfer,
    Line,
    Order,
    PaymentDeclined,
    Placement,
    Receipt,
    Recipient,
    Status,
    Voucher,
)
from tests.acceptance.commands import ROOT, Background, run, worker
from tests.support.waiting import eventually

PYTHONPATH = {"PYTHONPATH": str(ROOT)}
WAIT_SECONDS = 30


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Background]]:
    """A worker process of the example shop, and the URL of its broker."""
    folder = tmp_path_factory.mktemp("shop")
    with EmbeddedBroker(folder / "broker") as broker:
        url = f"embedded://{broker.directory}"
        command = [sys.executable, "-m", "celery", "-A", "examples.shop.app:celery_app", "worker", "-P", "threads"]
        command += ["-c", "4", "-Q", "orders,notifications", "-l", "INFO"]
        with worker(command, folder, {**PYTHONPATH, "SHOP_CELERY_BROKER_URL": url}) as background:
            yield url, background
        broker.shutdown()


@pytest.fixture
def orders(shop: tuple[str, Background]) -> OrdersClient:
    return OrdersClient(create_app(CelerySettings(broker_url=shop[0])))


def an_order(number: int) -> Order:
    return Order(
        id=number,
        lines=[Line(sku="tea", quantity=2, price=Decimal("4.50"))],
        ship_to=Address(street="1 Lake Road", city="Bern", country="CH"),
        payment=BankTransfer(iban="CH93 0076 2011 6238 5295 7"),
    )


def test_contracts_import_neither_celery_nor_a_container_nor_the_examples() -> None:
    program = (
        "import sys, shop_contracts; heavy = ('celery', 'kombu', 'pico_ioc', 'examples', 'redis', 'fastapi'); "
        "print(sorted(name for name in sys.modules if name.split('.')[0] in heavy))"
    )
    status, output = run([sys.executable, "-c", program], ROOT, {"PYTHONPATH": str(ROOT / "contracts")})

    assert (status, output) == (0, "[]\n")


def test_clients_import_neither_workers_nor_their_services() -> None:
    program = (
        "import sys, examples.shop.api; print(sorted(name for name in sys.modules if name.startswith('examples.')))"
    )
    status, output = run([sys.executable, "-c", program], ROOT, PYTHONPATH)

    assert (status, output) == (
        0,
        "['examples.shop', 'examples.shop.api', 'examples.shop.clients', 'examples.shop.settings']\n",
    )


def test_a_call_returns_the_receipt_that_the_contract_promises(orders: OrdersClient) -> None:
    receipt = orders.place(an_order(1)).get(timeout=WAIT_SECONDS)

    assert isinstance(receipt, Receipt)
    assert (receipt.order_id, receipt.total, receipt.status) == (1, Decimal("9.00"), Status.BOOKED)


def test_sets_and_mappings_with_other_keys_than_text_arrive_as_they_were(orders: OrdersClient) -> None:
    orders.place(an_order(11)).get(timeout=WAIT_SECONDS)
    orders.cancel(12).get(timeout=WAIT_SECONDS)

    statuses = orders.status({11, 12, 13}).get(timeout=WAIT_SECONDS)

    assert statuses == {11: Status.BOOKED, 12: Status.CANCELLED, 13: Status.UNKNOWN}


def test_each_kind_of_payment_of_the_union_is_accepted(orders: OrdersClient) -> None:
    payment = Voucher(code="TEA", value=Decimal(9))

    assert orders.place(an_order(14).model_copy(update={"payment": payment})).get(timeout=WAIT_SECONDS).order_id == 14


def test_a_declared_error_arrives_with_its_fields_in_both_versions(orders: OrdersClient) -> None:
    order = an_order(15).model_copy(update={"payment": Voucher(code="TEA", value=Decimal(5))})
    declined = PaymentDeclined(reason="the voucher is worth less", missing=Decimal("4.00"))

    assert orders.place(order).outcome(timeout=WAIT_SECONDS) == Err(declined)
    placement = Placement(order=order, customer_email="ada@example.org")
    assert orders.place_and_mail(placement).outcome(timeout=WAIT_SECONDS) == Err(declined)
    assert PaymentDeclined.code == "orders.payment_declined"


def test_the_second_version_books_and_sends_a_task_of_another_contract(
    orders: OrdersClient, shop: tuple[str, Background]
) -> None:
    placed = orders.place_and_mail(Placement(order=an_order(21), customer_email="ada@example.org"))

    assert placed.get(timeout=WAIT_SECONDS).order_id == 21
    assert eventually(lambda: "mail to ada@example.org: Order 21: That makes 9.00." in shop[1].log)


def test_a_component_that_inherits_its_contract_serves_the_inherited_task_too(shop: tuple[str, Background]) -> None:
    client = NotificationsClient(create_app(CelerySettings(broker_url=shop[0])))

    client.remind(Recipient(name="Bob", email="bob@example.org"), 31)
    client.send_email(Recipient(name="Bob", email="bob@example.org"), "Hello", "there")

    assert eventually(lambda: "mail to bob@example.org: Please pay order 31" in shop[1].log)
    assert eventually(lambda: "mail to bob@example.org: Hello: there" in shop[1].log)


def test_the_api_awaits_a_task_and_answers_with_its_result(
    shop: tuple[str, Background], monkeypatch: pytest.MonkeyPatch
) -> None:
    from examples.shop.api import api, lifespan

    async def use() -> None:
        async with lifespan(api), AsyncClient(transport=ASGITransport(app=api), base_url="http://shop") as http:
            placed = await http.post("/orders", json=json.loads(an_order(41).model_dump_json()))
            refused = await http.post("/orders", json={"id": 42, "lines": []})
            cancelled = await http.delete("/orders/43")
            poor = an_order(45).model_copy(update={"payment": Voucher(code="TEA", value=Decimal(5))})
            declined = await http.post("/orders", json=json.loads(poor.model_dump_json()))
            assert (declined.status_code, declined.json()["detail"]) == (
                402,
                {"error": "orders.payment_declined", "reason": "the voucher is worth less", "missing": "4.00"},
            )
            assert (placed.status_code, placed.json()["total"]) == (200, "9.00")
            assert refused.status_code == 422
            assert cancelled.status_code == 202
            deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
            while (await http.get("/orders/43")).json() != "cancelled":
                assert asyncio.get_running_loop().time() < deadline
            assert [(await http.get(f"/orders/{number}")).json() for number in (41, 44)] == ["booked", "unknown"]

    monkeypatch.setenv("SHOP_CELERY_BROKER_URL", shop[0])
    asyncio.run(use())


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """An empty directory with a short path: the demo's broker has a Unix socket in it."""
    with tempfile.TemporaryDirectory(prefix="pico-") as folder:
        yield Path(folder)


def test_the_demo_tells_its_steps_stops_everything_and_ends_well(short_folder: Path) -> None:
    status, output = run([sys.executable, "-m", "examples.demo"], ROOT, {"TMPDIR": str(short_folder)})

    assert status == 0, output
    for text in (
        "Receipt(order_id=1, total=Decimal('13.00')",
        "20 receipts",
        "Err(PaymentDeclined(reason='the voucher is worth less', missing=Decimal('8.00')))",
        "mail to ada@example.org: Please pay order 7",
        "PayloadError: orders.place: the arguments do not fit the contract, 2 faults:",
        "order.lines.0.quantity: expected a value greater than 0",
        "did you mean 'orders.place'",
        "Worker and broker have been stopped.",
    ):
        assert text in output
    assert re.search(r"answered after \d+\.\d s", output)
    assert_nothing_is_left(output, short_folder, processes=2)


def test_a_demo_that_goes_wrong_says_so_and_ends_with_status_1(short_folder: Path) -> None:
    program = "import sys; from examples import demo; demo.READY_SECONDS = 0.0; sys.exit(demo.main())"
    status, output = run([sys.executable, "-c", program], ROOT, {"TMPDIR": str(short_folder)})

    assert status == 1
    assert "DEMO FAILED: DemoFailedError: the worker did not get ready; its log:" in output
    assert_nothing_is_left(output, short_folder, processes=1)


def assert_nothing_is_left(output: str, folder: Path, *, processes: int) -> None:
    ids = [int(found) for found in re.findall(r"^   [\w-]+: process (\d+)$", output, re.MULTILINE)]
    assert len(ids) == processes
    assert not [number for number in ids if is_running(number)]
    assert list(folder.glob("pico-demo-*")) == []


def is_running(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{number}/stat")
    # Where nobody waits for orphans, a server that has ended stays in the list as a zombie.
    return not (state.exists() and ") Z " in state.read_text())
