"""An application that calls `live_contracts` and serves nothing of it."""

from __future__ import annotations

from celery import Celery
from pico_ioc import EnvSource, configuration, init

container = init(
    modules=["pico_celery", "tests.integration.apps.live_contracts"],
    config=configuration(EnvSource()),
)
celery_app = container.get(Celery)
