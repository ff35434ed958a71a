"""The order of imports, as ``ruff`` and ``isort`` have it.

Source: https://docs.astral.sh/ruff/settings/#lintisort, its defaults.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection
from enum import IntEnum

_DIGITS = re.compile(r"(\d+)")


class Section(IntEnum):
    """Groups of imports, in their order."""

    FUTURE = 0
    STANDARD = 1
    THIRD_PARTY = 2
    FIRST_PARTY = 3
    LOCAL = 4


def section_of(module: str, first_party: Collection[str]) -> Section:
    """Return the group of an import.

    Args:
        module: What is imported; with leading dots if it is relative.
        first_party: Names of the project's own top-level packages.

    Returns:
        Its group.
    """
    top = module.partition(".")[0]
    if module == "__future__":
        return Section.FUTURE
    if module.startswith("."):
        return Section.LOCAL
    if top in first_party:
        return Section.FIRST_PARTY
    return Section.STANDARD if top in sys.stdlib_module_names else Section.THIRD_PARTY


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return the key by which names are sorted: numbers in them by their value, letters without case."""
    parts = _DIGITS.split(name)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in parts if part)


def member_key(name: str) -> tuple[int, tuple[tuple[int, int, str], ...], str]:
    """Return the key of an imported name: constants, classes, then the others."""
    plain = name.partition(" as ")[0]
    kind = 0 if len(plain) > 1 and plain.isupper() else 1 if plain[:1].isupper() else 2
    return kind, natural(plain), name
