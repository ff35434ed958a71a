"""`Finding`: one thing that a check has found, with who breaks, where, and what to do instead."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Level(StrEnum):
    """How bad a finding is."""

    BREAK = "break"
    """Somebody breaks, even if the workers are rolled out before the clients."""
    ORDER = "order"
    """Nobody breaks if the workers are rolled out before the clients; somebody does otherwise."""
    NOTE = "note"
    """Nobody breaks at run time; somebody has something to do, or should know."""


class Category(StrEnum):
    """What a finding breaks."""

    SOURCE = "SOURCE"
    """Type checking of callers or of implementers."""
    WIRE = "WIRE"
    """Peers that run now."""
    QUEUED = "QUEUED"
    """Messages that wait in a queue, for their ETA, or in the schedule of beat."""
    SETUP = "SETUP"
    """The application: a task that nobody serves, a broker that cannot be reached."""


class _Nothing:
    def __repr__(self) -> str:
        return "NOTHING"


NOTHING: Final[Any] = _Nothing()
"""There is no payload to show: `None` is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a check has found."""

    rule: str
    """Stable name of the rule, such as ``parameter_removed``; what an ignore names."""
    level: Level
    """How bad it is."""
    categories: frozenset[Category]
    task: str
    """Name of the task on the wire, or of the contract or error where it is about these."""
    path: str = ""
    """Where in it: parameter and JSON path, such as ``order.lines[*].quantity``, or ``return.total``."""
    message: str
    """What changed or is wrong, with what was expected and what was got."""
    who: str = ""
    """Who breaks, such as "old clients and queued messages, at new workers"."""
    remedy: str = ""
    """What to do instead."""
    payload: Any = NOTHING
    """A payload that shows it: accepted before, refused now; `NOTHING` where there is none."""
    where: str = ""
    """``file:line``, where it is known."""
    ignored: str | None = None
    """Why it does not count, where the project says so."""
