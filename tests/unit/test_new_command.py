"""``pico-celery new``: what is written, where, and what is refused. The written project itself runs in the acceptance tests."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pico_celery.tooling.cli.main import pico_celery

PLACE = ("orders.place", "--into", "shop", "--param", "order:Order", "--returns", "Receipt")
New = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def new(folder: Path) -> New:
    """Run the command in an empty directory, and have it end with an exit code."""

    def run(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(pico_celery, ["new", *arguments])
        assert result.exit_code == code, result.output
        return result

    return run


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "cache" not in str(path)
    }


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    for parent in path.relative_to(folder).parents:
        if parent.name and parent.name != "tests":
            (folder / parent / "__init__.py").touch()
    return path


def ruff(folder: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def check_form(folder: Path) -> None:
    """Have it formatted as ``ruff format`` does, and its imports sorted."""
    ruff(folder, "format", "--diff")
    rules = "lint.select=['E4','E7','E9','F','I','B','UP','D','ANN','RUF','PIE','RET','SIM','TRY','PT','W']"
    ruff(folder, "check", "--config", rules, "--config", "lint.pydocstyle.convention='google'", "--ignore", "D104,D205")


def test_an_empty_directory_gets_a_package_with_all_parts(new: New, folder: Path) -> None:
    shown = new(*PLACE).output

    assert sorted(files(folder)) == [
        "shop/__init__.py",
        "shop/app.py",
        "shop/clients/__init__.py",
        "shop/clients/orders.py",
        "shop/contracts/__init__.py",
        "shop/contracts/orders.py",
        "shop/workers/__init__.py",
        "shop/workers/orders.py",
        "tests/__init__.py",
        "tests/test_orders.py",
    ]
    assert "celery -A shop.app:celery_app worker" in shown
    assert "shop/contracts/orders.py:9: give Order its fields" in shown
    check_form(folder)


SHAPES = (
    ("--param", "one:int", "--returns", "str"),
    ("--param", "one:int", "--param", "two:list[Order]", "--param", "three:str='it is'", "--keyword-only"),
    (
        *("--param", "first:dict[str, Decimal]", "--param", "second:datetime|None=None"),
        *("--param", "third:tuple[int,str]=(1,'a')", "--param", "fourth:Annotated[int,Field(gt=0,le=10)]=1"),
        *("--returns", "list[Receipt]"),
    ),
    ("--error", "PaymentDeclinedByTheBank", "--error", "ArticleOutOfStock", "--error", "CustomerUnknown"),
    ("--doc", "Charge the customer and book the order, which takes a while and is told to the customer by mail"),
    (
        *("--param", "address:DeliveryAddress", "--param", "payment:PaymentMethod"),
        *("--param", "kind:Literal['a','b']", "--param", "at:datetime"),
        *("--returns", "tuple[Receipt, UUID, timedelta]"),
    ),
    ("--queue", "a_queue_with_a_name_that_is_rather_long_for_one_line", "--error", "PaymentDeclined"),
    (
        "--returns",
        "bool",
        "--param",
        "a_file:Path",
        "--param",
        "secret:SecretStr",
        "--param",
        "*",
        "--param",
        "n:float",
    ),
)


@pytest.mark.parametrize("width", [60, 79, 88, 120])
def test_what_is_written_has_the_form_of_the_formatter(new: New, folder: Path, width: int) -> None:
    (folder / "ruff.toml").write_text(f"line-length = {width}\n")

    for number, arguments in enumerate(SHAPES):
        new(f"orders.place_{number}", "--into", "shop", *arguments)
        new(f"shop_{number}.orders.v2.place", *arguments)

    check_form(folder)


def test_a_second_task_extends_every_file_and_makes_none(new: New, folder: Path) -> None:
    new(*PLACE)
    before = files(folder)
    shown = new("orders.cancel", "--param", "order_id:int", "--queue", "slow").output
    after = files(folder)

    assert after.keys() == before.keys()
    assert "created" not in shown
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {
        "shop/contracts/orders.py",
        "shop/workers/orders.py",
        "shop/clients/orders.py",
        "tests/test_orders.py",
    }
    for name in changed:
        assert_only_insertions(before[name], after[name])
    assert "    cancel = send_task(Orders.cancel)\n" in after["shop/clients/orders.py"]
    check_form(folder)


def assert_only_insertions(before: str, after: str) -> None:
    """Every line that was there is there, in its order; but an import may have grown."""
    lines = iter(after.splitlines())
    for line in before.splitlines():
        head, is_import, names = line.partition(" import ")
        wanted = set(names.split(", "))
        assert any(
            other == line
            or (is_import and other.startswith(head) and wanted <= set(other.split(" import ")[1].split(", ")))
            for other in lines
        ), line


ORDERS = '''"""Orders."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Protocol,  # the base
)

