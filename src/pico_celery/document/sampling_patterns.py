"""Texts that match a regular expression: of the kind that stands in a contract, such as ``^[A-Z]{3}-[0-9]{4}$``.

Read are literals, classes, escapes, groups, alternatives, repetitions and anchors. What is not read, such as look-around
and references to a group, gives no text; whoever asks checks each text against the pattern.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from typing import Final

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
    """Make a text for a pattern.

    Args:
        pattern: A regular expression.
        chance: What chooses between alternatives.

    Returns:
        A text that should match; ``None`` where the pattern is not read here.
    """
    try:
        reader = _Reader(pattern)
        make = reader.alternatives()
        if reader.rest:
            return None
        return make(chance)
    except (_UnreadError, ValueError, IndexError):
        return None


class _Reader:
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
