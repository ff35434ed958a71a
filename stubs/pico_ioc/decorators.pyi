from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias, TypeVar, overload

_Key: TypeAlias = str | type[Any]

_C = TypeVar("_C", bound=type[Any])
_F = TypeVar("_F", bound=Callable[..., Any])

@overload
def component(
    cls: _C,
    *,
    name: _Key | None = None,
    qualifiers: Iterable[str] = (),
    scope: str = "singleton",
    primary: bool = False,
    lazy: bool = False,
    conditional_profiles: Iterable[str] = (),
    conditional_require_env: Iterable[str] = (),
    conditional_predicate: Callable[[], bool] | None = None,
    on_missing_selector: _Key | None = None,
    on_missing_priority: int = 0,
) -> _C: ...
@overload
def component(
    cls: None = None,
    *,
    name: _Key | None = None,
    qualifiers: Iterable[str] = (),
    scope: str = "singleton",
    primary: bool = False,
    lazy: bool = False,
    conditional_profiles: Iterable[str] = (),
    conditional_require_env: Iterable[str] = (),
    conditional_predicate: Callable[[], bool] | None = None,
    on_missing_selector: _Key | None = None,
    on_missing_priority: int = 0,
) -> Callable[[_C], _C]: ...
@overload
def factory(
    cls: _C,
    *,
    name: str | None = None,
    qualifiers: Iterable[str] = (),
    scope: str = "singleton",
    primary: bool = False,
    lazy: bool = False,
    conditional_profiles: Iterable[str] = (),
    conditional_require_env: Iterable[str] = (),
    conditional_predicate: Callable[[], bool] | None = None,
    on_missing_selector: _Key | None = None,
    on_missing_priority: int = 0,
) -> _C: ...
@overload
def factory(
    cls: None = None,
    *,
    name: str | None = None,
    qualifiers: Iterable[str] = (),
    scope: str = "singleton",
    primary: bool = False,
    lazy: bool = False,
    conditional_profiles: Iterable[str] = (),
    conditional_require_env: Iterable[str] = (),
    conditional_predicate: Callable[[], bool] | None = None,
    on_missing_selector: _Key | None = None,
    on_missing_priority: int = 0,
) -> Callable[[_C], _C]: ...

# A class is callable too, so the key comes before the bare function. A classmethod object is not, and is refused where
# the checker tells it from a function: the container would call it without its class.
@overload
def provides(
    key: _Key,
    /,
    *,
    name: str | None = None,
    qualifiers: Iterable[str] = (),
    scope: str = "singleton",
    primary: bool = False,
    lazy: bool = False,
    conditional_profiles: Iterable[str] = (),
    conditional_require_env: Iterable[str] = (),
    conditional_predicate: Callable[[], bool] | None = None,
    on_missing_selector: _Key | None = None,
    on_missing_priority: int = 0,
) -> Callable[[_F], _F]: ...
@overload
def provides(fn: _F, /) -> _F: ...
@overload
def provides(
    *,
    name: str | None = None,
    qualifiers: Iterable[str] = (),
    scope: str = "singleton",
    primary: bool = False,
    lazy: bool = False,
    conditional_profiles: Iterable[str] = (),
    conditional_require_env: Iterable[str] = (),
    conditional_predicate: Callable[[], bool] | None = None,
    on_missing_selector: _Key | None = None,
    on_missing_priority: int = 0,
) -> Callable[[_F], _F]: ...

class Qualifier(str):
    __slots__ = ()

def configure(fn: _F) -> _F: ...
def cleanup(fn: _F) -> _F: ...
def configured(
    target: type[Any] | Literal["self"] = "self",
    *,
    prefix: str = "",
    mapping: Literal["auto", "flat", "tree"] = "auto",
    qualifiers: Iterable[str] = (),
    scope: str = "singleton",
    primary: bool = False,
    lazy: bool = False,
    conditional_profiles: Iterable[str] = (),
    conditional_require_env: Iterable[str] = (),
    conditional_predicate: Callable[[], bool] | None = None,
    on_missing_selector: _Key | None = None,
    on_missing_priority: int = 0,
) -> Callable[[_C], _C]: ...
def get_return_type(fn: Callable[..., Any]) -> type[Any] | None: ...
