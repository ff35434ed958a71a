"""What changed since a lock file, task by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pico_celery.document.records import Document, TaskRecord
from pico_celery_tooling.evolution.rules import Finding
from pico_celery_tooling.schema.words import count

ADDED: Final = "added"
CHANGED: Final = "changed"
TEXT: Final = "reworded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What changed since an older version."""

    since: str
    """Name of the older version, such as ``contracts.lock.json``."""
    tasks: Mapping[str, str] = field(default_factory=dict)
    """``added``, ``changed`` or ``reworded`` (documentation only), for each task that exists now and differs."""
    removed: Mapping[str, TaskRecord] = field(default_factory=dict)
    """The tasks that are gone, by name."""
    findings: Mapping[str, Sequence[Finding]] = field(default_factory=dict)
    """What breaks and what else to know, by task."""

    @property
    def summary(self) -> str:
        """How many tasks were added, changed, reworded and removed."""
        kinds = [*self.tasks.values(), *("removed" for _ in self.removed)]
        counts = [(kinds.count(kind), kind) for kind in (ADDED, CHANGED, TEXT, "removed")]
        return ", ".join(f"{count(number, 'task')} {kind}" for number, kind in counts if number) or "nothing changed"

    def __bool__(self) -> bool:
        """Return whether anything changed."""
        return bool(self.tasks or self.removed or self.findings)


def changes_since(old: Document, new: Document, since: str) -> Changes:
    """Compare contracts with an older version of them."""
    from pico_celery_tooling.evolution.compare import compare  # noqa: PLC0415 - most sites compare nothing

    findings: dict[str, list[Finding]] = {}
    for finding in compare(old, new):
        findings.setdefault(finding.task, []).append(finding)
    tasks = {name: _kind(old, new, name, findings) for name in new.tasks}
    return Changes(
        since=since,
        tasks={name: kind for name, kind in tasks.items() if kind},
        removed={name: task for name, task in old.tasks.items() if name not in new.tasks},
        findings=findings,
    )


def _kind(old: Document, new: Document, name: str, findings: Mapping[str, Sequence[Finding]]) -> str:
    before, after = old.tasks.get(name), new.tasks[name]
    if before is None:
        return ADDED
    if name in findings or before.digest != after.digest or before.options != after.options:
        return CHANGED
    texts = [(task, document.only({name})) for task, document in ((before, old), (after, new))]
    return "" if texts[0] == texts[1] else TEXT
