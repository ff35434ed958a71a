"""``@contract`` and ``@task_options``: how a contract is declared."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from types import FunctionType, MappingProxyType
from typing import Any, Protocol, TypeVar, Unpack, overload

from pico_celery.contract.catalog import Catalog, default_catalog
from pico_celery.contract.compiler import compile_task
from pico_celery.contract.definition import ContractDefinition, TaskDefinition
from pico_celery.contract.deprecation import deprecation_of
from pico_celery.contract.digest import digest
from pico_celery.contract.error_definition import ErrorDefinition, compile_errors, give_codes, same_code
from pico_celery.contract.idempotency_key import key_faults
from pico_celery.contract.marks import mark, marks_of
from pico_celery.contract.naming import is_domain, is_task_name, prefix_of, snake_case
from pico_celery.contract.options import TaskOptions, check_options, refuse_second_policy
from pico_celery.contract.signature import caller_location, location_of
from pico_celery.errors import ContractError, Fault


def alias_faults(cls: str, tasks: Mapping[str, TaskDefinition]) -> list[Fault]:
    """Return the faults of the aliases of a contract's own tasks that the class alone shows."""
    names = {task.name: task for task in tasks.values()}
    seen: dict[str, TaskDefinition] = {}
    faults = []
    for method, task in tasks.items():
        for alias in task.aliases:
            other = names.get(alias) or seen.get(alias)
            if not is_task_name(alias):
                fault = ("a task name without blanks", repr(alias), "such as 'orders.submit'", "name")
            elif other is task:
                got = f"{alias!r}, its own name" if task.name == alias else f"{alias!r} twice"
                fault = ("another name than it has", got, "leave it out", "alias")
            elif other is not None:
                role = "the name" if other.name == alias else "an alias"
                got = f"{alias!r}, {role} of {cls}.{other.method}"
                fault = ("a name that only this task had", got, "leave one of them out", "declared_twice")
            else:
                seen[alias] = task
                continue
            expected, got, remedy, code = fault
            faults.append(
                Fault(
                    task=f"{cls}.{method}",
                    path="aliases",
                    expected=expected,
                    got=got,
                    remedy=remedy,
                    where=(task.where,) if other in {None, task} else (other.where, task.where),
                    code=code,
                )
            )
    return faults


_Class = TypeVar("_Class", bound=type[Any])
_Method = TypeVar("_Method", bound=Callable[..., Any])


class _Decorator(Protocol):
    def __call__(self, cls: _Class, /) -> _Class: ...


@overload
def contract(cls: _Class, /) -> _Class: ...
@overload
def contract(domain: str | None = None, /, *, version: int = 1, catalog: Catalog | None = None) -> _Decorator: ...
def contract(
    target: type[object] | str | None = None, /, *, version: int = 1, catalog: Catalog | None = None
) -> type[object] | _Decorator:
    """Declare a contract: a `typing.Protocol` whose ``async def`` methods are tasks.

    Args:
        target: The domain, with which every task name begins (``@contract("orders")``); without it, or with the class
            itself (``@contract``), the class name in snake_case.
        version: From 1; from 2 on it is part of the task names (``orders.v2.place``).
        catalog: Where the contract is registered; the default catalog of the process without it.

    Returns:
        The class itself, marked as a contract, or a decorator that returns it.

    Raises:
        ContractError: If the class cannot be a contract, with all its faults.
    """
    if isinstance(target, type):
        return _declare(target, snake_case(target.__name__), 1, default_catalog, _caller_locals(), caller_location())

    def decorate(cls: _Class, /) -> _Class:
        domain = snake_case(cls.__name__) if target is None else target
        _declare(cls, domain, version, catalog or default_catalog, _caller_locals(), caller_location())
        return cls

    return decorate


