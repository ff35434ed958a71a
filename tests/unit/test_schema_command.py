"""`schema`: standard JSON Schema, complete in itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

import shop_contracts
from pico_celery import default_catalog
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import LOCK_FILE, to_text
from pico_celery_tooling.cli.main import pico_celery
from pico_celery_tooling.cli.schema_command import schemas_of
from pico_celery_tooling.schema.sampling import samples


def schema(*arguments: str) -> Result:
    return CliRunner().invoke(pico_celery, ["schema", *arguments])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the lock file of the example contracts, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    own = [one for one in default_catalog.contracts if one.cls.__module__.startswith(shop_contracts.__name__)]
    (tmp_path / LOCK_FILE).write_text(to_text(document_of(own)))
    return tmp_path


def schemas_in(node: Any) -> list[dict[str, Any]]:
    """Return the schemas that stand in what the command prints."""
    if "$schema" in node:
        return [node]
    return [found for value in node.values() for found in schemas_in(value)]


def test_all_schemas_are_standard_complete_and_have_ids_of_their_own(here: Path) -> None:
    done = schema()
    told = json.loads(done.stdout)
    assert (done.exit_code, "orders.place" in told) == (0, True)
    found = schemas_in(told)
    assert len(found) > 2 * len(told)
    for one in found:
        Draft202012Validator.check_schema(one)
        assert one["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert "#/schemas/" not in json.dumps(one)
        list(Draft202012Validator(one).iter_errors({}))  # every reference leads somewhere
    assert len({one["$id"] for one in found}) == len(found)


def test_the_arguments_of_one_task_take_what_the_task_takes(here: Path) -> None:
    done = schema("orders.place", "--part", "arguments")
    told = json.loads(done.stdout)
    assert told["$id"] == "urn:pico-celery:orders.place:arguments"
    assert told["title"] == "orders.place: arguments"
    assert told["description"].startswith("Charge the customer and book the order")
    assert set(told["properties"]) == {"order", "dry_run"}
    assert told["properties"]["dry_run"] == {"type": "boolean", "default": False}
    assert "default" not in told["properties"]["order"]
    validator = Draft202012Validator(told)
    order = {
        "id": 1,
        "lines": [{"sku": "tea", "quantity": 1, "price": "4.50"}],
        "ship_to": {"street": "High Street 1", "city": "York", "country": "GB"},
        "payment": {"method": "card", "number": "4242"},
    }
    assert validator.is_valid({"order": order})
    assert not validator.is_valid({"order": {**order, "lines": []}})
    assert not validator.is_valid({"order": order, "other": 1})


def test_results_and_errors_are_told_as_workers_send_them(here: Path) -> None:
    errors = json.loads(schema("orders.place", "--part", "errors").stdout)
    (declined,) = errors.values()
    assert list(errors) == ["orders.payment_declined"]
    assert Draft202012Validator(declined).is_valid({"reason": "no money", "missing": "1.50"})
    assert not Draft202012Validator(declined).is_valid({"reason": "no money"})
    whole = json.loads(schema("orders.place").stdout)
    assert set(whole) == {"arguments", "result", "errors"}
    assert whole["errors"] == errors
    parts = json.loads(schema("--part", "result").stdout)
    assert parts["orders.place"] == whole["result"]


def test_what_is_made_from_a_document_fits_its_schemas() -> None:
    document = document_of(default_catalog.contracts)
    told = {name: schemas_of(document, task) for name, task in document.tasks.items()}
    for name in ("orders.place", "orders.status"):
        validator = Draft202012Validator(told[name]["arguments"])
        for payload in samples(document, document.tasks[name].arguments, 10):
            assert validator.is_valid(payload)


def test_the_contracts_come_from_a_package_or_a_lock_file(here: Path) -> None:
    by_file = json.loads(schema(LOCK_FILE, "orders.cancel").stdout)
    assert json.loads(schema("shop_contracts", "orders.cancel").stdout) == by_file
    assert json.loads(schema("shop_contracts").stdout) == json.loads(schema().stdout)


def test_a_file_is_written_where_one_is_named(here: Path) -> None:
    done = schema("orders.cancel", "-o", "cancel.json")
    assert (done.exit_code, done.stdout) == (0, "wrote cancel.json\n")
    assert json.loads((here / "cancel.json").read_text()) == json.loads(schema("orders.cancel").stdout)
    assert json.loads(schema("-o", "all.json", "--json").stdout) == {"file": "all.json", "tasks": 6}
    lost = schema("-o", "missing/all.json")
    assert (lost.exit_code, "missing/all.json cannot be written: No such file" in lost.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["orders.plce"], "'orders.plce' is neither a package nor a task in contracts.lock.json"),
        (["orders.plce"], "did you mean 'orders.place'"),
        (["shop_contracts", "orders.plce"], "no task 'orders.plce' in shop_contracts"),
        (["other.json"], "other.json"),
    ],
)
def test_what_is_not_there_is_told(here: Path, arguments: list[str], words: str) -> None:
    done = schema(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr


def test_without_a_lock_file_a_package_has_to_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = schema()
    assert done.exit_code == 2
    assert "there is no contracts.lock.json here" in done.stderr
