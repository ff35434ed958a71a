"""The worker process: ``celery -A examples.shop.app:celery_app worker -Q orders,notifications``."""

from celery import Celery
from pico_ioc import init

from examples.shop.settings import shop_config

container = init(
    modules=[
        "pico_celery",
        "examples.shop.services",
        "examples.shop.clients",
        "examples.shop.workers",
        "examples.shop.workflows",
    ],
    config=shop_config(),
)
celery_app = container.get(Celery)
