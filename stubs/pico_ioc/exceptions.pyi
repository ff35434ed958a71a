from typing import Any

class PicoError(Exception): ...

class ProviderNotFoundError(PicoError):
    key: Any
    origin: Any | None
    def __init__(self, key: Any, origin: Any | None = None) -> None: ...

class ComponentCreationError(PicoError):
    key: Any
    cause: Exception
    def __init__(self, key: Any, cause: Exception) -> None: ...

class ScopeError(PicoError):
    def __init__(self, msg: str) -> None: ...

class ConfigurationError(PicoError):
    def __init__(self, msg: str) -> None: ...

class SerializationError(PicoError):
    def __init__(self, msg: str) -> None: ...

class ValidationError(PicoError):
    def __init__(self, msg: str) -> None: ...

class InvalidBindingError(ValidationError):
    errors: list[str]
    def __init__(self, errors: list[str]) -> None: ...

class AsyncResolutionError(PicoError):
    key: Any
    def __init__(self, key: Any) -> None: ...

class EventBusError(PicoError):
    def __init__(self, msg: str) -> None: ...

class EventBusClosedError(EventBusError):
    def __init__(self) -> None: ...

class EventBusQueueFullError(EventBusError):
    def __init__(self) -> None: ...

class EventBusHandlerError(EventBusError):
    event_name: str
    handler_name: str
    cause: Exception
    def __init__(self, event_name: str, handler_name: str, cause: Exception) -> None: ...
