"""`Plan`: what is going to be written, as drafts of files, and the class that each part goes into."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pico_celery_tooling.new.editing import add_definition, add_import, add_member, add_module_import
from pico_celery_tooling.new.existing import ClassLocation, client_of, contract_of, worker_of
from pico_celery_tooling.new.names import TaskName
from pico_celery_tooling.new.project import Found, Project
from pico_celery_tooling.new.python_file import Defined, Imported, PythonFile
from pico_celery_tooling.new.request import Request
from pico_celery_tooling.new.source_text import Expression, docstring
from pico_celery_tooling.output import ToolError


@dataclass
class Draft:
    """A file as it is to be."""

    file: PythonFile
    """With all that was added so far."""
    before: PythonFile | None
    """As it is on the disk; ``None`` if it is not there."""
    added: list[str] = field(default_factory=list)
    """What was added, for people."""


@dataclass
class Drafts:
    """All files that a command writes."""

    project: Project
    drafts: dict[Path, Draft] = field(default_factory=dict)
    """By path, in the order in which they were opened."""

    def open(self, path: Path, module: str, doc: str) -> Draft:
        """Open a file that is there, or begin it."""
        if path not in self.drafts:
            before = PythonFile.read(path, module) if path.exists() else None
            fresh = PythonFile(path, module, docstring(doc, width=self.project.width) + "\n")
            self.drafts[path] = Draft(before or fresh, before)
        return self.drafts[path]

    def packages(self, module: str) -> None:
        """Begin the packages above a module, as far as they are not there."""
        parts = module.split(".")[:-1]
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            path = self.project.path_of(name, package=True)
            is_namespace = path.parent.is_dir() and count < len(parts)
            if not path.exists() and not is_namespace and path not in self.drafts:
                title = (
                    f"The package ``{name}``." if count == 1 else f"{parts[count - 1].capitalize()} of ``{parts[0]}``."
                )
                self.open(path, name, title).added.append("the package")

    def require(self, draft: Draft, local: str, found: Found) -> None:
        """Have a name in a file."""
        if found.module == draft.file.module:
            return
        binding = draft.file.bindings.get(local)
        if binding is not None:
            self._refuse_other(draft, local, binding, found)
            return
        first_party = self.project.first_party(draft.file.module)
        if found.name == "":
            text = add_module_import(draft.file.text, found.module, local, first_party=first_party)
        else:
            name = found.name if found.name == local else f"{found.name} as {local}"
            text = add_import(draft.file.text, found.module, name, first_party=first_party, width=self.project.width)
        draft.file = replace(draft.file, text=text)

    def require_all(self, draft: Draft, names: Iterable[tuple[str, str]]) -> None:
        """Have names in a file, each given as module and name, or ``name as other``."""
        for module, text in sorted(names):
            name, _, local = text.partition(" as ")
            self.require(draft, local or name, Found(module, name))

    def _refuse_other(self, draft: Draft, local: str, binding: Imported | Defined, found: Found) -> None:
        place = f"{self.project.shown(draft.file.path)}:{binding.line}"
        if isinstance(binding, Imported) and binding.typing_only:
            raise ToolError(
                f"{place} imports {local!r} under TYPE_CHECKING only, and it is needed at run time",
                "move that import out of the if",
            )
        there = self.project.resolve(draft.file, local)
        if there is None or (there.module, there.name) != (found.module, found.name):
            raise ToolError(
                f"{place}: {local!r} is something else there than {found.module}.{found.name or local}",
                "rename one of them",
            )

    def member(self, draft: Draft, class_name: str, block: str, *, blank: bool = True) -> None:
        """Put a member at the end of a class."""
        draft.file = replace(draft.file, text=add_member(draft.file.text, class_name, block, blank=blank))

    def define(self, draft: Draft, block: str, *, before: str | None = None) -> None:
        """Put a class or function into a file."""
        draft.file = replace(draft.file, text=add_definition(draft.file.text, block, before=before))

    def append(self, draft: Draft, block: str) -> None:
        """Put statements at the end of a file, after a blank line."""
        draft.file = replace(draft.file, text=f"{draft.file.text.rstrip()}\n\n{block}\n")


@dataclass
class Plan:
    """What is going to be written."""

    project: Project
    request: Request
    """What was asked for."""
    drafts: Drafts
    contract_module: str = ""
    """Name of the module of the contract."""
    contract: str = ""
    """Name of its class."""
    queue: str | None = None
    """Its queue: what was asked for, or that of the contract's other tasks."""
    annotations: list[str] = field(default_factory=list)
    """The types of the parameters, as they stand in the files."""
    result: str = "None"
    """The type of the result."""
    errors: list[str] = field(default_factory=list)
    """The classes of the errors."""
    names: dict[str, Found] = field(default_factory=dict)
    """Where the names of these types and of the defaults are from, by what they are called."""
    error_names: dict[str, Found] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    """The models that are new."""
    new_errors: list[str] = field(default_factory=list)
    """The errors that are new."""
    sample: Expression | None = None
    """What the worker returns until it is written; ``None`` where nothing can be made up."""
    sample_names: set[tuple[str, str]] = field(default_factory=set)
    """What that needs, as module and name."""
    arguments: list[Expression] = field(default_factory=list)
    """Of the call in the test."""
    argument_names: set[tuple[str, str]] = field(default_factory=set)
    refused: bool = False
    """Whether the test's arguments do not fit, since none that fit could be made up."""
    worker: str = ""
    """The method that does the task, such as ``OrdersWorker.place``."""
    worker_module: str = ""
    """Name of its module."""
    client: str = ""
    """Name of the client's class."""
    client_module: str = ""
    """Name of its module."""
    application: str | None = None
    """The Celery application as ``celery -A`` takes it; ``None`` if none is known."""
    test_path: Path = Path()
    """The file of the test."""
    notes: list[str] = field(default_factory=list)
    """What the user should know."""

    @property
    def name(self) -> TaskName:
        """The task's name."""
        return self.request.name

    @property
    def width(self) -> int:
        """Characters of a line."""
        return self.project.width

    @property
    def made(self) -> list[str]:
        """The classes that are new."""
        return [*self.models, *self.new_errors]


