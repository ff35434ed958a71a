"""Keeping the broker's connection alive while the worker waits for its last tasks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Any, Final

from celery.concurrency import prefork
from kombu.asynchronous import get_event_loop

_INTERVAL_SECONDS: Final = 0.25
_logger = logging.getLogger(__name__)

# What Celery's own prefork pool runs while it is joined. Without it, acknowledgements wait until the hub is closed.
_run_acknowledgements: Callable[[Any], None] | None = getattr(prefork, "_run_ready_callbacks", None)


class HubPump:
    """Fires heartbeats, and sends acknowledgements, in place of the worker's main loop, which stands still.

    As ``celery.concurrency.prefork.TaskPool.on_stop`` does.
    """

    def __init__(self) -> None:
        self._hub: Any = get_event_loop()
        self._due = 0.0

    def run(self) -> None:
        """Do what is due."""
        if self._hub is None or monotonic() < self._due:
            return
        self._due = monotonic() + _INTERVAL_SECONDS
        try:
            self._hub.fire_timers()
            if _run_acknowledgements is not None:
                _run_acknowledgements(self._hub)
        except Exception:  # the tasks in flight are worth more than one heartbeat
            _logger.warning("a timer of the worker failed while it stops", exc_info=True)
