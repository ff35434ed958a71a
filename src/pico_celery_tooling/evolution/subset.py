"""Decide whether every value that one schema allows is accepted by another, and if not, where it is rejected."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pico_celery.document.lock_schema import DECIMAL, MISSING, STRICT
from pico_celery.document.records import Document, JsonSchema
from pico_celery_tooling.evolution.counterexamples import Witnesses
from pico_celery_tooling.evolution.rules import NOTHING
from pico_celery_tooling.evolution.schema_forms import (
    ANYTHING,
    UNKNOWN,
    Deeper,
    Form,
    Forms,
    Found,
    Issue,
    Steps,
    always,
    described,
    described_all,
    model_name,
    steps_text,
)
from pico_celery_tooling.evolution.subset_objects import array_issues, object_issues
from pico_celery_tooling.evolution.subset_scalars import demand_faults, is_free, scalar_faults
from pico_celery_tooling.evolution.task_pairs import Memory
from pico_celery_tooling.schema.pydantic_validator import WorkerValidator
from pico_celery_tooling.schema.words import same_json, short

_TRUTHS: Final = (True, False)


class Comparison:
    """Compares schemas of one document with schemas of another; what it has found out about models it remembers."""

    def __init__(self, source: Document, target: Document) -> None:
        self.source = Forms(source)
        self.target = Forms(target)
        self._known: dict[tuple[int, int], bool] = {}
        self._open: dict[tuple[int, int], int] = {}
        self._provisional: dict[tuple[int, int], float] = {}
        self._lowest: float = math.inf
        self._kept: list[Form] = []  # whose ids are keys
        self._takers: dict[int, WorkerValidator] = {}
        self._choosing = False

    def issues(self, source: JsonSchema, target: JsonSchema) -> list[Issue]:
        """Return the places where one schema does not fit another, the outermost first."""
        one, other = self.source.root(source), self.target.root(target)
        issues: list[Issue] = []
        seen: set[tuple[int, int]] = set()
        waiting = deque((found, True) for found in self.between(one, other, ()))
        while waiting:
            found, alone = waiting.popleft()
            if isinstance(found, Issue):
                issues.append(found if alone or found.certain is False else replace(found, certain=None))
                continue
            key = (id(found.source), id(found.target))
            if key not in seen:  # the same models again, or within themselves
                seen.add(key)
                inner = self._pair_issues(found.source, found.target, found.steps)
                waiting.extend((one, alone and found.alone) for one in inner)
        return issues

    def fits(self, source: object, target: object) -> bool:
        """Return whether an explicit schema fits another one."""
        return next(self.between(source, target, ()), None) is None

    def between(self, source: object, target: object, steps: Steps) -> Iterator[Found]:
        """Iterate over the values of one explicit schema that another rejects, at a place."""
        forms = self.source.of(source)
        targets = self.target.of(target)
        alone = len({form.kind for form in forms if form.kind != "null" and not form.demands.get("decimal")}) == 1
        for form in forms:
            yield from self._form_issues(form, targets, steps, alone=alone)

    # One form of the source against all forms of the target

    def _form_issues(self, source: Form, targets: Sequence[Form], steps: Steps, *, alone: bool) -> Iterator[Found]:
        if any(target.kind == ANYTHING and is_free(target) for target in targets):
            return
        if source.kind == "boolean" and not any(target.kind == "boolean" for target in targets):
            source = self._truths(source)
        if source.values is not None:
            yield from self._value_issues(source, targets, steps)
            return
        candidates = [target for target in targets if _may_take(source, target)]
        if not candidates:
            yield self._kind_issue(source, targets, steps, alone=alone)
            return
        if source.kind == "object":
            yield from self._by_tag(source, candidates, steps)
        else:
            yield from self._by_trying(source, candidates, steps)

    def _by_trying(self, source: Form, candidates: Sequence[Form], steps: Steps) -> Iterator[Found]:
        if any(self._pair_fits(source, candidate) for candidate in candidates):
            return
        # The others together may take what each of them alone does not.
        yield Deeper(source, self._nearest(source, candidates), steps, alone=len(candidates) == 1)

    def _nearest(self, source: Form, candidates: Sequence[Form]) -> Form:
        """Return the form that speaks least against another: of the same model, or with the fewest faults."""
        if len(candidates) == 1 or self._open or self._choosing:
            return candidates[0]
        name = model_name(source)
        same = [one for one in candidates if name and model_name(one) == name]
        if len(same) == 1:
            return same[0]
        self._choosing = True
        try:
            return min(candidates, key=lambda one: sum(1 for _ in self._pair_issues(source, one, ())))
        finally:
            self._choosing = False

    def _by_tag(self, source: Form, candidates: Sequence[Form], steps: Steps) -> Iterator[Found]:
        name = self._tag(source, candidates)
        if name is None:
            yield from self._by_trying(source, candidates, steps)
            return
        if all(target.tags for target in candidates) and name not in always(source):
            yield Issue(
                rule="discriminator", steps=steps, source=source, targets=tuple(candidates),
                sent=f"{described(source)} without {name}", accepted=f"an object with {name}",
            )  # fmt: skip
            return
        values = self.source.values(source.node.get("properties", {}).get(name))
        untagged = [target for target in candidates if not target.tags]
        if values is None and untagged:
            yield from self._by_trying(source, untagged, steps)
            return
        if values is None:
            tags = [value for target in candidates for tag, given in target.tags if tag == name for value in given]
            yield Issue(
                rule="discriminator", steps=steps, source=source, targets=tuple(candidates), certain=None,
                sent=f"{described(source)} with any {name}", accepted=f"{name} {', '.join(short(tag) for tag in tags)}",
            )  # fmt: skip
            return
        for value in values:
            part = source if len(values) == 1 else source.with_value(name, value)
            meant = [target for target in candidates if self._is_meant(target, name, value)]
            tagged = [target for target in meant if target.tags or len(untagged) == len(candidates)]
            if tagged:
                yield from self._by_trying(part, meant, steps)
            elif not any(self._pair_fits(part, target) for target in meant):
                yield Issue(
                    rule="union_member", steps=steps, source=part, targets=tuple(candidates),
                    sent=f"{described(source)} with {name} {short(value)}", accepted=described_all(candidates),
                    certain=None if meant else True,
                )  # fmt: skip

    def _tag(self, source: Form, candidates: Sequence[Form]) -> str | None:
        """Return the property by which the target distinguishes its members."""
        for target in candidates:
            if target.tags:
                return target.tags[0][0]
        for name, _ in source.tags:
            if all(self._values_at(target, name) for target in candidates):
                return name
        if len(candidates) == 1:
            return None
        for name in always(source):
            several = self.source.values(source.node.get("properties", {}).get(name))
            if several and all(self._values_at(target, name) for target in candidates):
                return str(name)
        return None

    def _values_at(self, target: Form, name: str) -> tuple[Any, ...] | None:
        part = target.node.get("properties", {}).get(name)
        return None if part is None else self.target.values(part)

    def _is_meant(self, target: Form, name: str, value: object) -> bool:
        tags = dict(target.tags)
        values = tags.get(name) if name in tags else self._values_at(target, name)
        return values is None or any(same_json(value, one) for one in values)

    def _truths(self, source: Form) -> Form:
        if "truths" not in source.parts:
            source.parts["truths"] = Form("values", source.node, values=_TRUTHS)
        return source.parts["truths"]

    def _value_issues(self, source: Form, targets: Sequence[Form], steps: Steps) -> Iterator[Issue]:
        missing = [value for value in source.values or () if not any(self._takes(one, value) for one in targets)]
        if missing:
            rule = "type" if not any(target.values is not None for target in targets) else "enum_value"
            if rule == "enum_value" and all(len(target.values or ()) == 1 for target in targets):
                rule = "const"
            rule = "null" if missing == [None] else rule
            sent = ", ".join(short(value) for value in missing[:5]) + (", ..." if len(missing) > 5 else "")  # noqa: PLR2004
            yield Issue(
                rule=rule, steps=steps, source=source, targets=tuple(targets), sent=sent,
                accepted=described_all(targets), values=tuple(missing), certain=not _reads_others(targets),
            )  # fmt: skip
            return
        for target in targets:
            faults = list(demand_faults(source, target))
            if faults and not any(
                self._takes(one, value) for one in targets if one is not target for value in source.values or ()
            ):
                yield from (self._issue(fault, source, target, steps) for fault in faults)

    def _takes(self, target: Form, value: object) -> bool:
        if target.values is not None:
            return any(same_json(value, one) for one in target.values)
        if target.kind == "boolean" and isinstance(value, bool):
            return True
        if id(target) not in self._takers:
            self._takers[id(target)] = WorkerValidator(self.target.document, target.node)
            self._kept.append(target)
        return self._takers[id(target)].accepts(value)

    def _kind_issue(self, source: Form, targets: Sequence[Form], steps: Steps, *, alone: bool) -> Issue:
        rule = "type" if alone else "union_member"
        if source.kind == "null":
            rule = "null"
        elif any(target.values is not None for target in targets) and source.kind != ANYTHING:
            kinds = {_kind_of(value) for target in targets for value in target.values or ()}
            rule = "enum_value" if source.kind in kinds else rule
        certain = None if source.kind in {ANYTHING, UNKNOWN} else not _reads_others(targets)
        return Issue(
            rule=rule, steps=steps, source=source, targets=tuple(targets), certain=certain,
            sent=described(source), accepted=described_all(targets),
        )  # fmt: skip

    # One form against one

    def _pair_fits(self, source: Form, target: Form) -> bool:
        """Return whether a form fits another; a recursive form fits if nothing else is rejected."""
        key = (id(source), id(target))
        known = self._known.get(key)
        if known is not None:
            return known
        if key in self._open:
            self._lowest = min(self._lowest, self._open[key])
            return True
        if key in self._provisional:
            self._lowest = min(self._lowest, self._provisional[key])
            return True
        depth = len(self._open)
        self._open[key] = depth
        self._kept += [source, target]
        outer, self._lowest = self._lowest, math.inf
        before = len(self._provisional)
        fits = next(self._pair_issues(source, target, ()), None) is None
        del self._open[key]
        self._store(key, fits=fits, depth=depth, before=before)
        self._lowest = min(outer, self._lowest)
        return fits

    def _store(self, key: tuple[int, int], *, fits: bool, depth: int, before: int) -> None:
        since = list(self._provisional)[before:]
        if not fits:
            self._known[key] = False  # whatever was assumed
            for other in since:
                del self._provisional[other]
            self._lowest = math.inf
        elif self._lowest >= depth:  # nothing outside was assumed
            self._known[key] = True
            for other in since:
                del self._provisional[other]
                self._known[other] = True
            self._lowest = math.inf
        else:
            self._provisional[key] = self._lowest

    def _pair_issues(self, source: Form, target: Form, steps: Steps) -> Iterator[Found]:
        for fault in demand_faults(source, target):
            yield self._issue(fault, source, target, steps)
        if UNKNOWN in {source.kind, target.kind} or target.kind == ANYTHING:
            return  # the demands were all there is to compare
        if source.kind == "object":
            yield from object_issues(self, source, target, steps)
        elif source.kind == "array":
            yield from array_issues(self, source, target, steps)
        else:
            for fault in scalar_faults(source, target):
                yield self._issue(fault, source, target, steps)

    def _issue(self, fault: Any, source: Form, target: Form, steps: Steps) -> Issue:
        return Issue(
            rule=fault.rule, steps=steps, source=source, targets=(target,), sent=fault.sent or described(source),
            accepted=fault.accepted or described(target),
            certain=fault.certain, values=fault.values,
        )  # fmt: skip


def _may_take(source: Form, target: Form) -> bool:
    """Return whether a form takes values of the other's kind at all."""
    if target.values is not None:
        return False
    if UNKNOWN in {source.kind, target.kind} or target.kind == ANYTHING:
        return source.kind != ANYTHING or target.kind == ANYTHING
    if source.kind == target.kind or (source.kind, target.kind) == ("integer", "number"):
        return True
    # Decimals travel as text, which pydantic reads as a number unless it is strict.
    text = source.kind == "string" and source.node.get("format") == DECIMAL and target.kind == "number"
    return text and not target.node.get(STRICT)


