"""Contracts as AsyncAPI: valid by its official schema, and true of what is on the wire."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft7Validator
from tests.support.nasty_contracts import catalog

import shop_contracts
from pico_celery import default_catalog
from pico_celery.document.build import document_of
from pico_celery.document.records import Document
from pico_celery_tooling.asyncapi.build import BrokerServer, Protocol, Settings, asyncapi_of
from pico_celery_tooling.asyncapi.messages import View, draft7
from pico_celery_tooling.cli.main import pico_celery
from pico_celery_tooling.schema.sampling import example, samples

SPECIFICATION = Path(__file__).parents[1] / "support" / "asyncapi-3.0.0.json"
SHOP = document_of(one for one in default_catalog.contracts if one.cls.__module__.startswith(shop_contracts.__name__))
NASTY = document_of(catalog.contracts)
DOCUMENTS = {"shop": SHOP, "nasty": NASTY}


@pytest.fixture(scope="module")
def specification() -> Draft7Validator:
    return Draft7Validator(json.loads(SPECIFICATION.read_text(encoding="utf-8")))


def described(document: Document, **more: Any) -> Any:
    settings = {"title": "Shop", "version": "1.2.3", "example": partial(example, document), **more}
    data = asyncapi_of(document, Settings(**settings))
    return json.loads(json.dumps(data, allow_nan=False))


def resolved(data: Any, node: Any) -> Any:
    """Return a node with what it refers to in its place, once."""
    while isinstance(node, dict) and "$ref" in node:
        found = data
        for part in node["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        node = found
    return node


def schema_of(data: Any, message: str) -> Any:
    return data["components"]["messages"][message]["payload"]


def payload_of(data: Any, message: str) -> Draft7Validator:
    """Return what checks the payload of a message, with all components in reach."""
    return Draft7Validator({**schema_of(data, message), "components": data["components"]})


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("view", ["worker", "client"])
@pytest.mark.parametrize("protocol", ["redis", "amqp"])
def test_it_is_valid_by_the_official_schema(
    specification: Draft7Validator, name: str, view: View, protocol: Protocol
) -> None:
    data = described(DOCUMENTS[name], view=view, protocol=protocol, server=BrokerServer.of("amqps://h/v"))

    assert [(list(error.absolute_path), error.message) for error in specification.iter_errors(data)] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data["operations"]["orders.place"].update(action="call"),
        lambda data: data["channels"]["orders"].update(adress="x"),
        lambda data: data["components"]["messages"]["orders.place"].update(payload={"type": "text"}),
        lambda data: data.pop("info"),
    ],
)
def test_the_official_schema_refuses_what_is_wrong(specification: Draft7Validator, spoil: Any) -> None:
    data = described(SHOP)
    spoil(data)

    assert not specification.is_valid(data)


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("protocol", ["redis", "amqp"])
def test_every_reference_leads_somewhere_and_every_component_is_a_schema(name: str, protocol: Protocol) -> None:
    data = described(DOCUMENTS[name], protocol=protocol)

    def follow(node: Any) -> int:
        if isinstance(node, list):
            return sum(map(follow, node))
        if not isinstance(node, dict):
            return 0
        if isinstance(node.get("$ref"), str):
            assert resolved(data, node) is not None
            return 1
        return sum(map(follow, node.values()))

    assert follow(data) > 20
    for schema in data["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_channel_for_each_queue_and_an_operation_for_each_task(name: str) -> None:
    document = DOCUMENTS[name]
    data = described(document)
    titles = {operation["title"] for operation in data["operations"].values()}

    assert titles == set(document.tasks)
    for operation in data["operations"].values():
        channel = resolved(data, operation["channel"])
        task = document.tasks[operation["title"]]
        assert channel["address"] == task.options.get("queue", task.options.get("routing_key", "celery"))
        assert [resolved(data, one)["name"] for one in operation["messages"]] == [task.name]
        replies = [resolved(data, one) for one in operation.get("reply", {}).get("messages", ())]
        assert bool(replies) != bool(task.options.get("ignore_result"))
        codes = [reply["title"] for reply in replies if "x-retryable" in reply]
        assert codes == [f"{error.type} ({error.code})" for error in task.errors]


def test_the_view_says_who_sends() -> None:
    worker, client = described(SHOP, view="worker"), described(SHOP, view="client")

    assert {one["action"] for one in worker["operations"].values()} == {"receive"}
    assert {one["action"] for one in client["operations"].values()} == {"send"}
    taken = schema_of(worker, "orders.place")["items"][1]["properties"]["order"]
    sent = schema_of(client, "orders.place")["items"][1]["properties"]["order"]
    assert (taken["allOf"][0]["$ref"], sent["allOf"][0]["$ref"]) == (
        "#/components/schemas/Order-Input",
        "#/components/schemas/Order-Output",
    )


@pytest.mark.parametrize("view", ["worker", "client"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_its_own_examples_are_valid_by_its_own_schemas(name: str, view: View) -> None:
    data = described(DOCUMENTS[name], view=view)
    seen = 0
    for key, message in data["components"]["messages"].items():
        for given in message.get("examples", ()):
            seen += 1
            errors = [error.message for error in payload_of(data, key).iter_errors(given["payload"])]
            assert errors == [], key
            if "headers" in given:
                headers = Draft7Validator({**message["headers"], "components": data["components"]})
                assert headers.is_valid(given["headers"])
                assert not headers.is_valid({**given["headers"], "task": "another"})
    assert seen > 5


def test_an_example_that_json_cannot_say_is_left_out() -> None:
    messages = described(NASTY)["components"]["messages"]

    assert "examples" not in messages["trees_grow_it.result"]  # a point whose y is infinite
    assert "examples" in messages["trees_grow_it"]


def test_a_reply_is_one_of_its_messages_and_only_one() -> None:
    data = described(SHOP)
    operation = data["operations"]["orders.place"]
    keys = [one["$ref"].rpartition("/")[2] for one in operation["reply"]["messages"]]
    declared = data["components"]["messages"]["orders.place.orders.payment_declined"]["examples"][0]["payload"]
    replies = {
        "orders.place.result": data["components"]["messages"]["orders.place.result"]["examples"][0]["payload"],
        "orders.place.orders.payment_declined": declared,
        "orders.place.failure": {
            **declared,
            "result": {"exc_type": "ValueError", "exc_message": ["no"], "exc_module": "builtins"},
        },
        "progress": {"task_id": "1", "status": "RETRY", "result": None},
    }

    for wanted, payload in replies.items():
        assert [key for key in keys if payload_of(data, key).is_valid(payload)] == [wanted]
    foreign = {**declared, "result": {**declared["result"], "exc_message": ["no", {"code": "a.b", "fields": {}}]}}
    assert [key for key in keys if payload_of(data, key).is_valid(foreign)] == ["orders.place.failure"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_draft_07_takes_and_refuses_what_the_contract_does(name: str) -> None:
    document = DOCUMENTS[name]
    components = {key: draft7(schema) for key, schema in document.schemas.items()}
    for task in document.tasks.values():
        schema = {**draft7(task.arguments), "components": {"schemas": components}}
        checker = Draft7Validator(schema)
        for payload in samples(document, task.arguments, 20, seed=7):
            assert checker.is_valid(json.loads(json.dumps(payload))), payload
        assert not checker.is_valid({"no such argument": 1})


def test_what_draft_07_has_no_words_for_is_said_in_its_own() -> None:
    told = draft7(
        {
            "prefixItems": [{"$ref": "#/schemas/A", "description": "#/schemas/B"}, {"type": "integer"}],
            "items": {"type": "string"},
            "discriminator": {"propertyName": "kind", "mapping": {"a": "#/schemas/A"}},
            "default": [float("inf"), "#/schemas/A"],
            "properties": {"$ref": {"$ref": "#/schemas/A"}, "discriminator": True, "prefixItems": {"type": "null"}},
        }
    )

    place = {"$ref": "#/components/schemas/A"}
    assert told == {
        "items": [{"allOf": [place], "description": "#/schemas/B"}, {"type": "integer"}],
        "additionalItems": {"type": "string"},
        "x-discriminator": {"propertyName": "kind", "mapping": {"a": "#/components/schemas/A"}},
        "default": ["Infinity", "#/schemas/A"],
        "properties": {"$ref": place, "discriminator": True, "prefixItems": {"type": "null"}},
    }


def test_names_that_are_alike_once_written_stay_apart() -> None:
    task = SHOP.tasks["orders.cancel"]
    contract = SHOP.contracts["orders"]
    names = ("a/b", "a~b", "a_b")
    tasks = {name: task.model_copy(update={"name": name, "options": {"queue": name}}) for name in names}
    document = SHOP.model_copy(update={"contracts": {"orders": contract.model_copy(update={"tasks": tasks})}})
    data = described(document)

    assert sorted(data["operations"]) == ["a_b", "a_b-2", "a_b-3"]
    assert {channel["address"] for channel in data["channels"].values()} >= set(names)
    assert {one["title"] for one in data["operations"].values()} == set(names)


def test_what_is_on_its_way_out_is_marked() -> None:
    old = SHOP.tasks["orders.cancel"].model_copy(
        update={"deprecated": "use orders.v2.cancel", "aliases": ("orders.stop",), "since": "1.1"}
    )
    contract = SHOP.contracts["orders"].model_copy(update={"tasks": {old.name: old}})
    data = described(SHOP.model_copy(update={"contracts": {"orders": contract}}))
    operation, message = data["operations"][old.name], data["components"]["messages"][old.name]

    assert operation["x-deprecated"] == "use orders.v2.cancel"
    assert (operation["x-since"], operation["x-aliases"]) == ("1.1", ["orders.stop"])
    assert operation["description"].startswith("**Deprecated**: use orders.v2.cancel")
    assert {"name": "deprecated"} in operation["tags"]
    assert message["deprecated"] is True
    assert message["headers"]["properties"]["task"]["enum"] == ["orders.cancel", "orders.stop"]


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("redis://:hunter2@cache.example.org:6379/3?ssl=1", ("cache.example.org:6379", "redis", "/3", False)),
        ("rediss://user:hunter2@cache", ("cache", "redis", "", True)),
        ("amqp://user:hunter2@broker/shop", ("broker", "amqp", "/shop", False)),
        ("amqps://[::1]:5671//", ("[::1]:5671", "amqps", "", True)),
    ],
)
def test_a_server_is_told_without_its_secrets(url: str, server: tuple[Any, ...]) -> None:
    read = BrokerServer.of(url)

    assert (read.host, read.protocol, read.pathname, read.tls) == server
    assert "hunter2" not in json.dumps(described(SHOP, server=read))


def command(*arguments: str) -> Result:
    return CliRunner().invoke(pico_celery, ["asyncapi", *arguments], prog_name="pico-celery")


def test_the_command_prints_or_writes_it(tmp_path: Path, specification: Draft7Validator) -> None:
    printed = command("shop_contracts", "--server", "amqp://me:hunter2@broker.example.org/shop", "--title", "Shop")
    data = json.loads(printed.output)
    target = tmp_path / "asyncapi.json"
    written = command("shop_contracts", "-o", str(target), "--json")

    assert printed.exit_code == 0
    assert specification.is_valid(data)
    assert data["servers"]["broker"] == {"host": "broker.example.org", "protocol": "amqp", "pathname": "/shop"}
    assert data["channels"]["orders"]["bindings"]["amqp"]["queue"]["name"] == "orders"
    assert json.loads(written.output)["operations"] == 6
    assert "redis" in json.loads(target.read_text(encoding="utf-8"))["channels"]["orders"]["bindings"]


def test_the_command_reads_a_lock_file_too(tmp_path: Path) -> None:
    lock = tmp_path / "contracts.lock.json"
    CliRunner().invoke(pico_celery, ["lock", "shop_contracts", "-o", str(lock)])
    options = ["--title", "t", "--api-version", "1"]

    assert command(str(lock), *options).output == command("shop_contracts", *options).output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["shop_contract"], ["no module named 'shop_contract'"]),
        (["nowhere.json"], ["nowhere.json", "pico-celery lock"]),
        (["shop_contracts", "--server", "broker:6379"], ["--server is not the URL of a broker", "redis://host:6379/0"]),
        (["shop_contracts", "--server", "redis://h", "--protocol", "amqp"], ["--server is redis, --protocol is amqp"]),
        (["shop_contracts", "-o", "/dev/null/x.json"], ["cannot be written", "-o"]),
    ],
)
def test_a_wrong_use_is_told_with_its_remedy(arguments: list[str], told: list[str]) -> None:
    done = command(*arguments)

    assert done.exit_code == 2
    assert all(part in done.output for part in told), done.output
