"""What a comparison says holds: by the real encoders and decoders of pairs of contracts."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from tests.support.contract_versions import Version, versions

from pico_celery.errors import PayloadError, ResultError
from pico_celery.messaging.calls import decode_call, encode_call
from pico_celery.messaging.results import decode_result, encode_result
from pico_celery_tooling.evolution.compare import compare
from pico_celery_tooling.evolution.rules import NOTHING, Category, Finding, Level

PAYLOADS = 12
BY_POSITION = {"parameters_reordered", "parameter_now_keyword_only", "parameter_now_positional"}


def accepts(version: Version, payload: dict[str, Any]) -> bool:
    try:
        decode_call(version.definition, (), payload)
    except PayloadError:
        return False
    return True


def sent(version: Version, payload: dict[str, Any]) -> dict[str, Any]:
    """Return what a client of that version sends for a payload that its worker takes."""
    _, values = decode_call(version.definition, (), payload)
    return encode_call(version.definition, (), values).kwargs


def takes(version: Version, result: Any) -> bool:
    try:
        decode_result(version.definition, result)
    except ResultError:
        return False
    return True


def returned(version: Version, result: Any) -> Any:
    return encode_result(version.definition, decode_result(version.definition, result))


def about(findings: list[Finding], level: Level, *places: str) -> list[Finding]:
    return [
        finding
        for finding in findings
        if finding.level is level
        and Category.WIRE in finding.categories
        and finding.rule.startswith(places)
        and finding.rule not in BY_POSITION
    ]


def check_silence(old: Version, new: Version, data: st.DataObject) -> None:
    findings = compare(old.document, new.document)
    for level, sender, receiver in ((Level.BREAK, old, new), (Level.ORDER, new, old)):
        if not about(findings, level, "argument", "parameter"):
            for payload in data.draw(st.lists(sender.arguments, max_size=PAYLOADS)):
                if accepts(sender, payload):
                    message = sent(sender, payload)
                    note(f"{level}: {payload} sent as {message}")
                    decode_call(receiver.definition, (), message)
                    decode_call(receiver.definition, (), payload)
    for level, sender, receiver in ((Level.BREAK, new, old), (Level.ORDER, old, new)):
        if not about(findings, level, "result"):
            for result in data.draw(st.lists(sender.result, max_size=PAYLOADS)):
                if takes(sender, result):
                    message = returned(sender, result)
                    note(f"{level}: {result} returned as {message}")
                    decode_result(receiver.definition, message)


def check_payloads(old: Version, new: Version) -> int:
    findings = compare(old.document, new.document)
    shown = 0
    for level, sender, receiver in ((Level.BREAK, old, new), (Level.ORDER, new, old)):
        for finding in about(findings, level, "argument", "parameter"):
            if finding.payload is not NOTHING:
                shown += 1
                note(f"{finding.rule} {finding.path} {finding.payload}")
                decode_call(sender.definition, (), finding.payload)
                with pytest.raises(PayloadError):
                    decode_call(receiver.definition, (), finding.payload)
    for level, sender, receiver in ((Level.BREAK, new, old), (Level.ORDER, old, new)):
        for finding in about(findings, level, "result"):
            if finding.payload is not NOTHING:
                shown += 1
                note(f"{finding.rule} {finding.path} {finding.payload}")
                decode_result(sender.definition, finding.payload)
                with pytest.raises(ResultError):
                    decode_result(receiver.definition, finding.payload)
    return shown


quick = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
# With CI set, hypothesis takes the same examples each time; PICO_CELERY_EXAMPLES says how many more to look at.
long = settings(quick, max_examples=int(os.environ.get("PICO_CELERY_EXAMPLES", "200")))


@quick
@given(versions(), st.data())
def test_where_nothing_is_found_what_one_side_sends_the_other_takes(
    pair: tuple[Version, Version], data: st.DataObject
) -> None:
    check_silence(*pair, data)


@quick
@given(versions())
def test_a_payload_that_is_shown_is_taken_by_one_side_and_refused_by_the_other(pair: tuple[Version, Version]) -> None:
    check_payloads(*pair)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@long
@given(versions(), st.data())
def test_where_nothing_is_found_what_one_side_sends_the_other_takes_at_length(
    pair: tuple[Version, Version], data: st.DataObject
) -> None:
    check_silence(*pair, data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@long
@given(versions())
def test_a_payload_that_is_shown_is_taken_and_refused_at_length(pair: tuple[Version, Version]) -> None:
    check_payloads(*pair)


def test_the_pairs_are_worth_looking_at() -> None:
    """Many are found compatible, many not, and most of those that are not are shown a payload."""
    seen: Counter[str] = Counter()

    @settings(quick, max_examples=40, phases=[Phase.generate], derandomize=True, database=None)
    @given(versions())
    def look(pair: tuple[Version, Version]) -> None:
        old, new = pair
        findings = compare(old.document, new.document)
        for level in (Level.BREAK, Level.ORDER):
            for place in ("argument", "result"):
                found = about(findings, level, place)
                seen[f"{place} {'refused' if found else 'taken'}"] += 1
                seen["shown"] += sum(finding.payload is not NOTHING for finding in found)
                seen["found"] += len(found)

    look()
    assert min(seen["argument taken"], seen["argument refused"], seen["result taken"], seen["result refused"]) > 8, seen
    assert seen["shown"] > seen["found"] * 0.6, seen
