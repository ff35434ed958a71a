"""Sentences of the docs about imports, threads, loops and numbers are true.

Blocks of code are run by `test_docs`. Here each test quotes the sentences that it checks: `claim` fails when a page no longer
has one, so that a sentence is not reworded without a look at its test.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from pico_celery import CelerySettings, EmbeddedBroker, create_app
from pico_celery.worker.engine_options import DEFAULT_CONCURRENCY, DEFAULT_PREFETCH_MULTIPLIER, EngineOptions
from tests.acceptance.commands import ROOT, as_python, run, worker
from tests.acceptance.pages import INDEX, PAGES, README, Page

DOCS = INDEX.path.parent
HEAVY = ("celery", "kombu", "pico_ioc", "redis", "greenlet")
README_WORKER = "celery -A worker:celery_app worker -Q orders -l INFO"


def claim(page: str, *sentences: str) -> None:
    """Check that a page still says what this test is about."""
    text = " ".join((ROOT / page).read_text().split())
    assert [sentence for sentence in sentences if sentence not in text] == [], page


def write_files(folder: Path, *pages: Page) -> None:
    for page in pages:
        for block in page.blocks:
            if block.file_name and not block.file_name.startswith("wrong_"):
                (folder / block.file_name).write_text(block.source)


def loaded_by(module: str, folder: Path, names: tuple[str, ...]) -> list[str]:
    """Return which packages or modules are loaded after an import, in an interpreter of its own."""
    program = f"import sys, {module}; names = {names!r}; print([name for name in names if name in sys.modules], file=sys.stderr)"
    status, output = run([sys.executable, "-c", program], folder)
    assert status == 0, output
    return list(json.loads(output.splitlines()[-1].replace("'", '"')))


def last_line(program: str, folder: Path) -> object:
    """Run a program, and return the JSON value of its last line."""
    path = folder / "program.py"
    path.write_text(program)
    status, output = run([sys.executable, str(path)], folder)
    assert status == 0, output
    return json.loads(output.splitlines()[-1])


# imports


def test_a_contract_needs_neither_celery_nor_a_container(tmp_path: Path) -> None:
    claim("docs/how-to/contract.md", "Importing it loads neither Celery nor a container.")
    claim("docs/design.md", "At run time, a contract package needs neither Celery nor a container.")
    write_files(tmp_path, README)

    assert loaded_by("orders", tmp_path, HEAVY) == []

    without = "\n".join(f"sys.modules[{name!r}] = None" for name in HEAVY)
    program = f"import sys\n{without}\nimport orders\nfrom pico_celery import default_catalog\nprint(len(default_catalog.tasks))"
    assert last_line(program, tmp_path) == 2


def test_a_service_with_a_client_loads_no_worker_code(tmp_path: Path) -> None:
    claim("docs/quickstart.md", "`service.py` imports no worker code")
    write_files(tmp_path, README, Page(DOCS / "quickstart.md"))

    assert loaded_by("service", tmp_path, ("worker", "client", "orders")) == ["client", "orders"]
    EmbeddedBroker(tmp_path / ".pico-celery").shutdown()


def test_a_worker_loads_nothing_of_the_command_line(tmp_path: Path) -> None:
    claim("docs/design.md", "a separate package, which no worker imports")
    write_files(tmp_path, README)

    assert loaded_by("worker", tmp_path, ("pico_celery_tooling", "pico_celery.worker")) == ["pico_celery.worker"]
    EmbeddedBroker(tmp_path / ".pico-celery").shutdown()


def test_the_picture_of_the_layers_names_what_there_is() -> None:
    picture = next(block.source for block in Page(DOCS / "design.md").blocks if "errors.py" in block.source)
    names = re.findall(r"^  ([\w.]+?)/?  +", picture, re.MULTILINE)

    assert [name for name in names if not (ROOT / "src" / "pico_celery" / name).exists()] == []
    packages = {path.name for path in (ROOT / "src" / "pico_celery").iterdir() if (path / "__init__.py").exists()}
    assert packages <= set(names)


def test_a_lock_file_is_enough_for_the_commands_that_read(tmp_path: Path) -> None:
    claim(
        "docs/how-to/evolve.md",
        "`list`, `describe`, `call`, `schema` and `docs` can work from it alone, without your models.",
    )
    write_files(tmp_path, README)
    assert run(as_python("pico-celery lock orders"), tmp_path)[0] == 0
    for path in tmp_path.glob("*.py"):
        path.unlink()

    for command in (
        "list",
        "describe orders.place",
        "call orders.place --example",
        "schema orders.place",
        "docs -o site",
    ):
        status, output = run(as_python(f"pico-celery {command}"), tmp_path)
        assert status == 0, output


def test_a_message_does_not_decide_what_is_imported(tmp_path: Path) -> None:
    claim("docs/design.md", "No module is imported because a message names it")
    claim("docs/how-to/errors-and-retries.md", "No module is imported and no object built because a message names it.")
    write_files(tmp_path, README)
    program = """
