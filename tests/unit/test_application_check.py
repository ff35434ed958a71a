"""Claims about checking an application: each rule finds what it is about, with a remedy, and nothing where all is well."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Protocol

import pytest
from celery import Celery
from click.testing import CliRunner
from kombu import Queue
from pico_ioc import PicoContainer, component

from pico_celery import (
    AsyncResult,
    CeleryClient,
    RetryPolicy,
    TaskError,
    celery,
    contract,
    schedule,
    send_task,
    task,
    task_options,
)
from pico_celery.contract.definition import ContractDefinition
from pico_celery.contract.marks import marks_of
from pico_celery.document.build import document_of
from pico_celery.document.records import Document
from pico_celery_tooling.check.application import APPLICATION_RULES, check_application
from pico_celery_tooling.check.application.facts import ApplicationFacts
from pico_celery_tooling.cli.main import pico_celery
from pico_celery_tooling.evolution.rules import Category, Finding, Level
from pico_celery_tooling.output import ToolError

Boot = Callable[..., PicoContainer]
MINUTE = timedelta(minutes=1)
SERVERS = {"broker_default", "backend_default", "always_eager"}
"""What the tests' own settings are found guilty of."""


class Declined(TaskError, code="unit_shop.declined"):
    reason: str


@contract("unit_shop")
class Shop(Protocol):
    @task_options(queue="shop", time_limit=10, timeout=MINUTE, errors=[Declined])
    async def place(self, order_id: int) -> int: ...

    @task_options(queue="shop", time_limit=10, idempotent=True)
    async def cancel(self, order_id: int) -> None: ...

    @task_options(queue="shop", time_limit=10, aliases=["unit_shop.state"])
    async def status(self, order_id: int) -> str: ...


@contract("unit_other")
class Other(Protocol):
    @task_options(queue="other")
    async def look(self) -> int: ...

    @task_options(queue="shop")
    async def steal(self) -> int: ...


@celery
class ShopClient(CeleryClient):
    place = send_task(Shop.place)
    cancel = send_task(Shop.cancel)


@component
class ShopWorker(Shop):
    async def place(self, order_id: int) -> int:
        return order_id

    async def cancel(self, order_id: int) -> None: ...

    async def status(self, order_id: int) -> str:
        return str(order_id)


def nothing() -> None:
    """Be a plain task."""


def of(*contracts: Any) -> Document:
    definitions: list[ContractDefinition] = [found for cls in contracts if (found := marks_of(cls).contract)]
    return document_of(definitions)


def check(app: Celery, *contracts: Any) -> list[Finding]:
    return [found for found in check_application(app, of(*contracts), reach=False) if found.rule not in SERVERS]


def only(rule: str, findings: list[Finding]) -> Finding:
    """Return the one finding of a rule; every finding is complete and of a rule that is listed."""
    assert all(finding.rule in APPLICATION_RULES for finding in findings)
    assert all(finding.message and finding.remedy and Category.SETUP in finding.categories for finding in findings)
    found = [finding for finding in findings if finding.rule == rule]
    assert len(found) == 1, findings
    return found[0]


@pytest.fixture
def app_of(boot: Boot) -> Callable[..., Celery]:
    def start(*members: Any, **settings: Any) -> Celery:
        return boot(*members, settings={"task_always_eager": False, **settings}).get(Celery)

    return start


@pytest.fixture
def plain_app() -> Iterator[Callable[..., Celery]]:
    made: list[Celery] = []

    def make(**settings: Any) -> Celery:
        app = Celery("plain", broker="memory://", backend="cache+memory://", set_as_current=False)
        app.conf.update(settings)
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


def test_an_application_in_order_has_no_findings(app_of: Callable[..., Celery]) -> None:
    assert check(app_of(ShopWorker, ShopClient), Shop) == []


def test_each_rule_has_a_name_and_a_meaning() -> None:
    assert len(APPLICATION_RULES) >= 25
    assert all(name.isidentifier() and meaning[0].islower() for name, meaning in APPLICATION_RULES.items())


# names


