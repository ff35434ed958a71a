"""What findings come to: in which order a roll-out breaks nobody, and which findings fail a check."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from pico_celery_tooling.evolution.findings import Category, Finding, Level


class Rollout(StrEnum):
    """In which order clients and workers are rolled out."""

    WORKERS_FIRST = "workers-first"
    """All workers before the first client, as most do."""
    CLIENTS_FIRST = "clients-first"
    """All clients before the first worker."""
    ANY = "any"
    """In no order that anybody keeps."""


class Verdict(StrEnum):
    """In which order a roll-out breaks nobody."""

    ANY_ORDER = "any-order"
    WORKERS_FIRST = "workers-first"
    CLIENTS_FIRST = "clients-first"
    BREAKS = "breaks"
    """In none."""


ALL: Final = frozenset(Category)
_MESSAGES: Final = frozenset({Category.WIRE, Category.QUEUED})


def fails(finding: Finding, rollout: Rollout = Rollout.WORKERS_FIRST, categories: frozenset[Category] = ALL) -> bool:
    """Return whether a finding fails a check."""
    broken = finding.categories & categories
    if finding.ignored is not None or not broken:
        return False
    if finding.level is Level.BREAK:
        # What breaks running peers alone breaks old clients that meet new workers: never, where clients go first.
        return rollout is not Rollout.CLIENTS_FIRST or broken != {Category.WIRE}
    return finding.level is Level.ORDER and rollout is not Rollout.WORKERS_FIRST


def verdict_of(findings: Iterable[Finding], categories: frozenset[Category] = ALL) -> Verdict:
    """Return in which order a roll-out breaks nobody."""
    counted = _MESSAGES & categories
    told = [finding for finding in findings if finding.ignored is None and finding.categories & counted]
    workers, clients = (
        any(fails(finding, rollout, counted) for finding in told)
        for rollout in (Rollout.WORKERS_FIRST, Rollout.CLIENTS_FIRST)
    )
    if workers and clients:
        return Verdict.BREAKS
    if workers:
        return Verdict.CLIENTS_FIRST
    return Verdict.WORKERS_FIRST if clients else Verdict.ANY_ORDER
