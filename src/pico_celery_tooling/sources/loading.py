"""Loading what a command works on: a package of contracts or an application, and why an import failed."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Final

import click

from pico_celery.contract.catalog import default_catalog
from pico_celery.contract.definition import ContractDefinition
from pico_celery.contract.naming import did_you_mean
from pico_celery.errors import PicoCeleryError
from pico_celery_tooling.output import ToolError

_MACHINERY: Final = {importlib.__file__, pkgutil.__file__}
"""Files that only import other ones; what is frozen into Python has no file."""


def import_failure(what: str, module: str, error: Exception) -> ToolError:
    """Say why something cannot be imported."""
    if isinstance(error, PicoCeleryError):
        return ToolError.of(error)
    place = _place(error)
    at = f"\n    at {place}" if place else ""
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        if not place and (module == error.name or module.startswith(f"{error.name}.")):
            return ToolError(f"no module named {error.name!r}", f"{_near(module)} run it where it can be imported")
        return ToolError(f"{what} cannot be imported: {error}{at}", "install what it needs, or correct its name")
    return ToolError(
        f"{what} cannot be imported: {type(error).__name__}: {error}{at}",
        "correct it there" if place else f"see what it says: python -c 'import {module}'",
    )


def lacks_attribute(name: str, error: Exception) -> bool:
    """Return whether a module was imported, and has not the attribute that was looked for."""
    if isinstance(error, AttributeError):
        return isinstance(error.obj, ModuleType) and error.obj.__name__ == name.partition(":")[0]
    # Celery takes for a module what it did not find as an attribute.
    return isinstance(error, ModuleNotFoundError) and ":" in name and error.name == name


def _place(error: Exception) -> str:
    """Return file and line that failed, of the user's own files where there are such in the traceback."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(_after_import(error.__traceback__))
        if not frame.filename.startswith("<")
    ]
    own = [frame for frame in frames if _is_own(Path(frame.filename))]
    found = (own or frames)[-1:]
    return "".join(f"{frame.filename}:{frame.lineno}" for frame in found)


def _after_import(trace: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback that is after the import: before it are only those who import."""
    while trace is not None and trace.tb_frame.f_code.co_filename not in _MACHINERY:
        trace = trace.tb_next
    while trace is not None and trace.tb_frame.f_code.co_filename in _MACHINERY:
        trace = trace.tb_next
    return trace


def _is_own(path: Path) -> bool:
    return path.is_relative_to(Path.cwd()) and "site-packages" not in path.parts


def _near(name: str) -> str:
    here = [info.name for info in pkgutil.iter_modules([str(Path.cwd())]) if not info.name.startswith("_")]
    told = did_you_mean(name, here) if here else "there is none here:"
    return told if told.endswith(("?", ":")) else f"{told};"


def load_contracts(name: str) -> list[ContractDefinition]:
    """Import a package with all its modules, and return the contracts that they declare."""
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
    if path.suffix == ".json":
        raise ToolError(f"{name} is no package", "name the package or module that declares the contracts")
    if path.suffix == ".py" or "/" in name:
        if path.is_absolute() and path.is_relative_to(Path.cwd()):
            path = path.relative_to(Path.cwd())
        path = path.with_suffix("")
        parts = [part for part in (path.parts[:-1] if path.name == "__init__" else path.parts) if part != "src"]
        name = ".".join(parts)
    if not all(part.isidentifier() for part in name.split(".")):
        raise ToolError(
            f"{str(path)!r} is no name of a package that can be imported from here",
            "name it as it is imported, such as shop_contracts, in the directory that has it",
        )
    return name


def _import(name: str) -> None:
    # As python -m does: the working directory comes first.
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(name)
        for info in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{name}.", onerror=_raise):
            if not info.name.rpartition(".")[2].startswith("__"):
                importlib.import_module(info.name)
    except Exception as error:
        raise import_failure(name, name, error) from error


def _raise(_: str) -> None:
    raise  # noqa: PLE0704 - walk_packages calls this where it has caught what an import raised


def _is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def application(*, required: bool = True) -> Any:
    """Return the Celery application that the command line names with ``-A``."""
    root = click.get_current_context().find_root()
    name, loaded = root.params.get("app"), getattr(root.obj, "app", None)
    if loaded is not None and name is not None:
        return loaded  # by the command line of Celery
    if not name:
        if required:
            raise ToolError("this needs the application", f"name it: {root.info_name} -A your.module:app ...")
        return None
    return _find(name)


def _find(name: str) -> Any:
    from celery import Celery  # noqa: PLC0415 - most commands need no Celery
    from celery.app.utils import find_app  # noqa: PLC0415 - as above

    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    module = name.partition(":")[0]
    try:
        found = find_app(name)
    except Exception as error:
        if lacks_attribute(name, error):
            raise ToolError(
                f"there is no Celery application in {name!r}",
                f"name the attribute that is one: -A {module}:celery_app",
            ) from error
        raise import_failure(f"the application {name!r}", module, error) from error
    if not isinstance(found, Celery):
        # Celery looks for an attribute of that name, and the decorator of clients has it.
        raise ToolError(
            f"there is no Celery application in {name!r}: what is found is {found!r}",
            f"name the attribute that is one: -A {module}:celery_app",
        )
    return found