from pico_celery import contract
from pydantic import BaseModel

if TYPE_CHECKING:
    from shop.later import Parcel


class Order(BaseModel):
    id: int   # not as a formatter has it


# what belongs together
@contract( "orders" )
class Orders( Protocol ):
    async def place(self, order: Order) -> None: ...
    # the end of the contract


LATER = 1  # after it
'''


def test_a_contract_of_the_user_is_extended_in_place(new: New, folder: Path) -> None:
    path = write(folder, "shop/api/orders_api.py", ORDERS)
    new("orders.cancel", "--param", "order:Order", "--param", "why:Reason", "--error", "TooLate", "--queue", "slow")
    text = path.read_text()

    assert_only_insertions(ORDERS, text)
    assert "from pico_celery import TaskError, contract, task_options\nfrom pydantic import BaseModel\n" in text
    assert text.index("class Reason(BaseModel)") < text.index("# what belongs together\n@contract")
    assert text.index("class TooLate(TaskError)") < text.index("# what belongs together\n@contract")
    inserted = text.partition("    # the end of the contract\n")[2].partition("LATER")[0]
    assert inserted == (
        "\n"
        '    @task_options(queue="slow", errors=[TooLate])\n'
        "    async def cancel(self, order: Order, why: Reason) -> None:\n"
        '        """Do ``cancel``. Say here what callers can rely on.\n'
        "\n"
        "        Raises:\n"
        "            TooLate: Say here when.\n"
        '        """\n'
        "        ...\n"
        "\n\n"
    )
    assert "from shop.api.orders_api import Order, Orders, Reason\n" in files(folder)["shop/workers/orders.py"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("class Orders(Protocol): ...", "class Orders(Protocol):\n    async def cancel("),
        ('class Orders(Protocol):\n    """Text."""', '    """Text."""\n\n    async def cancel('),
        ('class Orders(Protocol):\n    """Text."""\n    ...', '    """Text."""\n\n    async def cancel('),
        ("class Orders(Protocol):\n  async def a(self) -> None: ...", "...\n\n  async def cancel(self) -> None:\n    "),
        ("class Orders(Protocol):\n\tasync def a(self) -> None: ...", "...\n\n\tasync def cancel(self) -> None:\n\t\t"),
        ("class Orders(\n    Protocol,\n): pass", "):\n    async def cancel("),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("ending", ["", "\n"])
def test_a_class_of_any_form_is_extended(
    new: New, folder: Path, body: str, expected: str, newline: str, ending: str
) -> None:
    head = "from typing import Protocol\n\nfrom pico_celery import contract\n\n\n@contract\n"
    path = write(folder, "shop/contracts.py", "")
    path.write_bytes((head + body + ending).replace("\n", newline).encode())

    new("orders.cancel")

    raw = path.read_bytes().decode()
    assert raw.count("\r\n") == (raw.count("\n") if newline == "\r\n" else 0)
    text = raw.replace("\r\n", "\n")
    assert expected in text
    assert text.endswith("...\n")


def test_modules_that_are_files_are_extended_and_so_are_aliases(new: New, folder: Path) -> None:
    write(
        folder,
        "shop/contracts.py",
        "from typing import Protocol\n\nimport datetime as dt\nfrom pico_celery import contract\n"
        "from shop.models import Order as Wanted\n\n\n@contract('orders')\nclass Taking(Protocol):\n"
        "    async def place(self, order: Wanted, at: dt.datetime) -> None: ...\n",
    )
    write(folder, "shop/models.py", "from dataclasses import dataclass\n\n\n@dataclass\nclass Order:\n    id: int\n")
    write(
        folder,
        "shop/workers.py",
        "from pico_celery import task\nfrom pico_ioc import component\nfrom shop import contracts\n\n\n@component\n"
        "class Till:\n    @task(contracts.Taking.place)\n    async def place(self) -> None: ...\n",
    )
    write(
        folder,
        "shop/clients.py",
        "from pico_celery import CeleryClient, celery, send_task\nfrom shop.contracts import Taking as T\n\n\n@celery\n"
        "class Caller(CeleryClient):\n    place = send_task(T.place)\n",
    )
    new("orders.cancel", "--param", "order:Wanted", "--param", "at:dt.datetime", "--returns", "Wanted")
    found = files(folder)

    assert "shop/workers/orders.py" not in found
    assert "    cancel = send_task(T.cancel)\n" in found["shop/clients.py"]
    assert "import datetime as dt\n" in found["shop/workers.py"]
    assert "from shop.models import Order as Wanted\n" in found["shop/workers.py"]
    assert "return Order(id=1)" in found["shop/workers.py"] or "return Wanted(id=1)" in found["shop/workers.py"]
