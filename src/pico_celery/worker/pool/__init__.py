"""The worker's own execution pool: many coroutines in flight on one event loop, under Celery's unmodified tracer."""

from pico_celery.worker.pool.task_pool import TaskPool

__all__ = ["TaskPool"]
