"""``pico-celery list`` and ``describe``, as a user types them; schemas in words."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, SecretStr

from pico_celery import Catalog, TaskError, contract, task_options
from pico_celery.contract.typenames import type_name
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import to_text
from pico_celery.document.records import Document
from pico_celery_tooling.cli.main import pico_celery
from pico_celery_tooling.describe.texts import describe_task, signature
from pico_celery_tooling.schema.words import in_words

SECRET = SecretStr("hunter2-0815")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(pico_celery, [*arguments], prog_name="pico-celery")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Node(BaseModel):
    """A part of a tree.

    Attributes:
        name: What it is called.
    """

    name: str
    colour: Colour = Colour.RED
    children: list[Node] = []


class LostError(TaskError, code="trees.lost", retryable=True):
    """The tree is gone."""

    name: str


def trees() -> Document:
    catalog = Catalog()

    @contract("trees", catalog=catalog)
    class Trees(Protocol):
        """Trees, planted and cut."""

        @task_options(errors=[LostError], since="1.2", aliases=["trees.put"], timeout=timedelta(seconds=90))
        async def plant(self, node: Node, *, deep: Annotated[int, Field(gt=0, le=9)] = 3) -> Node:
            """Plant a tree.

            It grows.

            Args:
                node: Its root.

            Returns:
                What grew.

            Raises:
                LostError: If somebody took it.
            """
            ...

        @task_options(deprecated="use trees.plant")
        async def cut(self, *, key: SecretStr = SECRET) -> None:
            """Cut a tree."""
            ...

        async def count(self) -> int: ...

    return document_of(catalog.contracts)


@pytest.fixture
def lock(here: Path) -> Path:
    path = here / "contracts.lock.json"
    path.write_text(to_text(trees()))
    return path


@pytest.mark.usefixtures("lock")
def test_the_lock_file_of_the_working_directory_is_listed_with_one_line_each() -> None:
    assert run("list").output == (
        "trees: Trees, planted and cut.\n"
        "  trees.count\n"
        "  trees.cut    DEPRECATED: use trees.plant. Cut a tree.\n"
        "  trees.plant  Plant a tree.\n"
    )


def test_a_named_lock_file_is_listed_as_json(lock: Path) -> None:
    other = lock.rename(lock.with_name("other.json"))
    (listed,) = json.loads(run("list", str(other), "--json").output)["contracts"]
    assert (listed["contract"], listed["doc"]) == ("trees", "Trees, planted and cut.")
    assert [task["task"] for task in listed["tasks"]] == ["trees.count", "trees.cut", "trees.plant"]
    assert listed["tasks"][1]["deprecated"] == "use trees.plant"
    assert listed["tasks"][2]["aliases"] == ["trees.put"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("arguments", [["list"], ["describe", "trees.plant"]])
def test_without_any_contracts_the_three_places_are_named(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    for place in ("name a package or lock file", "contracts.lock.json", "-A your.module:app"):
        assert place in result.output


@pytest.mark.parametrize("arguments", [["list", "--live"], ["describe", "trees.plant", "--live"], ["verify", "--live"]])
def test_asking_workers_needs_the_application(arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, "pico-celery -A your.module:app" in result.output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["describe", "a.b", "--in", "shop_contracts", "--live"], "leave one of them out"),
        (["verify", "--live", "--against", "shop_contracts"], "leave one of them out"),
        (["verify", "--wait", "5"], "add --live"),
        (["describe", "orders.plac", "--in", "shop_contracts"], "did you mean 'orders.place'"),
        (["describe", "order", "--in", "shop_contracts", "--json"], "did you mean 'orders'"),
        (["list", "shop_contract"], "there are"),
        (["list", "nothing.lock.json"], "write it with 'pico-celery lock'"),
    ],
)
def test_a_wrong_turn_ends_with_2_and_says_what_to_do(arguments: list[str], remedy: str, here: Path) -> None:
    (here / "some.py").write_text("")
    result = run(*arguments)
    assert result.exit_code == 2
    assert remedy in result.output


def test_a_module_that_has_no_application_is_told_from_one_that_has(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(here))
    (here / "only_clients.py").write_text("from pico_celery import celery\n")
    result = run("-A", "only_clients", "list")
    assert result.exit_code == 2
    assert "there is no Celery application in 'only_clients'" in result.output
    assert "-A only_clients:celery_app" in result.output
    result = run("-A", "only_clients:not_there", "list")
    assert (result.exit_code, "there is no Celery application in 'only_clients:not_there'" in result.output) == (
        2,
        True,
    )
    assert "-A only_clients:celery_app" in result.output


def test_an_application_that_cannot_be_imported_is_told_with_its_line(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(here))
    (here / "torn_app.py").write_text("\nx = not_there\n")
    result = run("-A", "torn_app", "list")
    assert result.exit_code == 2
    assert (
        f"'torn_app' cannot be imported: NameError: name 'not_there' is not defined\n    at {here / 'torn_app.py'}:2"
        in (result.output)
    )
    result = run("-A", "torn_ap", "list")
    assert (result.exit_code, "no module named 'torn_ap'\n  did you mean 'torn_app'?" in result.output) == (2, True)


@pytest.mark.usefixtures("lock")
@pytest.mark.parametrize("name", ["trees.plant", "trees.put"])
def test_a_task_is_described_with_all_that_is_known_of_it(name: str) -> None:
    text = run("describe", name).output
    document = trees()
    digest = document.tasks["trees.plant"].digest
    assert text.startswith(
        f"trees.plant  contract trees, digest {digest}\n"
        f"  {signature(document.tasks['trees.plant'])}\n"
        "\n  Plant a tree.\n\n  It grows.\n\n  since 1.2\n  its workers take messages of trees.put too\n"
    )
    assert (
        "\nParameters\n"
        "  node  Node; required: Its root.\n"
        "  deep  integer, greater than 0, at most 9; default 3; by keyword only\n"
        "\nResult\n  Node: What grew.\n"
        "\nErrors\n  trees.lost  LostError, tried again: If somebody took it.\n"
        "\nModels\n"
        "  Node: A part of a tree.\n"
        "    name      text: What it is called.\n"
        '    colour    Colour; default "red"\n'
        "    children  list of Node; default []\n"
        '  Colour: "red" or "blue"\n'
        "  LostError: The tree is gone.\n"
        "    name  text\n"
        "\nOptions\n  timeout  1 min 30 s\n"
        "\nExample\n"
    ) in text


def test_the_facts_of_a_task_stand_below_its_text() -> None:
    document = trees()
    text = describe_task(document, document.tasks["trees.cut"], {})
    assert "\n  Cut a tree.\n\n  DEPRECATED: use trees.plant\n" in text
    assert "\nResult\n  nothing (null)\n" in text
    assert "hunter2" not in text


@pytest.mark.usefixtures("lock")
def test_a_contract_is_described_with_its_tasks() -> None:
    text = run("describe", "trees").output
    assert text.startswith(
        f"trees  trees.<locals>.Trees, digest {trees().contracts['trees'].digest}\n\n  Trees, planted and cut.\n\nTasks\n"
    )
    assert "  trees.cut    DEPRECATED: use trees.plant. Cut a tree.\n" in text
    data = json.loads(run("describe", "trees", "--json").output)
    assert [task["name"] for task in data["tasks"]] == ["trees.count", "trees.cut", "trees.plant"]


@pytest.mark.usefixtures("lock")
def test_the_json_of_a_task_has_schemas_that_need_nothing_else_and_an_example_that_fits() -> None:
    data = json.loads(run("describe", "trees.plant", "--json").output)
    assert (data["contract"], data["name"], data["aliases"]) == ("trees", "trees.plant", ["trees.put"])
    schemas = {parameter["name"]: parameter["accepts"] for parameter in data["parameters"]}
    assert sorted(data["example"]) == ["deep", "node"]
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        assert "#/schemas/" not in json.dumps(schema)
        Draft202012Validator(schema).validate(data["example"][name])
    with pytest.raises(Exception, match="5 is not"):
        Draft202012Validator(schemas["node"]).validate({"name": "a", "children": [5]})


@pytest.mark.parametrize(
    "arguments", [["list", "shop_contracts"], ["describe", "orders.place", "--in", "shop_contracts"]]
)
def test_offline_nothing_is_imported_that_takes_its_time(arguments: list[str]) -> None:
    """How long it takes in all is a figure of ``benchmarks/contracts.py``."""
    code = (
        "import sys\n"
        f"sys.argv = ['pico-celery', *{arguments!r}]\n"
        "from pico_celery_tooling.cli.main import main\n"
        "try:\n    main()\nfinally:\n"
        "    print('imported:', sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    imported = set(ast.literal_eval(done.stdout.rpartition("imported: ")[2]))
    heavy = {
        "asyncio",
        "celery",
        "greenlet",
        "jinja2",
        "jsonschema",
        "kombu",
        "markdown_it",
        "multiprocessing",
        "pico_ioc",
        "pygments",
        "redis",
    }
    assert sorted(imported & heavy) == []


def even(number: int) -> int:
    return number


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "integer"),
        (bool, "true or false"),
        (float, "number"),
        (str, "text"),
        (bytes, "bytes as base64url text"),
        (None, "null"),
        (Any, "anything"),
        (datetime, "date and time (ISO 8601)"),
        (AwareDatetime, "date and time (ISO 8601), with a time zone"),
        (date, "date (ISO 8601)"),
        (timedelta, "duration (ISO 8601, such as PT30S)"),
        (UUID, "UUID"),
        (SecretStr, "secret text"),
        (Decimal, "decimal number"),
        (
            Annotated[Decimal, Field(ge=0, max_digits=8, decimal_places=2)],
            "decimal number, at least 0, at most 2 decimal places, at most 8 digits",
        ),
        (Annotated[int, Field(ge=1, lt=10)], "integer, at least 1, less than 10"),
        (Annotated[int, Field(multiple_of=5)], "integer, a multiple of 5"),
        (Annotated[int, Field(strict=True)], "integer, not converted from another type"),
        (Annotated[int, AfterValidator(even)], f"integer, checked by {__name__}.even"),
        (Annotated[str, Field(min_length=2, max_length=4)], "text, 2 to 4 characters"),
        (Annotated[str, Field(min_length=2, max_length=2)], "text, exactly 2 characters"),
        (Annotated[str, Field(pattern="^[A-Z]+$")], "text, matching ^[A-Z]+$"),
        (Literal["a", 1], '"a" or 1'),
        (Literal["a"], '"a"'),
        (Colour, "Colour"),
        (int | None, "integer or null"),
        (int | str | None, "integer, text or null"),
        (Decimal | None, "decimal number or null"),
        (list[int], "list of integer"),
        (list[Any], "list"),
        (Annotated[list[Node], Field(min_length=1)], "list of Node, at least 1 item"),
        (Annotated[set[int], Field(max_length=3)], "set of integer, at most 3 items"),
        (tuple[int, str], "list of integer and text, in this order"),
        (dict[str, int], "mapping of text to integer"),
        (dict[UUID, list[Node]], "mapping of UUID to list of Node"),
        (dict[str, Any], "mapping"),
    ],
    ids=type_name,
)
def test_a_type_in_words(annotation: Any, words: str) -> None:
    document = document_with(annotation)
    task = document.tasks["words.take"]
    told = in_words(document, task.parameters[0].accepts)
    assert told == words


def document_with(annotation: Any) -> Document:
    catalog = Catalog()

    class Words(Protocol):
        async def take(self, value: Any) -> None: ...

    Words.take.__annotations__["value"] = annotation
    contract("words", catalog=catalog)(Words)
    return document_of(catalog.contracts)
