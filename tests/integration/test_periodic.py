"""Periodic calls: a real ``celery beat`` sends what components and clients declare, and a worker runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import StartWorker, matrix
from tests.support.processes import CeleryProcess
from tests.support.waiting import eventually


@pytest.mark.parametrize("place", matrix(("async", "redis"), ("processes", "rabbitmq")))
def test_beat_sends_what_is_declared_again_and_again(
    place: tuple[str, str], start_worker: StartWorker, tmp_path: Path
) -> None:
    pool, transport = place
    with start_worker("canvas_worker", pool, transport) as served:
        arguments = ["-A", "tests.integration.apps.canvas_worker:celery_app", "beat", "-l", "DEBUG"]
        arguments += ["-s", str(tmp_path / "schedule"), "--pidfile="]
        environment = {**served.site.environment(), "PICO_TEST_NOTES": str(served.worker.notes)}
        beat = CeleryProcess(arguments, tmp_path, environment)
        try:
            for noted in ("noted-beat", "noted-component"):
                assert eventually(lambda noted=noted: len(served.worker.noted(noted)) >= 3), beat.log  # type: ignore[misc]
        finally:
            beat.stop()
        assert "Traceback" not in beat.log
        assert served.worker.noted("noted-never") == []
        assert "Sending due task often (flows.note)" in beat.log
