import logging
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, TypeAlias

from _typeshed import SupportsItems

from .aop import ContainerObserver
from .component_scanner import CustomScanner
from .config_builder import ContextConfig
from .container import PicoContainer
from .decorators import (
    Qualifier as Qualifier,
    cleanup as cleanup,
    component as component,
    configure as configure,
    configured as configured,
    factory as factory,
    provides as provides,
)

KeyT: TypeAlias = str | type[Any]
Provider: TypeAlias = Callable[[], Any]

def init(
    modules: ModuleType | str | Iterable[ModuleType | str],
    *,
    # Not Iterable[str]: a bare "prod" would pass and mean the profiles p, r, o and d.
    profiles: tuple[str, ...] | list[str] = (),
    allowed_profiles: Iterable[str] | None = None,
    environ: Mapping[str, str] | None = None,
    # Not Mapping[KeyT, Any]: it is invariant in its key, and a dict[type[Service], Service] has to pass.
    overrides: SupportsItems[KeyT, Any] | None = None,
    logger: logging.Logger | None = None,
    config: ContextConfig | None = None,
    custom_scopes: Iterable[str] | None = None,
    validate_only: bool = False,
    container_id: str | None = None,
    observers: Iterable[ContainerObserver] | None = None,
    custom_scanners: Iterable[CustomScanner] | None = None,
) -> PicoContainer: ...
