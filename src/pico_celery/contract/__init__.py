"""Contracts: what a task is, and what conforms to it. Clients and workers both stand on this wing."""

from pico_celery.contract.catalog import Catalog, default_catalog
from pico_celery.contract.declaration import contract, task_options
from pico_celery.contract.definition import ContractDefinition, ParameterDefinition, TaskDefinition
from pico_celery.contract.error_definition import ErrorDefinition
from pico_celery.contract.options import Duration, PublishRetryPolicy, TaskOptions
from pico_celery.contract.retry_policy import RetryPolicy
from pico_celery.contract.task_error import TaskError

__all__ = [
    "Catalog",
    "ContractDefinition",
    "Duration",
    "ErrorDefinition",
    "ParameterDefinition",
    "PublishRetryPolicy",
    "RetryPolicy",
    "TaskDefinition",
    "TaskError",
    "TaskOptions",
    "contract",
    "default_catalog",
    "task_options",
]
