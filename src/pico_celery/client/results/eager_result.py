"""Results of calls that were run where they were made (``task_always_eager``)."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from celery import states
from celery.result import AsyncResult as CeleryAsyncResult
from celery.result import EagerResult

from pico_celery.app_state import state_of
from pico_celery.client.idempotency import EagerKeys
from pico_celery.client.results.async_result import AsyncResult
from pico_celery.client.results.outcome import failure_of
from pico_celery.contract.catalog import default_catalog
from pico_celery.contract.definition import TaskDefinition
from pico_celery.errors import RemoteError
from pico_celery.messaging.results import decode_result

R_co = TypeVar("R_co", covariant=True)


class EagerAsyncResult(EagerResult[R_co], AsyncResult[R_co]):  # type: ignore[misc]  # the two get() differ as above
    """The result of a call in eager mode (``task_always_eager``), already there."""

    def __init__(self, eager: EagerResult[Any], definition: TaskDefinition) -> None:
        value = decode_result(definition, eager.result) if eager.state == states.SUCCESS else eager.result
        if eager.state in states.EXCEPTION_STATES and definition.declared:
            value = failure_of([definition], eager.id, value, eager.traceback)
            if isinstance(value, RemoteError):
                value.__cause__ = eager.result  # it never left this process
        self._fill(definition, (eager.id, value, eager.state, cast("str | None", eager.traceback)))

    def _fill(self, definition: TaskDefinition, outcome: tuple[Any, ...]) -> None:
        cast("Any", EagerResult).__init__(self, *outcome, name=definition.name)
        self.definition = definition
        self._value = outcome[1]
        self._failed = None if self.successful() else (outcome[1], outcome[1])
        self._unsent = self._failed_before = None
        self._outcome = outcome

    def __copy__(self) -> EagerAsyncResult[R_co]:
        """Return the same outcome again."""
        return _refill(self.definition, self._outcome)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the outcome, and the task by its name."""
        return _reopen_eager, (self.definition.name, self._outcome)

    def _check_kept(self) -> None:
        """Do nothing: it is kept here."""

    def forget(self) -> None:
        """Forget the idempotency key that the call was made with; there is no stored result."""
        if self.key is not None:
            state_of(self.app).get(EagerKeys).forget(self.key)

    async def _wait(self) -> R_co:
        value: R_co = EagerResult.get(self)
        return value


def _refill(definition: TaskDefinition, outcome: tuple[Any, ...]) -> EagerAsyncResult[Any]:
    result: EagerAsyncResult[Any] = EagerAsyncResult.__new__(EagerAsyncResult)
    result._fill(definition, outcome)
    return result


def _reopen_eager(name: str, outcome: tuple[Any, ...]) -> CeleryAsyncResult[Any]:
    definition = default_catalog.get(name)
    return cast("Any", EagerResult)(*outcome, name=name) if definition is None else _refill(definition, outcome)
