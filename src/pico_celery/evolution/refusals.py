"""What speaks against it that every value one schema describes is accepted where another one is, with payloads that show it.

Sound, not complete: no refusal means that a worker takes every value, as far as schemas tell; what is not known here is a
refusal that is not certain. An object is taken to have no other properties than its schema names unless
``additionalProperties`` allows them, for that is how pydantic writes values.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from pico_celery.document.records import Document, JsonSchema
from pico_celery.evolution.findings import NOTHING
from pico_celery.evolution.schema_compare import Comparison
from pico_celery.evolution.schema_issues import Issue, steps_text
from pico_celery.evolution.witness import Witnesses


@dataclass(frozen=True, slots=True)
class Described:
    """A schema, with the document that holds the models it refers to.

    Attributes:
        schema: A schema of the document.
        document: The document.
        read: What the same side reads where it sends this; only a payload that it reads too shows anything. A schema tells
            what a serializer's annotation says, which may be more than it writes. ``None`` where that is the schema itself.
    """

    schema: JsonSchema
    document: Document
    read: JsonSchema | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A place where what is sent is not accepted.

    Attributes:
        rule: Stable name of what does not fit: ``type``, ``enum_value``, ``const``, ``null``, ``union_member``,
            ``discriminator``, ``required_property``, ``unknown_property``, ``property_names``, ``minimum``, ``maximum``,
            ``multiple_of``, ``length``, ``pattern``, ``format``, ``items``, ``unique``, ``strict``, ``demand``,
            ``unknown_keyword``.
        path: Where in the payload: ``lines[*].quantity``, ``prices{*}`` for any value of a mapping; empty for itself.
        sent: What the source may send there, for people.
        accepted: What the target takes there, for people.
        witness: A whole payload that the source describes and the target refuses; `NOTHING` where none is found.
        certain: False where it is only not known whether it fits.
    """

    rule: str
    path: str
    sent: str
    accepted: str
    witness: Any
    certain: bool


def refusals(source: Described, target: Described, *, payloads: bool = True) -> list[Refusal]:
    """Find what speaks against it that every value of one schema is accepted where another one is.

    Args:
        source: What is sent.
        target: What is accepted.
        payloads: Whether to look for payloads that show what is known without; it takes most of the time.

    Returns:
        A refusal for each smallest place, the outermost first; a model that is met again is told of once. Empty where
        everything fits.
    """
    issues = _comparison(source.document, target.document).issues(source.schema, target.schema)
    if all(issue.certain is False or (issue.certain and not payloads) for issue in issues):
        return [_refusal(told, None) for told in _by_place(issues)]
    witnesses = Witnesses(source.document, source.schema, target.document, target.schema, read=source.read)
    return [_refusal(told, witnesses, payloads=payloads) for told in _by_place(issues)]


def _by_place(issues: list[Issue]) -> list[list[Issue]]:
    places: dict[tuple[str, str], list[Issue]] = {}
    for issue in issues:
        places.setdefault((steps_text(issue.steps), issue.rule), []).append(issue)
    return list(places.values())


def _refusal(issues: list[Issue], witnesses: Witnesses | None, *, payloads: bool = True) -> Refusal:
    looked = [issue for issue in issues if issue.certain is None or (issue.certain and payloads)]
    found = (witnesses.find(issue) for issue in looked if witnesses is not None)
    witness = next((payload for payload in found if payload is not NOTHING), NOTHING)
    doubted = witnesses is not None and any(witnesses.doubts(issue) for issue in looked)
    return Refusal(
        rule=issues[0].rule,
        path=steps_text(issues[0].steps),
        sent=" or ".join(dict.fromkeys(issue.sent for issue in issues)),
        accepted=" or ".join(dict.fromkeys(issue.accepted for issue in issues)),
        witness=witness,
        certain=witness is not NOTHING or (not doubted and any(issue.certain is True for issue in issues)),
    )


_KEPT: Final = 8
_comparisons: OrderedDict[tuple[int, int], tuple[Document, Document, Comparison]] = OrderedDict()


def _comparison(source: Document, target: Document) -> Comparison:
    """Return what compares two documents: all that it has found out about their models it knows for the next schema."""
    key = (id(source), id(target))
    if key not in _comparisons:
        _comparisons[key] = (
            source,
            target,
            Comparison(source, target),
        )  # the documents, so that no other has their ids
        while len(_comparisons) > _KEPT:
            _comparisons.popitem(last=False)
    _comparisons.move_to_end(key)
    return _comparisons[key][2]
