from typing import Any, TypeAlias

from ._providers import ComponentFactory, ProviderMetadata
from .locator import ComponentLocator

KeyT: TypeAlias = str | type[Any]

class DependencyValidator:
    def __init__(
        self, metadata: dict[KeyT, ProviderMetadata], factory: ComponentFactory, locator: ComponentLocator
    ) -> None: ...
    def validate_bindings(self) -> None: ...
