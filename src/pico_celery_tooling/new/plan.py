"""What ``new`` writes: for each part of a task, the file it goes into, its text, and what it needs there."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pico_celery_tooling.new.drafts import Draft, Drafts
from pico_celery_tooling.new.examples import NEW_FIELD, Examples, NoExampleError
from pico_celery_tooling.new.existing import (
    ClassLocation,
    application_of,
    client_of,
    contract_of,
    file_of_domain,
    queue_of,
    task_named,
    worker_of,
)
from pico_celery_tooling.new.project import Found, Project, modules, packages
from pico_celery_tooling.new.python_file import Defined, PythonFile, bound_by, last_name, names_in, parse_type
from pico_celery_tooling.new.rendering import render
from pico_celery_tooling.new.request import Request, TaskName
from pico_celery_tooling.new.task_types import Scope
from pico_celery_tooling.output import ToolError

_NOT_WRITTEN: Final = "not written yet"
"""What a worker raises if its result cannot be made up."""
_Find = Callable[[Project, TaskName, ClassLocation | None], ClassLocation | None]


@dataclass
class TaskTypes:
    """The types of a task, and example values for them."""

    annotations: list[str]
    """Types of the parameters, as the files have them."""
    result: str
    errors: list[str]
    """Classes of the declared errors."""
    names: dict[str, Found]
    """Where the names in these types and in the defaults are from."""
    error_names: dict[str, Found]
    models: list[str]
    """New models."""
    new_errors: list[str]
    """New errors."""
    example: str | None = None
    """A result; ``None`` if none can be made up."""
    example_names: set[tuple[str, str]] = field(default_factory=set)
    """What the example needs, as module and name."""
    arguments: list[str] = field(default_factory=list)
    """Of the call in the test."""
    argument_names: set[tuple[str, str]] = field(default_factory=set)
    is_refused: bool = False
    """Whether the arguments do not fit, because none could be made up."""


@dataclass
class Plan:
    """What is going to be written."""

    project: Project
    request: Request
    drafts: Drafts
    contract: str
    """Name of the contract's class."""
    contract_module: str
    types: TaskTypes
    queue: str | None
    """The queue that was asked for, or that of the contract's other tasks."""
    worker: str = ""
    """The method that does the task, such as ``OrdersWorker.place``."""
    worker_module: str = ""
    client: str = ""
    """Name of the client's class."""
    client_module: str = ""
    application: str | None = None
    """The Celery application as ``celery -A`` takes it; ``None`` if none is known."""
    test_path: Path = Path()
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> TaskName:
        """The task's name."""
        return self.request.name

    @property
    def new_classes(self) -> list[str]:
        """The models and errors that are new."""
        return [*self.types.models, *self.types.new_errors]

    def render(self, template: str, **values: object) -> str:
        """Render a template with the names of the task."""
        types = self.types
        return render(
            template,
            width=self.project.width,
            task=self.name,
            contract=self.contract,
            client=self.client,
            fixture=self.name.fixture,
            parameters=self.request.signature(types.annotations),
            result=types.result,
            example=types.example,
            not_written=_NOT_WRITTEN,
            **values,
        )


def plan_task(project: Project, request: Request) -> Plan:
    """Find out what is to be written."""
    there = contract_of(project, request.name)
    _refuse_twin(project, request.name, there)
    drafts = Drafts(project)
    draft = _contract_draft(drafts, request.name, there)
    contract = request.name.contract if there is None else there.name
    notes: list[str] = []
    plan = Plan(
        project=project,
        request=request,
        drafts=drafts,
        contract=contract,
        contract_module=draft.file.module,
        types=_types(project, request, draft, contract, notes),
        queue=request.queue or (None if there is None else queue_of(there)),
        notes=notes,
    )
    _write_contract(plan, draft, there)
    _write_worker(plan, there)
    _write_client(plan, there)
    _write_test(plan, _write_application(plan))
    drafts.finish()
    for written in drafts.by_path.values():
        written.file.tree  # noqa: B018 - what is written has to be Python
    return plan


def _refuse_twin(project: Project, name: TaskName, contract: ClassLocation | None) -> None:
    """Refuse a task that exists."""
    for member in [] if contract is None else contract.node.body:
        if contract is not None and name.action in bound_by(member):
            raise ToolError(
                f"{name.full} is there already: {project.shown(contract.file.path)}:{member.lineno}, "
                f"{contract.name}.{name.action}",
                "choose another name, or a new version of the contract: "
                f"{replace(name, version=name.version + 1).full}",
            )
    twin = task_named(project, name.full)
    if twin is not None:
        raise ToolError(
            f"{name.full} is there already: {project.shown(twin[0].path)}:{twin[1]} gives a task this name",
            "choose another name",
        )


