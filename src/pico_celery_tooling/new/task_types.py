"""The types that a task names: found in the package, known, or to be made as models."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches
from sys import stdlib_module_names
from typing import Final

from pico_celery_tooling.new.examples import BUILTINS, KNOWN, NoSampleError, Sampler
from pico_celery_tooling.new.names import check_class_name
from pico_celery_tooling.new.plan import Draft, Plan
from pico_celery_tooling.new.project import Found, Project
from pico_celery_tooling.new.python_file import Imported, PythonFile
from pico_celery_tooling.new.source_text import Expression, dotted, names_in, parse_type, prefixed, source
from pico_celery_tooling.output import ToolError

_ALIKE: Final = 0.85
"""How like a known name one has to be to count as misspelt, although it could be a new model; 1 is the same."""
_NEAR: Final = 0.6
_NO_TYPES: Final = frozenset({"Annotated", "Field", "Literal"})
_NO_MODELS: Final = frozenset({"celery", "pico_celery", "pico_ioc", "pydantic", "typing", "typing_extensions"})


@dataclass
class Scope:
    """Where the types of a task come from."""

    project: Project
    module: str
    """Name of the contract's module."""
    file: PythonFile | None
    """The contract's file, if it is there."""
    wanted: Collection[str] = ()
    """Names of models to make although there are others that look alike."""
    found: dict[str, Found] = field(default_factory=dict)
    """The names that were resolved, with where they are imported from."""
    made: list[str] = field(default_factory=list)
    """Names of models and errors to make, in order."""

    def annotation(self, node: ast.expr, role: str) -> str:
        """Return an annotation as it stands in the written files, and remember what its names need."""
        source(node, role)
        return source(self._rewritten(node, role), role)

    def error(self, name: str) -> None:
        """Find or plan the class of a declared error."""
        role = f"--error {name}"
        last = self._name(name, role).rpartition(".")[2]
        found = self.found.get(last)
        if found is not None and not self._is_error(found):
            place = "" if found.file is None else f" ({self.project.shown(found.file.path)})"
            raise ToolError(
                f"{role}: {found.name}{place} is no declared error",
                f"declare it as class {last}(TaskError), with TaskError from pico_celery",
            )

    def _is_error(self, found: Found) -> bool:
        """Return whether a class derives from ``TaskError``, as far as the package shows; others count as errors."""
        if found.file is None or not isinstance(found.node, ast.ClassDef):
            foreign = found.file is None and found.module.partition(".")[0] not in {*_NO_MODELS, *stdlib_module_names}
            return foreign or found.name == "TaskError"
        bases = [dotted(base) or "" for base in found.node.bases]
        if any(base.rpartition(".")[2] == "TaskError" for base in bases):
            return True
        above = [self.project.resolve(found.file, base.partition(".")[0]) for base in bases]
        return any(base is not None and base != found and self._is_error(base) for base in above)

    def default(self, node: ast.expr, role: str) -> None:
        """Find the names of a default, which stay as they were given."""
        for name in sorted(used(node) - BUILTINS):
            made = list(self.made)
            self._name(name, role)
            if self.made != made:
                raise ToolError(f"{role}: the default names {name!r}, which is nothing yet", "leave the default out")

    def _rewritten(self, node: ast.expr, role: str) -> ast.expr:
        """Return the expression with every name as it is called in the contract's file."""
        name = dotted(node)
        if name is not None:
            if name.rpartition(".")[2] in _NO_TYPES:
                raise ToolError(f"{role}: {name} alone is no type", "such as Annotated[int, Field(gt=0)]")
            return self._renamed(name, role)
        match node:
            case ast.Subscript(value=value, slice=inner):
                return ast.Subscript(self._renamed(dotted(value) or "", role), self._inner(value, inner, role))
            case ast.Tuple(elts=elements):
                return ast.Tuple([self._rewritten(element, role) for element in elements])
            case ast.BinOp(left=left, op=operator, right=right):
                return ast.BinOp(self._rewritten(left, role), operator, self._rewritten(right, role))
            case ast.Constant(value=str() as text):  # a type in quotes
                return self._rewritten(parse_type(text, role), role)
            case ast.Constant(value=value) if value is None or value is ...:
                return node
            case _:
                raise ToolError(f"{role}: {source(node, role)} is no type", "such as Receipt or list[int]")

    def _inner(self, origin: ast.expr, inner: ast.expr, role: str) -> ast.expr:
        """Return what stands in the brackets: types, values of a Literal, or a type and what is said of it."""
        kind = (dotted(origin) or "").rpartition(".")[2]
        if kind == "Literal":
            return inner
        if kind != "Annotated" or not isinstance(inner, ast.Tuple):
            return self._rewritten(inner, role)
        marks = [self._mark(mark, role) for mark in inner.elts[1:]]
        return ast.Tuple([self._rewritten(inner.elts[0], role), *marks])

    def _mark(self, node: ast.expr, role: str) -> ast.expr:
        if not isinstance(node, ast.Call):
            return node if isinstance(node, ast.Constant) else self._rewritten(node, role)
        return ast.Call(self._renamed(dotted(node.func) or "", role), node.args, node.keywords)

    def _renamed(self, name: str, role: str) -> ast.expr:
        return ast.parse(self._name(name, role), mode="eval").body

    def _name(self, name: str, role: str) -> str:
        """Resolve a dotted name, and return what it is called in the contract's file."""
        first, _, rest = name.partition(".")
        local = None if self.file is None else self.file.bindings.get(first)
        if isinstance(local, Imported) and local.typing_only:
            assert self.file is not None  # noqa: S101 - it binds the name
            raise ToolError(
                f"{role}: {self.project.shown(self.file.path)}:{local.line} imports {first!r} under TYPE_CHECKING only",
                "import it at run time: the contract reads its annotations when it is declared",
            )
        if local is not None and self.file is not None:
            found = self.project.resolve(self.file, first)
            if found is not None and not (rest and found.name):
                _refuse_no_type(found, role)
                self.found[first] = found
                return name
        if rest:
            return self._dotted(name, role)
        if name in BUILTINS or name in self.made:
            return name
        if name in KNOWN:
            self.found[name] = Found(KNOWN[name], name)
            return name
        return self._of_package(name, role)

    def _dotted(self, name: str, role: str) -> str:
        module, _, last = name.rpartition(".")
        if KNOWN.get(last) == module:
            self.found[last] = Found(module, last)
            return last
        file = self.project.files.get(module)
        if file is not None and last in file.bindings:
            found = self.project.resolve(file, last)
            if found is not None:
                self._use(last, found, role)
                return last
        raise ToolError(
            f"{role}: {name!r} is not known here",
            f"the package {self.project.package} has no {last!r} in a module {module!r}",
        )

    def _of_package(self, name: str, role: str) -> str:
        places = list(self.project.defining(name))
        if len(places) == 1:
            self._use(name, places[0], role)
            return name
        if places:
            known = " and ".join(f"{place.module}.{name}" for place in places)
            raise ToolError(f"{role}: there are {known}", f"say which: {places[0].module}.{name}")
        self._make(name, role)
        return name

    def _use(self, name: str, found: Found, role: str) -> None:
        _refuse_no_type(found, role)
        if found.file is not None and found.module != self.module and self.project.imports(found.file, self.module):
            raise ToolError(
                f"{role}: {name!r} is in {self.project.shown(found.file.path)}, which imports {self.module}",
                f"move {name} to a module that the contract can import",
            )
        self.found[name] = found

    def _make(self, name: str, role: str) -> None:
        known = {*BUILTINS, *KNOWN, *self.names}
        if name not in self.wanted:
            folded = {other.lower(): other for other in sorted(known)}
            alike = _ALIKE if name[:1].isupper() else _NEAR
            close = [folded[other] for other in get_close_matches(name.lower(), folded, n=3, cutoff=alike)]
            if not name[:1].isupper() or close:
                question = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
                how = (
                    f"--model {name} makes it" if name[:1].isupper() else "names of models begin with a capital letter"
                )
                raise ToolError(f"{role}: no type {name!r} is in scope", question + how)
        check_class_name(name, role)
        self.made.append(name)

    @property
    def names(self) -> set[str]:
        """The names of types that the user can have meant: what is to be made, imported by the contract, or a model."""
        found = set(self.made)
        for name, binding in ({} if self.file is None else self.file.bindings).items():
            if isinstance(binding, Imported) and binding.module.partition(".")[0] not in _NO_MODELS:
                found.add(name)
        for file in self.project.files.values():
            found.update(node.name for node in file.classes() if not _is_part(node))
        return {name for name in found if name[:1].isupper()}


