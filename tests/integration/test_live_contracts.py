"""Running workers tell their contracts, and clients are held against them: real workers, real brokers, real commands."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery import Celery
from click.testing import CliRunner, Result

from pico_celery import CelerySettings, create_app
from pico_celery_tooling.cli.main import pico_celery
from pico_celery_tooling.live import inspect_client as live
from pico_celery_tooling.live.inspect_client import Answers, ask
from pico_celery_tooling.live.verify import State, TaskReport, verify, verify_live, wanted_of
from pico_celery_tooling.output import ToolError
from tests.integration.apps.live_contracts import SECRET, VARIABLE, LiveClient
from tests.integration.conftest import site_of
from tests.support.processes import ROOT, Worker
from tests.support.sites import Site, close_app
from tests.support.waiting import eventually

PLACE, STATUS = "live.place", "live.status"
ANSWER_SECONDS = 0.5
CLIENT = "tests.integration.apps.live_client:celery_app"
WAYS = {
    "pico-celery": [str(Path(sys.executable).with_name("pico-celery")), "-A", CLIENT],
    "celery": [sys.executable, "-m", "celery", "-A", CLIENT, "contracts"],
}


class Group:
    """Workers of one site, by name, and an application that calls them."""

    def __init__(self, site: Site, workers: dict[str, Worker]) -> None:
        self.site = site
        self.workers = workers
        self.app: Celery = create_app(CelerySettings.of(site.settings()))
        self.client = LiveClient(self.app)

    def close(self) -> None:
        close_app(self.app)

    def node(self, name: str) -> str:
        return self.workers[name].node

    def ask(self, *names: str, **options: Any) -> Answers:
        # Those who are named are waited for, and no longer than they take.
        return ask(self.app, 20, [self.node(name) for name in names or self.workers], **options)

    def type(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
        """Run a command of ``pico-celery -A`` in this process."""
        module = ModuleType("pico_live_application")
        vars(module)["app"] = self.app
        monkeypatch.setitem(sys.modules, module.__name__, module)
        given = ["-A", f"{module.__name__}:app", *arguments]
        return CliRunner().invoke(pico_celery, given, prog_name="pico-celery")

    def type_live(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
        """Run a command that asks the workers; again, where one of them had no time to answer."""

        def answered(result: Result) -> bool:
            return all(worker.node in result.output for worker in self.workers.values())

        results = (self.type(monkeypatch, *arguments, "--live", "--timeout", str(ANSWER_SECONDS)) for _ in range(5))
        result = next(results)
        return result if answered(result) else next((again for again in results if answered(again)), result)

    def verify(self) -> dict[str, TaskReport]:
        def look() -> list[TaskReport]:
            answers, reports = verify_live(self.app, wanted_of(self.app, None), ANSWER_SECONDS)
            return reports if len(answers.workers) == len(self.workers) else []

        return {report.wanted.name: report for report in eventually(look)}


def start(site: Site, folder: Path, name: str, module: str, pool: str) -> Worker:
    node = f"{site.prefix}-{name}@test"
    (folder / name).mkdir()
    environment = {VARIABLE: name if name in {"older", "strict"} else "today"}
    worker = Worker(module, pool, site, folder / name, options=["-n", node], environment=environment)
    worker.node = node
    return worker


@contextmanager
def group(site: Site, folder: Path, *members: tuple[str, str, str]) -> Iterator[Group]:
    """Have workers, started at the same time: name (which is their version), module and pool of each."""
    workers: dict[str, Worker] = {}
    try:
        for name, module, pool in members:
            workers[name] = start(site, folder, name, module, pool)
        for worker in workers.values():
            worker.wait_until_ready()
        started = Group(site, workers)
        try:
            yield started
        finally:
            started.close()
    finally:
        for worker in workers.values():
            worker.process.terminate()
        for worker in workers.values():
            worker.stop()
        site.remove()


@pytest.fixture(scope="module", params=[pytest.param("redis", marks=pytest.mark.redis)])
def same(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """One worker, of the clients' own version."""
    folder = tmp_path_factory.mktemp("same")
    with group(site_of(request, request.param, folder), folder, ("today", "live_worker", "async")) as started:
        yield started


