"""Close a client's application; the types that public signatures show."""

from datetime import timedelta
from typing import assert_type

from celery import Celery

from pico_celery import Duration, IdempotencyKey, close

HALF_AN_HOUR: Duration = timedelta(minutes=30)


def texts(keys: list[IdempotencyKey]) -> list[str]:
    return [key.text for key in keys]


def end(app: Celery) -> None:
    assert_type(close(app), None)
