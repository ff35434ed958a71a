"""``pico-celery new`` as somebody uses it who begins in an empty directory: what it writes is run at once."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pico_celery import EmbeddedBroker
from tests.acceptance.commands import ROOT, as_python, run, worker

FIRST = (
    "pico-celery new orders.place --into shop --param order:Order --param '*' --param dry_run:bool=False"
    " --returns Receipt --error PaymentDeclined --queue orders"
)
MORE = (
    "pico-celery new orders.cancel --param order_id:int --queue orders",
    "pico-celery new orders.v2.place --param order:Order --param 'at:datetime|None=None' --returns Receipt --queue orders",
    "pico-celery new mails.send --param to:Recipient --param subject:str='Hello' --returns Delivery --error Bounced",
    "pico-celery new mails.count --param since:date --param 'kinds:list[Kind]' --returns 'dict[str, int]'",
    "pico-celery new prices.find --param article:Article --returns Price",
)
KINDS = '''"""Kinds of mails."""

from enum import StrEnum


class Kind(StrEnum):
    """What a mail is for."""

    RECEIPT = "receipt"
'''
ARTICLES = '''"""Articles, and what no example can be made up for."""

from pydantic import BaseModel, Field


class Article(BaseModel):
    """What is sold."""

    number: str = Field(pattern="^[A-Z]{3}-[0-9]{4}$")


class Price(BaseModel):
    """What it costs."""

    currency: str = Field(pattern="^[A-Z]{3}$")
'''


@dataclass
class Shop:
    """A directory, and what the commands in it said."""

    folder: Path
    said: list[str] = field(default_factory=list)

    def do(self, command: str, *, code: int = 0) -> str:
        changes = {}
        if command.startswith("mypy"):
            changes["MYPYPATH"] = str(ROOT / "stubs")  # the wheel brings them, an editable install does not
            command += f" --cache-dir {ROOT / '.mypy_cache' / 'new'}"
        status, output = run(as_python(command), self.folder, changes)
        assert status == code, output
        return output

    def check(self, *tests: str) -> None:
        """Check it as its owner's CI would."""
        self.do("mypy --strict shop tests")
        self.do("ruff format --check --no-cache .")
        self.do("ruff check --no-cache --select E,F,W,I,B,UP,ANN,RUF,PT,SIM .")
        assert f"{len(tests)} passed" in self.do("python -W error -m pytest -q -p no:cacheprovider " + " ".join(tests))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A project with one task."""
    shop = Shop(tmp_path_factory.mktemp("new").resolve())
    with contextlib.ExitStack() as ending:
        ending.callback(EmbeddedBroker(shop.folder / ".pico-celery").shutdown)
        shop.said.append(shop.do(FIRST))
        yield shop


def test_what_is_written_first_is_checked_and_tested_at_once(shop: Shop) -> None:
    shop.check("tests/test_orders.py::test_orders_place")

    assert "wrote contracts.lock.json: 1 task" in shop.do("pico-celery lock shop.contracts")


def test_the_steps_that_are_printed_can_be_followed(shop: Shop) -> None:
    steps = [line.strip() for line in shop.said[0].partition("Next:\n")[2].splitlines()]
    assert "python -m pytest tests/test_orders.py" in steps
    assert "pico-celery lock shop.contracts" in steps
    command = steps[-1]
    assert command == "celery -A shop.app:celery_app worker -Q orders"
    client = (
        "from shop.app import container\n"
        "from shop.clients.orders import OrdersClient\n"
        "from shop.contracts.orders import Order\n"
        "print(container.get(OrdersClient).place(Order(id=1), dry_run=True).get(timeout=30))\n"
    )

    with worker(as_python(f"{command} -l INFO"), shop.folder):
        assert run([sys.executable, "-c", client], shop.folder) == (0, "id=1\n")


@pytest.mark.slow
def test_more_tasks_are_checked_and_tested_too(shop: Shop) -> None:
    (shop.folder / "shop" / "kinds.py").write_text(KINDS)
    (shop.folder / "shop" / "articles.py").write_text(ARTICLES)
    for command in MORE:
        shop.do(command)

    shop.check(
        "tests/test_orders.py::test_orders_place",
        "tests/test_orders.py::test_orders_cancel",
        "tests/test_orders_v2.py::test_orders_v2_place",
        "tests/test_mails.py::test_mails_send",
        "tests/test_mails.py::test_mails_count",
        "tests/test_prices.py::test_prices_find",
    )
    assert "wrote contracts.lock.json: 6 tasks" in shop.do("pico-celery lock shop.contracts")


def test_the_application_passes_check(shop: Shop) -> None:
    shop.do("pico-celery lock shop.contracts")

    shop.do("pico-celery -A shop.app:celery_app check shop.contracts --against contracts.lock.json")
