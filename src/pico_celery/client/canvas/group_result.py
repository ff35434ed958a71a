"""The result of a group, with typed members and their values as a list or a tuple."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Generator, Iterator, Sequence
from datetime import timedelta
from typing import Any, Generic, Literal, cast, overload

from celery import Celery
from celery.result import AsyncResult as CeleryAsyncResult
from celery.result import EagerResult, ResultBase
from celery.result import GroupResult as CeleryGroupResult
from typing_extensions import TypeVar
from vine import barrier

from pico_celery.client.results.async_result import AsyncResult
from pico_celery.client.results.eager_result import EagerAsyncResult
from pico_celery.contract.definition import TaskDefinition

T_co = TypeVar("T_co", covariant=True)
S_co = TypeVar("S_co", covariant=True, default=list[T_co])


class GroupResult(CeleryGroupResult, Generic[T_co, S_co]):
    """The results of a group: a `celery.result.GroupResult` whose members are typed.

    Iterate over it for its members in their order, ``async for`` for them as they complete.

    Args:
        id: Id of the group.
        results: The members.
        parent: Result of what stands before the group in a chain.
        app: The application.
        as_tuple: Whether the values are a tuple, in which each has its type, and not a list.
    """

    def __init__(
        self,
        id: str,  # noqa: A002 - Celery's own name
        results: Sequence[AsyncResult[object]],
        parent: ResultBase | None = None,
        *,
        app: Celery | None = None,
        as_tuple: bool = False,
    ) -> None:
        ready: Any = barrier()
        super().__init__(id, list(results), parent, app=app, ready_barrier=ready)
        self._as_tuple = as_tuple
        # As Celery does for a group that it sends: the backend must not keep results that nobody holds any more.
        for result in results:
            ready.size += 1
            result.then(ready, weak=True)
        ready.finalize()

    @property
    def members(self) -> tuple[AsyncResult[T_co], ...]:
        """The typed results of the members, in the order of the group."""
        return tuple(cast("list[AsyncResult[T_co]]", self.results))

    def __iter__(self) -> Iterator[AsyncResult[T_co]]:
        """Iterate over the members, in the order of the group."""
        return iter(self.members)

    def __getitem__(self, index: int) -> AsyncResult[T_co]:
        """Return a member."""
        return self.members[index]

    @overload  # type: ignore[override]  # a failure that is returned is not a value, which Celery's own type leaves out
    def get(self, timeout: float | timedelta | None = ..., propagate: Literal[True] = ..., **options: Any) -> S_co: ...
    @overload
    def get(
        self, timeout: float | timedelta | None = ..., propagate: bool = ..., **options: Any
    ) -> S_co | Sequence[T_co | BaseException]: ...
    def get(self, timeout: float | timedelta | None = None, propagate: bool = True, **options: object) -> object:
        """Wait for all members and return their validated values.

        Args:
            timeout: How long to wait for all of them together, in seconds or as a `timedelta`; forever without it.
            propagate: Whether the first failure, in the order of the group, is raised; failures are returned among the
                values otherwise.
            **options: Those of `celery.result.AsyncResult.get`.

        Returns:
            The values in the order of the group.

        Raises:
            celery.exceptions.TimeoutError: If they are not all there in time.
            ResultError: If a value does not fit its contract.
            Exception: What a task raised.
        """
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        end = None if seconds is None else time.monotonic() + seconds
        values = []
        for member in self.members:
            left = None if end is None else max(end - time.monotonic(), 0.0)
            values.append(member.get(left, propagate, **options))
        return self._shaped(values)

    # An alias (join = get) would keep the type that Celery's own join has in pyright's eyes.
    @overload  # type: ignore[override]  # as get
    def join(self, timeout: float | timedelta | None = ..., propagate: Literal[True] = ..., **options: Any) -> S_co: ...
    @overload
    def join(
        self, timeout: float | timedelta | None = ..., propagate: bool = ..., **options: Any
    ) -> S_co | Sequence[T_co | BaseException]: ...
    def join(self, timeout: float | timedelta | None = None, propagate: bool = True, **options: object) -> object:
        """Wait as `get` does, under Celery's older name for it."""
        return self.get(timeout, propagate, **options)

    join_native = get  # type: ignore[assignment]  # Celery's third way to wait, which would give untyped values

    def __await__(self) -> Generator[Any, Any, S_co]:
        """Wait for all members without blocking the event loop, and return their validated values.

        Returns:
            The values in the order of the group.

        Raises:
            ResultError: If a value does not fit its contract.
            Exception: What the first task that failed raised; the waits for the others end, the tasks go on.
        """
        return self._wait().__await__()

    async def _wait(self) -> S_co:
        waits = [asyncio.ensure_future(_value(member)) for member in self.members]
        try:
            values = await asyncio.gather(*waits)
        finally:
            await _cancelled(waits)
        return self._shaped(values)

    async def __aiter__(self) -> AsyncIterator[AsyncResult[T_co]]:
        """Iterate over the members as they complete, failed ones too.

        Awaiting a member that it gives returns its value, or raises its failure, at once.
        """
        waits = {asyncio.ensure_future(_value(member)): member for member in self.members}
        pending = set(waits)
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for wait in done:
                    _ = wait.exception()  # a failure is the member's to raise
                    yield waits[wait]
        finally:
            await _cancelled(waits)

    def _shaped(self, values: Sequence[object]) -> S_co:
        return cast("S_co", tuple(values) if self._as_tuple else list(values))

    def __reduce__(self) -> tuple[Callable[..., CeleryGroupResult], tuple[object, ...]]:
        """Pickle by the ids and the names of the tasks."""
        return _reopen, (self.id, list(self.members), self.parent, self._as_tuple)