def test_a_registered_task_that_no_contract_declares_is_noted(plain_app: Callable[..., Celery]) -> None:
    app = plain_app()

    @app.task(shared=False, name="unit_legacy.count")
    def count() -> int:
        return 1

    found = only("undeclared_task", check(app, Shop))

    assert (found.level, found.task) == (Level.NOTE, "unit_legacy.count")
    assert __file__ in found.where
    assert "@contract" in found.remedy


def test_an_undeclared_name_in_the_domain_of_a_contract_is_told_its_nearest_names(
    plain_app: Callable[..., Celery],
) -> None:
    app = plain_app()

    @app.task(shared=False, name="unit_shop.plaice")
    def plaice() -> int:
        return 1

    found = only("undeclared_task", check(app, Shop))

    assert "expected a task of the contract 'unit_shop'" in found.message
    assert "did you mean 'unit_shop.place'?" in found.remedy


@pytest.mark.filterwarnings("ignore::pico_celery.UndeclaredTaskWarning")
def test_a_name_that_a_client_calls_by_string_is_undeclared_too(app_of: Callable[..., Celery]) -> None:
    @celery
    class Caller(CeleryClient):
        @send_task("unit_elsewhere.count")
        def count(self) -> AsyncResult[int]:
            raise NotImplementedError

    findings = check(app_of(Caller), Shop)

    assert "Caller.count calls it" in only("undeclared_task", findings).message
    assert only("client_unserved", findings).level is Level.NOTE


def test_what_no_component_implements_is_noted_where_another_service_may(app_of: Callable[..., Celery]) -> None:
    findings = check(app_of(ShopWorker), Shop, Other)
    look = [finding for finding in findings if finding.task == "unit_other.look"]

    assert only("not_implemented", look).level is Level.NOTE
    assert "verify --live" in look[0].remedy


def test_what_no_component_implements_breaks_where_its_messages_reach_our_workers(
    app_of: Callable[..., Celery],
) -> None:
    @component
    class Half:
        @task(Shop.place)
        async def place(self, order_id: int) -> int:
            return order_id

        @task(Shop.status)
        async def status(self, order_id: int) -> str:
            return ""

    found = only("not_implemented", check(app_of(Half), Shop))

    assert (found.level, found.task) == (Level.BREAK, "unit_shop.cancel")
    assert "queue 'shop', from which the workers of this application take unit_shop.place" in found.message
    assert "a queue of its own" in found.remedy


def test_a_client_whose_task_nobody_here_serves_is_a_note(app_of: Callable[..., Celery]) -> None:
    findings = check(app_of(ShopClient), Shop)

    assert {(finding.rule, finding.task, finding.level) for finding in findings} == {
        ("client_unserved", "unit_shop.place", Level.NOTE),
        ("client_unserved", "unit_shop.cancel", Level.NOTE),
    }


def test_a_client_whose_calls_our_workers_throw_away_breaks(app_of: Callable[..., Celery]) -> None:
    @celery
    class Thief(CeleryClient):
        steal = send_task(Other.steal)

    found = only("client_unserved", check(app_of(ShopWorker, Thief), Shop))

    assert (found.level, found.task) == (Level.BREAK, "unit_other.steal")
    assert "Thief.steal" in found.message


def test_clients_made_by_hand_are_seen_too(plain_app: Callable[..., Celery]) -> None:
    app = plain_app()
    client = ShopClient(app)

    found = check(app, Shop)

    assert {finding.task for finding in found} == {"unit_shop.place", "unit_shop.cancel"}
    assert client.place.definition.name == "unit_shop.place"


def test_a_plain_task_under_an_alias_is_a_duplicate(plain_app: Callable[..., Celery]) -> None:
    app = plain_app()
    app.task(shared=False, name="unit_shop.state")(nothing)

    found = only("duplicate_name", check(app, Shop))

    assert (found.level, found.task) == (Level.BREAK, "unit_shop.status")


def test_a_plain_task_in_the_place_of_a_component_is_noted(plain_app: Callable[..., Celery]) -> None:
    app = plain_app()
    app.task(shared=False, name="unit_shop.place")(nothing)

    found = only("plain_task", check(app, Shop))

    assert (found.level, found.task) == (Level.NOTE, "unit_shop.place")


