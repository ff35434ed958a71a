"""Ids of the tasks that a process sends.

All of them begin alike, so that one subscription to a pattern hears of every result that the process may wait for, where
Celery subscribes and unsubscribes for each.
"""

from __future__ import annotations

from typing import Final
from uuid import uuid4

_COMMON: Final = 19  # xxxxxxxx-xxxx-4xxx-: 60 random bits for the process, 62 are left for each task


class TaskIds:
    """Makes ids; each is a version 4 UUID.

    Attributes:
        prefix: What all of them begin with.
    """

    __slots__ = ("prefix",)

    def __init__(self) -> None:
        self.prefix: Final = str(uuid4())[:_COMMON]

    def new(self) -> str:
        """Return a new id."""
        return self.prefix + str(uuid4())[_COMMON:]

    def covers(self, task_id: str) -> bool:
        """Tell whether an id begins as this process's do."""
        return task_id.startswith(self.prefix)
