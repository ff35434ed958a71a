import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ._providers import ComponentFactory
from .component_scanner import CustomScanner
from .config_builder import ContextConfig
from .container import PicoContainer
from .locator import ComponentLocator

KeyT: TypeAlias = str | type[Any]
Provider: TypeAlias = Callable[[], Any]

class Registrar:
    def __init__(
        self,
        factory: ComponentFactory,
        *,
        profiles: tuple[str, ...] = (),
        environ: Mapping[str, str] | None = None,
        logger: logging.Logger | None = None,
        config: ContextConfig | None = None,
    ) -> None: ...
    def register_custom_scanner(self, scanner: CustomScanner) -> None: ...
    def locator(self) -> ComponentLocator: ...
    def attach_runtime(self, pico: PicoContainer, locator: ComponentLocator) -> None: ...
    def register_module(self, module: Any) -> None: ...
    def finalize(self, overrides: Mapping[KeyT, Any] | None, *, pico_instance: PicoContainer) -> None: ...