def _contract_draft(drafts: Drafts, name: TaskName, there: ClassLocation | None) -> Draft:
    file = file_of_domain(drafts.project, name.domain) if there is None else there.file
    if file is None:
        _refuse_elsewhere(drafts.project, name)
        return _conventional(drafts, name, "contracts")
    return drafts.open(file.path, file.module)


def _refuse_elsewhere(project: Project, name: TaskName) -> None:
    """Refuse to begin a contract that another package or module here has."""
    for place in [*packages(project.root), *modules(project.root)]:
        if place in {project.home, project.contracts}:
            continue
        other = Project(project.root, place)
        try:
            file = file_of_domain(other, name.domain)
        except ToolError:  # a file of somebody else that cannot be read is not in the way
            continue
        if file is not None:
            raise ToolError(
                f"{other.shown(file.path)} has a contract {name.domain!r}",
                f"name that package: --contracts {place.package}",
            )


def _conventional(drafts: Drafts, name: TaskName, kind: str) -> Draft:
    """Open the file for a kind of code: the single module of that kind if there is one, or the domain's."""
    project = drafts.project
    single = f"{project.package}.{kind}"
    module = single if project.path_of(single).exists() else f"{single}.{name.module}"
    apart = project.contracts
    if kind == "contracts" and apart is not None:
        module = apart.package if apart.is_module else f"{apart.package}.{name.module}"
    drafts.packages(module)
    return drafts.open(project.path_of(module), module, f"{kind.capitalize()} of ``{name.domain}``.")


def _types(project: Project, request: Request, draft: Draft, contract: str, notes: list[str]) -> TaskTypes:
    """Find out where the types of the task are from, and which are to be made."""
    scope = Scope(project, draft.file.module, draft.before, request.models)
    annotations = [scope.annotation(parameter.type, parameter.role) for parameter in request.parameters]
    role = f"--returns {request.returns}"
    result = scope.annotation(parse_type(request.returns, role), role)
    models = list(scope.made)
    for parameter in request.parameters:
        if parameter.default is not None:
            scope.default(parameter.default, parameter.role)
    names = dict(scope.found)
    types = TaskTypes(
        annotations=annotations,
        result=result,
        errors=[scope.error(error) for error in request.errors],
        names=names,
        error_names={name: found for name, found in scope.found.items() if name not in names},
        models=models,
        new_errors=scope.made[len(models) :],
    )
    if contract in scope.made:
        raise ToolError(
            f"{contract} is the name of the contract", "call the model something else, or the domain, such as orders"
        )
    unused = set(request.models) - set(scope.made)
    if unused:
        raise ToolError(f"--model {min(unused)}: no parameter, result or error needs it to be made", "leave it out")
    _make_up(project, request, draft.file.module, types, notes)
    return types


def _make_up(project: Project, request: Request, module: str, types: TaskTypes, notes: list[str]) -> None:
    """Make up a result, and arguments of a call."""
    examples = Examples(project, frozenset(types.models), module, types.names)
    try:
        types.example = examples.of(parse_type(types.result, "--returns"))
        types.example_names = set(examples.imports)
    except NoExampleError as error:
        notes.append(f"the worker raises NotImplementedError: no {types.result} can be made up: {error}")
    hidden = {parameter.name for parameter in request.parameters} & {name for _, name in types.example_names}
    if hidden:
        types.example, types.example_names = None, set()
        notes.append(f"the worker raises NotImplementedError: the parameter {min(hidden)} hides a type")
    examples.imports.clear()
    for parameter, annotation in zip(request.parameters, types.annotations, strict=True):
        if parameter.default is not None:
            continue
        try:
            example = examples.of(parse_type(annotation, parameter.role))
        except NoExampleError as error:
            if not types.is_refused:
                notes.append(f"the test has no arguments that fit: {parameter.name}: {error}")
            example, types.is_refused = "wrong", True
        types.arguments.append(f"{parameter.name}={example}" if parameter.keyword_only else example)
    types.argument_names = set(examples.imports)


