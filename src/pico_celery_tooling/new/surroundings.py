"""What a task needs around it: an application whose container finds it, and a test."""

from __future__ import annotations

import ast

from pico_celery_tooling.new import templates
from pico_celery_tooling.new.contracts import application_of, scanned
from pico_celery_tooling.new.drafts import Draft
from pico_celery_tooling.new.files import Defined, PythonFile
from pico_celery_tooling.new.plan import Plan
from pico_celery_tooling.new.project import Found
from pico_celery_tooling.output import ToolError


def write_application(plan: Plan) -> list[str]:
    """Write the application, if there is none.

    Args:
        plan: What is known so far.

    Returns:
        The modules that a container scans.
    """
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
    """Write a test that calls the task in its own process.

    Args:
        plan: What is known so far.
        modules: What its container scans.

    Raises:
        ToolError: If the test, or a file of that name, is there already.
    """
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
