"""What AsyncAPI says of messages, held against real ones: of a real client, and of a real worker's result backend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft7Validator

from pico_celery.contract.catalog import default_catalog
from pico_celery.document.build import document_of
from pico_celery_tooling.asyncapi.build import Settings, asyncapi_of
from pico_celery_tooling.asyncapi.messages import View
from pico_celery_tooling.schema.sampling import example
from tests.integration.apps.errors_contracts import Till, TillClient
from tests.integration.conftest import Served, ShareWorker, matrix
from tests.support.waiting import eventually

pytestmark = pytest.mark.redis
SOON = timedelta(seconds=20)


@pytest.fixture(scope="module", params=matrix(("async", "redis"), app="errors_worker"))
def served(share_worker: ShareWorker) -> Iterator[Served]:
    with share_worker("errors_worker", "async", "redis") as started:
        yield started


@pytest.fixture
def till(served: Served) -> TillClient:
    return TillClient(served.app)


def messages(view: View) -> dict[str, Any]:
    document = document_of(one for one in default_catalog.contracts if one.cls is Till)
    settings = Settings(title="Till", version="1", view=view, example=partial(example, document))
    data: dict[str, Any] = json.loads(json.dumps(asyncapi_of(document, settings)))
    return data


def fitting(data: dict[str, Any], operation: str, payload: Any) -> list[str]:
    """Return the replies of an operation that a payload is one of."""
    keys = [one["$ref"].rpartition("/")[2] for one in data["operations"][operation]["reply"]["messages"]]
    schemas = {key: data["components"]["messages"][key]["payload"] for key in keys}
    checkers = {key: Draft7Validator({**one, "components": data["components"]}) for key, one in schemas.items()}
    return [key for key, checker in checkers.items() if checker.is_valid(payload)]


def stored(served: Served, task_id: str) -> Any:
    backend: Any = served.app.backend
    return json.loads(backend.client.get(backend.get_key_for_task(task_id)))


@pytest.mark.parametrize("view", ["worker", "client"])
def test_a_call_is_the_message_that_is_described(served: Served, till: TillClient, view: View) -> None:
    queue_name = f"{served.site.prefix}.nobody.{view}"
    till.add_up.with_options(queue=queue_name, timeout=60, priority=3, expires=90)([1, 2])
    with served.app.connection_for_read() as connection:
        queue = connection.SimpleQueue(queue_name)
        message = queue.get(timeout=10)
        message.ack()
        queue.close()
    data = messages(view)
    told = data["components"]["messages"]["till.add_up"]

    headers = {key: value for key, value in message.headers.items() if key != "redelivered"}
    checker = Draft7Validator({**told["headers"], "components": data["components"]})
    assert [(list(error.absolute_path), error.message) for error in checker.iter_errors(headers)] == []
    payload = Draft7Validator({**told["payload"], "components": data["components"]})
    assert payload.is_valid(message.payload)
    assert not payload.is_valid([[], {"numbers": ["one"]}, None])
    # All that is sent is described, not only allowed.
    assert headers.keys() <= data["components"]["schemas"]["celery.headers"]["properties"].keys()


def test_a_reply_is_the_message_that_is_described(served: Served, till: TillClient) -> None:
    calls = {
        "till.add_up": (till.add_up([1, 2]), "till.add_up.result"),
        "till.pay": (till.pay("declined"), "till.pay.till.declined"),
    }
    for operation, (result, wanted) in calls.items():
        result.get(timeout=SOON, propagate=False)
        told = stored(served, result.id)
        for view in ("worker", "client"):
            data = messages(view)
            assert fitting(data, operation, told) == [wanted]
            reply = data["components"]["schemas"]["celery.reply"]["properties"]
            assert told.keys() <= {*reply, "result"}
    stranger = till.pay("stranger")
    stranger.get(timeout=SOON, propagate=False)
    assert fitting(messages("client"), "till.pay", stored(served, stranger.id)) == ["till.pay.failure"]


def test_what_is_published_before_the_reply_is_progress(served: Served, till: TillClient) -> None:
    backend: Any = served.app.backend
    task_id = uuid4().hex
    listener = backend.client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(backend.get_key_for_task(task_id))
    till.flaky.with_options(task_id=task_id)(f"wire-{task_id}", ["busy"])
    published: list[Any] = []

    def is_done() -> bool:
        message = listener.get_message(timeout=0.1)
        if message is not None:
            published.append(json.loads(message["data"]))
        return bool(published) and published[-1]["status"] == "SUCCESS"

    eventually(is_done, 20)
    listener.close()
    data = messages("client")
    kinds = [fitting(data, "till.flaky", one) for one in published]
    assert kinds[-1] == ["till.flaky.result"]
    assert kinds[:-1]
    assert all(kind == ["progress"] for kind in kinds[:-1])
