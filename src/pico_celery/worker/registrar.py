"""`PicoTaskRegistrar`: check the components of a container, and register their tasks on the Celery application."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType

from celery import Celery
from pico_ioc import PicoContainer, component, configure

from pico_celery.celery_port import check_celery
from pico_celery.client.declaration import client_faults, senders_of
from pico_celery.client.periodic import add_periodic, periodic_tasks_of
from pico_celery.client.publishing.redis_transport import keep_clients
from pico_celery.containers import Key, check_container
from pico_celery.contract.catalog import Catalog, default_catalog
from pico_celery.contract.compiler import imply_task
from pico_celery.contract.conformance import compare_signature, conformance_error
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.deprecation import warn_undeclared
from pico_celery.contract.marks import Implementation, marks_of
from pico_celery.contract.signature import location_of, read_signature
from pico_celery.errors import Fault
from pico_celery.worker.binding import Binding
from pico_celery.worker.contract_task import ContractTask, register
from pico_celery.worker.defaults import set_worker_defaults
from pico_celery.worker.inspect_command import answer_inspect
from pico_celery.worker.lifecycle import remember_container
from pico_celery.worker.registrations import remember_registration


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """How strictly tasks are registered.

    Attributes:
        strict_contracts: Whether a task name that no contract declares is an error.
        catalog: Where contracts are looked up.
    """

    strict_contracts: bool = False
    catalog: Catalog = default_catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A method that implements a task."""

    key: Key
    component: type
    attribute: str
    method: FunctionType
    implementation: Implementation

    @property
    def where(self) -> str:
        return location_of(self.method)


@component
class PicoTaskRegistrar:
    """Registers the tasks of all components on the application, when the container starts.

    Args:
        container: The container whose components are looked at.
        celery_app: The application on which tasks are registered.
        policy: How strictly.
    """

    def __init__(self, container: PicoContainer, celery_app: Celery, policy: RegistrationPolicy) -> None:
        self._container = container
        self._app = celery_app
        self._policy = policy
        self.bindings: tuple[Binding, ...] = ()

    @configure
    def register_tasks(self) -> None:
        """Check all components against their contracts, then register their tasks.

        Raises:
            UnknownTaskError: If names are used that no contract declares where one must.
            ConformanceError: If implementations or clients differ from their contracts; all faults in one error.
            OptionError: If two periodic tasks have one name.
            IncompatibleContainerError: If pico-ioc lacks what is needed.
            ExecutionError: If Celery does.
        """
        check_container(self._container)
        components = list(_components(self._container))
        check = _Scan(self._app, self._policy)
        for key, cls in components:
            check.add_component(key, cls, self._container)
        check.add_clients([cls for _, cls in components])
        if check.faults:
            raise conformance_error("the application", check.faults)
        classes = dict.fromkeys(cls for _, cls in components)
        add_periodic(self._app, dict.fromkeys(task for cls in classes for task in periodic_tasks_of(cls)))
        check.warn()
        if check.bindings:
            check_celery()
        for binding in check.bindings.values():
            register(self._app, binding)
        self.bindings = tuple(check.bindings.values())
        remember_registration(self._app, classes, self._policy.catalog)
        answer_inspect()
        if self.bindings:
            remember_container(self._app, self._container)
            set_worker_defaults(self._app)
            keep_clients(self._app)


