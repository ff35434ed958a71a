"""What unit tests share: applications without a broker, containers built from classes, modules built from text."""

import importlib.util
import itertools
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from pico_ioc import DictSource, FlatDictSource, PicoContainer, configuration, init

from pico_celery.containers import close_container
from pico_celery.contract.deprecation import forget_warned
from pico_celery.worker.loop import current_loop_service, stop_loop_service

_numbers = itertools.count(1)


async def _nothing() -> None:
    """Close nothing."""


@pytest.fixture(autouse=True)
def _warn_again() -> Iterator[None]:
    forget_warned()
    yield
    forget_warned()


@pytest.fixture(autouse=True, scope="session")
def _loop_stopped_at_the_end() -> Iterator[None]:
    yield
    stop_loop_service(_nothing)


@pytest.fixture
def celery_app() -> Iterator[Celery]:
    """An application whose broker is this process's memory."""
    app = Celery(f"unit{next(_numbers)}", broker="memory://", backend="cache+memory://", set_as_current=False)
    yield app
    app.close()


@pytest.fixture
def module_of() -> Iterator[Callable[..., types.ModuleType]]:
    """Build a module that holds classes, as a user's file would."""
    made: list[str] = []

    def build(*members: Any) -> types.ModuleType:
        module = types.ModuleType(f"unit_components_{next(_numbers)}")
        for member in members:
            member.__module__ = module.__name__
            setattr(module, member.__name__, member)
        sys.modules[module.__name__] = module
        made.append(module.__name__)
        return module

    yield build
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def boot(module_of: Callable[..., types.ModuleType]) -> Iterator[Callable[..., PicoContainer]]:
    """Start a container with this library and some classes, its broker in memory and tasks run where they are called."""
    started: list[PicoContainer] = []

    def start(
        *members: Any, settings: Mapping[str, Any] | None = None, flat: Mapping[str, Any] | None = None
    ) -> PicoContainer:
        tree = {"broker_url": "memory://", "backend_url": "cache+memory://", "task_always_eager": True}
        sources: list[Any] = [DictSource({"celery": {**tree, **(settings or {})}})]
        if flat is not None:
            sources.append(FlatDictSource(dict(flat)))
        container: PicoContainer = init(
            modules=["pico_celery", module_of(*members)], config=configuration(*sources), validate_only=False
        )
        started.append(container)
        return container

    yield start
    for container in started:
        current_loop_service().run(close_container(container))


@pytest.fixture
def load_module(tmp_path: Path) -> Iterator[Callable[[str], types.ModuleType]]:
    """Write a module's text to a file and import it, as a user's file is imported."""
    made: list[str] = []

    def load(source: str, name: str = "") -> types.ModuleType:
        name = name or f"unit_module_{next(_numbers)}"
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        made.append(name)
        spec.loader.exec_module(module)
        return module

    yield load
    for name in made:
        sys.modules.pop(name, None)