def _reads_others(targets: Sequence[Form]) -> bool:
    """Return whether code that nobody here can run may read values that are not listed: ``_missing_`` of an enumeration."""
    return any(target.demands.get(MISSING) for target in targets)


def _kind_of(value: object) -> str:
    kinds: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return kinds.get(type(value), "object")


@dataclass(frozen=True, slots=True)
class Described:
    """A schema, with the document that holds the models it refers to."""

    schema: JsonSchema
    """A schema of the document."""
    document: Document
    read: JsonSchema | None = None
    """What the same side reads where it sends this; only a payload that it reads too shows anything. A schema shows
    the serializer's annotation, which may allow more than it writes. ``None`` where that is the schema itself.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A place where what is sent is not accepted."""

    rule: str
    """Stable name of what does not fit: ``type``, ``enum_value``, ``const``, ``null``, ``union_member``,
    ``discriminator``, ``required_property``, ``unknown_property``, ``property_names``, ``minimum``, ``maximum``,
    ``multiple_of``, ``length``, ``pattern``, ``format``, ``items``, ``unique``, ``strict``, ``demand``,
    ``unknown_keyword``.
    """
    path: str
    """Where in the payload: ``lines[*].quantity``, ``prices{*}`` for any value of a mapping; empty for itself."""
    sent: str
    """What the source may send there, for people."""
    accepted: str
    """What the target takes there, for people."""
    witness: Any
    """A whole payload that the source describes and the target refuses; `NOTHING` where none is found."""
    certain: bool
    """False where it is only not known whether it fits."""


