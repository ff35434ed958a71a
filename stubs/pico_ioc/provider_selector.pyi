from typing import Any, TypeAlias

from ._providers import Provider, ProviderMetadata
from .config_registrar import ConfigurationManager

KeyT: TypeAlias = str | type[Any]

class ProviderSelector:
    def __init__(self, config_manager: ConfigurationManager) -> None: ...
    def select_providers(
        self, candidates: dict[KeyT, list[tuple[bool, Provider, ProviderMetadata]]]
    ) -> dict[KeyT, tuple[Provider, ProviderMetadata]]: ...
