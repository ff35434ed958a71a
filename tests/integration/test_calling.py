"""`call` end to end: to real workers, over both brokers, with and without anything of the contract in Python."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result

from pico_celery import default_catalog
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import LOCK_FILE, to_text
from pico_celery_tooling.cli.main import pico_celery
from tests.integration.apps.calling_contracts import Desk
from tests.integration.conftest import Served, StartWorker, matrix
from tests.integration.test_secrets import captured_events
from tests.support.processes import ROOT
from tests.support.servers import PrivateRedis
from tests.support.sites import Site
from tests.support.waiting import becomes, eventually

ORDER = {"number": 7, "lines": [{"sku": "tea", "quantity": 2, "price": "4.50"}]}
GONE = {"number": 8, "lines": [{"sku": "nothing", "quantity": 1, "price": "1"}]}
RUN_SECONDS = 60
PROGRAM = "from pico_celery_tooling.cli.main import main; main()"


@pytest.fixture(scope="module")
def on_redis(start_worker: StartWorker) -> Iterator[Served]:
    """A worker on a Redis server without any prefix, to which a URL alone leads."""
    with PrivateRedis() as server:
        none: dict[str, Any] = {"broker_transport_options": {}, "result_backend_transport_options": {}}
        site = Site(broker_url=server.url, backend_url=server.url, extra=none)
        with start_worker("calling_worker", "async", "redis", site=site) as started:
            yield started


@pytest.fixture(scope="module", params=matrix(("async", "redis"), ("async", "rabbitmq-rpc")))
def served(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    pool, transport = request.param
    if transport == "redis":
        yield request.getfixturevalue("on_redis")
        return
    with start_worker("calling_worker", pool, transport) as started:
        yield started


def lock_text() -> str:
    return to_text(document_of([one for one in default_catalog.contracts if one.cls is Desk]))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the lock file, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("APP", raising=False)
    (tmp_path / LOCK_FILE).write_text(lock_text())
    return tmp_path


def call(served: Served, task: str, data: Any = None, *arguments: str, **options: Any) -> Result:
    """Run the command in this process, with the application of a worker's site."""
    given = [] if data is None else ["--data", json.dumps(data)]
    loaded = SimpleNamespace(app=served.app)
    return CliRunner().invoke(pico_celery, ["-A", "shop", "call", task, *given, *arguments], obj=loaded, **options)


def start(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], stderr: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Start a program as a user does, who has nothing of the tests on the path."""
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("CELERY_", "PYTEST_", "PYTHONPATH"))
    }
    return subprocess.Popen(
        [sys.executable, *(["-c", PROGRAM] if command[0] == "pico-celery" else ["-m", command[0]]), *command[1:]],
        cwd=folder,
        env={**own, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Run a program to its end, and return exit code, output and errors."""
    with start(command, folder, environment) as process:
        output, errors = process.communicate(timeout=RUN_SECONDS)
    return process.returncode, output, errors


def in_site(site: Site) -> dict[str, str]:
    """Return the environment of a program that imports the applications of the tests."""
    return {**site.environment(), "PYTHONPATH": str(ROOT)}


def test_a_result_is_printed_as_json(served: Served, here: Path) -> None:
    done = call(served, "desk.book", {"order": ORDER, "dry_run": True})
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"number": 7, "total": "9.00", "dry_run": True}


def test_programs_get_id_and_state_too(served: Served, here: Path) -> None:
    told = json.loads(call(served, "desk.book", {"order": ORDER}, "--json").stdout)
    task_id = told.pop("id")
    assert told == {"task": "desk.book", "state": "SUCCESS", "result": {"number": 7, "total": "9.00", "dry_run": False}}
    assert f"desk.book[{task_id}]" in served.worker.log


def test_a_declared_error_is_printed_with_code_and_fields(served: Served, here: Path) -> None:
    done = call(served, "desk.book", {"order": GONE})
    assert (done.exit_code, done.stderr) == (1, "")
    error = json.loads(done.stdout)["error"]
    assert "left=0" in error.pop("message")
    assert error == {
        "code": "desk.sold_out",
        "type": "SoldOut",
        "retryable": False,
        "fields": {"sku": "nothing", "left": 0},
    }


