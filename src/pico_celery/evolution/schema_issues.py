"""`Issue`: a place where one form does not fit another, before a payload is found that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pico_celery.evolution.schema_forms import Form, Forms

ITEM: Final = -1
"""Any item of a list, as a step."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Any value of a mapping, as a step."""


ENTRY: Final = Entry()


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a path into a payload.

    Attributes:
        form: The form of the object or list there.
        key: Name of the property, index of the item, `ITEM` or `ENTRY`.
    """

    form: Form
    key: str | int | Entry


Steps = tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A place where a form does not fit.

    Attributes:
        rule: Which kind of thing does not fit.
        steps: Where.
        source: The form that is sent there.
        targets: The forms that are accepted there.
        sent: What is sent, for people.
        accepted: What is accepted, for people.
        certain: Whether it is known; ``None`` where only a payload can tell.
        values: Values for the place that may show it.
    """

    rule: str
    steps: Steps
    source: Form
    targets: tuple[Form, ...]
    sent: str
    accepted: str
    certain: bool | None = True
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Deeper:
    """Two forms that do not fit, at a place: what does not, lies in them.

    Attributes:
        source: What is sent.
        target: What is accepted.
        steps: Where.
        alone: Whether nothing else is accepted there.
    """

    source: Form
    target: Form
    steps: Steps
    alone: bool = True


Found = Issue | Deeper


class Compares(Protocol):
    """What compares the parts of two schemas, for those who know how one kind of form is put together."""

    @property
    def source(self) -> Forms:
        """The forms of the document of what is sent."""

    @property
    def target(self) -> Forms:
        """The forms of the document of what is accepted."""

    def between(self, source: Any, target: Any, steps: Steps) -> Iterator[Found]:
        """Iterate over what speaks against two explicit schemas at a place."""


def steps_text(steps: Steps) -> str:
    """Return a path as text, such as ``lines[*].quantity`` or ``prices{*}``."""
    text = ""
    for step in steps:
        if isinstance(step.key, Entry):
            text += "{*}"
        elif isinstance(step.key, int):
            text += "[*]" if step.key == ITEM else f"[{step.key}]"
        else:
            text += f".{step.key}" if text else step.key
    return text
