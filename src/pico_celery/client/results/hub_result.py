"""A result of which its process hears by way of the hub, not by Celery's own ways of waiting."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from typing import Any, Final, Generic, Self, TypeVar

from celery import Celery
from celery.result import AsyncResult as CeleryAsyncResult
from vine import Thenable

from pico_celery.celery_port import store_meta
from pico_celery.client.results.hub import ResultHub, hub_of
from pico_celery.client.results.waiters import Meta
from pico_celery.contract.definition import TaskDefinition

R_co = TypeVar("R_co", covariant=True)
_LATER: Final[Any] = object()  # stands for the hub's backend, which is not made before somebody needs it
_logger = logging.getLogger(__name__)


class HeardResult(CeleryAsyncResult[R_co], Generic[R_co]):
    """Celery's result, settled by the hub.

    Args:
        id: Id of the task.
        backend: Result backend; that of the hub without it.
        app: The application.
        parent: Result of the task before it in a chain.
        definition: The task.
    """

    def __init__(self, id: str, backend: Any, app: Celery | None, parent: Any, definition: TaskDefinition) -> None:  # noqa: A002 - Celery's own
        self._backend: Any = None
        self.heard = 0
        self._unsent: BaseException | None = None
        super().__init__(id, backend or _LATER, None, app, parent)
        self.definition = definition

    @property
    def hub(self) -> ResultHub:
        """Where this process waits for results."""
        return hub_of(self.app)

    @property
    def backend(self) -> Any:
        """The result backend that the result is read from."""
        if self._backend is _LATER:
            self._backend = self.hub.backend
        return self._backend

    @backend.setter
    def backend(self, backend: Any) -> None:
        self._backend = backend

    @property
    def supports_native_join(self) -> bool:
        """Celery's way past the results of a group: these are waited for one by one, each by its own `get`."""
        return False

    def settle(self, meta: Meta) -> None:
        """Take what the worker stored.

        Args:
            meta: As the result backend has it.
        """
        if not self.on_ready.ready:
            store_meta(self, self._understood(dict(meta)))
            try:
                self.on_ready(self)
            except Exception:  # it belongs to nobody who waits
                _logger.exception("a callback of %s[%s] failed", self.definition.name, self.id)

    def adopt(self, task_id: str) -> Self:
        """Be the result of another call, which has the idempotency key of this one.

        Args:
            task_id: Id of the other call.

        Returns:
            This result; whoever waits for it waits for the other call.
        """
        known, self.heard = self.id, 0  # first: whoever sees the other id must look for its result
        self.id = task_id
        self.hub.move(known, task_id)
        return self

    def not_sent(self, error: BaseException) -> None:
        """Take the reason why the call was never sent.

        Args:
            error: It is raised wherever the result is waited for.
        """
        if not self.take_unsent(error):
            _logger.error("%s[%s] was not sent, and nobody waits for it: %r", self.definition.name, self.id, error)

    def take_unsent(self, error: BaseException) -> bool:
        """Take the reason why the call was never sent, as `not_sent` does; tell whether anybody waits who was told."""
        self._unsent = error
        return self.hub.fail(self.id, error)

    def raise_unsent(self) -> None:
        """Raise the reason why the call was never sent, if it was not.

        Raises:
            Exception: That reason.
        """
        if self._unsent is not None:
            raise self._unsent

    def then(self, callback: Callable[..., Any], on_error: Any = None, weak: bool = False) -> Any:
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

    def _understood(self, meta: dict[str, Any]) -> dict[str, Any]:
        """Return what was stored as it is to be kept."""
        return meta


def _watch_for(result: HeardResult[Any], promised: Any, *, is_weak: bool) -> None:
    held: Callable[[], HeardResult[Any] | None] = weakref.ref(result) if is_weak else lambda: result

    def resolve(meta: Meta | None, error: BaseException | None) -> None:
        waiting = held()
        if waiting is not None and meta is not None:
            waiting.settle(meta)
        elif waiting is not None:
            promised.throw1(error)

    known = result.id
    waiter = result.hub.watch(known, resolve, result.heard)
    if is_weak:
        weakref.finalize(result, result.hub.unwatch, waiter).atexit = False
    if result.id != known:  # it became that of another call meanwhile
        result.hub.move(known, result.id)
    if result.on_ready.ready:  # it came before it was watched
        result.hub.unwatch(waiter)
