from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from .analysis import DependencyRequest
from .container import PicoContainer
from .locator import ComponentLocator

KeyT: TypeAlias = str | type[Any]
Provider: TypeAlias = Callable[[], Any]

@dataclass(frozen=True)
class ProviderMetadata:
    key: KeyT
    provided_type: type[Any] | None
    concrete_class: type[Any] | None
    factory_class: type[Any] | None
    factory_method: str | None
    qualifiers: set[str]
    primary: bool
    lazy: bool
    infra: str | None
    pico_name: Any | None
    dependencies: tuple[DependencyRequest, ...] = ()
    override: bool = False
    scope: str = "singleton"

class ComponentFactory:
    def __init__(self) -> None: ...
    def bind(self, key: KeyT, provider: Provider) -> None: ...
    def has(self, key: KeyT) -> bool: ...
    # `origin` only words the error message; the container itself passes None.
    def get(self, key: KeyT, origin: KeyT | None) -> Provider: ...

class DeferredProvider:
    def __init__(self, builder: Callable[[PicoContainer, ComponentLocator], Any]) -> None: ...
    def attach(self, pico: PicoContainer, locator: ComponentLocator) -> None: ...
    def __call__(self) -> Any: ...
