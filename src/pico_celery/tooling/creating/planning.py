"""From what was asked for to files: what of it is there, and what is added where."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

from pico_celery.tooling.cli.output import ToolError
from pico_celery.tooling.creating import templates
from pico_celery.tooling.creating.contracts import (
    Place,
    application_of,
    client_of,
    contract_of,
    file_of_domain,
    scanned,
    task_named,
    worker_of,
)
from pico_celery.tooling.creating.drafts import Draft, Drafts
from pico_celery.tooling.creating.files import Defined, PythonFile
from pico_celery.tooling.creating.parameters import in_signature
from pico_celery.tooling.creating.project import Found, Project
from pico_celery.tooling.creating.rendering import Expression, prefixed
from pico_celery.tooling.creating.request import Request
from pico_celery.tooling.creating.samples import NoSampleError, Sampler
from pico_celery.tooling.creating.scope import Scope


@dataclass
class Plan:
    """What a command is going to write.

    Attributes:
        project: The package.
        request: What was asked for.
        drafts: The files.
        models: Names of the models and errors that are new.
        notes: What the user should know.
        contract_module: Name of the module of the contract.
        worker: The method that does the task, such as ``OrdersWorker.place``.
        application: Name of the module that has the application; ``None`` if there is no place for one.
        test_path: The file of the test.
    """

    project: Project
    request: Request
    drafts: Drafts
    models: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    contract_module: str = ""
    worker: str = ""
    application: str | None = None
    test_path: Path = Path()


def plan(project: Project, request: Request) -> Plan:
    """Find out what is to be written.

    Args:
        project: The package.
        request: The task.

    Returns:
        The files.

    Raises:
        ToolError: If the task, or something that would be replaced, is there already, or a name is unknown.
    """
    return _Planner(project, request).run()


class _Planner:
    def __init__(self, project: Project, request: Request) -> None:
        self.project = project
        self.request = request
        self.name = request.name
        self.width = project.width
        self.drafts = Drafts(project)
        self.plan = Plan(project=project, request=request, drafts=self.drafts)
        self.contract = contract_of(project, self.name)

    def run(self) -> Plan:
        _refuse_twin(self.project, self.request, self.contract)
        draft = self._contract_draft()
        self.plan.contract_module = draft.file.module
        scope = Scope(self.project, draft.file.module, draft.before, self.request.models)
        self.class_name = self.contract.name if self.contract else self.name.contract
        self._types(scope, draft)
        self._write_contract(draft, scope)
        worker = self._write_worker()
        client, client_name = self._write_client()
        modules = self._write_application(worker, client)
        self._write_test(client, client_name, modules)
        return self.plan

    def _types(self, scope: Scope, draft: Draft) -> None:
        request = self.request
        self.annotations = [scope.annotation(parameter.type, parameter.role) for parameter in request.parameters]
        self.result = scope.annotation(_expression(request.returns), f"--returns {request.returns}")
        made = list(scope.made)
        self.imports = {
            name: found for name, found in scope.found.items() if _mentions([*self.annotations, self.result], name)
        }
        for parameter in request.parameters:
            if parameter.default is not None:
                scope.default(parameter.default, parameter.role)
        self.imports.update(scope.found)
        for error in request.errors:
            scope.error(error)
        self.errors = [error.rpartition(".")[2] for error in request.errors]
        self.new_errors = [name for name in scope.made if name not in made]
        self.new_models = made
        self.plan.models = scope.made
        for name in scope.made:
            there = draft.file.bindings.get(name)
            if there is not None or name == self.class_name:
                raise ToolError(f"{name} is the name of the contract", "call the model something else")
        self.sampler = Sampler(self.project, frozenset(made), draft.file.module, self.imports)
        self.sample, why = self._sample(_expression(self.result))
        if why:
            self.plan.notes.append(f"the worker raises NotImplementedError: no {self.result} can be made up: {why}")
        self.sample_imports = set(self.sampler.imports)
        hidden = {parameter.name for parameter in request.parameters} & {name for _, name in self.sample_imports}
        if hidden:
            self.sample, self.sample_imports = None, set()
        self.scope = scope

    def _sample(self, annotation: ast.expr) -> tuple[Expression | None, str]:
        try:
            return self.sampler.of(annotation), ""
        except NoSampleError as error:
            self.sampler.imports.clear()
            return None, str(error)

    def _contract_draft(self) -> Draft:
        if self.contract is not None:
            file: PythonFile | None = self.contract.file
        else:
            file = file_of_domain(self.project, self.name.domain)
        if file is not None:
            return self.drafts.open(file.path, file.module, "")
        return self._conventional("contracts", f"Contracts of ``{self.name.domain}``.")

    def _conventional(self, kind: str, doc: str) -> Draft:
        """Open the file for a kind of code: in a single module of that name if there is one, or one for the domain."""
        single = f"{self.project.package}.{kind}"
        module = single if self.project.path_of(single).exists() else f"{single}.{self.name.module}"
        self.drafts.packages(module)
        return self.drafts.open(self.project.path_of(module), module, doc)

    def _write_contract(self, draft: Draft, scope: Scope) -> None:
        request, name = self.request, self.name
        before = self.contract.name if self.contract else None
        for model in self.new_models:
            self.drafts.define(draft, templates.model(model, name, width=self.width), before=before)
        for error in self.new_errors:
            self.drafts.define(draft, templates.error(error, name, width=self.width), before=before)
        method = templates.contract_method(
            name,
            in_signature(request.parameters, iter(self.annotations)),
            self.result,
            self.errors,
            request.queue,
            request.doc,
            width=self.width,
        )
        if self.contract is None:
            self._refuse_taken(draft, self.class_name)
            self.drafts.define(draft, templates.contract(name, method, width=self.width))
        else:
            self.drafts.member(draft, self.class_name, method)
        draft.added.append(f"{self.class_name}.{name.action}")
        draft.added.extend(scope.made)
        needed = {("pico_celery", "contract"), ("typing", "Protocol")} if self.contract is None else set()
        if request.queue is not None or request.errors:
            needed.add(("pico_celery", "task_options"))
        if self.new_models:
            needed.add(("pydantic", "BaseModel"))
        if self.new_errors:
            needed.add(("pico_celery", "TaskError"))
        self.drafts.require_all(draft, needed)
        for local, found in scope.found.items():
            self.drafts.require(draft, local, found)

    def _refuse_taken(self, draft: Draft, name: str) -> None:
        binding = draft.file.bindings.get(name)
        if binding is not None:
            what = "defined" if isinstance(binding, Defined) else "imported"
            raise ToolError(
                f"{self.project.shown(draft.file.path)}:{binding.line}: {name} is {what} there already",
                "rename it, or choose another domain",
            )

    def _refuse_member(self, place: Place, role: str) -> None:
        for member in place.node.body:
            if self.name.action in _bound(member):
                raise ToolError(
                    f"{self.project.shown(place.file.path)}:{member.lineno}: the {role} {place.name} has "
                    f"a {self.name.action!r} already",
                    "rename it, or choose another action",
                )

    def _place(self, found: Place | None, kind: str, class_name: str, doc: str) -> tuple[Draft, Place | None]:
        """Return the draft that a worker or client goes into, with the class to extend."""
        if found is not None:
            return self.drafts.open(found.file.path, found.file.module, ""), found
        near = self._other_version(kind)
        draft = self.drafts.open(near.path, near.module, "") if near is not None else self._conventional(kind, doc)
        if draft.before is not None and (node := draft.before.class_named(class_name)) is not None:
            marks = [ast.unparse(decorator).partition("(")[0] for decorator in node.decorator_list]
            if ("component" if kind == "workers" else "celery") in marks:
                return draft, Place(file=draft.before, name=class_name)
        self._refuse_taken(draft, class_name)
        return draft, None

    def _other_version(self, kind: str) -> PythonFile | None:
        """Return the file that has the worker or client of another version of the contract."""
        find = worker_of if kind == "workers" else client_of
        for version in range(self.name.version - 1, 0, -1):
            other = type(self.name)(domain=self.name.domain, version=version, action=self.name.action)
            found = find(self.project, other, contract_of(self.project, other))
            if found is not None:
                return found.file
        return None

    def _write_worker(self) -> PythonFile:
        name = self.name
        there = worker_of(self.project, name, self.contract)
        draft, place = self._place(there, "workers", f"{name.contract}Worker", f"Workers of ``{name.domain}``.")
        local = self._contract_in(draft)
        method = templates.worker_method(
            name,
            local,
            in_signature(self.request.parameters, iter(self.annotations)),
            self.result,
            self.sample,
            width=self.width,
        )
        if place is None:
            self.drafts.define(draft, templates.worker(name, self.class_name, method, width=self.width))
            self.drafts.require(draft, "component", Found("pico_ioc", "component"))
        else:
            self._refuse_member(place, "worker")
            self.drafts.member(draft, place.name, method)
        self.plan.worker = f"{place.name if place else f'{name.contract}Worker'}.{name.action}"
        draft.added.append(self.plan.worker)
        self.drafts.require(draft, "task", Found("pico_celery", "task"))
        for made in self.new_models:
            if _mentions([*self.annotations, self.result], made):
                self.drafts.require(draft, made, Found(self.plan.contract_module, made))
        for local_name, found in self.imports.items():
            self.drafts.require(draft, local_name, found)
        self.drafts.require_all(draft, self.sample_imports)
        return draft.file

    def _contract_in(self, draft: Draft) -> str:
        """Have the contract's class in a file, and return what it is called there."""
        for local in draft.file.bindings:
            found = self.project.resolve(draft.file, local)
            if found is not None and (found.module, found.name) == (self.plan.contract_module, self.class_name):
                return local
        self.drafts.require(draft, self.class_name, Found(self.plan.contract_module, self.class_name))
        return self.class_name

    def _write_client(self) -> tuple[PythonFile, str]:
        name = self.name
        there = client_of(self.project, name, self.contract)
        class_name = f"{name.contract}Client"
        draft, place = self._place(there, "clients", class_name, f"Clients of ``{name.domain}``.")
        local = self._contract_in(draft)
        if place is None:
            self.drafts.define(draft, templates.client(name, local, width=self.width))
            self.drafts.require_all(draft, {("pico_celery", "CeleryClient"), ("pico_celery", "celery")})
        else:
            self._refuse_member(place, "client")
            class_name = place.name
            self.drafts.member(draft, class_name, templates.client_attribute(name, local), blank=False)
        self.drafts.require(draft, "send_task", Found("pico_celery", "send_task"))
        draft.added.append(f"{class_name}.{name.action}")
        return draft.file, class_name

    def _write_application(self, worker: PythonFile, client: PythonFile) -> list[str]:
        """Write the application if there is none, and return the modules that a container scans."""
        package = self.project.package
        needed = [_scanned_as(package, file.module) for file in (client, worker)]
        modules = list(dict.fromkeys(["pico_celery", *needed]))
        there = application_of(self.project)
        if there is not None:
            self.plan.application = there.module
            listed = scanned(there)
            missing = [name for name in needed if not any(_covers(other, name) for other in listed or [])]
            if missing:
                self.plan.notes.append(
                    f"{self.project.shown(there.path)}: see that its container scans {' and '.join(missing)}"
                )
            return list(dict.fromkeys([*modules, *(listed or [])])) if listed else modules
        for stem in ("app", "celery_app"):
            path = self.project.path_of(f"{package}.{stem}")
            if not path.exists():
                module = f"{package}.{stem}"
                self.drafts.packages(module)
                draft = self.drafts.open(path, module, f"The worker: ``celery -A {module}:celery_app worker``.")
                self.drafts.define(draft, templates.application(modules, width=self.width))
                names = ("DictSource", "EnvSource", "configuration", "init")
                self.drafts.require_all(draft, {("celery", "Celery"), *(("pico_ioc", name) for name in names)})
                draft.added.append("celery_app")
                self.plan.application = module
                return modules
        self.plan.notes.append(f"no application was written: {self.project.shown(path)} is something else")
        return modules

    def _write_test(self, client: PythonFile, client_name: str, modules: list[str]) -> None:
        draft, has_fixture = self._test_draft(client_name)
        self.plan.test_path = draft.file.path
        self.sampler.imports.clear()
        arguments, why = self._arguments()
        needed = set(self.sampler.imports)
        if why:
            self.plan.notes.append(f"the test has no arguments that fit: {why}")
            needed |= {("pico_celery", "PayloadError"), ("typing", "Any")}
        else:
            needed |= self.sample_imports
            if self.sample is None:
                needed.add(("pico_celery", "RemoteError"))
        if not has_fixture:
            self.drafts.define(draft, templates.fixture(self.name, client_name, modules, width=self.width))
            names = ("DictSource", "configuration", "init")
            needed |= {("collections.abc", "Iterator"), *(("pico_ioc", name) for name in names)}
        self.drafts.define(
            draft,
            templates.test(self.name, client_name, arguments, self.sample, refused=bool(why), width=self.width),
        )
        draft.added.append(templates.test_name(self.name))
        self.drafts.require_all(draft, {*needed, (client.module, client_name)})
        if not has_fixture or why or self.sample is None:
            self.drafts.require(draft, "pytest", Found("pytest", ""))

    def _test_draft(self, client_name: str) -> tuple[Draft, bool]:
        folder = self.project.root / "tests"
        test, fixture = templates.test_name(self.name), f"{self.name.identifier}_client"
        if not folder.exists():
            self.drafts.open(folder / "__init__.py", "tests", f"Tests of ``{self.project.package}``.").added.append(
                "the package"
            )
        for stem in (f"test_{self.name.identifier}", test):
            path = folder / f"{stem}.py"
            module = f"tests.{stem}"
            if not path.exists():
                return self.drafts.open(path, module, f"Tests of ``{self.name.prefix}``: they need no server."), False
            file = PythonFile.read(path, module)
            if test in file.bindings:
                raise ToolError(
                    f"{self.project.shown(path)}:{file.bindings[test].line}: {test} is there already", "rename it"
                )
            there = file.bindings.get(fixture)
            if isinstance(there, Defined) and client_name in ast.unparse(there.node):
                return self.drafts.open(path, module, ""), True
        raise ToolError(f"{self.project.shown(path)} is there already", "rename it")

    def _arguments(self) -> tuple[list[Expression], str]:
        arguments: list[Expression] = []
        why = ""
        for parameter, annotation in zip(self.request.parameters, self.annotations, strict=True):
            if parameter.default is not None:
                continue
            try:
                sample = self.sampler.of(_expression(annotation))
            except NoSampleError as error:
                why = why or f"{parameter.name}: {error}"
                sample = "wrong"
            arguments.append(prefixed(f"{parameter.name}=", sample) if parameter.keyword_only else sample)
        return arguments, why


