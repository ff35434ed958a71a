"""The types that a task names: known, found in the package, or to be made as models."""

from __future__ import annotations

import ast
import builtins
import importlib
import keyword
from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from sys import stdlib_module_names
from typing import Final

from pico_celery_tooling.new.project import Found, Project
from pico_celery_tooling.new.python_file import Imported, PythonFile, dotted, last_name, names_in, parse_type, source
from pico_celery_tooling.output import ToolError

BUILTINS: Final = frozenset(
    ["bool", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple", "None"]
)
"""Types that need no import."""
_MODULES: Final = {
    "collections.abc": "Mapping Sequence",
    "datetime": "date datetime time timedelta",
    "decimal": "Decimal",
    "ipaddress": "IPv4Address IPv6Address",
    "pathlib": "Path",
    "pydantic": "AnyUrl AwareDatetime Field HttpUrl JsonValue NonNegativeFloat NonNegativeInt PositiveFloat PositiveInt"
    " SecretBytes SecretStr",
    "typing": "Annotated Any Literal",
    "uuid": "UUID",
}
KNOWN: Final = {name: module for module, names in _MODULES.items() for name in names.split()}
"""Types that are imported, with their modules."""
TAKEN: Final = frozenset(
    ["Protocol", "BaseModel", "TaskError", "CeleryClient", "Celery", "Iterator", "DictSource", "EnvSource", "Field"]
)
"""Class names that the written files import themselves."""

_ALIKE: Final = 0.85
"""How similar to a known name one must be to count as misspelt although it could be a new model; 1 is equal."""
_NEAR: Final = 0.6
_FORMS: Final = frozenset({"Annotated", "Field", "Literal"})
_FRAMEWORKS: Final = frozenset({"celery", "pico_celery", "pico_ioc", "pydantic", "typing", "typing_extensions"})
_PARTS: Final = frozenset(["contract", "component", "celery", "configured", "factory", "Protocol", "CeleryClient"])


def namespace() -> dict[str, object]:
    """Return all types that are known without the package, by name, to evaluate annotations."""
    found: dict[str, object] = {name: getattr(builtins, name) for name in BUILTINS - {"None"}}
    found.update({name: getattr(importlib.import_module(module), name) for name, module in KNOWN.items()})
    return found


@dataclass
class Scope:
    """Where the types of a task are from."""

    project: Project
    module: str
    """Name of the contract's module."""
    file: PythonFile | None
    """The contract's file; ``None`` if there is none."""
    wanted: Collection[str] = ()
    """Models to make although there are similar names."""
    found: dict[str, Found] = field(default_factory=dict)
    """Names that were resolved, with where they are imported from."""
    made: list[str] = field(default_factory=list)
    """Names of models and errors to make, in order."""

    def annotation(self, node: ast.expr, role: str) -> str:
        """Return an annotation with its names as the contract's file has them."""
        source(node, role)
        return source(self._rewritten(node, role), role)

    def error(self, name: str) -> str:
        """Find or plan the class of a declared error, and return its name."""
        role = f"--error {name}"
        last = self._name(name, role).rpartition(".")[2]
        found = self.found.get(last)
        if found is not None and not self._is_error(found):
            place = "" if found.file is None else f" ({self.project.shown(found.file.path)})"
            raise ToolError(
                f"{role}: {found.name}{place} is not a declared error",
                f"declare it as class {last}(TaskError), with TaskError from pico_celery",
            )
        return last

    def _is_error(self, found: Found) -> bool:
        """Return whether a class derives from ``TaskError``; a class of another package counts as an error."""
        if found.file is None or not isinstance(found.node, ast.ClassDef):
            foreign = found.file is None and found.module.partition(".")[0] not in {*_FRAMEWORKS, *stdlib_module_names}
            return foreign or found.name == "TaskError"
        if any(last_name(base) == "TaskError" for base in found.node.bases):
            return True
        above = [self.project.resolve(found.file, dotted(base).partition(".")[0]) for base in found.node.bases]
        return any(base is not None and base != found and self._is_error(base) for base in above)

    def default(self, node: ast.expr, role: str) -> None:
        """Find the names in a default, which is not changed."""
        for name in sorted({name.partition(".")[0] for name in names_in(node)} - BUILTINS):
            made = len(self.made)
            self._name(name, role)
            if len(self.made) > made:
                raise ToolError(
                    f"{role}: the default names {name!r}, which does not exist yet", "leave the default out"
                )

    def _rewritten(self, node: ast.expr, role: str) -> ast.expr:
        """Return an expression with every name as the contract's file has it."""
        if name := dotted(node):
            if name.rpartition(".")[2] in _FORMS:
                raise ToolError(f"{role}: {name} alone is not a type", "such as Annotated[int, Field(gt=0)]")
            return self._renamed(name, role)
        match node:
            case ast.Subscript(value=value, slice=inner):
                return ast.Subscript(self._renamed(dotted(value), role), self._inner(last_name(value), inner, role))
            case ast.Tuple(elts=elements):
                return ast.Tuple([self._rewritten(element, role) for element in elements])
            case ast.BinOp(left=left, op=operator, right=right):
                return ast.BinOp(self._rewritten(left, role), operator, self._rewritten(right, role))
            case ast.Constant(value=str() as text):  # a type in quotes
                return self._rewritten(parse_type(text, role), role)
            case ast.Constant(value=value) if value is None or value is ...:
                return node
            case _:
                raise ToolError(f"{role}: {source(node, role)} is not a type", "such as Receipt or list[int]")

    def _inner(self, origin: str, inner: ast.expr, role: str) -> ast.expr:
        """Return the content of brackets: types, the values of a Literal, or a type and its marks."""
        if origin == "Literal":
            return inner
        if origin == "Annotated" and isinstance(inner, ast.Tuple):
            marks = [self._mark(mark, role) for mark in inner.elts[1:]]
            return ast.Tuple([self._rewritten(inner.elts[0], role), *marks])
        return self._rewritten(inner, role)

    def _mark(self, node: ast.expr, role: str) -> ast.expr:
        if isinstance(node, ast.Call):
            return ast.Call(self._renamed(dotted(node.func), role), node.args, node.keywords)
        return node if isinstance(node, ast.Constant) else self._rewritten(node, role)

    def _renamed(self, name: str, role: str) -> ast.expr:
        return parse_type(self._name(name, role), role)

    def _name(self, name: str, role: str) -> str:
        """Resolve a dotted name, and return it as the contract's file has it."""
        first, _, rest = name.partition(".")
        local = None if self.file is None else self.file.bindings.get(first)
        if self.file is not None and local is not None:
            if isinstance(local, Imported) and local.typing_only:
                place = f"{self.project.shown(self.file.path)}:{local.line}"
                raise ToolError(
                    f"{role}: {place} imports {first!r} under TYPE_CHECKING only",
                    "import it at run time: the contract reads its annotations when it is declared",
                )
            found = self.project.resolve(self.file, first)
            if found is not None and not (rest and found.name):
                _refuse_no_data(found, role)
                self.found[first] = found
                return name
        if rest:
            return self._dotted(name, role)
        if name in BUILTINS or name in self.made:
            return name
        if name in KNOWN:
            self.found[name] = Found(KNOWN[name], name)
            return name
        places = list(self.project.defining(name))
        if len(places) > 1:
            known = " and ".join(f"{place.module}.{name}" for place in places)
            raise ToolError(f"{role}: there are {known}", f"give one of them: {places[0].module}.{name}")
        if places:
            self._use(name, places[0], role)
        else:
            self._make(name, role)
        return name

    def _dotted(self, name: str, role: str) -> str:
        module, _, last = name.rpartition(".")
        if KNOWN.get(last) == module:
            self.found[last] = Found(module, last)
            return last
        file = self.project.files.get(module)
        found = None if file is None else self.project.resolve(file, last)
        if found is None:
            raise ToolError(
                f"{role}: {name!r} is not known here",
                f"the package {self.project.package} has no {last!r} in a module {module!r}",
            )
        self._use(last, found, role)
        return last

    def _use(self, name: str, found: Found, role: str) -> None:
        _refuse_no_data(found, role)
        if found.file is not None and found.module != self.module and self.project.imports(found.file, self.module):
            raise ToolError(
                f"{role}: {name!r} is in {self.project.shown(found.file.path)}, which imports {self.module}",
                f"move {name} to a module that the contract can import",
            )
        self.found[name] = found

    def _make(self, name: str, role: str) -> None:
        """Plan a new class, unless its name looks like a mistake."""
        is_class = name[:1].isupper()
        if name not in self.wanted:
            folded = {other.lower(): other for other in sorted({*BUILTINS, *KNOWN, *self._names()})}
            matches = get_close_matches(name.lower(), folded, n=3, cutoff=_ALIKE if is_class else _NEAR)
            if not is_class or matches:
                question = f"did you mean {' or '.join(repr(folded[other]) for other in matches)}? " if matches else ""
                how = f"--model {name} makes it" if is_class else "names of models begin with a capital letter"
                raise ToolError(f"{role}: no type {name!r} is in scope", question + how)
        if not name.isidentifier() or keyword.iskeyword(name):
            raise ToolError(f"{role}: {name!r} is not the name of a class", "such as 'PaymentDeclined'")
        if name in TAKEN:
            raise ToolError(f"{role}: {name!r} is a name that the written files import", "choose another one")
        self.made.append(name)

    def _names(self) -> set[str]:
        """Return the classes that the user may have meant: new, imported by the contract, or in the package."""
        found = set(self.made)
        for name, binding in ({} if self.file is None else self.file.bindings).items():
            if isinstance(binding, Imported) and binding.module.partition(".")[0] not in _FRAMEWORKS:
                found.add(name)
        for file in self.project.files.values():
            found.update(node.name for node in file.classes() if not _is_part(node))
        return {name for name in found if name[:1].isupper()}


def _refuse_no_data(found: Found, role: str) -> None:
    """Refuse what is not a type of data."""
    is_tool = found.name != "" and found.file is None and found.module.partition(".")[0] in _FRAMEWORKS
    is_part = isinstance(found.node, ast.ClassDef) and _is_part(found.node)
    is_function = isinstance(found.node, ast.FunctionDef | ast.AsyncFunctionDef)
    if is_part or is_function or (is_tool and found.name not in KNOWN and found.name[:1].isupper()):
        raise ToolError(f"{role}: {found.name!r} of {found.module} is not a type of data", "name a model")


def _is_part(node: ast.ClassDef) -> bool:
    """Return whether a class is a contract, a component or a client."""
    return any(last_name(mark) in _PARTS for mark in [*node.decorator_list, *node.bases])
