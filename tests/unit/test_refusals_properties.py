"""What `refusals` says of two versions of a type, held against what pydantic does with real payloads."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, Phase, given, note, settings
from pydantic import ValidationError
from tests.support.schema_pairs import Spec, Version, built, pairs, specs

from pico_celery_tooling.evolution.rules import NOTHING
from pico_celery_tooling.evolution.subset import refusals
from pico_celery_tooling.schema.sampling import samples

_SETTINGS = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def takes(version: Version, payload: Any) -> bool:
    try:
        version.adapter.validate_json(json.dumps(payload))
    except ValidationError:
        return False
    return True


def written(version: Version, payload: Any) -> Any:
    """Return what pydantic writes of the value that it reads."""
    value = version.adapter.validate_json(json.dumps(payload))
    return json.loads(version.adapter.dump_json(value, by_alias=True))


@_SETTINGS
@given(pairs())
def test_where_nothing_is_refused_real_models_take_every_payload(pair: tuple[Spec, Spec]) -> None:
    old, new = (Version(built(spec)) for spec in pair)
    sent = old.described("validation")
    found = refusals(sent, new.described("validation"))
    for refusal in found:
        if refusal.witness is not NOTHING:
            note(str(refusal))
            assert refusal.certain
            assert takes(old, refusal.witness)
            assert not takes(new, refusal.witness)
    payloads = list(samples(sent.document, sent.schema, 25))
    assert all(takes(old, payload) for payload in payloads)
    if not found:
        assert [payload for payload in payloads if not takes(new, payload)] == []
    found = refusals(old.described("serialization"), new.described("validation"))
    for refusal in found:
        if refusal.witness is not NOTHING:
            note(str(refusal))
            assert not takes(new, refusal.witness)
    if not found:
        assert [one for one in (written(old, payload) for payload in payloads) if not takes(new, one)] == []


@settings(_SETTINGS, max_examples=40)
@given(specs())
def test_a_type_is_compatible_with_itself(spec: Spec) -> None:
    one, other = Version(built(spec)), Version(built(spec))
    assert refusals(one.described("validation"), other.described("validation")) == []


def test_nearly_every_certain_refusal_comes_with_a_payload() -> None:
    certain, shown = Counter[str](), Counter[str]()

    @settings(_SETTINGS, max_examples=60, derandomize=True, database=None, phases=[Phase.generate])
    @given(pairs())
    def count(pair: tuple[Spec, Spec]) -> None:
        old, new = (Version(built(spec)) for spec in pair)
        for refusal in refusals(old.described("validation"), new.described("validation")):
            certain[refusal.rule] += refusal.certain
            shown[refusal.rule] += refusal.certain and refusal.witness is not NOTHING

    count()
    assert certain.total() > 20
    assert shown.total() / certain.total() >= 0.9, {rule: certain[rule] - shown[rule] for rule in certain}
