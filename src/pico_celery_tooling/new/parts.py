"""The three parts of a task: contract, worker and client."""

from __future__ import annotations

from pico_celery_tooling.new import templates
from pico_celery_tooling.new.contracts import Place, client_of, worker_of
from pico_celery_tooling.new.drafts import Draft
from pico_celery_tooling.new.expressions import parse_type
from pico_celery_tooling.new.parameters import in_signature
from pico_celery_tooling.new.places import contract_in, place_of, refuse_taken
from pico_celery_tooling.new.plan import Plan
from pico_celery_tooling.new.project import Found
from pico_celery_tooling.new.scope import used


def write_contract(plan: Plan, draft: Draft, there: Place | None) -> None:
    """Write the method of the contract, and the models that it needs.

    Args:
        plan: What is known so far.
        draft: The contract's file.
        there: The contract, if it is there.
    """
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


def write_worker(plan: Plan, contract: Place | None) -> None:
    """Write the method of the worker.

    Args:
        plan: What is known so far.
        contract: The contract, if it was there.
    """
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


def write_client(plan: Plan, contract: Place | None) -> None:
    """Write the attribute of the client.

    Args:
        plan: What is known so far.
        contract: The contract, if it was there.
    """
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
