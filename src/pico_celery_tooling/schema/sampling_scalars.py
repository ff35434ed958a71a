"""Numbers and texts that a JSON Schema describes: pleasant ones, and those at its limits."""

from __future__ import annotations

import math
import random
import string
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from pico_celery.document.lock_schema import DECIMAL, DEMANDS
from pico_celery.document.records import JsonSchema

_MORE: Final = 4
"""How often something without an upper limit is repeated at most, beyond its lower one."""
_DIGITS: Final = string.digits
_WORD: Final = string.ascii_letters + string.digits + "_"
_ANY: Final = string.ascii_letters + string.digits + " -_.:/"
_PRINTABLE: Final = "".join(chr(code) for code in range(32, 127))
_CLASSES: Final = {"d": _DIGITS, "w": _WORD, "s": " "}
_CONTROLS: Final = {"n": "\n", "t": "\t", "r": "\r"}
_Maker = Callable[[random.Random], str]


class _UnreadError(Exception):
    """A part of a pattern is not read here."""


def matching(pattern: str, chance: random.Random) -> str | None:
    """Make a text for a pattern."""
    try:
        reader = _PatternReader(pattern)
        make = reader.alternatives()
        if reader.rest:
            return None
        return make(chance)
    except (_UnreadError, ValueError, IndexError):
        return None


class _PatternReader:
    def __init__(self, pattern: str) -> None:
        self.rest = pattern

    def _take(self) -> str:
        first, self.rest = self.rest[0], self.rest[1:]
        return first

    def _skip(self, text: str) -> bool:
        found = self.rest.startswith(text)
        if found:
            self.rest = self.rest.removeprefix(text)
        return found

    def alternatives(self) -> _Maker:
        found = [self._sequence()]
        while self._skip("|"):
            found.append(self._sequence())
        return lambda chance: chance.choice(found)(chance)

    def _sequence(self) -> _Maker:
        found: list[_Maker] = []
        while self.rest and self.rest[0] not in "|)":
            found.append(self._repeated(self._atom()))
        return lambda chance: "".join(make(chance) for make in found)

    def _atom(self) -> _Maker:
        first = self._take()
        if first in "^$":
            return lambda _chance: ""
        if first == "(":
            return self._group()
        if first == "[":
            return _one_of(self._set())
        if first == ".":
            return _one_of(_ANY)
        if first == "\\":
            return self._escaped()
        if first in "*+?{":
            raise _UnreadError
        return lambda _chance: first

    def _group(self) -> _Maker:
        if self._skip("?P<") or (self.rest.startswith("?<") and self.rest[2] not in "=!" and self._skip("?<")):
            _, self.rest = self.rest.split(">", 1)
        elif not self._skip("?:") and self.rest.startswith("?"):
            raise _UnreadError
        make = self.alternatives()
        if not self._skip(")"):
            raise _UnreadError
        return make

    def _escaped(self) -> _Maker:
        name = self._take()
        if name in "AzZ":
            return lambda _chance: ""
        if name in "bB":
            return lambda _chance: ""
        return _one_of(self._named(name))

    def _named(self, name: str) -> str:
        if name in _CLASSES:
            return _CLASSES[name]
        if name.lower() in _CLASSES and name.isupper():
            return _without(_CLASSES[name.lower()])
        if name in _CONTROLS:
            return _CONTROLS[name]
        if name.isalnum():
            raise _UnreadError
        return name

    def _set(self) -> str:
        negated = self._skip("^")
        found = ""
        while not self._skip("]") or not found:
            if self.rest.startswith("[:") or self.rest.startswith("&&"):
                raise _UnreadError
            one = self._take()
            many = self._named(self._take()) if one == "\\" else one
            if len(many) == 1 and self.rest.startswith("-") and not self.rest.startswith("-]"):
                self._take()
                last = self._take()
                last = self._named(self._take()) if last == "\\" else last
                many = "".join(chr(code) for code in range(ord(many), min(ord(last), ord(many) + 500) + 1))
            found += many
        return _without(found) if negated else found

    def _repeated(self, make: _Maker) -> _Maker:
        least, most = 1, 1
        if self._skip("*"):
            least, most = 0, _MORE
        elif self._skip("+"):
            least, most = 1, 1 + _MORE
        elif self._skip("?"):
            least, most = 0, 1
        elif self._skip("{"):
            limits, self.rest = self.rest.split("}", 1)
            low, comma, high = limits.partition(",")
            least = int(low or 0)
            most = int(high) if high else (least + _MORE if comma else least)
        else:
            return make
        if not self._skip("?"):
            self._skip("+")
        return lambda chance: "".join(make(chance) for _ in range(chance.randint(least, most)))


