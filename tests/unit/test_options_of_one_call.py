"""Claims: what only one call can have is refused where there are several calls, and never dropped in silence."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

import pytest
from celery import Celery

from pico_celery import Catalog, CeleryClient, OptionError, contract, schedule, send_task


@contract("unit_single", catalog=Catalog())
class Single(Protocol):
    async def add(self, number: int) -> int: ...


class SingleClient(CeleryClient):
    add = send_task(Single.add)


@pytest.fixture
def client(celery_app: Celery) -> SingleClient:
    return SingleClient(celery_app)


@pytest.mark.parametrize("option", ["task_id", "idempotency_key"])
@pytest.mark.parametrize("send", [lambda add: add.send_many([1, 2]), lambda add: add.map([1, 2])], ids=["many", "map"])
def test_many_calls_cannot_share_what_belongs_to_one(
    client: SingleClient, send: Callable[[Any], Any], option: str
) -> None:
    with pytest.raises(OptionError, match=f"{option}: expected an option that many calls can share") as raised:
        send(client.add.with_options(**{option: "one"}))  # type: ignore[arg-type]  # mypy: names of options as texts
    assert [fault.code for fault in raised.value.faults] == ["option_of_one_call"]


@pytest.mark.parametrize(
    "make",
    [
        lambda add: add.with_options(idempotency_key="k").s(1),
        lambda add: add.with_options(idempotency_key="k").si(1),
        lambda add: add.with_options(idempotency_key="k").partial(),
        lambda add: add.s(1).set(idempotency_key="k"),
        lambda add: add.s(1).with_options(idempotency_key="k"),
        lambda add: schedule(add.s(1), every=timedelta(hours=1), name="n", idempotency_key="k"),
        lambda add: (add.s(1) | add.s()).apply_async(idempotency_key="k"),
    ],
)
def test_a_part_of_a_workflow_takes_no_key_and_says_so(client: SingleClient, make: Callable[[Any], Any]) -> None:
    with pytest.raises(OptionError, match="leave it out, or send the call alone"):
        make(client.add)