def _refuse_no_type(found: Found, role: str) -> None:
    """Refuse what is a name in the package, and no type of data."""
    is_tool = found.name != "" and found.file is None and found.module.partition(".")[0] in _NO_MODELS
    is_part = isinstance(found.node, ast.ClassDef) and _is_part(found.node)
    is_function = isinstance(found.node, (ast.FunctionDef, ast.AsyncFunctionDef))
    if is_part or is_function or (is_tool and KNOWN.get(found.name) is None and found.name[:1].isupper()):
        raise ToolError(f"{role}: {found.name!r} of {found.module} is no type of data", "name a model")


def _is_part(node: ast.ClassDef) -> bool:
    """Return whether a class is a contract, component or client, and no type of data."""
    marks = [decorator.func if isinstance(decorator, ast.Call) else decorator for decorator in node.decorator_list]
    names = {(dotted(mark) or "").rpartition(".")[2] for mark in [*marks, *node.bases]}
    return bool(names & {"contract", "component", "celery", "configured", "factory", "Protocol", "CeleryClient"})


def used(node: ast.expr) -> set[str]:
    """Return the first parts of the names in an expression."""
    return {name.partition(".")[0] for name in names_in(node)}


def resolve_types(plan: Plan, draft: Draft) -> None:
    """Find out where the types of the task come from, and which are to be made."""
    request = plan.request
    scope = Scope(plan.project, draft.file.module, draft.before, request.models)
    plan.annotations = [scope.annotation(parameter.type, parameter.role) for parameter in request.parameters]
    role = f"--returns {request.returns}"
    plan.result = scope.annotation(parse_type(request.returns, role), role)
    plan.models = list(scope.made)
    for parameter in request.parameters:
        if parameter.default is not None:
            scope.default(parameter.default, parameter.role)
    plan.names = dict(scope.found)
    for error in request.errors:
        scope.error(error)
    plan.errors = [error.rpartition(".")[2] for error in request.errors]
    plan.error_names = {name: found for name, found in scope.found.items() if name not in plan.names}
    plan.new_errors = scope.made[len(plan.models) :]
    if plan.contract in scope.made:
        raise ToolError(
            f"{plan.contract} is the name of the contract",
            "call the model something else, or the domain, such as orders",
        )
    unused = set(request.models) - set(scope.made)
    if unused:
        raise ToolError(f"--model {min(unused)}: no parameter, result or error needs it to be made", "leave it out")
    _make_up(plan, draft.file.module)


