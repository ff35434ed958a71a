"""Claims about options: typed, checked at the line that gives them, the nearest to the call wins."""

import inspect
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, get_type_hints

import pytest
from celery import Celery

from pico_celery import (
    Catalog,
    CeleryClient,
    DeadlineExceeded,
    ErrorFieldsError,
    ImplementationOptions,
    OptionError,
    PayloadError,
    ResultError,
    SendOptions,
    TaskOptions,
    contract,
    send_task,
    task,
    task_options,
)
from pico_celery.client.options import merge_options
from pico_celery.client.results.hub import hub_of
from pico_celery.contract.marks import marks_of
from pico_celery.contract.options import EXECUTING, SENDING
from pico_celery.worker.declaration import task_attributes


@contract("unit_options", catalog=Catalog())
class Orders(Protocol):
    @task_options(queue="from-contract", expires=timedelta(minutes=1), priority=3, ignore_result=True)
    async def place(self, a: int) -> None: ...

    async def plain(self, a: int) -> None: ...


class Client(CeleryClient):
    place = send_task(Orders.place, queue="from-sender", headers={"x": "1", "y": "1"})
    plain = send_task(Orders.plain, countdown=timedelta(seconds=90))


Published = Callable[[Callable[[], Any]], dict[str, Any]]


@pytest.fixture
def published(celery_app: Celery, monkeypatch: pytest.MonkeyPatch) -> Published:
    """Return the options with which a call reaches Celery."""
    sent: list[dict[str, Any]] = []

    def send(name: str, args: Any, kwargs: Any, **options: Any) -> None:
        sent.append(options)

    monkeypatch.setattr(celery_app, "send_task", send)

    def call(make: Callable[[], Any]) -> dict[str, Any]:
        make()
        (options,) = sent
        sent.clear()
        for own in ("result_cls", "argsrepr", "kwargsrepr"):
            options.pop(own)
        if hub_of(celery_app).ids.covers(options["task_id"]):
            del options["task_id"]  # made by the library
        options["headers"] = {k: v for k, v in options["headers"].items() if not k.startswith("pico_")}
        return options

    return call


def test_the_nearest_to_the_call_wins(celery_app: Celery, published: Published) -> None:
    client = Client(celery_app)
    base = {"expires": 60.0, "priority": 3, "ignore_result": True}
    assert published(lambda: client.place(1)) == {**base, "queue": "from-sender", "headers": {"x": "1", "y": "1"}}
    nearest = client.place.with_options(queue="from-call", priority=9, headers={"y": "2", "z": "2"})
    assert published(lambda: nearest(1)) == {
        **base,
        "priority": 9,
        "queue": "from-call",
        "headers": {"x": "1", "y": "2", "z": "2"},
    }
    assert published(lambda: nearest.with_options(queue="nearer")(1))["queue"] == "nearer"
    assert published(lambda: client.place(1))["queue"] == "from-sender", "with_options changes nothing in place"


def test_durations_are_seconds_and_an_eta_replaces_a_countdown(celery_app: Celery, published: Published) -> None:
    client = Client(celery_app)
    assert published(lambda: client.plain(1))["countdown"] == 90.0
    eta = datetime(2030, 1, 1, tzinfo=UTC)
    options = published(lambda: client.plain.with_options(eta=eta, expires=eta)(1))
    assert options == {"eta": eta, "expires": eta, "headers": {}}
    options = published(lambda: client.plain.with_options(time_limit=timedelta(minutes=2), soft_time_limit=5)(1))
    assert (options["time_limit"], options["soft_time_limit"]) == (120.0, 5)


@pytest.mark.parametrize(
    ("base", "nearer", "merged"),
    [
        ({"eta": 1}, {"countdown": 2}, {"countdown": 2}),
        ({"countdown": 1}, {"eta": 2}, {"eta": 2}),
        ({"queue": "q"}, {"exchange": "e", "routing_key": "r"}, {"exchange": "e", "routing_key": "r"}),
        ({"exchange": "e", "routing_key": "r"}, {"queue": "q"}, {"queue": "q"}),
        ({"headers": {"a": 1}}, {}, {"headers": {"a": 1}}),
        ({"headers": {"a": 1}}, {"headers": {"a": 2, "b": 3}}, {"headers": {"a": 2, "b": 3}}),
        ({"priority": 0}, {"priority": 5}, {"priority": 5}),
    ],
    ids=str,
)
def test_options_that_exclude_each_other_replace_each_other(
    base: Mapping[str, Any], nearer: Mapping[str, Any], merged: Mapping[str, Any]
) -> None:
    before = (dict(base), dict(nearer))
    assert merge_options(base, nearer) == merged
    assert (base, nearer) == before