def task_options(**options: Unpack[TaskOptions]) -> Callable[[_Method], _Method]:
    """Give a contract's method its policy: queue, priority, time limits, retries and so on.

    Args:
        **options: See `TaskOptions`; durations are seconds or `timedelta`.

    Returns:
        A decorator that returns the method itself.

    Raises:
        OptionError: If an option is unknown or has a wrong type.
    """
    where = caller_location()
    checked = check_options(TaskOptions, options, "task_options", where=where, advice=_ADVICE)
    refuse_second_policy(checked, "task_options", where)

    def decorate(method: _Method) -> _Method:
        mark(method, options=MappingProxyType(checked))
        return method

    return decorate


_ADVICE = {
    "serializer": "leave it out: the wire is JSON",
    "bind": "leave it out: the method's self is the component",
    "base": "leave it out: give options to @task of the implementation",
    "acks_late": "say idempotent=True, or give it to @task of the implementation",
    "autoretry_for": "give it to @task of the implementation",
    "countdown": "give it to with_options of the call",
    "eta": "give it to with_options of the call",
}


def _caller_locals() -> Mapping[str, object]:
    return sys._getframe(2).f_locals  # noqa: SLF001 - as pydantic does it, for classes that are local to a function


def _declare(  # noqa: PLR0917 - one argument for each thing that the decorator knows
    cls: type[object], domain: str, version: int, catalog: Catalog, namespace: Mapping[str, object], where: str
) -> type[object]:
    faults = _class_faults(cls, domain, version, where)
    inherited = {} if any(fault.code == "not_a_protocol" for fault in faults) else _inherited_tasks(cls, where, faults)
    own = _own_tasks(cls, str(domain), version, {**namespace, **vars(cls)}, faults)
    faults.extend(_code_faults(cls, own))
    faults.extend(_member_faults(cls, where))
    if not own and not inherited and not faults:
        faults.append(_empty(cls, where))
    if faults:
        raise ContractError.of(cls.__qualname__, faults)
    tasks = {**inherited, **own}
    definition = ContractDefinition(
        name=domain,
        version=version,
        cls=cls,
        tasks=MappingProxyType(tasks),
        doc=inspect.cleandoc(vars(cls).get("__doc__") or ""),  # its own: getdoc would take that of typing.Protocol
        where=where,
        digest=digest(sorted((task.name, task.digest) for task in tasks.values())),
    )
    catalog.declare(definition)
    give_codes((error for task in own.values() for error in task.errors), domain, cls, where)
    for name, task in own.items():
        mark(vars(cls)[name], definition=task)
    mark(cls, contract=definition)
    return cls


def _empty(cls: type[object], where: str) -> Fault:
    return Fault(
        task=cls.__name__,
        expected="async def methods",
        got="none",
        remedy="declare the tasks of the domain as its methods",
        where=(where,),
        code="empty",
    )


def _class_faults(cls: type[object], domain: str, version: int, where: str) -> list[Fault]:
    def fault(expected: str, got: str, remedy: str, code: str) -> Fault:
        return Fault(task=cls.__name__, expected=expected, got=got, remedy=remedy, where=(where,), code=code)

    faults = []
    if not getattr(cls, "_is_protocol", False):
        faults.append(
            fault("a typing.Protocol", "a plain class", f"write class {cls.__name__}(Protocol)", "not_a_protocol")
        )
    if not is_domain(domain):
        faults.append(fault("a domain of identifiers joined by dots", repr(domain), "such as 'orders'", "domain"))
    if type(version) is not int or version < 1:
        faults.append(fault("a version from 1", repr(version), "count from 1", "version"))
    return faults


