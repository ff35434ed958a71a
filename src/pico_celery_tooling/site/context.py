"""What pages know: the contracts, where each thing has its page, and how a page leads there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pico_celery.document.records import Document, ErrorRecord, JsonSchema, TaskRecord, references
from pico_celery_tooling.asyncapi.dialect import component_name
from pico_celery_tooling.site.changes import Changes
from pico_celery_tooling.site.html import Html, tag

_FORMS: Final = {"-Input": "as taken", "-Output": "as sent"}


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
        """The tasks that use each model, in whatever depth."""
        found: dict[str, list[str]] = {name: [] for name in self.document.schemas}
        for name, task in self.document.tasks.items():
            for model in _reached(self.document, task):
                found[model].append(name)
        return found


@dataclass(frozen=True, slots=True)
class Example:
    """An example of a task."""

    arguments: Mapping[str, Any]
    result: Any = None
    errors: Mapping[str, Any] = field(default_factory=dict)
    """Fields of each declared error, by its code."""


@dataclass(frozen=True, slots=True)
class PageLocation:
    """A page's place in the site, from which links lead to others."""

    site: Site
    path: str
    """Path of the page."""

    @property
    def root(self) -> str:
        """What leads from the page to the site's directory."""
        return "../" * self.path.count("/")

    def to(self, path: str) -> str:
        """Return the link to a path of the site."""
        return self.root + path

    def task(self, name: str, text: str | None = None) -> Html:
        """Return a link to a task."""
        return tag("a", tag("code", text or name), href=self.to(self.site.task_pages[name]))

    def contract(self, key: str) -> Html:
        """Return a link to a contract."""
        return tag("a", tag("code", key), href=self.to(self.site.contract_pages[key]))

    def model(self, key: str) -> Html:
        """Return a link to a model."""
        path = self.site.model_pages.get(key)
        return tag("span", display_name(key)) if path is None else tag("a", display_name(key), href=self.to(path))


def display_name(key: str) -> str:
    """Return the name of a model for people: without the module that keeps two of them apart."""
    return plain_key(key).rpartition("__")[2] or key


def plain_key(key: str) -> str:
    """Return the key of a model without what tells its two forms apart."""
    return next((key.removesuffix(form) for form in _FORMS if key.endswith(form)), key)


def form_of(key: str) -> str:
    """Return which of its two forms a model has, empty where it has one."""
    return next((words for form, words in _FORMS.items() if key.endswith(form)), "")


def _paths(folder: str, names: Mapping[str, Any]) -> dict[str, str]:
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


def schemas_of(task: TaskRecord) -> Iterator[JsonSchema]:
    """Iterate over the schemas of a task, in both directions."""
    for parameter in task.parameters:
        yield from (parameter.accepts, parameter.sent)
    for part in (task.result, *task.errors):
        yield from _both(part)


def _both(part: Any) -> Iterator[JsonSchema]:
    yield part.sends
    if isinstance(part, ErrorRecord) or part.accepts is not None:
        yield part.accepted


def _reached(document: Document, task: TaskRecord) -> set[str]:
    reached: set[str] = set()
    names = [name for schema in schemas_of(task) for name in references(schema)]
    while names:
        name = names.pop()
        if name not in reached:
            reached.add(name)
            names.extend(references(document.schemas[name]))
    return reached
