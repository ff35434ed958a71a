"""One call passes few modules of this library; see the bounds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from tests.integration.conftest import Served, StartWorker

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
        # On another thread the result may come before the call has returned.
        self._has_come |= frame.f_code.co_name == "resolve_ready"
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


@pytest.mark.redis
def test_a_call_passes_few_modules(served: Served) -> None:
    with profiled() as passed:
        served.probe.note("first").get(timeout=20)
        passed.begin()
        result = served.probe.note("second")
        passed.is_sent = True
        result.get(timeout=20)

    assert passed.back
    assert len(passed.out) <= OUT, sorted(passed.out)
    assert len(passed.back) <= BACK, sorted(passed.back)
