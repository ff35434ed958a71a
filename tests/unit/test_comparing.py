"""Comparing versions of contracts: every rule, who breaks, and what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent
from typing import Any

import pytest

from pico_celery.contract.catalog import Catalog
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import from_text, to_text
from pico_celery.document.records import Document
from pico_celery.messaging.calls import decode_call
from pico_celery_tooling.evolution.compare import compare
from pico_celery_tooling.evolution.findings import NOTHING, Category, Finding, Level
from pico_celery_tooling.evolution.ignores import Ignore, ignoring
from pico_celery_tooling.evolution.rollout import Rollout, Verdict, fails, verdict_of
from pico_celery_tooling.evolution.rules import REFUSALS, RULES
from pico_celery_tooling.evolution.task_pairs import SHOWN_PAYLOADS

HEAD = """
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, Protocol
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pico_celery import RetryPolicy, TaskError, contract, task_options, upcast

def declare(domain="orders", **more):
    return contract(domain, catalog=CATALOG, **more)
"""
WIRE, QUEUED, SOURCE = Category.WIRE, Category.QUEUED, Category.SOURCE
Declare = Callable[[str], Document]


def declared(text: str) -> tuple[Catalog, Document]:
    """Declare contracts, and return them as a lock file tells them."""
    catalog = Catalog()
    names: dict[str, Any] = {"CATALOG": catalog, "__name__": __name__}
    exec(compile(dedent(HEAD) + dedent(text), "contracts.py", "exec", dont_inherit=True), names)
    return catalog, from_text(to_text(document_of(catalog.contracts)), "here")


def of(text: str) -> Document:
    return declared(text)[1]


def task(signature: str, options: str = "", before: str = "", name: str = "place") -> str:
    """Return a contract of one task as text."""
    decorator = f"    @task_options({options})\n" if options else ""
    return f"{dedent(before)}\n@declare()\nclass Orders(Protocol):\n{decorator}    async def {name}(self, {signature}: ...\n"


def changes(old: str, new: str) -> list[Finding]:
    return compare(of(old), of(new))


def only(findings: list[Finding], rule: str) -> Finding:
    found = [finding for finding in findings if finding.rule == rule]
    assert len(found) == 1, [(finding.rule, finding.path, finding.message) for finding in findings]
    return found[0]


PLAIN = task("number: int) -> int")

# What is changed: rule, level, categories, path, words of the message, of who, of the remedy.
CASES: dict[str, tuple[str, str, str, Level, set[Category], str, str, str, str]] = {
    "a parameter is required": (
        PLAIN,
        task("number: int, text: str) -> int"),
        "parameter_added_required",
        Level.BREAK,
        {WIRE, QUEUED, SOURCE},
        "text",
        'valid before, is refused now: {"number": ',
        "old clients and queued messages",
        "give it a default (text: str = ...)",
    ),
    "an optional parameter is new": (
        PLAIN,
        task("number: int, text: str = 'a') -> int"),
        "parameter_added",
        Level.ORDER,
        {WIRE},
        "text",
        "valid now, is refused by old workers",
        "new clients, at old workers",
        "workers before the clients",
    ),
    "a parameter is gone": (
        task("number: int, text: str = 'a') -> int"),
        PLAIN,
        "parameter_removed",
        Level.BREAK,
        {WIRE, QUEUED, SOURCE},
        "text",
        "'text' is gone",
        "old clients and queued messages",
        "@upcast",
    ),
    "a required parameter is gone": (
        task("number: int, text: str) -> int"),
        PLAIN,
        "parameter_removed_required",
        Level.ORDER,
        {WIRE},
        "text",
        "old workers require 'text'",
        "new clients",
        "workers before the clients",
    ),
    "a parameter is renamed": (
        task("number: int, text: str) -> int"),
        task("number: int, words: str) -> int"),
        "parameter_renamed",
        Level.BREAK,
        {WIRE, QUEUED, SOURCE},
        "text",
        "looks renamed to 'words'",
        "old clients",
        "rename 'text' to 'words' in old payloads with @upcast",
    ),
    "a parameter is required now": (
        task("number: int = 3) -> int"),
        PLAIN,
        "parameter_now_required",
        Level.BREAK,
        {WIRE, QUEUED, SOURCE},
        "number",
        "which meant 3; this payload, valid before, is refused now: {}",
        "old clients",
        "keep the default",
    ),
    "a parameter is optional now": (
        PLAIN,
        task("number: int = 3) -> int"),
        "parameter_now_optional",
        Level.ORDER,
        {WIRE},
        "number",
        "is refused by old workers: {}",
        "new clients",
        "workers before the clients",
    ),
    "parameters are in another order": (
        task("number: int, text: str) -> int"),
        task("text: str, number: int) -> int"),
        "parameters_reordered",
        Level.BREAK,
        {WIRE, QUEUED, SOURCE},
        "",
        "(text, number) now: expected (number, text)",
        "by position",
        "add new parameters at the end",
    ),
    "a parameter comes before another": (
        PLAIN,
        task("text: str, number: int) -> int"),
        "parameters_reordered",
        Level.BREAK,
        {WIRE, QUEUED, SOURCE},
        "",
        "(text, number) now: expected (number)",
        "plain Celery",
        "keep the order",
    ),
    "a parameter is keyword-only now": (
        PLAIN,
        task("*, number: int) -> int"),
        "parameter_now_keyword_only",
        Level.BREAK,
        {WIRE, QUEUED, SOURCE},
        "number",
        "by name only now",
        "by position",
        "before the *",
    ),
    "a parameter is positional now": (
        task("*, number: int) -> int"),
        PLAIN,
        "parameter_now_positional",
        Level.ORDER,
        {WIRE},
        "number",
        "by position now",
        "plain Celery",
        "workers",
    ),
    "a default is another one": (
        task("number: int = 1) -> int"),
        task("number: int = 2) -> int"),
        "default_changed",
        Level.NOTE,
        {WIRE, QUEUED},
        "number",
        "means 2 to new workers, and 1 to old ones",
        "leave it out",
        "pass the argument",
    ),
    "a signature is another one": (
        PLAIN,
        task("number: int, *, text: str = 'a') -> int"),
        "signature_changed",
        Level.NOTE,
        {SOURCE},
        "",
        '(number: int, *, text: str = "a") -> int now, and was (number: int) -> int',
        "implementers",
        "change the implementations",
    ),
    "a task is gone": (
        PLAIN + "    async def cancel(self) -> None: ...\n",
        PLAIN,
        "task_removed",
        Level.BREAK,
        {WIRE, QUEUED, SOURCE},
        "",
        "was not deprecated",
        "callers, old clients and queued messages",
        "deprecated='use ...'",
    ),
    "a deprecated task is gone": (
        PLAIN + "    @task_options(deprecated='use place', since='1.2')\n    async def cancel(self) -> None: ...\n",
        PLAIN,
        "deprecated_task_removed",
        Level.BREAK,
        {WIRE, QUEUED},
        "",
        "(it came in 1.2); its callers were told before (deprecated: 'use place')",
        "queued messages",
        "ignore this with that reason",
    ),
    "a task is new": (
        PLAIN,
        PLAIN + "    async def cancel(self) -> None: ...\n",
        "task_added",
        Level.ORDER,
        {WIRE},
        "",
        "old workers do not know it",
        "new clients",
        "workers before the clients",
    ),
    "a task is renamed without an alias": (
        task("number: int, text: str) -> int"),
        task("number: int, text: str) -> int", name="book"),
        "task_renamed",
        Level.BREAK,
        {WIRE, QUEUED},
        "",
        "orders.place is gone and orders.book has the same signature",
        "old clients",
        "aliases=['orders.place']",
    ),
    "a task is renamed with an alias": (
        PLAIN,
        task("number: int) -> int", "aliases=['orders.place']", name="book"),
        "task_renamed",
        Level.ORDER,
        {WIRE},
        "",
        "sent as orders.book now, which old workers do not know",
        "new clients",
        "keep the alias",
    ),
    "an alias is gone": (
        task("number: int) -> int", "aliases=['orders.old']"),
        PLAIN,
        "alias_removed",
        Level.BREAK,
        {WIRE, QUEUED},
        "",
        "no longer take orders.old",
        "queued messages",
        "keep the alias",
    ),
    "a method is renamed": (
        PLAIN,
        task("number: int) -> int", "name='orders.place'", name="book"),
        "method_renamed",
        Level.BREAK,
        {SOURCE},
        "",
        "Orders.book now: expected Orders.place",
        "callers",
        "keep the method",
    ),
    "a task is deprecated": (
        PLAIN,
        task("number: int) -> int", "deprecated='use book'"),
        "task_deprecated",
        Level.NOTE,
        {SOURCE},
        "",
        "use book",
        "callers",
        "until it is removed",
    ),
    "a contract is gone": (
        PLAIN + "@declare('bills')\nclass Bills(Protocol):\n    async def pay(self) -> None: ...\n",
        PLAIN,
        "contract_removed",
        Level.BREAK,
        {SOURCE},
        "",
        "contract Bills is gone",
        "callers",
        "deprecated",
    ),
    "a contract is new": (
        PLAIN,
        PLAIN + "@declare('bills')\nclass Bills(Protocol):\n    async def pay(self) -> None: ...\n",
        "contract_added",
        Level.ORDER,
        {WIRE},
        "",
        "bills.pay",
        "new clients",
        "workers before the clients",
    ),
    "a contract's class is renamed": (
        PLAIN,
        PLAIN.replace("class Orders", "class Ordering"),
        "contract_class_renamed",
        Level.BREAK,
        {SOURCE},
        "",
        "Ordering now: expected Orders",
        "callers",
        "Orders = Ordering",
    ),
}

ERROR = "class Declined(TaskError):\n    reason: str\n"
LISTED = "errors=[Declined]"
CASES |= {
    "an error is new": (
        task("number: int) -> int", "", ERROR),
        task("number: int) -> int", LISTED, ERROR),
        "error_added",
        Level.NOTE,
        {WIRE},
        "orders.declined",
        "Declined (orders.declined) is new",
        "old clients",
        "before workers raise it",
    ),
    "an error is gone": (
        task("number: int) -> int", LISTED, ERROR),
        task("number: int) -> int", "", ERROR),
        "error_removed",
        Level.ORDER,
        {WIRE},
        "orders.declined",
        "RemoteError",
        "new clients",
        "workers before the clients",
    ),
    "an error has another code": (
        task("number: int) -> int", LISTED, ERROR),
        task("number: int) -> int", LISTED, ERROR.replace("(TaskError)", "(TaskError, code='orders.no')")),
        "error_code_changed",
        Level.BREAK,
        {WIRE},
        "orders.declined",
        "expected orders.declined, got orders.no",
        "old clients",
        "code='orders.declined'",
    ),
    "an error is retryable": (
        task("number: int) -> int", LISTED, ERROR),
        task("number: int) -> int", LISTED, ERROR.replace("(TaskError)", "(TaskError, retryable=True)")),
        "error_retryable_changed",
        Level.NOTE,
        {WIRE},
        "orders.declined",
        "retryable now: expected not retryable",
        "roll-out",
        "tried again",
    ),
}


def option(  # noqa: PLR0917 - a row of a table
    old: str,
    new: str,
    rule: str,
    level: Level,
    categories: set[Category],
    message: str,
    who: str,
    remedy: str = "",
    *,
    path: str = "",
) -> tuple[str, str, str, Level, set[Category], str, str, str, str]:
    path = path or (new or old).partition("=")[0]
    before, now = (
        task("number: int) -> int", one, "def one(number): return number\ndef two(number): return 2\n")
        for one in (old, new)
    )
    return before, now, rule, level, categories, path, message, who, remedy


CASES |= {
    "another queue": option("queue='a'", "queue='b'", "queue_moved", Level.BREAK, {WIRE, QUEUED}, "is 'b' now: old clients send to 'a'", "queued messages", "keep a worker on 'a'"),
    "another exchange": option("", "exchange='b'", "exchange_moved", Level.BREAK, {WIRE, QUEUED}, "Celery's default", "queued messages", "keep a worker"),
    "another routing key": option("routing_key='a'", "", "routing_key_moved", Level.BREAK, {WIRE, QUEUED}, "is Celery's default now", "queued messages", "keep a worker on 'a'"),
    "less time": option("time_limit=60", "time_limit=30", "time_limit_cut", Level.BREAK, {WIRE, QUEUED}, "30 s now, and was 60 s", "old clients"),
    "a soft limit": option("", "soft_time_limit=30", "soft_time_limit_cut", Level.BREAK, {WIRE, QUEUED}, "30 s now, and was not set", "old clients"),
    "less time to wait": option("timeout=60", "timeout=30", "timeout_cut", Level.NOTE, {WIRE}, "30 s", "new clients"),
    "discarded sooner": option("expires=60", "expires=30", "expires_cut", Level.NOTE, {WIRE}, "30 s", "new clients"),
    "no longer idempotent": option("idempotent=True, key=one", "key=one", "idempotent_dropped", Level.BREAK, {WIRE, QUEUED}, "done twice", "old clients", "keep it idempotent", path="idempotent"),
    "another key": option("key=one, idempotent=True", "key=two, idempotent=True", "key_changed", Level.BREAK, {WIRE, QUEUED}, '"two" now, and was "one"', "new ones beside each other"),
    "known for less time": option("idempotency_ttl=9, key=one, idempotent=True", "idempotency_ttl=8, key=one, idempotent=True", "idempotency_ttl_cut", Level.NOTE, {WIRE}, "8 s", "new clients"),
    "no result": option("", "ignore_result=True", "result_ignored", Level.BREAK, {WIRE}, "in vain", "old clients", "add a task that has none"),
    "a result": option("ignore_result=True", "", "result_stored", Level.ORDER, {WIRE}, "in vain", "new clients"),
    "fewer retries": option("max_retries=5", "max_retries=2", "retries_cut", Level.NOTE, {WIRE, QUEUED}, "2 times now, and was 5 times", "old clients", path="retries"),
    "another priority": option("priority=1", "priority=2", "option_changed", Level.NOTE, {WIRE}, "priority is 2 now, and was 1", "new"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_found_with_who_breaks_where_and_what_to_do_instead(name: str) -> None:
    old, new, rule, level, categories, path, message, who, remedy = CASES[name]
    found = only(changes(old, new), rule)
    assert (found.level, found.categories, found.path) == (level, frozenset(categories), path)
    assert message in found.message
    assert who in found.who
    assert remedy in found.remedy
    assert found.remedy


def test_every_rule_has_a_case() -> None:
    refused = {name for name in RULES if name.startswith(("argument_", "result_", "error_"))}
    own = {
        "error_added",
        "error_removed",
        "error_code_changed",
        "error_retryable_changed",
        "result_ignored",
        "result_stored",
    }
    assert {case[2] for case in CASES.values()} == set(RULES) - (refused - own)


def test_every_refusal_has_rules_in_arguments_results_and_errors() -> None:
    assert all(f"{place}_{name}" in RULES for place in ("argument", "result", "error") for name in REFUSALS)


@pytest.mark.parametrize("name", CASES)
def test_a_contract_is_the_same_as_itself(name: str) -> None:
    for text in CASES[name][:2]:
        assert changes(text, text) == []


def test_each_finding_is_what_its_rule_says() -> None:
    for old, new, *_ in CASES.values():
        for finding in changes(old, new):
            rule = RULES[finding.rule]
            assert finding.level in rule.levels
            assert finding.categories <= rule.categories
            assert finding.categories
            assert finding.who
            assert finding.message


def test_what_a_model_refuses_is_found_in_arguments_results_and_errors_with_the_variance_turned_round() -> None:
    model = "class Item(BaseModel):\n    kind: Literal['a', 'b']\n"
    wider = "class Item(BaseModel):\n    kind: Literal['a', 'b', 'c']\n"
    error = "class Declined(TaskError):\n    item: Item\n"
    listed = "errors=[Declined]"
    narrow, wide = (task("items: list[Item]) -> Item", listed, text + error) for text in (model, wider))
    widened = {(one.rule, one.path): one for one in changes(narrow, wide)}
    assert {key: (one.level, set(one.categories)) for key, one in widened.items()} == {
        ("argument_enum_value", "items[*].kind"): (Level.ORDER, {WIRE}),
        ("result_enum_value", "return.kind"): (Level.BREAK, {WIRE}),
        ("error_enum_value", "orders.declined.item.kind"): (Level.BREAK, {WIRE}),
    }
    narrowed = {(one.rule, one.path): one for one in changes(wide, narrow)}
    assert {key: (one.level, set(one.categories)) for key, one in narrowed.items()} == {
        ("argument_enum_value", "items[*].kind"): (Level.BREAK, {WIRE, QUEUED}),
        ("result_enum_value", "return.kind"): (Level.ORDER, {WIRE}),
        ("error_enum_value", "orders.declined.item.kind"): (Level.ORDER, {WIRE}),
    }
    argument = narrowed["argument_enum_value", "items[*].kind"]
    assert argument.payload == {"items": [{"kind": "c"}]}
    assert 'this payload, valid before, is refused now: {"items": [{"kind": "c"}]}' in argument.message
    assert argument.who == "old clients and queued messages, at new workers"
    result = widened["result_enum_value", "return.kind"]
    assert result.payload == {"kind": "c"}
    assert 'refused by old clients: {"kind": "c"}' in result.message
    assert result.who == "new workers' results, at old clients"


def test_what_a_type_checker_sees_of_a_refusal_is_source_too() -> None:
    plain, other = task("number: int) -> int"), task("number: str) -> str")
    found = changes(plain, other)
    for rule in ("argument_type", "result_type"):
        levels = {one.level: one.categories for one in found if one.rule == rule}
        assert SOURCE in levels[Level.BREAK]
        assert SOURCE not in levels.get(Level.ORDER, set())
    limited = changes(plain, task("number: Annotated[int, Field(lt=5)]) -> int"))
    assert only(limited, "argument_maximum").categories == {WIRE, QUEUED}


def test_an_upcaster_takes_what_old_clients_send_upon_itself() -> None:
    required = task("number: int, text: str) -> int")
    helped = (
        required
        + "\n@upcast(Orders.place)\ndef before_2(payload):\n    payload.setdefault('text', '')\n    return payload\n"
    )
    found = changes(PLAIN, helped)
    added = only(found, "parameter_added_required")
    assert added.level is Level.NOTE
    assert "the upcaster of the task has to turn old payloads into new ones" in added.message
    assert added.payload is not NOTHING
    assert only(found, "parameter_added").level is Level.ORDER
    assert verdict_of(found) is Verdict.WORKERS_FIRST
    reordered = helped.replace("number: int, text: str", "text: str, number: int")
    assert only(changes(required, reordered), "parameters_reordered").level is Level.BREAK  # it gets arguments by name


def test_a_payload_that_is_shown_is_taken_by_the_old_contract_and_refused_by_the_new_one() -> None:
    for name, case in CASES.items():
        old, new = declared(case[0])[0], declared(case[1])[0]
        for finding in changes(*case[:2]):
            if finding.payload is NOTHING or not finding.rule.startswith(("parameter_", "argument_")):
                continue
            before, now = old.tasks[finding.task], new.tasks[finding.task]
            takes, refuses = (before, now) if finding.level is Level.BREAK else (now, before)
            decode_call(takes, (), finding.payload)
            with pytest.raises(Exception, match=r"orders\.place"):
                decode_call(refuses, (), finding.payload)
            assert name


def test_a_payload_is_shown_only_where_it_is_known_to_be_taken() -> None:
    checked = "def never(value): raise ValueError\nNever = Annotated[int, AfterValidator(never)]\n"
    old = task("code: Never, text: str = 'a') -> int", "", checked)
    found = only(changes(old, task("code: Never) -> int", "", checked)), "parameter_removed")
    assert found.payload is NOTHING


def test_a_validator_that_nobody_can_run_here_is_said_to_be_unknown() -> None:
    check = "def check(value): return value\n"
    old, new = (task(f"code: {of}) -> int", "", check) for of in ("int", "Annotated[int, AfterValidator(check)]"))
    found = only(changes(old, new), "argument_demand")
    assert found.level is Level.BREAK
    assert found.message.startswith("cannot be known: ")
    assert changes(new, new) == []


def test_bytes_are_base64_on_the_wire_which_is_not_any_text() -> None:
    """Text that is not base64 is no bytes; bytes that stay are no finding."""
    old, new = task("number: int) -> bytes"), task("number: int) -> str")
    assert only(changes(old, new), "result_format").level is Level.BREAK
    assert only(changes(new, old), "result_format").level is Level.ORDER
    model = "class Box(BaseModel):\n    content: bytes\n    size: int\n"
    narrow, wide = (
        task("number: int) -> Box", "", text) for text in (model, model.replace("size: int", "size: float"))
    )
    assert {one.path for one in changes(narrow, wide) if one.rule.startswith("result_")} == {"return.size"}


def test_a_renamed_task_is_compared_with_what_its_alias_stands_for() -> None:
    old = task("number: int) -> int")
    new = task("number: Annotated[int, Field(lt=5)]) -> int", "aliases=['orders.place']", name="book")
    found = changes(old, new)
    assert only(found, "argument_maximum").task == "orders.book"
    assert {one.rule for one in found} == {"argument_maximum", "task_renamed", "method_renamed", "signature_changed"}
    back = changes(new, old)  # the alias is the name again, and the new name is known to nobody
    assert only(back, "argument_maximum").level is Level.ORDER


def test_a_name_that_was_an_alias_and_is_a_task_now_is_compared_too() -> None:
    old = task("number: int) -> int", "aliases=['orders.book']")
    new = task("number: int) -> int") + "    async def book(self, text: str) -> int: ...\n"
    found = changes(old, new)
    assert {one.rule for one in found if one.task == "orders.book" and one.level is Level.BREAK} >= {
        "parameter_removed"
    }


def test_of_very_many_changes_all_are_found_and_the_first_ones_are_shown_with_payloads() -> None:
    model = "class Item{0}(BaseModel):\n    number: int = Field(lt={1})\n"
    old, new = (
        "".join(model.format(number, limit) for number in range(60))
        + "@declare()\nclass Orders(Protocol):\n"
        + "".join(f"    async def run{number}(self, item: Item{number}) -> int: ...\n" for number in range(60))
        for limit in (100, 50)
    )
    found = changes(old, new)
    assert [one.rule for one in found] == ["argument_maximum"] * 60
    assert {one.level for one in found} == {Level.BREAK}
    assert sum(one.payload is not NOTHING for one in found) == SHOWN_PAYLOADS
    assert not any("cannot be known" in one.message for one in found)


def test_descriptions_and_models_that_nobody_uses_change_nothing() -> None:
    model = "class Item(BaseModel):\n    number: int = Field(description='{}')\n"
    old, new = (task("item: Item) -> Item", "", model.format(text)) for text in ("one", "another"))
    assert of(old) != of(new)
    assert changes(old, new) == []


def test_the_order_of_the_roll_out_settles_what_it_can() -> None:
    model = "class Kind(StrEnum):\n    A = 'a'\n"
    wider = model + "    B = 'b'\n"
    of_argument = changes(*(task("kind: Kind) -> int", "", text) for text in (model, wider)))
    of_result = changes(*(task("number: int) -> Kind", "", text) for text in (model, wider)))
    of_both = changes(*(task("kind: Kind) -> Kind", "", text) for text in (model, wider)))
    lost = changes(*(task("kind: Kind) -> int", "", text) for text in (wider, model)))
    expected = {
        Verdict.ANY_ORDER: ([], set()),
        Verdict.WORKERS_FIRST: (of_argument, {Rollout.CLIENTS_FIRST, Rollout.ANY}),
        Verdict.CLIENTS_FIRST: (of_result, {Rollout.WORKERS_FIRST, Rollout.ANY}),
        Verdict.BREAKS: (of_both, set(Rollout)),
    }
    for verdict, (findings, failing) in expected.items():
        assert verdict_of(findings) is verdict
        assert {rollout for rollout in Rollout if any(fails(one, rollout) for one in findings)} == failing
    assert verdict_of(lost) is Verdict.BREAKS  # queued messages know no order
    assert verdict_of(lost, frozenset({SOURCE})) is Verdict.ANY_ORDER
    assert not any(fails(one, categories=frozenset({SOURCE})) for one in lost)


def test_what_is_ignored_stays_told_and_does_not_fail() -> None:
    findings = changes(PLAIN, task("number: int, text: str) -> int"))
    broken = only(findings, "parameter_added_required")
    ignores = [
        Ignore(rule="parameter_added*", task="orders.*", path="text", reason="nobody calls it yet"),
        Ignore(rule="parameter_added_required", path="lines[*].sku", reason="another path"),
        Ignore(rule="task_removed", reason="nothing is removed"),
    ]
    marked, unused = ignoring(findings, ignores)
    assert fails(broken)
    assert only(marked, "parameter_added_required").ignored == "nobody calls it yet"
    assert not any(fails(one, Rollout.ANY) for one in marked)
    assert only(marked, "signature_changed").ignored is None
    assert unused == ignores[1:]
    assert verdict_of(marked) is Verdict.ANY_ORDER


def test_patterns_take_brackets_for_brackets() -> None:
    found = Finding(
        rule="argument_type",
        level=Level.BREAK,
        categories=frozenset({WIRE}),
        task="a.b",
        path="lines[*].sku",
        message="",
    )
    assert Ignore(rule="argument_type", path="lines[*].sku", reason="r").matches(found)
    assert Ignore(rule="argument_*", path="lines*", reason="r").matches(found)
    assert not Ignore(rule="argument_type", path="lines[0].sku", reason="r").matches(found)
    assert not Ignore(rule="argument_typ", reason="r").matches(found)
