"""The package that a task goes into: its files, and what a name in them stands for."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from pico_celery.contract.naming import did_you_mean
from pico_celery.tooling.cli.output import ToolError
from pico_celery.tooling.creating.files import Binding, Defined, Imported, PythonFile
from pico_celery.tooling.creating.names import check_package_name
from pico_celery.tooling.creating.rendering import WIDTH

_NO_PACKAGES = frozenset({"tests", "test", "docs", "examples", "build", "dist", "node_modules", "src"})


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
        base: Where its packages are: the root, or ``src`` in it.
        package: Name of the package, as it is imported.
    """

    root: Path
    base: Path
    package: str

    @classmethod
    def find(cls, root: Path, into: str | None) -> Project:
        """Find the package that is meant.

        Args:
            root: The working directory.
            into: Its name or directory; without it the only one that there is.

        Returns:
            It; it need not exist.

        Raises:
            ToolError: If it cannot be told, or the name cannot be one.
        """
        bases = [root / "src", root] if (root / "src").is_dir() else [root]
        there = {name: base for base in reversed(bases) for name in _packages(base)}
        if into is None:
            if len(there) == 1:
                return cls(root, next(iter(there.values())), next(iter(there)))
            remedy = did_you_mean("", there) if there else "there is none yet: --into shop makes one"
            raise ToolError("which package does the task go into?", f"name it with --into; {remedy}")
        path = Path(into)
        if path.is_absolute() or ".." in path.parts:
            raise ToolError(f"--into: {into!r} is not below this directory", "run it where the package is")
        parts = list(path.parts) if len(path.parts) > 1 else [part for part in into.rstrip("/").split(".") if part]
        if len(path.parts) > 1 and parts[0] == "src":
            parts.pop(0)
            bases = [root / "src"]
        name = ".".join(parts)
        check_package_name(name)
        base = next((base for base in bases if (base / parts[0]).is_dir()), bases[0])
        _refuse_foreign(base, parts[0], name)
        return cls(root, base, name)

    @property
    def directory(self) -> Path:
        """The directory of the package."""
        return self.base.joinpath(*self.package.split("."))

    @cached_property
    def first_party(self) -> frozenset[str]:
        """Names of the project's own top-level packages and modules."""
        found = {self.package.split(".")[0], "tests"}
        for base in {self.root, self.base, self.root / "src"}:
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
        if not self.directory.is_dir():
            return {}
        found = {}
        for path in sorted(self.directory.rglob("*.py")):
            parts = path.relative_to(self.base).with_suffix("").parts
            if any(part.startswith(".") or part == "__pycache__" for part in parts):
                continue
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[module] = PythonFile.read(path, module)
        return found

    def path_of(self, module: str, *, package: bool = False) -> Path:
        """Return where a module of the package is, or would be."""
        base = self.base.joinpath(*module.split("."))
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


def _packages(base: Path) -> list[str]:
    return sorted(
        entry.name
        for entry in base.iterdir()
        if entry.is_dir() and entry.name not in _NO_PACKAGES and (entry / "__init__.py").is_file()
    )


def _refuse_foreign(base: Path, top: str, name: str) -> None:
    """Refuse a package that would hide one that is installed."""
    if (base / top).exists():
        return
    spec = PathFinder.find_spec(top)
    if spec is not None and spec.origin is not None and not Path(spec.origin).is_relative_to(base):
        raise ToolError(
            f"--into: {name!r} is not in this directory, and {top!r} is installed: {spec.origin}",
            "choose another name, or run it where that package is",
        )


def _width(root: Path) -> int:
    places: list[tuple[str, tuple[str, ...]]] = [
        ("ruff.toml", ()),
        (".ruff.toml", ()),
        ("pyproject.toml", ("tool", "ruff")),
        ("pyproject.toml", ("tool", "black")),
    ]
    for directory in (root, *root.parents):
        for file, keys in places:
            found = _table(directory / file, keys).get("line-length")
            if isinstance(found, int):
                return found
        if (directory / "pyproject.toml").exists() or (directory / ".git").exists():
            break
    return WIDTH


def _table(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else {}
