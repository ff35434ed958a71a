"""OpenTelemetry's own instrumentation of Celery, in a worker of thousands of coroutines and in its client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pico_celery import RemoteError
from tests.integration.apps.limits_contracts import TracingClient
from tests.integration.conftest import Served, StartWorker, matrix
from tests.support.processes import NOTES_VARIABLE, ROOT
from tests.support.waiting import eventually

SPANS_VARIABLE = "PICO_TEST_SPANS"
# Of one call: the client, its publishing, the task, its body, the publishing of the inner task, that task, its body.
SPANS_OF_A_CALL = 7
INTERLEAVED = 50
Span = dict[str, str]


class Traced:
    """A worker that exports its spans, and a client that does so too."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.served = served
        self.worker_path = folder / "worker"
        self.client_path = folder / "client"

    def call(self, size: int) -> list[Span]:
        """Let the client call outer tasks, all in flight at once, and return the spans of client and worker."""
        for path in (self.client_path, self.worker_path):
            path.unlink(missing_ok=True)
        environment = {**os.environ, **self.served.site.environment(), SPANS_VARIABLE: str(self.client_path)}
        environment[NOTES_VARIABLE] = str(self.served.worker.notes)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        done = subprocess.run(
            [sys.executable, "-m", "tests.integration.apps.limits_worker", str(size)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == list(range(size))
        # A task's span ends after its result is stored.
        assert eventually(lambda: len(self.spans()) >= size * SPANS_OF_A_CALL), self.spans()
        return self.spans()

    def spans(self) -> list[Span]:
        """Return the spans since the last call began."""
        return [
            json.loads(line)
            for path in (self.client_path, self.worker_path)
            if path.exists()
            for line in path.read_text().splitlines()
        ]


@pytest.fixture(scope="module", params=matrix(("async", "redis"), ("async", "rabbitmq")))
def traced(
    request: pytest.FixtureRequest, start_worker: StartWorker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traced]:
    pool, transport = request.param
    folder = tmp_path_factory.mktemp("spans")
    environment = {SPANS_VARIABLE: str(folder / "worker")}
    with start_worker("limits_worker", pool, transport, concurrency=100, environment=environment) as started:
        yield Traced(started, folder)


def test_the_spans_of_a_call_and_of_what_it_sends_are_one_trace(traced: Traced) -> None:
    spans = traced.call(1)
    assert chain_of(spans, "body of inner 0") == [
        ("body of inner 0", "INTERNAL"),
        ("run/tracing.inner", "CONSUMER"),
        ("apply_async/tracing.inner", "PRODUCER"),
        ("body of outer 0", "INTERNAL"),
        ("run/tracing.outer", "CONSUMER"),
        ("apply_async/tracing.outer", "PRODUCER"),
        ("client 0", "INTERNAL"),
    ]
    assert len(spans) == SPANS_OF_A_CALL
    assert len({span["trace"] for span in spans}) == 1


@pytest.fixture(scope="module")
def interleaved(traced: Traced) -> list[Span]:
    """The spans of calls that were all in flight at once."""
    return traced.call(INTERLEAVED)


def test_the_spans_of_interleaved_calls_are_a_trace_each(interleaved: list[Span]) -> None:
    assert len(interleaved) == INTERLEAVED * SPANS_OF_A_CALL
    assert len({span["trace"] for span in interleaved}) == INTERLEAVED
    for number in range(INTERLEAVED):
        names = [name for name, _ in chain_of(interleaved, f"body of inner {number}")]
        bodies = [f"body of inner {number}", f"body of outer {number}", f"client {number}"]
        assert [names[0], names[3], names[6]] == bodies
        assert len(names) == SPANS_OF_A_CALL


def test_publishing_and_running_a_task_are_spans_of_the_same_id(interleaved: list[Span]) -> None:
    by_id = {span["id"]: span for span in interleaved}
    run = [span for span in interleaved if span["kind"] == "CONSUMER"]
    assert len({span["task"] for span in run}) == len(run) == 2 * INTERLEAVED
    assert all(by_id[span["parent"]]["task"] == span["task"] for span in run)


def test_the_span_of_a_failure_says_so(traced: Traced) -> None:
    result = TracingClient(traced.served.app).fail("on purpose")
    error = result.get(timeout=30, propagate=False)
    assert isinstance(error, RemoteError)
    assert (error.remote_type, error.remote_message) == ("builtins.ValueError", "on purpose")
    (span,) = eventually(lambda: [span for span in traced.spans() if span["task"] == result.id])
    assert (span["name"], span["kind"], span["status"]) == ("run/tracing.fail", "CONSUMER", "ERROR")


def chain_of(spans: list[Span], name: str) -> list[tuple[Any, Any]]:
    """Return names and kinds of a span and those above it."""
    by_id = {span["id"]: span for span in spans}
    (span,) = [span for span in spans if span["name"] == name]
    found = [span]
    while found[-1]["parent"]:
        found.append(by_id[found[-1]["parent"]])
    return [(one["name"], one["kind"]) for one in found]
