from collections.abc import Callable
from typing import Any, TypeAlias

from .analysis import DependencyRequest

KeyT: TypeAlias = str | type[Any]

class _ResolutionMixin:
    # Any: an instance, or a coroutine of one when the class has an async __ainit__ (or the method is async).
    def build_class(self, cls: type[Any], locator: Any, dependencies: tuple[DependencyRequest, ...]) -> Any: ...
    def build_method(
        self, fn: Callable[..., Any], locator: Any, dependencies: tuple[DependencyRequest, ...]
    ) -> Any: ...
