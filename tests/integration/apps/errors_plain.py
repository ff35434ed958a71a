"""A plain Celery worker that raises errors of a contract; only the error classes are this library's."""

from __future__ import annotations

import json
import os

from tests.integration.apps.errors_contracts import Declined
from tests.integration.apps.plain import build

celery_app = build(json.loads(os.environ["PLAIN_CELERY_SETTINGS"])) if "PLAIN_CELERY_SETTINGS" in os.environ else None

if celery_app is not None:

    @celery_app.task(name="till.pay")
    def pay(way: str) -> int:
        """Fail, plainly."""
        if way == "declined":
            raise Declined(reason="limit")
        raise ValueError(way)