def _one_of(characters: str) -> _Maker:
    if not characters:
        raise _UnreadError
    return lambda chance: chance.choice(characters)


def _without(characters: str) -> str:
    return "".join(one for one in _PRINTABLE if one not in characters)


_NUMBERS: Final[Mapping[str, Any]] = {
    "quantity": 2, "qty": 2, "count": 3, "amount": 20, "total": 20, "price": 10, "id": 1001, "year": 2026, "month": 3, "day": 14,
    "age": 30, "port": 8080, "percent": 50, "rate": 1, "weight": 2, "size": 10, "limit": 10, "page": 1, "seconds": 30,
}  # fmt: skip
_TEXTS: Final[Mapping[str, str]] = {
    "email": "ada@example.com", "mail": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace",
    "name": "Ada Lovelace", "customer": "Ada Lovelace", "user": "ada", "phone": "+44 20 7946 0000", "city": "London",
    "street": "12 St James's Square", "country": "GB", "currency": "EUR", "language": "en", "locale": "en_GB",
    "zip": "10115", "postcode": "SW1Y 4JH", "sku": "TEA-1", "url": "https://example.com/", "link": "https://example.com/",
    "title": "A title", "subject": "A subject", "description": "A short description.", "note": "A short note.",
    "comment": "A short comment.", "message": "A short message.", "reason": "A reason.", "text": "Some text.",
    "body": "Some text.", "colour": "green", "color": "green", "status": "open", "version": "1.0", "path": "/some/path",
    "file": "file.txt", "host": "example.com", "token": "token", "password": "not-a-secret", "code": "A1", "key": "key",
    "id": "a-1", "reference": "ref-1",
}  # fmt: skip
_UUID: Final = "3f2b8c1e-5d4a-4b6f-9c7d-1e2f3a4b5c6d"
_MOMENT: Final = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_TICK: Final = timedelta(microseconds=1)
_KINDS: Final[Mapping[str, type[Any]]] = {"date-time": datetime, "date": date, "time": time, "duration": timedelta}
_FIXED: Final[Mapping[str, Sequence[str]]] = {
    "ipv4": ("192.0.2.1", "0.0.0.0", "255.255.255.255"),  # noqa: S104 - an example
    "ipv6": ("2001:db8::1", "::"),
    "ipv4network": ("192.0.2.0/24", "0.0.0.0/0"),
    "ipv6network": ("2001:db8::/32",),
    "ipv4interface": ("192.0.2.1/24",),
    "ipv6interface": ("2001:db8::1/64",),
    "ipvanyaddress": ("192.0.2.1", "2001:db8::1"),
    "ipvanynetwork": ("192.0.2.0/24", "2001:db8::/32"),
    "ipvanyinterface": ("192.0.2.1/24",),
    "email": ("ada@example.com", "a@example.org"),
    "idn-email": ("ada@example.com",),
    "name-email": ("Ada Lovelace <ada@example.com>",),
    "uri": ("https://example.com/", "http://a.example/b?c=d"),
    "base64": ("aGVsbG8=", ""),
    "base64url": ("aGVsbG8=", ""),
    "json-string": ('{"a": 1}', "1", "null"),
    "color": ("green", "#0f0"),
}


def scalars(node: JsonSchema, chance: random.Random, hint: str, near: Sequence[JsonSchema] = ()) -> Iterator[Any]:
    """Iterate over values that a schema of a number or a text may describe, the most pleasant first."""
    kind = node.get("type")
    if kind == "boolean":
        yield from (True, False)
    elif kind == "integer":
        yield from _integers(node, chance, hint, near)
    elif kind == "number":
        if node.get(DEMANDS, {}).get("decimal"):
            yield from (float(one) for one in _decimals(node, chance, hint, near))
        else:
            yield from _floats(node, chance, hint, near)
    elif kind == "string":
        yield from _strings(node, chance, hint, near)


def hinted(table: Mapping[str, Any], hint: str, default: Any) -> Any:
    """Return what a table says of a name, by the whole of it or the end or beginning of it."""
    name = hint.lower()
    if name in table:
        return table[name]
    return next(
        (value for key, value in table.items() if name.endswith("_" + key) or name.startswith(key + "_")), default
    )


