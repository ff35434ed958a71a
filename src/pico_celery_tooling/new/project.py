"""The package that a task goes into: where it is, its files, what their names refer to, and its formatter."""

from __future__ import annotations

import ast
import contextlib
import keyword
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Final

from pico_celery.contract.naming import did_you_mean
from pico_celery_tooling.new.python_file import Binding, Defined, Imported, PythonFile
from pico_celery_tooling.output import ToolError

WIDTH: Final = 88
"""The line length of both formatters without a configuration."""
_NO_PACKAGES: Final = frozenset({"tests", "test", "docs", "examples", "build", "dist", "node_modules", "src"})


@dataclass(frozen=True, slots=True)
class Location:
    """A package or module, which may not exist yet."""

    base: Path
    """The directory from which it is imported."""
    package: str
    """The dotted name by which it is imported."""

    @property
    def directory(self) -> Path:
        """Its directory, if it is a package."""
        return self.base.joinpath(*self.package.split("."))

    @property
    def is_module(self) -> bool:
        """Whether it is a single file."""
        return self.directory.with_name(f"{self.directory.name}.py").is_file() and not self.directory.is_dir()

    @property
    def top(self) -> str:
        """The first part of its name."""
        return self.package.partition(".")[0]


def locate(root: Path, text: str, option: str) -> Location:
    """Find a package by its name or directory; one that does not exist is going to be made."""
    path = Path(text)
    if path.is_absolute() or ".." in path.parts:
        raise ToolError(f"{option}: {text!r} is not below this directory", "run it where the package is")
    if len(path.parts) > 1:
        base, parts = root, list(path.parts)
        while len(parts) > 1 and _is_plain(base / parts[0]):
            base /= parts.pop(0)
        bases = [base]
    else:
        bases, parts = _bases(root), [part for part in text.rstrip("/").split(".") if part]
    name = ".".join(parts)
    check_package_name(name, option)
    found = next((base for base in bases if (base / parts[0]).is_dir() or (base / f"{name}.py").is_file()), bases[0])
    _refuse_foreign(found, parts[0], f"{option}: {name!r}")
    return Location(found, name)


def check_package_name(name: str, option: str) -> None:
    """Refuse a name that a package of the user cannot have."""
    parts = name.split(".")
    if not all(part.isidentifier() and not keyword.iskeyword(part) for part in parts):
        raise ToolError(f"{option}: {name!r} is not the name of a package", f"such as {option} shop")
    if parts[0] in sys.stdlib_module_names:
        raise ToolError(
            f"{option}: {parts[0]!r} is a module of Python's standard library", "a package of that name hides it"
        )


def only_package(root: Path) -> Location:
    """Return the package here, if there is only one."""
    there = {found.package: found for found in packages(root)}
    if len(there) == 1:
        return next(iter(there.values()))
    remedy = did_you_mean("", there) if there else "there is none yet: --into shop makes one"
    raise ToolError("no package given", f"name it with --into; {remedy}")


def packages(root: Path) -> list[Location]:
    """Return the packages in a directory and in its ``src``."""
    return [
        Location(base, entry.name)
        for base in _bases(root)
        for entry in sorted(base.iterdir())
        if entry.is_dir() and entry.name not in _NO_PACKAGES and (entry / "__init__.py").is_file()
    ]


def modules(root: Path) -> list[Location]:
    """Return the single modules in a directory and in its ``src``."""
    return [
        Location(base, path.stem)
        for base in _bases(root)
        for path in sorted(base.glob("*.py"))
        if path.stem.isidentifier()
    ]


def _bases(root: Path) -> list[Path]:
    return [root / "src", root] if (root / "src").is_dir() else [root]


def _is_plain(directory: Path) -> bool:
    """Return whether a directory is not a package, but may contain some."""
    return (directory.is_dir() and not (directory / "__init__.py").exists()) or directory.name == "src"


def _refuse_foreign(base: Path, top: str, subject: str) -> None:
    """Refuse a new package that would hide an installed one."""
    if (base / top).exists() or (base / f"{top}.py").exists():
        return
    spec = PathFinder.find_spec(top)
    if spec is not None and spec.origin is not None and not Path(spec.origin).is_relative_to(base):
        raise ToolError(
            f"{subject} is not in this directory, and {top!r} is installed: {spec.origin}",
            "choose another name, or run it where that package is",
        )


@dataclass(frozen=True)
class Found:
    """Where a name is defined."""

    module: str
    name: str
    """Empty for the module itself."""
    file: PythonFile | None = None
    """The file, if it belongs to the package; as ``node``, the definition in it."""
    node: ast.stmt | None = None


