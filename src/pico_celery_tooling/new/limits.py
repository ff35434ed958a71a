"""Limits of a ``Field``, and examples that keep to them."""

from __future__ import annotations

import ast
from typing import Final

from pico_celery_tooling.new.expressions import dotted
from pico_celery_tooling.new.rendering import Brackets, Expression, call

Limits = dict[str, object]
"""Values by name, such as ``gt``; the text of what is no constant."""

_HARMLESS: Final = frozenset(
    {"description", "title", "examples", "repr", "discriminator", "deprecated", "json_schema_extra", "exclude"}
)
_TEXTS: Final = {'"text"': "text", 'b"data"': "data"}
_LONGEST: Final = 80
_INFINITE: Final = float("inf")


class NoSampleError(Exception):
    """No example can be made without running code of the user.

    Args:
        reason: Why.
    """


def limits_of(field: ast.Call) -> Limits:
    """Return the limits that a call of ``Field`` names."""
    return {
        keyword.arg: keyword.value.value if isinstance(keyword.value, ast.Constant) else ast.unparse(keyword.value)
        for keyword in field.keywords
        if keyword.arg and keyword.arg not in {*_HARMLESS, "default", "default_factory"}
    }


def required_limits(value: ast.expr | None) -> Limits | None:
    """Return the limits of a field by what is assigned to it, or ``None`` if it has a default."""
    if value is None or _is_open(value):
        return {}
    if not isinstance(value, ast.Call) or (dotted(value.func) or "").rpartition(".")[2] not in {"Field", "field"}:
        return None
    keywords = {keyword.arg: keyword.value for keyword in value.keywords}
    given = value.args[0] if value.args else keywords.get("default")
    if "default_factory" in keywords or not (given is None or _is_open(given)):
        return None
    return limits_of(value)


def _is_open(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is ...


def within(sample: Expression, limits: Limits) -> Expression:
    """Return an example that keeps to limits.

    Args:
        sample: One that may not.
        limits: ``gt``, ``ge``, ``lt``, ``le``, ``min_length`` and ``max_length``.

    Returns:
        The expression.

    Raises:
        NoSampleError: If there are other limits, or no example that keeps to them is at hand.
    """
    numbers = {name: value for name, value in limits.items() if isinstance(value, (int, float))}
    found: Expression | None = None
    if len(numbers) == len(limits):
        if isinstance(sample, str) and sample in _TEXTS:
            found = _text(sample, numbers)
        elif sample in {"1", "1.5"} or (isinstance(sample, Brackets) and sample.opening == "Decimal("):
            found = _number(sample, numbers)
    if found is None:
        raise NoSampleError(f"the limit {', '.join(f'{name}={value}' for name, value in limits.items())}")
    return found


def _text(sample: str, limits: dict[str, int | float]) -> str | None:
    least, most = int(limits.get("min_length", 0)), int(limits.get("max_length", _LONGEST))
    if not limits.keys() <= {"min_length", "max_length"} or not least <= most or least > _LONGEST:
        return None
    word = _TEXTS[sample]
    length = min(max(least, len(word)), most)
    return sample.replace(word, (word * (length // len(word) + 1))[:length])


def _number(sample: Expression, limits: dict[str, int | float]) -> Expression | None:
    if not limits.keys() <= {"gt", "ge", "lt", "le"}:
        return None
    low = max(limits.get("ge", -_INFINITE), limits.get("gt", -_INFINITE))
    high = min(limits.get("le", _INFINITE), limits.get("lt", _INFINITE))
    value = 1
    if not low < value < high:
        value = int(low) + 1 if low > -_INFINITE else int(high) - 1
    if not low < value < high:
        return None
    return str(value) if isinstance(sample, str) else call("Decimal", str(value))
