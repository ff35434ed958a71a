"""Celery's own integration tests of tasks and canvas pass on this library's pool."""

from __future__ import annotations

import pytest

from tests.other_suites.celery_suite import CELERYS_OWN, NOT_APPLICABLE, Run, SourcesMissingError, find_sources


@pytest.mark.slow
@pytest.mark.redis
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("tasks", ["sync", "async", "both"])
def test_celerys_own_tests_pass(tasks: str) -> None:
    try:
        sources = find_sources()
    except SourcesMissingError as missing:
        pytest.skip(str(missing))
    outcome = Run(sources=sources, tasks=tasks)()
    known = {**CELERYS_OWN, **NOT_APPLICABLE[tasks]}
    failed = {test: why for test, why in outcome.failed.items() if test not in known}
    assert not failed, "\n\n".join(f"{test}\n{why}" for test, why in failed.items())
    assert len(outcome.passed) > 200, outcome.summary


def test_sources_are_not_fetched_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PICO_CELERY_SUITE_SOURCES", raising=False)
    with pytest.raises(SourcesMissingError, match="give --fetch"):
        find_sources()