def test_a_plain_task_that_is_async_def_breaks(plain_app: Callable[..., Celery]) -> None:
    app = plain_app()

    @app.task(shared=False, name="unit_legacy.never")
    async def never() -> None: ...

    assert only("never_awaited", check(app, Shop)).level is Level.BREAK


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_calls_of_what_is_deprecated_or_renamed_are_noted(app_of: Callable[..., Celery]) -> None:
    @contract("unit_old")
    class Old(Protocol):
        @task_options(queue="old", deprecated="use unit_shop.place", time_limit=1)
        async def get(self) -> int: ...

    @celery
    class Caller(CeleryClient):
        get = send_task(Old.get)

        @send_task("unit_shop.state")
        def state(self, order_id: int) -> AsyncResult[str]:
            raise NotImplementedError

    found = {
        finding.task: finding for finding in check(app_of(ShopWorker, Caller), Shop) if finding.rule == "outdated_call"
    }

    assert found["unit_old.get"].remedy == "use unit_shop.place"
    assert "'unit_shop.state', an alias" in found["unit_shop.status"].message


# queues


def test_a_task_without_a_queue_beside_tasks_that_have_one_is_noted(app_of: Callable[..., Celery]) -> None:
    @contract("unit_queueless")
    class Queueless(Protocol):
        @task_options(time_limit=1)
        async def get(self) -> int: ...

    @component
    class Worker(Queueless):
        async def get(self) -> int:
            return 1

    alone = check(app_of(Worker), Queueless)
    found = only("no_queue", check(app_of(ShopWorker, Worker), Shop, Queueless))
    routed = check(app_of(ShopWorker, Worker, task_routes={"unit_queueless.*": {"queue": "more"}}), Shop, Queueless)

    assert (alone, routed) == ([], [])
    assert found.task == "unit_queueless.get"
    assert "-Q shop do not consume" in found.message


def test_a_queue_that_may_not_be_created_breaks(app_of: Callable[..., Celery]) -> None:
    app = app_of(ShopClient, task_queues=[Queue("other")], task_create_missing_queues=False)

    found = [finding for finding in check(app, Shop) if finding.rule == "unknown_queue"]

    assert {(finding.task, finding.level) for finding in found} == {
        ("unit_shop.place", Level.BREAK),
        ("unit_shop.cancel", Level.BREAK),
    }
    assert "'shop'" in found[0].message


def test_a_queue_that_workers_do_not_consume_by_themselves_is_noted(app_of: Callable[..., Celery]) -> None:
    found = check(app_of(ShopWorker, task_queues=[Queue("other")]), Shop)

    assert {(finding.rule, finding.level) for finding in found} == {("unknown_queue", Level.NOTE)}
    assert "-Q shop" in found[0].remedy


def test_asking_for_queues_creates_none(app_of: Callable[..., Celery]) -> None:
    app = app_of(ShopWorker)
    before = set(app.amqp.queues)

    check(app, Shop)

    assert set(app.amqp.queues) == before


# policies


def policy(boot: Callable[..., Celery], rule: str, **options: Any) -> list[Finding]:
    """Check an application with one task, ``unit_policy.send``, of some options."""

    @contract("unit_policy")
    class Policy(Protocol):
        @task_options(**options)
        async def send(self, number: int) -> int: ...

    @component
    class Worker(Policy):
        async def send(self, number: int) -> int:
            return number

    findings = check(boot(Worker), Policy)
    return [finding for finding in findings if finding.rule == rule]


@pytest.mark.parametrize(
    "options",
    [
        {"errors": [Declined]},
        {"retries": RetryPolicy()},
        {"idempotent": True},
        {"key": lambda number: number},
        {"max_retries": 2},
    ],
    ids=lambda options: next(iter(options)),
)
def test_a_task_with_side_effects_says_how_it_fails(app_of: Callable[..., Celery], options: Any) -> None:
    assert policy(app_of, "no_failure_policy", **options) == []


