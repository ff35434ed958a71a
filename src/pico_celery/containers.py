"""The one place that reaches into a pico-ioc container where pico-ioc 2.5 offers no public way.

=============================================  ============================================================================
reach                                          unnecessary upstream with
=============================================  ============================================================================
``_config_manager._lookup_flat``, ``.tree()``  a way to read a prefix without knowing whether sources are trees or flat (a
                                               ``@configured`` class must choose one, and fails with the other)
``_caches._by_scope``, ``PICO_META``           a ``cleanup_scope`` that awaits asynchronous ``@cleanup`` methods
``UnifiedComponentProxy._target``,             an ``aget`` that can create a lazy component with an ``__ainit__`` (it awaits
``._creator``, ``_run_configure_methods``      the coroutine, drops the component and keeps the spent coroutine)
``_caches._singleton``,                        an ``ashutdown`` in order of dependency, that goes on after a clean-up that
``_call_cleanup_method``                       fails, and does not create lazy components to look for their clean-ups
=============================================  ============================================================================

`check_container` fails at container start if a release of pico-ioc moves one of them.
"""

from __future__ import annotations

import inspect
import logging
import weakref
from collections.abc import Collection, Iterator, Mapping
from operator import attrgetter
from typing import Any, Final, get_type_hints

from pico_ioc import PICO_META, PicoContainer, UnifiedComponentProxy, cleanup, configure

from pico_celery.errors import IncompatibleContainerError

_USED: Final = (
    "_config_manager",
    "_caches._by_scope",
    "_caches._singleton.items",
    "_caches._singleton.put",
    "_run_configure_methods",
    "_call_cleanup_method",
)
_USED_OF_CONFIGURATION: Final = ("_config_manager._lookup_flat", "_config_manager._resolver.tree")
_MARKS: Final = ("configure", "cleanup")
_logger = logging.getLogger(__name__)


class _Marked:
    """A probe: how pico-ioc marks methods."""

    @configure
    def configure(self) -> None: ...
    @cleanup
    def cleanup(self) -> None: ...


def check_container(container: PicoContainer) -> None:
    """Check that the container has what this module uses."""
    try:
        for path in _USED:
            attrgetter(path)(container)
        if container._config_manager is not None:  # noqa: SLF001 - see the module's docstring
            for path in _USED_OF_CONFIGURATION:
                attrgetter(path)(container)
    except AttributeError as error:
        raise _incompatible(f"has no {error.name}") from None
    if not isinstance(container._caches._by_scope, dict):  # noqa: SLF001
        raise _incompatible("keeps its scopes in another way")
    if not {"_target", "_creator"} <= set(UnifiedComponentProxy.__slots__):
        raise _incompatible("keeps its lazy components in another way")
    # Without these marks nothing would be configured or cleaned up, and nothing would say so.
    if not all(getattr(member, PICO_META, {}).get(mark) for mark, member in vars(_Marked).items() if mark in _MARKS):
        raise _incompatible("marks @configure and @cleanup methods in another way")


def _incompatible(reason: str) -> IncompatibleContainerError:
    return IncompatibleContainerError(f"this release of pico-ioc {reason}: install pico-ioc>=2.5,<2.6")


def configured_tree(container: PicoContainer, prefix: str) -> Mapping[str, Any]:
    """Return what the tree sources of the container's configuration say under a prefix."""
    manager: Any = container._config_manager  # noqa: SLF001 - see the module's docstring
    if manager is None:
        return {}
    node = manager._resolver.tree().get(prefix)  # noqa: SLF001
    return node if isinstance(node, Mapping) else {}


def configured_value(container: PicoContainer, key: str) -> str | None:
    """Return what the flat sources of the container's configuration (the environment, for example) say for a key."""
    manager: Any = container._config_manager  # noqa: SLF001 - see the module's docstring
    if manager is None:
        return None
    value = manager._lookup_flat(key)  # noqa: SLF001
    return None if value is None else str(value)


async def close_scope(container: PicoContainer, scope: str, scope_id: object) -> list[Exception]:
    """Forget the instances of a scope and run their ``@cleanup`` methods, awaiting those that are asynchronous."""
    cached = container._caches._by_scope.get(scope, {}).pop(scope_id, None)  # noqa: SLF001 - see the module's docstring
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


_cleanups_of: Final[weakref.WeakKeyDictionary[type[Any], tuple[str, ...]]] = weakref.WeakKeyDictionary()


def _cleanups(cls: type[Any]) -> tuple[str, ...]:
    names = _cleanups_of.get(cls)
    if names is None:
        members = inspect.getmembers_static(cls)
        names = tuple(name for name, member in members if getattr(member, PICO_META, {}).get("cleanup"))
        _cleanups_of[cls] = names
    return names


def asynchronous_singletons(container: PicoContainer) -> list[Any]:
    """Return the keys of lazy singletons that only a running loop can create, each after those it depends on."""
    found = {key: metadata for key in container.keys() if _is_asynchronous(metadata := container.metadata_for(key))}  # noqa: SIM118 - a container is no mapping
    return _ordered(container, found)


def _ordered(container: PicoContainer, keys: Collection[Any]) -> list[Any]:
    """Return keys of a container, each after those it depends on."""
    ordered: dict[Any, None] = {}

    def visit(key: Any, above: frozenset[Any]) -> None:
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


async def start_singleton(container: PicoContainer, key: Any) -> None:
    """Create a lazy singleton on the running loop."""
    component = container.get(key)
    if not isinstance(component, UnifiedComponentProxy) or object.__getattribute__(component, "_target") is not None:
        return
    created = object.__getattribute__(component, "_creator")()
    if inspect.isawaitable(created):
        created = await created
    configured = container._run_configure_methods(created)  # type: ignore[attr-defined]  # noqa: SLF001
    if inspect.isawaitable(configured):
        await configured
    object.__setattr__(component, "_target", created)


async def close_container(container: PicoContainer) -> None:
    """Run the clean-ups of a container's components, each before those of what it depends on.

    Components that were never created stay so. A clean-up that fails is logged, and the others run all the same.
    """
    # See the module's docstring.
    singletons: Any = container._caches._singleton  # type: ignore[attr-defined]  # noqa: SLF001
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
                outcome = container._call_cleanup_method(getattr(component, name))  # type: ignore[attr-defined]  # noqa: SLF001
                if inspect.isawaitable(outcome):
                    await outcome
            except Exception:  # the clean-ups of the others must go on
                _logger.exception("the clean-up %s.%s failed", type(component).__qualname__, name)
    await container.ashutdown()


def _is_asynchronous(metadata: Any) -> bool:
    if metadata is None or metadata.scope != "singleton" or not metadata.lazy:
        return False
    if metadata.factory_class is not None and metadata.factory_method is not None:
        provider = inspect.getattr_static(metadata.factory_class, metadata.factory_method, None)
        return inspect.iscoroutinefunction(getattr(provider, "__func__", provider))
    return any(inspect.iscoroutinefunction(member) for member in _starters(metadata.concrete_class))


def _starters(cls: Any) -> Iterator[Any]:
    yield getattr(cls, "__ainit__", None)
    for _, member in inspect.getmembers_static(cls):
        if getattr(member, PICO_META, {}).get("configure"):
            yield member


def _dependencies(metadata: Any) -> Iterator[Any]:
    for dependency in metadata.dependencies:
        yield dependency.key
    starter = getattr(metadata.concrete_class, "__ainit__", None)
    if starter is not None:
        try:
            yield from get_type_hints(starter).values()
        except NameError:  # pico-ioc cannot resolve them either
            return
