"""Where a package is: by its name, by its directory, or as the only one that there is."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from pico_celery.contract.naming import did_you_mean
from pico_celery_tooling.new.names import check_package_name
from pico_celery_tooling.output import ToolError

_NO_PACKAGES = frozenset({"tests", "test", "docs", "examples", "build", "dist", "node_modules", "src"})


@dataclass(frozen=True, slots=True)
class Location:
    """A package or module in a directory.

    Attributes:
        base: The directory from which it is imported.
        package: Its name, as it is imported.
    """

    base: Path
    package: str

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
    """Find the package that is meant.

    Args:
        root: The working directory.
        text: Its name, or its directory.
        option: Which option says so, for messages.

    Returns:
        It; it need not exist.

    Raises:
        ToolError: If it cannot be one.
    """
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


def only_package(root: Path) -> Location:
    """Return the only package that there is.

    Args:
        root: The working directory.

    Returns:
        It.

    Raises:
        ToolError: If there is none, or more than one.
    """
    there = {found.package: found for found in packages(root)}
    if len(there) == 1:
        return next(iter(there.values()))
    remedy = did_you_mean("", there) if there else "there is none yet: --into shop makes one"
    raise ToolError("which package does the task go into?", f"name it with --into; {remedy}")


def packages(root: Path) -> list[Location]:
    """Return the packages that are in a directory, or in ``src`` in it."""
    return [
        Location(base, entry.name)
        for base in _bases(root)
        for entry in sorted(base.iterdir())
        if entry.is_dir() and entry.name not in _NO_PACKAGES and (entry / "__init__.py").is_file()
    ]


def modules(root: Path) -> list[Location]:
    """Return the single modules that are in a directory, or in ``src`` in it."""
    return [
        Location(base, path.stem)
        for base in _bases(root)
        for path in sorted(base.glob("*.py"))
        if path.stem.isidentifier()
    ]


def _bases(root: Path) -> list[Path]:
    return [root / "src", root] if (root / "src").is_dir() else [root]


def _is_plain(directory: Path) -> bool:
    """Tell whether it is a directory that packages are in, and none itself."""
    return (directory.is_dir() and not (directory / "__init__.py").exists()) or directory.name == "src"


def _refuse_foreign(base: Path, top: str, subject: str) -> None:
    """Refuse a package that would hide one that is installed."""
    if (base / top).exists() or (base / f"{top}.py").exists():
        return
    spec = PathFinder.find_spec(top)
    if spec is not None and spec.origin is not None and not Path(spec.origin).is_relative_to(base):
        raise ToolError(
            f"{subject} is not in this directory, and {top!r} is installed: {spec.origin}",
            "choose another name, or run it where that package is",
        )