import json, sys
from orders import Orders
from pico_celery import AsyncResult, CelerySettings, RemoteError, create_app

app = create_app(CelerySettings(broker_url="memory://", backend_url="cache+memory://"))
failure = {"exc_type": "Stranger", "exc_module": "colorsys", "exc_message": ["it failed"]}
meta = {"task_id": "1", "status": "FAILURE", "result": failure, "traceback": None, "children": []}
app.backend.set(app.backend.get_key_for_task("1"), app.backend.encode(meta))
try:
    AsyncResult.of(Orders.cancel, "1", app).get(timeout=5)
except RemoteError as error:
    print(json.dumps([error.remote_type, "colorsys" in sys.modules]))
"""

    assert last_line(program, tmp_path) == ["colorsys.Stranger", False]


def test_the_commands_of_the_benchmarks_are_those_that_make_runs() -> None:
    claim("docs/benchmarks.md", "`make bench` runs all of them")
    commands = [block.source.strip() for block in Page(DOCS / "benchmarks.md").blocks]

    target = (ROOT / "Makefile").read_text().split("\nbench:", 1)[1].split("\n\n", 1)[0]
    assert commands == re.findall(r"(python -m benchmarks\.\w+)", target)
    assert all((ROOT / "benchmarks" / f"{command.rpartition('.')[2]}.py").exists() for command in commands)


def test_the_layers_are_checked_where_the_page_says() -> None:
    claim("docs/design.md", "import-linter enforces this in `make test`.")

    assert "lint-imports" in (ROOT / "Makefile").read_text()


# the client's threads


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """README's files, with its worker running."""
    folder = tmp_path_factory.mktemp("shop")
    write_files(folder, README)
    with contextlib.ExitStack() as processes:
        processes.callback(EmbeddedBroker(folder / ".pico-celery").shutdown)
        processes.enter_context(worker(as_python(README_WORKER), folder))
        yield folder


def test_a_client_adds_at_most_two_threads_and_none_when_it_is_idle(shop: Path) -> None:
    claim(
        "docs/internals/client.md",
        "A client adds at most two threads to its process, however many event loops and threads call and wait.",
        "end after two seconds without work",
    )
    claim("docs/how-to/client.md", "A process needs at most two threads for all of them")
    program = """
import asyncio, json, threading, time
from client import connect
from orders import Order

client, order, most = connect(), Order(id=1, lines=[]), 0
before = set(threading.enumerate())
own = []

def look():
    global most
    most = max(most, len(set(threading.enumerate()) - before - set(own)))

async def call_many():
    async def call():
        await client.place(order, dry_run=True)
        look()
    await asyncio.gather(*[call() for _ in range(30)])

def wait():
    client.place(order, dry_run=True).get(timeout=30)
    look()

own += [threading.Thread(target=asyncio.run, args=(call_many(),)) for _ in range(3)]
own += [threading.Thread(target=wait) for _ in range(3)]
for thread in own:
    thread.start()
for thread in own:
    thread.join()
end = time.monotonic() + 10
while set(threading.enumerate()) - before and time.monotonic() < end:
    time.sleep(0.05)
print(json.dumps([most, len(set(threading.enumerate()) - before)]))
"""

    assert last_line(program, shop) == [2, 0]


