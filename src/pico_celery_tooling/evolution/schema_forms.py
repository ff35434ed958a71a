"""Split a JSON Schema into forms: one kind of value each, with references and unions resolved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from pico_celery.document.lock_schema import DECIMAL, DEMANDS
from pico_celery.document.records import REFERENCE, Document, JsonSchema
from pico_celery_tooling.schema.normalize import explicit
from pico_celery_tooling.schema.pydantic_validator import tags_of
from pico_celery_tooling.schema.words import one_of

ANYTHING: Final = "anything"
UNKNOWN: Final = "unknown"
CHOSEN: Final = "chosen_by"
ANNOTATIONS: Final = frozenset(
    {
        "title",
        "description",
        "examples",
        "default",
        "deprecated",
        "readOnly",
        "writeOnly",
        "$comment",
        "$defs",
        "example",
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A form that a value may have."""

    kind: str
    """A type of JSON Schema, `ANYTHING`, or `UNKNOWN` where keywords stand without a type."""
    node: Mapping[str, Any]
    """The explicit schema: no reference, no union."""
    values: tuple[Any, ...] | None = None
    """The only values that it may have; ``None`` where it has others."""
    tags: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    """With which values of which properties a union means it."""
    name: str = ""
    """Name of the model; empty if it is not one."""
    parts: dict[Any, Form] = field(default_factory=dict)

    @property
    def demands(self) -> Mapping[str, Any]:
        """What is demanded that JSON Schema has no words for."""
        found: Mapping[str, Any] = self.node.get(DEMANDS, {})
        return found

    def with_value(self, name: str, value: object) -> Form:
        """Return the part of an object's form where a property has one value."""
        key = (name, json.dumps(value))
        if key not in self.parts:
            properties = {**self.node.get("properties", {}), name: {"const": value}}
            self.parts[key] = Form(self.kind, {**self.node, "properties": properties}, tags=self.tags, name=self.name)
        return self.parts[key]


class Forms:
    """The forms of all schemas of a document, each found once."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._models: dict[str, Mapping[str, Any]] = {}
        self._roots: dict[int, tuple[JsonSchema, Mapping[str, Any]]] = {}
        self._found: dict[int, tuple[Any, tuple[Form, ...]]] = {}

    def root(self, schema: JsonSchema) -> Mapping[str, Any]:
        """Return a schema of the document, explicit; the same schema gives the same."""
        known = self._roots.get(id(schema))
        if known is None:
            known = self._roots[id(schema)] = (schema, explicit(schema))
        return known[1]

    def model(self, name: str) -> Mapping[str, Any]:
        """Return a model's schema, explicit."""
        if name not in self._models:
            self._models[name] = explicit(self.document.schemas[name])
        return self._models[name]

    def of(self, node: object) -> tuple[Form, ...]:
        """Return the forms that an explicit schema gives."""
        known = self._found.get(id(node))
        if known is None:
            known = self._found[id(node)] = (node, tuple(self._forms(node, ())))
        return known[1]

    def values(self, node: object) -> tuple[Any, ...] | None:
        """Return the only values that a schema allows, or ``None``."""
        found: list[Any] = []
        for form in self.of(node):
            if form.values is None:
                return None
            found.extend(form.values)
        return tuple(found)

    def _forms(self, node: object, within: tuple[str, ...]) -> Iterator[Form]:
        if not isinstance(node, Mapping):
            yield from () if node is False else (Form(ANYTHING, {}),)
        elif "$ref" in node:
            name = node["$ref"].removeprefix(REFERENCE)
            if name not in within:  # a union that has itself as a member has no more forms by it
                for form in self._shared(name, within):
                    yield _demanding(form, node.get(DEMANDS, {}))
        elif "anyOf" in node or "oneOf" in node:
            for form in self._members(node, within):
                yield _demanding(form, node.get(DEMANDS, {}))
        elif "enum" in node or "const" in node:
            yield Form("values", node, values=(node["const"],) if "const" in node else tuple(node["enum"]))
        elif isinstance(node.get("type"), list):
            yield from (Form(kind, {**node, "type": kind}) for kind in node["type"])
        elif "type" in node:
            yield Form(node["type"], node)
        else:
            said = set(node) - ANNOTATIONS - {DEMANDS}
            yield Form(UNKNOWN if said else ANYTHING, node)

    def _shared(self, name: str, within: tuple[str, ...]) -> Sequence[Form]:
        node = self.model(name)
        if within and ("anyOf" in node or "oneOf" in node or "$ref" in node):
            return list(self._forms(node, (*within, name)))
        known = self._found.get(id(node))
        if known is None:
            found = [_named(form, name) for form in self._forms(node, (*within, name))]
            known = self._found[id(node)] = (node, tuple(found))
        return known[1]

    def _members(self, node: JsonSchema, within: tuple[str, ...]) -> Iterator[Form]:
        tag = node.get("discriminator", {}).get("propertyName")
        for member in (*node.get("anyOf", ()), *node.get("oneOf", ())):
            values = None if tag is None else tags_of(self.document, member, tag)
            for form in self._forms(member, within):
                if values is not None:
                    yield self._tagged(form, tag, tuple(values))
                elif "oneOf" in node:
                    yield _demanding(form, {CHOSEN: "a function"})
                else:
                    yield form

    def _tagged(self, form: Form, tag: str, values: tuple[Any, ...]) -> Form:
        # One object for each, so that pairs of forms are compared once
        key = ("tag", tag, json.dumps(values))
        if key not in form.parts:
            form.parts[key] = Form(form.kind, form.node, form.values, (*form.tags, (tag, values)), form.name)
        return form.parts[key]


