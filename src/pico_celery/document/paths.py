"""Paths to a value in a payload, as people write them: ``lines[0].price``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_PLAIN: Final = re.compile(r"[A-Za-z_][\w-]*\Z")


def path_text(steps: Iterable[str | int]) -> str:
    """Return a path as text.

    Args:
        steps: Names of properties and indexes of items.

    Returns:
        The path; empty for the payload itself.
    """
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.match(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text
