"""What is to be said of an import that fails: what, where, and what to do."""

from __future__ import annotations

import importlib
import pkgutil
import traceback
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Final

from pico_celery.contract.naming import did_you_mean
from pico_celery.errors import PicoCeleryError
from pico_celery_tooling.output import ToolError

_MACHINERY: Final = {importlib.__file__, pkgutil.__file__}
"""Files that only import other ones; what is frozen into Python has no file."""


def import_failure(what: str, module: str, error: Exception) -> ToolError:
    """Say why something cannot be imported.

    Args:
        what: What is imported, for people: a package, or an application.
        module: Name of its module.
        error: What was raised.

    Returns:
        The error to raise: with the line that failed, and a remedy.
    """
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
    """Tell whether a module was imported, and has not the attribute that was looked for.

    Args:
        name: The module, or ``module:attribute``, as Celery takes it.
        error: What Celery raised.

    Returns:
        Whether that is the reason.
    """
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
