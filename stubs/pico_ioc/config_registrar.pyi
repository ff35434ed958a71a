from collections.abc import Callable
from typing import Any, TypeAlias

from ._providers import ProviderMetadata
from .config_builder import ContextConfig
from .config_runtime import ConfigResolver

KeyT: TypeAlias = str | type[Any]
Provider: TypeAlias = Callable[[], Any]

class ConfigurationManager:
    # Private, and here because no public call reads a key without declaring a class for it: see PicoContainer.
    _has_flat: bool
    _has_tree: bool
    _resolver: ConfigResolver
    def _lookup_flat(self, key: str) -> str | None: ...
    def __init__(self, config: ContextConfig | None) -> None: ...
    def refresh(self) -> frozenset[str]: ...
    def register_configured_class(
        self, cls: type[Any], enabled: bool
    ) -> tuple[KeyT, Provider, ProviderMetadata] | None: ...
    def prefix_exists(self, md: ProviderMetadata) -> bool: ...
