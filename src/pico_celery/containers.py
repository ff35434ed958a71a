"""The one door to what pico-ioc 2.5 offers no public way to: every reach, and a check of all at container start.

`REACHES` lists them with what would make each unnecessary upstream. A release of pico-ioc that moves one of them stops the
container at start, instead of leaving settings unread or clean-ups undone later.
"""

from __future__ import annotations

import inspect
import logging
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from operator import attrgetter
from typing import Any, Final, Protocol, cast, get_type_hints

from pico_ioc import PICO_META, PicoContainer, ProviderMetadata, UnifiedComponentProxy, cleanup, configure

from pico_celery.errors import IncompatibleContainerError

_PREFIXES: Final = "a way to read a prefix, whether its source is a tree or flat: a @configured class must choose one"
_SCOPES: Final = "a cleanup_scope that awaits asynchronous @cleanup methods"
_LAZY: Final = "an aget that can create a lazy component with an __ainit__: it keeps the spent coroutine"
_SHUTDOWN: Final = "an ashutdown in order of dependency, that goes on after a failure and creates no lazy component"
REACHES: Final[Mapping[str, str]] = {
    "_config_manager": _PREFIXES,
    "_config_manager._lookup_flat": _PREFIXES,
    "_config_manager._resolver.tree": _PREFIXES,
    "_caches._by_scope": _SCOPES,
    "_caches._singleton.items": _SHUTDOWN,
    "_caches._singleton.put": _SHUTDOWN,
    "_run_configure_methods": _LAZY,
    "_call_cleanup_method": _SHUTDOWN,
}
"""Paths from a container, and what would make them unnecessary upstream."""
PROXY_REACHES: Final[Mapping[str, str]] = {"_target": _LAZY, "_creator": _LAZY}
_MARKS: Final = ("configure", "cleanup")
_logger = logging.getLogger(__name__)
Key = str | type[Any]


class _Singletons(Protocol):
    def items(self) -> Collection[tuple[Key, object]]: ...
    def put(self, key: Key, value: object) -> None: ...


class _Marked:
    """A probe: how pico-ioc marks methods."""

    @configure
    def configure(self) -> None: ...
    @cleanup
    def cleanup(self) -> None: ...


def check_container(container: PicoContainer) -> None:
    """Check that the container has what this module uses."""
    for path in REACHES:
        if container._config_manager is None and path.startswith("_config_manager."):  # noqa: SLF001 - this is the door
            continue
        try:
            attrgetter(path)(container)
        except AttributeError as error:
            raise _incompatible(f"has no {error.name}") from None
    if not isinstance(container._caches._by_scope, dict):  # noqa: SLF001 - this is the door
        raise _incompatible("keeps its scopes in another way")
    if not set(PROXY_REACHES) <= set(UnifiedComponentProxy.__slots__):
        raise _incompatible("keeps its lazy components in another way")
    # Without these marks nothing would be configured or cleaned up, and nothing would say so.
    if not all(_mark_of(member, mark) for mark, member in vars(_Marked).items() if mark in _MARKS):
        raise _incompatible("marks @configure and @cleanup methods in another way")


def _incompatible(reason: str) -> IncompatibleContainerError:
    return IncompatibleContainerError(f"this release of pico-ioc {reason}: install pico-ioc>=2.5,<2.6")


def _mark_of(member: object, mark: str) -> bool:
    return bool(getattr(member, PICO_META, {}).get(mark))


def configured_tree(container: PicoContainer, prefix: str) -> Mapping[str, Any]:
    """Return what the tree sources of the container's configuration have under a prefix."""
    if container._config_manager is None:  # noqa: SLF001 - this is the door
        return {}
    node = attrgetter("_config_manager._resolver.tree")(container)().get(prefix)
    return node if isinstance(node, Mapping) else {}


def configured_value(container: PicoContainer, key: str) -> str | None:
    """Return what the flat sources of the container's configuration (the environment, for example) have for a key."""
    if container._config_manager is None:  # noqa: SLF001 - this is the door
        return None
    value = attrgetter("_config_manager._lookup_flat")(container)(key)
    return None if value is None else str(value)


