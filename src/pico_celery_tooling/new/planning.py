"""From what was asked for to files: what of it is there, and what is added where."""

from __future__ import annotations

import ast

from pico_celery_tooling.new import templates
from pico_celery_tooling.new.existing import (
    ClassLocation,
    application_of,
    client_of,
    contract_of,
    file_of_domain,
    queue_of,
    scanned,
    task_named,
    worker_of,
)
from pico_celery_tooling.new.plan import (
    Draft,
    Drafts,
    Plan,
    bound_by,
    contract_in,
    conventional,
    place_of,
    refuse_taken,
)
from pico_celery_tooling.new.project import Found, Project, modules, packages
from pico_celery_tooling.new.python_file import Defined, PythonFile
from pico_celery_tooling.new.request import Request, in_signature
from pico_celery_tooling.new.source_text import parse_type
from pico_celery_tooling.new.task_types import resolve_types, used
from pico_celery_tooling.output import ToolError


def write_contract(plan: Plan, draft: Draft, there: ClassLocation | None) -> None:
    """Write the method of the contract, and the models that it needs."""
    drafts, name, width = plan.drafts, plan.name, plan.width
    before = None if there is None else there.name
    for model in plan.models:
        refuse_taken(plan, draft, model)
        drafts.define(draft, templates.model(model, name, width=width), before=before)
    for error in plan.new_errors:
        refuse_taken(plan, draft, error)
        drafts.define(draft, templates.error(error, name, width=width), before=before)
    signature = in_signature(plan.request.parameters, plan.annotations)
    request = plan.request
    method = templates.contract_method(name, signature, plan.result, plan.errors, plan.queue, request.doc, width=width)
    needed = set()
    if there is None:
        refuse_taken(plan, draft, plan.contract)
        drafts.define(draft, templates.contract(name, method, width=width))
        needed = {("pico_celery", "contract"), ("typing", "Protocol")}
    else:
        drafts.member(draft, plan.contract, method)
    draft.added += [f"{plan.contract}.{name.action}", *plan.made]
    if plan.queue is not None or request.errors:
        needed.add(("pico_celery", "task_options"))
    if plan.models:
        needed.add(("pydantic", "BaseModel"))
    if plan.new_errors:
        needed.add(("pico_celery", "TaskError"))
    drafts.require_all(draft, needed)
    for local, found in {**plan.names, **plan.error_names}.items():
        drafts.require(draft, local, found)


def write_worker(plan: Plan, contract: ClassLocation | None) -> None:
    """Write the method of the worker."""
    drafts, name = plan.drafts, plan.name
    class_name = f"{name.contract}Worker"
    draft, there = place_of(plan, "workers", worker_of(plan.project, name, contract), class_name)
    signature = in_signature(plan.request.parameters, plan.annotations)
    local = contract_in(plan, draft)
    method = templates.worker_method(name, local, signature, plan.result, plan.sample, width=plan.width)
    if there is None:
        drafts.define(draft, templates.worker(name, plan.contract, method, width=plan.width))
        drafts.require(draft, "component", Found("pico_ioc", "component"))
    else:
        class_name = there.name
        drafts.member(draft, class_name, method)
    plan.worker, plan.worker_module = f"{class_name}.{name.action}", draft.file.module
    draft.added.append(plan.worker)
    drafts.require(draft, "task", Found("pico_celery", "task"))
    mentioned = {name for text in [*plan.annotations, plan.result] for name in used(parse_type(text, ""))}
    for model in plan.models:
        if model in mentioned:
            drafts.require(draft, model, Found(plan.contract_module, model))
    for known, found in plan.names.items():
        drafts.require(draft, known, found)
    drafts.require_all(draft, plan.sample_names)


def write_client(plan: Plan, contract: ClassLocation | None) -> None:
    """Write the attribute of the client."""
    drafts, name = plan.drafts, plan.name
    plan.client = f"{name.contract}Client"
    draft, there = place_of(plan, "clients", client_of(plan.project, name, contract), plan.client)
    local = contract_in(plan, draft)
    if there is None:
        drafts.define(draft, templates.client(name, local, width=plan.width))
        drafts.require_all(draft, {("pico_celery", "CeleryClient"), ("pico_celery", "celery")})
    else:
        plan.client = there.name
        drafts.member(draft, there.name, templates.client_attribute(name, local), blank=False)
    drafts.require(draft, "send_task", Found("pico_celery", "send_task"))
    draft.added.append(f"{plan.client}.{name.action}")
    plan.client_module = draft.file.module


def write_application(plan: Plan) -> list[str]:
    """Write the application, if there is none."""
    package = plan.project.package
    needed = [_scanned_as(package, module) for module in (plan.client_module, plan.worker_module)]
    modules = list(dict.fromkeys(["pico_celery", *needed]))
    there = application_of(plan.project)
    if there is not None:
        plan.application = None if there.name is None else f"{there.file.module}:{there.name}"
        listed = scanned(there.file) or []
        missing = [name for name in modules if not any(_covers(other, name) for other in listed)]
        if missing:
            plan.notes.append(
                f"{plan.project.shown(there.file.path)}: see that its container scans {', '.join(missing)}"
            )
        return [*listed, *missing]
    free = [stem for stem in ("app", "celery_app") if not plan.project.path_of(f"{package}.{stem}").exists()]
    if not free:
        plan.notes.append(f"no application was written: {package}.app and {package}.celery_app are something else")
        return modules
    module = f"{package}.{free[0]}"
    plan.application = f"{module}:celery_app"
    drafts = plan.drafts
    drafts.packages(module)
    doc = f"The worker: ``celery -A {module}:celery_app worker``."
    draft = drafts.open(plan.project.path_of(module), module, doc)
    names = ("DictSource", "EnvSource", "configuration", "init")
    drafts.require_all(draft, {("celery", "Celery"), *(("pico_ioc", name) for name in names)})
    drafts.append(draft, templates.application(modules, width=plan.width))
    draft.added.append("celery_app")
    return modules


