"""`CeleryFactory`: the container's one Celery application."""

from __future__ import annotations

import os

from celery import Celery
from pico_ioc import PicoContainer, factory, provides

from pico_celery.app.embedded import EmbeddedBroker, directory_of, is_embedded
from pico_celery.app.settings import DEFAULT_BACKEND_URL, CelerySettings, load_settings
from pico_celery.client.publishing.redis_transport import keep_clients
from pico_celery.worker.registrar import RegistrationPolicy

_APP_NAME = "pico_celery"
_BROKER_DATABASE, _BACKEND_DATABASE = 0, 1


def create_app(settings: CelerySettings | None = None, *, name: str = _APP_NAME) -> Celery:
    """Create a Celery application, as the container does; for scripts without a container.

    Args:
        settings: Its settings; the defaults without them.
        name: Name of the application.

    Returns:
        The application. With an embedded broker, the server of its directory runs.

    Raises:
        SettingsError: If a setting is unknown, of a wrong type, or unsafe.
        EmbeddedBrokerError: If the embedded broker cannot be used.
    """
    chosen = settings or CelerySettings()
    configuration = chosen.celery_settings()
    broker_url, backend_url = _urls(chosen)
    app = Celery(name, broker=broker_url, backend=backend_url or "disabled://")
    app.conf.update(configuration)
    if is_embedded(_wanted_broker(chosen)):
        # Celery would take CELERY_BROKER_URL=embedded from the environment for a host of that name.
        app.conf.update(broker_read_url=broker_url, broker_write_url=broker_url)
    keep_clients(app)
    return app


def _wanted_broker(settings: CelerySettings) -> str:
    """Return the broker's URL by Celery's own rule: CELERY_BROKER_URL in the environment comes first."""
    return os.environ.get("CELERY_BROKER_URL") or settings.broker_url


def _urls(settings: CelerySettings) -> tuple[str, str | None]:
    broker_url, backend_url = _wanted_broker(settings), settings.backend_url
    if is_embedded(broker_url):
        broker = EmbeddedBroker(directory_of(broker_url)).start()
        broker_url = broker.url(_BROKER_DATABASE)
        if backend_url == DEFAULT_BACKEND_URL:
            backend_url = broker.url(_BACKEND_DATABASE)
    if backend_url is not None and is_embedded(backend_url):
        backend_url = EmbeddedBroker(directory_of(backend_url)).start().url(_BACKEND_DATABASE)
    return broker_url, backend_url


@factory
class CeleryFactory:
    """Provides settings, registration policy and application to the container."""

    @provides(CelerySettings, scope="singleton")
    def provide_settings(self, container: PicoContainer) -> CelerySettings:
        """Provide the settings that the container's configuration gives."""
        return load_settings(container)

    @provides(RegistrationPolicy, scope="singleton")
    def provide_policy(self, settings: CelerySettings) -> RegistrationPolicy:
        """Provide the policy of registration."""
        return RegistrationPolicy(strict_contracts=settings.strict_contracts)

    # An empty name ranks last, so that an application that the user provides takes the place of this one.
    @provides(Celery, name="", scope="singleton")
    def create_celery_app(self, settings: CelerySettings) -> Celery:
        """Provide the application."""
        return create_app(settings)
