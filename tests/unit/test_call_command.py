"""`call` as far as no server is needed: where the contract is found, what is refused, how answers are read."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import pytest
from celery import Celery
from click.testing import CliRunner, Result
from pydantic import BaseModel, Field, SecretStr
from tests.support.sites import close_app

from pico_celery import Catalog, TaskError, contract, task_options
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import LOCK_FILE, from_text, to_text
from pico_celery.document.records import Document
from pico_celery.errors import OptionError, PayloadError
from pico_celery_tooling.call import prepare as calling
from pico_celery_tooling.call import send as call_sending
from pico_celery_tooling.call.arguments import check_arguments, shown_arguments
from pico_celery_tooling.call.find_task import find_task
from pico_celery_tooling.call.prepare import options_of
from pico_celery_tooling.call.send import Reader
from pico_celery_tooling.cli.main import pico_celery


class SoldOut(TaskError):
    """There is none left."""

    sku: str
    left: int = 0


class Login(BaseModel):
    user: str
    password: SecretStr
    memo: str = Field(repr=False)


class Line(BaseModel):
    sku: str = Field(min_length=1)
    quantity: int = Field(gt=0)


class Receipt(BaseModel):
    number: int
    total: Decimal


@pytest.fixture(scope="module")
def document() -> Document:
    catalog = Catalog()

    @contract("counter", catalog=catalog)
    class Counter(Protocol):
        @task_options(queue="counter", priority=3, expires=600, time_limit=30, errors=[SoldOut])
        async def sell(self, lines: list[Line], *, gift: bool = False) -> Receipt: ...

        async def enter(self, login: Login, door: int) -> None: ...

        @task_options(key=lambda number: number)
        async def once(self, number: int) -> int: ...

        async def close(self) -> None: ...

    whole = document_of(catalog.contracts)
    # As it is where the package is not installed: nothing but text.
    return from_text(to_text(whole), "here")


@pytest.fixture
def here(document: Document, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a lock file, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("APP", raising=False)
    (tmp_path / LOCK_FILE).write_text(to_text(document))
    return tmp_path


def call(*arguments: str, app: Celery | None = None, **options: Any) -> Result:
    """Run the command, with an application where one is given."""
    named = [] if app is None else ["-A", "given"]
    loaded = None if app is None else SimpleNamespace(app=app)
    return CliRunner().invoke(pico_celery, [*named, "call", *arguments], obj=loaded, **options)


def test_all_faults_are_told_at_once_and_nothing_is_sent(here: Path) -> None:
    data = {"lines": [{"sku": "", "quantity": 0}, {"sku": "tea"}], "gfit": True}
    done = call("counter.sell", "--data", json.dumps(data))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "counter.sell: the arguments do not fit the contract, 4 faults" in done.stderr
    assert "counter.sell: unexpected argument 'gfit'; did you mean 'gift'?" in done.stderr
    for path in ("lines[0].sku", "lines[0].quantity", "lines[1].quantity"):
        assert f"counter.sell: {path}: expected " in done.stderr


def test_an_argument_that_is_missing_is_told_with_its_type(here: Path) -> None:
    done = call("counter.sell")
    assert done.exit_code == 2
    assert "counter.sell: lines: expected a value of type list[Line], got nothing; pass it" in done.stderr


def test_faults_are_data_for_programs(here: Path) -> None:
    done = call("counter.sell", "--data", '{"lines": [{"sku": "tea", "quantity": "many"}]}', "--json")
    told = json.loads(done.stdout)["error"]
    assert (done.exit_code, done.stderr) == (2, "")
    assert [fault["path"] for fault in told["faults"]] == ["lines[0].quantity"]
    assert told["faults"][0]["task"] == "counter.sell"


def test_no_fault_shows_a_secret(here: Path) -> None:
    login = {"user": 5, "password": ["hush-1"], "memo": {"hush": 2}}
    done = call("counter.enter", "--data", json.dumps({"login": login, "door": "front"}))
    assert done.exit_code == 2
    assert "hush" not in done.output
    assert "login.password: expected string, got a value that is not shown" in done.stderr
    assert '"front"' in done.stderr


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{'lines': []}", "--data is not JSON: line 1, column 2"),
        ("[1]", "--data: expected a JSON object of arguments by name, got an array"),
        ("3", "got a number"),
        ("@missing.json", "missing.json cannot be read: No such file or directory"),
        ("@latin.json", "latin.json cannot be read"),
        ('{"number": {"__type__": "decimal", "__value__": "1"}}', "number: expected integer"),
    ],
)
def test_data_that_cannot_be_read_is_refused_with_what_to_do(here: Path, data: str, words: str) -> None:
    (here / "latin.json").write_bytes(b'{"number": "\xe9"}')
    done = call("counter.once", "--data", data)
    assert done.exit_code == 2
    assert words in done.stderr


def test_data_comes_from_a_file_or_the_standard_input_too(here: Path) -> None:
    (here / "order.json").write_text('{"nmber": 1}')
    for arguments, given in ((["--data", "@order.json"], None), (["--data", "-"], '{"nmber": 1}')):
        done = call("counter.once", *arguments, input=given)
        assert "unexpected argument 'nmber'; did you mean 'number'?" in done.stderr


def test_what_kombu_would_take_for_a_value_of_its_own_is_refused() -> None:
    catalog = Catalog()

    @contract("loose", catalog=catalog)
    class Loose(Protocol):
        async def take(self, value: dict[str, Any]) -> None: ...

    loose = document_of(catalog.contracts)
    check_arguments(loose.tasks["loose.take"], loose, {"value": {"__type__": "decimal"}}, None)
    with pytest.raises(PayloadError, match="Celery takes it for a value of its own"):
        check_arguments(
            loose.tasks["loose.take"], loose, {"value": {"a": [{"__type__": "decimal", "__value__": "1"}]}}, None
        )


def test_an_example_is_arguments_that_fit(here: Path, document: Document) -> None:
    for name in document.tasks:
        done = call(name, "--example")
        assert (done.exit_code, done.stderr) == (0, "")
        made = json.loads(done.stdout)
        assert set(made) == {parameter.name for parameter in document.tasks[name].parameters}
        check_arguments(document.tasks[name], document, made, None)


def test_data_that_fits_needs_to_know_where_the_workers_are(here: Path) -> None:
    done = call("counter.once", "--data", '{"number": 1}')
    assert done.exit_code == 2
    assert "no application and no broker given" in done.stderr
    assert "pico-celery -A your.module:app call" in done.stderr


def test_a_task_that_is_not_there_is_told_with_the_nearest_names(here: Path) -> None:
    done = call("counter.sel", "--example")
    assert done.exit_code == 2
    assert f"no task 'counter.sel' in {LOCK_FILE}" in done.stderr
    assert "did you mean 'counter.sell'" in done.stderr


def test_without_any_contract_the_user_hears_where_it_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("APP", raising=False)
    done = call("counter.sell", "--example")
    assert done.exit_code == 2
    assert "no contract here says what counter.sell takes" in done.stderr
    assert f"--in, go to the directory of {LOCK_FILE}, or name the application with -A" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--live"], "name the application with -A, or a --broker"),
        (["--live", "--in", LOCK_FILE, "--broker", "redis://"], "and no --in"),
        (["--result-backend", "redis://"], "give --broker too"),
        (["--in", "missing.json"], "missing.json"),
        (["--in", "no_such_package"], "no module named 'no_such_package'"),
        (["--timeout", "-1"], "-1"),
    ],
)
def test_wrong_use_is_refused(here: Path, arguments: list[str], words: str) -> None:
    done = call("counter.close", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


def test_an_application_and_a_broker_are_one_too_many(here: Path) -> None:
    app = Celery("one", set_as_current=False)
    done = call("counter.close", "--broker", "redis://elsewhere", app=app)
    assert (done.exit_code, "both an application and a --broker" in done.stderr) == (2, True)
    done = call("counter.close", "--result-backend", "redis://elsewhere", app=app)
    assert (done.exit_code, "the application has its own" in done.stderr) == (2, True)


def test_help_teaches() -> None:
    done = call("--help")
    assert done.exit_code == 0
    for words in ("--example > order.json", "--data @order.json", "--option", "Exit codes", "contracts.lock.json"):
        assert words in done.stdout


def test_a_task_is_found_under_an_older_name_and_by_a_deprecated_one(document: Document, here: Path) -> None:
    task = document.tasks["counter.close"].model_copy(update={"aliases": ("till.close",), "deprecated": "use shut"})
    counter = document.contracts["counter"]
    changed = counter.model_copy(update={"tasks": {**counter.tasks, "counter.close": task}})
    (here / LOCK_FILE).write_text(to_text(document.model_copy(update={"contracts": {"counter": changed}})))
    found = find_task("till.close", given=None, live=False, has_application=False, application=Celery)
    assert (found.task.name, found.contract, found.origin) == ("counter.close", "counter", LOCK_FILE)
    assert found.notes == ("till.close is an older name of counter.close", "counter.close is deprecated: use shut")
    assert found.definition is None  # nothing of it is imported here


def test_options_are_read_as_what_they_are(document: Document) -> None:
    task = document.tasks["counter.sell"]
    given = ["queue=7", 'headers={"trace": 1}', "countdown=1.5", "ignore-result=true", 'task_id="x"', "timeout=null"]
    found = options_of(task, given)
    assert (found["queue"], found["headers"], found["countdown"]) == ("7", {"trace": 1}, 1.5)
    assert (found["ignore_result"], found["task_id"], found["timeout"]) == (True, "x", None)
    assert (found["priority"], found["expires"], found["time_limit"]) == (3, 600.0, 30.0)  # the contract's


def test_times_are_read_and_have_a_zone(document: Document) -> None:
    task = document.tasks["counter.close"]
    found = options_of(task, ["eta=2030-01-01T12:00:00Z", "expires=2030-01-01"])
    assert found["eta"] == datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert found["expires"] == datetime(2030, 1, 1).astimezone()
    assert options_of(task, ["expires=60"])["expires"] == 60


def test_options_that_stand_nearer_replace_those_of_the_contract(document: Document) -> None:
    found = options_of(document.tasks["counter.sell"], ["exchange=fast"])
    assert found["exchange"] == "fast"
    assert "queue" not in found


def test_all_wrong_options_are_told_at_once(here: Path) -> None:
    wrong = ["quue=a", "countdown=soon", "priority", "link={}", "eta=tomorrow", "priority=900"]
    given = [word for text in wrong for word in ("--option", text)]
    done = call("counter.close", *given)
    assert done.exit_code == 2
    assert "counter.close: quue: expected a known option, got an unknown one; did you mean 'queue'?" in done.stderr
    assert "counter.close: countdown: expected a valid number" in done.stderr
    assert "counter.close: priority: expected name=value, got no '='" in done.stderr
    assert "counter.close: link: expected a known option, got one that only a program can give" in done.stderr
    assert "counter.close: eta: expected a valid datetime" in done.stderr
    assert "less than or equal to 255" in done.stderr


def test_a_countdown_beyond_the_deadline_is_refused(document: Document) -> None:
    found = find_in(document, "counter.close")
    with pytest.raises(OptionError, match="more than the countdown of 9 s"):
        calling.prepare(found, {}, options_of(found.task, ["countdown=9", "timeout=5"]))


def find_in(document: Document, name: str) -> Any:
    from pico_celery_tooling.call.find_task import FoundTask

    return FoundTask(task=document.tasks[name], document=document, contract="counter", origin="here")


def test_a_call_is_sent_as_a_client_sends_it(document: Document) -> None:
    found = find_in(document, "counter.sell")
    data = {"lines": [{"sku": "tea", "quantity": 1}]}
    made = calling.prepare(found, data, options_of(found.task, ["timeout=60", 'headers={"trace": "1"}']))
    assert (made.task, made.kwargs, made.key, made.keyless) == ("counter.sell", data, None, False)
    headers = dict(made.options["headers"])
    assert made.deadline is not None
    assert timedelta(seconds=50) < made.deadline - datetime.now(UTC) <= timedelta(seconds=60)
    assert headers.pop("pico_deadline") == made.deadline.isoformat()
    assert headers == {"trace": "1", "pico_contract": "counter", "pico_digest": found.task.digest}
    own = {name: made.options[name] for name in ("queue", "priority", "expires", "time_limit")}
    assert own == {"queue": "counter", "priority": 3, "expires": 600.0, "time_limit": 30.0}
    assert made.options["kwargsrepr"] == repr(data)
    assert "timeout" not in made.options


def test_a_key_that_only_python_computes_is_missed_and_one_that_is_given_is_taken(document: Document) -> None:
    found = find_in(document, "counter.once")
    assert calling.prepare(found, {"number": 1}, {}).keyless
    made = calling.prepare(found, {"number": 1}, options_of(found.task, ["idempotency_key=a", "idempotency_ttl=5"]))
    assert made.key is not None
    assert (made.keyless, made.key.text, made.key.ttl_seconds, "idempotency_key" in made.options) == (
        False,
        "a",
        5,
        False,
    )
    with pytest.raises(OptionError, match="expected a text, got an empty one"):
        calling.prepare(found, {"number": 1}, {"idempotency_key": ""})


def test_what_logs_may_show_holds_no_secret(document: Document) -> None:
    data = {"login": {"user": "ann", "password": "hush", "memo": "psst"}, "door": 4}
    task = document.tasks["counter.enter"]
    assert shown_arguments(task, document, data, None) == "{'login': (not shown), 'door': 4}"
    unmarked = task.model_copy(
        update={"parameters": tuple(one.model_copy(update={"sensitive": False}) for one in task.parameters)}
    )
    assert "hush" not in shown_arguments(unmarked, document, data, None)  # the schema marks the password


def read(document: Document, status: str, result: Any, traceback: str | None = None) -> Any:
    reader = Reader(document.tasks["counter.sell"], document)
    return reader.read({"status": status, "result": result, "traceback": traceback})


def test_a_result_is_read_whoever_stored_it(document: Document) -> None:
    for total in ("1.50", Decimal("1.50")):  # kombu makes a Decimal of what a plain worker stores
        answer = read(document, "SUCCESS", {"number": 1, "total": total})
        assert (answer.succeeded, answer.data) == (True, {"result": {"number": 1, "total": "1.50"}})


def test_a_result_that_does_not_fit_is_told(document: Document) -> None:
    answer = read(document, "SUCCESS", {"number": "x"})
    assert (answer.succeeded, answer.result) == (False, {"number": "x"})
    assert [line.partition(":")[0] for line in answer.misfits] == ["return.number", "return.total"]


def test_a_declared_error_is_read_with_its_fields(document: Document) -> None:
    data = {"code": "counter.sold_out", "task": "counter.sell", "fields": {"sku": "tea", "left": 0}}
    stored = {"exc_type": "SoldOut", "exc_module": "nowhere.at_all", "exc_message": ["sku='tea'", data]}
    answer = read(document, "FAILURE", stored, "Traceback ...")
    assert (answer.succeeded, answer.misfits, answer.traceback) == (False, (), "Traceback ...")
    assert answer.error == {
        "code": "counter.sold_out",
        "type": "SoldOut",
        "message": "sku='tea'",
        "retryable": False,
        "fields": {"sku": "tea", "left": 0},
    }
    data["fields"] = {"left": "none"}
    told = {line.partition(": ")[0] for line in read(document, "FAILURE", stored).misfits}
    assert told == {"counter.sold_out.left", "counter.sold_out.sku"}


def test_another_failure_is_read_with_type_and_text(document: Document) -> None:
    stored = {"exc_type": "ValueError", "exc_module": "builtins", "exc_message": ["no line"]}
    assert read(document, "FAILURE", stored).error == {"type": "builtins.ValueError", "message": "no line"}
    assert read(document, "REVOKED", {**stored, "exc_type": "TaskRevokedError"}).revoked
    faults = [{"task": "counter.sell", "path": "lines"}]
    own = {"exc_type": "PayloadError", "exc_module": "pico_celery.errors", "exc_message": ["m", {"faults": faults}]}
    assert read(document, "FAILURE", own).error["faults"] == faults


@contextmanager
def silent_server() -> Iterator[int]:
    """Give the port of a server that accepts, and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield server.getsockname()[1]