def _reopen(group_id: str, results: list[Any], parent: ResultBase | None, as_tuple: bool) -> CeleryGroupResult:
    if all(isinstance(result, AsyncResult) for result in results):
        return GroupResult(group_id, results, parent, as_tuple=as_tuple)
    return CeleryGroupResult(group_id, results, parent)  # no contract here types it


async def _value(result: AsyncResult[T_co]) -> T_co:
    return await result


async def _cancelled(waits: Collection[asyncio.Future[Any]]) -> None:
    """Cancel the waits that are left, and wait until all have ended."""
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


def typed_result(result: ResultBase, definition: TaskDefinition, app: Celery) -> AsyncResult[object]:
    """Return a result that Celery's canvas gave, with the types of the contract."""
    if isinstance(result, AsyncResult):
        return result
    if isinstance(result, EagerResult):
        eager: EagerAsyncResult[Any] = EagerAsyncResult(result, definition)
        eager.parent = result.parent
        return eager
    plain = cast("CeleryAsyncResult[Any]", result)
    deadline = getattr(plain, "deadline", None)
    return AsyncResult(plain.id, plain.backend, app=app, parent=plain.parent, definition=definition, deadline=deadline)


def typed_group(
    result: ResultBase, definitions: Sequence[TaskDefinition], app: Celery, *, as_tuple: bool
) -> GroupResult[object, object]:
    """Return what Celery's canvas gave for a group (one result, for a group of one) with typed members."""
    group = cast("CeleryGroupResult", result)
    members = list(group.results or ()) if isinstance(result, CeleryGroupResult) else [result]
    typed = [typed_result(member, definition, app) for member, definition in zip(members, definitions, strict=True)]
    for member in typed:
        _set_parent(group.parent, member)
    return GroupResult(str(group.id), typed, group.parent, app=app, as_tuple=as_tuple)


def _set_parent(parent: ResultBase | None, member: CeleryAsyncResult[object]) -> None:
    """Give a member the parent of its group: where that fails, the member never runs."""
    first: Any = member
    while first.parent is not None:
        first = first.parent
    if first is not parent:
        first.parent = parent