def test_what_was_handed_over_is_sent_when_the_process_exits(shop: Path) -> None:
    claim("docs/internals/client.md", "When the interpreter exits, calls that were handed over are sent first")
    claim("docs/how-to/client.md", "When the process exits, calls that were handed over are still published.")
    program = """
import asyncio
from client import connect
from orders import Order

async def main():
    connect().place.with_options(task_id="handed-over")(Order(id=7, lines=[]))

asyncio.run(main())
print("null")
"""
    assert last_line(program, shop) is None

    look = """
import json
from client import connect
from orders import Orders
from pico_celery import AsyncResult

client = connect()
print(json.dumps(AsyncResult.of(Orders.place, "handed-over", client.place(dict(id=8, lines=[])).app).get(timeout=30).order_id))
"""
    assert last_line(look, shop) == 7


def test_a_call_does_not_block_the_loop_while_the_broker_does_not_respond(tmp_path: Path) -> None:
    claim("docs/how-to/client.md", "Neither publishing nor waiting blocks the loop.")
    claim("docs/how-to/task-context.md", "`client.task(...)` hands the call over to a thread and returns at once.")
    claim("docs/how-to/worker.md", "`client.task(...)` and `await client.task.asend(...)` do not block it")
    write_files(tmp_path, README)
    program = """
import asyncio, json, os, socket, time
from client import OrdersClient
from pico_celery import CelerySettings, create_app

silent = socket.create_server(("127.0.0.1", 0))  # accepts connections, and never answers
url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
client = OrdersClient(create_app(CelerySettings(broker_url=url, backend_url=url)))

async def main():
    longest, asked, ended = 0.0, 0, False

    async def tick():
        nonlocal longest
        while not ended:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - began)

    ticking = asyncio.create_task(tick())
    result = client.cancel(1)
    waits = [asyncio.create_task(client.cancel.asend(2)), asyncio.ensure_future(asyncio.wait_for(result, 1.5))]
    done, pending = await asyncio.wait(waits, timeout=1.0)
    ended = True
    await ticking
    print(json.dumps([len(done), longest < 0.5]), flush=True)
    os._exit(0)  # or the calls would be tried for some time yet

asyncio.run(main())
"""

    assert last_line(program, tmp_path) == [0, True]


# the worker's threads and loops


ASK = """
import json
from tests.acceptance.claims_worker import ClaimsClient, celery_app

client = ClaimsClient(celery_app)
print(json.dumps({
    "loops": [result.get(timeout=30) for result in client.where.send_many([0.1] * 100)],
    "components": [result.get(timeout=30) for result in [client.components() for _ in range(5)]],
    "ids": client.ids_elsewhere().get(timeout=30),
    "plain": [result.get(timeout=30) for result in [celery_app.send_task("plain.thread") for _ in range(50)]],
    "threads": client.threads().get(timeout=30),
}))
"""


