"""The pages of a site: what each shows, and where it is. How it looks is in the templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from pico_celery.document.records import REFERENCE, Document, JsonSchema, TaskRecord
from pico_celery_tooling.asyncapi.messages import component_name
from pico_celery_tooling.describe.docstrings import read_docstring
from pico_celery_tooling.evolution.rules import NOTHING
from pico_celery_tooling.schema.words import count, demands_of, duration, json_text, python_type, python_value
from pico_celery_tooling.site.changes import Changes
from pico_celery_tooling.site.markup import inline, json_code, prose, python_code
from pico_celery_tooling.site.snippets import plain_call

_FORMS: Final = {"-Input": "as taken", "-Output": "as sent"}


@dataclass(frozen=True, slots=True)
class Example:
    """An example of a task."""

    arguments: Mapping[str, object]
    result: object = None
    errors: Mapping[str, object] = field(default_factory=dict)
    """Fields of each declared error, by its code."""


@dataclass(frozen=True)
class Site:
    """A site, before it is written."""

    title: str
    document: Document
    changes: Changes | None = None
    """What changed since the lock file, where there is one."""
    calls: Mapping[str, str] = field(default_factory=dict)
    """Python code that calls a task, by name of the task."""
    examples: Mapping[str, Example] = field(default_factory=dict)
    """An example of each task, by its name."""

    @cached_property
    def task_pages(self) -> Mapping[str, str]:
        """Path of the page of each task."""
        return _paths("tasks", self.document.tasks)

    @cached_property
    def model_pages(self) -> Mapping[str, str]:
        """Path of the page of each model."""
        return _paths("models", self.document.schemas)

    @cached_property
    def contract_pages(self) -> Mapping[str, str]:
        """Path of the page of each contract."""
        return _paths("contracts", self.document.contracts)

    @cached_property
    def users(self) -> Mapping[str, list[str]]:
        """The tasks that use each model, directly or within another one."""
        found: dict[str, list[str]] = {key: [] for key in self.document.schemas}
        for name in self.document.tasks:
            for key in self.document.only({name}).schemas:
                found[key].append(name)
        return found

    def pages(self) -> Iterator[tuple[str, str]]:
        """Iterate over the pages: path and HTML."""
        document = self.document
        yield self._page("index.html", "index")
        for name, path in self.task_pages.items():
            yield self._page(path, "task", **self._task(document.tasks[name]))
        for key, path in self.contract_pages.items():
            yield self._page(path, "contract", contract=document.contracts[key])
        if document.schemas:
            forms: dict[str, list[str]] = {}
            for key in sorted(document.schemas):
                forms.setdefault(plain_key(key), []).append(key)
            ordered = sorted(forms, key=lambda one: (display_name(one).casefold(), one))
            yield self._page("models.html", "models", models=[forms[name] for name in ordered])
        for key, path in self.model_pages.items():
            schema = document.schemas[key]
            fields = FieldTree(document).fields(schema, (key,))
            yield self._page(path, "model", key=key, schema=schema, fields=fields, users=self.users[key])
        if self.changes is not None:
            names = sorted({*self.changes.tasks, *self.changes.removed, *self.changes.findings})
            yield self._page("changes.html", "changes", names=names)

    def _page(self, path: str, template: str, **values: object) -> tuple[str, str]:
        root = "../" * path.count("/")
        return path, _TEMPLATES.get_template(f"{template}.html.jinja").render(site=self, path=path, root=root, **values)

    def _task(self, task: TaskRecord) -> dict[str, object]:
        tree = FieldTree(self.document)
        doc = read_docstring(task.doc)
        example = self.examples.get(task.name)
        return {
            "task": task,
            "contract": self.document.contract_of(task.name),
            "doc": doc,
            "parameters": [
                tree.field(
                    one.name,
                    one.accepts,
                    required=one.required,
                    default=None if one.required else python_value(one.default),
                    doc=doc.arguments.get(one.name, ""),
                    keyword_only=one.keyword_only,
                )
                for one in task.parameters
            ],
            "result_models": list(tree.models(task.result.sends)),
            "errors": [(error, tree.fields(self.document.resolve(error.sends))) for error in task.errors],
            "policies": list(policies(task.options)),
            "example": example,
            "plain": None if example is None else plain_call(task, example.arguments),
        }


def _paths(folder: str, names: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names):
        wanted = component_name(name)
        file, number = wanted, 1
        while file.casefold() in taken:  # there are file systems on which Order and order are one file
            number += 1
            file = f"{wanted}-{number}"
        taken.add(file.casefold())
        found[name] = f"{folder}/{file}.html"
    return found


def display_name(key: str) -> str:
    """Return the name of a model for people: without the module that keeps two of them apart."""
    return plain_key(key).rpartition("__")[2] or key


def plain_key(key: str) -> str:
    """Return the key of a model without the suffix of its form."""
    return next((key.removesuffix(form) for form in _FORMS if key.endswith(form)), key)


def form_of(key: str) -> str:
    """Return which of its two forms a model has, empty where it has one."""
    return next((words for form, words in _FORMS.items() if key.endswith(form)), "")


# Parameters and fields


class ShownField(NamedTuple):
    """A parameter, or a field of a model or error."""

    name: str
    schema: JsonSchema
    required: bool
    default: str | None
    docs: list[str]
    keyword_only: bool
    models: list[ShownModel]
    """The models in its type, folded into it."""


class ShownModel(NamedTuple):
    """A model that is folded into a field."""

    key: str
    summary: str
    fields: list[ShownField]
    values: list[object]
    """Those of an enumeration."""


@dataclass(slots=True)
class FieldTree:
    """Nests models in fields. A model that contains itself, is too deep or one too many only has its own page."""

    document: Document
    left: int = 250
    """How many nested fields the page may still show."""
    depth: int = 4

    def field(
        self,
        name: str,
        schema: object,
        trail: tuple[str, ...] = (),
        *,
        required: bool,
        default: str | None,
        doc: str = "",
        keyword_only: bool = False,
    ) -> ShownField:
        """Return a field with the models in its type."""
        known = schema if isinstance(schema, Mapping) else {}
        text = str(known.get("description") or "")
        docs = [one for one in (doc, read_docstring(text).text if text != doc else "") if one]
        return ShownField(name, known, required, default, docs, keyword_only, list(self.models(known, trail)))

    def fields(self, schema: JsonSchema, trail: tuple[str, ...] = ()) -> list[ShownField]:
        """Return the fields of a model."""
        required = schema.get("required", ())
        docs = read_docstring(str(schema.get("description", ""))).attributes
        return [
            self.field(
                name,
                part,
                trail,
                required=name in required,
                default=python_value(part["default"]) if isinstance(part, Mapping) and "default" in part else None,
                doc=docs.get(name, ""),
            )
            for name, part in schema.get("properties", {}).items()
        ]

    def models(self, schema: JsonSchema, trail: tuple[str, ...] = ()) -> Iterator[ShownModel]:
        """Iterate over the models to which a schema refers, in the order in which it does."""
        for key in dict.fromkeys(_referred(schema)):
            model = self.document.schemas.get(key)
            if model is None or key in trail or len(trail) >= self.depth or self.left <= 0:
                continue
            values = list(model.get("enum") or ())
            properties = model.get("properties", {})
            if values or properties:
                self.left -= 0 if values else len(properties)
                summary = read_docstring(str(model.get("description", ""))).summary
                yield ShownModel(key, summary, [] if values else self.fields(model, (*trail, key)), values)


def _referred(schema: object) -> Iterator[str]:
    # Not the `references` of records: those of a discriminator come again, in another order.
    if not isinstance(schema, Mapping):
        return
    if isinstance(schema.get("$ref"), str):
        yield schema["$ref"].removeprefix(REFERENCE)
    for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
        for part in schema.get(keyword) or ():
            yield from _referred(part)
    for keyword in ("items", "additionalProperties", "x-keys"):
        yield from _referred(schema.get(keyword))


# The options of a task


class Policy(NamedTuple):
    """An option of a task in words."""

    term: str
    text: str = ""
    codes: tuple[str, ...] = ()
    note: str = ""


_SECONDS: Final = {
    "timeout": ("Deadline", "after the call; calls that the task makes inherit it"),
    "time_limit": ("Time limit", "for one run, which is then stopped"),
    "soft_time_limit": ("Soft time limit", "for one run, which then gets SoftTimeLimitExceeded"),
    "expires": ("Expires", "after the call, unless it has started"),
    "idempotency_ttl": ("Key kept for", ""),
    "default_retry_delay": ("Delay before a retry", ""),
    "retry_backoff_max": ("Longest delay before a retry", ""),
}
_TEXTS: Final = {
    "queue": ("Queue", ""),
    "exchange": ("Exchange", ""),
    "routing_key": ("Routing key", ""),
    "priority": ("Priority", ""),
    "key": ("Key", "calls with the same key are one call"),
    "rate_limit": ("Rate limit", "of each worker"),
    "max_retries": ("Retries", "at most"),
    "compression": ("Compression", ""),
}
_FLAGS: Final = {
    "idempotent": (
        "Idempotent",
        "running twice has the effect of once: after the loss of a worker it runs again",
        "No",
    ),
    "ignore_result": ("Result", "not stored: nobody can wait for it", "stored"),
    "retry_backoff": ("Backoff", "each further retry is delayed longer", "none"),
    "retry_jitter": ("Jitter", "a part of each delay is random", "none"),
    "track_started": ("Reports its start", "Yes", "No"),
    "retry": ("Publishing", "tried again if the broker cannot be reached", "tried once"),
}
_ORDER: Final = (*_TEXTS, *_SECONDS, "retries", *_FLAGS)


def policies(options: Mapping[str, Any]) -> Iterator[Policy]:
    """Iterate over the options of a task in words, in a fixed order."""
    for name in sorted(options, key=lambda one: (_ORDER.index(one) if one in _ORDER else len(_ORDER), one)):
        value = options[name]
        if name in _SECONDS:
            term, note = _SECONDS[name]
            yield Policy(term, "none" if value is None else duration(value), note=note)
        elif name in _FLAGS and isinstance(value, bool):
            term, yes, no = _FLAGS[name]
            yield Policy(term, yes if value else no)
        elif name == "retries" and isinstance(value, Mapping):
            yield from _retries(value)
        else:
            term, note = _TEXTS.get(name, (name.replace("_", " ").capitalize(), ""))
            yield Policy(term, codes=(value if isinstance(value, str) else json_text(value),), note=note)


def _retries(policy: Mapping[str, Any]) -> Iterator[Policy]:
    parts = [f"at most {policy.get('max_attempts')} attempts"]
    if "delay" in policy:
        parts.append(f"{duration(policy['delay'])} before the second")
    if policy.get("backoff", 1) != 1:
        parts.append(f"times {policy['backoff']:g} for each further one")
    if "max_delay" in policy:
        parts.append(f"{duration(policy['max_delay'])} at the longest")
    if policy.get("jitter"):
        parts.append("random" if policy["jitter"] == 1 else f"{policy['jitter']:.0%} of it random")
    yield Policy("Retries", ", ".join(parts))
    if policy.get("retry_on"):
        yield Policy("Also retried after", codes=tuple(map(str, policy["retry_on"])))


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("pico_celery_tooling.site"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    functions = (count, demands_of, display_name, form_of, inline, json_code, json_text, prose, python_code)
    environment.filters.update({function.__name__: function for function in functions})
    environment.filters.update(docstring=read_docstring, python_type=python_type, python_value=python_value)
    environment.globals.update(NOTHING=NOTHING)
    return environment


_TEMPLATES: Final = _environment()
