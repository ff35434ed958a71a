"""A pico-ioc that has moved what is not documented is refused when the container starts."""

from collections.abc import Callable, Iterable
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import pytest
from pico_ioc import PicoContainer, UnifiedComponentProxy, component

from pico_celery import IncompatibleContainerError, containers
from pico_celery.containers import PROXY_REACHES, REACHES, check_container


@component
class Anything: ...


@pytest.fixture
def container(boot: Callable[..., PicoContainer]) -> Any:
    return boot(Anything)


def test_the_installed_pico_ioc_passes(container: PicoContainer) -> None:
    check_container(container)


@pytest.mark.parametrize("name", ["_run_configure_methods", "_call_cleanup_method"])
def test_a_missing_method_is_named(container: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(next(cls for cls in PicoContainer.__mro__ if name in vars(cls)), name)
    with pytest.raises(IncompatibleContainerError, match=rf"has no {name}: install pico-ioc>=2\.5"):
        check_container(container)


@pytest.mark.parametrize("name", ["_by_scope", "_singleton"])
def test_a_missing_cache_is_named(container: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(container._caches, name)
    with pytest.raises(IncompatibleContainerError, match=f"has no {name}"):
        check_container(container)


def test_marks_that_are_kept_elsewhere_are_found(container: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "PICO_META", "elsewhere")
    with pytest.raises(IncompatibleContainerError, match="marks @configure and @cleanup methods in another way"):
        check_container(container)


def a_container_of(paths: Iterable[str]) -> Any:
    made = SimpleNamespace()
    for path in paths:
        *parents, name = path.split(".")
        node = made
        for parent in parents:
            if not hasattr(node, parent):
                setattr(node, parent, SimpleNamespace())
            node = getattr(node, parent)
        if not hasattr(node, name):
            setattr(node, name, SimpleNamespace())
    made._caches._by_scope = {}
    return made


@pytest.mark.parametrize("path", sorted(set(REACHES) - {"_config_manager", "_caches._by_scope"}))
def test_each_reach_of_the_list_is_missed(path: str) -> None:
    assert REACHES[path]
    check_container(a_container_of(REACHES))
    without = a_container_of(REACHES)
    parent, _, name = path.rpartition(".")
    delattr(attrgetter(parent)(without) if parent else without, name)
    with pytest.raises(IncompatibleContainerError, match=f"has no {name}"):
        check_container(without)


@pytest.mark.parametrize("name", PROXY_REACHES)
def test_a_lazy_component_that_is_kept_in_another_way_is_refused(
    container: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnifiedComponentProxy, "__slots__", tuple(set(PROXY_REACHES) - {name}))
    with pytest.raises(IncompatibleContainerError, match="keeps its lazy components in another way"):
        check_container(container)


def test_scopes_that_are_kept_in_another_way_are_refused(container: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container._caches, "_by_scope", [])
    with pytest.raises(IncompatibleContainerError, match="keeps its scopes in another way"):
        check_container(container)
