"""Settings as a process gets them: from its own environment, which Celery reads as well."""

from __future__ import annotations

import sys
from pathlib import Path

from pico_celery import EmbeddedBroker
from tests.acceptance.commands import run

PROGRAM = """
from celery import Celery
from pico_ioc import EnvSource, configuration, init

app = init(modules=["pico_celery"], config=configuration(EnvSource())).get(Celery)
print(app.conf.broker_write_url.partition(":")[0], app.conf.result_backend.partition(":")[0])
app.send_task("orders.place")
print("sent")
"""
WITHOUT_BACKEND = """
from pico_celery import CelerySettings, create_app

print(type(create_app(CelerySettings.of({"broker_url": "memory://", "backend_url": None})).backend).__name__)
"""


def test_the_environment_may_ask_for_the_embedded_broker(tmp_path: Path) -> None:
    try:
        status, output = run([sys.executable, "-c", PROGRAM], tmp_path, {"CELERY_BROKER_URL": "embedded"})
    finally:
        EmbeddedBroker(tmp_path / ".pico-celery").shutdown()

    assert (status, output) == (0, "redis+socket redis+socket\nsent\n")


def test_a_backend_url_of_none_means_no_result_backend(tmp_path: Path) -> None:
    status, output = run([sys.executable, "-c", WITHOUT_BACKEND], tmp_path)

    assert (status, output) == (0, "DisabledBackend\n")
