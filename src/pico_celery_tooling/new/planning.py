"""From what was asked for to files: what of it is there, and what is added where."""

from __future__ import annotations

from pico_celery_tooling.new.contracts import Place, contract_of, file_of_domain, queue_of, task_named
from pico_celery_tooling.new.drafts import Draft, Drafts
from pico_celery_tooling.new.locating import modules, packages
from pico_celery_tooling.new.parts import write_client, write_contract, write_worker
from pico_celery_tooling.new.places import bound_by, conventional
from pico_celery_tooling.new.plan import Plan
from pico_celery_tooling.new.project import Project
from pico_celery_tooling.new.request import Request
from pico_celery_tooling.new.surroundings import write_application, write_test
from pico_celery_tooling.new.typing_of_task import resolve_types
from pico_celery_tooling.output import ToolError


def plan_task(project: Project, request: Request) -> Plan:
    """Find out what is to be written.

    Args:
        project: The package.
        request: The task.

    Returns:
        The files.

    Raises:
        ToolError: If the task, or something that would be replaced, is there already, or a name is unknown.
    """
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


def _contract_draft(plan: Plan, there: Place | None) -> Draft:
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


def _refuse_twin(plan: Plan, contract: Place | None) -> None:
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