def _inherited_tasks(cls: type[object], where: str, faults: list[Fault]) -> dict[str, TaskDefinition]:
    tasks: dict[str, TaskDefinition] = {}
    for base in reversed(cls.__mro__[1:]):
        declared = marks_of(base).contract
        if declared is not None:
            tasks.update(declared.tasks)
        elif base.__module__ not in {"builtins", "typing", "typing_extensions", "abc"}:
            faults.extend(
                Fault(
                    task=f"{cls.__name__}.{name}",
                    expected="tasks of the class itself or of another contract",
                    got=f"a method of {base.__name__}, which is no contract",
                    remedy=f"decorate {base.__name__} with @contract",
                    where=(where,),
                    code="base_is_no_contract",
                )
                for name in _functions(base)
            )
    return tasks


def _own_tasks(
    cls: type[object], domain: str, version: int, namespace: Mapping[str, object], faults: list[Fault]
) -> dict[str, TaskDefinition]:
    prefix = prefix_of(domain, version)
    tasks: dict[str, TaskDefinition] = {}
    for name, function in _functions(cls).items():
        options = dict(marks_of(function).options or {})
        task_name = options.pop("name", f"{prefix}.{name}")
        subject = f"{cls.__name__}.{name}"
        if task_name != f"{prefix}.{name}" and not is_task_name(task_name):
            faults.append(_bad_name(subject, task_name, location_of(function)))
        errors, wrong = compile_errors(options.pop("errors", ()), domain, cls, subject, location_of(function))
        deprecation, differing = deprecation_of(function, options, subject)
        faults.extend(differing)
        options.update(deprecation)
        definition, found = compile_task(function, task_name, prefix, options, subject, namespace, errors)
        faults.extend([*wrong, *found])
        if definition is None:
            continue
        faults.extend(key_faults(definition, subject))
        twin = next((other for other in tasks.values() if other.name == task_name), None)
        if twin is not None:
            faults.append(
                Fault(
                    task=subject,
                    expected="a task name of its own",
                    got=f"{task_name!r}, the name of {cls.__name__}.{twin.method}",
                    remedy="change name= of one of them",
                    where=(twin.where, definition.where),
                    code="declared_twice",
                )
            )
        tasks[name] = definition
    faults.extend(alias_faults(cls.__name__, tasks))
    return tasks


def _code_faults(cls: type[object], tasks: Mapping[str, TaskDefinition]) -> list[Fault]:
    """Return the faults of errors of different tasks that share a code: a code must mean one error."""
    seen: dict[str, ErrorDefinition] = {}
    faults = []
    for name, task in tasks.items():
        for error in task.errors:
            first = seen.setdefault(error.code, error)
            if first.cls is not error.cls:
                faults.append(same_code(f"{cls.__name__}.{name}", task.where, first, error))
    return faults


def _bad_name(subject: str, name: str, where: str) -> Fault:
    return Fault(
        task=subject,
        path="name",
        expected="a task name without blanks",
        got=repr(name),
        remedy="such as 'orders.place'",
        where=(where,),
        code="name",
    )


def _functions(cls: type[object]) -> dict[str, FunctionType]:
    skipped = {"__init__", "__subclasshook__", "_proto_hook"}
    return {
        name: member
        for name, member in vars(cls).items()
        if isinstance(member, FunctionType) and name not in skipped and not name.startswith("__")
    }


def _member_faults(cls: type[object], where: str) -> list[Fault]:
    def fault(name: str, got: str, place: str) -> Fault:
        return Fault(
            task=f"{cls.__name__}.{name}",
            expected="async def methods only",
            got=got,
            remedy="move it out of the contract",
            where=(place,),
            code="not_a_method",
        )

    faults = []
    for name, member in vars(cls).items():
        if name.startswith(("__", "_abc_")) or isinstance(member, (FunctionType, type)):
            continue
        if isinstance(member, (staticmethod, classmethod, property)):
            function = member.fget if isinstance(member, property) else member.__func__
            faults.append(fault(name, f"a {type(member).__name__}", location_of(function) if function else where))
        elif callable(member):
            faults.append(fault(name, f"a {type(member).__name__}", where))
    faults.extend(fault(name, "an attribute", where) for name in inspect.get_annotations(cls))
    return faults