@pytest.fixture(scope="module", params=[pytest.param("rabbitmq", marks=[pytest.mark.rabbitmq, pytest.mark.redis])])
def mixed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """Workers of three versions, each with another pool, and one of plain Celery."""
    folder = tmp_path_factory.mktemp("mixed")
    members = [
        ("today", "live_worker", "processes"),
        ("older", "live_worker", "threads"),
        ("strict", "live_worker", "solo"),
        ("plain", "live_plain", "solo"),
    ]
    with group(site_of(request, request.param, folder), folder, *members) as started:
        yield started


def command(site: Site, way: Sequence[str], *arguments: str) -> subprocess.Popen[str]:
    """Start a command as a user does."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("CELERY_", "PYTEST_"))}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "contracts"), own.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return subprocess.Popen(
        [*way, *arguments],
        env={**own, **site.environment(), "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(site: Site, way: Sequence[str], *arguments: str) -> tuple[int, str, str]:
    with command(site, way, *arguments) as process:
        output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


# --- one worker of the clients' version


def test_a_worker_tells_what_it_serves_in_few_words(same: Group) -> None:
    (answer,) = same.ask()
    client = {sender.definition.name: sender.definition.digest for sender in (same.client.place, same.client.status)}
    assert (answer.worker, answer.reports_contracts, answer.tasks) == (same.node("today"), True, client)
    assert list(answer.contracts) == ["live"]
    assert answer.others == {"legacy.mail", "legacy.plain"}
    assert answer.queues == frozenset({same.site.queue})
    assert (answer.document, answer.problem) == (None, "")


def test_on_request_it_tells_definitions_of_what_is_named_alone(same: Group) -> None:
    def told(definitions: Any) -> list[str]:
        (answer,) = same.ask(definitions=definitions)
        assert answer.document is not None
        return sorted(answer.document.tasks)

    assert told([STATUS]) == [STATUS]
    assert told(["live"]) == told(True) == [PLACE, STATUS]
    assert told(["nobody.knows", "legacy.mail"]) == []
    (answer,) = same.ask(definitions=[PLACE])
    record = answer.definition(PLACE)
    assert record is not None
    assert record.doc.startswith("Book an order.")
    assert answer.document is not None
    assert answer.document.resolve(record.parameters[0].accepts)["properties"]["quantity"]["minimum"] == 1


def test_no_secret_of_the_process_is_told(same: Group) -> None:
    replies = same.app.control.broadcast("contracts", {"definitions": True}, reply=True, timeout=20, limit=1)
    text = json.dumps(replies)
    assert "live.status" in text
    assert SECRET not in text
    assert str(ROOT) not in text
    assert same.site.broker_url not in text


def test_a_question_that_makes_no_sense_is_answered_and_the_worker_goes_on(same: Group) -> None:
    for arguments in ({"names": 5}, {"names": {"a": 1}, "newer": True}, {"definitions": "yes", "names": None}):
        replies: Any = same.app.control.broadcast("contracts", arguments, reply=True, timeout=20, limit=1)
        assert "tasks" in replies[0][same.node("today")]
    assert same.client.place({"sku": "tea", "quantity": 3}).get(timeout=10) == 3  # type: ignore[arg-type]  # as JSON


def test_celerys_own_inspect_shows_it(same: Group) -> None:
    way = [sys.executable, "-m", "celery", "-A", CLIENT, "inspect", "--json", "-t", "20", "-d", same.node("today")]
    code, output, errors = run(same.site, way, "contracts", PLACE)
    assert code == 0, errors
    told = json.loads(output)[same.node("today")]
    assert list(told["definitions"]["contracts"]["live"]["tasks"]) == [PLACE]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_all_is_fine_with_the_same_version_by_both_ways_in(same: Group, way: Sequence[str]) -> None:
    code, output, errors = run(same.site, way, "verify", "--live", "--timeout", "1", "--wait", "20")
    node = same.node("today")
    assert (code, output) == (
        0,
        f"fine          {PLACE}\n  {node}: fine\nfine          {STATUS}\n  {node}: fine\n\n2 fine\n",
    ), errors


def test_tasks_are_listed_from_the_workers_alone(same: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    result = same.type_live(monkeypatch, "list")
    digest, node = same.client.place.definition.digest, same.node("today")
    assert result.exit_code == 0
    assert result.output.startswith(
        f"{PLACE}  Book an order.\n  {digest}  {node}\n{STATUS}  Tell how far an order is.\n"
    )
    named = same.type_live(monkeypatch, "list", "shop_contracts", "--json")
    found = json.loads(named.output)
    assert (named.exit_code, found["workers"]) == (0, [node])
    assert [task["served"] for task in found["tasks"] if task["task"] == "orders.place"] == [[]]


def test_tasks_are_described_from_the_workers_alone(same: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    result = same.type_live(monkeypatch, "describe", PLACE)
    digest, node = same.client.place.definition.digest, same.node("today")
    assert result.exit_code == 0
    assert result.output.startswith(f"served by {node}\n{PLACE}  contract live, digest {digest}\n")
    assert "quantity  integer, at least 1" in result.output
    contract = json.loads(same.type_live(monkeypatch, "describe", "live", "--json").output)
    assert [task["name"] for task in contract["served"][0]["definition"]["tasks"]] == [PLACE, STATUS]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("live.plac", "nobody serves 'live.plac': did you mean 'live.place'"), ("legacy.mail", "without a contract")],
)
def test_what_nobody_serves_by_a_contract_is_not_described(
    same: Group, monkeypatch: pytest.MonkeyPatch, name: str, reason: str
) -> None:
    result = same.type(monkeypatch, "describe", name, "--live", "--timeout", "2")
    assert (result.exit_code, reason in result.output) == (1, True)


def test_without_a_lock_file_the_contracts_of_the_application_are_told(
    same: Group, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = same.type(monkeypatch, "list")
    assert (listed.exit_code, "\n  live.place   Book an order.\n" in listed.output) == (0, True)
    assert "Parameters\n  line  Line; required\n" in same.type(monkeypatch, "describe", PLACE).output


def test_without_live_an_application_is_held_against_itself(same: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    result = same.type(monkeypatch, "verify", "--json")
    found = json.loads(result.output)
    assert (result.exit_code, found["fine"]) == (1, False)
    assert [task["state"] for task in found["tasks"]] == ["unserved", "unserved"]
    assert "--live asks the workers" in same.type(monkeypatch, "verify").output
    contracts = "tests.integration.apps.live_contracts"
    assert same.type(monkeypatch, "verify", "--against", contracts).exit_code == 0
    assert same.type_live(monkeypatch, "verify", contracts).exit_code == 0
    assert same.type_live(monkeypatch, "verify", "shop_contracts").exit_code == 1


# --- workers that differ


def test_each_worker_is_told_by_what_it_means_for_the_client(mixed: Group) -> None:
    reports = mixed.verify()
    place = {worker: one for one in reports[PLACE].serving for worker in one.workers}
    assert {name: place[mixed.node(name)].state for name in mixed.workers} == {
        "today": State.FINE,
        "older": State.COMPATIBLE,
        "strict": State.INCOMPATIBLE,
        "plain": State.UNKNOWN,
    }
    assert reports[PLACE].state is State.INCOMPATIBLE
    (met,) = place[mixed.node("strict")].met
    assert (met.finding.path, met.is_certain) == ("line.quantity", True)
    assert met.finding.payload["quantity"] < 10


def test_who_consumes_the_queue_without_knowing_a_task_is_found(mixed: Group) -> None:
    status = mixed.verify()[STATUS]
    lost = [one for one in status.serving if one.state is State.INCOMPATIBLE]
    assert [one.workers for one in lost] == [(mixed.node("plain"),)]
    assert mixed.site.queue in lost[0].reason


def test_definitions_of_all_versions_are_kept_side_by_side(mixed: Group) -> None:
    versions = mixed.ask(definitions=[PLACE]).versions(PLACE)
    least = {}
    for version in versions:
        assert version.record is not None
        assert version.document is not None
        line = version.document.resolve(version.record.parameters[0].accepts)
        least[version.workers] = line["properties"]["quantity"]["minimum"]
    assert least == {(mixed.node("today"),): 1, (mixed.node("older"),): 0, (mixed.node("strict"),): 10}


def test_a_plain_worker_alone_is_unknown(mixed: Group) -> None:
    answers = mixed.ask("plain")
    (answer,) = answers
    assert (answer.reports_contracts, answer.others, answer.queues) == (
        False,
        frozenset({PLACE}),
        frozenset({mixed.site.queue}),
    )
    reports = {report.wanted.name: report for report in verify(wanted_of(mixed.app, None), answers)}
    assert reports[PLACE].state is State.UNKNOWN
    assert "a plain Celery worker" in reports[PLACE].serving[0].reason


def test_the_commands_say_which_workers_differ(mixed: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    result = mixed.type_live(monkeypatch, "verify", "--json")
    found = json.loads(result.output)
    assert (result.exit_code, found["fine"]) == (1, False)
    assert sorted(found["answered"]) == sorted(mixed.node(name) for name in mixed.workers)
    states = {one["workers"][0]: one["state"] for one in found["tasks"][0]["served"]}
    assert states[mixed.node("strict")] == "incompatible"
    text = mixed.type_live(monkeypatch, "verify").output
    assert f"  {mixed.node('strict')}: incompatible\n    line.quantity: expected" in text
    assert text.endswith("\n2 incompatible\n")
    listed = mixed.type_live(monkeypatch, "list")
    assert (listed.exit_code, listed.output.count("workers differ")) == (0, 3)
    assert f"{mixed.node('plain')}: it does not report contracts: a plain Celery worker" in listed.output


# --- nobody there


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    site = site_of(request, "redis", tmp_path)
    yield site
    site.remove()


@pytest.mark.redis
def test_silence_is_unknown_and_never_fine(empty: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(Group(empty, {})) as nobody:
        result = nobody.type_live(monkeypatch, "verify", "--json")
        found = json.loads(result.output)
        assert (result.exit_code, found["fine"], found["answered"]) == (1, False, [])
        assert [task["state"] for task in found["tasks"]] == ["unknown", "unknown"]
        for arguments in (["verify"], ["list"], ["describe", PLACE]):
            result = nobody.type_live(monkeypatch, *arguments)
            assert (result.exit_code, "no worker answered within 0.5 s: do they run" in result.output) == (1, True)


@pytest.mark.redis
def test_a_deployment_waits_for_the_worker_that_starts_meanwhile(empty: Site, tmp_path: Path) -> None:
    arguments = ["verify", "--live", "--timeout", "0.5", "--wait", "60"]
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(command(empty, WAYS["pico-celery"], *arguments))
        stack.callback(process.kill)
        assert process.stderr is not None
        waiting = process.stderr.readline()
        assert waiting.startswith("waiting, ")
        assert f"{PLACE} is unknown" in waiting
        worker = start(empty, tmp_path, "today", "live_worker", "async")
        stack.callback(worker.stop)
        output, _ = process.communicate(timeout=60)
        assert (process.returncode, output.endswith("\n2 fine\n")) == (0, True)


def test_a_broker_that_is_down_ends_the_command_with_2_in_bounded_time() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nobody listens on it
        site = Site(broker_url=f"amqp://me:hunter2@127.0.0.1:{unused.getsockname()[1]}//")
        started = time.monotonic()
        code, output, errors = run(site, WAYS["pico-celery"], "verify", "--live", "--timeout", "0.5")
    assert (code, output) == (2, "")
    assert "cannot be reached" in errors
    assert "set broker_url" in errors
    assert "hunter2" not in errors
    assert time.monotonic() - started < 50


def test_a_broker_that_accepts_and_says_nothing_does_not_hold_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_GRACE_SECONDS", 0.1)
    monkeypatch.setattr(live, "_CONNECT_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        app = Celery(broker=f"redis://127.0.0.1:{mute.getsockname()[1]}/0", set_as_current=False)
        with pytest.raises(ToolError, match="no answer within"):
            ask(app, 0.1)
