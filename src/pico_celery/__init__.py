"""pico_celery: type-safe, contract-first RPC over Celery.

A contract is a `typing.Protocol` (`contract`, `task_options`, `upcast`); a worker implements it (`task`), a client calls it
(`celery`, `send_task`, `CeleryClient`), a result is an `AsyncResult` of the contract's type.

The names in `__all__` and the classes of `pico_celery.errors` are public. Everything else may change in any release.
"""

from typing import TYPE_CHECKING, Any

from pico_celery.contract.catalog import Catalog, default_catalog
from pico_celery.contract.declaration import contract, task_options
from pico_celery.contract.definition import (
    ContractDefinition as ContractDefinition,
    ParameterDefinition as ParameterDefinition,
    TaskDefinition as TaskDefinition,
)
from pico_celery.contract.error_definition import ErrorDefinition as ErrorDefinition
from pico_celery.contract.options import Duration, PublishRetryPolicy, TaskOptions
from pico_celery.contract.retry_policy import RetryPolicy
from pico_celery.contract.task_error import TaskError
from pico_celery.contract.upcasting import upcast
from pico_celery.errors import (
    BatchError,
    CompositionError as CompositionError,
    ConformanceError as ConformanceError,
    ContractError,
    DeadlineExceeded,
    DecoratorError as DecoratorError,
    DeprecatedTaskWarning as DeprecatedTaskWarning,
    EmbeddedBrokerError as EmbeddedBrokerError,
    ErrorClassError as ErrorClassError,
    ErrorFieldsError as ErrorFieldsError,
    ExecutionError,
    Fault,
    IncompatibleContainerError as IncompatibleContainerError,
    LockFileError as LockFileError,
    OptionError as OptionError,
    PayloadError,
    PicoCeleryError,
    RemoteError,
    ResultError,
    SettingsError as SettingsError,
    UnboundClientError as UnboundClientError,
    UndeclaredTaskWarning as UndeclaredTaskWarning,
    UnknownTaskError as UnknownTaskError,
)

if TYPE_CHECKING:
    from pico_celery.app.embedded import EmbeddedBroker
    from pico_celery.app.factory import CeleryFactory as CeleryFactory, create_app
    from pico_celery.app.settings import CelerySettings
    from pico_celery.client.bound_sender import BoundSender
    from pico_celery.client.call_scope import CallScope
    from pico_celery.client.canvas.building import chain, chord, group
    from pico_celery.client.canvas.group_result import GroupResult
    from pico_celery.client.canvas.signatures import (
        GroupSignature as GroupSignature,
        GroupWorkflow as GroupWorkflow,
        ImmutableSignature as ImmutableSignature,
        PartialGroup as PartialGroup,
        PartialSignature as PartialSignature,
        TaskSignature,
        Workflow,
    )
    from pico_celery.client.declaration import CeleryClient, celery, send_task
    from pico_celery.client.idempotency import IdempotencyKey
    from pico_celery.client.options import SendOptions
    from pico_celery.client.periodic import PeriodicTask as PeriodicTask, schedule
    from pico_celery.client.results.async_result import AsyncResult
    from pico_celery.client.results.outcome import Err, Ok, Outcome
    from pico_celery.client.publishing.runtime import close
    from pico_celery.client.sender import TaskSender
    from pico_celery.worker.declaration import ImplementationOptions as ImplementationOptions, task
    from pico_celery.worker.registrar import (
        PicoTaskRegistrar as PicoTaskRegistrar,
        RegistrationPolicy as RegistrationPolicy,
    )
    from pico_celery.worker.task_context import RetryOptions, TaskContext

# The names that a project uses daily. The others above can be imported from here too: error classes, and what annotations need.
__all__ = [
    "AsyncResult",
    "BatchError",
    "BoundSender",
    "CallScope",
    "Catalog",
    "CeleryClient",
    "CelerySettings",
    "ContractError",
    "DeadlineExceeded",
    "Duration",
    "EmbeddedBroker",
    "Err",
    "ExecutionError",
    "Fault",
    "GroupResult",
    "IdempotencyKey",
    "ImplementationOptions",
    "Ok",
    "Outcome",
    "PayloadError",
    "PicoCeleryError",
    "PublishRetryPolicy",
    "RemoteError",
    "ResultError",
    "RetryOptions",
    "RetryPolicy",
    "SendOptions",
    "TaskContext",
    "TaskError",
    "TaskOptions",
    "TaskSender",
    "TaskSignature",
    "Workflow",
    "celery",
    "chain",
    "chord",
    "close",
    "contract",
    "create_app",
    "default_catalog",
    "group",
    "schedule",
    "send_task",
    "task",
    "task_options",
    "upcast",
]

# A contract package needs pydantic alone; what needs Celery or the container is imported when it is first asked for.
_LATE = {
    "GroupResult": "pico_celery.client.canvas.group_result",
    "GroupSignature": "pico_celery.client.canvas.signatures",
    "GroupWorkflow": "pico_celery.client.canvas.signatures",
    "ImmutableSignature": "pico_celery.client.canvas.signatures",
    "PartialGroup": "pico_celery.client.canvas.signatures",
    "PartialSignature": "pico_celery.client.canvas.signatures",
    "TaskSignature": "pico_celery.client.canvas.signatures",
    "Workflow": "pico_celery.client.canvas.signatures",
    "chain": "pico_celery.client.canvas.building",
    "chord": "pico_celery.client.canvas.building",
    "group": "pico_celery.client.canvas.building",
    "AsyncResult": "pico_celery.client.results.async_result",
    "BoundSender": "pico_celery.client.bound_sender",
    "CallScope": "pico_celery.client.call_scope",
    "CeleryClient": "pico_celery.client.declaration",
    "CeleryFactory": "pico_celery.app.factory",
    "CelerySettings": "pico_celery.app.settings",
    "EmbeddedBroker": "pico_celery.app.embedded",
    "Err": "pico_celery.client.results.outcome",
    "IdempotencyKey": "pico_celery.client.idempotency",
    "ImplementationOptions": "pico_celery.worker.declaration",
    "Ok": "pico_celery.client.results.outcome",
    "Outcome": "pico_celery.client.results.outcome",
    "PeriodicTask": "pico_celery.client.periodic",
    "PicoTaskRegistrar": "pico_celery.worker.registrar",
    "RegistrationPolicy": "pico_celery.worker.registrar",
    "RetryOptions": "pico_celery.worker.task_context",
    "SendOptions": "pico_celery.client.options",
    "TaskContext": "pico_celery.worker.task_context",
    "TaskSender": "pico_celery.client.sender",
    "celery": "pico_celery.client.declaration",
    "close": "pico_celery.client.publishing.runtime",
    "create_app": "pico_celery.app.factory",
    "schedule": "pico_celery.client.periodic",
    "send_task": "pico_celery.client.declaration",
    "task": "pico_celery.worker.declaration",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - of any type
    """Import a late name, once."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - it takes longer than the rest of this module

        return version("pico-celery")
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only where a late name is used

    value = getattr(import_module(_LATE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the late names too."""
    return sorted({*globals(), *_LATE})
