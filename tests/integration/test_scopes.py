"""What lives for one task, for one process, and what a soft time limit does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from tests.integration.conftest import MATRIX, Served, ShareWorker, StartWorker, usual
from tests.support.waiting import becomes

SOON = timedelta(seconds=15)


@pytest.fixture(scope="module", params=usual(*MATRIX, app="contract_worker"))
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("contract_worker", pool, transport) as started:
        yield started


def kinds(served: Served, key: str) -> list[str]:
    return [line.split()[0] for line in served.worker.noted(key)]


def test_what_lives_for_one_task_is_cleaned_up_after_success(served: Served) -> None:
    key = f"scope-{uuid4().hex}"
    served.probe.scoped(key, "succeed").get(timeout=SOON)
    assert sorted(kinds(served, key)) == ["async", "body", "sync"]
    assert kinds(served, key)[0] == "body"


def test_what_lives_for_one_task_is_cleaned_up_after_failure(served: Served) -> None:
    key = f"scope-{uuid4().hex}"
    with pytest.raises(Exception, match=key):
        served.probe.scoped(key, "fail").get(timeout=SOON)
    assert sorted(kinds(served, key)) == ["async", "body", "sync"]
    assert kinds(served, key)[0] == "body"


def test_each_task_gets_what_lives_for_one_task_anew(served: Served) -> None:
    keys = [f"scope-{uuid4().hex}" for _ in range(6)]
    for result in [served.probe.scoped(key, "succeed") for key in keys]:
        result.get(timeout=SOON)
    for key in keys:
        assert sorted(kinds(served, key)) == ["async", "body", "sync"]


def test_asynchronous_clean_up_runs_on_the_loop_of_the_process(served: Served) -> None:
    key = f"scope-{uuid4().hex}"
    served.probe.scoped(key, "succeed").get(timeout=SOON)
    loops = {str(served.probe.where().get(timeout=SOON).loop) for _ in range(8)}
    (line,) = [line for line in served.worker.noted(key) if line.startswith("async")]
    assert line.split()[1] in loops


def test_a_soft_time_limit_is_caught_in_the_body(served: Served) -> None:
    if served.worker.pool not in {"async", "processes"}:
        pytest.skip("Celery has soft time limits only with child processes")
    key = f"limit-{uuid4().hex}"
    assert served.probe.overrun(key, catch=True).get(timeout=SOON) == "caught"
    assert sorted(kinds(served, key)) == ["async", "body", "sync"]


def test_a_soft_time_limit_fails_the_task_cleans_up_and_the_worker_goes_on(served: Served) -> None:
    if served.worker.pool not in {"async", "processes"}:
        pytest.skip("Celery has soft time limits only with child processes")
    key = f"limit-{uuid4().hex}"
    before = {served.probe.where().get(timeout=SOON).pid for _ in range(8)}
    result = served.probe.overrun(key, catch=False)
    with pytest.raises(SoftTimeLimitExceeded):
        result.get(timeout=SOON)
    becomes(lambda: sorted(kinds(served, key)), ["async", "body", "sync"])
    after = {served.probe.where().get(timeout=SOON).pid for _ in range(8)}
    assert before & after


@pytest.mark.parametrize("pair", usual(*MATRIX))
def test_singletons_are_closed_on_their_loop_when_the_worker_ends(
    pair: tuple[str, str], start_worker: StartWorker
) -> None:
    pool, transport = pair
    with start_worker("contract_worker", pool, transport) as served:
        used = {str(served.probe.where().get(timeout=SOON).pid) for _ in range(12)}
        assert served.worker.stop() == 0
    lines = served.worker.noted("pool-closed")
    closed = [pid for pid, same in map(str.split, lines) if same == "True"]
    assert len(closed) == len(lines) == len(set(closed))
    assert used <= set(closed)
    assert "Traceback" not in served.worker.log.rpartition("Warm shutdown")[2]
