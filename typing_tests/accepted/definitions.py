"""The catalog and the frozen definitions."""

import inspect
from collections.abc import Mapping
from typing import Any, assert_type

from pico_celery import Catalog, ContractDefinition, ParameterDefinition, TaskDefinition, default_catalog


def catalog() -> None:
    own = Catalog()
    assert_type(default_catalog, Catalog)
    assert_type(own.contracts, tuple[ContractDefinition, ...])
    assert_type(own.tasks, Mapping[str, TaskDefinition])
    assert_type(own.get("shop.place"), TaskDefinition | None)
    assert_type(own.owner_of("shop.place"), ContractDefinition | None)
    assert_type([task.name for task in own], list[str])


def contract_definition(contract: ContractDefinition) -> None:
    assert_type(contract.name, str)
    assert_type(contract.version, int)
    assert_type(contract.cls, type[Any])
    assert_type(contract.tasks["place"], TaskDefinition)
    assert_type(contract.digest, str)


def task_definition(task: TaskDefinition) -> None:
    assert_type(task.name, str)
    assert_type(task.contract, str)
    assert_type(task.parameters, tuple[ParameterDefinition, ...])
    assert_type(task.parameter("order"), ParameterDefinition | None)
    assert_type(task.positional, tuple[str, ...])
    assert_type(task.options, Mapping[str, Any])
    assert_type(task.schema, Mapping[str, Any])
    assert_type(task.declared, bool)
    assert_type(task.digest, str)


def parameter_definition(parameter: ParameterDefinition) -> None:
    assert_type(parameter.name, str)
    assert_type(parameter.required, bool)
    assert_type(parameter.annotation, Any)
    assert_type(parameter.kind is inspect.Parameter.KEYWORD_ONLY, bool)
