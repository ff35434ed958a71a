"""What is known of a loaded application: the tasks that it serves, the calls that it makes, the schedule that it sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from celery import Celery
from celery.exceptions import QueueNotFound

from pico_celery.client.declaration import clients_of, senders_of
from pico_celery.client.options import contract_send_options
from pico_celery.contract.catalog import Catalog, default_catalog
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.naming import did_you_mean
from pico_celery.document.build import document_of
from pico_celery.document.records import Document
from pico_celery.worker.contract_task import ContractTask
from pico_celery.worker.registrations import registrations_of
from pico_celery_tooling.evolution.findings import Category, Finding, Level


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCall:
    """A sender of a client of the application."""

    task: str
    """Name of the task."""
    client: str
    """Class and attribute of the sender."""
    options: Mapping[str, Any]
    """What it sends with: the contract's options and its own."""
    definition: TaskDefinition | None
    """The task, where a contract declares it."""
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A task that a component of the application implements."""

    task: ContractTask
    """The task as the worker has it, with all options that hold."""
    definition: TaskDefinition
    where: str
    """``file:line`` of the method."""

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.definition.name

    def option(self, name: str) -> Any:
        """Return an option of ``@task``, or that of the contract, or ``None``."""
        return self.task.binding.options.get(name, self.definition.options.get(name))

    @property
    def limit_seconds(self) -> float | None:
        """After which time it is stopped, or ``None`` for never."""
        conf: Any = self.task.app.conf
        limits = (
            self.task.time_limit or conf.task_time_limit,
            self.task.soft_time_limit or conf.task_soft_time_limit,
        )
        return min((float(limit) for limit in limits if limit), default=None)


class ApplicationFacts:
    """A loaded application, and the contracts that it is held against."""

    def __init__(self, app: Celery, document: Document | None) -> None:
        app.finalize()
        app.loader.import_default_modules()
        self.app: Final = app
        self.conf: Final[Any] = app.conf
        self._registrations = registrations_of(app)
        catalogs = dict.fromkeys(registration.catalog for registration in self._registrations) or {
            default_catalog: None
        }
        self.catalogs: Final[tuple[Catalog, ...]] = tuple(catalogs)
        contracts = [contract for catalog in self.catalogs for contract in catalog.contracts]
        self.document: Final = document_of(contracts) if document is None else document

    @cached_property
    def served(self) -> Mapping[str, Served]:
        """The tasks that components implement, by name."""
        tasks = [task for task in self.app.tasks.values() if isinstance(task, ContractTask)]
        served = [Served(task=task, definition=task.definition, where=task.binding.where) for task in tasks]
        return {one.name: one for one in sorted(served, key=lambda one: one.name) if one.name == one.task.name}

    @cached_property
    def plain(self) -> Mapping[str, Any]:
        """The other tasks of the application, by name; those of Celery left out."""
        tasks: Mapping[str, Any] = self.app.tasks
        found = {name: task for name, task in tasks.items() if not isinstance(task, ContractTask)}
        return {name: found[name] for name in sorted(found) if not name.startswith("celery.")}

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Names under which declared tasks are taken too: which task it is."""
        return {alias: task.name for task in self.document.tasks.values() for alias in task.aliases}

    @cached_property
    def calls(self) -> tuple[ClientCall, ...]:
        """The senders of the container's clients, and of those that were made by hand."""
        classes = [cls for registration in self._registrations for cls in registration.components]
        found: dict[tuple[str, str], ClientCall] = {}
        for cls in dict.fromkeys([*classes, *clients_of(self.app)]):
            for attribute, sender in senders_of(cls).items():
                client = f"{cls.__qualname__}.{attribute}"
                definition = self.definition(sender.name) or (sender.definition if sender.resolved else None)
                call = ClientCall(
                    task=sender.name,
                    client=client,
                    options=sender.options,
                    definition=definition,
                    where="" if sender.method is None else sender.where,
                )
                found[sender.name, client] = call
        return tuple(found[key] for key in sorted(found))

    @cached_property
    def periodic(self) -> Mapping[str, Mapping[str, Any]]:
        """The entries of the schedule, by name."""
        entries: Mapping[str, Any] = self.conf.beat_schedule or {}
        # Celery takes a ScheduleEntry as well as a mapping.
        return {
            str(name): entry if isinstance(entry, Mapping) else {key: getattr(entry, key, None) for key in _ENTRY}
            for name, entry in sorted(entries.items(), key=lambda item: str(item[0]))
        }

    def definition(self, name: str) -> TaskDefinition | None:
        """Return the declaration of a task, or ``None``."""
        return next((found for catalog in self.catalogs if (found := catalog.get(name)) is not None), None)

    def is_declared(self, name: str) -> bool:
        """Return whether a contract declares a name, or has it as an alias."""
        return name in self.document.tasks or name in self.aliases or self.definition(name) is not None

    def is_known(self, name: str) -> bool:
        """Return whether the application's workers take messages of that name."""
        return name in self.app.tasks or self.aliases.get(name) in self.served

    def owner_of(self, name: str) -> str | None:
        """Return the contract that owns the domain of a name, or ``None``."""
        domains = {contract.name for contract in self.document.contracts.values()}
        owners = [owner.name for catalog in self.catalogs if (owner := catalog.owner_of(name)) is not None]
        owners.extend(domain for domain in domains if name.startswith(f"{domain}."))
        return max(owners, key=len, default=None)

    def near(self, name: str) -> str:
        """Return the remedy for a wrong name: the nearest names that are declared, or registered where none owns it."""
        declared = {*self.document.tasks, *(task.name for catalog in self.catalogs for task in catalog)}
        owner = self.owner_of(name)
        if owner is None:
            return did_you_mean(name, {*declared, *self.plain} - {name})
        prefix = f"{owner}."
        mine = [known.removeprefix(prefix) for known in declared if known.startswith(prefix)]
        return did_you_mean(name.removeprefix(prefix), mine, shown_as=prefix + "{}")

    def send_options(self, name: str) -> Mapping[str, Any]:
        """Return what a task is sent with, where the caller says nothing."""
        definition = self.definition(name)
        if definition is not None:
            return contract_send_options(definition)
        record = self.document.tasks.get(name)
        return {} if record is None else record.options

    def queue_of(self, name: str, options: Mapping[str, Any]) -> str | None:
        """Return the queue into which a call goes, by Celery's own router."""
        if "exchange" in options:
            return None
        given = {"queue": options["queue"]} if options.get("queue") else {}
        try:
            queue = self._router.route(given, name).get("queue")
        except QueueNotFound:
            raise
        except Exception:  # noqa: BLE001 - a router is the user's code
            return None
        return None if queue is None else str(getattr(queue, "name", queue))

    @cached_property
    def _router(self) -> Any:
        amqp: Any = self.app.amqp
        # With queues of its own, because a router adds those that are missing.
        return amqp.Router(queues=amqp.Queues(self.conf.task_queues))

    def queue_or_none(self, name: str, options: Mapping[str, Any]) -> str | None:
        """Return what `queue_of` does, and ``None`` where there is no such queue."""
        try:
            return self.queue_of(name, options)
        except QueueNotFound:
            return None

    @cached_property
    def served_queues(self) -> Mapping[str, str]:
        """The queues that this application's workers have to consume: a task for which they do."""
        options = {name: self.send_options(name) for name in self.served}
        options.update({name: {"queue": getattr(task, "queue", None)} for name, task in self.plain.items()})
        found = {name: self.queue_or_none(name, given) for name, given in options.items()}
        return {queue: name for name, queue in reversed(found.items()) if queue is not None}


Rule = Callable[[ApplicationFacts], Iterator[Finding]]


class Rules(dict[str, tuple[str, Rule]]):
    """Rules by name: what each one means, and the function that finds."""

    def add(self, meaning: str) -> Callable[[Rule], Rule]:
        """Add a rule under the name of its function."""

        def decorate(rule: Rule) -> Rule:
            self[rule.__name__] = meaning, rule
            return rule

        return decorate


def setup_finding(rule: str, level: Level, task: str, message: str, remedy: str, **more: Any) -> Finding:
    """Return a finding about the application."""
    categories = more.pop("categories", frozenset({Category.SETUP}))
    return Finding(rule=rule, level=level, categories=categories, task=task, message=message, remedy=remedy, **more)


_ENTRY: Final = ("task", "schedule", "args", "kwargs", "options")
