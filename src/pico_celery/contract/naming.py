"""Names of tasks, and the nearest ones to a name that is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_DOMAIN = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")


def snake_case(name: str) -> str:
    """Return a class name in snake_case: ``OrderBook`` becomes ``order_book``."""
    return _WORD_START.sub("_", name).lower()


def is_domain(name: object) -> bool:
    """Return whether a value can be a contract's domain: identifiers joined by dots."""
    return isinstance(name, str) and _DOMAIN.fullmatch(name) is not None


def is_task_name(name: str) -> bool:
    """Return whether a text can be a task's name: something, without blanks."""
    return bool(name) and not any(character.isspace() for character in name)


def prefix_of(domain: str, version: int) -> str:
    """Return what a contract's task names begin with, up to the last dot: ``orders`` or ``orders.v2``."""
    return domain if version == 1 else f"{domain}.v{version}"


def nearest(name: str, known: Iterable[str], *, count: int = 3) -> tuple[str, ...]:
    """Return the known names that look most like a wrong one."""
    names = sorted(set(known))
    found = get_close_matches(name, names, n=count, cutoff=0.6)
    if not found:
        action = name.rsplit(".", 1)[-1]
        found = [other for other in names if other.rsplit(".", 1)[-1] == action][:count]
    return tuple(found)


def did_you_mean(name: str, known: Iterable[str], *, shown_as: str = "{}") -> str:
    """Return the remedy for a wrong name."""
    names = sorted(set(known))
    close = nearest(name, names)
    if close:
        return f"did you mean {' or '.join(repr(shown_as.format(other)) for other in close)}?"
    if not names:
        return "there is none"
    shown = ", ".join(repr(shown_as.format(other)) for other in names[:8])
    return f"there are {shown}{', ...' if len(names) > 8 else ''}"  # noqa: PLR2004
