"""Types that need no package of the user: where they are imported from, and an example of each."""

from __future__ import annotations

import builtins
from typing import Any, Final

BUILTINS: Final = frozenset(
    {"bool", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple", "None"}
)
"""Types that need no import."""

_MODULES: Final = {
    "collections.abc": ("Mapping", "Sequence"),
    "datetime": ("date", "datetime", "time", "timedelta"),
    "decimal": ("Decimal",),
    "ipaddress": ("IPv4Address", "IPv6Address"),
    "pathlib": ("Path",),
    "pydantic": (
        "AnyUrl",
        "AwareDatetime",
        "Field",
        "HttpUrl",
        "JsonValue",
        "NonNegativeFloat",
        "NonNegativeInt",
        "PositiveFloat",
        "PositiveInt",
        "SecretBytes",
        "SecretStr",
    ),
    "typing": ("Annotated", "Any", "Literal"),
    "uuid": ("UUID",),
}
KNOWN: Final = {name: module for module, names in _MODULES.items() for name in names}
"""Module of each name."""


def namespace() -> dict[str, Any]:
    """Return all of these types by name, to evaluate an annotation that has no others."""
    from importlib import import_module  # noqa: PLC0415 - only where a default has to be checked

    found: dict[str, Any] = {name: getattr(builtins, name) for name in BUILTINS - {"None"}}
    found.update({name: getattr(import_module(module), name) for name, module in KNOWN.items()})
    return found
