"""The file and class that a part of a task goes into: one that is there, or a new one by the conventions."""

from __future__ import annotations

import ast
from typing import Final

from pico_celery_tooling.new.contracts import Place, client_of, contract_of, worker_of
from pico_celery_tooling.new.drafts import Draft
from pico_celery_tooling.new.files import Defined, PythonFile
from pico_celery_tooling.new.plan import Plan
from pico_celery_tooling.new.project import Found
from pico_celery_tooling.output import ToolError

_DECORATORS: Final = {"workers": "component", "clients": "celery"}


def conventional(plan: Plan, kind: str) -> Draft:
    """Open the file for a kind of code: a single module of that name if there is one, or one for the domain.

    Args:
        plan: What is known so far.
        kind: ``contracts``, ``workers`` or ``clients``.

    Returns:
        The file.
    """
    single = f"{plan.project.package}.{kind}"
    module = single if plan.project.path_of(single).exists() else f"{single}.{plan.name.module}"
    apart = plan.project.contracts
    if kind == "contracts" and apart is not None:
        module = apart.package if apart.is_module else f"{apart.package}.{plan.name.module}"
    plan.drafts.packages(module)
    return plan.drafts.open(plan.project.path_of(module), module, f"{kind.capitalize()} of ``{plan.name.domain}``.")


def place_of(plan: Plan, kind: str, there: Place | None, class_name: str) -> tuple[Draft, Place | None]:
    """Return the file that a worker or client goes into, and the class that it extends.

    Args:
        plan: What is known so far.
        kind: ``workers`` or ``clients``.
        there: The class that has tasks of the contract.
        class_name: What a new one is called.

    Returns:
        The file, and the class if one is there.

    Raises:
        ToolError: If that name, or that of the method, is taken.
    """
    if there is None:
        near = _other_version(plan, kind)
        draft = conventional(plan, kind) if near is None else plan.drafts.open(near.path, near.module, "")
        node = None if draft.before is None else draft.before.class_named(class_name)
        if draft.before is None or node is None or not _is_marked(node, _DECORATORS[kind]):
            refuse_taken(plan, draft, class_name)
            return draft, None
        there = Place(file=draft.before, name=class_name)
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
    """Refuse to define a name that a file has.

    Args:
        plan: What is known so far.
        draft: The file.
        name: The name.

    Raises:
        ToolError: If it has.
    """
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
