"""`ClientRuntime`: what the clients of an application share in one process to publish calls and to wait for results."""

from __future__ import annotations

import logging
from typing import Final

from celery import Celery
from celery.signals import worker_process_shutdown

from pico_celery.app_state import PerProcess
from pico_celery.client.publishing.message import Post
from pico_celery.client.publishing.publisher import Publisher
from pico_celery.client.results.hub import close_hub, hub_of

_EXIT_SECONDS: Final = 10.0
_logger = logging.getLogger(__name__)


class ClientRuntime:
    """Ids, publisher and results of one application in one process. Take it from `runtime_of`."""

    def __init__(self, app: Celery) -> None:
        self.publisher: Final = Publisher(app)
        self.post: Final = Post(app)
        self.results: Final = hub_of(app)
        self.ids: Final = self.results.ids
        self.results.call_soon = self.publisher.call

    def flush(self) -> None:
        """Publish what is still to be published."""
        if not self.publisher.flush(_EXIT_SECONDS):
            _logger.error("calls were not published within %.0f s before the end of the process", _EXIT_SECONDS)


# Before the hubs are closed: publishing may need the replies that they receive.
_runtimes: Final = PerProcess(ClientRuntime, ClientRuntime.flush, priority=101)


def runtime_of(app: Celery) -> ClientRuntime:
    """Return the runtime of an application in this process."""
    return _runtimes.of(app)


def close(app: Celery) -> None:
    """Close what the clients of an application use in this process.

    What was handed over is published first. The thread that receives results then stops, and its connections are closed;
    whoever still waits for a result gets a `kombu.exceptions.OperationalError`. Connections to the broker stay in the pool
    that kombu shares between all applications with the same broker. A later call starts again.

    Args:
        app: The application that the clients were made with.
    """
    close_runtime(app)
    app.close()


def close_runtime(app: Celery) -> None:
    """Publish what is still to be published, stop listening, and forget the runtime of an application."""
    runtime = _runtimes.take(app)
    if runtime is not None:
        runtime.flush()
    close_hub(app)


@worker_process_shutdown.connect(weak=False)
def _flush_child(**_: object) -> None:
    """Publish what a child of a pool has left: it ends without `atexit`. A worker in a process of others does so too."""
    for runtime in _runtimes.all():
        runtime.publisher.flush(_EXIT_SECONDS)