def _write_contract(plan: Plan, draft: Draft, there: ClassLocation | None) -> None:
    """Write the method of the contract, and the models and errors that it needs."""
    drafts, name, types = plan.drafts, plan.name, plan.types
    for base, summary, classes in (
        ("BaseModel", f"Data that ``{name.full}`` takes or returns.", types.models),
        ("TaskError", f"A declared error of ``{name.full}``.", types.new_errors),
    ):
        kind, type_name, _ = NEW_FIELD[base]
        for new in classes:
            _refuse_taken(plan, draft, new)
            text = plan.render("class", name=new, base=base, summary=summary, field=kind, type=type_name)
            drafts.define(draft, text, before=None if there is None else there.name)
    options = [] if plan.queue is None else [f"queue={_quoted(plan.queue)}"]
    options += [f"errors=[{', '.join(types.errors)}]"] if types.errors else []
    block = plan.render(
        "contract",
        is_new=there is None,
        options=options,
        summary=plan.request.doc or f"Do ``{name.action}``. Describe here what callers can rely on.",
        raises=["\n".join(["Raises:", *(f"    {error}: Say when." for error in types.errors)])] if types.errors else [],
    )
    needed = {("pico_celery", "task_options")} if options else set()
    needed |= {("pydantic", "BaseModel")} if types.models else set()
    needed |= {("pico_celery", "TaskError")} if types.new_errors else set()
    if there is None:
        _refuse_taken(plan, draft, plan.contract)
        drafts.define(draft, block)
        needed |= {("pico_celery", "contract"), ("typing", "Protocol")}
    else:
        drafts.member(draft, plan.contract, block)
    draft.added += [f"{plan.contract}.{name.action}", *plan.new_classes]
    drafts.require_all(draft, needed)
    for local, found in {**types.names, **types.error_names}.items():
        drafts.require(draft, local, found)


def _write_worker(plan: Plan, contract: ClassLocation | None) -> None:
    """Write the method of the worker."""
    drafts, types = plan.drafts, plan.types
    draft, worker = _write_part(plan, "worker", worker_of, contract, {("pico_ioc", "component")})
    plan.worker, plan.worker_module = f"{worker}.{plan.name.action}", draft.file.module
    mentioned = {name for text in [*types.annotations, types.result] for name in names_in(parse_type(text, ""))}
    models = {(plan.contract_module, model) for model in types.models if model in mentioned}
    drafts.require_all(draft, {("pico_celery", "task"), *models})
    for name, found in types.names.items():
        drafts.require(draft, name, found)
    drafts.require_all(draft, types.example_names)


def _write_client(plan: Plan, contract: ClassLocation | None) -> None:
    """Write the attribute of the client."""
    needed = {("pico_celery", "CeleryClient"), ("pico_celery", "celery")}
    draft, plan.client = _write_part(plan, "client", client_of, contract, needed)
    plan.client_module = draft.file.module
    plan.drafts.require(draft, "send_task", Found("pico_celery", "send_task"))


def _write_part(
    plan: Plan, kind: str, find: _Find, contract: ClassLocation | None, class_needs: set[tuple[str, str]]
) -> tuple[Draft, str]:
    """Write the member of a worker or client, with the class if there is none; return its file and the class."""
    drafts, class_name = plan.drafts, f"{plan.name.contract}{kind.capitalize()}"
    draft, there = _place(plan, kind, find, contract, class_name)
    class_name = there or class_name
    local = _contract_in(plan, draft)
    block = plan.render(kind, is_new=there is None, class_name=class_name, contract_here=local)
    if there is None:
        drafts.define(draft, block)
        drafts.require_all(draft, class_needs)
    else:
        drafts.member(draft, class_name, block, blank=kind == "worker")
    draft.added.append(f"{class_name}.{plan.name.action}")
    return draft, class_name


def _place(
    plan: Plan, kind: str, find: _Find, contract: ClassLocation | None, class_name: str
) -> tuple[Draft, str | None]:
    """Return the file that a worker or client goes into, and the class that it extends."""
    drafts, project, decorator = plan.drafts, plan.project, {"worker": "component", "client": "celery"}[kind]
    there = find(project, plan.name, contract)
    if there is None:
        near = _other_version(plan, find)
        draft = _conventional(drafts, plan.name, f"{kind}s") if near is None else drafts.open(near.path, near.module)
        node = None if draft.before is None else draft.before.class_named(class_name)
        if draft.before is None or node is None or decorator not in map(last_name, node.decorator_list):
            _refuse_taken(plan, draft, class_name)
            return draft, None
        there = ClassLocation(file=draft.before, node=node)
    for member in there.node.body:
        if plan.name.action in bound_by(member):
            raise ToolError(
                f"{project.shown(there.file.path)}:{member.lineno}: {there.name} has a {plan.name.action!r} already",
                "rename it, or choose another action",
            )
    return drafts.open(there.file.path, there.file.module), there.name


def _other_version(plan: Plan, find: _Find) -> PythonFile | None:
    """Return the file with the worker or client of an earlier version of the contract."""
    for version in range(plan.name.version - 1, 0, -1):
        name = replace(plan.name, version=version)
        found = find(plan.project, name, contract_of(plan.project, name))
        if found is not None:
            return found.file
    return None


def _refuse_taken(plan: Plan, draft: Draft, name: str) -> None:
    """Refuse to define a name that a file has."""
    binding = draft.file.bindings.get(name)
    if binding is not None:
        what = "defined" if isinstance(binding, Defined) else "imported"
        raise ToolError(
            f"{plan.project.shown(draft.file.path)}:{binding.line}: {name} is {what} there already",
            "rename it, or choose another name for the task",
        )


