"""Log which code blocks the event loop, while it does so."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from time import monotonic
from types import FrameType
from typing import Final

from pico_celery.worker.loop import LoopService

_POLLS_PER_LIMIT: Final = 2
_LOOKS_PER_LIMIT: Final = 4
_LOOP_MODULES: Final = ("asyncio.base_events", "pico_celery.worker.loop")
_CALLERS: Final = (*_LOOP_MODULES, "asyncio.events")
_logger = logging.getLogger(__name__)


class Watchdog:
    """Asks the loop for an answer again and again, and logs the stack that keeps it from answering."""

    def __init__(self, service: LoopService, limit_seconds: float) -> None:
        self._service = service
        self._limit = limit_seconds
        self._stopped = threading.Event()
        self._answered = threading.Event()

    def start(self) -> None:
        """Start watching."""
        if self._limit > 0:
            threading.Thread(target=self._watch, name="pico-celery-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(self._limit / _POLLS_PER_LIMIT):
            self._answered.clear()
            asked = monotonic()
            try:
                self._service.post(self._answered.set)
            except RuntimeError:
                return  # the loop is closed
            self._look(asked)

    def _look(self, asked: float) -> None:
        # A loop with much to do answers late too, but then something else holds it at each look.
        holder: object | None = None
        looks = 0
        while not self._answered.wait(self._limit / _LOOKS_PER_LIMIT) and not self._stopped.is_set():
            found = self._holder()
            looks = looks + 1 if found is not None and found is holder else 1
            holder = found
            if found is not None and looks >= _LOOKS_PER_LIMIT and self._warn(monotonic() - asked):
                self._wait_for_end(asked)
                return

    def _holder(self) -> object | None:
        """Return what holds the loop: a task, or the outermost frame of a callback; None where the loop waits."""
        frame = sys._current_frames().get(self._service.thread_id or 0)  # noqa: SLF001 - documented, for debuggers
        if frame is None or _is_waiting(frame):
            return None
        task = asyncio.current_task(self._service.loop)
        if task is not None:
            return task
        while frame.f_back is not None and frame.f_back.f_globals.get("__name__") not in _CALLERS:
            frame = frame.f_back
        return frame

    def _warn(self, seconds: float) -> bool:
        frame = sys._current_frames().get(self._service.thread_id or 0)  # noqa: SLF001 - documented, for debuggers
        if frame is None or _is_waiting(frame):
            return False  # the loop itself waits: for the GIL, or for a turn on the processor
        task = asyncio.current_task(self._service.loop)
        name = "a callback" if task is None else task.get_name()
        stack = "".join(traceback.format_stack(frame)[-12:])
        _logger.warning(
            "%s has held the event loop for %.2f s, and every other task of this worker waits for it. Await what can be "
            "awaited, and move blocking calls and long computations to a thread: await asyncio.to_thread(...)\n%s",
            name,
            seconds,
            stack,
        )
        return True

    def _wait_for_end(self, asked: float) -> None:
        while not self._stopped.is_set():
            if self._answered.wait(1.0):
                _logger.warning("the event loop is free again after %.2f s", monotonic() - asked)
                return


def _is_waiting(frame: FrameType) -> bool:
    """Return whether the innermost frame is the loop's own, or its selector's."""
    if frame.f_globals.get("__name__") == "selectors" and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_globals.get("__name__") in _LOOP_MODULES
