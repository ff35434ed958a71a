"""Settings of the engine: its event loop, threads, waiting times and warnings.

They are settings of the Celery application beside Celery's own, so that a pool finds them wherever it is started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from importlib.util import find_spec
from typing import Any, Final

from celery import Celery
from kombu.utils.imports import symbol_by_name

from pico_celery.errors import ExecutionError, Fault, SettingsError

DEFAULT_CONCURRENCY: Final = 200
DEFAULT_PREFETCH_MULTIPLIER: Final = 1
_LEAST: Final = {
    "tracer_threads": 1,
    "sync_threads": 1,
    "cancel_grace_seconds": 0,
    "block_warning_seconds": 0,
    "shutdown_seconds": 0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """How the worker runs coroutines. Each is a setting of the application, ``worker_`` before its name."""

    event_loop: str = "auto"
    """``auto`` (uvloop where it is installed), ``asyncio``, ``uvloop``, or the dotted name of a function that makes a loop (``package.module:function``)."""
    tracer_threads: int = 16
    """How many threads run Celery's side of asynchronous tasks: signals, states, results, canvas. They are made as they are needed."""
    sync_threads: int = 32  # how many synchronous tasks run at once
    cancel_grace_seconds: float = 1.0
    """How long a cancelled task may take to clean up, before its slot is given to another."""
    # As asyncio's own slow_callback_duration: https://docs.python.org/3/library/asyncio-dev.html
    block_warning_seconds: float = 0.1  # how long code may hold the event loop before a warning says so; 0 for never
    shutdown_seconds: float = 10.0  # how long the clean-ups of components may take when the worker stops
    keep_to_core: bool = True
    """Whether Celery's side of the worker keeps to one processor core, where the system can do that. User code is not bound by it."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        faults = [
            Fault(
                task="celery",
                path=f"worker_{name}",
                expected=f"at least {least}",
                got=str(getattr(self, name)),
                remedy=f"leave it out for {_defaults()[name]}",
                code="setting_range",
            )
            for name, least in _LEAST.items()
            if getattr(self, name) < least
        ]
        if faults:
            raise SettingsError.of("celery", faults)

    @classmethod
    def of(cls, app: Celery | None) -> EngineOptions:
        """Read the options of an application."""
        return cls() if app is None else cls.of_settings(app.conf)

    @classmethod
    def of_settings(cls, settings: Mapping[str, Any]) -> EngineOptions:
        """Read the options out of settings."""
        given: dict[str, Any] = {}
        for setting, name in SETTING_FIELDS.items():
            value = settings.get(setting)
            if value is not None:
                given[name] = value.total_seconds() if isinstance(value, timedelta) else value
        return cls(**given)


SETTING_FIELDS: Final[Mapping[str, str]] = {f"worker_{field.name}": field.name for field in fields(EngineOptions)}
SETTING_KINDS: Final[Mapping[str, str]] = {
    f"worker_{field.name}": {"str": "string"}.get(str(field.type), str(field.type)) for field in fields(EngineOptions)
}


def _defaults() -> Mapping[str, object]:
    return {field.name: field.default for field in fields(EngineOptions)}


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop."""
    if name == "auto":
        name = "uvloop" if find_spec("uvloop") is not None else "asyncio"
    if name == "asyncio":
        return asyncio.new_event_loop
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = symbol_by_name(
            "uvloop:new_event_loop" if name == "uvloop" else name
        )
    except (ImportError, AttributeError) as error:
        remedy = "install pico-celery[uvloop]" if name == "uvloop" else "give package.module:function"
        raise ExecutionError(f"worker_event_loop={name!r}: {error}; {remedy}") from None
    return factory
