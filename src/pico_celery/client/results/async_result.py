"""`AsyncResult`: Celery's, with the type that the contract says."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Final, Generic, Literal, ParamSpec, Self, TypeVar, overload

from celery import Celery, current_task, states
from celery.exceptions import TimeoutError as TimedOut
from celery.result import AsyncResult as CeleryAsyncResult
from celery.result import ResultBase, assert_will_not_block  # type: ignore[attr-defined]  # celery-types lacks it
from vine import Thenable

from pico_celery.celery_port import store_meta
from pico_celery.client.deadlines import patience_seconds
from pico_celery.client.idempotency import IdempotencyKey, release
from pico_celery.client.results.hub import ResultHub, hub_of
from pico_celery.client.results.outcome import Err, Ok, Outcome, failure_of, is_failure
from pico_celery.client.results.waiters import Meta
from pico_celery.client.results.waiting import running_loop, wait_for, wait_for_on_loop
from pico_celery.contract.catalog import declared, default_catalog
from pico_celery.contract.conformance import is_assignable
from pico_celery.contract.definition import TaskDefinition
from pico_celery.errors import DeadlineExceeded, ExecutionError, Fault, ResultError
from pico_celery.messaging.results import decode_result

if TYPE_CHECKING:
    from celery.backends.base import Backend

R_co = TypeVar("R_co", covariant=True)
T = TypeVar("T")
P = ParamSpec("P")
_UNSET: Any = object()
_LATER: Final[Any] = object()  # stands for the hub's backend, which is not made before somebody needs it
_logger = logging.getLogger(__name__)
_OWN_OPTIONS: Final = frozenset(
    {"interval", "callback", "follow_parents", "disable_sync_subtasks", "no_ack", "on_interval"}
)


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
        backend: Backend | None = None,
        task_name: str | None = None,
        app: Celery | None = None,
        parent: ResultBase | None = None,
        *,
        definition: TaskDefinition,
        deadline: datetime | None = None,
        key: IdempotencyKey | None = None,
    ) -> None:
        del task_name
        self._backend: Any = None
        self._heard = 0
        self._unsent: BaseException | None = None
        super().__init__(id, backend or _LATER, None, app, parent)
        self.definition = definition
        self.deadline = deadline
        self.key = key
        self._value: Any = _UNSET
        self._failed: tuple[Any, Exception] | None = None
        self._failed_before: BaseException | None = None

    @property
    def _hub(self) -> ResultHub:
        """Where this process waits for results."""
        return hub_of(self.app)

    @property
    def backend(self) -> Any:  # noqa: ANN401 - as Celery's own
        """The result backend that the result is read from."""
        if self._backend is _LATER:
            self._backend = self._hub.backend
        return self._backend

    @backend.setter
    def backend(self, backend: Any) -> None:  # noqa: ANN401 - as Celery's own
        self._backend = backend

    @property
    def supports_native_join(self) -> bool:
        """Celery's way past the results of a group: these are waited for one by one, each by its own `get`."""
        return False

    def _store(self, meta: Meta) -> None:
        """Take what the worker stored."""
        if not self.on_ready.ready:
            store_meta(self, self._understood(dict(meta)))
            try:
                self.on_ready(self)
            except Exception:  # it belongs to nobody who waits
                _logger.exception("a callback of %s[%s] failed", self.definition.name, self.id)

    def _adopt(self, task_id: str) -> Self:
        """Be the result of another call, which has the idempotency key of this one."""
        known, self._heard = self.id, 0  # first: whoever sees the other id must look for its result
        self.id = task_id
        self._hub.move(known, task_id)
        return self

    def _not_sent(self, error: BaseException) -> None:
        """Take the reason why the call was never sent."""
        if not self._take_unsent(error):
            _logger.error("%s[%s] was not sent, and nobody waits for it: %r", self.definition.name, self.id, error)

    def _take_unsent(self, error: BaseException) -> bool:
        """Take the reason why the call was never sent, as `_not_sent` does; return whether anybody was waiting."""
        self._unsent = error
        return self._hub.fail(self.id, error)

    def _raise_unsent(self) -> None:
        """Raise the reason why the call was never sent, if it was not."""
        if self._unsent is not None:
            raise self._unsent

    def then(self, callback: Callable[..., Any], on_error: Any = None, weak: bool = False) -> Any:  # noqa: ANN401 - as Celery's own
        """Call something when the result is there, on a thread of the library.

        Args:
            callback: Called with this result.
            on_error: As Celery's.
            weak: Whether the callback is called only as long as somebody holds this result.

        Returns:
            Celery's promise.
        """
        promised = self.on_ready.then(callback, on_error)
        if self._unsent is not None:
            promised.throw1(self._unsent)
        elif not self.on_ready.ready and not self.ignored:
            # Celery's groups wait for their members in this way, whether or not anybody waits for the group.
            _watch_for(self, promised, is_weak=weak or isinstance(callback, Thenable))
        return promised

    def __del__(self) -> None:
        """Cancel what Celery's own ways of waiting left behind, if any was used."""
        if getattr(self, "_backend", _LATER) not in (None, _LATER):
            super().__del__()

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
    def get(self, timeout: float | timedelta | None = None, propagate: bool = True, **options: Any) -> object:
        """Wait for the task and return its validated result.

        Args:
            timeout: How long to wait, in seconds or as a `timedelta`; without it until the deadline of the call, or
                forever where it has none.
            propagate: Whether a failure is raised; it is returned otherwise.
            **options: Those of `celery.result.AsyncResult.get`.

        Returns:
            The value as the contract types it.

        Raises:
            celery.exceptions.TimeoutError: If there is no result in time.
            DeadlineExceeded: If there is none by the deadline of the call.
            ResultError: If the result does not fit the contract, or none is kept.
            ExecutionError: Inside the coroutine of a task, whose event loop it would block.
            TaskError: What the task raised and its contract declares, as the class that it lists.
            RemoteError: What else the task raised.
            Exception: One of this library's or Celery's own, such as `celery.exceptions.TaskRevokedError`; what the task
                raised, where no contract declares it.
        """
        self._check_kept()
        _refuse_inside_task(self)
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        with self._patience(seconds) as patience:
            if any(value is not None and name not in _OWN_OPTIONS for name, value in options.items()):
                return super().get(timeout=patience, propagate=propagate, **options)
            if self.ignored:
                return None
            if options.get("disable_sync_subtasks", True):
                assert_will_not_block()
            if not self.on_ready.ready:
                if self._hub.is_own_thread:
                    raise ExecutionError(
                        f"a callback of then() waits for {self.definition.name}[{self.id}] on the thread that receives "
                        "results, which could never come: wait on a thread of your own"
                    )
                with_parents = propagate and bool(options.get("follow_parents", True))
                interval = options.get("interval", 0.5), options.get("on_interval")
                wait_for(self, patience, with_parents=with_parents, interval=interval)
        return self.maybe_throw(propagate=propagate, callback=options.get("callback"))

    # An alias (wait = get) would keep the type that Celery's own wait has in pyright's eyes.
    @overload  # type: ignore[override]  # as get
    def wait(self, timeout: float | timedelta | None = ..., propagate: Literal[True] = ..., **options: Any) -> R_co: ...
    @overload
    def wait(
        self, timeout: float | timedelta | None = ..., propagate: bool = ..., **options: Any
    ) -> R_co | BaseException: ...
    def wait(self, timeout: float | timedelta | None = None, propagate: bool = True, **options: object) -> object:
        """Wait as `get` does, under Celery's older name for it."""
        return self.get(timeout, propagate, **options)

    def __await__(self) -> Generator[Any, Any, R_co]:
        """Wait for the task without blocking the event loop, and return its validated result.

        Returns:
            The value as the contract types it.

        Raises:
            DeadlineExceeded: If there is none by the deadline of the call.
            ResultError: If the result does not fit the contract, or none is kept.
            Exception: As `get`.
        """
        return self._wait().__await__()

    async def _wait(self) -> R_co:
        self._check_kept()
        if self.ignored:
            return None  # type: ignore[return-value]  # _check_kept saw that the contract allows None
        if not self.on_ready.ready:
            with self._patience(None) as patience:
                await wait_for_on_loop(self, patience)
        value: R_co = self.maybe_throw()
        return value

    @contextmanager
    def _patience(self, timeout: float | None) -> Iterator[float | None]:
        """Give the seconds to wait: those that were given, but not beyond the deadline of the call."""
        patience = patience_seconds(self.deadline, timeout)
        try:
            yield patience
        except TimedOut:
            if patience == timeout or self.on_ready.ready or self.deadline is None:
                raise
            raise DeadlineExceeded.of(self.definition.name, self.id, self.deadline, "waiting") from None

    def outcome(self, timeout: float | timedelta | None = None) -> Outcome[R_co]:
        """Wait for the task and return how it ended, as a value to match.

        Args:
            timeout: How long to wait, in seconds or as a `timedelta`; forever without it.

        Returns:
            `Ok` with the validated result; `Err` with what `get` would raise of the task, or of one before it in its chain:
            a declared error, a `RemoteError`, a revocation, a result that does not fit, a deadline that has passed.

        Raises:
            celery.exceptions.TimeoutError: If there is no result in time.
            ResultError: If no result is kept.
            ExecutionError: As `get`.
            Exception: Why the call could not be sent, or what the result backend raises when it cannot be reached.
        """
        self._check_kept()
        try:
            return Ok(self.get(timeout))
        except Exception as error:
            if self._is_of_the_call(error):
                return Err(error)
            raise

    async def aoutcome(self) -> Outcome[R_co]:
        """Wait as ``await`` does, and return how the task ended, as `outcome` does.

        Returns:
            `Ok` or `Err`.

        Raises:
            ResultError: If no result is kept.
            Exception: Why the call could not be sent, or what the result backend raises when it cannot be reached.
        """
        self._check_kept()
        try:
            return Ok(await self)
        except Exception as error:
            if self._is_of_the_call(error):
                return Err(error)
            raise

    def throw(self, *args: object, **kwargs: object) -> None:
        """Raise a failure, as Celery does; what is stored of it is made the exception that it is to a caller.

        Args:
            *args: As Celery's: the failure and its traceback.
            **kwargs: As Celery's.

        Raises:
            Exception: The failure.
        """
        if args:
            args = (self._failure(args[0], self.traceback), *args[1:])
        super().throw(*args, **kwargs)

    def _failure(self, value: object, traceback: object, state: str = "") -> Exception:
        """Return the exception that a stored failure is to the caller, the same one each time."""
        if self._failed is None or self._failed[0] is not value:
            if self.definition.declared:
                error = failure_of(list(self._definitions()), self.id, value, traceback, state)
            else:
                backend: Any = self.backend
                error = value if isinstance(value, Exception) else backend.exception_to_python(value)
            self._failed = (value, error)
        return self._failed[1]

    def _is_of_the_call(self, error: Exception) -> bool:
        """Return whether an error says how the call ended, rather than that waiting for it failed."""
        if isinstance(error, (ResultError, DeadlineExceeded)):  # what does not fit, or is not heard of by the deadline
            return self._unsent is None
        return error is self._failed_before or (self._failed is not None and error is self._failed[1])

    def _definitions(self) -> Iterator[TaskDefinition]:
        """Give the task, and those before it in its chain: Celery stores the failure of one under all that follow."""
        node: Any = self
        while node is not None:
            if isinstance(node, AsyncResult):
                yield node.definition
            node = node.parent

    def maybe_throw(self, propagate: bool = True, callback: Callable[[str, object], object] | None = None) -> Any:  # noqa: ANN401 - as Celery's own
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
    def result(self) -> Any:  # noqa: ANN401 - as Celery's own
        """The validated result of a task that succeeded, the exception of one that failed, or ``None``."""
        state, value = self.state, super().result
        if state not in states.READY_STATES and self.state in states.READY_STATES:
            # It ended between the two looks: what was read may be its progress. Celery keeps what has ended.
            state, value = self.state, super().result
        if state == states.SUCCESS:
            return self._typed(value)
        # Of a task that is retried, the next attempt may have stored its progress meanwhile.
        failed = state in states.PROPAGATE_STATES or (state == states.RETRY and is_failure(value))
        return self._failure(value, self.traceback) if failed and value is not None else value

    info = result

    @property
    def state(self) -> str:  # type: ignore[override]  # Celery's types know five names, and a task may have its own
        """Name of the task's state: one of Celery's, or one that the task stored, such as PROGRESS."""
        return str(super().state)

    status = state  # type: ignore[assignment]  # as state

    def forget(self) -> None:
        """Forget the stored result, and free the idempotency key that the call was sent with."""
        self._value, self._failed = _UNSET, None
        super().forget()
        if self.key is not None:
            release(self.app, self.key, self.id)

    def __copy__(self) -> AsyncResult[R_co]:
        """Return another handle of the same task."""
        own: dict[str, Any] = {"definition": self.definition, "deadline": self.deadline, "key": self.key}
        return AsyncResult(self.id, self.backend, app=self.app, parent=self.parent, **own)

    def __deepcopy__(self, _memo: object) -> AsyncResult[R_co]:
        """Return another handle of the same task."""
        return self.__copy__()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by the names of task and id; the application is the current one where it is read."""
        return _reopen, (self.definition.name, self.id, self.parent, self.deadline, self.key)

    def _understood(self, meta: dict[str, object]) -> dict[str, object]:
        """Return what was stored, its failure made of what is stored; Celery would make the class that it names."""
        if meta["status"] in states.EXCEPTION_STATES:
            meta["result"] = error = self._failure(meta["result"], meta.get("traceback"), meta["status"])
            self._failed = (error, error)
        return meta

    def _typed(self, value: object) -> object:
        if self._value is _UNSET:
            self._value = decode_result(self.definition, value)
        return self._value

    def _check_kept(self) -> None:
        if self.ignored:
            if not is_assignable(type(None), self.definition.result.annotation):
                remedy = "send it without ignore_result, or do not wait for it"
                raise self._not_kept("a call that was sent with ignore_result", remedy, "ignored")
        elif not self._hub.keeps_results:
            remedy = "set backend_url, or do not wait for the result"
            raise self._not_kept("an application without a result backend", remedy, "no_backend")

    def _not_kept(self, got: str, remedy: str, code: str) -> ResultError:
        task = self.definition.name
        fault = Fault(task=task, path="return", expected="a stored result", got=got, remedy=remedy, code=code)
        return ResultError.of(task, [fault])


def _watch_for(result: AsyncResult[Any], promised: Any, *, is_weak: bool) -> None:  # noqa: ANN401 - as Celery's own
    held: Callable[[], AsyncResult[Any] | None] = weakref.ref(result) if is_weak else lambda: result

    def resolve(meta: Meta | None, error: BaseException | None) -> None:
        waiting = held()
        if waiting is not None and meta is not None:
            waiting._store(meta)
        elif waiting is not None:
            promised.throw1(error)

    known = result.id
    waiter = result._hub.watch(known, resolve, result._heard)
    if is_weak:
        weakref.finalize(result, result._hub.unwatch, waiter).atexit = False
    if result.id != known:  # it became that of another call meanwhile
        result._hub.move(known, result.id)
    if result.on_ready.ready:  # it came before it was watched
        result._hub.unwatch(waiter)


def _refuse_inside_task(result: AsyncResult[object]) -> None:
    running: Any = current_task
    if running and running_loop() is not None:
        raise ExecutionError(
            f"{running.name} waits for {result.definition.name}[{result.id}] with .get(), which would block the event loop "
            "and every other task on it: await the result instead (await result)"
        )


def _reopen(
    name: str,
    task_id: str,
    parent: ResultBase | None,
    deadline: datetime | None = None,
    key: IdempotencyKey | None = None,
) -> CeleryAsyncResult[object]:
    definition = default_catalog.get(name)
    if definition is None:  # no contract here types it
        return CeleryAsyncResult(task_id, parent=parent)
    return AsyncResult(task_id, parent=parent, definition=definition, deadline=deadline, key=key)
