"""What a document is made from: a package of contracts or a lock file, the nearest one where none is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pico_celery.contract.catalog import default_catalog
from pico_celery.contract.definition import ContractDefinition
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import LOCK_FILE, read
from pico_celery.document.records import Document
from pico_celery.errors import LockFileError
from pico_celery_tooling.output import ToolError
from pico_celery_tooling.sources.loading import application, load_contracts

if TYPE_CHECKING:
    from pico_celery.contract.definition import ContractDefinition


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Contracts, and where they are from."""

    name: str
    """Name of the package, or of the lock file."""
    document: Document
    """The contracts as data."""
    contracts: Sequence[ContractDefinition] = ()
    """The contracts themselves; none where they are from a lock file."""

    @property
    def title(self) -> str:
        """What to call it where nobody says: the package, or the directory of the lock file."""
        return self.name if self.contracts else Path(self.name).resolve().parent.name or self.name

    @property
    def version(self) -> str | None:
        """Version of the distribution that the package is from, where it is from one."""
        if not self.contracts:
            return None
        from importlib.metadata import packages_distributions, version  # noqa: PLC0415 - reads all that is installed

        found = packages_distributions().get(self.contracts[0].cls.__module__.partition(".")[0], [])
        return version(found[0]) if found else None


def read_source(name: str | None) -> Source:
    """Read contracts from a package or a lock file."""
    if name is None and not Path(LOCK_FILE).is_file():
        raise ToolError(
            f"there is no {LOCK_FILE} here, and no package is named",
            "name one, such as shop_contracts, or write the lock file: pico-celery lock PACKAGE",
        )
    if name is None or name.endswith(".json"):
        return Source(name=name or LOCK_FILE, document=read_lock(Path(name or LOCK_FILE)))
    contracts = load_contracts(name)
    return Source(name=contracts_name(name), document=document_of(contracts), contracts=contracts)


def read_lock(path: Path) -> Document:
    """Read a lock file."""
    try:
        return read(path)
    except LockFileError as error:
        raise ToolError.of(error) from error


def contracts_name(name: str) -> str:
    """Return the last part of a package's name or path, without the ending of a file."""
    return Path(name).stem if "/" in name else name


def nearest_document(given: str | None) -> tuple[Document, str]:
    """Read the contracts that the user means."""
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
    """Return the contracts that an application knows, now that its modules are imported."""
    from pico_celery.worker.registrations import registrations_of  # noqa: PLC0415 - offline commands need no Celery

    catalogs = [*(registration.catalog for registration in registrations_of(app)), default_catalog]
    found = list(dict.fromkeys(contract for catalog in catalogs for contract in catalog.contracts))
    if not found:
        raise ToolError(
            "the application imports no contract",
            "name the package or lock file that has them, or ask the workers that run: --live",
        )
    return found
