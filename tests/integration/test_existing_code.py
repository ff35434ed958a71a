"""Code that users have today runs unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.integration.conftest import Served, StartWorker, matrix
from tests.support.processes import NOTES_VARIABLE, ROOT


@pytest.fixture(scope="module", params=matrix(("async", "redis"), ("processes", "redis"), ("solo", "rabbitmq")))
def served(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    pool, transport = request.param
    with start_worker("legacy", pool, transport) as started:
        yield started


def run_client(served: Served, to: str) -> subprocess.CompletedProcess[str]:
    """Run the same module as a program that sends."""
    environment = {**os.environ, **served.site.environment(), NOTES_VARIABLE: str(served.worker.notes)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return subprocess.run(
        [sys.executable, "-m", "tests.integration.apps.legacy", to],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_injected_client_sends_and_an_existing_worker_serves(served: Served) -> None:
    done = run_client(served, "ann@example.org")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "{'sent_to': 'ann@example.org'}"
    assert served.worker.noted("email-ann@example.org") == ["Your order: It is on its way."]
    assert done.stderr.count("UndeclaredTaskWarning") == 1
    assert "no contract declares the task 'notifications.send_email'" in done.stderr


def test_the_worker_warns_once_of_the_undeclared_name(served: Served) -> None:
    log = served.worker.log
    assert log.count("UndeclaredTaskWarning") == 1
    assert "declare it in a @contract class so that every side is checked against the same thing" in log


def test_a_plain_client_is_served(served: Served) -> None:
    sent = served.plain.send_task("notifications.send_email", ["bob@example.org", "Hello", "there"])
    assert sent.get(timeout=15) == {"sent_to": "bob@example.org"}
