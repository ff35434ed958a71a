"""A plain Celery worker that hands results on: nothing of this library is imported here."""

from __future__ import annotations

import json
import os

from celery import Celery

settings = json.loads(os.environ["PLAIN_CELERY_SETTINGS"])
celery_app = Celery("plain-steps", broker=settings["broker_url"], backend=settings["result_backend"])
celery_app.conf.update(settings)


@celery_app.task(name="steps.relay")
def relay(dues: list[str | None]) -> list[str | None]:
    """Add that it is plain."""
    return [*dues, "plain"]
