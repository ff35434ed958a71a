"""One call passes few modules of this library; see the bounds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest
from celery import states

from pico_celery.client.results.hub import hub_of
from tests.integration.conftest import Served, StartWorker
from tests.support.waiting import eventually

OUT = 21
BACK = 9


@pytest.fixture(scope="module")
def served(start_worker: StartWorker) -> Iterator[Served]:
    with start_worker("contract_worker", "async", "redis") as started:
        yield started


class Passed:
    """The modules of which a function ran: until the call was sent, and since its result came."""

    def __init__(self) -> None:
        self.out: set[str] = set()
        self.back: set[str] = set()
        self.is_sent = False
        self._has_come = False

    def begin(self) -> None:
        self.out, self.back, self.is_sent, self._has_come = set(), set(), False, False

    def note(self, frame: FrameType, event: str, _: object) -> None:
        name = str(frame.f_globals.get("__name__", ""))
        if event != "call" or not name.startswith("pico_celery."):
            return
        if frame.f_code.co_name == "resolve_ready":  # called with STARTED, too
            self._has_come |= frame.f_locals["meta"]["status"] in states.READY_STATES
        if not self.is_sent and threading.current_thread() is threading.main_thread():
            self.out.add(name)
        elif self._has_come:
            self.back.add(name)


@contextmanager
def profiled() -> Iterator[Passed]:
    passed = Passed()
    threading.setprofile(passed.note)  # of the threads that are started from now on: those of the first call
    sys.setprofile(passed.note)
    try:
        yield passed
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def end_when_waited_for(served: Served, key: str) -> None:
    sys.setprofile(None)  # this thread's own looks are no part of the call
    eventually(lambda: bool(hub_of(served.app)._waiters))
    served.worker.note(key)


@pytest.mark.redis
def test_a_call_passes_few_modules(served: Served) -> None:
    with profiled() as passed:
        served.worker.note("first")
        served.probe.hold("first").get(timeout=20)
        passed.begin()
        result = served.probe.hold("second")
        passed.is_sent = True
        # The task ends when this thread waits: what it passes before that is no part of the way back.
        waited_for = threading.Thread(target=end_when_waited_for, args=(served, "second"))
        waited_for.start()
        result.get(timeout=20)
        waited_for.join()

    assert passed.back
    assert len(passed.out) <= OUT, sorted(passed.out)
    assert len(passed.back) <= BACK, sorted(passed.back)
