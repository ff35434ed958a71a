"""Ignores: findings that a project knows of and accepts, each with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pico_celery_tooling.evolution.findings import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """What is ignored. In its patterns ``*`` stands for any text and ``?`` for one character."""

    rule: str
    """Pattern of the rule's name."""
    task: str = "*"
    """Pattern of the task's name."""
    path: str = "*"
    """Pattern of the path."""
    reason: str
    """Why it does not count."""
    where: str = ""
    """Where it was said, for people."""

    def matches(self, finding: Finding) -> bool:
        """Return whether it is about a finding."""
        parts = ((self.rule, finding.rule), (self.task, finding.task), (self.path, finding.path))
        return all(is_like(text, pattern) for pattern, text in parts)


def is_like(text: str, pattern: str) -> bool:
    """Return whether a text matches a pattern; brackets are themselves, for paths have them: ``order.lines[*].sku``."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL) is not None


def ignoring(findings: Iterable[Finding], ignores: Sequence[Ignore]) -> tuple[list[Finding], list[Ignore]]:
    """Mark the findings that a project ignores."""
    marked = []
    unused = dict(enumerate(ignores))
    for finding in findings:
        matching = [number for number, ignore in enumerate(ignores) if ignore.matches(finding)]
        for number in matching:
            unused.pop(number, None)
        marked.append(replace(finding, ignored=ignores[matching[0]].reason) if matching else finding)
    return marked, list(unused.values())
