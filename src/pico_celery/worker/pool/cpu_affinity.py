"""Keep the threads that take turns on the GIL on one processor core.

The worker's main thread and its tracer threads each give the GIL up at every read and write, and take it back after. On two
cores each turn wakes a sleeping core; on one core it is a change of threads. Only one of them could run anyway.

The event loop's thread, and every thread and process that user code starts from there, may run on any core.

Source: https://docs.python.org/3/library/os.html#os.sched_setaffinity
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import Final

_FIRST_LOOK_SECONDS: Final = 0.3
_LOOK_SECONDS: Final = 2.0
_QUIET: Final = 0.5  # how much of a core may be used by others for it to count as free
_CROWDED: Final = 0.25  # how much of our core others may use before we look for another one
_IDLE: Final = 0.1  # a worker with less to do than that may stay where it is
_SIMILAR: Final = 0.2
_logger = logging.getLogger(__name__)


class Core:
    """A core that threads of this process keep to; it changes when others need it too."""

    def __init__(self, *, wanted: bool) -> None:
        self.number: int | None = None
        self.allowed = _allowed() if wanted else frozenset()
        self._threads: set[int] = set()
        self._lock = threading.RLock()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start to look for a core that has room."""
        if len(self.allowed) > 1 and _busy_times():
            _bound.add(self)
            threading.Thread(target=self._watch, name="pico-celery-core", daemon=True).start()

    def stop(self) -> None:
        """Let every thread run anywhere again."""
        self._stopped.set()
        _bound.discard(self)
        with self._lock:
            self.number = None
            for thread in self._threads:
                _move(thread, self.allowed)
            self._threads.clear()

    def join(self) -> None:
        """Keep the calling thread to the core, from now on."""
        with self._lock:
            if self._stopped.is_set():
                return
            self._threads.add(threading.get_native_id())
            if self.number is not None:
                _move(threading.get_native_id(), {self.number})

    def free(self) -> None:
        """Let the calling thread run anywhere: it may have been started by one that keeps to the core."""
        if self.allowed:
            _move(threading.get_native_id(), self.allowed)

    def _watch(self) -> None:
        self.free()
        before, own_before, then = _busy_times(), self._own_time(), time.monotonic()
        seconds = _FIRST_LOOK_SECONDS
        while not self._stopped.wait(seconds):
            seconds = _LOOK_SECONDS
            busy, own, now = _busy_times(), self._own_time(), time.monotonic()
            passed = now - then
            shares = {core: (busy[core] - before[core]) / passed for core in busy if core in before}
            self._keep_to(choose(self.number, self.allowed, shares, (own - own_before) / passed))
            before, own_before, then = busy, own, now

    def _keep_to(self, core: int | None) -> None:
        with self._lock:
            if core == self.number or self._stopped.is_set():
                return
            self.number = core
            _logger.debug("the worker keeps to core %s", core)
            for thread in self._threads:
                _move(thread, self.allowed if core is None else {core})

    def _own_time(self) -> float:
        with self._lock:
            return sum(_thread_time(thread) for thread in self._threads)


def choose(current: int | None, allowed: AbstractSet[int], busy: Mapping[int, float], own: float) -> int | None:
    """Choose a core."""
    cores = {core: share for core, share in busy.items() if core in allowed}
    if not cores:
        return None
    if current is not None and current in cores:
        others = cores[current] - own
        if others <= _CROWDED or own < _IDLE:
            return current
        cores.pop(current)
        free = [core for core, share in cores.items() if share < _QUIET]
        # Not the quietest one: a worker that was crowded out beside us looks for it too.
        return random.choice(free) if free else current  # noqa: S311 - no secret
    quietest = min(cores.values())
    return random.choice([core for core, share in cores.items() if share <= quietest + _SIMILAR])  # noqa: S311


def _allowed() -> frozenset[int]:
    if not hasattr(os, "sched_getaffinity"):
        return frozenset()
    # Where there is another worker in the process, this thread may keep to its core by now.
    known = next((core.allowed for core in tuple(_bound)), None)
    return frozenset(os.sched_getaffinity(0)) if known is None else known


def _move(thread: int, cores: AbstractSet[int]) -> None:
    # The thread may have ended, or a sandbox may forbid it: it runs anywhere then, as it would have done.
    with suppress(OSError):
        os.sched_setaffinity(thread, cores)


def _busy_times() -> dict[int, float]:
    """Return the seconds that each core has worked since the system started."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
        ticks = os.sysconf("SC_CLK_TCK")
        times: dict[int, float] = {}
        for line in lines:
            name, *fields = line.split()
            if name.startswith("cpu") and name != "cpu":
                user, nice, system, _idle, _waiting, interrupt, soft = map(int, fields[:7])
                times[int(name[3:])] = (user + nice + system + interrupt + soft) / ticks
    except (OSError, ValueError):
        return {}
    return times


def _thread_time(thread: int) -> float:
    try:
        fields = Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0  # it has ended


_bound: Final[set[Core]] = set()


def _free_child() -> None:
    for core in _bound:
        core.free()
    _bound.clear()


os.register_at_fork(after_in_child=_free_child)
