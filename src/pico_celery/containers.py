"""The one place that reaches into a pico-ioc container where pico-ioc 2.5 offers no public way.

Two things are missing there: reading configuration under a prefix when it is not known whether the sources are trees or
flat (a ``@configured`` class must choose one, and fails with the other), and awaiting the asynchronous ``@cleanup``
methods of a scope (``cleanup_scope`` calls them without awaiting). `check_container` fails at container start if a
release of pico-ioc moves what is used here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pico_ioc import PICO_META, PicoContainer

from pico_celery.errors import IncompatibleContainerError


def check_container(container: PicoContainer) -> None:
    """Check that the container has what this module uses.

    Args:
        container: The container.

    Raises:
        IncompatibleContainerError: If it has not.
    """
    try:
        caches: Any = container._caches._by_scope  # noqa: SLF001 - see the module's docstring
        manager: Any = container._config_manager  # noqa: SLF001
        usable = isinstance(caches, dict) and (
            manager is None or (callable(manager._lookup_flat) and callable(manager._resolver.tree))  # noqa: SLF001
        )
    except AttributeError:
        usable = False
    if not usable:
        raise IncompatibleContainerError(
            "this release of pico-ioc keeps its scopes or its configuration in another place than pico_celery expects: "
            "install pico-ioc>=2.5,<2.6"
        )


def configured_tree(container: PicoContainer, prefix: str) -> Mapping[str, Any]:
    """Return what the tree sources of the container's configuration say under a prefix.

    Args:
        container: The container.
        prefix: A key of the tree's top level.

    Returns:
        The mapping below it, empty where there is none.
    """
    manager: Any = container._config_manager  # noqa: SLF001 - see the module's docstring
    if manager is None:
        return {}
    node = manager._resolver.tree().get(prefix)  # noqa: SLF001
    return node if isinstance(node, Mapping) else {}


def configured_value(container: PicoContainer, key: str) -> str | None:
    """Return what the flat sources of the container's configuration (the environment, for example) say for a key.

    Args:
        container: The container.
        key: The whole key, such as ``CELERY_BROKER_URL``.

    Returns:
        The text, or ``None``.
    """
    manager: Any = container._config_manager  # noqa: SLF001 - see the module's docstring
    if manager is None:
        return None
    value = manager._lookup_flat(key)  # noqa: SLF001
    return None if value is None else str(value)


async def close_scope(container: PicoContainer, scope: str, scope_id: object) -> list[Exception]:
    """Forget the instances of a scope and run their ``@cleanup`` methods, awaiting those that are asynchronous.

    Args:
        container: The container.
        scope: Name of the scope.
        scope_id: Id of the scope.

    Returns:
        What clean-up methods raised; the others ran all the same.
    """
    cached = container._caches._by_scope.get(scope, {}).pop(scope_id, None)  # noqa: SLF001 - see the module's docstring
    errors: list[Exception] = []
    for _, instance in reversed(cached.items() if cached else []):
        for name, member in inspect.getmembers_static(type(instance)):
            if not getattr(member, PICO_META, {}).get("cleanup"):
                continue
            try:
                outcome = getattr(instance, name)()
                if inspect.isawaitable(outcome):
                    await outcome
            except Exception as error:  # noqa: BLE001 - the clean-up of the others must go on
                errors.append(error)
    return errors