def test_every_option_of_a_call_reaches_celery(celery_app: Celery, published: Published) -> None:
    given: dict[str, Any] = {
        "countdown": 1,
        "expires": 5.5,
        "queue": "q",
        "exchange": "e",
        "routing_key": "r",
        "priority": 0,
        "task_id": "id",
        "headers": {"h": "1"},
        "retry": False,
        "retry_policy": {"max_retries": 1},
        "time_limit": 3,
        "soft_time_limit": 2,
        "ignore_result": False,
        "link": {"task": "x"},
        "link_error": [{"task": "y"}],
        "add_to_parent": False,
        "shadow": "s",
        "compression": "gzip",
        "delivery_mode": "transient",
        "reply_to": "rt",
        "root_id": "root",
        "parent_id": "parent",
        "group_id": "group",
        "mandatory": True,
    }
    of_this_library = {"timeout", "idempotency_key", "idempotency_ttl"}
    assert set(get_type_hints(SendOptions)) == {*given, "eta", *of_this_library}
    client = Client(celery_app)
    client.plain = client.plain
    options = published(lambda: client.place.with_options(**given)(1))
    assert {**options, "headers": {"h": options["headers"]["h"]}} == given


# --- what is refused


def refused(give: Callable[[], Any]) -> dict[str, tuple[str, str, str, str]]:
    with pytest.raises(OptionError) as raised:
        give()
    assert isinstance(raised.value, TypeError)
    assert "wrong options" in str(raised.value)
    return {f.path: (f.code, f.expected, f.got, f.remedy) for f in raised.value.faults}


GIVERS: dict[str, Callable[..., Any]] = {
    "task_options": task_options,
    "send_task by reference": lambda **options: send_task(Orders.place, **options),
    "send_task by name": lambda **options: send_task("unit_options.place", **options),
    "task by reference": lambda **options: task(Orders.place, **options),
    "task by name": lambda **options: task("unit_options.place", **options),
}


@pytest.mark.parametrize("giver", GIVERS)
def test_unknown_and_ill_typed_options_are_refused_where_they_are_given_all_at_once(giver: str) -> None:
    faults = refused(lambda: GIVERS[giver](expries=5, queue=5, expires="soon"))
    assert faults["expries"][:3] == ("unknown_option", "a known option", "an unknown one")
    assert "did you mean 'expires'" in faults["expries"][3]
    assert faults["queue"] == ("option_type", "a valid string", "5 (int)", "")
    assert faults["expires"][0] == "option_type"
    assert "a valid number or a valid timedelta" in faults["expires"][1]
    assert faults["expires"][2] == "'soon' (str)"


@pytest.mark.parametrize("giver", ["task_options", "task by reference", "task by name"])
def test_the_line_of_a_wrong_option_is_told(giver: str) -> None:
    line = 0
    with pytest.raises(OptionError) as raised:  # noqa: PT012 - the line counts
        if giver == "task_options":
            line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
            task_options(quue="x")  # type: ignore[call-arg]
        elif giver == "task by reference":
            line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
            task(Orders.place, quue="x")  # type: ignore[call-overload]
        else:
            line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
            task("unit_options.place", quue="x")  # type: ignore[call-overload]
    assert raised.value.faults[0].where == (f"{__file__}:{line}",)


def test_with_options_refuses_unknown_and_ill_typed_options(celery_app: Celery) -> None:
    client = Client(celery_app)
    wrong: dict[str, Any] = {
        "countdwn": 1,
        "priority": 300,
        "countdown": True,
        "retry": 1,
        "eta": "tomorrow",
        "task_id": 5,
    }
    faults = refused(lambda: client.place.with_options(**wrong))
    assert set(faults) == set(wrong)
    assert faults["countdwn"][3] == "did you mean 'countdown'?"
    assert faults["priority"][1] == "less than or equal to 255"
    assert faults["countdown"][2] == "True (bool)"