async def close_scope(container: PicoContainer, scope: str, scope_id: object) -> list[Exception]:
    """Forget the instances of a scope and run their ``@cleanup`` methods, awaiting those that are asynchronous."""
    cached = container._caches._by_scope.get(scope, {}).pop(scope_id, None)  # noqa: SLF001 - this is the door
    errors: list[Exception] = []
    for _, instance in reversed(cached.items() if cached else []):
        for name in _cleanups(type(instance)):
            try:
                outcome = getattr(instance, name)()
                if inspect.isawaitable(outcome):
                    await outcome
            except Exception as error:  # noqa: BLE001 - the clean-up of the others must go on
                errors.append(error)
    return errors


_cleanups_of: Final[weakref.WeakKeyDictionary[type, tuple[str, ...]]] = weakref.WeakKeyDictionary()


def _cleanups(cls: type) -> tuple[str, ...]:
    names = _cleanups_of.get(cls)
    if names is None:
        members = inspect.getmembers_static(cls)
        names = tuple(name for name, member in members if _mark_of(member, "cleanup"))
        _cleanups_of[cls] = names
    return names


def asynchronous_singletons(container: PicoContainer) -> list[Key]:
    """Return the keys of lazy singletons that only a running loop can create, each after those it depends on."""
    found = {key: metadata for key in container.keys() if _is_asynchronous(metadata := container.metadata_for(key))}  # noqa: SIM118 - a container is not a mapping
    return _ordered(container, found)


def _ordered(container: PicoContainer, keys: Collection[Key]) -> list[Key]:
    """Return keys of a container, each after those it depends on."""
    ordered: dict[Key, None] = {}

    def visit(key: Key, above: frozenset[Key]) -> None:
        if key in ordered or key in above:
            return
        metadata = container.metadata_for(key)
        for dependency in () if metadata is None else _dependencies(metadata):
            if dependency in keys:
                visit(dependency, above | {key})
        ordered[key] = None

    for key in sorted(keys, key=str):
        visit(key, frozenset())
    return list(ordered)


async def start_singleton(container: PicoContainer, key: Key) -> None:
    """Create a lazy singleton on the running loop; where one of its methods fails, it is not created."""
    component = container.get(key)
    if not isinstance(component, UnifiedComponentProxy) or object.__getattribute__(component, "_target") is not None:
        return
    created = object.__getattribute__(component, "_creator")()
    if inspect.isawaitable(created):
        created = await created
    configured = attrgetter("_run_configure_methods")(container)(created)
    if inspect.isawaitable(configured):
        await configured
    object.__setattr__(component, "_target", created)


async def close_container(container: PicoContainer) -> None:
    """Run the clean-ups of a container's components, each before those of what it depends on.

    Components that were never created stay so. A clean-up that fails is logged, and the others run all the same.
    """
    singletons: _Singletons = attrgetter("_caches._singleton")(container)
    clean_up = cast("Callable[[object], object]", attrgetter("_call_cleanup_method")(container))
    created = {key: component for key, component in singletons.items() if component is not None}
    for key in reversed(_ordered(container, created)):
        component = created[key]
        if isinstance(component, UnifiedComponentProxy):
            component = object.__getattribute__(component, "_target")
        names = () if component is None else _cleanups(type(component))
        if component is None or names:
            singletons.put(key, None)
        for name in names:
            try:
                outcome = clean_up(getattr(component, name))
                if inspect.isawaitable(outcome):
                    await outcome
            except Exception:  # the clean-ups of the others must go on
                _logger.exception("the clean-up %s.%s failed", type(component).__qualname__, name)
    await container.ashutdown()


def _is_asynchronous(metadata: ProviderMetadata | None) -> bool:
    if metadata is None or metadata.scope != "singleton" or not metadata.lazy:
        return False
    if metadata.factory_class is not None and metadata.factory_method is not None:
        provider = inspect.getattr_static(metadata.factory_class, metadata.factory_method, None)
        return inspect.iscoroutinefunction(getattr(provider, "__func__", provider))
    return any(inspect.iscoroutinefunction(member) for member in _starters(metadata.concrete_class))


def _starters(cls: type | None) -> Iterator[object]:
    yield getattr(cls, "__ainit__", None)
    for _, member in inspect.getmembers_static(cls):
        if _mark_of(member, "configure"):
            yield member


def _dependencies(metadata: ProviderMetadata) -> Iterator[Key]:
    for dependency in metadata.dependencies:
        yield dependency.key
    starter = getattr(metadata.concrete_class, "__ainit__", None)
    if starter is not None:
        try:
            yield from get_type_hints(starter).values()
        except NameError:  # pico-ioc cannot resolve them either
            return