def refusals(source: Described, target: Described, *, payloads: bool = True) -> list[Refusal]:
    """Find values that one schema allows and another rejects, with counterexamples."""
    issues = _comparison(source.document, target.document).issues(source.schema, target.schema)
    if all(issue.certain is False or (issue.certain and not payloads) for issue in issues):
        return [_refusal(found, None) for found in _by_place(issues)]
    witnesses = Witnesses(source.document, source.schema, target.document, target.schema, read=source.read)
    return [_refusal(found, witnesses, payloads=payloads) for found in _by_place(issues)]


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
        # The documents are kept too, so that no other gets their ids.
        _comparisons[key] = (source, target, Comparison(source, target))
        while len(_comparisons) > _KEPT:
            _comparisons.popitem(last=False)
    _comparisons.move_to_end(key)
    return _comparisons[key][2]


@dataclass(frozen=True, slots=True)
class Refused:
    """A `Refusal` in words."""

    refusal: Refusal

    @property
    def rule(self) -> str:
        """Its rule, without the place."""
        return self.refusal.rule

    @property
    def is_certain(self) -> bool:
        """Whether something is refused for certain."""
        return self.refusal.certain

    @property
    def witness(self) -> object:
        """A whole payload that is refused, or `NOTHING`."""
        return self.refusal.witness if self.refusal.certain else NOTHING

    @property
    def identity(self) -> object:
        """What makes it the same as another one."""
        return self.refusal.rule, self.refusal.path, self.refusal.sent, self.refusal.accepted

    @property
    def message(self) -> str:
        """What is wrong, in words."""
        words = f"expected {self.refusal.accepted}, got {self.refusal.sent}"
        return words if self.refusal.certain else f"cannot be known: {words}"

    def path_in(self, root: str) -> str:
        """Return where it is, in a payload that has a name."""
        path = self.refusal.path
        return f"{root}.{path}" if path and path[0] not in "[{" else f"{root}{path}"


def refused(
    sent: tuple[Document, JsonSchema],
    accepted: tuple[Document, JsonSchema],
    *,
    read: JsonSchema | None = None,
    payloads: bool = True,
) -> list[Refused]:
    """Return what is refused of what is sent."""
    source = Described(document=sent[0], schema=sent[1], read=None if read == sent[1] else read)
    target = Described(document=accepted[0], schema=accepted[1])
    return [Refused(refusal) for refusal in refusals(source, target, payloads=payloads)]


def remembered(
    memory: Memory,
    sent: tuple[Document, JsonSchema],
    accepted: tuple[Document, JsonSchema],
    read: tuple[Document, JsonSchema] | None = None,
) -> list[Refused]:
    """Return what `refused` does, for `Memory.of`: payloads are looked for until there are enough of them."""
    found = refused(sent, accepted, read=None if read is None else read[1], payloads=memory.payloads)
    if found:
        memory.show()
    return found
