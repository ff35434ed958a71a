"""`close(app)`: what was handed over is sent, threads end, those who wait are not left waiting, and a later call starts again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest
from kombu.exceptions import OperationalError

from pico_celery import AsyncResult, close
from tests.integration.conftest import Served, ShareWorker, matrix
from tests.support.waiting import becomes, eventually


@pytest.fixture(scope="module", params=matrix(("async", "redis"), app="contract_worker"))
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    with share_worker("contract_worker", *request.param) as shared:
        yield shared


def client_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("pico-celery-results")}


def test_a_later_call_starts_again_after_close(served: Served) -> None:
    assert served.probe.note(str(uuid4())).get(timeout=20) == 1
    assert client_threads()
    close(served.app)
    becomes(client_threads, set())
    assert served.probe.note(str(uuid4())).get(timeout=20) == 1


def test_what_was_handed_over_is_sent_before_close_returns(served: Served) -> None:
    async def hand_over() -> None:
        sent.append(served.probe.note(str(uuid4())))

    sent: list[AsyncResult[int]] = []
    asyncio.run(hand_over())
    close(served.app)
    assert sent[0].get(timeout=20) == 1


def test_who_waits_gets_an_error(served: Served) -> None:
    result = served.probe.hold(f"closed-{uuid4()}", 3.0)
    failures: list[BaseException] = []

    def wait() -> None:
        try:
            result.get(timeout=20)
        except BaseException as error:
            failures.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    eventually(client_threads)
    close(served.app)
    waiting.join(10)
    assert [type(failure) for failure in failures] == [OperationalError]
