"""A Celery that has moved what is not documented stops the worker at start, and shows no secret."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from celery import Celery, Signature, Task, _state
from celery.app import task as tasks
from celery.backends.cache import CacheBackend
from celery.backends.rpc import RPCBackend
from celery.canvas import _chain as chain
from celery.concurrency.base import BasePool
from celery.result import AsyncResult
from celery.worker import request as requests
from celery.worker import state
from celery.worker.request import Request
from kombu import Message
from kombu.asynchronous import Hub
from pico_ioc import PicoContainer, component
from pydantic import SecretStr
from vine import promise

from pico_celery import ExecutionError, celery_port, task
from pico_celery.celery_port import (
    CANVAS_REACHES,
    WORKER_REACHES,
    chain_links,
    check_celery,
    check_client,
    check_redaction,
    redis_transport,
    result_consumer_of,
    run_acknowledgements,
    seal_request,
    worker_of,
    wrap_task_handler,
)
from pico_celery.celery_port import CLIENT_REACHES as CLIENT_LIST
from pico_celery.celery_port import REDIS_REACHES as REDIS_LIST
from pico_celery.client.results.hub import ResultHub
from pico_celery.worker.message_guard import SealedRequest

pytestmark = pytest.mark.filterwarnings("ignore:.*port.*:pico_celery.UndeclaredTaskWarning")


@pytest.fixture(autouse=True)
def _unchecked() -> Iterator[None]:
    """Let what a test has broken be checked again by the next one."""
    yield
    check_client.cache_clear()
    redis_transport.cache_clear()
    celery_port._chain_class.cache_clear()


@component
class PlainWorker:
    @task("port.plain")
    async def plain(self) -> None: ...


@component
class SecretWorker:
    @task("port.secret")
    async def secret(self, password: SecretStr) -> None: ...


REACHES = [
    (_state, "_task_stack"),
    (Hub, "_pop_ready"),
    (Hub, "fire_timers"),
    (state, "should_stop"),
    (state, "should_terminate"),
    (Request, "revoked"),
    (Request, "on_accepted"),
    (Request, "info"),
    (Request, "_already_revoked"),
    (Request, "_context"),
    (requests, "create_request_cls"),
    (Task, "Request"),
    (Task, "Strategy"),
    (tasks, "get_actual_ignore_result"),
    (BasePool, "_get_info"),
]
CLIENT_REACHES = [
    (AsyncResult, "_maybe_set_cache"),
    (AsyncResult, "_set_cache"),
]
redis: Any = import_module("kombu.transport.redis")  # kombu's types lack it
REDIS_REACHES = [
    (redis, "PublishBatch"),
    (redis.PublishBatch, "flush"),
    (redis.PublishBatch, "publish"),
    (redis, "Transport"),
    (redis.Channel, "create_publish_batch"),
    (redis.Channel, "conn_or_acquire"),
]


def test_the_installed_celery_passes() -> None:
    check_celery()
    check_client()
    check_redaction(SealedRequest)


def test_every_reach_of_the_list_is_broken_here() -> None:
    broken = {
        name for _, name in (*REACHES, *CLIENT_REACHES, *REDIS_REACHES, (promise, "fun"), (chain, "unchain_tasks"))
    }
    listed = (*WORKER_REACHES, *CLIENT_LIST, *CANVAS_REACHES, *REDIS_LIST)
    assert {reach.attribute.rpartition(".")[2] for reach in listed} <= broken
    assert all(reach.unnecessary_with for reach in listed)


@pytest.mark.parametrize(("owner", "attribute"), REACHES, ids=[name for _, name in REACHES])
def test_a_missing_attribute_is_named(owner: Any, attribute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(owner, attribute)
    with pytest.raises(ExecutionError, match=rf"Celery 5\.\S+ has changed .*{attribute}.*install 'celery>=5.7,<5.8'"):
        check_celery()


@pytest.mark.parametrize(("owner", "attribute"), CLIENT_REACHES, ids=[name for _, name in CLIENT_REACHES])
def test_a_client_without_an_attribute_sends_nothing(
    owner: Any, attribute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(owner, attribute)
    check_client.cache_clear()
    with pytest.raises(ExecutionError, match=rf"Celery 5\.\S+ has changed .*{attribute}.*install 'celery>=5.7,<5.8'"):
        ResultHub(Celery(broker="memory://", backend="cache+memory://"))


def test_a_chain_without_its_links_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one: Signature[Any] = Signature("one")
    assert chain_links(one) is None
    assert chain_links(chain(one, one)) is not None
    monkeypatch.delattr(chain, "unchain_tasks")
    with pytest.raises(AttributeError, match="unchain_tasks"):
        chain_links(chain(one, one))
    celery_port._chain_class.cache_clear()
    with pytest.raises(ExecutionError, match=r"has changed celery\.canvas\._chain\.unchain_tasks"):
        chain_links(one)


@pytest.mark.parametrize(("owner", "attribute"), REDIS_REACHES, ids=[name for _, name in REDIS_REACHES])
def test_a_redis_transport_without_an_attribute_connects_nowhere(
    owner: Any, attribute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(owner, attribute)
    redis_transport.cache_clear()
    with pytest.raises(ExecutionError, match=rf"has changed kombu\.transport\.redis\..*{attribute}"):
        redis_transport()


@pytest.mark.parametrize("attribute", ["on_state_change", "start", "stop", "drain_events"])
def test_a_result_consumer_without_an_attribute_is_refused(attribute: str) -> None:
    names = {"on_state_change", "start", "stop", "drain_events"} - {attribute}
    consumer = type("ResultConsumer", (), dict.fromkeys(names))
    with pytest.raises(ExecutionError, match=rf"ResultConsumer\.{attribute}, which pico_celery needs for resolving"):
        result_consumer_of(type("RPCBackend", (), {"ResultConsumer": consumer}))


def test_a_backend_that_hides_its_result_consumer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert result_consumer_of(RPCBackend) is RPCBackend.ResultConsumer
    monkeypatch.delattr(RPCBackend, "ResultConsumer")
    with pytest.raises(ExecutionError, match=r"RPCBackend\.ResultConsumer"):
        result_consumer_of(RPCBackend)


def test_a_backend_that_is_polled_has_no_result_consumer() -> None:
    assert result_consumer_of(CacheBackend) is None


def test_a_worker_without_a_setting_is_refused() -> None:
    with pytest.raises(ExecutionError, match=r"WorkController\.app"):
        worker_of(object())


def test_a_request_that_is_handed_over_without_its_name_first_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Request, "task_name", "other", raising=False)
    monkeypatch.setattr(Request, "type", property(lambda _: "other"))
    with pytest.raises(ExecutionError, match="execute_using_pool"):
        check_celery()


def test_acknowledgements_are_run_and_the_rest_goes_back_to_the_hub(caplog: pytest.LogCaptureFixture) -> None:
    class Delivered(Message):
        def ack_log_error(self, *_: object, **__: object) -> None:
            done.append("acknowledged")

        def reject_log_error(self, *_: object, **__: object) -> None:
            raise OSError("the broker is gone")

    done: list[str] = []
    hub, message = Hub(), Delivered()
    read = promise(lambda: done.append("read"))
    for callback in (promise(message.ack_log_error), promise(message.reject_log_error), read):
        hub.call_soon(callback)
    run_acknowledgements(hub)
    assert done == ["acknowledged"]
    left: Any = hub
    assert left._pop_ready() == {read}
    assert "could not be acknowledged" in caplog.text


def test_the_container_does_not_start(boot: Callable[..., PicoContainer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Request, "revoked")
    with pytest.raises(Exception, match=r"Request\.revoked"):
        boot(PlainWorker).get(Celery)


def rename(monkeypatch: pytest.MonkeyPatch, old: str, new: str, public: str) -> None:
    """Let Celery keep a part of its request under another private name."""
    original = Request.__init__

    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        setattr(self, new, getattr(self, old))
        delattr(self, old)

    monkeypatch.setattr(Request, "__init__", initialise)
    monkeypatch.setattr(Request, public, property(lambda self: getattr(self, new)))


RENAMES = [("_body", "_raw", "body"), ("_request_dict", "_fields", "request_dict")]


@pytest.mark.parametrize(("old", "new", "public"), RENAMES)
def test_a_renamed_part_of_the_request_stops_a_worker_of_secrets(
    boot: Callable[..., PicoContainer], monkeypatch: pytest.MonkeyPatch, old: str, new: str, public: str
) -> None:
    rename(monkeypatch, old, new, public)
    with pytest.raises(ExecutionError, match=rf"Celery 5\.\S+ has changed celery.worker.request: {old},"):
        check_redaction(SealedRequest)
    with pytest.raises(Exception, match=f"celery.worker.request: {old}"):
        boot(SecretWorker).get(Celery)


@pytest.mark.parametrize(("old", "new", "public"), RENAMES)
def test_a_copy_that_celery_hands_over_instead_is_found(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, public: str
) -> None:
    original = Request.__init__

    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        setattr(self, new, getattr(self, old))

    monkeypatch.setattr(Request, "__init__", initialise)
    monkeypatch.setattr(Request, public, property(lambda self: getattr(self, new)))
    with pytest.raises(ExecutionError, match="keeping secrets out of the worker's log"):
        check_redaction(SealedRequest)


def test_a_request_that_is_not_sealed_is_found() -> None:
    with pytest.raises(ExecutionError, match="keeping secrets out"):
        check_redaction(Request)


def test_sealing_fails_on_a_request_without_the_parts() -> None:
    request: Any = object()
    with pytest.raises(AttributeError, match="_body"):
        seal_request(request, body=str, headers=dict)


def test_a_consumer_that_makes_its_handler_elsewhere_stops_the_worker() -> None:
    consumer: Any = object()
    with pytest.raises(ExecutionError, match=r"Consumer\.create_task_handler"):
        wrap_task_handler(consumer, lambda handle: handle)
