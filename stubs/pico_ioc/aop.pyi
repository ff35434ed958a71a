from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, TypeVar

from .container import PicoContainer
from .proxy_protocols import _ProxyProtocolMixin

KeyT: TypeAlias = str | type[Any]

_F = TypeVar("_F", bound=Callable[..., Any])
# The container takes bool() of what the method returns, so an async health check would always be healthy, and it
# passes no arguments and reads the TypeError of a method that wants some as unhealthy: both are refused here.
_HealthF = TypeVar("_HealthF", bound=Callable[[Any], bool])

class MethodCtx:
    __slots__ = ("instance", "cls", "method", "name", "args", "kwargs", "container", "local", "request_key")

    # Any, not object: an interceptor looks at attributes of components it does not know.
    instance: Any
    cls: type[Any]
    method: Callable[..., Any]
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    container: PicoContainer
    local: dict[str, Any]
    request_key: Any
    def __init__(
        self,
        *,
        instance: object,
        cls: type[Any],
        method: Callable[..., Any],
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        container: PicoContainer,
        request_key: Any = None,
    ) -> None: ...

class MethodInterceptor(Protocol):
    def invoke(self, ctx: MethodCtx, call_next: Callable[[MethodCtx], Any]) -> Any: ...

class ContainerObserver(Protocol):
    # object: the container drops what an observer returns.
    def on_resolve(self, key: KeyT, took_ms: float) -> object: ...
    def on_cache_hit(self, key: KeyT) -> object: ...

def dispatch_method(interceptors: list[MethodInterceptor], ctx: MethodCtx) -> Any: ...

# The run time takes *interceptor_classes and raises a TypeError when there is none.
def intercepted_by(
    interceptor_class: type[MethodInterceptor], /, *interceptor_classes: type[MethodInterceptor]
) -> Callable[[_F], _F]: ...
def health(fn: _HealthF) -> _HealthF: ...

class UnifiedComponentProxy(_ProxyProtocolMixin):
    __slots__ = ("_target", "_creator", "_container", "_cache", "_lock", "_component_key")

    def __init__(
        self,
        *,
        container: Any,
        target: Any = None,
        object_creator: Callable[[], Any] | None = None,
        component_key: Any = None,
    ) -> None: ...
    def __getstate__(self) -> Any: ...
    def __setstate__(self, state: Any) -> None: ...
    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...
    def __delattr__(self, name: str) -> None: ...
