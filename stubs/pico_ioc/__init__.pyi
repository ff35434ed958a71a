from ._providers import ComponentFactory, DeferredProvider, Provider, ProviderMetadata
from .analysis import DependencyRequest, analyze_callable_dependencies
from .aop import ContainerObserver, MethodCtx, MethodInterceptor, UnifiedComponentProxy, health, intercepted_by
from .api import Qualifier, cleanup, component, configure, configured, factory, init, provides
from .component_scanner import CustomScanner
from .config_builder import ContextConfig, EnvSource, FileSource, FlatDictSource, configuration
from .config_runtime import Discriminator, Value
from .config_sources import DictSource, JsonTreeSource, YamlTreeSource, expand_env
from .constants import LOGGER, LOGGER_NAME, PICO_INFRA, PICO_KEY, PICO_META, PICO_NAME
from .container import PicoContainer
from .event_bus import AutoSubscriberMixin, ConfigChanged, ErrorPolicy, Event, EventBus, ExecPolicy, subscribe
from .exceptions import (
    AsyncResolutionError,
    ComponentCreationError,
    ConfigurationError,
    EventBusClosedError,
    InvalidBindingError,
    PicoError,
    ProviderNotFoundError,
    ScopeError,
    SerializationError,
    ValidationError,
)
from .locator import ComponentLocator
from .scope import ContextVarScope, ScopedCaches, ScopeManager, ScopeProtocol

__all__ = [
    "LOGGER_NAME",
    "LOGGER",
    "PICO_INFRA",
    "PICO_NAME",
    "PICO_KEY",
    "PICO_META",
    "PicoError",
    "ProviderNotFoundError",
    "ComponentCreationError",
    "ScopeError",
    "ConfigurationError",
    "SerializationError",
    "ValidationError",
    "InvalidBindingError",
    "AsyncResolutionError",
    "EventBusClosedError",
    "component",
    "factory",
    "provides",
    "Qualifier",
    "configure",
    "cleanup",
    "ScopeProtocol",
    "ContextVarScope",
    "ScopeManager",
    "ComponentLocator",
    "ScopedCaches",
    "ProviderMetadata",
    "ComponentFactory",
    "DeferredProvider",
    "Provider",
    "MethodCtx",
    "MethodInterceptor",
    "intercepted_by",
    "UnifiedComponentProxy",
    "health",
    "ContainerObserver",
    "PicoContainer",
    "EnvSource",
    "FileSource",
    "FlatDictSource",
    "init",
    "configured",
    "configuration",
    "ContextConfig",
    "EventBus",
    "ExecPolicy",
    "ErrorPolicy",
    "Event",
    "ConfigChanged",
    "subscribe",
    "AutoSubscriberMixin",
    "JsonTreeSource",
    "YamlTreeSource",
    "DictSource",
    "expand_env",
    "Discriminator",
    "Value",
    "DependencyRequest",
    "analyze_callable_dependencies",
    "CustomScanner",
]
