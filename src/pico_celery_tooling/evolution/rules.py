"""The rules by which versions of contracts are compared. Their names are stable: ignores and programs refer to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pico_celery_tooling.evolution.findings import Category, Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule."""

    name: str
    levels: tuple[Level, ...]
    """How bad what it finds may be, the worst first."""
    categories: frozenset[Category]
    """What it may break."""
    meaning: str
    remedy: str
    """What to do instead."""


OLD_CLIENTS: Final = "old clients and queued messages, at new workers"
NEW_CLIENTS: Final = "new clients, at old workers"
NEW_WORKERS: Final = "new workers' results, at old clients"
OLD_WORKERS: Final = "old workers' results, at new clients"
CALLERS: Final = "callers, when they are type-checked"
IMPLEMENTERS: Final = "implementers"

WORKERS_FIRST: Final = "roll out the workers before the clients"
_DEPRECATE: Final = "keep it and mark it with @task_options(deprecated='use ...'); remove it when no client calls it and no message waits"
_BESIDE: Final = (
    "keep it as it was, and put the new one beside it (another property, another task, @contract(..., version=2))"
)
_DEPLOYED: Final = "keep it, or see that it is so, and ignore this with the reason"

REFUSALS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "type": "what is sent may be of a type that is not accepted",
        "null": "what is sent may be null, which is not accepted",
        "union_member": "a union has a member that is not accepted",
        "discriminator": "a tagged union is told apart by another property, or by a value of it that is not known",
        "enum_value": "an enumeration has a value that is not accepted",
        "const": "the one value that is sent is not the one that is accepted",
        "required_property": "a property is required that is not sent, or not always",
        "unknown_property": "a property is sent to a model that forbids it",
        "property_names": "a mapping has keys that are not accepted",
        "minimum": "the least number that is accepted is more than the least that is sent",
        "maximum": "the greatest number that is accepted is less than the greatest that is sent",
        "multiple_of": "only multiples of a number are accepted, and others are sent",
        "length": "a text, list or mapping may be shorter or longer than what is accepted",
        "pattern": "only text that matches a pattern is accepted, and other text is sent",
        "format": "text of another format is accepted than is sent",
        "items": "a list has more or fewer places than what is accepted",
        "unique": "each item is accepted once only, and may be sent twice",
        "strict": "nothing is converted any more, and what is sent has to be",
        "demand": "something is demanded that JSON Schema has no words for, such as a time zone or a validator's consent",
        "unknown_keyword": "a keyword stands in the schema of which it is not known what it accepts",
    }
)
"""What may be refused of what is sent: the end of a rule's name, after the place. From `pico_celery_tooling.evolution.subset`."""

VISIBLE: Final = frozenset({"type", "null", "union_member", "required_property", "unknown_property"})
"""The refusals that a type checker sees: the others are values of a type, not types."""


def _rule(name: str, levels: Iterable[Level] | Level, categories: str, meaning: str, remedy: str) -> Rule:
    of = (levels,) if isinstance(levels, Level) else tuple(levels)
    return Rule(
        name=name,
        levels=of,
        categories=frozenset(Category(category) for category in categories.split()),
        meaning=meaning,
        remedy=remedy,
    )