def write_test(plan: Plan, modules: list[str]) -> None:
    """Write a test that calls the task in its own process."""
    drafts = plan.drafts
    draft, has_fixture = _test_draft(plan)
    plan.test_path = draft.file.path
    needed = {(plan.client_module, plan.client), *plan.argument_names}
    if plan.refused:
        needed |= {("pico_celery", "PayloadError"), ("typing", "Any")}
    else:
        needed |= plan.sample_names
        if plan.sample is None:
            needed.add(("pico_celery", "RemoteError"))
    if not has_fixture:
        drafts.define(draft, templates.fixture(plan.name, plan.client, modules, width=plan.width))
        names = ("DictSource", "configuration", "init")
        needed |= {("collections.abc", "Iterator"), *(("pico_ioc", name) for name in names)}
    drafts.define(
        draft,
        templates.test(plan.name, plan.client, plan.arguments, plan.sample, refused=plan.refused, width=plan.width),
    )
    draft.added.append(templates.test_name(plan.name))
    drafts.require_all(draft, needed)
    if not has_fixture or plan.refused or plan.sample is None:
        drafts.require(draft, "pytest", Found("pytest", ""))


def _test_draft(plan: Plan) -> tuple[Draft, bool]:
    """Return the file of the test, and whether it has the fixture."""
    folder = plan.project.root / "tests"
    test, fixture = templates.test_name(plan.name), f"{plan.name.identifier}_client"
    if not folder.exists():
        package = plan.drafts.open(folder / "__init__.py", "tests", f"Tests of ``{plan.project.package}``.")
        package.added.append("the package")
    doc = f"Tests of ``{plan.name.prefix}``: they need no server."
    taken = ""
    for stem in (f"test_{plan.name.identifier}", test):
        path, module = folder / f"{stem}.py", f"tests.{stem}"
        if not path.exists():
            return plan.drafts.open(path, module, doc), False
        file = PythonFile.read(path, module)
        taken = plan.project.shown(path)
        if test in file.bindings:
            raise ToolError(f"{taken}:{file.bindings[test].line}: {test} is there already", "rename it")
        there = file.bindings.get(fixture)
        if isinstance(there, Defined) and plan.client in ast.unparse(there.node):
            return plan.drafts.open(path, module, ""), True
    raise ToolError(f"{taken} is there already", "rename it")


def _scanned_as(package: str, module: str) -> str:
    """Return what a container scans to find a module: the package of its kind, such as ``shop.workers``."""
    kind = module.removeprefix(f"{package}.").partition(".")[0]
    return f"{package}.{kind}" if kind in {"workers", "clients"} else module


def _covers(scanned_name: str, module: str) -> bool:
    return module == scanned_name or module.startswith(f"{scanned_name}.")


def plan_task(project: Project, request: Request) -> Plan:
    """Find out what is to be written."""
    plan = Plan(project=project, request=request, drafts=Drafts(project))
    there = contract_of(project, request.name)
    _refuse_twin(plan, there)
    draft = _contract_draft(plan, there)
    plan.contract_module = draft.file.module
    plan.contract = request.name.contract if there is None else there.name
    plan.queue = request.queue or (None if there is None else queue_of(there))
    resolve_types(plan, draft)
    write_contract(plan, draft, there)
    write_worker(plan, there)
    write_client(plan, there)
    write_test(plan, write_application(plan))
    for written in plan.drafts.drafts.values():
        written.file.tree  # noqa: B018 - what is written has to be Python
    return plan


def _contract_draft(plan: Plan, there: ClassLocation | None) -> Draft:
    file = file_of_domain(plan.project, plan.name.domain) if there is None else there.file
    if file is None:
        _refuse_elsewhere(plan)
        return conventional(plan, "contracts")
    return plan.drafts.open(file.path, file.module, "")


def _refuse_elsewhere(plan: Plan) -> None:
    """Refuse to begin a contract that another package or module here has."""
    for place in [*packages(plan.project.root), *modules(plan.project.root)]:
        if place in {plan.project.home, plan.project.contracts}:
            continue
        other = Project(plan.project.root, place)
        try:
            file = file_of_domain(other, plan.name.domain)
        except ToolError:  # a file of somebody else that cannot be read is not in the way
            continue
        if file is not None:
            raise ToolError(
                f"{other.shown(file.path)} has a contract {plan.name.domain!r}",
                f"name that package: --contracts {place.package}",
            )


def _refuse_twin(plan: Plan, contract: ClassLocation | None) -> None:
    """Refuse a task that is there already."""
    name, project = plan.name, plan.project
    for member in [] if contract is None else contract.node.body:
        if contract is not None and name.action in bound_by(member):
            raise ToolError(
                f"{name.full} is there already: {project.shown(contract.file.path)}:{member.lineno}, "
                f"{contract.name}.{name.action}",
                "choose another name, or a new version of the contract: "
                f"{name.domain}.v{name.version + 1}.{name.action}",
            )
    twin = task_named(project, name.full)
    if twin is not None:
        file, line = twin
        raise ToolError(
            f"{name.full} is there already: {project.shown(file.path)}:{line} gives a task this name",
            "choose another name",
        )