@dataclass(frozen=True)
class Project:
    """The directory that the command runs in, with the package that a task goes into."""

    root: Path
    home: Location
    contracts: Location | None = None
    """The package or module of the contracts, if it is another one."""

    @classmethod
    def find(cls, root: Path, into: str | None, contracts: str | None = None) -> Project:
        """Find the package and, if it is another one, that of the contracts."""
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
        """Return the top-level names that ``ruff`` takes for the project's own in a module.

        Source: https://docs.astral.sh/ruff/faq/#how-does-ruff-determine-which-of-my-imports-are-first-party-third-party-etc
        """
        return self._own | {module.partition(".")[0]}

    @cached_property
    def _own(self) -> frozenset[str]:
        named = (self._ruff or {}).get("src")
        places = [place for place in named if isinstance(place, str)] if isinstance(named, list) else [".", "src"]
        bases = {(self.root / place).resolve() for place in places}
        found = {place.top for place in (self.home, self.contracts) if place and place.base.resolve() in bases}
        for base in bases:
            if base.is_dir():
                found.update(entry.stem for entry in base.iterdir() if entry.suffix == ".py" or entry.is_dir())
        return frozenset(found)

    @cached_property
    def _ruff(self) -> _Table | None:
        return _settings(self.root, _RUFF)

    @cached_property
    def _black(self) -> _Table | None:
        return _settings(self.root, _BLACK)

    @cached_property
    def width(self) -> int:
        """The line length that the project's formatter has, in characters."""
        found = [(table or {}).get("line-length") for table in (self._ruff, self._black)]
        return next((width for width in found if isinstance(width, int)), WIDTH)

    @cached_property
    def _formatter(self) -> list[str]:
        """The project's formatter as a command; empty if none is configured, or it is not installed."""
        name = "black" if self._black is not None else "ruff"
        here = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        found = None if self._black is None and self._ruff is None else shutil.which(name, path=here)
        if found is None:
            return []
        return [found, "--quiet"] if name == "black" else [found, "format", "--quiet"]

    def formatted(self, file: PythonFile) -> str:
        """Return what the project's formatter makes of a file; its text as it is where there is no formatter."""
        if not self._formatter:
            return file.text
        command = [*self._formatter, "--stdin-filename", str(file.path), "-"]
        try:
            done = subprocess.run(  # noqa: S603 - the formatter that the project names
                command, input=file.text, capture_output=True, encoding="utf-8", cwd=self.root, timeout=60, check=False
            )
        except (OSError, subprocess.SubprocessError):
            return file.text
        return file.text if done.returncode else done.stdout  # it could not: what is written is Python all the same

    @cached_property
    def files(self) -> dict[str, PythonFile]:
        """The files of the package and of its contracts, by module."""
        found = {}
        for place in [self.home] if self.contracts is None else [self.contracts, self.home]:
            for path in _paths(place):
                parts = path.relative_to(place.base).with_suffix("").parts
                module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                with contextlib.suppress(ToolError):  # Python could not import it either
                    found[module] = PythonFile.read(path, module)
        return found

    def path_of(self, module: str, *, package: bool = False) -> Path:
        """Return where a module of the package is, or would be."""
        apart = self.contracts
        is_apart = apart is not None and f"{module}.".startswith(f"{apart.top}.")
        base = (apart if apart is not None and is_apart else self.home).base.joinpath(*module.split("."))
        return base / "__init__.py" if package else base.with_name(f"{base.name}.py")

    def shown(self, path: Path) -> str:
        """Return a path as messages show it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def resolve(self, file: PythonFile, name: str) -> Found | None:
        """Return what a name in a file refers to, through the imports of the package."""
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
        """Iterate over the definitions of a name in the package."""
        pattern = re.compile(rf"^(class\s+)?{re.escape(name)}\b", re.MULTILINE)
        for file in self.files.values():
            if pattern.search(file.text):
                binding: Binding | None = file.bindings.get(name)
                if isinstance(binding, Defined):
                    yield Found(file.module, name, file, binding.node)

    def imports(self, file: PythonFile, module: str) -> bool:
        """Return whether a file imports a module, directly or through others of the package."""
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


_Table = dict[str, object]
_RUFF: Final = (("ruff.toml", ()), (".ruff.toml", ()), ("pyproject.toml", ("tool", "ruff")))
_BLACK: Final = (("pyproject.toml", ("tool", "black")),)


def _settings(root: Path, places: Iterable[tuple[str, tuple[str, ...]]]) -> _Table | None:
    """Return a table of the nearest configuration file that has it, up to the top of the project."""
    for directory in (root, *root.parents):
        tables = (_table(directory / file, keys) for file, keys in places)
        found = next((table for table in tables if table is not None), None)
        if found is not None or (directory / "pyproject.toml").exists() or (directory / ".git").exists():
            return found
    return None


def _table(path: Path, keys: tuple[str, ...]) -> _Table | None:
    try:
        table: object = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else None
