"""Keeping the broker's connection alive while the worker waits for its last tasks."""

from __future__ import annotations

import logging
from time import monotonic
from typing import Final

from kombu.asynchronous import Hub, get_event_loop

from pico_celery.celery_port import run_acknowledgements

_INTERVAL_SECONDS: Final = 0.25
_logger = logging.getLogger(__name__)


class HubPump:
    """Fires heartbeats, and sends acknowledgements, in place of the worker's main loop, which stands still.

    As ``celery.concurrency.prefork.TaskPool.on_stop`` does.
    """

    def __init__(self) -> None:
        self._hub: Hub | None = get_event_loop()
        self._due = 0.0

    def run(self) -> None:
        """Do what is due."""
        if self._hub is None or monotonic() < self._due:
            return
        self._due = monotonic() + _INTERVAL_SECONDS
        try:
            self._hub.fire_timers()
            run_acknowledgements(self._hub)  # otherwise they wait until the hub is closed
        except Exception:  # the tasks in flight are worth more than one heartbeat
            _logger.warning("a timer of the worker failed while it stops", exc_info=True)
