"""The catalog: which contracts exist, by task name and by domain, and which task a method refers to."""

from __future__ import annotations

import copyreg
import threading
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, MethodType
from typing import Final

from pico_celery.contract.definition import ContractDefinition, TaskDefinition
from pico_celery.contract.marks import marks_of
from pico_celery.contract.naming import did_you_mean, prefix_of
from pico_celery.errors import ContractError, DecoratorError, Fault, UnknownTaskError


class Catalog:
    """The contracts of a process, or of a test.

    `default_catalog` is used wherever none is given.
    """

    def __init__(self) -> None:
        self._contracts: dict[tuple[str, str, str], ContractDefinition] = {}
        self._tasks: dict[str, TaskDefinition] = {}
        self._aliases: dict[str, TaskDefinition] = {}
        self._lock = threading.Lock()

    @property
    def contracts(self) -> tuple[ContractDefinition, ...]:
        """All contracts, in the order of their declaration."""
        return tuple(self._contracts.values())

    @property
    def tasks(self) -> Mapping[str, TaskDefinition]:
        """All declared tasks by name; aliases are not among them."""
        return MappingProxyType(self._tasks)

    def __iter__(self) -> Iterator[TaskDefinition]:
        """Iterate over all declared tasks, by name."""
        return iter([self._tasks[name] for name in sorted(self._tasks)])

    def get(self, name: str) -> TaskDefinition | None:
        """Return the task that has that name, or had it before (an alias), or ``None``."""
        return self._tasks.get(name) or self._aliases.get(name)

    def owner_of(self, name: str) -> ContractDefinition | None:
        """Return the contract that owns the domain of a task name, or ``None``.

        Args:
            name: Name of a task, declared or not.

        Returns:
            The contract with the longest matching domain.
        """
        owners = [contract for contract in self._contracts.values() if name.startswith(f"{contract.name}.")]
        return max(owners, key=lambda owner: (len(owner.name), -owner.version), default=None)

    def declare(self, contract: ContractDefinition) -> None:
        """Add a contract.

        A contract that is declared again under the same name of its class (a reloaded module) replaces the first one.

        Args:
            contract: The complete definition.

        Raises:
            ContractError: If the contract, or a task name or an alias of it, is declared in another place already.
        """
        with self._lock:
            earlier = self._contracts.get(_place(contract))
            own = _own_tasks(contract)
            aliases = _aliases_of(own)
            replaced = {} if earlier is None else _own_tasks(earlier)
            outdated = replaced.keys() | _aliases_of(replaced).keys()
            taken = {name: task for name, task in {**self._aliases, **self._tasks}.items() if name not in outdated}
            named = {**aliases, **own}
            faults = [_declared_twice(name, task, taken[name]) for name, task in named.items() if name in taken]
            if faults:
                raise ContractError.of(contract.cls.__qualname__, faults)
            for name in outdated:
                self._tasks.pop(name, None)
                self._aliases.pop(name, None)
            self._contracts[_place(contract)] = contract
            self._tasks.update(own)
            self._aliases.update(aliases)

    def unknown(self, name: str, where: tuple[str, ...] = ()) -> Fault:
        """Return the fault that a name is declared by no contract.

        Args:
            name: The name that was used.
            where: ``file:line`` of its use.

        Returns:
            A fault with the nearest names as its remedy.
        """
        owner = self.owner_of(name)
        expected = f"a task of the contract {contract_key(owner)!r}" if owner else "a declared task"
        prefix = f"{owner.name}." if owner else ""
        known = [task.removeprefix(prefix) for task in self._tasks if task.startswith(prefix)]
        remedy = did_you_mean(name.removeprefix(prefix), known, shown_as=prefix + "{}")
        places = (*where, owner.where) if owner else where
        return Fault(
            task=name,
            expected=expected,
            got="a name that no contract declares",
            remedy=remedy,
            where=places,
            code="unknown_task",
        )


def contract_key(contract: ContractDefinition) -> str:
    """Return the name under which a contract is known: its domain, with the version from 2 on."""
    return prefix_of(contract.name, contract.version)


default_catalog: Final = Catalog()


def definition_named(name: str) -> TaskDefinition:
    """Return the declared task of that name, as pickled definitions need it."""
    definition = default_catalog.get(name)
    if definition is None:
        raise UnknownTaskError.of(name, [default_catalog.unknown(name)])
    return definition


def _place(contract: ContractDefinition) -> tuple[str, str, str]:
    # A class that is local to a function may be declared there again and again, each time as another one.
    local = "<locals>" in contract.cls.__qualname__
    return contract.cls.__module__, contract.cls.__qualname__, contract.where if local else ""


def _own_tasks(contract: ContractDefinition) -> dict[str, TaskDefinition]:
    own = vars(contract.cls)
    return {task.name: task for method, task in contract.tasks.items() if method in own}


def _aliases_of(tasks: Mapping[str, TaskDefinition]) -> dict[str, TaskDefinition]:
    return {alias: task for task in tasks.values() for alias in task.aliases}


def _declared_twice(name: str, task: TaskDefinition, earlier: TaskDefinition) -> Fault:
    old = [one.name for one in (earlier, task) if one.name != name]
    return Fault(
        task=name,
        expected="one declaration",
        got=f"two: an alias of {' and of '.join(old)}" if old else "two",
        remedy="leave the alias out while another task has the name"
        if old
        else "rename one of them, or give its contract another domain or version",
        where=(earlier.where, task.where),
        code="declared_twice",
    )


def declared(task: Callable[..., object] | str, user: str) -> TaskDefinition:
    """Return the definition of a contract's method."""
    definition = marks_of(task).definition
    if definition is None or isinstance(task, MethodType):
        name = getattr(task, "__qualname__", repr(task))
        fault = Fault(
            task=user,
            expected="a method of a contract, such as Orders.place",
            got=name,
            remedy=_remedy(task, name),
            code="not_a_contract_method",
        )
        raise DecoratorError.of(user, [fault])
    return definition


def _remedy(task: Callable[..., object] | str, name: str) -> str:
    if isinstance(task, str):
        return "name the method itself, not the task: it is checked by types then"
    if isinstance(task, MethodType):
        return "take the method from the contract's class, not from an instance"
    implementation = marks_of(task).implementation
    if implementation is not None:
        return f"this is an implementation of {implementation.name}: take the method of its contract"
    return f"decorate {name.rsplit('.', 1)[0]} with @contract" if "." in name else "take the method of a contract"


def _pickled(definition: TaskDefinition) -> tuple[Callable[[str], TaskDefinition], tuple[str]]:
    """Pickle by name: a definition belongs to the process that declared it."""
    return definition_named, (definition.name,)


copyreg.pickle(TaskDefinition, _pickled)
