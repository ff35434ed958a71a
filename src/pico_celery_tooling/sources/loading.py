"""What a command works on: a package of contracts, a lock file, a revision, an application."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path
from typing import Any

import click

from pico_celery.contract.catalog import default_catalog
from pico_celery.contract.definition import ContractDefinition
from pico_celery.contract.naming import did_you_mean
from pico_celery.errors import PicoCeleryError
from pico_celery_tooling.output import ToolError


def load_contracts(name: str) -> list[ContractDefinition]:
    """Import a package with all its modules, and return the contracts that they declare.

    Args:
        name: Name of a package or module, as it is imported; that of a file or directory is understood too.

    Returns:
        The contracts, by name and version.

    Raises:
        ToolError: If it cannot be imported, or declares none.
    """
    module = _module_name(name)
    _import(module)
    found = [contract for contract in default_catalog.contracts if _is_in(contract.cls.__module__, module)]
    if not found:
        raise ToolError(
            f"{module} declares no contract", "declare one with @contract, or name the package that has them"
        )
    return sorted(found, key=lambda contract: (contract.name, contract.version))


def _module_name(name: str) -> str:
    path = Path(name)
    if path.suffix == ".py" or "/" in name:
        path = path.with_suffix("")
        parts = path.parts[:-1] if path.name == "__init__" else path.parts
        name = ".".join(part for part in parts if part not in {".", "src"})
    return name.strip(".")


def _import(name: str) -> None:
    # As python -m does: the working directory comes first.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(name)
        for info in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}.", onerror=_raise):
            if not info.name.rpartition(".")[2].startswith("__"):
                importlib.import_module(info.name)
    except PicoCeleryError as error:
        raise ToolError.of(error) from error
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ToolError(
                f"no module named {error.name!r}", f"{_near(name)}; run it where the package can be imported"
            ) from error
        raise ToolError(f"{name} cannot be imported: {error}", "install what it needs") from error
    except Exception as error:
        raise ToolError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error


def _raise(_: str) -> None:
    raise  # noqa: PLE0704 - walk_packages calls this where it has caught what an import raised


def _near(name: str) -> str:
    here = [info.name for info in pkgutil.iter_modules([str(Path.cwd())]) if not info.name.startswith("_")]
    return did_you_mean(name, here)


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def application(*, required: bool = True) -> Any:
    """Return the Celery application that the command line names with ``-A``.

    Args:
        required: Whether the command cannot do without.

    Returns:
        The application, or ``None``.

    Raises:
        ToolError: If it cannot be loaded, or is required and not named.
    """
    root = click.get_current_context().find_root()
    name, loaded = root.params.get("app"), getattr(root.obj, "app", None)
    if loaded is not None and name is not None:
        return loaded  # by the command line of Celery
    if name is None:
        if required:
            raise ToolError("this needs the application", f"name it: {root.info_name} -A your.module:app ...")
        return None
    return _find(name)


def _find(name: str) -> Any:
    from celery import Celery  # noqa: PLC0415 - most commands need no Celery
    from celery.app.utils import find_app  # noqa: PLC0415 - as above

    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = find_app(name)
    except PicoCeleryError as error:
        raise ToolError.of(error) from error
    except Exception as error:
        raise ToolError(f"the application {name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(found, Celery):
        # Celery looks for an attribute of that name, and the decorator of clients has it.
        raise ToolError(
            f"there is no Celery application in {name!r}: what is found is {found!r}",
            f"name the attribute that is one: -A {name.partition(':')[0]}:celery_app",
        )
    return found
