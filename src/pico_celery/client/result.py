"""`AsyncResult`: Celery's, with the type that the contract says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from datetime import datetime, timedelta
from types import MethodType
from typing import Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, cast, overload

from celery import Celery, current_task, states
from celery.exceptions import TimeoutError as TimedOut
from celery.result import AsyncResult as CeleryAsyncResult
from celery.result import EagerResult

from pico_celery.client.deadlines import patience_seconds
from pico_celery.client.idempotency import IdempotencyKey, eager_keys, release
from pico_celery.client.waiting import wait_until_ready
from pico_celery.contract.assignability import is_assignable
from pico_celery.contract.catalog import default_catalog
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.marks import marks_of
from pico_celery.errors import DeadlineExceeded, DecoratorError, ExecutionError, Fault, ResultError
from pico_celery.messaging.results import decode_result

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
P = ParamSpec("P")
_UNSET: Any = object()


class AsyncResult(CeleryAsyncResult[R_co], Generic[R_co]):
    """The result of a call: a `celery.result.AsyncResult` whose value is validated and typed.

    Args:
        id: Id of the task.
        backend: Result backend; that of the application without it.
        task_name: Ignored, as by Celery.
        app: The application.
        parent: Result of the task before it in a chain.
        definition: The task.
        deadline: When the call is to have ended.
        key: Its idempotency key.
    """

    deadline: datetime | None = None
    """When the call is to have ended, a time in UTC; ``None`` where it has no deadline, or another process sent it."""
    key: IdempotencyKey | None = None

    def __init__(
        self,
        id: str,  # noqa: A002 - Celery's own name
        backend: Any = None,
        task_name: str | None = None,
        app: Celery | None = None,
        parent: Any = None,
        *,
        definition: TaskDefinition,
        deadline: datetime | None = None,
        key: IdempotencyKey | None = None,
    ) -> None:
        super().__init__(id, backend, task_name, app, parent)
        self.definition = definition
        self.deadline = deadline
        self.key = key
        self._value: Any = _UNSET

    @classmethod
    def of(
        cls, task: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]], task_id: str, app: Celery
    ) -> AsyncResult[T]:
        """Re-open the result of a task that was sent before.

        Args:
            task: The contract's method, such as ``Orders.place``.
            task_id: Id of the task.
            app: The application.

        Returns:
            Its typed result.

        Raises:
            DecoratorError: If no contract declares the method.
        """
        return AsyncResult(task_id, app=app, definition=declared(task, "AsyncResult.of"))

    @overload  # type: ignore[override]  # a failure that is returned is no R, which Celery's own type leaves out
    def get(self, timeout: float | timedelta | None = ..., propagate: Literal[True] = ..., **options: Any) -> R_co: ...
    @overload
    def get(
        self, timeout: float | timedelta | None = ..., propagate: bool = ..., **options: Any
    ) -> R_co | BaseException: ...
    def get(self, timeout: float | timedelta | None = None, propagate: bool = True, **options: Any) -> Any:
        """Wait for the task and return its validated result.

        Args:
            timeout: How long to wait, in seconds or as a `timedelta`; without it until the deadline of the call, or for
                ever where it has none.
            propagate: Whether a failure is raised; it is returned otherwise.
            **options: Those of `celery.result.AsyncResult.get`.

        Returns:
            The value as the contract types it.

        Raises:
            celery.exceptions.TimeoutError: If there is no result in time.
            DeadlineExceeded: If there is none by the deadline of the call.
            ResultError: If the result does not fit the contract, or none is kept.
            ExecutionError: Inside the coroutine of a task, whose event loop it would block.
            Exception: What the task raised.
        """
        self._check_kept()
        _refuse_inside_task(self)
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        patience = self._patience(seconds)
        try:
            return super().get(timeout=patience, propagate=propagate, **options)
        except TimedOut:
            if patience == seconds or self.on_ready.ready:
                raise
            raise self._out_of_patience() from None

    # An alias (wait = get) would keep the type that Celery's own wait has in pyright's eyes.
    @overload  # type: ignore[override]  # as get
    def wait(self, timeout: float | timedelta | None = ..., propagate: Literal[True] = ..., **options: Any) -> R_co: ...
    @overload
    def wait(
        self, timeout: float | timedelta | None = ..., propagate: bool = ..., **options: Any
    ) -> R_co | BaseException: ...
    def wait(self, timeout: float | timedelta | None = None, propagate: bool = True, **options: Any) -> Any:
        """Wait as `get` does, under Celery's older name for it."""
        return self.get(timeout, propagate, **options)

    def __await__(self) -> Generator[Any, Any, R_co]:
        """Wait for the task without blocking the event loop, and return its validated result.

        Returns:
            The value as the contract types it.

        Raises:
            DeadlineExceeded: If there is none by the deadline of the call.
            ResultError: If the result does not fit the contract, or none is kept.
            Exception: What the task raised.
        """
        return self._wait().__await__()

    async def _wait(self) -> R_co:
        self._check_kept()
        if self.ignored:
            return None  # type: ignore[return-value]  # _check_kept saw that the contract allows None
        if not self.on_ready.ready:
            patience = asyncio.timeout(self._patience())
            try:
                async with patience:
                    await wait_until_ready(self)
            except TimeoutError:
                if patience.expired():
                    raise self._out_of_patience() from None
                raise
        value: R_co = self.maybe_throw()
        return value

    def _patience(self, timeout: float | None = None) -> float | None:
        """Return how many seconds to wait, at most until shortly after the deadline; ``None`` for without end."""
        return patience_seconds(self.deadline, timeout)

    def _out_of_patience(self) -> DeadlineExceeded:
        """Return the error of a wait that has lasted until the deadline."""
        assert self.deadline is not None  # noqa: S101 - for the type checker: patience without one has no end
        return DeadlineExceeded.of(self.definition.name, self.id, self.deadline, "waiting")

    def maybe_throw(self, propagate: bool = True, callback: Callable[[str, Any], Any] | None = None) -> Any:
        """Raise what the task raised, or return its validated result.

        Args:
            propagate: Whether a failure is raised; it is returned otherwise.
            callback: Called with the task's id and the value.

        Returns:
            The value, the failure, or ``None`` where there is neither yet.
        """
        super().maybe_throw(propagate=propagate)
        value = self.result
        if callback is not None:
            callback(self.id, value)
        return value

    maybe_reraise = maybe_throw

    @property
    def result(self) -> Any:
        """The validated result of a task that succeeded, the exception of one that failed, or ``None``."""
        state, value = self.state, super().result
        if state != states.SUCCESS and self.state == states.SUCCESS:
            # It ended between the two looks: what was read may be its progress. Celery keeps what has ended.
            state, value = states.SUCCESS, super().result
        return self._typed(value) if state == states.SUCCESS else value

    info = result

    @property
    def state(self) -> str:  # type: ignore[override]  # Celery's types know five names, and a task may have its own
        """Name of the task's state: one of Celery's, or one that the task stored, such as PROGRESS."""
        return str(super().state)

    status = state  # type: ignore[assignment]  # as state

    def forget(self) -> None:
        """Forget the stored result, and free the idempotency key that the call was sent with."""
        self._value = _UNSET
        super().forget()
        if self.key is not None:
            release(self.app, self.key, self.id)

    def __copy__(self) -> AsyncResult[R_co]:
        """Return another handle of the same task."""
        own: dict[str, Any] = {"definition": self.definition, "deadline": self.deadline, "key": self.key}
        return AsyncResult(self.id, self.backend, app=self.app, parent=self.parent, **own)

    def __deepcopy__(self, _memo: Any) -> AsyncResult[R_co]:
        """Return another handle of the same task."""
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by the names of task and id; the application is the current one where it is read."""
        return _reopen, (self.definition.name, self.id, self.parent, self.deadline, self.key)

    def _typed(self, value: Any) -> Any:
        if self._value is _UNSET:
            self._value = decode_result(self.definition, value)
        return self._value

    def _check_kept(self) -> None:
        from celery.backends.base import DisabledBackend  # noqa: PLC0415 - whoever waits has a backend already

        if self.ignored:
            if not is_assignable(type(None), self.definition.result.annotation):
                remedy = "send it without ignore_result, or do not wait for it"
                raise self._not_kept("a call that was sent with ignore_result", remedy, "ignored")
        elif isinstance(self.backend, DisabledBackend):
            remedy = "set backend_url, or do not wait for the result"
            raise self._not_kept("an application without a result backend", remedy, "no_backend")

    def _not_kept(self, got: str, remedy: str, code: str) -> ResultError:
        task = self.definition.name
        fault = Fault(task=task, path="return", expected="a stored result", got=got, remedy=remedy, code=code)
        return ResultError.of(task, [fault])


class EagerAsyncResult(EagerResult[R_co], AsyncResult[R_co]):  # type: ignore[misc]  # the two get() differ as above
    """The result of a call in eager mode (``task_always_eager``), already there."""

    def __init__(self, eager: EagerResult[Any], definition: TaskDefinition) -> None:
        value = decode_result(definition, eager.result) if eager.state == states.SUCCESS else eager.result
        self._fill(definition, (eager.id, value, eager.state, cast("str | None", eager.traceback)))

    def _fill(self, definition: TaskDefinition, outcome: tuple[Any, ...]) -> None:
        cast("Any", EagerResult).__init__(self, *outcome, name=definition.name)
        self.definition = definition
        self._value = outcome[1]
        self._outcome = outcome

    def __copy__(self) -> EagerAsyncResult[R_co]:
        """Return the same outcome again."""
        return _refill(self.definition, self._outcome)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the outcome, and the task by its name."""
        return _reopen_eager, (self.definition.name, self._outcome)

    def forget(self) -> None:
        """Forget the idempotency key that the call was made with; there is no stored result."""
        if self.key is not None:
            eager_keys.forget(self.app, self.key)

    async def _wait(self) -> R_co:
        value: R_co = EagerResult.get(self)
        return value