def test_a_task_with_side_effects_that_says_nothing_of_failures_is_noted(app_of: Callable[..., Celery]) -> None:
    found = only("no_failure_policy", policy(app_of, "no_failure_policy", queue="policy"))

    assert (found.level, found.task) == (Level.NOTE, "unit_policy.send")
    assert __file__ in found.where
    assert "@task_options" in found.remedy


@pytest.mark.parametrize(
    ("method", "result", "is_noted"),
    [("get_order", int, False), ("list", list[int], False), ("get_order", None, True), ("getaway", int, True)],
)
def test_a_read_is_what_is_named_so_and_returns_something(
    app_of: Callable[..., Celery], method: str, result: Any, is_noted: bool
) -> None:
    async def declared(self: Any) -> Any: ...

    declared.__annotations__["return"] = result
    declared.__name__, declared.__qualname__ = method, f"Reads.{method}"
    reads: Any = type("Reads", (Protocol,), {method: declared, "__module__": __name__})
    contract_class = contract("unit_reads")(reads)

    async def implemented(self: Any) -> Any: ...

    implemented.__annotations__["return"] = result
    by_reference: Any = task(getattr(contract_class, method))
    worker = component(type("ReadsWorker", (), {method: by_reference(implemented)}))

    findings = check(app_of(worker), contract_class)

    assert any(finding.rule == "no_failure_policy" for finding in findings) is is_noted


def test_a_task_without_any_limit_is_noted(app_of: Callable[..., Celery]) -> None:
    assert only("no_time_limit", policy(app_of, "no_time_limit")).task == "unit_policy.send"
    for options in ({"time_limit": 3}, {"soft_time_limit": 3}, {"timeout": MINUTE}):
        assert policy(app_of, "no_time_limit", **options) == []


def test_a_limit_for_all_tasks_is_a_limit(app_of: Callable[..., Celery]) -> None:
    def limited(*members: Any) -> Celery:
        return app_of(*members, task_time_limit=30)

    assert policy(limited, "no_time_limit") == []


def test_a_time_limit_after_the_deadline_is_noted(app_of: Callable[..., Celery]) -> None:
    found = only("time_limit_never_reached", policy(app_of, "time_limit_never_reached", time_limit=90, timeout=MINUTE))

    assert "below timeout= (60 s" in found.message
    assert policy(app_of, "time_limit_never_reached", time_limit=30, timeout=MINUTE) == []


def test_a_soft_limit_after_the_hard_one_is_noted(app_of: Callable[..., Celery]) -> None:
    found = policy(app_of, "time_limit_never_reached", time_limit=5, soft_time_limit=5)

    assert "no time to clean up" in only("time_limit_never_reached", found).message


def test_attempts_after_the_deadline_are_noted(app_of: Callable[..., Celery]) -> None:
    late = RetryPolicy(max_attempts=4, delay=timedelta(seconds=20), backoff=2.0)
    found = only("retries_beyond_deadline", policy(app_of, "retries_beyond_deadline", retries=late, timeout=MINUTE))

    assert "expected 4 attempts" in found.message
    assert "leave room for 2" in found.message
    assert policy(app_of, "retries_beyond_deadline", retries=RetryPolicy(), timeout=MINUTE) == []


def test_a_result_that_the_contract_ignores_is_noted(app_of: Callable[..., Celery]) -> None:
    assert only("result_ignored", policy(app_of, "result_ignored", ignore_result=True)).level is Level.NOTE


def test_a_result_that_only_the_worker_ignores_breaks_those_who_wait(app_of: Callable[..., Celery]) -> None:
    def ignoring(*members: Any) -> Celery:
        return app_of(*members, task_ignore_result=True)

    found = only("result_ignored", policy(ignoring, "result_ignored"))

    assert (found.level, found.who) == (Level.BREAK, "callers who wait for it")
    assert "task_ignore_result of the settings" in found.message


# schedule


def test_an_entry_for_an_unknown_task_in_a_contracts_domain_breaks(plain_app: Callable[..., Celery]) -> None:
    app = plain_app(beat_schedule={"nightly": {"task": "unit_shop.plaice", "schedule": 60, "options": {"expires": 5}}})

    found = only("periodic_unknown", check(app, Shop))

    assert (found.level, found.task) == (Level.BREAK, "beat_schedule['nightly']")
    assert "did you mean 'unit_shop.place'" in found.remedy