def _refuse_twin(project: Project, request: Request, contract: Place | None) -> None:
    """Refuse a task that is there already."""
    name = request.name
    for member in contract.node.body if contract is not None else ():
        if contract is not None and name.action in _bound(member):
            raise ToolError(
                f"{name.full} is there already: {project.shown(contract.file.path)}:{member.lineno}, "
                f"{contract.name}.{name.action}",
                f"choose another name, or a new version of the contract: "
                f"{name.domain}.v{name.version + 1}.{name.action}",
            )
    twin = task_named(project, name.full)
    if twin is not None:
        file, node = twin
        line = getattr(node, "lineno", 1)
        raise ToolError(
            f"{name.full} is there already: {project.shown(file.path)}:{line} gives a task this name",
            "choose another name",
        )


def _bound(member: ast.stmt) -> set[str]:
    match member:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()


def _expression(text: str) -> ast.expr:
    from pico_celery.tooling.creating.expressions import parse_type

    return parse_type(text, f"--returns {text}")


def _mentions(annotations: list[str], name: str) -> bool:
    from pico_celery.tooling.creating.scope import used

    return any(name in used(_expression(annotation)) for annotation in annotations)


def _scanned_as(package: str, module: str) -> str:
    """Return what a container scans to find a module: the package of its kind, such as ``shop.workers``."""
    parts = module.removeprefix(f"{package}.").split(".")
    return f"{package}.{parts[0]}" if parts[0] in {"workers", "clients"} else module


def _covers(scanned_name: str, module: str) -> bool:
    return module == scanned_name or module.startswith(f"{scanned_name}.")
