"""What runs in a process of its own that imports another version of contracts (see `versions`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pico_celery.document.build import document_of
from pico_celery.document.lockfile import to_text
from pico_celery_tooling.output import ToolError
from pico_celery_tooling.sources.loading import load_contracts


def answer(order: Mapping[str, Any]) -> None:
    """Import a package, and write its contracts to a file."""
    # This library is the one of today: it is imported already, and the path of the revision comes before the other.
    sys.path[:0] = order["first"]
    try:
        contracts = load_contracts(order["package"])
        for contract in contracts:
            _require_within(contract.cls.__module__, order["within"])
        Path(order["answer"]).write_text(to_text(document_of(contracts)), encoding="utf-8")
    except ToolError as error:
        error.show()
        raise SystemExit(error.exit_code) from error


def _require_within(module: str, directory: str | None) -> None:
    file = Path(sys.modules[module].__file__ or "").resolve()
    if directory is not None and not file.is_relative_to(directory):
        raise ToolError(
            f"{module} was imported from {file}, which is not of that revision: the package is not in the same place there"
        )
