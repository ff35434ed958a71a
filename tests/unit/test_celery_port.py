"""A Celery that has moved what is not documented stops the worker at start, and shows no secret."""

from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery, Task, _state
from celery.concurrency import prefork
from celery.concurrency.base import BasePool
from celery.worker import request as requests
from celery.worker import state
from celery.worker.request import Request
from kombu.asynchronous import Hub
from pico_ioc import PicoContainer, component
from pydantic import SecretStr

from pico_celery import ExecutionError, task
from pico_celery.celery_port import check_celery, check_redaction, seal_request, wrap_task_handler
from pico_celery.worker.redacted_request import SealedRequest

pytestmark = pytest.mark.filterwarnings("ignore:.*port.*:pico_celery.UndeclaredTaskWarning")


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
    (prefork, "_run_ready_callbacks"),
    (Hub, "fire_timers"),
    (state, "should_stop"),
    (state, "should_terminate"),
    (Request, "revoked"),
    (Request, "on_accepted"),
    (Request, "info"),
    (requests, "create_request_cls"),
    (Task, "Request"),
    (Task, "Strategy"),
    (BasePool, "_get_info"),
]


def test_the_installed_celery_passes() -> None:
    check_celery()
    check_redaction(SealedRequest)


@pytest.mark.parametrize(("owner", "attribute"), REACHES, ids=[name for _, name in REACHES])
def test_a_missing_attribute_is_named(owner: Any, attribute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(owner, attribute)
    with pytest.raises(ExecutionError, match=rf"Celery 5\.\S+ has changed .*{attribute}.*install 'celery>=5.7,<5.8'"):
        check_celery()


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
