"""Plain Celery on the other side: as worker, as client, as beat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery import chain, chord, group

from pico_celery import PayloadError, ResultError
from tests.integration.apps import changed
from tests.integration.apps.contracts import Moment
from tests.integration.conftest import Served, ShareWorker, StartWorker, matrix, usual
from tests.support.models import Line, Order, Receipt
from tests.support.processes import CeleryProcess
from tests.support.waiting import becomes, eventually

SOON = timedelta(seconds=15)
ORDER = Order(number=7, lines=[Line(sku="pen", quantity=2, price=Decimal("1.10"))])
DATA: dict[str, Any] = {"number": 7, "lines": [{"sku": "pen", "quantity": 2, "price": "1.10"}]}
RECEIPT: dict[str, Any] = {"number": 7, "total": "2.20", "dry_run": False}


@pytest.fixture(scope="module", params=matrix(("async", "redis"), ("async", "rabbitmq-rpc")))
def plain_worker(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    pool, transport = request.param
    with start_worker("plain", pool, transport) as started:
        yield started


def test_a_plain_worker_serves_a_contract_client_with_plain_json(plain_worker: Served) -> None:
    order = ORDER.model_copy(update={"number": uuid4().int % 10**9})
    receipt = plain_worker.shop.place(order, dry_run=True).get(timeout=SOON)
    assert receipt == Receipt(number=order.number, total=Decimal("2.20"), dry_run=True)
    (line,) = plain_worker.worker.noted(f"plain-{order.number}")
    told = json.loads(line)
    assert told["args"] == []
    assert told["kwargs"] == {"order": {**DATA, "number": order.number}, "dry_run": True}
    assert told["headers"]["pico_contract"] == "shop"
    assert told["headers"]["pico_digest"]


def test_only_what_the_caller_passed_travels(plain_worker: Served) -> None:
    order = ORDER.model_copy(update={"number": uuid4().int % 10**9})
    assert plain_worker.shop.place(order).get(timeout=SOON).dry_run is False
    (line,) = plain_worker.worker.noted(f"plain-{order.number}")
    assert list(json.loads(line)["kwargs"]) == ["order"]


def test_none_and_plain_types_of_a_plain_worker_are_accepted(plain_worker: Served) -> None:
    assert plain_worker.shop.cancel(5).get(timeout=SOON) is None
    moment = Moment(amount=Decimal("0.10"), key=UUID(int=7), at=datetime(2026, 11, 22, tzinfo=UTC))
    assert plain_worker.shop.remember(moment).get(timeout=SOON) == moment


def test_a_result_of_a_plain_worker_that_does_not_fit_is_an_error_of_the_client(plain_worker: Served) -> None:
    result = plain_worker.shop.ship(Receipt(number=7, total=Decimal(1)))
    with pytest.raises(ResultError, match=r"shop\.ship: return: expected str, got 7.*deploy the same version"):
        result.get(timeout=SOON)


@pytest.fixture(
    scope="module",
    params=usual(
        ("async", "redis"), ("processes", "redis"), ("threads", "rabbitmq"), ("solo", "redis"), app="contract_worker"
    ),
)
def contract_worker(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("contract_worker", pool, transport) as started:
        yield started


def test_a_plain_client_calls_by_position_and_by_name(contract_worker: Served) -> None:
    send = contract_worker.plain.send_task
    assert send("shop.place", [DATA]).get(timeout=15) == RECEIPT
    assert send("shop.place", [DATA], {"dry_run": True}).get(timeout=15) == {**RECEIPT, "dry_run": True}
    assert send("shop.place", kwargs={"order": DATA}).get(timeout=15) == RECEIPT
    assert send("shop.cancel", [5]).get(timeout=15) is None


def test_plain_python_types_of_a_plain_client_are_accepted(contract_worker: Served) -> None:
    send = contract_worker.plain.send_task
    at = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
    lines = [{"sku": "pen", "quantity": 2, "price": Decimal("1.10")}]
    assert send("shop.place", [{"number": 7, "lines": lines}]).get(timeout=15) == RECEIPT
    told = send("shop.remember", [{"amount": Decimal("0.10"), "key": UUID(int=7), "at": at}]).get(timeout=15)
    assert Moment.model_validate(told) == Moment(amount=Decimal("0.10"), key=UUID(int=7), at=at)


@pytest.mark.parametrize("blob", [b"text", b"\x00\xff\x80"], ids=["text", "binary"])
def test_bytes_of_a_plain_client_are_accepted(contract_worker: Served, blob: bytes) -> None:
    from base64 import b64decode

    result = contract_worker.plain.send_task("shop.attach", ["picture", blob])
    assert b64decode(result.get(timeout=15)) == blob[::-1]


def test_a_chain_hands_results_on(contract_worker: Served) -> None:
    plain = contract_worker.plain
    both = chain(plain.signature("shop.place", args=[DATA]), plain.signature("shop.ship"), app=plain)
    assert both.apply_async().get(timeout=15) == "shipped 7 for 2.20"


def test_a_group_and_a_chord_collect_results(contract_worker: Served) -> None:
    plain = contract_worker.plain
    place = plain.signature("shop.place", kwargs={"order": DATA})
    assert group([place.clone() for _ in range(3)], app=plain).apply_async().get(timeout=15) == [RECEIPT] * 3
    total = chord([place.clone() for _ in range(3)], app=plain)(plain.signature("shop.sum_up"))
    assert total.get(timeout=20) == "6.60"


def test_a_chain_ends_where_a_result_does_not_fit_the_next_task(contract_worker: Served) -> None:
    plain = contract_worker.plain
    both = chain(plain.signature("shop.cancel", args=[1]), plain.signature("shop.ship"), app=plain)
    with pytest.raises(PayloadError, match=r"shop\.ship: receipt: expected Receipt"):
        both.apply_async().get(timeout=15)


def test_a_callback_gets_the_result(contract_worker: Served) -> None:
    plain = contract_worker.plain
    number = uuid4().int % 10**9
    key = f"linked-{number}"
    link = plain.signature("probe.note", args=[key], immutable=True)
    links: Any = [plain.signature("shop.ship"), link]
    sent = plain.send_task("shop.place", [DATA], link=links)
    assert sent.get(timeout=15) == RECEIPT
    becomes(lambda: contract_worker.worker.noted(key), ["ran"])
    assert eventually(lambda: "'shipped 7 for 2.20'" in contract_worker.worker.log)


def test_an_error_callback_is_called(contract_worker: Served) -> None:
    plain = contract_worker.plain
    key = f"failed-{uuid4().hex}"
    errback = plain.signature("probe.note", args=[key], immutable=True)
    sent = plain.send_task("shop.place", [5], link_error=errback)
    with pytest.raises(PayloadError):
        sent.get(timeout=15)
    becomes(lambda: contract_worker.worker.noted(key), ["ran"])


def test_an_eta_is_kept(contract_worker: Served) -> None:
    eta = datetime.now(UTC) + timedelta(seconds=1)
    sent = contract_worker.plain.signature("shop.place", args=[DATA]).apply_async(eta=eta)
    assert sent.get(timeout=15) == RECEIPT
    assert datetime.now(UTC) >= eta


def test_beat_is_served(contract_worker: Served, tmp_path: Path) -> None:
    arguments = ["-A", "tests.integration.apps.plain", "beat", "-s", str(tmp_path / "schedule"), "--pidfile="]
    beat = CeleryProcess([*arguments, "-l", "INFO"], tmp_path, contract_worker.site.environment())
    try:
        assert eventually(lambda: contract_worker.worker.noted("beat")), beat.log
        assert eventually(lambda: contract_worker.worker.noted("cancel-77")), beat.log
    finally:
        beat.stop()


def test_a_client_with_another_version_of_the_contract_is_told_so(contract_worker: Served) -> None:
    client = changed.ShopClient(contract_worker.app)
    half = changed.Order(number=7, lines=[changed.Line(sku="pen", quantity=0.5, price=Decimal(1))])
    with pytest.raises(PayloadError, match=r"order\.lines\.0\.quantity") as caught:
        client.place(half).get(timeout=SOON)
    assert "the sender's contract of shop.place differs from this one" in str(caught.value)
    assert "deploy the same version of the contract on both sides" in str(caught.value)


def test_a_client_whose_contract_expects_another_result_is_told_so(contract_worker: Served) -> None:
    client = changed.ShopClient(contract_worker.app)
    whole = changed.Order(number=7, lines=[changed.Line(sku="pen", quantity=2, price=Decimal(1))])
    with pytest.raises(ResultError, match=r"shop\.place: return\.paid: expected .*deploy the same version"):
        client.place(whole).get(timeout=SOON)
