"""The worker's own threads keep to one processor core; nobody else is bound by it."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.waiting import becomes, eventually

from pico_celery.threads import DaemonThreads
from pico_celery.worker.pool import cpu_affinity as core_module
from pico_celery.worker.pool.cpu_affinity import Core, choose

needs_cores = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2, reason="one core, or no Linux"
)


@pytest.mark.parametrize(
    ("current", "busy", "own", "expected"),
    [
        (None, {0: 0.9, 1: 0.1}, 0.0, {1}),
        (None, {0: 0.1, 1: 0.2, 2: 0.9}, 0.0, {0, 1}),
        (0, {0: 0.9, 1: 0.1}, 0.8, {0}),  # nearly all of it is our own
        (0, {0: 1.0, 1: 0.1, 2: 0.2}, 0.5, {1, 2}),  # others need it as well
        (0, {0: 1.0, 1: 0.9}, 0.5, {0}),  # nowhere is more room
        (0, {0: 1.0, 1: 0.1}, 0.05, {0}),  # we do not need it
        (0, {1: 0.5}, 0.5, {1}),  # it has been taken away
        (None, {}, 0.0, {None}),
        (None, {7: 0.0}, 0.0, {None}),  # none that we may use
    ],
)
def test_a_core_is_chosen_by_what_others_do(
    current: int | None, busy: dict[int, float], own: float, expected: set[int | None]
) -> None:
    found = {choose(current, {0, 1, 2}, busy, own) for _ in range(50)}
    assert found <= expected
    assert found


@pytest.fixture
def core() -> Iterator[Core]:
    core = Core(wanted=True)
    yield core
    core.stop()


@needs_cores
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_threads_that_join_keep_to_one_core_and_others_do_not(core: Core) -> None:
    everywhere = os.sched_getaffinity(0)
    core.join()
    core.start()
    becomes(lambda: len(os.sched_getaffinity(0)), 1)
    assert os.sched_getaffinity(0) == {core.number}

    def kept_by(prepare: Any) -> set[int]:
        found: list[set[int]] = []
        threads = DaemonThreads("test", 1, prepare)
        threads.submit(lambda: found.append(os.sched_getaffinity(0)))
        assert eventually(lambda: bool(found))
        threads.stop()
        return found[0]

    assert kept_by(core.join) == {core.number}
    assert kept_by(core.free) == everywhere
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(os.sched_getaffinity, (0,)) == everywhere
    core.stop()
    assert os.sched_getaffinity(0) == everywhere


@needs_cores
def test_a_second_worker_of_a_process_knows_all_cores_and_frees_its_threads(core: Core) -> None:
    everywhere = os.sched_getaffinity(0)
    core.join()
    core.start()
    assert eventually(lambda: core.number is not None and os.sched_getaffinity(0) == {core.number})
    second = Core(wanted=True)
    second.join()
    second.start()
    core.stop()
    second.stop()
    assert os.sched_getaffinity(0) == everywhere


@needs_cores
def test_a_thread_that_joins_when_the_worker_has_stopped_runs_anywhere(core: Core) -> None:
    everywhere = os.sched_getaffinity(0)
    core.join()
    core.start()
    assert eventually(lambda: core.number is not None)
    core.stop()
    core.join()
    assert os.sched_getaffinity(0) == everywhere


@needs_cores
def test_a_worker_moves_when_others_need_its_core(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {0: 0.0, 1: 0.0}
    crowded: list[int] = []

    def busy() -> dict[int, float]:
        if crowded:
            times[crowded[0]] += 1000.0  # as if others had worked there all the time
        return dict(times)

    own = iter(range(0, 10**9, 100))
    monkeypatch.setattr(core_module, "_busy_times", busy)
    monkeypatch.setattr(core_module, "_thread_time", lambda _: float(next(own)))
    monkeypatch.setattr(core_module, "_LOOK_SECONDS", 0.05)
    core.join()
    core.start()
    assert eventually(lambda: core.number is not None)
    first = core.number
    assert first is not None
    crowded.append(first)
    assert eventually(lambda: core.number not in {None, first})


def test_a_worker_that_is_told_not_to_keep_to_a_core_does_not() -> None:
    before = set(threading.enumerate())
    core = Core(wanted=False)
    core.join()
    core.start()
    assert core.number is None
    assert "pico-celery-core" not in {thread.name for thread in set(threading.enumerate()) - before}
    core.free()
    core.stop()
