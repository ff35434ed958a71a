from typing import Any, TypeAlias

from .locator import ComponentLocator

KeyT: TypeAlias = str | type[Any]

def export_graph(
    # None raises a RuntimeError: it is here because a container without a locator passes it.
    locator: ComponentLocator | None,
    path: str,
    *,
    include_scopes: bool = True,
    include_qualifiers: bool = False,
    rankdir: str = "LR",
    title: str | None = None,
) -> None: ...