def _refuse_inside_task(result: AsyncResult[Any]) -> None:
    running: Any = current_task
    if running and asyncio._get_running_loop() is not None:  # noqa: SLF001 - documented as the one that does not raise
        raise ExecutionError(
            f"{running.name} waits for {result.definition.name}[{result.id}] with .get(), which would block the event loop "
            "and every other task on it: await the result instead (await result)"
        )


def _refill(definition: TaskDefinition, outcome: tuple[Any, ...]) -> EagerAsyncResult[Any]:
    result: EagerAsyncResult[Any] = EagerAsyncResult.__new__(EagerAsyncResult)
    result._fill(definition, outcome)  # noqa: SLF001 - the other half of its constructor
    return result


def _reopen(
    name: str, task_id: str, parent: Any, deadline: datetime | None = None, key: IdempotencyKey | None = None
) -> CeleryAsyncResult[Any]:
    definition = default_catalog.get(name)
    if definition is None:  # no contract here types it
        return CeleryAsyncResult(task_id, parent=parent)
    return AsyncResult(task_id, parent=parent, definition=definition, deadline=deadline, key=key)


def _reopen_eager(name: str, outcome: tuple[Any, ...]) -> CeleryAsyncResult[Any]:
    definition = default_catalog.get(name)
    return cast("Any", EagerResult)(*outcome, name=name) if definition is None else _refill(definition, outcome)


def declared(task: Callable[..., Any], user: str) -> TaskDefinition:
    """Return the definition of a contract's method.

    Args:
        task: The method, taken from the contract's class.
        user: Who asks, for the message.

    Returns:
        The definition.

    Raises:
        DecoratorError: If no contract declares it.
    """
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


def _remedy(task: Callable[..., Any], name: str) -> str:
    if isinstance(task, MethodType):
        return "take the method from the contract's class, not from an instance"
    implementation = marks_of(task).implementation
    if implementation is not None:
        return f"this is an implementation of {implementation.name}: take the method of its contract"
    return f"decorate {name.rsplit('.', 1)[0]} with @contract" if "." in name else "take the method of a contract"