def test_an_entry_for_a_task_of_somebody_else_is_a_note_unless_our_workers_get_it(
    app_of: Callable[..., Celery],
) -> None:
    entry = {"task": "somebody.else", "schedule": 60, "options": {"expires": 5}}
    apart = app_of(ShopWorker, beat_schedule={"x": entry})
    ours = app_of(ShopWorker, beat_schedule={"x": {**entry, "options": {"queue": "shop", "expires": 5}}})

    assert only("periodic_unknown", check(apart, Shop)).level is Level.NOTE
    assert only("periodic_unknown", check(ours, Shop)).level is Level.BREAK


def test_an_entry_whose_arguments_the_contract_refuses_breaks(plain_app: Callable[..., Celery]) -> None:
    entry = {"task": "unit_shop.cancel", "schedule": 60, "kwargs": {"order_id": "x"}, "options": {"expires": 5}}

    found = only("periodic_payload", check(plain_app(beat_schedule={"x": entry}), Shop))

    assert (found.level, found.path) == (Level.BREAK, "unit_shop.cancel: order_id")
    assert Category.QUEUED in found.categories


def test_entries_that_pile_up_or_stand_twice_are_noted(app_of: Callable[..., Celery]) -> None:
    @component
    class Jobs:
        first = schedule(ShopClient.cancel.s(1), every=MINUTE, name="first")
        second = schedule(ShopClient.cancel.s(1), every=MINUTE, name="second", expires=50)

    findings = check(app_of(ShopWorker, ShopClient, Jobs), Shop)

    assert {(finding.rule, finding.task) for finding in findings} == {
        ("periodic_piles_up", "beat_schedule['first']"),
        ("periodic_twice", "beat_schedule['second']"),
    }


# settings


def test_servers_that_nobody_chose_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    app = Celery("nobody", set_as_current=False)

    found = {finding.rule: finding for finding in check_application(app, of(Shop), reach=False)}

    assert "amqp://guest:**@localhost:5672//" in found["broker_default"].message
    app.conf.update(broker_url="redis://localhost:6379/0", result_backend="redis://localhost:6379/1")
    again = {finding.rule for finding in check_application(app, of(Shop), reach=False)}
    assert {"broker_default", "backend_default"} <= again


def test_results_without_a_backend_break(boot: Boot) -> None:
    app = boot(ShopWorker, settings={"backend_url": None}).get(Celery)

    found = only("backend_missing", check(app, Shop))

    assert found.level is Level.BREAK
    assert "unit_shop.place, unit_shop.status" in found.message


def test_a_key_without_redis_breaks_and_one_that_outlives_its_result_too(app_of: Callable[..., Celery]) -> None:
    def with_redis(*members: Any) -> Celery:
        return app_of(*members, backend_url="redis://127.0.0.1:1/0", result_expires=60)

    options = {"key": lambda number: number, "idempotency_ttl": timedelta(hours=1)}

    assert only("key_backend", policy(app_of, "key_backend", **options)).level is Level.BREAK
    found = only("key_outlives_result", policy(with_redis, "key_outlives_result", **options))
    assert (found.level, found.task) == (Level.BREAK, "unit_policy.send")
    assert "at most result_expires, 60 s, got 3600 s" in found.message
    assert policy(with_redis, "key_outlives_result", key=lambda number: number) == []


def test_formats_that_the_wire_refuses_break(plain_app: Callable[..., Celery]) -> None:
    pickled = plain_app(accept_content=["pickle"], result_serializer="json", task_serializer="pickle")
    mixed = plain_app(accept_content=["json", "pickle"], result_serializer="yaml")

    found = {(one.rule, one.task, one.level) for one in [*check(pickled, Shop), *check(mixed, Shop)]}

    assert found == {
        ("wire_format", "accept_content", Level.BREAK),
        ("wire_format", "result_serializer", Level.BREAK),
        ("wire_format", "task_serializer", Level.NOTE),
        ("pickle_accepted", "accept_content", Level.NOTE),
    }