def _contract_in(plan: Plan, draft: Draft) -> str:
    """Have the contract's class in a file, and return its name there."""
    for local in draft.file.bindings:
        found = plan.project.resolve(draft.file, local)
        if found is not None and (found.module, found.name) == (plan.contract_module, plan.contract):
            return local
    plan.drafts.require(draft, plan.contract, Found(plan.contract_module, plan.contract))
    return plan.contract


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _write_application(plan: Plan) -> list[str]:
    """Write the application, if there is none, and return the modules that its container scans."""
    project, drafts = plan.project, plan.drafts
    needed = ["pico_celery", *(_scanned_as(project.package, name) for name in (plan.client_module, plan.worker_module))]
    needed = list(dict.fromkeys(needed))
    there = application_of(project)
    if there is not None:
        plan.application = None if there.name is None else f"{there.file.module}:{there.name}"
        missing = [name for name in needed if not any(f"{name}.".startswith(f"{other}.") for other in there.scanned)]
        if missing:
            plan.notes.append(f"{project.shown(there.file.path)}: add {', '.join(missing)} to what its container scans")
        return [*there.scanned, *missing]
    free = [name for stem in ("app", "celery_app") if not project.path_of(name := f"{project.package}.{stem}").exists()]
    if not free:
        plan.notes.append(
            f"no application was written: {project.package}.app and {project.package}.celery_app are something else"
        )
        return needed
    module = free[0]
    plan.application = f"{module}:celery_app"
    drafts.packages(module)
    draft = drafts.open(project.path_of(module), module, f"The worker: ``celery -A {module}:celery_app worker``.")
    names = ("DictSource", "EnvSource", "configuration", "init")
    drafts.require_all(draft, {("celery", "Celery"), *(("pico_ioc", name) for name in names)})
    drafts.append(draft, plan.render("application", modules=[_quoted(name) for name in needed]))
    draft.added.append("celery_app")
    return needed


def _scanned_as(package: str, module: str) -> str:
    """Return what a container scans to find a module: the package of its kind, such as ``shop.workers``."""
    kind = module.removeprefix(f"{package}.").partition(".")[0]
    return f"{package}.{kind}" if kind in {"workers", "clients"} else module


def _write_test(plan: Plan, scanned: Sequence[str]) -> None:
    """Write a test that calls the task in its own process."""
    drafts, types = plan.drafts, plan.types
    draft, has_fixture = _test_draft(plan)
    plan.test_path = draft.file.path
    needed = {(plan.client_module, plan.client), *types.argument_names}
    if types.is_refused:
        needed |= {("pico_celery", "PayloadError"), ("typing", "Any")}
    elif types.example is None:
        needed.add(("pico_celery", "RemoteError"))
    else:
        needed |= types.example_names
    if not has_fixture:
        drafts.define(draft, plan.render("fixture", modules=[_quoted(name) for name in scanned]))
        names = ("DictSource", "configuration", "init")
        needed |= {("collections.abc", "Iterator"), *(("pico_ioc", name) for name in names)}
    call = f"{plan.name.fixture}.{plan.name.action}({', '.join(types.arguments)})"
    drafts.define(draft, plan.render("test", name=plan.name.test, call=call, is_refused=types.is_refused))
    draft.added.append(plan.name.test)
    drafts.require_all(draft, needed)
    if not has_fixture or types.is_refused or types.example is None:
        drafts.require(draft, "pytest", Found("pytest", ""))


def _test_draft(plan: Plan) -> tuple[Draft, bool]:
    """Return the file of the test, and whether it has the fixture."""
    folder = plan.project.root / "tests"
    if not folder.exists():
        package = plan.drafts.open(folder / "__init__.py", "tests", f"Tests of ``{plan.project.package}``.")
        package.added.append("the package")
    shown = ""
    for stem in (f"test_{plan.name.identifier}", plan.name.test):
        path, module = folder / f"{stem}.py", f"tests.{stem}"
        if not path.exists():
            return plan.drafts.open(path, module, f"Tests of ``{plan.name.prefix}``: they need no server."), False
        file = PythonFile.read(path, module)
        shown = plan.project.shown(path)
        if plan.name.test in file.bindings:
            line = file.bindings[plan.name.test].line
            raise ToolError(f"{shown}:{line}: {plan.name.test} is there already", "rename it")
        there = file.bindings.get(plan.name.fixture)
        if isinstance(there, Defined) and plan.client in ast.unparse(there.node):
            return plan.drafts.open(path, module), True
    raise ToolError(f"{shown} is there already", "rename it")
