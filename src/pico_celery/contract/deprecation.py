"""Warnings of deprecated tasks, of old names, and of names that no contract declares."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Final

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.signature import location_of
from pico_celery.errors import DeprecatedTaskWarning, Fault, UndeclaredTaskWarning

_NOT_THE_CALLER: Final = frozenset({"pico_celery", "celery"})


def deprecation_of(
    function: Callable[..., object], options: Mapping[str, object], subject: str
) -> tuple[dict[str, str], list[Fault]]:
    """Return what a contract's method says of its deprecation, by option or by decorator.

    Source: https://peps.python.org/pep-0702/#runtime-behavior
    """
    option, decorator = options.get("deprecated"), getattr(function, "__deprecated__", None)
    texts = [text for text in (option, decorator) if isinstance(text, str)]
    if len(set(texts)) > 1:
        fault = Fault(
            task=subject,
            path="deprecated",
            expected="one text",
            got=f"{option!r} by @task_options and {decorator!r} by @deprecated",
            remedy="say it once: @deprecated, which type checkers read, is enough",
            where=(location_of(function),),
            code="deprecated_twice",
        )
        return {}, [fault]
    return ({"deprecated": texts[0]} if texts else {}), []


def warn_if_deprecated(definition: TaskDefinition) -> None:
    """Warn whoever calls a deprecated task, at the line of the call; asyncio's, where a coroutine is a task of its own."""
    text = definition.deprecated
    if text is not None:
        _warn(f"{definition.name} is deprecated: {text}")


def warn_of_old_call(alias: str, definition: TaskDefinition) -> None:
    """Warn whoever calls a task by an old name, at the line of the call."""
    _warn(old_name_text(alias, definition))


def warn_of_old_name(alias: str, definition: TaskDefinition, declared: Callable[..., object]) -> None:
    """Warn of a sender that is declared by an old name."""
    file, _, line = location_of(declared).rpartition(":")
    warnings.warn_explicit(
        old_name_text(alias, definition), DeprecatedTaskWarning, file, int(line), module=declared.__module__
    )


def old_name_text(alias: str, definition: TaskDefinition) -> str:
    """Return what is to be said of an old name."""
    return f"{alias} is an old name of {definition.name}: use {definition.name!r}"


def _warn(text: str) -> None:
    frame = _caller()
    warnings.warn_explicit(
        text,
        DeprecatedTaskWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
        module=frame.f_globals.get("__name__", "<unknown>"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def _caller() -> FrameType:
    """Return the nearest frame that belongs neither to this library nor to Celery, through which calls may go."""
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way, and cheap
    while str(frame.f_globals.get("__name__")).partition(".")[0] in _NOT_THE_CALLER and frame.f_back is not None:
        frame = frame.f_back
    return frame


_warned: Final[set[str]] = set()


def warn_undeclared(name: str, where: str) -> None:
    """Warn that no contract declares a task name, once for each name in a process."""
    if name in _warned:
        return
    _warned.add(name)
    file, _, line = where.rpartition(":")
    warnings.warn_explicit(
        f"no contract declares the task {name!r}: its signature in code is taken for the contract; "
        "declare it in a @contract class so that every side is checked against the same thing",
        UndeclaredTaskWarning,
        file or where,
        int(line) if line.isdigit() else 0,
    )


def forget_warned() -> None:
    """Forget which names were warned of, for tests."""
    _warned.clear()
