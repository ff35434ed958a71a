"""A plain Celery worker that serves one task of `live_contracts`: nothing of this library is imported here."""

from __future__ import annotations

import json
import os
from typing import Any

from celery import Celery

_settings = json.loads(os.environ["PLAIN_CELERY_SETTINGS"])
celery_app = Celery("plain", broker=_settings["broker_url"], backend=_settings.get("result_backend"))
celery_app.conf.update(_settings)


@celery_app.task(name="live.place")
def place(line: dict[str, Any], note: str = "none") -> int:
    del note
    return int(line["quantity"])
