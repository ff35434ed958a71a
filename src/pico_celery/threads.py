"""Daemon threads that are made as they are needed.

A `concurrent.futures.ThreadPoolExecutor` joins its threads when the interpreter exits, so that one blocking task keeps a
worker from ending at all.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

_logger = logging.getLogger(__name__)


class DaemonThreads:
    """A bounded number of daemon threads that call what they are given, in its order.

    Args:
        name: Begins the threads' names.
        limit: How many threads there may be.
        prepare: Called by each thread when it starts.
    """

    def __init__(self, name: str, limit: int, prepare: Callable[[], None] | None = None) -> None:
        self._prepare = prepare
        self._name = name
        self._limit = limit
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.RLock()
        self._idle = threading.Semaphore(0)
        self._threads = 0

    def __len__(self) -> int:
        """Return how many threads there are."""
        return self._threads

    def submit(self, call: Callable[[], None]) -> None:
        """Call something on a thread, soon.

        Args:
            call: What to call; it handles its own exceptions.
        """
        self._queue.put(call)
        if self._idle.acquire(blocking=False):
            return
        with self._lock:
            if self._threads >= self._limit:
                return
            self._threads += 1
            number = self._threads
        threading.Thread(target=self._serve, name=f"{self._name}-{number}", daemon=True).start()

    def stop(self) -> None:
        """Let every thread end after what it does now."""
        for _ in range(self._threads):
            self._queue.put(None)

    def _serve(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while True:
            try:
                call = self._queue.get_nowait()
            except Empty:
                self._idle.release()
                call = self._queue.get()
            if call is None:
                return
            try:
                call()
            except BaseException:  # a thread of the pool outlives what it runs
                _logger.exception("%r failed", call)
            call = None  # or an idle thread keeps the last task's arguments alive