_OF_TASKS: Final = (
    _rule(
        "contract_added",
        Level.ORDER,
        "WIRE",
        "a contract is new, and old workers know none of its tasks",
        WORKERS_FIRST,
    ),
    _rule("contract_removed", Level.BREAK, "SOURCE", "a contract is gone", _DEPRECATE),
    _rule(
        "contract_class_renamed",
        Level.BREAK,
        "SOURCE",
        "the class of a contract has another name",
        "keep the old name for a while: OldName = NewName",
    ),
    _rule("task_added", Level.ORDER, "WIRE", "a task is new, and old workers do not know it", WORKERS_FIRST),
    _rule(
        "task_removed", Level.BREAK, "WIRE QUEUED SOURCE", "a task is gone that was not deprecated before", _DEPRECATE
    ),
    _rule(
        "deprecated_task_removed",
        Level.BREAK,
        "WIRE QUEUED",
        "a task is gone that was deprecated before",
        "see that no client calls it and no message of it waits (in its queue, for an ETA, in the schedule of beat), then "
        "ignore this with that reason",
    ),
    _rule(
        "task_renamed",
        (Level.BREAK, Level.ORDER),
        "WIRE QUEUED",
        "a task has another name; BREAK where workers do not take the old one too",
        "let the worker take the old name too: @task_options(aliases=[...])",
    ),
    _rule(
        "alias_removed",
        Level.BREAK,
        "WIRE QUEUED",
        "workers no longer take an old name of a task",
        "keep the alias until no client sends it and no message of that name waits",
    ),
    _rule(
        "method_renamed",
        Level.BREAK,
        "SOURCE",
        "callers refer to a task by another method",
        "keep the method and its contract, and give the task its name with @task_options(name=...)",
    ),
    _rule(
        "task_deprecated",
        Level.NOTE,
        "SOURCE",
        "a task is deprecated: type checkers warn its callers",
        "callers have until it is removed",
    ),
    _rule(
        "signature_changed",
        Level.NOTE,
        "SOURCE",
        "implementations do not start, and are not type-correct, until they follow",
        "change the implementations with the contract",
    ),
)

_OF_PARAMETERS: Final = (
    _rule(
        "parameter_added",
        Level.ORDER,
        "WIRE",
        "old workers refuse a parameter that they do not know",
        WORKERS_FIRST,
    ),
    _rule(
        "parameter_added_required",
        Level.BREAK,
        "WIRE QUEUED SOURCE",
        "old clients do not send a parameter that is required now",
        "give it a default, or turn old payloads into new ones with @upcast",
    ),
    _rule(
        "parameter_removed",
        Level.BREAK,
        "WIRE QUEUED SOURCE",
        "old clients send a parameter that is gone",
        "keep it as an optional one that nobody reads, or take it out of old payloads with @upcast",
    ),
    _rule(
        "parameter_removed_required",
        Level.ORDER,
        "WIRE",
        "new clients do not send what old workers require",
        WORKERS_FIRST,
    ),
    _rule(
        "parameter_renamed",
        Level.BREAK,
        "WIRE QUEUED SOURCE",
        "a parameter is gone, and a new one looks like it",
        "keep the old name, or rename it in old payloads with @upcast",
    ),
    _rule(
        "parameter_now_required",
        Level.BREAK,
        "WIRE QUEUED SOURCE",
        "old clients may leave out what is required now",
        "keep the default, or fill it into old payloads with @upcast",
    ),
    _rule(
        "parameter_now_optional",
        Level.ORDER,
        "WIRE",
        "new clients may leave out what old workers require",
        WORKERS_FIRST,
    ),
    _rule(
        "parameters_reordered",
        Level.BREAK,
        "WIRE QUEUED SOURCE",
        "who gives arguments by position gives them to other parameters: callers in code, and clients of plain Celery",
        "keep the order, and add new parameters at the end or after *",
    ),
    _rule(
        "parameter_now_keyword_only",
        Level.BREAK,
        "WIRE QUEUED SOURCE",
        "a parameter can no longer be given by position, as callers in code and clients of plain Celery may do",
        "keep it before the *",
    ),
    _rule(
        "parameter_now_positional",
        Level.ORDER,
        "WIRE",
        "clients of plain Celery may give by position what old workers take by name only",
        WORKERS_FIRST,
    ),
    _rule(
        "default_changed",
        Level.NOTE,
        "WIRE QUEUED",
        "an argument that is left out means something else, for the worker's default is what it means",
        "pass the argument where its value matters",
    ),
)

_OF_ERRORS: Final = (
    _rule(
        "error_added",
        Level.NOTE,
        "WIRE",
        "old clients get an error that they do not know as RemoteError",
        "let clients know it before workers raise it",
    ),
    _rule(
        "error_removed",
        Level.ORDER,
        "WIRE",
        "new clients get an error of old workers as RemoteError; a new worker that raises it still is taken so by all",
        WORKERS_FIRST,
    ),
    _rule(
        "error_code_changed",
        Level.BREAK,
        "WIRE",
        "old clients get as RemoteError what was an error of its own",
        "keep the code: class X(TaskError, code='...')",
    ),
    _rule(
        "error_retryable_changed",
        Level.NOTE,
        "WIRE",
        "old and new workers do not try again alike",
        "see that the task bears being tried again",
    ),
)

