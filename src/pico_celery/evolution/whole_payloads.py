"""Whole payloads that show what a change refuses."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from pico_celery.document.records import Document, JsonSchema
from pico_celery.document.telling import DEMANDS
from pico_celery.evolution.findings import NOTHING
from pico_celery.evolution.pairs import Memory, Version

_NONE: Final[Mapping[str, Any]] = {}


def arguments_of(
    version: Version, memory: Memory, also: Collection[str] = (), *, without: str = "", given: Mapping[str, Any] = _NONE
) -> Any:
    """Make arguments that a version of a task accepts.

    Args:
        version: It.
        memory: What is known of its schemas already.
        also: Names of optional parameters to give too.
        without: Name of a parameter to leave out.
        given: Values of parameters, known to be accepted.

    Returns:
        JSON data by name: what is required, and what was asked for; `NOTHING` where no value is known to be accepted.
    """
    payload: dict[str, Any] = {}
    for parameter in version.task.parameters:
        name = parameter.name
        if name == without:
            continue
        if name in given:
            payload[name] = given[name]
        elif parameter.required or name in also:
            payload[name] = memory.of(_value, (version.document, parameter.accepts))
    return NOTHING if any(value is NOTHING for value in payload.values()) else payload


def _value(_: Memory, described: tuple[Document, JsonSchema]) -> Any:
    from pico_celery.document.sampling import checked_example  # noqa: PLC0415 - only where something is found

    document, schema = described
    whole = document.standalone(schema)
    if _is_checked_by_functions(whole):
        return NOTHING
    value, is_valid = checked_example(document, schema)
    return value if is_valid else NOTHING


def _is_checked_by_functions(node: Any) -> bool:
    """Tell whether code that nobody here can run has a say in what is accepted."""
    if isinstance(node, Mapping):
        demands = node.get(DEMANDS)
        if isinstance(demands, Mapping) and not _FUNCTIONS.isdisjoint(demands):
            return True
        return any(_is_checked_by_functions(value) for value in node.values())
    return isinstance(node, list) and any(map(_is_checked_by_functions, node))


_FUNCTIONS: Final = frozenset({"functions", "custom_init", "post_init"})