def _make_up(plan: Plan, module: str) -> None:
    """Make up a result, and arguments of a call."""
    sampler = Sampler(plan.project, frozenset(plan.models), module, plan.names)
    try:
        plan.sample = sampler.of(parse_type(plan.result, "--returns"))
        plan.sample_names = set(sampler.imports)
    except NoSampleError as error:
        plan.notes.append(f"the worker raises NotImplementedError: no {plan.result} can be made up: {error}")
    hidden = {parameter.name for parameter in plan.request.parameters} & {name for _, name in plan.sample_names}
    if hidden:
        plan.sample, plan.sample_names = None, set()
        plan.notes.append(f"the worker raises NotImplementedError: the parameter {min(hidden)} hides a type")
    sampler.imports.clear()
    for parameter, annotation in zip(plan.request.parameters, plan.annotations, strict=True):
        if parameter.default is not None:
            continue
        sample: Expression = "wrong"
        try:
            sample = sampler.of(parse_type(annotation, parameter.role))
        except NoSampleError as error:
            if not plan.refused:
                plan.notes.append(f"the test has no arguments that fit: {parameter.name}: {error}")
            plan.refused = True
        plan.arguments.append(prefixed(f"{parameter.name}=", sample) if parameter.keyword_only else sample)
    plan.argument_names = set(sampler.imports)