def _limits(nodes: Sequence[JsonSchema]) -> list[Any]:
    keys = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    found = [node[key] for node in nodes for key in keys if key in node]
    demands = [node.get(DEMANDS, {}) for node in nodes]
    return [*found, *(one[key] for one in demands for key in ("ge", "gt", "le", "lt") if key in one)]


def _integers(node: JsonSchema, chance: random.Random, hint: str, near: Sequence[JsonSchema]) -> Iterator[int]:
    low = math.ceil(node.get("minimum", -math.inf)) if "minimum" in node else None
    if "exclusiveMinimum" in node:
        low = max(math.floor(node["exclusiveMinimum"]) + 1, low if low is not None else -(10**30))
    high = math.floor(node["maximum"]) if "maximum" in node else None
    if "exclusiveMaximum" in node:
        high = min(math.ceil(node["exclusiveMaximum"]) - 1, high if high is not None else 10**30)
    step = int(node.get("multipleOf", 1)) or 1
    first = hinted(_NUMBERS, hint, 1)
    edges = [one for limit in _numbers(_limits([node, *near])) for one in (int(limit), int(limit) - 1, int(limit) + 1)]
    steps = [int(other["multipleOf"]) + 1 for other in near if other.get("multipleOf")]
    far = [0, 1, -1, 2, 3, 5, 7, 127, 65_536, -(2**31), 2**63, -(2**40), 10**20, *steps]
    span = (low if low is not None else (high or 0) - 1000, high if high is not None else (low or 0) + 1000)
    drawn = [chance.randint(*span) for _ in range(4)] if span[0] <= span[1] else []
    for value in (first, *edges, *span, *far, *drawn):
        yield value
        if step > 1:
            yield from (-(-value // step) * step, value // step * step, (value // step + 1) * step)


def _numbers(limits: Sequence[Any]) -> Iterator[Decimal]:
    for limit in limits:
        try:
            yield Decimal(str(limit))
        except InvalidOperation:
            continue


def _floats(node: JsonSchema, chance: random.Random, hint: str, near: Sequence[JsonSchema]) -> Iterator[float]:
    limits = [float(one) for one in _numbers(_limits([node, *near]))]
    step = node.get("multipleOf")
    span = (
        float(node.get("minimum", node.get("exclusiveMinimum", -1000))),
        float(node.get("maximum", node.get("exclusiveMaximum", 1000))),
    )
    drawn = [chance.uniform(*span) for _ in range(4)]
    edges = [one for limit in limits for one in (limit, limit + 0.5, limit - 0.5, limit + 1, limit - 1)]
    tight = [one for limit in limits for one in (math.nextafter(limit, math.inf), math.nextafter(limit, -math.inf))]
    first = float(hinted(_NUMBERS, hint, 1)) + 0.5
    for value in (first, 1.0, *edges, *tight, 0.0, -1.5, 0.1, 1e20, -1e-9, *drawn):
        yield value
        if step:
            yield from (math.ceil(value / step) * step, math.floor(value / step) * step)


def _decimals(node: JsonSchema, chance: random.Random, hint: str, near: Sequence[JsonSchema]) -> Iterator[Decimal]:
    demands = [one.get(DEMANDS, {}) for one in (node, *near)]
    limits = list(_numbers(_limits([node, *near])))
    yield Decimal(f"{hinted(_NUMBERS, hint, 12)}.50")
    for one in demands:
        places = one.get("decimal_places", 2 if "max_digits" not in one else 0)
        whole = one["max_digits"] - places if "max_digits" in one else None
        tick = Decimal(1).scaleb(-places)
        edges = [value for limit in limits for value in (limit, limit + tick, limit - tick, limit + 1, limit - 1)]
        yield from edges
        if whole is not None:
            yield Decimal(10) ** whole - tick
            yield Decimal(10) ** whole
            yield -(Decimal(10) ** whole) + tick
        if "max_digits" in one:
            yield Decimal("9" * one["max_digits"])
            yield Decimal(1).scaleb(-one["max_digits"])
            yield Decimal("9" * (one["max_digits"] + 1))
        if "decimal_places" in one:
            yield tick
            yield tick / 10
            yield 1 + tick / 10
        if "multiple_of" in one:
            step = Decimal(str(one["multiple_of"]))
            yield from (step, step * 2, step * 100, *(-(-value // step) * step for value in edges))
            yield step + step / 2
    yield from (Decimal(0), Decimal(1), Decimal("-1.5"), Decimal("0.001"), Decimal("123456789012345.678901234567"))
    yield from (Decimal(chance.randint(-10_000, 10_000)).scaleb(-places) for places in (0, 1, 2))


def _strings(node: JsonSchema, chance: random.Random, hint: str, near: Sequence[JsonSchema]) -> Iterator[str]:
    kind = str(node.get("format", ""))
    if kind == DECIMAL:
        yield from (format(one, "f") for one in _decimals(node, chance, hint, near))
    elif kind.startswith("uuid"):
        yield _UUID
        version = node.get(DEMANDS, {}).get("version", 4)
        # RFC 9562: the version is the first digit of the third group
        drawn = (str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(3))
        yield from (f"{text[:14]}{version}{text[15:]}" for text in drawn)
        yield f"{_UUID[:14]}1{_UUID[15:]}"
    elif kind in _KINDS:
        yield from _moments(kind, node, chance, near)
    elif kind in _FIXED:
        yield from _FIXED[kind]
    elif node.get("contentMediaType") == "application/json":
        yield from _FIXED["json-string"]
    else:
        tried = (matching(node["pattern"], chance) for _ in range(40)) if "pattern" in node else ()
        yield from (text for text in tried if text is not None)
        yield from _texts(node, chance, hint, near)


def _texts(node: JsonSchema, chance: random.Random, hint: str, near: Sequence[JsonSchema]) -> Iterator[str]:
    least, most = int(node.get("minLength", 0)), int(node.get("maxLength", 200))
    first = hinted(_TEXTS, hint, hint.replace("_", " ") or "text")
    first = first[:most].rstrip() or first[:most]
    yield first.ljust(least, "x")
    lengths: list[int] = []
    for other in near:
        lengths += [int(other[key]) + more for key in ("minLength", "maxLength") if key in other for more in (-1, 0, 1)]
    lengths += [least, most, least + 1]
    yield from ("x" * length for length in lengths if least <= length <= min(most, 100_000))
    yield from (
        "a",
        "",
        " ",
        "Zoë ☂ 漢字",
        '"quoted" \\ text',
        "0",
        "true",
        "null",
        "line\nline",
        " a ",
        "é" * max(least, 1),
    )
    alphabet = "abcXYZ019 _-äß漢"
    yield from ("".join(chance.choices(alphabet, k=chance.randint(least, min(most, least + 12)))) for _ in range(3))


def _moments(kind: str, node: JsonSchema, chance: random.Random, near: Sequence[JsonSchema]) -> Iterator[str]:
    zone = node.get(DEMANDS, {}).get("tz_constraint")
    read = TypeAdapter(_KINDS[kind]).validate_python
    edges: list[Any] = []
    for limit in _limits([node, *near]):
        try:
            edges.append(read(limit))
        except ValidationError:
            continue
    for value in (*_plain(kind, chance), *edges, *_around(kind, edges)):
        if isinstance(value, timedelta):
            yield _duration(value)
        elif isinstance(value, (datetime, time)):
            if zone != "naive":
                yield (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat().replace("+00:00", "Z")
            if zone != "aware":
                yield value.replace(tzinfo=None).isoformat()
        else:
            yield value.isoformat()


def _plain(kind: str, chance: random.Random) -> list[Any]:
    moments = [_MOMENT, _MOMENT.replace(year=1999), _MOMENT.replace(year=2999), _MOMENT + _TICK]
    moments.append(_MOMENT + timedelta(seconds=chance.randint(-(10**8), 10**8)))
    if kind == "date-time":
        return moments
    if kind == "date":
        return [moment.date() for moment in moments]
    if kind == "time":
        return [moment.timetz() for moment in moments] + [time(0), time(23, 59, 59)]
    durations = [timedelta(hours=1, minutes=30), timedelta(0), _DAY, timedelta(days=-2), timedelta(days=400), _TICK]
    return [*durations, timedelta(seconds=chance.randint(0, 10**6))]


def _around(kind: str, edges: Sequence[Any]) -> Iterator[Any]:
    step = _DAY if kind == "date" else timedelta(seconds=1)
    for edge in edges:
        start = datetime.combine(_MOMENT.date(), edge) if kind == "time" else edge
        for moved in (step, -step, 30 * step):
            with suppress(OverflowError):
                yield (start + moved).timetz() if kind == "time" else start + moved


def _duration(value: timedelta) -> str:
    text: str = TypeAdapter(timedelta).dump_python(value, mode="json")
    return text
