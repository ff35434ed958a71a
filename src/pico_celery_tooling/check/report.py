"""Print findings as text for people and as JSON for programs."""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterable, Mapping
from itertools import groupby
from shutil import get_terminal_size
from typing import Any, Final

import click

from pico_celery_tooling.evolution.rules import NOTHING, Category, Finding, Level

_COLOURS: Final = {Level.BREAK: "red", Level.ORDER: "yellow", Level.NOTE: "cyan"}
_SEVERITY: Final = {level: number for number, level in enumerate(Level)}
_WIDEST: Final = 110


def finding_data(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON data, without what is empty."""
    data = {
        "rule": finding.rule,
        "level": finding.level.value,
        "categories": categories_of(finding),
        "task": finding.task,
        "path": finding.path,
        "message": finding.message,
        "who": finding.who,
        "remedy": finding.remedy,
        "where": finding.where,
        "ignored": finding.ignored,
    }
    shown = {key: value for key, value in data.items() if value is not None and value != ""}
    return shown if finding.payload is NOTHING else {**shown, "payload": _finite(finding.payload)}


def _finite(value: object) -> object:
    """Return JSON data that every reader of JSON reads: NaN and Infinity as text."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return repr(value) if isinstance(value, float) and not math.isfinite(value) else value


def categories_of(finding: Finding) -> list[str]:
    """Return the names of a finding's categories, in the order in which they are declared."""
    return [category.value for category in Category if category in finding.categories]


def print_findings(findings: Iterable[Finding]) -> None:
    """Print findings by task, the worst first; what is ignored at the end, dimmed."""
    for task, group in groupby(sorted(findings, key=_order), key=lambda finding: finding.task):
        click.secho(task, bold=True)
        for finding in group:
            _print(finding)
        click.echo()


def _order(finding: Finding) -> tuple[object, ...]:
    return finding.task, finding.ignored is not None, _SEVERITY[finding.level], finding.path, finding.rule


def _print(finding: Finding) -> None:
    dim = True if finding.ignored is not None else None
    level = click.style(
        f"{finding.level.upper():5}", fg=None if dim else _COLOURS[finding.level], bold=not dim or None, dim=dim
    )
    head = [finding.rule, *([finding.path] if finding.path else []), f"({', '.join(categories_of(finding))})"]
    click.echo(f"  {level}  {click.style('  '.join(head), dim=dim)}")
    for label, text in _lines(finding).items():
        click.secho(_wrapped(f"{label}: {text}" if label else text), dim=dim)


def _lines(finding: Finding) -> Mapping[str, str]:
    lines = {
        "": finding.message,
        "breaks" if finding.level is not Level.NOTE else "concerns": finding.who,
        "instead": finding.remedy,
        "at": finding.where,
        "ignored": finding.ignored or "",
    }
    return {label: text for label, text in lines.items() if text}


def _wrapped(text: str) -> str:
    indent = " " * 9
    if not sys.stdout.isatty():
        return indent + text
    width = max(40, min(_WIDEST, get_terminal_size().columns))
    return textwrap.fill(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def counts_of(findings: Iterable[Finding]) -> dict[str, int]:
    """Count findings by level, and those that are ignored."""
    counts = {**{level.value: 0 for level in Level}, "ignored": 0}
    for finding in findings:
        counts["ignored" if finding.ignored is not None else finding.level.value] += 1
    return counts


def counts_text(counts: Mapping[str, int]) -> str:
    """Return counts as text: ``2 breaks, 1 note``."""
    words = {
        "break": ("break", "breaks"),
        "order": ("matter of order", "matters of order"),
        "note": ("note", "notes"),
        "ignored": ("ignored", "ignored"),
    }
    parts = [f"{count} {words[name][count != 1]}" for name, count in counts.items() if count]
    return ", ".join(parts) or "no findings"
