import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

log: logging.Logger

_F = TypeVar("_F", bound=Callable[..., Any])
_E = TypeVar("_E", bound=Event)

class ExecPolicy(Enum):
    INLINE = 1
    THREADPOOL = 2
    TASK = 3

class ErrorPolicy(Enum):
    LOG = 1
    RAISE = 2

class Event: ...

@dataclass(frozen=True)
class ConfigChanged(Event):
    prefixes: frozenset[str]

class EventBus:
    def __init__(
        self,
        *,
        default_exec_policy: ExecPolicy = ExecPolicy.INLINE,
        error_policy: ErrorPolicy = ErrorPolicy.LOG,
        max_queue_size: int = 0,
    ) -> None: ...
    # The bus calls a handler with events of the very type it was subscribed to. Any covers sync and async handlers.
    def subscribe(
        self,
        event_type: type[_E],
        fn: Callable[[_E], Any],
        *,
        priority: int = 0,
        policy: ExecPolicy | None = None,
        once: bool = False,
    ) -> None: ...
    def unsubscribe(self, event_type: type[_E], fn: Callable[[_E], Any]) -> None: ...
    def publish_sync(self, event: Event) -> None: ...
    async def publish(self, event: Event) -> None: ...
    async def start_worker(self) -> None: ...
    async def stop_worker(self) -> None: ...
    def post(self, event: Event) -> None: ...
    async def aclose(self) -> None: ...

def subscribe(
    event_type: type[Event], *, priority: int = 0, policy: ExecPolicy = ExecPolicy.INLINE, once: bool = False
) -> Callable[[_F], _F]: ...

class AutoSubscriberMixin: ...

class PicoEventBusProvider:
    def build(self) -> EventBus: ...
    def shutdown(self, event_bus: EventBus) -> None: ...
