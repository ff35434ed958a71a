"""``check -A``: the checklist of an application, from names to servers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from celery import Celery

from pico_celery.document.records import Document
from pico_celery.errors import PicoCeleryError
from pico_celery_tooling.check.application.facts import ApplicationFacts, Rules
from pico_celery_tooling.check.application.names import NAME_RULES
from pico_celery_tooling.check.application.policies import POLICY_RULES
from pico_celery_tooling.check.application.reachability import REACH_RULES, unreachable
from pico_celery_tooling.check.application.schedule import SCHEDULE_RULES
from pico_celery_tooling.check.application.settings import SETTING_RULES
from pico_celery_tooling.evolution.findings import Finding, Level
from pico_celery_tooling.output import ToolError

_RULES: Final = Rules({**NAME_RULES, **POLICY_RULES, **SCHEDULE_RULES, **SETTING_RULES})

APPLICATION_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {**{name: meaning for name, (meaning, _) in _RULES.items()}, **REACH_RULES}
)
"""The rules by name: what each one means."""


def check_application(app: Celery, document: Document | None = None, *, reach: bool = True) -> list[Finding]:
    """Hold an application against its contracts, and look at what is easily forgotten.

    What stops an application from being loaded is not among the findings: a component that differs from its contract,
    two components for one task, a method that is not ``async def``, a client of an unknown name.
    """
    facts = _load(app, document)
    findings = [finding for _, rule in _RULES.values() for finding in rule(facts)]
    if reach:
        findings.extend(unreachable(app))
    order = list(Level)
    return sorted(findings, key=lambda finding: (order.index(finding.level), finding.task, finding.rule, finding.path))


def contracts_of(app: Celery) -> Document:
    """Return the contracts that an application knows."""
    return _load(app, None).document


def _load(app: Celery, document: Document | None) -> ApplicationFacts:
    try:
        return ApplicationFacts(app, document)
    except PicoCeleryError as error:
        raise ToolError.of(error) from error
    except Exception as error:
        raise ToolError(f"the application cannot be loaded: {type(error).__name__}: {error}") from error