@pytest.mark.parametrize(
    ("giver", "option", "remedy"),
    [
        ("with_options", "serializer", "leave it out: the wire is JSON"),
        ("with_options", "delay", "use countdown="),
        ("with_options", "args", "pass arguments in the call itself"),
        ("with_options", "kwargs", "pass arguments in the call itself"),
        ("with_options", "key", "give it to @task_options of the contract, or say idempotency_key="),
        ("with_options", "max_retries", "give it to @task or @task_options: it is a matter of executing"),
        ("task_options", "serializer", "leave it out: the wire is JSON"),
        ("task_options", "acks_late", "say idempotent=True, or give it to @task of the implementation"),
        ("task_options", "countdown", "give it to with_options of the call"),
        ("task_options", "autoretry_for", "give it to @task of the implementation"),
        ("task by reference", "bind", "leave it out: the method's self is the component; take celery.current_task for the task"),
        ("task by reference", "base", "leave it out: the task's class is the library's"),
        ("task by reference", "pydantic", "leave it out: every payload is validated"),
        ("task by reference", "serializer", "leave it out: the wire is JSON"),
        ("task by reference", "eta", "give it to with_options of the call"),
    ],
)  # fmt: skip
def test_options_of_celery_that_do_not_belong_here_say_what_to_do(
    giver: str, option: str, remedy: str, celery_app: Celery
) -> None:
    give: Callable[..., Any] = Client(celery_app).place.with_options if giver == "with_options" else GIVERS[giver]
    assert refused(lambda: give(**{option: 1}))[option] == (
        "unknown_option",
        "a known option",
        "an unknown one",
        remedy,
    )


def test_a_wrong_key_of_a_policy_is_named(celery_app: Celery) -> None:
    with pytest.raises(OptionError) as raised:
        Client(celery_app).place.with_options(retry_policy={"max_retires": 1})  # type: ignore[typeddict-unknown-key]
    assert "max_retires" in str(raised.value)


@pytest.mark.parametrize("value", [-1, 256, 1000])
def test_a_priority_has_the_same_limits_everywhere(value: int) -> None:
    for giver in GIVERS.values():
        with pytest.raises(OptionError):
            giver(priority=value)


# --- of executing


def test_the_implementation_wins_over_the_contract() -> None:
    @contract("unit_executing", catalog=Catalog())
    class Executing(Protocol):
        @task_options(
            time_limit=10, max_retries=3, queue="a", retry=True, retry_policy={"max_retries": 1}, idempotent=True
        )
        async def run(self) -> None: ...

    definition = marks_of(Executing.run).definition
    assert definition is not None
    attributes = task_attributes(definition, {"max_retries": 5, "acks_late": False})
    assert attributes["time_limit"] == 10
    assert attributes["max_retries"] == 5
    assert attributes["acks_late"] is False
    assert attributes["reject_on_worker_lost"] is True
    assert "retry" not in attributes, "Task.retry is a method"
    assert "retry_policy" not in attributes


def test_what_does_not_validate_is_never_retried() -> None:
    definition = marks_of(Orders.plain).definition
    assert definition is not None
    given = {"autoretry_for": [Exception], "dont_autoretry_for": (KeyError,), "throws": [OSError]}
    attributes = task_attributes(definition, given)
    assert attributes["throws"] == (OSError, DeadlineExceeded)
    assert attributes["autoretry_for"] == (Exception,)
    never = (PayloadError, ResultError, ErrorFieldsError, DeadlineExceeded)
    assert attributes["dont_autoretry_for"] == (KeyError, *never)


@pytest.mark.parametrize("option", sorted(get_type_hints(TaskOptions)))
def test_every_option_of_a_contract_is_for_sending_or_executing(option: str) -> None:
    said = {"since", "deprecated", "aliases"}  # to people, and to the catalog
    assert option in SENDING | EXECUTING | said | {"name", "idempotent", "errors", "retries", "key"}


def test_every_option_of_a_contract_can_be_overridden_where_it_is_used() -> None:
    assert set(get_type_hints(SendOptions)) >= SENDING
    assert set(get_type_hints(ImplementationOptions)) >= EXECUTING
