from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

KeyT: TypeAlias = str | type[Any]

@dataclass(frozen=True)
class DependencyRequest:
    parameter_name: str
    key: KeyT
    is_list: bool = False
    qualifier: str | None = None
    is_optional: bool = False
    is_dict: bool = False
    dict_key_type: Any = None

def analyze_callable_dependencies(callable_obj: Callable[..., Any]) -> tuple[DependencyRequest, ...]: ...
