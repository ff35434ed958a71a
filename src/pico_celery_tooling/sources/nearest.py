"""Which contracts a command reads where its user names none: the nearest lock file, or those of the application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pico_celery.contract.catalog import default_catalog
from pico_celery.contract.definition import ContractDefinition
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import LOCK_FILE
from pico_celery.document.records import Document
from pico_celery_tooling.output import ToolError
from pico_celery_tooling.sources.loading import application
from pico_celery_tooling.sources.source import read_source


def nearest_document(given: str | None) -> tuple[Document, str]:
    """Read the contracts that the user means.

    Args:
        given: The package or lock file that the user names.

    Returns:
        The contracts, and where they were read, for people.

    Raises:
        ToolError: If there are none, or they cannot be read.
    """
    if given is not None:
        return read_source(given).document, given
    if Path(LOCK_FILE).is_file():
        return read_source(None).document, LOCK_FILE
    app = application(required=False)
    if app is None:
        raise ToolError(
            "no contracts given",
            f"name a package or lock file, go to the directory of {LOCK_FILE}, or name the application: "
            "pico-celery -A your.module:app ...",
        )
    return document_of(contracts_of(app)), "the application"


def contracts_of(app: Any) -> list[ContractDefinition]:
    """Return the contracts that an application knows, now that its modules are imported.

    Args:
        app: The application.

    Returns:
        Those of the catalogs that its containers used, and of the default catalog.

    Raises:
        ToolError: If there are none.
    """
    from pico_celery.worker.registrations import registrations_of  # noqa: PLC0415 - offline commands need no Celery

    catalogs = [*(registration.catalog for registration in registrations_of(app)), default_catalog]
    found = list(dict.fromkeys(contract for catalog in catalogs for contract in catalog.contracts))
    if not found:
        raise ToolError(
            "the application imports no contract",
            "name the package or lock file that has them, or ask the workers that run: --live",
        )
    return found
