"""Bind a task to the method of a component, and run it in a request scope of its own."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter
from typing import Any, Final

from pico_ioc import PicoContainer

from pico_celery.containers import Key, close_scope
from pico_celery.contract.definition import TaskDefinition
from pico_celery.worker.lifecycle import ensure_started
from pico_celery.worker.loop import LoopService

SCOPE: Final = "request"
_numbers = itertools.count(1)
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A task bound to the method of a component."""

    definition: TaskDefinition
    container: PicoContainer
    key: Key  # of the component in the container
    component: type
    attribute: str  # name of the method
    where: str  # ``file:line`` of the method
    options: Mapping[str, Any]  # checked options of ``@task``

    @cached_property
    def has_positional_only(self) -> bool:
        """Whether a parameter can be given by position only, which those of undeclared names can."""
        return any(parameter.kind is Parameter.POSITIONAL_ONLY for parameter in self.definition.parameters)

    @property
    def method(self) -> str:
        """Name of the method with its class."""
        return f"{self.component.__qualname__}.{self.attribute}"


async def execute(
    service: LoopService, binding: Binding, task_id: str, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> object:
    """Resolve the component and run the method, in a scope that ends with the execution."""
    container = binding.container
    # A redelivered task may run twice at once under one id.
    scope_id = f"{task_id}/{next(_numbers)}"
    token = container.activate_scope(SCOPE, scope_id)
    try:
        component = await _resolve(service, binding)
        if args or binding.has_positional_only:
            args, kwargs = _call_arguments(binding.definition, args, kwargs)
        return await getattr(component, binding.attribute)(*args, **kwargs)
    finally:
        for error in await close_scope(container, SCOPE, scope_id):
            _logger.error("a clean-up after task %s failed: %r", task_id, error, exc_info=error)
        container.deactivate_scope(SCOPE, token)


def _call_arguments(
    definition: TaskDefinition, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> tuple[tuple[object, ...], Mapping[str, object]]:
    """Give positional-only parameters, which only undeclared names have, their values by position."""
    names = [parameter.name for parameter in definition.parameters if parameter.kind is Parameter.POSITIONAL_ONLY]
    if not names or args:
        return args, kwargs
    positional = tuple(kwargs[name] for name in names if name in kwargs)
    return positional, {name: value for name, value in kwargs.items() if name not in names}


async def _resolve(service: LoopService, binding: Binding) -> object:
    name = f"{binding.container.container_id} {binding.definition.name}"
    if name in service.resolved:
        return await binding.container.aget(binding.key)
    await ensure_started(binding.container, service)
    # Two executions that both find a lazy singleton missing would both create it.
    async with service.first_resolution:
        component = await binding.container.aget(binding.key)
        service.resolved.add(name)
        return component
