"""One warning for each task name that no contract declares."""

from __future__ import annotations

import warnings
from typing import Final

from pico_celery.errors import UndeclaredTaskWarning

_warned: Final[set[str]] = set()


def warn_undeclared(name: str, where: str) -> None:
    """Warn that no contract declares a task name, once for each name in a process.

    Args:
        name: Name of the task.
        where: ``file:line`` of its use, to which the warning is attributed.
    """
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
