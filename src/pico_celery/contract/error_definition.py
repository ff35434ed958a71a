"""`ErrorDefinition`: a declared error as a contract lists it, with its code."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from pico_celery.contract.naming import snake_case
from pico_celery.contract.payload import Payload
from pico_celery.contract.task_error import TaskError, explicit_code, fields_of
from pico_celery.errors import Fault

_LISTED: Final = "__pico_celery_listed__"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorDefinition:
    """An error that a task may raise.

    Attributes:
        code: Its stable name on the wire, such as ``orders.payment_declined``.
        cls: Its class.
        payload: Its fields.
        retryable: Whether a `RetryPolicy` tries again.
        doc: The class's docstring.
        where: ``file:line`` of the class.
    """

    code: str
    cls: type[TaskError]
    payload: Payload
    retryable: bool
    doc: str
    where: str

    @property
    def schema(self) -> Mapping[str, Any]:
        """Whether it is retryable, and the JSON Schema of its fields (as sent)."""
        return {"retryable": self.retryable, "fields": self.payload.sent_schema}


class _Listing(NamedTuple):
    """The first contract that gave a class its code."""

    domain: str
    contract: str
    where: str


def compile_errors(
    classes: Iterable[type[TaskError]], domain: str, contract: type[object], subject: str, where: str
) -> tuple[tuple[ErrorDefinition, ...], list[Fault]]:
    """Compile the errors that a task lists."""
    found: dict[str, ErrorDefinition] = {}
    faults: list[Fault] = []
    for cls in classes:
        if cls is TaskError:
            faults.append(_base(subject, where))
            continue
        definition = _define(cls, domain)
        twin = found.setdefault(definition.code, definition)
        listing = _listing_of(cls)
        if twin is not definition:
            faults.append(same_code(subject, where, twin, definition))
        elif listing is not None and not explicit_code(cls) and _is_other(listing, domain, contract):
            faults.append(_two_domains(subject, where, cls, listing, definition.code))
    return tuple(found.values()), faults


def give_codes(definitions: Iterable[ErrorDefinition], domain: str, contract: type[object], where: str) -> None:
    """Give classes their codes, once the contract that lists them is declared."""
    for definition in definitions:
        definition.cls.code = definition.code
        setattr(definition.cls, _LISTED, _Listing(domain, _name(contract), where))


def same_code(subject: str, where: str, one: ErrorDefinition, other: ErrorDefinition) -> Fault:
    """Return the fault that two errors have one code."""
    twice = one.cls is other.cls
    return Fault(
        task=subject,
        path="errors",
        expected="one error for each code",
        got=f"{one.cls.__name__} twice" if twice else f"{one.cls.__name__} and {other.cls.__name__} as {one.code!r}",
        remedy="list it once"
        if twice
        else f'give one of them a code of its own: class {other.cls.__name__}(..., code="...")',
        where=(where,) if twice else (where, one.where, other.where),
        code="error_code",
    )


def _define(cls: type[TaskError], domain: str) -> ErrorDefinition:
    fields = fields_of(cls)
    return ErrorDefinition(
        code=explicit_code(cls) or f"{domain}.{snake_case(cls.__name__)}",
        cls=cls,
        payload=fields.payload,
        retryable=cls.retryable,
        doc=inspect.cleandoc(vars(cls).get("__doc__") or ""),
        where=fields.where,
    )


def _listing_of(cls: type[TaskError]) -> _Listing | None:
    listing = vars(cls).get(_LISTED)
    return listing if isinstance(listing, _Listing) else None


def _is_other(listing: _Listing, domain: str, contract: type[object]) -> bool:
    # A contract that is declared again (a reloaded module) may have another domain then.
    return listing.domain != domain and listing.contract != _name(contract)


def _name(contract: type[object]) -> str:
    return f"{contract.__module__}.{contract.__qualname__}"


def _base(subject: str, where: str) -> Fault:
    return Fault(
        task=subject,
        path="errors",
        expected="classes derived from TaskError",
        got="TaskError itself",
        remedy="list what the task raises, such as class PaymentDeclined(TaskError): reason: str",
        where=(where,),
        code="error_base",
    )


def _two_domains(subject: str, where: str, cls: type[TaskError], listing: _Listing, code: str) -> Fault:
    return Fault(
        task=subject,
        path="errors",
        expected=f"{cls.__name__} with one code",
        got=f"two, {cls.code!r} of {listing.contract.rpartition('.')[2]} and {code!r}",
        remedy=f'give the class a code that both share: class {cls.__name__}(..., code="{cls.code}")',
        where=(listing.where, where),
        code="error_domain",
    )
