"""Settings, application, embedded broker and registrar."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, assert_type

from celery import Celery
from pico_ioc import PicoContainer, component, factory, provides

from pico_celery import (
    Catalog,
    CeleryFactory,
    CelerySettings,
    EmbeddedBroker,
    PicoTaskRegistrar,
    RegistrationPolicy,
    create_app,
    default_catalog,
)


def settings() -> None:
    chosen = CelerySettings(
        broker_url="embedded",
        backend_url="redis://localhost/1",
        task_track_started=False,
        strict_contracts=True,
        options={"worker_concurrency": 4},
    )
    assert_type(chosen.broker_url, str)
    assert_type(chosen.strict_contracts, bool)
    assert_type(chosen.options, Mapping[str, Any])
    assert_type(CelerySettings.of({"broker_url": "embedded"}), CelerySettings)
    assert_type(chosen.celery_settings(), dict[str, Any])


def application() -> None:
    assert_type(create_app(), Celery)
    assert_type(create_app(CelerySettings(), name="shop"), Celery)


def broker(directory: Path) -> None:
    with EmbeddedBroker(directory) as running:
        assert_type(running, EmbeddedBroker)
        assert_type(running.url(0), str)
        assert_type(running.server_pid(), int | None)
    assert_type(EmbeddedBroker("data").start(), EmbeddedBroker)
    assert_type(EmbeddedBroker("data").shutdown(only_unused=True), bool)


@factory
class OwnApplication:
    @provides(Celery, scope="singleton")
    def application(self, chosen: CelerySettings) -> Celery:
        return create_app(chosen, name="own")

    @provides(RegistrationPolicy)
    def policy(self) -> RegistrationPolicy:
        return RegistrationPolicy(strict_contracts=True, catalog=default_catalog)


def provided(container: PicoContainer) -> None:
    assert_type(container.get(CelerySettings), CelerySettings)
    assert_type(container.get(CeleryFactory).provide_settings(container), CelerySettings)
    assert_type(container.get(CeleryFactory).create_celery_app(CelerySettings()), Celery)


@component
class Report:
    def __init__(self, registrar: PicoTaskRegistrar, policy: RegistrationPolicy) -> None:
        assert_type(policy.catalog, Catalog)
        self.names = [binding.definition.name for binding in registrar.bindings]

    def text(self) -> str:
        assert_type(self.names, list[str])
        return ", ".join(self.names)
