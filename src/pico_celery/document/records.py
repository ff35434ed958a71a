"""Records: contracts as plain JSON data, without the classes they were made from.

A record holds all that peers must agree on, and the texts for people. JSON Schemas in it refer to shared models by
``{"$ref": "#/schemas/Order"}``; `Document.standalone` makes one of them complete in itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pico_celery.contract.naming import prefix_of

LOCK_VERSION: Final = 1
"""Version of the format. A reader takes its own and older ones."""

REFERENCE: Final = "#/schemas/"
JsonSchema = Mapping[str, Any]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", ignored_types=(cached_property,), defer_build=True)


class ParameterRecord(_Record):
    """A parameter of a task."""

    name: str
    """Its name, which is its name on the wire."""
    keyword_only: bool = False
    """Whether it cannot be given by position."""
    type: str
    """Its annotation as text, for people."""
    required: bool
    """Whether a caller must give it."""
    sensitive: bool = False
    """Whether parts of its values must stay out of logs: secrets, and fields with ``repr=False``."""
    default: Any = None
    """Its default as JSON, where it has one."""
    accepts: JsonSchema
    """JSON Schema of what the worker takes."""
    sends: JsonSchema | None = None
    """JSON Schema of what clients send, where that is another one."""

    @property
    def sent(self) -> JsonSchema:
        """JSON Schema of what clients send."""
        return self.accepts if self.sends is None else self.sends


class ResultRecord(_Record):
    """The result of a task."""

    type: str
    """Its annotation as text, for people."""
    sends: JsonSchema
    """JSON Schema of what the worker sends."""
    accepts: JsonSchema | None = None
    """JSON Schema of what clients take, where that is another one."""

    @property
    def accepted(self) -> JsonSchema:
        """JSON Schema of what clients take."""
        return self.sends if self.accepts is None else self.accepts


class ErrorRecord(_Record):
    """An error that a task may raise."""

    code: str
    """Its stable name on the wire."""
    type: str
    """Name of its class."""
    retryable: bool = False
    """Whether a `RetryPolicy` tries again."""
    doc: str = ""
    """Docstring of its class."""
    sends: JsonSchema
    """JSON Schema of its fields as the worker sends them."""
    accepts: JsonSchema | None = None
    """JSON Schema of its fields as clients take them, where that is another one."""

    @property
    def accepted(self) -> JsonSchema:
        """JSON Schema of the fields as clients take them."""
        return self.sends if self.accepts is None else self.accepts


class TaskRecord(_Record):
    """A task."""

    name: str
    """Its name on the wire."""
    method: str
    """Name of the contract's method."""
    doc: str = ""
    """Docstring of the method."""
    digest: str
    """Changes exactly when the wire contract changes."""
    since: str | None = None
    """Version of the package in which it came."""
    deprecated: str | None = None
    """What to use instead; ``None`` where it is not deprecated."""
    aliases: tuple[str, ...] = ()
    """Names under which workers take its messages too."""
    upcast: bool = False
    """Whether workers turn old payloads into new ones before they validate them."""
    parameters: tuple[ParameterRecord, ...] = ()
    """In the order of the contract."""
    result: ResultRecord
    errors: tuple[ErrorRecord, ...] = ()
    """What it may raise, by code."""
    options: Mapping[str, Any] = Field(default_factory=dict)
    """The contract's options as JSON: durations in seconds, functions and classes by name."""

    def parameter(self, name: str) -> ParameterRecord | None:
        """Return a parameter by its name, or ``None``."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def error(self, code: str) -> ErrorRecord | None:
        """Return an error by its code, or ``None``."""
        return next((error for error in self.errors if error.code == code), None)

    @property
    def arguments(self) -> JsonSchema:
        """JSON Schema of all arguments together, by name, as the worker takes them."""
        required = [parameter.name for parameter in self.parameters if parameter.required]
        return {
            "type": "object",
            "properties": {parameter.name: parameter.accepts for parameter in self.parameters},
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }


class ContractRecord(_Record):
    """A contract: the tasks of a domain."""

    name: str
    version: int = 1
    type: str = ""
    """Name of the Protocol class."""
    doc: str = ""
    digest: str
    """Changes exactly when the wire contract of any of its tasks changes."""
    tasks: Mapping[str, TaskRecord]
    """By name on the wire."""

    @property
    def key(self) -> str:
        """What its task names begin with: ``orders`` or ``orders.v2``."""
        return prefix_of(self.name, self.version)


class Document(_Record):
    """Contracts, and the JSON Schemas of the models they share."""

    lock_version: Literal[1] = LOCK_VERSION
    """Version of the format, `LOCK_VERSION`."""
    contracts: Mapping[str, ContractRecord]
    schemas: Mapping[str, JsonSchema] = Field(default_factory=dict)
    """By name of the model."""

    @cached_property
    def tasks(self) -> Mapping[str, TaskRecord]:
        """All tasks by name, in order."""
        found = {name: task for contract in self.contracts.values() for name, task in contract.tasks.items()}
        return dict(sorted(found.items()))

    def contract_of(self, task: str) -> ContractRecord:
        """Return the contract that has a task of that name."""
        return next(contract for contract in self.contracts.values() if task in contract.tasks)

    def resolve(self, schema: JsonSchema) -> JsonSchema:
        """Return what a schema refers to, or the schema itself."""
        reference = schema.get("$ref")
        return schema if reference is None else self.resolve(self.schemas[_name(reference)])

    def standalone(self, schema: JsonSchema) -> dict[str, Any]:
        """Return a schema that is complete in itself: with the models it refers to, in ``$defs``."""
        needed: dict[str, Any] = {}
        open_names = list(references(schema))
        while open_names:
            name = open_names.pop()
            if name not in needed:
                needed[name] = self.schemas[name]
                open_names.extend(references(self.schemas[name]))
        root: dict[str, Any] = relocated(schema, "#/$defs/")
        if needed:
            root["$defs"] = {name: relocated(needed[name], "#/$defs/") for name in sorted(needed)}
        return root

    def only(self, tasks: Mapping[str, object] | frozenset[str] | set[str]) -> Document:
        """Return the part of the document that some tasks need."""
        contracts = {
            key: contract.model_copy(
                update={"tasks": {name: contract.tasks[name] for name in contract.tasks if name in tasks}}
            )
            for key, contract in self.contracts.items()
        }
        contracts = {key: contract for key, contract in contracts.items() if contract.tasks}
        document = Document(contracts=contracts)
        names = {name for contract in contracts.values() for name in references(contract.model_dump(mode="json"))}
        reached: set[str] = set()
        while names:
            name = names.pop()
            if name not in reached:
                reached.add(name)
                names.update(references(self.schemas[name]))
        return document.model_copy(update={"schemas": {name: self.schemas[name] for name in sorted(reached)}})


def references(node: object) -> Iterator[str]:
    """Iterate over the names of the models that a schema refers to directly."""
    if isinstance(node, dict):  # and not Mapping, which costs several times as much to ask
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str) and value.startswith(REFERENCE):
                yield _name(value)
            elif key in _NAMED and isinstance(value, dict):
                for named in value.values():
                    yield from references(named)
            elif key not in _VALUES and isinstance(value, (dict, list)):
                yield from references(value)
        discriminator = node.get("discriminator")
        mapping = discriminator.get("mapping") if isinstance(discriminator, dict) else None
        for value in (mapping or {}).values():
            yield _name(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def relocated(node: object, base: str) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return a schema whose references lead to another place."""
    if isinstance(node, Mapping):
        return {key: _relocated_part(key, value, base) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [relocated(value, base) for value in node]
    if isinstance(node, str) and node.startswith(REFERENCE):
        return base + node.removeprefix(REFERENCE)
    return node


def _relocated_part(key: str, value: object, base: str) -> Any:  # noqa: ANN401 - JSON of any shape
    if key in _NAMED and isinstance(value, Mapping):
        return {name: relocated(schema, base) for name, schema in value.items()}
    return value if key in _VALUES else relocated(value, base)


_NAMED: Final = frozenset({"properties", "patternProperties"})
"""Keywords whose keys are names of the user's: a field may be called ``title`` or ``default``."""
_VALUES: Final = frozenset({"default", "const", "enum", "examples", "example", "description", "title"})


def _name(reference: str) -> str:
    return reference.removeprefix(REFERENCE)
