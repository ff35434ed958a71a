"""Claims about reaching broker and backend: real servers answer, all others are told of in bounded time, without passwords."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from celery import Celery

from pico_celery import CelerySettings, create_app
from pico_celery_tooling.check.application import unreachable
from pico_celery_tooling.evolution.rules import Finding, Level
from tests.support.servers import PrivateRedis
from tests.support.sites import close_app

BOUND_SECONDS = 2.0
SLACK_SECONDS = 5.0
SECRET = "hunter2%23"


@pytest.fixture
def silent() -> Iterator[int]:
    """Port of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> int:
    """Port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def ask(broker: str, backend: str | None = None) -> dict[str, Finding]:
    app = create_app(CelerySettings(broker_url=broker, backend_url=backend))
    began = monotonic()
    try:
        found = {finding.rule: finding for finding in unreachable(app, BOUND_SECONDS)}
    finally:
        close_app(app)
    assert monotonic() - began < BOUND_SECONDS + SLACK_SECONDS
    assert all(finding.level is Level.BREAK for finding in found.values())
    return found


@pytest.mark.redis
def test_a_redis_server_answers(redis_url: str) -> None:
    assert ask(redis_url, redis_url) == {}


@pytest.mark.rabbitmq
def test_a_rabbitmq_server_answers_and_its_results_come_by_it(rabbitmq_url: str) -> None:
    assert ask(rabbitmq_url, "rpc://") == {}


def test_a_private_server_on_a_socket_answers() -> None:
    with PrivateRedis() as server:
        assert ask(server.url, server.url) == {}


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_server_that_is_not_there_is_found_without_its_password(scheme: str, closed: int) -> None:
    found = ask(f"{scheme}://user:{SECRET}@127.0.0.1:{closed}/0", f"redis://:{SECRET}@127.0.0.1:{closed}/1")

    assert set(found) == {"broker_unreachable", "backend_unreachable"}
    assert f"{scheme}://user:**@127.0.0.1:{closed}" in found["broker_unreachable"].message
    assert "refused" in found["broker_unreachable"].message
    assert all(secret not in repr(finding) for finding in found.values() for secret in (SECRET, "hunter2"))
    assert "--no-connect" in found["broker_unreachable"].remedy


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_server_that_says_nothing_is_found_in_bounded_time(scheme: str, silent: int) -> None:
    found = ask(f"{scheme}://127.0.0.1:{silent}//", f"redis://127.0.0.1:{silent}/1")

    assert set(found) == {"broker_unreachable", "backend_unreachable"}
    assert f"127.0.0.1:{silent}" in found["broker_unreachable"].message


@pytest.mark.rabbitmq
def test_a_refused_password_is_told_and_not_shown(rabbitmq_url: str) -> None:
    host = rabbitmq_url.rpartition("@")[2]

    found = ask(f"amqp://nobody:{SECRET}@{host}")

    assert set(found) == {"broker_unreachable"}
    assert "ACCESS_REFUSED" in found["broker_unreachable"].message
    assert "hunter2" not in repr(found)


@pytest.mark.redis
def test_one_of_several_brokers_is_enough(closed: int, redis_url: str) -> None:
    assert ask(f"redis://127.0.0.1:{closed}/0;{redis_url}") == {}


def test_a_missing_client_library_is_told() -> None:
    app = Celery("unit", broker="sqs://", set_as_current=False)

    found = [finding.message for finding in unreachable(app, BOUND_SECONDS)]

    assert len(found) == 1
    assert "boto" in found[0]


APP = """
    from celery import Celery
    from pico_ioc import DictSource, component, configuration, init

    from shop_contracts import Orders

    from pico_celery import task


    @component
    class Worker:
        @task(Orders.cancel)
        async def cancel(self, order_id: int) -> None: ...


    settings = {{"broker_url": "redis://:{secret}@127.0.0.1:{port}/0", "backend_url": None}}
    container = init(modules=["pico_celery", __name__], config=configuration(DictSource({{"celery": settings}})))
    celery_app = container.get(Celery)
"""


def check(folder: Path, *more: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    program = [sys.executable, "-c", "from pico_celery_tooling.cli.main import main; main()"]
    done = subprocess.run(
        [*program, "-A", "shop_app:celery_app", "check", "shop_contracts", "--json", *more],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout, done.stderr
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_command_checks_the_application_and_connects_unless_told_not_to(tmp_path: Path, closed: int) -> None:
    (tmp_path / "shop_app.py").write_text(textwrap.dedent(APP).format(secret=SECRET, port=closed))

    status, told = check(tmp_path)
    breaks = {(finding["rule"], finding["task"]) for finding in told["findings"] if finding["level"] == "break"}
    assert status == 1
    # Two tasks of the contract go to the queue of the third one, which is served.
    assert breaks == {
        ("broker_unreachable", "broker_url"),
        ("not_implemented", "orders.place"),
        ("not_implemented", "orders.status"),
    }

    ignored = ["--ignore", "not_implemented:*=another deployment of the same code serves them"]
    status, told = check(tmp_path, "--no-connect", *ignored)
    assert "broker_unreachable" not in {finding["rule"] for finding in told["findings"]}
    assert status == 0