@contextlib.contextmanager
def answers_of(pool: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Run a worker, and yield what its tasks report about their process."""
    command = as_python(f"celery -A tests.acceptance.claims_worker:celery_app worker {pool} -l INFO")
    with contextlib.ExitStack() as processes:
        processes.callback(EmbeddedBroker(folder / ".pico-celery").shutdown)
        processes.enter_context(worker(command, folder, {"PYTHONPATH": str(ROOT)}))
        answers = last_line(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n{ASK}", folder)
        assert isinstance(answers, dict)
        yield answers


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with answers_of("", tmp_path_factory.mktemp("claims")) as found:
        yield found


def test_all_tasks_of_a_process_run_on_one_loop_on_one_thread(answers: dict[str, Any]) -> None:
    claim("docs/how-to/worker.md", "The method runs on the single event loop of the process")

    assert len({loop for loop, _ in answers["loops"]}) == 1
    assert {thread for _, thread in answers["loops"]} == {"pico-celery-loop"}


@pytest.mark.slow
def test_the_pool_of_threads_has_one_loop_too(tmp_path: Path) -> None:
    claim("docs/how-to/worker.md", "| `... -P threads` | `-c`, all on the event loop of one process | no |")

    with answers_of("-P threads -c 20", tmp_path) as answers:
        assert len({loop for loop, _ in answers["loops"]}) == 1
        assert {thread for _, thread in answers["loops"]} == {"pico-celery-loop"}


def test_a_singleton_is_shared_by_tasks_and_a_request_scoped_component_is_not(answers: dict[str, Any]) -> None:
    claim("docs/pico-ioc.md", "A worker gives each run of a task its own `request` scope")

    singletons, of_tasks = zip(*answers["components"], strict=True)
    assert len(set(singletons)) == 1
    assert sorted(of_tasks) == [1, 2, 3, 4, 5]


def test_the_context_follows_a_task_into_threads_with_its_context_only(answers: dict[str, Any]) -> None:
    claim(
        "docs/how-to/task-context.md",
        "A thread that you start yourself does not have them, unless you run it in `contextvars.copy_context()`.",
    )

    own = answers["ids"]["own"]
    assert answers["ids"] == {
        "own": own,
        "to_thread": own,
        "plain thread": None,
        "thread with a copied context": own,
    }


def limits_of_threads() -> dict[str, int]:
    """Return what the table of a worker's threads says: beginnings of names, and how many there may be."""
    text = (DOCS / "internals" / "worker.md").read_text()
    rows = re.findall(
        r"^\| [\w/]+ \| `([\w-]+)` \| .* \| (?:started .*?(\d+)\D*?|(\d+)\D.*|(\d+) )\|$", text, re.MULTILINE
    )
    return {name: int(many or few or one) for name, many, few, one in rows}


def test_a_worker_has_the_threads_of_the_table_and_no_others(answers: dict[str, Any]) -> None:
    limits = limits_of_threads()
    assert len(limits) == 10

    assert all(name.startswith("pico-celery-sync-") for name in answers["plain"])
    found = Counter(next((known for known in limits if name.startswith(known)), name) for name in answers["threads"])
    assert {name: count for name, count in found.items() if count > limits.get(name, 0)} == {}
    assert {"MainThread", "pico-celery-loop", "pico-celery-watchdog", "pico-celery-tracer-"} <= found.keys()


# numbers


def defaults_of(page: str, *, of: str) -> dict[str, str]:
    """Return names and defaults of the table that comes after a heading."""
    text = (ROOT / page).read_text().split(f"\n## {of}\n", 1)[1].split("\n## ", 1)[0]
    return {
        name: default.strip("`") for name, default in re.findall(r"^\| `(\w+)`[^|]*\| ([^|]+?) \|", text, re.MULTILINE)
    }


def test_the_table_of_the_engine_has_its_defaults() -> None:
    table = defaults_of("docs/how-to/scale.md", of="Settings of the engine")
    options = EngineOptions()

    for field in fields(EngineOptions):
        assert table.pop(f"worker_{field.name}") == str(getattr(options, field.name))
    assert table == {
        "worker_pool": "pico_celery.worker.pool:TaskPool",
        "worker_concurrency": str(DEFAULT_CONCURRENCY),
        "worker_prefetch_multiplier": str(DEFAULT_PREFETCH_MULTIPLIER),
    }


def test_the_table_of_settings_has_their_defaults() -> None:
    table = defaults_of("docs/how-to/settings.md", of="Defaults")
    app = create_app(CelerySettings())

    assert table["broker_url"] == app.conf.broker_url
    assert table["backend_url"] == app.conf.result_backend
    assert (table["task_track_started"], app.conf.task_track_started) == ("true", True)
    assert (table["broker_connection_retry_on_startup"], app.conf.broker_connection_retry_on_startup) == ("true", True)
    assert (table["strict_contracts"], CelerySettings().strict_contracts) == ("false", False)


def test_the_threads_of_the_table_are_as_many_as_the_settings_say() -> None:
    limits = limits_of_threads()

    assert limits["pico-celery-tracer-"] == EngineOptions().tracer_threads
    assert limits["pico-celery-sync-"] == EngineOptions().sync_threads


def test_the_readme_names_the_python_versions_and_extras_that_the_package_has() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {
        extra
        for page in PAGES
        for extras in re.findall(r"pico-celery\[([\w,]+)\]", page.text)
        for extra in extras.split(",")
    }

    assert project["requires-python"] == ">=3.11"
    assert "This needs Python 3.11 or newer." in README.text
    assert named == set(project["optional-dependencies"])