def test_another_failure_is_printed_with_its_type_and_its_traceback_on_request(served: Served, here: Path) -> None:
    done = call(served, "desk.stumble", {"text": "no line"})
    assert done.exit_code == 1
    assert json.loads(done.stdout)["error"] == {
        "type": "tests.integration.apps.calling_worker.StrangerError",
        "message": "no line",
    }
    done = call(served, "desk.stumble", {"text": "no line"}, "--traceback", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["state"]) == (1, "FAILURE")
    assert "raise StrangerError(text)" in told["error"]["traceback"]


def test_what_does_not_fit_is_not_sent(served: Served, here: Path) -> None:
    done = call(
        served, "desk.book", {"order": {**ORDER, "number": "seven"}}, "--option", f"task_id={(unsent := uuid4().hex)}"
    )
    assert (done.exit_code, done.stdout) == (2, "")
    assert "desk.book: order.number: expected integer" in done.stderr
    assert call(served, "desk.request").exit_code == 0  # the worker has seen all that was sent before
    assert unsent not in served.worker.log


def test_a_call_without_an_answer_ends_in_time_and_says_where_to_look(served: Served, here: Path) -> None:
    key = uuid4().hex
    done = call(served, "desk.hold", {"key": key}, "--timeout", "0.5", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 2
    assert f"desk.hold[{told['id']}]: no result after 0.5 s" in told["error"]["message"]
    assert f"the task goes on; look again: celery -A shop result {told['id']}" in told["error"]["remedy"]
    served.worker.note(key)
    assert eventually(lambda: f"desk.hold[{told['id']}] succeeded" in served.worker.log)


def test_the_deadline_of_the_contract_is_kept_and_heard_of(served: Served, here: Path) -> None:
    done = call(served, "desk.hurry", {"key": "late"})
    error = json.loads(done.stdout)["error"]
    assert done.exit_code == 1
    assert error["type"] == "pico_celery.errors.DeadlineExceeded"
    assert "was to end by" in error["message"]


def test_a_queue_that_nobody_reads_is_told(served: Served, here: Path) -> None:
    queue = f"{served.site.prefix}.nobody"
    given = ["--timeout", "0.3", "--option", f"queue={queue}", "--option", "expires=1"]
    done = call(served, "desk.request", None, *given)
    assert done.exit_code == 2
    assert "no result after 0.3 s" in done.stderr
    if served.keeps_results:
        assert "no worker has taken it: is one running that takes its queue, and keeps results" in done.stderr
    else:
        with served.site.connection() as connection:
            channel: Any = connection.default_channel
            channel.queue_delete(queue)
            channel.exchange_delete(queue)


def test_options_and_headers_travel(served: Served, here: Path) -> None:
    given = [
        "--option",
        'headers={"x-trace": "1"}',
        "--option",
        "priority=3",
        "--option",
        "shadow=asked",
        "--option",
        "timeout=20",
    ]
    told = json.loads(call(served, "desk.request", None, *given).stdout)
    task = document_of(default_catalog.contracts).tasks["desk.request"]
    assert (told["x-trace"], told["priority"], told["shadow"]) == ("1", "3", "asked")
    assert (told["pico_contract"], told["pico_digest"]) == ("desk", task.digest)
    assert told["pico_deadline"].endswith("+00:00")


def test_whoever_does_not_wait_gets_the_id(served: Served, here: Path) -> None:
    key = uuid4().hex
    done = call(served, "desk.note", {"key": key}, "--no-wait")
    assert (done.exit_code, done.stderr) == (0, "")
    assert eventually(lambda: served.worker.noted(key))
    assert f"desk.note[{done.stdout.strip()}]" in served.worker.log
    told = call(served, "desk.note", {"key": key}, "--json")
    assert json.loads(told.stdout).keys() == {"task", "id"}
    assert "was sent with ignore_result: no result comes back" in told.stderr


@pytest.mark.parametrize("is_imported", [True, False])
def test_secrets_arrive_and_show_in_no_log_or_event(
    served: Served, here: Path, monkeypatch: pytest.MonkeyPatch, is_imported: bool
) -> None:
    password, memo = f"hush-{uuid4().hex}", f"psst-{uuid4().hex}"
    data = {"login": {"user": "ann", "password": password, "memo": memo}, "door": 4}
    (here / "login.json").write_text(json.dumps(data))
    if not is_imported:
        monkeypatch.setattr(default_catalog, "_tasks", {})
    with captured_events(served) as events:
        for arguments, given in ((["--data", "@login.json"], None), (["--data", "-"], json.dumps(data))):
            done = call(served, "desk.enter", None, *arguments, input=given)
            assert json.loads(done.stdout) == f"ann at 4, {len(password)}"
        becomes(lambda: len([one for one in events if one["type"] == "task-succeeded"]), 2)
    received = [event["kwargs"] for event in events if event["type"] == "task-received"]
    shown = "Login(user='ann'" if is_imported else "{'login': (not shown), 'door': 4}"
    assert [shown in text for text in received] == [True, True]
    assert "DEBUG" in served.worker.log
    for text in (json.dumps(events, default=str), served.worker.log):
        assert password not in text
        assert memo not in text


def test_a_revoked_call_is_told(served: Served, here: Path) -> None:
    task_id = str(uuid4())
    served.app.control.revoke(task_id)
    assert eventually(lambda: task_id in served.worker.log)
    done = call(served, "desk.request", None, "--option", f"task_id={task_id}")
    assert done.exit_code == 2
    assert f"desk.request[{task_id}] was revoked: it was not run to its end" in done.stderr


@pytest.mark.redis
def test_calls_with_one_key_are_one_call(on_redis: Served, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = int(uuid4()) % 10**9
    first = call(on_redis, "desk.once", {"number": number}, "--json")  # the key is the contract's, computed here
    second = call(on_redis, "desk.once", {"number": number}, "--json")
    assert json.loads(first.stdout) == json.loads(second.stdout)
    assert "an earlier call has the same idempotency key" in second.stderr
    monkeypatch.setattr(default_catalog, "_tasks", {})
    keyless = call(on_redis, "desk.once", {"number": number})
    assert (keyless.stdout.strip(), "that only Python computes: this one has none" in keyless.stderr) == ("2", True)
    given = call(on_redis, "desk.once", {"number": number}, "--option", f"idempotency_key={number}")
    assert given.stdout.strip() == "1"  # what the key of the contract makes of it


@pytest.mark.redis
def test_a_lock_file_alone_is_enough(on_redis: Served, tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text(lock_text())
    nothing = run(["pico-celery", "lock", "tests.integration.apps.calling_contracts"], tmp_path, {})
    assert nothing[0] == 2  # the contract cannot be imported here
    url = on_redis.site.broker_url
    servers = ["--broker", url, "--result-backend", url, "--option", f"queue={on_redis.site.queue}"]
    data = json.dumps({"order": ORDER})
    code, output, errors = run(["pico-celery", "call", "desk.book", "--data", data, *servers], tmp_path, {})
    assert (code, errors) == (0, "")
    assert json.loads(output)["total"] == "9.00"


@pytest.mark.redis
def test_live_workers_alone_are_enough(on_redis: Served, tmp_path: Path) -> None:
    given = ["-A", "tests.integration.apps.plain:celery_app", "contracts", "call", "desk.book"]
    environment = in_site(on_redis.site)
    code, output, errors = run(["celery", *given, "--data", json.dumps({"order": GONE})], tmp_path, environment)
    assert (code, errors) == (1, "")
    assert json.loads(output)["error"]["fields"] == {"sku": "nothing", "left": 0}


@pytest.mark.redis
def test_live_workers_tell_which_tasks_there_are(
    on_redis: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call(on_redis, "desk.bok", None, "--live")
    assert done.exit_code == 2
    assert "no task 'desk.bok' in the running workers" in done.stderr
    assert "did you mean 'desk.book'" in done.stderr


@pytest.mark.redis
def test_the_contract_of_the_application_is_enough(on_redis: Served, tmp_path: Path) -> None:
    given = [
        "-A",
        "tests.integration.apps.calling_worker:celery_app",
        "call",
        "desk.book",
        "--data",
        json.dumps({"order": ORDER}),
    ]
    code, output, errors = run(["pico-celery", *given], tmp_path, in_site(on_redis.site))
    assert (code, errors) == (0, "")
    assert json.loads(output)["number"] == 7


@pytest.mark.redis
def test_an_interrupt_leaves_the_task_alone_and_says_so(on_redis: Served, here: Path) -> None:
    """On a terminal, which shows the state meanwhile."""
    key = uuid4().hex
    url = on_redis.site.broker_url
    servers = ["--broker", url, "--result-backend", url, "--option", f"queue={on_redis.site.queue}"]
    given = ["pico-celery", "call", "desk.hold", "--data", json.dumps({"key": key}), *servers]
    screen, terminal = os.openpty()
    # A shell lets what it runs in the background ignore interrupts, and so would the command that is started here.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with start(given, here, {}, stderr=terminal) as process, os.fdopen(screen, "rb", buffering=0) as shown:
        os.close(terminal)
        errors = ""
        while "STARTED" not in errors and process.poll() is None:
            errors += shown.read(4096).decode()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=RUN_SECONDS)
        signal.signal(signal.SIGINT, before)
        errors += shown.read(4096).decode()
    assert (process.returncode, output) == (130, "")
    assert "goes on; look again: celery --result-backend ... result " in errors
    on_redis.worker.note(key)
    task_id = errors.rsplit(" result ", 1)[1].strip()
    assert eventually(lambda: f"desk.hold[{task_id}] succeeded" in on_redis.worker.log)


@pytest.mark.redis
def test_without_a_result_backend_the_call_is_sent_and_the_user_told(on_redis: Served, here: Path) -> None:
    key = uuid4().hex
    servers = ["--broker", on_redis.site.broker_url, "--option", f"queue={on_redis.site.queue}"]
    given = ["call", "desk.hold", "--data", json.dumps({"key": key}), *servers]
    done = CliRunner().invoke(pico_celery, given)
    assert done.exit_code == 0
    assert "there is no result backend, so nothing comes back" in done.stderr
    on_redis.worker.note(key)
    assert eventually(lambda: f"desk.hold[{done.stdout.strip()}] succeeded" in on_redis.worker.log)


@pytest.mark.redis
def test_plain_workers_are_called_as_well(
    start_worker: StartWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.integration.apps.contracts import Shop

    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.json").write_text(
        to_text(document_of([one for one in default_catalog.contracts if one.cls is Shop]))
    )
    with start_worker("plain", "solo", "redis") as plain:
        done = call(plain, "shop.place", {"order": ORDER}, "--in", "shop.json")
        assert (done.exit_code, json.loads(done.stdout)["total"]) == (0, "9.00")
        (noted,) = plain.worker.noted("plain-7")
        assert json.loads(noted)["kwargs"] == {"order": ORDER}
        moment = {"amount": "1.5", "key": str(uuid4()), "at": "2026-01-01T00:00:00Z"}
        done = call(plain, "shop.remember", {"moment": moment}, "--in", "shop.json")
        assert (done.exit_code, json.loads(done.stdout)["amount"]) == (0, "1.5")  # kombu's own form of a Decimal
        receipt = {"number": 3, "total": "1", "dry_run": False}
        done = call(plain, "shop.ship", {"receipt": receipt}, "--in", "shop.json")
        assert (done.exit_code, done.stdout) == (1, "3\n")
        assert "warning: the result does not fit the contract of shop.ship" in done.stderr
        assert "return: expected string, got 3" in done.stderr
        live = call(plain, "shop.place", {"order": ORDER}, "--live")
        assert live.exit_code == 2
        assert "a worker serves shop.place without a contract" in live.stderr
        assert "or send it unchecked: celery -A ... call" in live.stderr
