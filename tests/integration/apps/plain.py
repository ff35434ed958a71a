"""A plain Celery application: nothing of this library is imported here."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from celery import Celery, Task

from tests.integration.apps.notes import note

BEAT_SECONDS = 0.2


def build(settings: Mapping[str, Any]) -> Celery:
    """Build an application with JSON only, as Celery has it by default."""
    app = Celery("plain", broker=settings["broker_url"], backend=settings["result_backend"])
    app.conf.update(settings)
    return app


celery_app = build(json.loads(os.environ["PLAIN_CELERY_SETTINGS"])) if "PLAIN_CELERY_SETTINGS" in os.environ else None

if celery_app is not None:
    celery_app.conf.beat_schedule = {
        "note": {"task": "probe.note", "schedule": BEAT_SECONDS, "args": ["beat"], "kwargs": {"times": 1}},
        "place": {
            "task": "shop.cancel",
            "schedule": BEAT_SECONDS,
            "kwargs": {"number": 77},
        },
    }

    @celery_app.task(name="shop.place", bind=True)
    def place(self: Task[Any, Any], order: dict[str, Any], dry_run: bool = False) -> dict[str, Any]:
        """Book an order, plainly."""
        headers = {name: value for name, value in vars(self.request).items() if name.startswith("pico_")}
        told = {"args": self.request.args, "kwargs": self.request.kwargs, "headers": headers}
        note(f"plain-{order['number']}", json.dumps(told))
        total = sum(line["quantity"] * Decimal(line["price"]) for line in order["lines"])
        return {"number": order["number"], "total": str(total), "dry_run": dry_run}

    @celery_app.task(name="shop.cancel")
    def cancel(number: int) -> None:
        """Cancel an order, plainly."""
        note(f"plain-{number}")

    @celery_app.task(name="shop.ship")
    def ship(receipt: dict[str, Any]) -> int:
        """Return what the contract does not allow."""
        return int(receipt["number"])

    @celery_app.task(name="shop.remember")
    def remember(moment: dict[str, Any]) -> dict[str, Any]:
        """Return plain types of Python, which kombu's JSON carries."""
        return {**moment, "amount": Decimal(moment["amount"])}
