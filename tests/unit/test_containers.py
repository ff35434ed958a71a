"""A pico-ioc that has moved what is not documented is refused when the container starts."""

from collections.abc import Callable
from typing import Any

import pytest
from pico_ioc import PicoContainer, component

from pico_celery import IncompatibleContainerError, containers
from pico_celery.containers import check_container


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
