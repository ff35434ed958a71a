"""A plain Celery worker that serves tasks of the contracts of workflows: nothing of this library is imported here."""

from __future__ import annotations

import json
import os
from typing import Any

from celery import Celery, Task

settings = json.loads(os.environ["PLAIN_CELERY_SETTINGS"])
celery_app = Celery("plain-flows", broker=settings["broker_url"], backend=settings["result_backend"])
celery_app.conf.update(settings)


@celery_app.task(name="flows.make")
def make(number: int) -> dict[str, Any]:
    """Make an item, plainly."""
    return {"number": number, "tags": ["plain"]}


@celery_app.task(name="flows.tag", bind=True)
def tag(self: Task[Any, Any], item: dict[str, Any], tag: str, twice: bool = False) -> dict[str, Any]:
    """Tag an item, plainly."""
    return {**item, "tags": [*item["tags"], tag, *([tag] if twice else [])]}


@celery_app.task(name="flows.number")
def number(item: dict[str, Any]) -> int:
    """Return an item's number, plainly."""
    return int(item["number"])


@celery_app.task(name="flows.total")
def total(items: list[dict[str, Any]]) -> int:
    """Add up items, plainly."""
    return sum(int(item["number"]) for item in items)
