"""The package that a task goes into: its files, and what a name in them stands for."""

from __future__ import annotations

import ast
import contextlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pico_celery_tooling.new.files import Binding, Defined, Imported, PythonFile
from pico_celery_tooling.new.locating import Location, locate, only_package
from pico_celery_tooling.new.rendering import WIDTH
from pico_celery_tooling.output import ToolError


@dataclass(frozen=True)
class Found:
    """Where a name is defined: in a file of the package, or by another module.

    Attributes:
        module: Name of the module.
        name: Its name there.
        file: The file, where it is one of the package.
        node: The definition, where it is one of the package.
    """

    module: str
    name: str
    file: PythonFile | None = None
    node: ast.stmt | None = None


@dataclass(frozen=True)
class Project:
    """A package in a directory.

    Attributes:
        root: The directory of the project, where its tests are.
        home: The package.
        contracts: Where its contracts are, if that is another package or module.
    """

    root: Path
    home: Location
    contracts: Location | None = None

    @classmethod
    def find(cls, root: Path, into: str | None, contracts: str | None = None) -> Project:
        """Find the package that is meant.

        Args:
            root: The working directory.
            into: Its name or directory; without it the only one that there is.
            contracts: Name or directory of the package of the contracts, if that is another one.

        Returns:
            It; it need not exist.

        Raises:
            ToolError: If it cannot be told, or the name cannot be one.
        """
        apart = None if contracts is None else locate(root, contracts, "--contracts")
        home = only_package(root) if into is None else locate(root, into, "--into")
        if home.is_module:
            raise ToolError(f"--into: {home.package!r} is a module", "name a package: --into shop")
        return cls(root, home, None if apart == home else apart)

    @property
    def package(self) -> str:
        """Name of the package, as it is imported."""
        return self.home.package

    def first_party(self, module: str) -> frozenset[str]:
        """Return the names that count as the project's own in a module, as ``ruff`` has it.

        Source: https://docs.astral.sh/ruff/faq/#how-does-ruff-determine-which-of-my-imports-are-first-party-third-party-etc

        Args:
            module: Name of the module that imports.

        Returns:
            Names of top-level packages and modules.
        """
        return self._own | {module.partition(".")[0]}

    @cached_property
    def _own(self) -> frozenset[str]:
        named = _ruff(self.root).get("src")
        places = [place for place in named if isinstance(place, str)] if isinstance(named, list) else [".", "src"]
        bases = {(self.root / place).resolve() for place in places}
        found = {place.top for place in (self.home, self.contracts) if place and place.base.resolve() in bases}
        for base in bases:
            if base.is_dir():
                found.update(entry.stem for entry in base.iterdir() if entry.suffix == ".py" or entry.is_dir())
        return frozenset(found)

    @cached_property
    def width(self) -> int:
        """Characters of a line, as the project's formatter has it."""
        return _width(self.root)

    @cached_property
    def files(self) -> dict[str, PythonFile]:
        """The files of the package by the names of their modules."""
        found = {}
        for place in (self.contracts, self.home):
            for path in [] if place is None else _paths(place):
                parts = path.relative_to(place.base).with_suffix("").parts if place is not None else ()
                module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                with contextlib.suppress(ToolError):  # what Python cannot read is no part of the package
                    found[module] = PythonFile.read(path, module)
        return found

    def path_of(self, module: str, *, package: bool = False) -> Path:
        """Return where a module of the package is, or would be."""
        apart = self.contracts
        is_apart = apart is not None and f"{module}.".startswith(f"{apart.top}.")
        base = (apart if apart is not None and is_apart else self.home).base.joinpath(*module.split("."))
        return base / "__init__.py" if package else base.with_name(f"{base.name}.py")

    def shown(self, path: Path) -> str:
        """Return a path as people read it here."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def resolve(self, file: PythonFile, name: str) -> Found | None:
        """Return what a name at the top of a file stands for, through the imports of the package.

        Args:
            file: The file.
            name: The name.

        Returns:
            Where it is defined, or ``None`` if the file does not bind it.
        """
        seen: set[tuple[str, str]] = set()
        while (binding := file.bindings.get(name)) is not None and (file.module, name) not in seen:
            seen.add((file.module, name))
            if isinstance(binding, Defined):
                return Found(file.module, name, file, binding.node)
            if binding.name is None:
                return Found(binding.module, "")
            target = self.files.get(binding.module)
            if target is None or binding.name not in target.bindings:
                return Found(binding.module, binding.name)
            file, name = target, binding.name
        return None

    def defining(self, name: str) -> Iterator[Found]:
        """Iterate over the definitions of a name at the top of the package's files."""
        pattern = re.compile(rf"^(class\s+)?{re.escape(name)}\b", re.MULTILINE)
        for file in self.files.values():
            if pattern.search(file.text):
                binding: Binding | None = file.bindings.get(name)
                if isinstance(binding, Defined):
                    yield Found(file.module, name, file, binding.node)

    def imports(self, file: PythonFile, module: str) -> bool:
        """Tell whether a file imports a module of the package, directly or through others."""
        seen: set[str] = set()
        waiting = [file]
        while waiting:
            for binding in waiting.pop().bindings.values():
                if not isinstance(binding, Imported) or binding.typing_only:
                    continue
                names = {binding.module, f"{binding.module}.{binding.name}"} - seen
                if module in names:
                    return True
                seen |= names
                waiting.extend(self.files[name] for name in names if name in self.files)
        return False


def _paths(place: Location) -> list[Path]:
    """Return the files of a package or module."""
    if place.is_module:
        return [place.directory.with_name(f"{place.directory.name}.py")]
    found = place.directory.rglob("*.py") if place.directory.is_dir() else iter(())
    return sorted(
        path
        for path in found
        if not any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(place.base).parts)
    )


def _width(root: Path) -> int:
    for table in (_ruff(root), _settings(root, [("pyproject.toml", ("tool", "black"))])):
        found = table.get("line-length")
        if isinstance(found, int):
            return found
    return WIDTH


def _ruff(root: Path) -> dict[str, Any]:
    return _settings(root, [("ruff.toml", ()), (".ruff.toml", ()), ("pyproject.toml", ("tool", "ruff"))])


def _settings(root: Path, places: list[tuple[str, tuple[str, ...]]]) -> dict[str, Any]:
    """Return a table of the nearest configuration file that has it, up to the top of the project."""
    for directory in (root, *root.parents):
        for file, keys in places:
            found = _table(directory / file, keys)
            if found:
                return found
        if (directory / "pyproject.toml").exists() or (directory / ".git").exists():
            break
    return {}


def _table(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}