class _Scan:
    """Collects bindings and faults of all components."""

    def __init__(self, app: Celery, policy: RegistrationPolicy) -> None:
        self.app = app
        self.policy = policy
        self.catalog = policy.catalog
        self.bindings: dict[str, Binding] = {}
        self.faults: list[Fault] = []
        self.undeclared: dict[str, str] = {}

    def add_component(self, key: Key, cls: type, container: PicoContainer) -> None:
        found, faults = _implementations(key, cls)
        self.faults.extend(faults)
        for one in found:
            definition = self._definition(one)
            if definition is None:
                continue
            if definition.declared:
                signature = read_signature(one.method, definition.name)
                self.faults.extend(compare_signature(definition, signature, "implementation"))
            self._bind(one, definition, container)

    def add_clients(self, classes: list[type]) -> None:
        implied = {
            name: binding.definition for name, binding in self.bindings.items() if not binding.definition.declared
        }
        for cls in dict.fromkeys(classes):
            self.faults.extend(client_faults(cls, self.catalog, implied))
            for sender in senders_of(cls).values():
                if not sender.resolved and self.catalog.owner_of(sender.name) is None:
                    self._note_undeclared(sender.name, sender.where)

    def warn(self) -> None:
        for name, where in self.undeclared.items():
            warn_undeclared(name, where)

    def _definition(self, found: _Found) -> TaskDefinition | None:
        task = found.implementation.task
        if not isinstance(task, str):
            return task
        declared = self.catalog.get(task)
        if declared is not None and declared.name != task:
            self.faults.append(_old_name(task, declared, found.where))
            return None
        if declared is not None:
            return declared
        if self.catalog.owner_of(task) is not None:
            self.faults.append(self.catalog.unknown(task, (found.where,)))
            return None
        self._note_undeclared(task, found.where)
        return imply_task(found.method, task)

    def _note_undeclared(self, name: str, where: str) -> None:
        if name not in self.undeclared and self.policy.strict_contracts:
            self.faults.append(self.catalog.unknown(name, (where,)))
        self.undeclared.setdefault(name, where)

    def _bind(self, found: _Found, definition: TaskDefinition, container: PicoContainer) -> None:
        binding = Binding(
            definition=definition,
            container=container,
            key=found.key,
            component=found.component,
            attribute=found.attribute,
            where=found.where,
            options=found.implementation.options,
        )
        for name in (definition.name, *definition.aliases):
            other = self._other_implementation(name, binding)
            if other is not None:
                self.faults.append(
                    Fault(
                        task=name,
                        expected="one implementation",
                        got=f"two, {other[0]} and {binding.method}",
                        remedy="remove one of them, or its component from the container",
                        where=(other[1], binding.where),
                        code="implemented_twice",
                    )
                )
        self.bindings.setdefault(definition.name, binding)

    def _other_implementation(self, name: str, binding: Binding) -> tuple[str, str] | None:
        if name in self.bindings:
            return self.bindings[name].method, self.bindings[name].where
        registered = self.app.tasks.get(name)
        if registered is None:
            return None
        if isinstance(registered, ContractTask):
            earlier = registered.binding
            # The same method from a container that is started again takes the place of the earlier one.
            return None if earlier.where == binding.where else (earlier.method, earlier.where)
        function = inspect.unwrap(registered.run)
        return f"{function.__module__}.{function.__qualname__}, a plain Celery task", location_of(function)


def _old_name(name: str, definition: TaskDefinition, where: str) -> Fault:
    return Fault(
        task=name,
        expected=f"the task's name, {definition.name!r}",
        got="an old name of it",
        remedy=f"write @task({definition.name!r}): it takes the messages of its old names too",
        where=(definition.where, where),
        code="old_name",
    )


def _components(container: PicoContainer) -> Iterator[tuple[Key, type]]:
    seen: set[tuple[Key, type]] = set()
    for key in sorted(container.keys(), key=str):
        metadata = container.metadata_for(key)
        cls = metadata and (metadata.concrete_class or metadata.provided_type)
        if isinstance(cls, type) and (key, cls) not in seen:
            seen.add((key, cls))
            yield key, cls


def _implementations(key: Key, cls: type) -> tuple[list[_Found], list[Fault]]:
    found: list[_Found] = []
    for attribute in dir(cls):
        method = inspect.getattr_static(cls, attribute, None)
        implementation = _implementation_of(cls, attribute)
        if implementation is not None and isinstance(method, FunctionType):
            found.append(
                _Found(key=key, component=cls, attribute=attribute, method=method, implementation=implementation)
            )
    inherited, faults = _inherited(key, cls, {one.implementation.name for one in found})
    return [*found, *inherited], faults


def _implementation_of(cls: type, attribute: str) -> Implementation | None:
    """Return what ``@task`` says of a method, also where a subclass overrides it without saying it again."""
    for base in cls.__mro__:
        implementation = marks_of(vars(base).get(attribute)).implementation
        if implementation is not None:
            return implementation
    return None


def _inherited(key: Key, cls: type, implemented: set[str]) -> tuple[list[_Found], list[Fault]]:
    """A component that inherits a contract implements all of its tasks, with or without ``@task``."""
    found: list[_Found] = []
    faults: list[Fault] = []
    for base in cls.__mro__:
        contract = marks_of(base).contract
        if contract is None:
            continue
        for attribute, definition in contract.tasks.items():
            if definition.name in implemented:
                continue
            implemented.add(definition.name)
            method = inspect.getattr_static(cls, attribute, None)
            if isinstance(method, FunctionType) and marks_of(method).definition is None:
                implementation = Implementation(task=definition, options={})
                found.append(
                    _Found(key=key, component=cls, attribute=attribute, method=method, implementation=implementation)
                )
            else:
                faults.append(
                    Fault(
                        task=definition.name,
                        expected=f"an implementation in {cls.__qualname__}, which inherits {base.__qualname__}",
                        got="none",
                        remedy=f"write async def {attribute} in {cls.__qualname__}, or do not inherit the contract",
                        where=(definition.where,),
                        code="not_implemented",
                    )
                )
    return found, faults