_DECORATORS: Final = {"workers": "component", "clients": "celery"}


def conventional(plan: Plan, kind: str) -> Draft:
    """Open the file for a kind of code: a single module of that name if there is one, or one for the domain."""
    single = f"{plan.project.package}.{kind}"
    module = single if plan.project.path_of(single).exists() else f"{single}.{plan.name.module}"
    apart = plan.project.contracts
    if kind == "contracts" and apart is not None:
        module = apart.package if apart.is_module else f"{apart.package}.{plan.name.module}"
    plan.drafts.packages(module)
    return plan.drafts.open(plan.project.path_of(module), module, f"{kind.capitalize()} of ``{plan.name.domain}``.")


def place_of(plan: Plan, kind: str, there: ClassLocation | None, class_name: str) -> tuple[Draft, ClassLocation | None]:
    """Return the file that a worker or client goes into, and the class that it extends."""
    if there is None:
        near = _other_version(plan, kind)
        draft = conventional(plan, kind) if near is None else plan.drafts.open(near.path, near.module, "")
        node = None if draft.before is None else draft.before.class_named(class_name)
        if draft.before is None or node is None or not _is_marked(node, _DECORATORS[kind]):
            refuse_taken(plan, draft, class_name)
            return draft, None
        there = ClassLocation(file=draft.before, name=class_name)
    for member in there.node.body:
        if plan.name.action in bound_by(member):
            raise ToolError(
                f"{plan.project.shown(there.file.path)}:{member.lineno}: {there.name} has a {plan.name.action!r} already",
                "rename it, or choose another action",
            )
    return plan.drafts.open(there.file.path, there.file.module, ""), there


def _is_marked(node: ast.ClassDef, decorator: str) -> bool:
    return decorator in {ast.unparse(found).partition("(")[0] for found in node.decorator_list}


def _other_version(plan: Plan, kind: str) -> PythonFile | None:
    """Return the file that has the worker or client of an earlier version of the contract."""
    find = worker_of if kind == "workers" else client_of
    for version in range(plan.name.version - 1, 0, -1):
        name = type(plan.name)(domain=plan.name.domain, version=version, action=plan.name.action)
        found = find(plan.project, name, contract_of(plan.project, name))
        if found is not None:
            return found.file
    return None


def refuse_taken(plan: Plan, draft: Draft, name: str) -> None:
    """Refuse to define a name that a file has."""
    binding = draft.file.bindings.get(name)
    if binding is not None:
        what = "defined" if isinstance(binding, Defined) else "imported"
        raise ToolError(
            f"{plan.project.shown(draft.file.path)}:{binding.line}: {name} is {what} there already",
            "rename it, or choose another name for the task",
        )


def contract_in(plan: Plan, draft: Draft) -> str:
    """Have the contract's class in a file, and return what it is called there."""
    for local in draft.file.bindings:
        found = plan.project.resolve(draft.file, local)
        if found is not None and (found.module, found.name) == (plan.contract_module, plan.contract):
            return local
    plan.drafts.require(draft, plan.contract, Found(plan.contract_module, plan.contract))
    return plan.contract


def bound_by(member: ast.stmt) -> set[str]:
    """Return the names that a member of a class has."""
    match member:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()