def closed_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_a_broker_that_is_not_there_is_told_with_its_address(here: Path, scheme: str) -> None:
    url = f"{scheme}://user:hush@127.0.0.1:{closed_port()}/"
    done = call("counter.close", "--broker", url)
    assert done.exit_code == 2
    assert f"the broker {scheme}://" in done.stderr
    assert "cannot be reached: OperationalError" in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        (["--broker", "http://user:hush@host/"], "the broker http://"),
        (["--broker", "memory://localhost", "--result-backend", "nosuch://host"], "the result backend cannot be used"),
        (["--broker", "embedded:x"], "embedded:x"),
    ],
)
def test_a_url_that_is_none_is_told(here: Path, servers: list[str], words: str) -> None:
    done = call("counter.close", *servers)
    assert (done.exit_code, words in done.stderr, "hush" in done.stderr) == (2, True, False), done.stderr


def test_a_broker_that_says_nothing_holds_nobody_for_ever(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_sending, "_PUBLISH_SECONDS", 0.2)
    with silent_server() as port:
        done = call("counter.close", "--broker", f"redis://127.0.0.1:{port}/")
    assert done.exit_code == 2
    assert "no answer within 0.2 s" in done.stderr
    assert "may have been sent all the same" in done.stderr


def test_a_result_backend_that_says_nothing_is_told(here: Path, document: Document) -> None:
    with silent_server() as port:
        app = calling.application_at("memory://localhost", f"redis://127.0.0.1:{port}/")
        app.conf.update(redis_socket_timeout=0.2, redis_socket_connect_timeout=0.2)
        try:
            done = call("counter.close", "--timeout", "0.2", app=app)
        finally:
            close_app(app)
    assert done.exit_code == 2
    assert "the result backend" in done.stderr
    # Whether the time or the patience with the server ends first depends on the machine.
    assert re.search(r"look again( when it can be)?: celery -A given result ", done.stderr)


def test_a_result_backend_that_is_not_there_is_told(document: Document) -> None:
    app = calling.application_at("memory://localhost", f"redis://127.0.0.1:{closed_port()}/")
    try:
        sent = call_sending.send(app, calling.prepare(find_in(document, "counter.close"), {}, {}))
        with pytest.raises(call_sending.UnreachableError, match="the result backend cannot be reached"):
            call_sending.wait(app, sent, 0.5)
    finally:
        close_app(app)


def test_flags_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://elsewhere/3")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "redis://elsewhere/4")
    app = calling.application_at("memory://localhost", "cache+memory://")
    assert app.connection_for_write().transport_cls == "memory"
    assert type(app.backend).__name__ == "CacheBackend"
    assert app.conf.accept_content == ["json"]
