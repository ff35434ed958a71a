from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .config_runtime import (
    DictSource as DictSource,
    JsonTreeSource as JsonTreeSource,
    TreeSource as TreeSource,
    Value as Value,
    YamlTreeSource as YamlTreeSource,
)

class ConfigSource(Protocol): ...

class EnvSource(ConfigSource):
    prefix: str
    def __init__(self, prefix: str = "") -> None: ...
    def get(self, key: str) -> str | None: ...

class FileSource(ConfigSource):
    prefix: str
    def __init__(self, path: str, prefix: str = "") -> None: ...
    def get(self, key: str) -> str | None: ...

class FlatDictSource(ConfigSource):
    def __init__(self, data: Mapping[str, Any], prefix: str = "", case_sensitive: bool = True) -> None: ...
    def get(self, key: str) -> str | None: ...

@dataclass(frozen=True)
class ContextConfig:
    flat_sources: tuple[EnvSource | FileSource | FlatDictSource, ...]
    tree_sources: tuple[TreeSource, ...]
    overrides: dict[str, Any]

def configuration(
    *sources: EnvSource | FileSource | FlatDictSource | TreeSource, overrides: Mapping[str, Any] | None = None
) -> ContextConfig: ...
