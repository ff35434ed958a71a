"""Figures of the source tree: `python -m benchmarks.layout` prints each beside the bound that holds today and the one that is wanted."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SRC: Final = Path(__file__).parents[1] / "src"
RUNTIME: Final = "pico_celery"
TOO_SMALL: Final = 20


@dataclass(frozen=True, slots=True)
class Module:
    """A module of the source tree.

    Attributes:
        name: Its dotted name.
        is_package: Whether it is an ``__init__``.
        text: Its source.
        tree: Its syntax tree.
    """

    name: str
    is_package: bool
    text: str
    tree: ast.Module

    @property
    def is_runtime(self) -> bool:
        """Whether it is in the package that workers and clients import."""
        return self.name.split(".")[0] == RUNTIME

    @property
    def lines(self) -> int:
        """How many lines it has."""
        return len(self.text.splitlines())

    @property
    def code_lines(self) -> int:
        """How many of them are neither blank nor a comment nor part of a docstring."""
        documented = {line for node in ast.walk(self.tree) for line in _docstring_lines(node)}
        lines = enumerate(self.text.splitlines(), start=1)
        return sum(bool(text.strip()) and text.strip()[0] != "#" and number not in documented for number, text in lines)


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a figure may be.

    Attributes:
        today: Held by a test; it only ever shrinks.
        wanted: Where the renovation is to end.
    """

    today: int
    wanted: int


BOUNDS: Final = {
    "modules, runtime package": Bound(111, 110),
    "modules, all": Bound(186, 200),
    "lines, runtime package": Bound(18900, 19000),
    "lines, all": Bound(33400, 30000),
    "modules with exactly one importer": Bound(28, 25),
    "modules below 20 lines of code": Bound(0, 0),
    "modules in a circle of imports": Bound(0, 0),
    "class names used twice": Bound(0, 0),
    "Any per 1000 lines, runtime package": Bound(27, 30),
    "type: ignore": Bound(42, 30),
}


def _docstring_lines(node: ast.AST) -> range:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
        return range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    return range(0)


def modules() -> dict[str, Module]:
    """Return the modules of the source tree by name."""
    found = {}
    for path in sorted(SRC.rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        text = path.read_text()
        found[name] = Module(name, is_package, text, ast.parse(text))
    return found


def imports(found: dict[str, Module]) -> dict[str, set[str]]:
    """Return which modules of the tree each one imports, lazily and for type checkers included."""
    return {name: set(_imported(module, found)) - {name} for name, module in found.items()}


def _imported(module: Module, found: dict[str, Module]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module in found:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in found else node.module for name in submodules)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in found)


def circles(arrows: dict[str, set[str]]) -> list[set[str]]:
    """Return the groups of modules that import each other."""
    reached = {name: _reachable(name, arrows) for name in arrows}
    groups = {frozenset({name, *(other for other in reached[name] if name in reached[other])}) for name in arrows}
    return [set(group) for group in groups if len(group) > 1]


def _reachable(start: str, arrows: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in arrows[waiting.pop()] - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def repeated_class_names(found: dict[str, Module]) -> dict[str, list[str]]:
    """Return the class names that more than one module defines, with those modules."""
    homes = defaultdict(list)
    for module in found.values():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(module.name)
    return {name: where for name, where in homes.items() if len(where) > 1}


def figures() -> dict[str, int]:
    """Return the figures of today, by the names of `BOUNDS`."""
    found = modules()
    arrows = imports(found)
    importers = Counter(target for targets in arrows.values() for target in targets)
    runtime = [module for module in found.values() if module.is_runtime]
    lines = sum(module.lines for module in runtime)
    any_count = sum(len(re.findall(r"\bAny\b", module.text)) for module in runtime)
    return {
        "modules, runtime package": len(runtime),
        "modules, all": len(found),
        "lines, runtime package": lines,
        "lines, all": sum(module.lines for module in found.values()),
        "modules with exactly one importer": sum(
            importers[name] == 1 for name, module in found.items() if not module.is_package
        ),
        "modules below 20 lines of code": sum(
            module.code_lines < TOO_SMALL for module in found.values() if not module.is_package
        ),
        "modules in a circle of imports": sum(map(len, circles(arrows))),
        "class names used twice": len(repeated_class_names(found)),
        "Any per 1000 lines, runtime package": round(1000 * any_count / lines),
        "type: ignore": sum(module.text.count("type: ignore") for module in found.values()),
    }


def main() -> None:
    """Print each figure with its bounds."""
    print(f"{'':40}{'now':>8}{'bound':>8}{'wanted':>8}")
    for name, value in figures().items():
        print(f"{name:40}{value:8}{BOUNDS[name].today:8}{BOUNDS[name].wanted:8}")
    for name, where in sorted(repeated_class_names(modules()).items()):
        print(f"twice: {name}: {', '.join(where)}")


if __name__ == "__main__":
    main()
