"""Frozen definitions: what a contract is once it is declared, complete and checked."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pico_celery.contract.error_definition import ErrorDefinition
from pico_celery.contract.payload import Payload
from pico_celery.contract.retry_policy import RetryPolicy
from pico_celery.contract.signature import KINDS, MISSING, VARIADIC
from pico_celery.contract.typenames import type_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterDefinition:
    """A parameter of a task.

    Attributes:
        name: Its name, which is its name on the wire.
        kind: One of `inspect.Parameter`'s kinds.
        annotation: Its type.
        default: Its default, or `inspect.Parameter.empty`.
        payload: Its type, compiled.
    """

    name: str
    kind: inspect._ParameterKind
    annotation: Any
    default: Any
    payload: Payload

    @property
    def required(self) -> bool:
        """Whether a caller must give it."""
        return self.default is MISSING and self.kind not in VARIADIC

    @property
    def default_data(self) -> object:
        """The default as JSON data, or as text where JSON cannot carry it; ``None`` where there is none."""
        if self.required:
            return None
        try:
            value = self.payload.encode(self.payload.validate(self.default))
        except (ValidationError, ValueError):
            return repr(self.default)
        return sorted(value, key=repr) if isinstance(self.default, (set, frozenset)) else value

    def __str__(self) -> str:
        """Return it as it would stand in a signature, with its kind."""
        default = "" if self.default is MISSING else f" = {self.default!r}"
        return f"{self.name}: {type_name(self.annotation)}{default} ({KINDS[self.kind]})"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class TaskDefinition:
    """A task: what goes in, what comes out, and how it is sent by default.

    Attributes:
        name: Name of the task on the wire, such as ``orders.place``.
        contract: Name of the contract that declares it; empty where the signature of an implementation is the contract.
        method: Name of the method.
        parameters: In the order of the contract.
        arguments: Payload of all arguments together, by name.
        positional: Names of the parameters that may be given by position, in order.
        open_positional: Whether more positional arguments are passed on unchecked (implied contracts with ``*args``).
        open_keywords: Whether more keyword arguments are passed on unchecked (implied contracts with ``**kwargs``).
        result: Payload of the result.
        errors: What the task may raise, by its contract.
        options: Options of ``@task_options``, with durations in seconds.
        doc: The method's docstring.
        where: ``file:line`` of the declaration.
        digest: Changes exactly when the wire contract changes.
    """

    name: str
    contract: str
    method: str
    parameters: tuple[ParameterDefinition, ...]
    arguments: Payload
    positional: tuple[str, ...]
    open_positional: bool
    open_keywords: bool
    result: Payload
    errors: tuple[ErrorDefinition, ...]
    options: Mapping[str, Any]
    doc: str
    where: str
    digest: str

    @property
    def declared(self) -> bool:
        """Whether a contract declares it."""
        return bool(self.contract)

    @property
    def since(self) -> str | None:
        """In which version it came, where the contract says so."""
        return self.options.get("since")

    @property
    def deprecated(self) -> str | None:
        """What to use instead, where it is deprecated."""
        return self.options.get("deprecated")

    @property
    def aliases(self) -> tuple[str, ...]:
        """Names that it had before: workers take messages by them, and the catalog finds it."""
        return tuple(self.options.get("aliases", ()))

    @property
    def retries(self) -> RetryPolicy | None:
        """Which failures are tried again, as the contract says; an implementation may say otherwise."""
        return self.options.get("retries")

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schemas of the arguments (as accepted), of the result and, by code, of the errors (as sent)."""
        return {
            "arguments": self.arguments.accepted_schema,
            "result": self.result.sent_schema,
            "errors": {error.code: error.schema for error in self.errors},
        }

    def error(self, code: str) -> ErrorDefinition | None:
        """Return a declared error by its code, or ``None``."""
        return next((error for error in self.errors if error.code == code), None)

    def parameter(self, name: str) -> ParameterDefinition | None:
        """Return a parameter by its name, or ``None``."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContractDefinition:
    """A contract: the tasks of a domain.

    Attributes:
        name: The domain, such as ``orders``.
        version: From 1.
        cls: The Protocol class.
        tasks: By method name, own and inherited.
        doc: The class docstring.
        where: ``file:line`` of the declaration.
        digest: Changes exactly when the wire contract of any of its tasks changes.
    """

    name: str
    version: int
    cls: type[Any]
    tasks: Mapping[str, TaskDefinition]
    doc: str
    where: str
    digest: str
