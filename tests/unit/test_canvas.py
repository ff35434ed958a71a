"""Signatures and workflows: what is built, what is refused, what travels; without a broker."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any, Protocol

import pytest
from celery import Celery, canvas
from celery.result import AsyncResult as CeleryAsyncResult
from celery.result import GroupResult as CeleryGroupResult
from kombu.utils.json import dumps, loads
from pico_ioc import PicoContainer, component
from pydantic import BaseModel, SecretStr

from pico_celery import (
    AsyncResult,
    Catalog,
    CeleryClient,
    CompositionError,
    GroupResult,
    GroupSignature,
    GroupWorkflow,
    ImmutableSignature,
    OptionError,
    PartialGroup,
    PartialSignature,
    PayloadError,
    ResultError,
    TaskSignature,
    UnboundClientError,
    Workflow,
    celery,
    chain,
    chord,
    contract,
    group,
    send_task,
    task,
)
from pico_celery.client.canvas.step import CACHED

CATALOG = Catalog()


class Order(BaseModel):
    number: int


class Receipt(BaseModel):
    number: int
    total: Decimal


class Bill(BaseModel):
    """Another class than Receipt, the same on the wire."""

    number: int
    total: Decimal


@contract("canvas", catalog=CATALOG)
class Flow(Protocol):
    async def place(self, order: Order, *, dry_run: bool = False) -> Receipt: ...

    async def ship(self, receipt: Receipt, address: str = "Bern") -> str: ...

    async def ship_to(self, receipt: Receipt, address: str, *, fast: bool = False) -> str: ...

    async def bill(self, bill: Bill) -> int: ...

    async def add_up(self, receipts: list[Receipt]) -> Decimal: ...

    async def pair(self, both: tuple[Receipt, str]) -> str: ...

    async def count(self) -> int: ...

    async def wait(self, seconds: float = 1.0) -> int: ...

    async def anything(self, value: Any) -> Any: ...

    async def keep(self, secret: SecretStr, note: str) -> SecretStr: ...

    async def named(self, *, number: int) -> None: ...

    async def tell(self, task_id: str) -> None: ...

    async def attach(self, blob: bytes) -> bytes: ...

    async def join(self, blobs: list[bytes]) -> bytes: ...


@celery
class FlowClient(CeleryClient, catalog=CATALOG):
    place = send_task(Flow.place, queue="shop")
    ship = send_task(Flow.ship)
    ship_to = send_task(Flow.ship_to)
    bill = send_task(Flow.bill)
    add_up = send_task(Flow.add_up)
    pair = send_task(Flow.pair)
    count = send_task(Flow.count)
    wait = send_task(Flow.wait)
    anything = send_task(Flow.anything)
    keep = send_task(Flow.keep)
    named = send_task(Flow.named)
    tell = send_task(Flow.tell)
    attach = send_task(Flow.attach)
    join = send_task(Flow.join)


ORDER = Order(number=7)


@pytest.fixture
def client(celery_app: Celery) -> FlowClient:
    return FlowClient(celery_app)


def untyped(value: Any) -> Any:
    """Return the same, to call it as type checkers would not let it be called."""
    return value


def plain(signature: Any) -> Any:
    """Return what is left of a signature behind a broker."""
    return loads(dumps(signature))


# One call


def test_a_signature_is_celery_s_with_encoded_arguments_by_name_options_and_contract_headers(
    client: FlowClient,
) -> None:
    signature = client.place.s(ORDER, dry_run=True)
    assert isinstance(signature, canvas.Signature)
    assert isinstance(signature, TaskSignature)
    definition = FlowClient.place.definition
    assert dict(signature) == {
        "task": "canvas.place",
        "args": (),
        "kwargs": {"order": {"number": 7}, "dry_run": True},
        "options": {"queue": "shop", "headers": {"pico_contract": "canvas", "pico_digest": definition.digest}},
        "subtask_type": None,
        "immutable": False,
    }
    assert client.place.si(ORDER)["immutable"] is True
    assert isinstance(client.place.si(ORDER), ImmutableSignature)


def test_a_wrong_argument_is_refused_when_the_signature_is_built(client: FlowClient) -> None:
    wrong: Any = {"number": "seven"}
    for build in (client.place.s, client.place.si, FlowClient.place.s):
        with pytest.raises(PayloadError, match=r"canvas\.place: order\.number: expected int"):
            build(wrong)
    with pytest.raises(PayloadError, match=r"receipt\.total: expected a value, got nothing"):
        untyped(client.ship_to).s({"number": 1}, "Bern")
    with pytest.raises(PayloadError, match="unexpected argument 'misspelt'"):
        untyped(client.place).s(ORDER, misspelt=True)


def test_without_arguments_it_is_partial_only_where_the_first_is_needed(client: FlowClient) -> None:
    assert isinstance(client.ship.s(), PartialSignature)
    assert isinstance(client.count.s(), TaskSignature)
    assert isinstance(client.wait.s(), TaskSignature)
    assert isinstance(client.wait.partial(), PartialSignature)


def test_the_rest_of_a_partial_call_is_validated_and_travels_by_name(client: FlowClient) -> None:
    assert client.ship_to.partial("Basel", fast=True)["kwargs"] == {"address": "Basel", "fast": True}
    assert client.ship.s()["kwargs"] == {}
    build: Any = client.ship_to.partial
    refused: dict[str, Callable[[], Any]] = {
        "address: expected a value of type str, got nothing; pass it": build,
        "address: expected str, got 3 ": lambda: build(3),
        r"address: given twice, by position and by keyword": lambda: build("Bern", address="Basel"),
        "at most 1 positional argument after 'receipt', got 2; pass the others by name": lambda: build("Bern", True),
        "receipt: expected the result of the task before it, got a value of its own; leave it out": lambda: build(
            "Bern", receipt=Receipt(number=1, total=Decimal(1))
        ),
        "unexpected argument 'fats'; did you mean 'fast'": lambda: build("Bern", fats=True),
    }
    for message, wrong in refused.items():
        with pytest.raises(PayloadError, match=message):
            wrong()
    with pytest.raises(PayloadError) as both:
        build(3, fats=True)
    assert len(both.value.faults) == 2


def test_a_task_that_takes_nothing_by_position_has_no_partial(client: FlowClient) -> None:
    for sender in (client.count, client.named):
        build: Any = sender
        with pytest.raises(CompositionError, match=r"give the task all its arguments with \.si\(\.\.\.\)"):
            build.partial()


def test_options_of_sender_and_signature_are_merged_and_checked(client: FlowClient) -> None:
    signature = client.place.with_options(countdown=timedelta(seconds=3), headers={"trace": "a"}).s(ORDER)
    assert signature.options["queue"] == "shop"
    assert signature.options["countdown"] == 3.0
    later = signature.with_options(queue="slow", headers={"trace": "b"})
    assert later.options["headers"]["trace"] == "b"
    assert "pico_digest" in later.options["headers"]
    assert (later.options["queue"], signature.options["queue"]) == ("slow", "shop")
    assert signature.set(expires=timedelta(minutes=1)) is signature
    assert signature.options["expires"] == 60.0
    for wrong in (
        signature.set,
        signature.with_options,
        signature.apply_async,
        (signature | client.ship.s()).apply_async,
    ):
        call: Any = wrong
        with pytest.raises(OptionError, match="did you mean 'countdown'"):
            call(contdown=1)


def test_a_signature_of_a_class_cannot_be_sent_and_says_where_to_take_one(client: FlowClient) -> None:
    workflow = FlowClient.place.s(ORDER) | FlowClient.ship.s()
    for signature in (FlowClient.place.s(ORDER), workflow, FlowClient.place.map([ORDER])):
        unbound: Any = signature
        with pytest.raises(UnboundClientError, match=r"make it from an instance.*client\.task\.s\(\.\.\.\)"):
            unbound.delay()
    assert (FlowClient.place.s(ORDER) | client.ship.s()).delay().id


# Joints


@pytest.mark.parametrize(
    "options", [((), {}), ((1,), {}), ((), {"timeout": 1}), ((), {"timeout": 1, "propagate": False})]
)
def test_a_signature_that_is_asked_for_a_result_says_that_it_was_not_sent(
    client: FlowClient, options: tuple[tuple[Any, ...], dict[str, Any]]
) -> None:
    call = client.place.s(ORDER)
    signature: Any = call
    unsents: list[Any] = [call, call | client.ship.s(), client.ship.s(), group([client.place.s(ORDER)])]
    for unsent in unsents:
        with pytest.raises(TypeError, match=r"has not been sent yet.* \.delay\(\)\.get\(timeout=\.\.\.\)"):
            unsent.get(*options[0], **options[1])
    assert signature.get("task") == "canvas.place"
    assert signature.get("nothing", 5) == 5


def test_a_chain_is_celery_s_chain_and_its_result_the_last_task_s(client: FlowClient, celery_app: Celery) -> None:
    workflow = client.place.s(ORDER) | client.ship.s() | client.anything.s()
    assert isinstance(workflow, Workflow)
    assert isinstance(untyped(workflow), canvas.chain)
    assert [step["task"] for step in untyped(workflow).tasks] == ["canvas.place", "canvas.ship", "canvas.anything"]
    result = workflow.delay()
    assert isinstance(result, AsyncResult)
    family = [result, untyped(result).parent, untyped(result).parent.parent]
    assert [one.definition.name for one in family] == ["canvas.anything", "canvas.ship", "canvas.place"]
    assert workflow.delay().id != result.id
    same = client.place.s(ORDER).then(client.ship).then(client.anything)
    assert plain(same) == plain(workflow)


def test_a_part_is_sent_with_its_first_argument_validated(client: FlowClient) -> None:
    receipt = Receipt(number=1, total=Decimal("1.50"))
    result = client.ship.partial("Basel").delay(receipt)
    assert isinstance(result, AsyncResult)
    assert result.definition.name == "canvas.ship"
    assert (client.ship.s() | client.anything.s()).delay(receipt).definition.name == "canvas.anything"
    sent = group([client.ship.s(), client.ship.partial("Basel")]).delay(receipt)
    assert isinstance(sent, GroupResult)
    with pytest.raises(PayloadError, match=r"receipt\.total: expected a value"):
        untyped(client.ship.s()).delay({"number": 1})


def test_joining_is_associative(client: FlowClient) -> None:
    one, two, three = client.place.s(ORDER), client.ship.s(), client.anything.s()
    left, right = (one | two) | three, one | (two | three)
    assert isinstance(two | three, PartialSignature)
    assert plain(left) == plain(right)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda c: c.place.s(ORDER) | c.add_up.s(),
            r"canvas\.place \| canvas\.add_up: .*receipts: expected list\[Receipt\].* got Receipt, the result of canvas\.place; put",
        ),
        (lambda c: c.place.s(ORDER).then(c.add_up), "receipts: expected list"),
        (lambda c: c.ship.s() | c.ship.s(), r"receipt: expected Receipt.*got str, the result of canvas\.ship"),
        (lambda c: c.place.s(ORDER) | (c.anything.s() | c.ship.s() | c.ship.s()), "got str, the result of"),
        (lambda c: c.place.s(ORDER) | c.place.s(ORDER), r"got one that has all its arguments; leave its first argument out"),
        (lambda c: c.place.map([ORDER]) | c.ship.s(), r"got list\[Receipt\], the result of group\(canvas\.place\)"),
        (lambda c: group(c.place.s(ORDER), c.count.s()) | c.add_up.s(), r"got tuple\[Receipt, int\]"),
        (lambda c: group(c.place.s(ORDER), c.count.s()) | c.pair.s(), r"got tuple\[Receipt, int\]"),
        (lambda c: c.place.s(ORDER) | group([c.bill.s(), c.add_up.s()]), r"canvas\.add_up: receipts"),
        (lambda c: group([c.place.s(ORDER), c.ship.s()]), r"complete|all its arguments; use \.si\(\.\.\.\)"),
        (lambda c: group([c.place.s(ORDER) | group([c.bill.s()])]), "put a task after that group that takes its results"),
        (lambda c: c.place.s(ORDER) | group([]), "leave the group out where it is empty"),
        (lambda c: group([c.place(ORDER)]), "expected typed signatures, such as client"),
        (lambda c: chord([c.count.s()], c.add_up.s()), r"got list\[int\]"),
        (lambda c: c.ship.s().apply_async(()), r"got nothing; put it after a task \(first\.s\(\.\.\.\) \| this\), or give the argument"),
        (lambda c: group([c.ship.s()]).apply_async((1, 2)), "got 2 arguments; put it after a task"),
        (lambda c: group([c.ship.s()]).apply_async(()), "put it after a task"),
        (lambda c: c.place.map([ORDER]).link(c.add_up.s()), r"put a task after the group, which takes all its results"),
        (lambda c: c.ship.s().link(c.ship.s()), "got str, the result of"),
        (lambda c: c.place.map([ORDER]).link_error(c.ship.s()), "got the id of the task that failed"),
        (lambda c: c.place.s(ORDER).link(c.add_up.s()), "receipts: expected list"),
        (lambda c: c.place.s(ORDER).link_error(c.ship.s()), "got the id of the task that failed, a str"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_both_tasks_are_named(
    client: FlowClient, build: Callable[[FlowClient], Any], message: str
) -> None:
    with pytest.raises(CompositionError, match=f"(?s){message}") as refused:
        build(client)
    assert isinstance(refused.value, TypeError)
    copied = pickle.loads(pickle.dumps(refused.value))
    assert copied.faults == refused.value.faults
    assert all(fault.remedy for fault in copied.faults)


def test_what_fits_on_the_wire_is_joined(client: FlowClient) -> None:
    assert untyped(client.place.s(ORDER)) | client.bill.s()  # another class, the same JSON
    assert client.anything.s(1) | client.ship.s()
    assert client.ship.s() | client.anything.s()
    assert client.place.s(ORDER) | client.ship.si(Receipt(number=1, total=Decimal(1))) | client.tell.s()
    assert group(client.place.s(ORDER), client.place.s(ORDER) | client.ship.s()) | client.pair.s()
    assert group([]) | client.add_up.s()
    assert client.place.s(ORDER).link_error(client.tell.s())


def test_nothing_but_a_signature_can_be_joined(client: FlowClient) -> None:
    signature: Any = client.place.s(ORDER)
    others: list[Any] = [3, client.ship, {"task": "canvas.ship"}]
    for other in others:
        with pytest.raises(TypeError):
            _ = signature | other
        with pytest.raises(TypeError):
            _ = other | client.ship.s()


def test_with_celery_s_own_signatures_celery_s_rules_hold(client: FlowClient, celery_app: Celery) -> None:
    other: Any = celery_app.signature("canvas.other")
    after: Any = untyped(client.place.s(ORDER)) | other
    before: Any = other | client.ship.s()
    assert [step["task"] for step in after.tasks] == ["canvas.place", "canvas.other"]
    assert [step["task"] for step in before.tasks] == ["canvas.other", "canvas.ship"]
    made: Any = canvas.group([client.place.s(ORDER), client.count.s()], app=celery_app)
    assert [type(result) for result in made.apply_async().results] == [AsyncResult, AsyncResult]


# Groups


def test_a_group_is_celery_s_group_with_typed_results(client: FlowClient) -> None:
    signature = group(client.place.s(ORDER), client.place.s(ORDER) | client.ship.s())
    assert isinstance(signature, GroupSignature)
    assert isinstance(untyped(signature), canvas.group)
    result = signature.delay()
    assert isinstance(result, GroupResult)
    assert isinstance(result, CeleryGroupResult)
    assert [member.definition.name for member in result] == ["canvas.place", "canvas.ship"]
    assert result[1] is result.members[1]
    assert len(result) == 2
    assert isinstance(result[0], CeleryAsyncResult)


def test_map_makes_one_call_for_each_item_and_validates_all_first(client: FlowClient) -> None:
    signature = client.place.map([Order(number=number) for number in range(3)], dry_run=True)
    assert [step["kwargs"] for step in untyped(signature).tasks] == [
        {"order": {"number": number}, "dry_run": True} for number in range(3)
    ]
    items: Any = [ORDER, {"number": "seven"}]
    with pytest.raises(PayloadError, match=r"order\.number"):
        client.place.map(items)
    assert client.place.map([]).delay().get() == []


def test_groups_in_a_group_count_as_their_members(client: FlowClient) -> None:
    signature = group([client.place.map([ORDER, ORDER]), group([client.place.s(ORDER)])])
    assert len(untyped(signature).tasks) == 3
    assert len(signature.delay().members) == 3


def test_what_follows_a_group_makes_a_chord_also_of_a_group_of_one(client: FlowClient) -> None:
    for signature in (
        client.place.map([ORDER]) | client.add_up.s(),
        chord(client.place.map([ORDER]), client.add_up.s()),
        chord([client.place.s(ORDER)], client.add_up.s()),
    ):
        assert isinstance(signature, Workflow)
        assert isinstance(untyped(signature), canvas.chord)
        assert len(untyped(signature).tasks) == 1
    longer = client.place.s(ORDER) | group([client.ship.s()]) | client.anything.s() | client.anything.s()
    assert [step.subtask_type for step in untyped(longer).tasks] == [None, "chord", None]
    assert longer.delay().definition.name == "canvas.anything"


def test_a_chain_is_what_its_parts_joined_one_by_one_are(client: FlowClient) -> None:
    assert plain(chain(client.place.s(ORDER), client.ship.s())) == plain(client.place.s(ORDER) | client.ship.s())
    assert plain(chain([client.place.si(ORDER)] * 3)) == plain(
        client.place.si(ORDER) | client.place.si(ORDER) | client.place.si(ORDER)
    )
    assert isinstance(chain(client.ship.s(), client.tell.s()), PartialSignature)
    assert isinstance(chain(client.place.map([ORDER]), client.add_up.s()), canvas.chord)
    assert isinstance(chain(client.place.s(ORDER), group([client.ship.s()])), GroupWorkflow)


def test_a_chain_refuses_what_does_not_fit_what_is_not_typed_and_nothing(client: FlowClient) -> None:
    with pytest.raises(CompositionError, match=r"canvas.place \| canvas.add_up"):
        untyped(chain)(client.place.s(ORDER), client.add_up.s())
    for wrong in (5, "canvas.place", client.place, canvas.signature("canvas.place")):
        for build, arguments in ((chain, (wrong,)), (chain, (client.place.s(ORDER), wrong)), (group, (wrong,))):
            with pytest.raises(CompositionError, match="typed signatures, such as") as caught:
                untyped(build)(*arguments)
            assert f"use celery.{build.__name__} for signatures without types" in str(caught.value)
    with pytest.raises(CompositionError, match="at least one signature"):
        chain([])


def test_a_group_after_a_group_is_the_body_of_a_chord(client: FlowClient) -> None:
    two: Any = untyped(client.place.map([ORDER])) | group([client.add_up.s(), client.add_up.s()])
    assert isinstance(two, GroupWorkflow)
    assert isinstance(untyped(two), canvas.chord)
    three = two | client.anything.s()
    assert isinstance(untyped(three), canvas.chord)
    assert untyped(three).body.subtask_type == "chord"


def test_a_chain_that_ends_in_a_group_has_its_results(client: FlowClient) -> None:
    signature = client.place.s(ORDER) | group(client.ship.s(), client.anything.s())
    assert isinstance(signature, GroupWorkflow)
    assert isinstance(group([client.ship.s()]), PartialGroup)
    result = signature.delay()
    assert [member.definition.name for member in result] == ["canvas.ship", "canvas.anything"]
    assert isinstance(result.parent, AsyncResult)
    one = (client.place.s(ORDER) | group([client.ship.s()])).delay()
    assert isinstance(one, GroupResult)
    assert [member.definition.name for member in one] == ["canvas.ship"]


def test_without_a_backend_that_has_chords_it_is_an_error_before_anything_is_sent() -> None:
    app = Celery("no-chords", broker="memory://", backend="rpc://", set_as_current=False)
    client = FlowClient(app)
    for workflow in (
        client.place.map([ORDER]) | client.add_up.s(),
        client.place.s(ORDER) | group([client.ship.s()]) | client.anything.s(),
        group([client.place.map([ORDER]) | client.add_up.s()]),
    ):
        sending: Any = workflow
        with pytest.raises(
            CompositionError, match=r"got RPCBackend; set backend_url to one that does, such as redis://"
        ):
            sending.delay()
    app.close()


# What travels, what is copied


def test_what_travels_is_plain_and_any_celery_reads_it(client: FlowClient, celery_app: Celery) -> None:
    workflow = client.place.s(ORDER) | group([client.ship.s(), client.ship.partial("Basel")]) | client.anything.s()
    data = json.loads(json.dumps(plain(workflow)))
    read = canvas.Signature.from_dict(data, app=celery_app)
    assert type(read).__module__ == "celery.canvas"
    assert plain(read) == data
    assert plain(celery_app.signature(data)) == data
    assert read.apply_async().id


def test_clones_and_copies_are_typed_and_apart(client: FlowClient) -> None:
    signature = client.place.s(ORDER)
    clone = signature.clone()
    clone.set(countdown=1)
    assert type(clone) is TaskSignature
    assert "countdown" not in signature.options
    workflow = signature | client.ship.s()
    assert type(workflow.clone()) is type(workflow)
    workflow.clone().link(client.anything.s())
    assert "link" not in workflow.options
    signature.set(countdown=5)
    assert "countdown" not in untyped(workflow).tasks[0].options
    assert dict(copy.copy(signature)) == dict(signature)
    assert dict(pickle.loads(pickle.dumps(signature))) == dict(signature)


def test_links_of_a_workflow_stay_when_it_grows(client: FlowClient) -> None:
    workflow = client.place.s(ORDER) | client.ship.s()
    workflow.link(client.anything.s())
    longer = workflow | client.anything.s()
    assert [len(step.options.get("link", [])) for step in untyped(longer).tasks] == [0, 1, 0]


def test_secrets_stay_out_of_what_is_shown(client: FlowClient) -> None:
    signature = client.keep.s(SecretStr("hunter2"), "note")
    rest = client.keep.partial("note")
    assert signature["kwargs"]["secret"] == "hunter2"
    workflow = signature | rest
    for shown in (repr(signature), repr(workflow), repr(group([signature])), signature.options["kwargsrepr"]):
        assert "hunter2" not in shown
    assert rest.options["argsrepr"] == "(not shown)"


def test_a_client_imports_canvas_with_its_first_signature() -> None:
    program = (
        "import sys; from typing import Protocol; from celery import Celery; from pico_celery import CeleryClient, contract, send_task\n"
        "@contract\nclass Calls(Protocol):\n    async def call(self) -> None: ...\n"
        "class Client(CeleryClient):\n    call = send_task(Calls.call)\n"
        "app = Celery(broker='memory://', backend='cache+memory://'); client = Client(app)\n"
        "print('celery.canvas' in sys.modules); client.call.s(); print('celery.canvas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_what_is_known_of_celery_s_signatures_is_there(celery_app: Celery) -> None:
    signature = canvas.Signature("canvas.place", app=celery_app)
    assert vars(signature)["_app"] is celery_app
    assert [name for name in CACHED if not hasattr(canvas.Signature, name)] == []
    _ = signature.app, signature.AsyncResult
    assert set(vars(signature)) <= {"_app", *CACHED}


# Run here


@pytest.fixture
def eager(boot: Callable[..., PicoContainer]) -> FlowClient:
    @component
    class FlowWorker:
        @task(Flow.place)
        async def place(self, order: Order, *, dry_run: bool = False) -> Receipt:
            return Receipt(number=order.number, total=Decimal("1.50"))

        @task(Flow.ship)
        async def ship(self, receipt: Receipt, address: str = "Bern") -> str:
            return f"{receipt.number} to {address}"

        @task(Flow.add_up)
        async def add_up(self, receipts: list[Receipt]) -> Decimal:
            return sum((receipt.total for receipt in receipts), Decimal(0))

        @task(Flow.attach)
        async def attach(self, blob: bytes) -> bytes:
            return blob

        @task(Flow.join)
        async def join(self, blobs: list[bytes]) -> bytes:
            return b"".join(blobs)

    container = boot(FlowWorker)
    return FlowClient(container.get(Celery))


def test_who_waits_for_a_result_that_is_not_kept_is_told(client: FlowClient, celery_app: Celery) -> None:
    quiet = client.ship.with_options(ignore_result=True)
    for result in (
        (client.place.s(ORDER) | quiet.s()).delay(),
        (client.place.map([ORDER]) | client.add_up.s() | client.anything.s() | quiet.partial("Bern")).delay(),
        group([client.place.s(ORDER) | quiet.s()]).delay(),
    ):
        with pytest.raises(ResultError, match="send it without ignore_result, or do not wait for it"):
            result.get(timeout=1)


def test_without_a_backend_calls_and_chains_are_sent_and_chords_are_refused() -> None:
    app = Celery("no-backend", broker="memory://", backend="disabled://", set_as_current=False)
    client = FlowClient(app)
    assert client.place.s(ORDER).delay().id
    assert (client.place.s(ORDER) | client.ship.s()).delay().id
    with pytest.raises(ResultError, match="set backend_url, or do not wait for the result"):
        (client.place.s(ORDER) | client.ship.s()).delay().get(timeout=1)
    with pytest.raises(CompositionError, match="set backend_url to one that does"):
        (client.place.map([ORDER]) | client.add_up.s()).delay()
    app.close()


def test_stamps_are_celery_s(client: FlowClient) -> None:
    signature: Any = client.place.s(ORDER)
    signature.stamp(trace="a")
    assert signature.options["trace"] == "a"
    assert signature.delay().id
    assert (signature | client.ship.s()).delay().id


def test_celery_s_own_chord_takes_typed_parts(client: FlowClient, celery_app: Celery) -> None:
    made: Any = canvas.chord([], client.count.si(), app=celery_app)
    assert made.apply_async().id
    full: Any = canvas.chord([client.place.s(ORDER)], client.add_up.s(), app=celery_app)
    assert full.apply_async().definition.name == "canvas.add_up"


def test_in_eager_mode_results_are_typed_too(eager: FlowClient) -> None:
    signature = eager.place.s(ORDER)
    receipt = Receipt(number=7, total=Decimal("1.50"))
    assert signature.delay().get() == receipt
    assert signature.apply().get() == receipt
    assert signature() == receipt
    assert (signature | eager.ship.partial("Basel")).delay().get() == "7 to Basel"
    assert (signature | eager.ship.partial("Basel"))().get() == "7 to Basel"
    assert eager.place.map([ORDER, ORDER]).delay().get() == [receipt, receipt]
    assert group(signature, signature | eager.ship.s()).delay().get() == (receipt, "7 to Bern")
    assert (eager.place.map([ORDER, ORDER]) | eager.add_up.s()).delay().get() == Decimal("3.00")
    assert (signature | group([eager.ship.s(), eager.ship.s()])).delay().get() == ["7 to Bern", "7 to Bern"]
    blob = b"\xff\x00"
    assert (eager.attach.s(blob) | eager.attach.s()).delay().get() == blob
    assert (eager.attach.map([blob, blob]) | eager.join.s()).delay().get() == blob * 2


def test_in_eager_mode_results_are_awaited_too(eager: FlowClient) -> None:
    async def wait() -> tuple[Any, ...]:
        sent = await asyncio.to_thread(eager.place.map([ORDER, ORDER]).delay)
        members = [member async for member in sent]
        return await sent, [await member for member in members]

    values, members = asyncio.run(wait())
    assert values == members == [Receipt(number=7, total=Decimal("1.50"))] * 2
