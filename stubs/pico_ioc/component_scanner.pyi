from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from ._providers import DeferredProvider, ProviderMetadata
from .config_registrar import ConfigurationManager

KeyT: TypeAlias = str | type[Any]
Provider: TypeAlias = Callable[[], Any]

class CustomScanner(Protocol):
    def should_scan(self, obj: Any) -> bool: ...
    def scan(self, obj: Any) -> tuple[KeyT, Provider, ProviderMetadata] | None: ...

class ComponentScanner:
    def __init__(
        self, profiles: set[str], environ: Mapping[str, str], config_manager: ConfigurationManager
    ) -> None: ...
    def register_custom_scanner(self, scanner: CustomScanner) -> None: ...
    def get_scan_results(
        self,
    ) -> tuple[
        dict[KeyT, list[tuple[bool, Provider, ProviderMetadata]]],
        list[tuple[int, KeyT, type[Any]]],
        list[DeferredProvider],
        dict[KeyT, Callable[..., Any]],
    ]: ...
    def scan_module(self, module: Any) -> None: ...
