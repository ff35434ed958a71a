"""What changed, as a list."""

from __future__ import annotations

from collections.abc import Sequence

from pico_celery_tooling.evolution.findings import NOTHING, Finding
from pico_celery_tooling.site.changes import ADDED, TEXT, Changes
from pico_celery_tooling.site.highlight import json_block
from pico_celery_tooling.site.html import Html, code, join, tag


def change_list(changes: Changes, task: str) -> Html:
    """Return what changed of a task."""
    kind = changes.tasks.get(task)
    since = code(changes.since)
    found = changes.findings.get(task, ())
    if found:
        return join(tag("p", "Since ", since, ":", class_="quiet"), finding_list(found))
    if kind == ADDED:
        return tag("p", "New since ", since, ".")
    if kind == TEXT:
        return tag("p", "Only its documentation changed since ", since, ".")
    if kind:
        return tag("p", "Changed since ", since, ", and nobody breaks.")
    return tag("p", "None since ", since, ".", class_="quiet")


def finding_list(findings: Sequence[Finding]) -> Html:
    """Return findings as a list, with who breaks and what to do instead."""
    return tag("ul", *(_finding(finding) for finding in findings), class_="findings")


def _finding(finding: Finding) -> Html:
    categories = ", ".join(sorted(finding.categories))
    rows = [("Who", finding.who), ("Instead", finding.remedy), ("Ignored", finding.ignored or "")]
    facts = [tag("div", tag("dt", term), tag("dd", text)) for term, text in rows if text]
    return tag(
        "li",
        tag(
            "div",
            tag("span", finding.level.value, class_=f"tag level-{finding.level.value}"),
            tag("span", categories, class_="tag") if categories else None,
            tag("code", finding.path, class_="type") if finding.path else None,
            class_="field-head",
        ),
        tag("p", finding.message),
        tag("dl", *facts, class_="facts") if facts else None,
        json_block(finding.payload, "A payload that shows it") if finding.payload is not NOTHING else None,
    )