_OF_OPTIONS: Final = (
    *(
        _rule(
            f"{option}_moved",
            Level.BREAK,
            "WIRE QUEUED",
            f"the {option.replace('_', ' ')} is another one: old clients send to the old one, and messages wait there",
            "keep a worker on the old queue until it is empty and no client sends to it, and ignore this with that reason",
        )
        for option in ("queue", "exchange", "routing_key")
    ),
    *(
        _rule(
            f"{option}_cut",
            Level.BREAK,
            "WIRE QUEUED",
            f"the {option.replace('_', ' ')} is shorter: calls that ended in time are ended by it",
            _DEPLOYED,
        )
        for option in ("time_limit", "soft_time_limit")
    ),
    *(
        _rule(f"{option}_cut", Level.NOTE, "WIRE", f"{text}, for clients that have the new contract", _DEPLOYED)
        for option, text in {
            "timeout": "calls have less time to end",
            "expires": "calls that wait are discarded sooner",
            "idempotency_ttl": "calls are known for a shorter time as calls made before",
        }.items()
    ),
    _rule(
        "idempotent_dropped",
        Level.BREAK,
        "WIRE QUEUED",
        "what callers send twice, because it was safe, is done twice",
        "keep it idempotent, or add a task that is not",
    ),
    _rule(
        "key_changed",
        Level.BREAK,
        "WIRE QUEUED",
        "old and new clients do not take the same calls for the same call: it may be done twice",
        "keep the key while both are there, or add a task that has the other one",
    ),
    _rule(
        "result_ignored",
        Level.BREAK,
        "WIRE",
        "results are no longer stored: old clients wait for them in vain",
        "keep the result, or add a task that has none",
    ),
    _rule(
        "result_stored",
        Level.ORDER,
        "WIRE",
        "old workers store no result for new clients that wait for it",
        WORKERS_FIRST,
    ),
    _rule("retries_cut", Level.NOTE, "WIRE QUEUED", "failures are tried again less often", _DEPLOYED),
    _rule("option_changed", Level.NOTE, "WIRE", "another option has another value", "see that it is meant"),
)

_REFUSED_IN: Final = MappingProxyType(
    {
        "argument": ("an argument", "WIRE QUEUED SOURCE", ", or turn old payloads into new ones with @upcast"),
        "result": ("a result", "WIRE SOURCE", ""),
        "error": ("a field of an error", "WIRE", ""),
    }
)
_KEEP: Final = MappingProxyType(
    {
        "required_property": "give the property a default",
        "unknown_property": "keep the property, or let the model take others (extra='ignore')",
        "null": "let it be None as before",
    }
)
_SEND: Final = MappingProxyType(
    {
        "required_property": "go on sending the property",
        "null": "keep it from being None, or add a property that may be",
        "enum_value": "let clients know the value first (--rollout clients-first)",
        "const": "let clients know the value first (--rollout clients-first)",
        "union_member": "let clients know the member first (--rollout clients-first)",
        "discriminator": "let clients know the member first (--rollout clients-first)",
    }
)


def _refused(place: str) -> Iterable[Rule]:
    what, categories, more = _REFUSED_IN[place]
    own = _KEEP if place == "argument" else _SEND
    for name, meaning in REFUSALS.items():
        of = categories if name in VISIBLE else categories.replace("SOURCE", "")
        remedy = f"{own[name]}{more}" if name in own else f"{_BESIDE}{more}"
        yield _rule(f"{place}_{name}", (Level.BREAK, Level.ORDER), of, f"in {what}: {meaning}", remedy)


_ALL: Final = (
    *_OF_TASKS,
    *_OF_PARAMETERS,
    *_refused("argument"),
    *_refused("result"),
    *_OF_ERRORS,
    *_refused("error"),
    *_OF_OPTIONS,
)

RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.name: rule for rule in _ALL})
"""All rules by name, in the order in which they are listed."""
