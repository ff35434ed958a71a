"""``pico-celery new``: what is written, where, and what is refused. The written project itself runs in the acceptance tests."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pico_celery_tooling.cli.main import pico_celery
from pico_celery_tooling.new.drafts import Change
from pico_celery_tooling.new.drafts import write as write_changes
from pico_celery_tooling.output import ToolError

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


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Have a project with one task, to be copied."""
    folder = tmp_path_factory.mktemp("placed")
    with contextlib.chdir(folder):
        result = CliRunner().invoke(pico_celery, ["new", *PLACE])
    assert result.exit_code == 0, result.output
    return folder


def nothing_changes(folder: Path, action: Callable[[], Result]) -> Result:
    before = files(folder)
    result = action()
    assert files(folder) == before
    return result


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
    ("--param", "x:list[ArticleNumber]", "--param", "y:list[Decimal]|None=None"),
    (
        "--param",
        "prices:dict[str, list[tuple[datetime, Decimal, PriceListOfThisYear, Annotated[str, Field(max_length=80)]]]]",
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


@pytest.mark.parametrize("width", [60, 88, 120])
def test_without_a_formatter_code_is_laid_out_as_formatters_do(
    new: New, folder: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    (folder / "ruff.toml").write_text(f"line-length = {width}\n")

    for number, arguments in enumerate(SHAPES):
        new(f"orders.place_{number}", "--into", "shop", *arguments)
        new(f"shop_{number}.orders.v2.place", *arguments)

    check_form(folder)


def test_the_formatter_of_the_project_is_run(new: New, folder: Path) -> None:
    (folder / "ruff.toml").write_text("line-length = 70\nformat.quote-style = 'single'\n")
    new(*PLACE)
    assert "SETTINGS = {'celery': {'broker_url': 'embedded'}}\n" in files(folder)["shop/app.py"]
    ruff(folder, "format", "--diff")

    path = folder / "shop/workers/orders.py"
    path.write_text(path.read_text() + '\n\nMINE = "double"\n')
    new("orders.cancel", "--queue", "slow")

    assert '"double"' in path.read_text()
    assert "@task_options(queue='slow')\n" in files(folder)["shop/contracts/orders.py"]


@pytest.mark.parametrize(("code", "expected"), [(0, "# formatted by black --quiet --stdin-filename"), (1, '"""')])
def test_black_is_run_if_it_is_configured(
    new: New, folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, expected: str
) -> None:
    tools = folder / "tools"
    tools.mkdir()
    (tools / "black").write_text(f'#!/bin/sh\necho "# formatted by black $@"\ncat\nexit {code}\n')
    (tools / "black").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sys, "executable", str(tools / "python"))
    (folder / "pyproject.toml").write_text("[tool.ruff]\n[tool.black]\n")

    new(*PLACE)

    assert files(folder)["shop/workers/orders.py"].startswith(expected)


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


def test_a_task_goes_to_the_queue_of_its_contract(new: New, folder: Path) -> None:
    new(*PLACE, "--queue", "orders")
    shown = new("orders.cancel").output
    text = files(folder)["shop/contracts/orders.py"]

    assert '    @task_options(queue="orders")\n    async def cancel(' in text
    assert "celery -A shop.app:celery_app worker -Q orders" in shown
    new("orders.close", "--queue", "slow")
    new("orders.open")
    assert '@task_options(queue="slow")\n    async def close(' in files(folder)["shop/contracts/orders.py"]
    assert '"""\n        ...\n\n    async def open(' in files(folder)["shop/contracts/orders.py"]


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
        '        """Do ``cancel``. Describe here what callers can rely on.\n'
        "\n"
        "        Raises:\n"
        "            TooLate: Say when.\n"
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
    new: New, folder: Path, *, body: str, expected: str, newline: str, ending: str
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


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        (["place"], "'place' cannot be the name of a task", "domain.action, such as orders.place"),
        ([""], "cannot be the name of a task", "orders.place"),
        (["orders."], "cannot be the name of a task", "orders.place"),
        ([".place"], "cannot be the name of a task", "orders.place"),
        (["or ders.place"], "'or ders.place' cannot be", "orders.place"),
        (["orders.import"], "'import' is a keyword of Python", "'import_'"),
        (["orders.place-all"], "'place-all' is not a name", "did you mean 'orders.place_all'?"),
        (["orders._place"], "'_place' is not a name", "did you mean 'orders.place'?"),
        (["Orders.placeAll"], "lower case", "did you mean 'orders.placeAll'?"),
        (["orders.placeAll"], "lower case", "did you mean 'orders.place_all'?"),
        (["orders.list"], "hides the type 'list'", "'list_all'"),
        (["orders.v1.place"], "version 1", "'orders.place' for version 1"),
        (["celery.place"], "its class Celery would hide one", "another domain"),
        (["orders.pay", "--into", "json"], "standard library", "hides it"),
        (["orders.pay", "--into", "celery"], "'celery' is installed", "another name"),
        (["orders.pay", "--into", "../shop"], "not below this directory", "where the package is"),
        (["orders.pay", "--into", "sh-op"], "'sh-op' is not the name of a package", "--into shop"),
        (["orders.pay", "--into", "."], "not the name of a package", "--into shop"),
        (["orders.pay", "--into", ""], "not the name of a package", "--into shop"),
        (["orders.pay", "--param", "order"], "--param order has no type", "name:type=default"),
        (["orders.pay", "--param", "a:int, b:int"], "is not one parameter", "name:type"),
        (["orders.pay", "--param", "a b:int"], "is not a parameter", "name:type"),
        (["orders.pay", "--param", "class:int"], "is not a parameter", "name:type"),
        (["orders.pay", "--param", "self:int"], "a parameter cannot have this name", "another name"),
        (["orders.pay", "--param", "a:int", "--param", "a:str"], "--param a is there twice", "on the wire"),
        (["orders.pay", "--param", "a:int=1", "--param", "b:int"], "--param b has no default", "--keyword-only"),
        (["orders.pay", "--param", "a:int=ten"], "the default ten is not a value", "text needs quotes"),
        (["orders.pay", "--param", "a:bool=Flase"], "the default Flase is not a value", "did you mean 'False'"),
        (["orders.pay", "--param", "a:int='ten'"], 'int cannot have the default "ten"', "valid integer"),
        (["orders.pay", "--param", "a:Decimal=1"], "Decimal cannot have the default 1", "instance of Decimal"),
        (["orders.pay", "--param", "a:list[int]=[]"], "shared by all calls", "use None or ()"),
        (["orders.pay", "--param", "a:lambda x: x"], "neither a type nor a constant", "list[int]"),
        (["orders.pay", "--param", "a:Datetime"], "no type 'Datetime' is in scope", "did you mean 'datetime'?"),
        (["orders.pay", "--param", "a:strr"], "no type 'strr' is in scope", "did you mean 'str'"),
        (
            ["orders.pay", "--param", "a:Recipt"],
            "no type 'Recipt' is in scope",
            "did you mean 'Receipt'? --model Recipt",
        ),
        (["orders.pay", "--param", "a:shop.models.Order"], "'shop.models.Order' is not known here", "has no 'Order'"),
        (["orders.pay", "--returns", "list["], "'list[' is not a type", "list[int]"),
        (["orders.pay", "--returns", "Protocol"], "'Protocol' of typing is not a type of data", "name a model"),
        (["orders.pay", "--returns", "BaseModel"], "'BaseModel' of pydantic is not a type of data", "name a model"),
        (["orders.pay", "--returns", "OrdersWorker"], "'OrdersWorker' of shop.workers.orders is not", "name a model"),
        (["orders.pay", "--returns", "Field"], "Field alone is not a type", "Annotated[int, Field(gt=0)]"),
        (["orders.pay", "--returns", "list[Field(gt=0)]"], "Field(gt=0) is not a type", "list[int]"),
        (["orders.pay", "--returns", "3"], "3 is not a type", "list[int]"),
        (
            ["orders.pay", "--error", "Receipt"],
            "Receipt (shop/contracts/orders.py) is not a declared error",
            "TaskError",
        ),
        (["orders.pay", "--error", "datetime"], "datetime is not a declared error", "TaskError"),
        (["orders.pay", "--error", "no-name"], "--error no-name: no type", "capital letter"),
        (["orders.pay", "--model", "Other"], "--model Other: no parameter", "leave it out"),
        (["orders.pay", "--queue", "a b"], "'a b' is not the name of a queue", "--queue orders"),
        (["orders.pay", "--doc", 'say "it"'], "cannot be a docstring", "leave out"),
        (["orders.place"], "orders.place is there already: shop/contracts/orders.py:", "orders.v2.place"),
        (["orders.v2.place", "--returns", "OrdersV2"], "OrdersV2 is the name of the contract", "something else"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    new: New, folder: Path, placed: Path, *, arguments: list[str], message: str, remedy: str
) -> None:
    shutil.copytree(placed, folder, dirs_exist_ok=True)
    if arguments == ["place"] or "--into" not in arguments:
        arguments = [*arguments, "--into", "shop"]

    first = nothing_changes(folder, lambda: new(*arguments, code=2)).output
    again = nothing_changes(folder, lambda: new(*arguments, code=2)).output

    assert message in first
    assert remedy in first
    assert again == first


def test_a_refusal_is_json_where_that_was_asked_for(new: New) -> None:
    told = json.loads(new("orders.import", "--into", "shop", "--json", code=2).stdout)

    assert told["error"]["message"] == "'orders.import': 'import' is a keyword of Python and cannot name a method"
    assert told["error"]["remedy"] == "such as 'import_'"


def test_whatever_would_be_replaced_is_named_with_its_place(new: New, folder: Path) -> None:
    new(*PLACE)
    worker, client, test = (
        folder / name for name in ("shop/workers/orders.py", "shop/clients/orders.py", "tests/test_orders.py")
    )
    for path, addition, shown in (
        (worker, "\n    def pay(self) -> None: ...\n", "shop/workers/orders.py:21: OrdersWorker has a 'pay' already"),
        (client, "    pay = 1\n", "shop/clients/orders.py:13: OrdersClient has a 'pay' already"),
        (test, "\n\ndef test_orders_pay() -> None: ...\n", "test_orders_pay is there already"),
    ):
        text = path.read_text()
        path.write_text(text + addition)
        assert shown in nothing_changes(folder, lambda: new("orders.pay", code=2)).output
        path.write_text(text)
    new("orders.pay")


@pytest.mark.parametrize(
    ("imported", "name"),
    [
        ("from shop.contracts.orders import Orders", "Orders"),
        ("from shop.contracts.orders import Orders as Tasks", "Tasks"),
        ("from shop.contracts import orders", "orders.Orders"),
        ("import shop.contracts.orders", "shop.contracts.orders.Orders"),
        ("import shop.contracts.orders as those", "those.Orders"),
    ],
)
def test_a_worker_is_extended_however_it_imports_the_contract(
    new: New, folder: Path, placed: Path, imported: str, name: str
) -> None:
    shutil.copytree(placed, folder, dirs_exist_ok=True)
    text = (folder / "shop/workers/orders.py").read_text()
    (folder / "shop/workers/orders.py").unlink()
    text = text.replace("import Order, Orders, Receipt", "import Order, Receipt").replace(
        "Orders.place)", f"{name}.place)"
    )
    path = write(
        folder, "shop/mine.py", text.replace("OrdersWorker", "Mine").replace("\n\n\n", f"\n{imported}\n\n\n", 1)
    )

    new("orders.cancel")

    assert "    async def cancel(self) -> None:\n" in path.read_text()
    assert not (folder / "shop/workers/orders.py").exists()


def test_a_name_given_by_hand_counts_too(new: New, folder: Path) -> None:
    write(
        folder,
        "shop/old.py",
        "from pico_celery import contract, task_options\n\n\n@contract('old')\nclass Old(Protocol):\n"
        "    @task_options(name='orders.place')\n    async def put(self) -> None: ...\n",
    )

    assert "shop/old.py:6 gives a task this name" in new(*PLACE, code=2).output


def test_the_package_is_found_or_asked_for(new: New, folder: Path) -> None:
    assert "--into shop makes one" in new("orders.place", code=2).output
    write(folder, "src/shop/models.py", "class Order: ...\n")
    new("orders.place")
    assert (folder / "src/shop/contracts/orders.py").exists()
    assert "pip install -e ." in new("orders.cancel", "--into", "src/shop").output
    write(folder, "src/other/models.py", "")
    assert "there are 'other', 'shop'" in new("orders.close", code=2).output


def test_contracts_may_be_in_a_package_of_their_own(new: New, folder: Path) -> None:
    path = write(folder, "shop_contracts/orders.py", ORDERS.replace("shop.later", "shop_contracts.later"))
    write(folder, "shop/services.py", "")
    shown = new("orders.cancel", "--into", "shop", "--param", "order:Order", code=2).output
    assert "shop_contracts/orders.py has a contract 'orders'" in shown
    assert "--contracts shop_contracts" in shown

    shown = new("orders.cancel", "--into", "shop", "--contracts", "shop_contracts", "--param", "order:Order").output
    new("mails.send", "--into", "shop", "--contracts", "shop_contracts")

    found = files(folder)
    assert "async def cancel" in path.read_text()
    assert "shop_contracts/mails.py" in found
    assert "shop/contracts" not in " ".join(found)
    assert "from shop_contracts.orders import Order, Orders\n" in found["shop/workers/orders.py"]
    assert "pico-celery lock shop_contracts\n" in shown


def test_a_contract_in_a_module_beside_the_package_is_not_begun_again(new: New, folder: Path) -> None:
    (folder / "orders.py").write_text(ORDERS)
    (folder / "broken.py").write_text("@contract(")

    shown = nothing_changes(folder, lambda: new("orders.cancel", "--into", "shop", code=2)).output

    assert "orders.py has a contract 'orders'" in shown
    assert "--contracts orders" in shown
    new("orders.cancel", "--into", "shop", "--contracts", "orders")


def test_contracts_may_be_a_module_in_another_directory(new: New, folder: Path) -> None:
    (folder / "shared").mkdir()
    path = folder / "shared" / "agreed.py"
    path.write_text(ORDERS)
    new("orders.cancel", "--into", "shop", "--contracts", "shared/agreed", "--param", "order:Order")

    assert "async def cancel" in path.read_text()
    assert "from agreed import Order, Orders\n" in files(folder)["shop/workers/orders.py"]


def test_imports_are_sorted_as_the_configuration_says(new: New, folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.ruff]\nline-length = 100\nsrc = ["lib"]\n')
    write(
        folder,
        "lib/agreed/orders.py",
        ORDERS.replace("shop.later", "agreed.later").replace("( ", "(").replace(" )", ")"),
    )
    new("orders.cancel", "--into", "depot", "--contracts", "lib/agreed", "--param", "order:Order")

    ruff(folder, "check", "--select", "I")


def test_types_are_imported_from_where_they_are(new: New, folder: Path) -> None:
    write(folder, "shop/models/order.py", "from pydantic import BaseModel\n\n\nclass Order(BaseModel):\n    id: int\n")
    write(
        folder,
        "shop/models/__init__.py",
        "from enum import StrEnum\n\nfrom shop.models.order import Order\n\n\nclass Status(StrEnum):\n    OPEN = 'open'\n\n\n"
        "__all__ = ['Order']\n",
    )
    arguments = ("--param", "order:Order", "--param", "status:Status=Status.OPEN", "--returns", "dict[UUID, datetime]")
    new("orders.place", "--into", "shop", *arguments)
    found = files(folder)

    for name in ("shop/contracts/orders.py", "shop/workers/orders.py"):
        assert "from datetime import datetime\n" in found[name]
        assert "from uuid import UUID\n" in found[name]
        assert "from shop.models import Status\nfrom shop.models.order import Order\n" in found[name]
    assert "class Order(" not in found["shop/contracts/orders.py"]
    assert "orders_client.place(Order(id=1))" in found["tests/test_orders.py"]


def test_a_word_is_text_where_the_shell_took_its_quotes(new: New, folder: Path) -> None:
    new("mails.send", "--into", "shop", "--param", "subject:str=Hello", "--param", "body:str='Hello, world'")

    assert 'self, subject: str = "Hello", body: str = "Hello, world"' in files(folder)["shop/contracts/mails.py"]


def test_two_types_of_one_name_have_to_be_told_apart(new: New, folder: Path) -> None:
    write(folder, "shop/a.py", "class Order: ...\n")
    write(folder, "shop/b.py", "from pydantic import BaseModel\n\n\nclass Order(BaseModel):\n    id: int\n")

    shown = new("orders.place", "--param", "order:Order", code=2).output
    assert "there are shop.a.Order and shop.b.Order" in shown
    new("orders.place", "--param", "order:shop.b.Order")
    assert "from shop.b import Order\n" in files(folder)["shop/contracts/orders.py"]


def test_a_type_that_only_type_checkers_see_is_refused(new: New, folder: Path) -> None:
    write(folder, "shop/contracts/orders.py", ORDERS)

    shown = new("orders.cancel", "--param", "parcel:Parcel", code=2).output

    assert "shop/contracts/orders.py:14 imports 'Parcel' under TYPE_CHECKING only" in shown
    assert "import it at run time" in shown


def test_a_type_of_a_module_that_imports_the_contract_is_refused(new: New, folder: Path) -> None:
    new(*PLACE)
    text = "from pydantic import BaseModel\n\nfrom shop.contracts.orders import Order\n\n\nclass Basket(BaseModel):\n    order: Order\n"
    write(folder, "shop/baskets.py", text)

    shown = new("orders.fill", "--param", "basket:Basket", code=2).output

    assert "'Basket' is in shop/baskets.py, which imports shop.contracts.orders" in shown


MODELS = """
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Literal, NewType

from pydantic import BaseModel, Field, field_validator


class Size(IntEnum):
    S = 1


OrderId = NewType("OrderId", int)
Code = Annotated[str, Field(min_length=6, max_length=6)]


@dataclass
class Line:
    sku: Code
    number: int = Field(gt=2)
    price: Decimal = Field(gt=0, le=Decimal(5))


class Base(BaseModel):
    made: datetime
    kind: Literal["a", "b"]


class Order(Base):
    lines: list[Line] = Field(min_length=2)
    size: Size | None = None
    id: OrderId
    weight: Annotated[float, Field(ge=3)]
    parent: "Order | None"


class Coded(BaseModel):
    code: str = Field(pattern="[A-Z]+")


class Checked(BaseModel):
    id: int

    @field_validator("id")
    @classmethod
    def even(cls, value: int) -> int:
        return value
"""


def test_examples_keep_to_the_limits_that_can_be_read(new: New, folder: Path) -> None:
    write(folder, "shop/models.py", MODELS.replace("le=Decimal(5)", "le=5"))
    new("orders.place", "--param", "order:Order", "--returns", "Order")
    text = files(folder)["tests/test_orders.py"]

    assert text.count('Line(sku="texttext"[:6]') == 0
    assert 'Line(sku="textte", number=3, price=Decimal(1))' in text
    assert "made=datetime(2026, 1, 1, tzinfo=UTC)" in text
    assert "parent=None" in text
    assert "id=OrderId(1)" in text
    assert "from shop.models import Line, Order, OrderId\n" in text
    assert "size" not in text
    check_form_of(folder, "tests", "shop/workers")


def check_form_of(folder: Path, *parts: str) -> None:
    for part in parts:
        ruff(folder / part, "format", "--diff")


def test_what_cannot_be_made_up_is_said_and_fails_loudly(new: New, folder: Path) -> None:
    write(folder, "shop/models.py", MODELS)
    shown = new("orders.place", "--param", "order:Checked", "--returns", "Coded").output
    found = files(folder)

    assert "no Coded can be made up: Coded (shop/models.py:" in shown
    assert "pattern=[A-Z]+" in shown
    assert "the test has no arguments that fit: order: Checked (shop/models.py:" in shown
    assert "raise NotImplementedError(" in found["shop/workers/orders.py"]
    assert "with pytest.raises(PayloadError):\n        orders_client.place(wrong)\n" in found["tests/test_orders.py"]
    check_form_of(folder, "tests", "shop/workers")


def test_an_application_of_the_user_stays_and_is_named(new: New, folder: Path) -> None:
    write(
        folder,
        "shop/main.py",
        'from pico_ioc import init\n\ncontainer = init(modules=["pico_celery", "shop.workers", "shop.db"])\n',
    )
    shown = new("orders.place").output

    assert "shop/app.py" not in files(folder)
    assert "note: shop/main.py: add shop.clients to what its container scans\n" in shown
    assert '"shop.db"' in files(folder)["tests/test_orders.py"]
    assert "celery -A" not in shown
    text = "from celery import Celery\n\nfrom shop.main import container\n\nqueue = container.get(Celery)\n"
    write(folder, "shop/zz.py", text + 'other = Celery("other")\n')
    assert "celery -A shop.zz:queue worker" in new("orders.cancel").output


def test_a_module_called_app_that_is_something_else_stays(new: New, folder: Path) -> None:
    write(folder, "shop/app.py", "web = object()\n")
    new("orders.place")

    assert files(folder)["shop/app.py"] == "web = object()\n"
    assert "celery_app = " in files(folder)["shop/celery_app.py"]


def test_a_dry_run_writes_nothing_and_its_diff_is_what_would_be_written(new: New, folder: Path) -> None:
    new(*PLACE)
    shown = nothing_changes(folder, lambda: new("orders.cancel", "--param", "n:int", "--dry-run")).output
    told = json.loads(new("orders.cancel", "--param", "n:int", "--dry-run", "--json").stdout)
    before = folder / "before"
    before.mkdir()
    for name in ("shop", "tests"):
        shutil.copytree(folder / name, before / name)

    new("orders.cancel", "--param", "n:int")

    assert told["diff"] == shown
    assert told["written"] is False
    assert [entry["change"] for entry in told["files"]] == ["extended"] * 4
    subprocess.run(["git", "apply", "-"], input=shown, text=True, cwd=before, check=True, env=NO_GIT)
    for name, text in files(before).items():
        assert (folder / name).read_text() == text


NO_GIT = {**os.environ, "GIT_DIR": "/nowhere", "GIT_CEILING_DIRECTORIES": "/"}


def test_json_tells_the_files_and_what_to_do_next(new: New) -> None:
    told = json.loads(new(*PLACE, "--error", "PaymentDeclined", "--json").stdout)

    assert told["task"] == "orders.place"
    assert told["written"] is True
    assert told["models"] == ["Order", "Receipt", "PaymentDeclined"]
    assert {"file": "shop/app.py", "change": "created", "with": ["celery_app"]} in told["files"]
    assert "python -m pytest tests/test_orders.py" in told["next"]


def test_a_file_that_cannot_be_written_takes_all_others_back(
    new: New, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new(*PLACE)
    (folder / "shop/workers/orders.py").chmod(0o640)
    replaced = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if target.name == "test_orders.py":
            raise OSError(28, "No space left on device", str(target))
        return replaced(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    shown = nothing_changes(folder, lambda: new("orders.cancel", code=2)).output
    monkeypatch.undo()

    assert "nothing was written" in shown
    assert "No space left on device" in shown
    assert (folder / "shop/workers/orders.py").stat().st_mode & 0o777 == 0o640
    assert not [name for name in folder.rglob(".*") if name.is_file()]


def test_new_files_and_directories_are_taken_back_too(folder: Path) -> None:
    changes = [
        Change(path=folder / "a" / "b" / "one.py", before=None, after=b"1"),
        Change(path=folder / "a" / "two.py", before=None, after=b"2"),
        Change(path=folder / "a" / "two.py" / "three.py", before=None, after=b"3"),
    ]

    with pytest.raises(ToolError, match="nothing was written"):
        write_changes(changes)
    assert list(folder.iterdir()) == []


def test_what_somebody_else_wrote_meanwhile_stays(folder: Path) -> None:
    path = folder / "one.py"
    path.write_text("theirs")

    for before in (None, b"as it was"):
        with pytest.raises(ToolError, match="was changed meanwhile"):
            write_changes([Change(path=path, before=before, after=b"ours")])
    assert path.read_text() == "theirs"


def test_a_linked_file_stays_a_link(new: New, folder: Path) -> None:
    new(*PLACE)
    path = folder / "shop/workers/orders.py"
    path.rename(folder / "elsewhere.py")
    path.symlink_to(folder / "elsewhere.py")

    new("orders.cancel")

    assert path.is_symlink()
    assert "async def cancel" in (folder / "elsewhere.py").read_text()


def test_a_file_that_is_not_python_is_named_with_its_line(new: New, folder: Path) -> None:
    new(*PLACE)
    (folder / "shop/workers/orders.py").write_text("from pico_celery import task\n\nclass (:\n")

    shown = nothing_changes(folder, lambda: new("orders.cancel", code=2)).output

    assert "shop/workers/orders.py:3 is not Python" in shown


def test_a_file_that_python_cannot_read_is_not_in_the_way(new: New, folder: Path) -> None:
    new(*PLACE)
    (folder / "shop" / "old.py").write_bytes(b"name = '\xfc'  # contract task\n")

    new("orders.cancel")


def test_the_help_has_examples(new: New) -> None:
    shown = new("--help").output

    assert "pico-celery new orders.place --into shop --param order:Order --returns Receipt" in shown


def test_the_command_needs_neither_celery_nor_the_container(folder: Path) -> None:
    code = (
        "import sys; from pico_celery_tooling.cli.main import pico_celery\n"
        f"pico_celery(['new', *{list(PLACE)!r}], standalone_mode=False)\n"
        "assert not {'celery', 'kombu', 'pico_ioc', 'jsonschema'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=folder, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", ["jinja2", "libcst"])
def test_without_the_extra_it_is_named(folder: Path, missing: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from pico_celery_tooling.cli.main import pico_celery\n"
        f"pico_celery(['new', *{list(PLACE)!r}])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=folder, capture_output=True, text=True)

    assert done.returncode == 2
    assert done.stderr == f"error: pico-celery new needs {missing}\n  pip install 'pico-celery[new]'\n"
    assert list(folder.iterdir()) == []