def test_waits_beyond_the_visibility_timeout_are_found(app_of: Callable[..., Celery]) -> None:
    @celery
    class Late(CeleryClient):
        cancel = send_task(Shop.cancel, countdown=timedelta(hours=2))

    members = (ShopWorker, Late)
    redis = {"broker_url": "redis://127.0.0.1:1/0"}
    long = {**redis, "broker_transport_options": {"visibility_timeout": 9000}}
    short = {**redis, "broker_transport_options": {"visibility_timeout": 5}}

    found = only("visibility_timeout", check(app_of(*members, **redis), Shop))
    assert (found.level, found.task) == (Level.BREAK, "unit_shop.cancel")
    assert "below the visibility timeout, 3600 s, got 7200 s" in found.message
    assert "14400" in found.remedy
    assert check(app_of(*members, **long), Shop) == []
    assert check(app_of(*members), Shop) == []
    levels = [one.level for one in check(app_of(*members, **short), Shop)]
    assert levels == [Level.BREAK, Level.NOTE], "the late acknowledgement of an idempotent task counts too"


def test_delays_of_retries_count_as_waits(app_of: Callable[..., Celery]) -> None:
    def with_redis(*members: Any) -> Celery:
        return app_of(*members, broker_url="redis://127.0.0.1:1/0")

    late = RetryPolicy(max_attempts=3, delay=timedelta(hours=1), max_delay=timedelta(hours=5))

    found = only("visibility_timeout", policy(with_redis, "visibility_timeout", retries=late))

    assert "got 7200 s" in found.message
    assert policy(with_redis, "visibility_timeout", retries=RetryPolicy()) == []


def test_eager_mode_is_noted(boot: Boot) -> None:
    rules = {finding.rule for finding in check_application(boot(ShopWorker).get(Celery), of(Shop), reach=False)}

    assert "always_eager" in rules


# loading


def test_without_a_document_the_contracts_of_the_process_are_taken(app_of: Callable[..., Celery]) -> None:
    names = {finding.task for finding in check_application(app_of(ShopWorker), reach=False)}

    assert "unit_other.look" in names


def test_an_application_whose_module_does_not_import_is_an_error_with_its_name(
    plain_app: Callable[..., Celery],
) -> None:
    app = plain_app(imports=["unit_there_is_no_such_module"])

    with pytest.raises(ToolError, match="unit_there_is_no_such_module"):
        check_application(app, of(Shop))


MODULE = """
from celery import Celery

celery_app = Celery("plain", broker="memory://", set_as_current=False)


@celery_app.task(name="unit_alone.never", shared=False)
async def never() -> None: ...
"""


def test_the_command_checks_an_application_without_a_package(load_module: Callable[..., Any]) -> None:
    name = f"{load_module(MODULE).__name__}:celery_app"

    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(pico_celery, ["-A", name, "check", *arguments])

    done = invoke("--json")
    found = {finding["rule"]: finding["level"] for finding in json.loads(done.stdout)["findings"]}
    assert done.exit_code == 1
    assert found["never_awaited"] == "break"

    done = invoke("--ignore", "never_awaited=it goes next week", "--ignore", "parameter_removed=about contracts")
    assert done.exit_code == 0
    assert "ignored: it goes next week" in done.output
    assert "unused" not in done.output, "rules about contracts were not asked"

    assert invoke("--against", "git:main").exit_code == 2


def test_a_router_of_the_user_that_fails_fails_no_check(app_of: Callable[..., Celery]) -> None:
    def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None) -> Any:
        return {"queue": args[0]}

    app = app_of(ShopWorker)
    app.conf.task_routes = (route,)

    assert ApplicationFacts(app, of(Shop)).queue_of("unit_shop.place", {}) is None
    assert check(app, Shop) == []


def test_without_reach_no_thread_is_started(app_of: Callable[..., Celery]) -> None:
    app = app_of(ShopWorker, broker_url="redis://127.0.0.1:1/0")
    before = threading.active_count()

    assert check(app, Shop) == []
    assert threading.active_count() == before
