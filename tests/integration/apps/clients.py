"""Clients of the contracts of the tests."""

from __future__ import annotations

from pico_celery import AsyncResult, CeleryClient, celery, send_task
from tests.integration.apps.contracts import Probe, Shop, Vault
from tests.support.models import Order, Receipt


@celery
class ShopClient(CeleryClient):
    place = send_task(Shop.place)
    cancel = send_task(Shop.cancel)
    price_list = send_task(Shop.price_list)
    pay = send_task(Shop.pay)
    ship = send_task(Shop.ship)
    sum_up = send_task(Shop.sum_up)
    remember = send_task(Shop.remember)
    attach = send_task(Shop.attach)

    @send_task("shop.place")
    def place_by_name(self, order: Order, *, dry_run: bool = False) -> AsyncResult[Receipt]: ...  # type: ignore[empty-body]  # never executed


@celery
class ProbeClient(CeleryClient):
    note = send_task(Probe.note)
    fail = send_task(Probe.fail)
    fail_often = send_task(Probe.fail_often)
    lie = send_task(Probe.lie)
    where = send_task(Probe.where)
    current = send_task(Probe.current)
    hold = send_task(Probe.hold)
    scoped = send_task(Probe.scoped)
    overrun = send_task(Probe.overrun)
    quietly = send_task(Probe.quietly)


@celery
class VaultClient(CeleryClient):
    open = send_task(Vault.open)
    echo = send_task(Vault.echo)
    flaky = send_task(Vault.flaky)
    never = send_task(Vault.never)
    hold = send_task(Vault.hold)
    hide = send_task(Vault.hide)