def _named(form: Form, name: str) -> Form:
    return Form(form.kind, form.node, form.values, form.tags, form.name or name)


def _demanding(form: Form, more: Mapping[str, Any]) -> Form:
    more = {key: value for key, value in more.items() if key != "aliases"}
    if not more:
        return form
    key = ("demands", json.dumps(more, sort_keys=True, default=repr))
    if key not in form.parts:
        functions = [*form.demands.get("functions", ()), *more.get("functions", ())]
        demands = {**form.demands, **more, **({"functions": functions} if functions else {})}
        form.parts[key] = Form(form.kind, {**form.node, DEMANDS: demands}, form.values, form.tags, form.name)
    return form.parts[key]


def always(form: Form) -> tuple[str, ...]:
    """Return the names of the properties that an object of a form always has, its tags among them."""
    return (*form.node.get("required", ()), *(tag for tag, _ in form.tags))


def model_name(form: Form) -> str:
    """Return the name of a form's model, without the direction that pydantic adds to it."""
    return form.name.removesuffix("-Output").removesuffix("-Input")


_WORDS: Final[Mapping[str, str]] = {
    "object": "an object",
    "array": "a list",
    "string": "text",
    "boolean": "true or false",
}


def described(form: Form) -> str:
    """Return what a form is, for people."""
    if form.values is not None:
        return one_of(form.values)
    if form.name and form.kind == "object":
        return model_name(form)
    word = _WORDS.get(form.kind, form.kind)
    if form.kind == "string" and form.node.get("format"):
        word = str(form.node["format"])
    if form.demands.get("decimal") or word == DECIMAL:
        word = "Decimal"
    if form.kind == "string" and "pattern" in form.node:
        word = f"{word} that matches {form.node['pattern']}"
    said = _limits(form) if form.kind in {"integer", "number", "string", "array"} else []
    return f"{word} ({', '.join(said)})" if said else word


_LIMITS: Final[Mapping[str, str]] = {
    "minimum": "at least {}", "ge": "at least {}", "exclusiveMinimum": "more than {}", "gt": "more than {}",
    "maximum": "at most {}", "le": "at most {}", "exclusiveMaximum": "less than {}", "lt": "less than {}",
    "multipleOf": "a multiple of {}", "multiple_of": "a multiple of {}", "max_digits": "at most {} digits",
    "decimal_places": "at most {} decimal places", "minLength": "{} or more characters",
    "maxLength": "at most {} characters", "minItems": "{} or more items", "maxItems": "at most {} items",
    "tz_constraint": "{} of time zones", "strip_whitespace": "without spaces around it",
    "allow_inf_nan": "finite", "min_length": "{} or more bytes", "max_length": "at most {} bytes",
    "now_op": "in the {}",
}  # fmt: skip


def _limits(form: Form) -> list[str]:
    """Return the limits of a form in words."""
    given = {**form.node, **form.demands}
    if given.get("allow_inf_nan"):
        del given["allow_inf_nan"]
    words = [text.format(given[key]) for key, text in _LIMITS.items() if key in given]
    return [*words, *(["no item twice"] if given.get("uniqueItems") else [])]


def described_all(forms: Sequence[Form]) -> str:
    """Return what several forms are, for people."""
    return " or ".join(dict.fromkeys(described(form) for form in forms)) or "nothing"


ITEM: Final = -1
"""Any item of a list, as a step."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Any value of a mapping, as a step."""


ENTRY: Final = Entry()


@dataclass(frozen=True, slots=True)
class PathStep:
    """A step of a path into a payload."""

    form: Form
    """The form of the object or list there."""
    key: str | int | Entry
    """Name of the property, index of the item, `ITEM` or `ENTRY`."""


Steps = tuple[PathStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A place where a form does not fit."""

    rule: str
    """Which kind of thing does not fit."""
    steps: Steps
    source: Form
    """The form that is sent there."""
    targets: tuple[Form, ...]
    """The forms that are accepted there."""
    sent: str
    """What is sent, for people."""
    accepted: str
    """What is accepted, for people."""
    certain: bool | None = True
    """Whether it is known; ``None`` where only a payload can show it."""
    values: tuple[Any, ...] = ()
    """Values for the place that may show it."""


@dataclass(frozen=True, slots=True)
class Deeper:
    """Two forms that do not fit, at a place: what does not, lies in them."""

    source: Form
    target: Form
    steps: Steps
    alone: bool = True
    """Whether nothing else is accepted there."""


Found = Issue | Deeper


class Compares(Protocol):
    """What compares the parts of two schemas, for those who know how one kind of form is put together."""

    @property
    def source(self) -> Forms:
        """The forms of the document of what is sent."""

    @property
    def target(self) -> Forms:
        """The forms of the document of what is accepted."""

    def between(self, source: object, target: object, steps: Steps) -> Iterator[Found]:
        """Iterate over the differences between two explicit schemas at a place."""


def steps_text(steps: Steps) -> str:
    """Return a path as text, such as ``lines[*].quantity`` or ``prices{*}``."""
    text = ""
    for step in steps:
        if isinstance(step.key, Entry):
            text += "{*}"
        elif isinstance(step.key, int):
            text += "[*]" if step.key == ITEM else f"[{step.key}]"
        else:
            text += f".{step.key}" if text else step.key
    return text
