"""The types of a task: resolved, and an example of each."""

from __future__ import annotations

from pico_celery_tooling.new.drafts import Draft
from pico_celery_tooling.new.expressions import parse_type
from pico_celery_tooling.new.limits import NoSampleError
from pico_celery_tooling.new.plan import Plan
from pico_celery_tooling.new.rendering import Expression, prefixed
from pico_celery_tooling.new.samples import Sampler
from pico_celery_tooling.new.scope import Scope
from pico_celery_tooling.output import ToolError


def resolve_types(plan: Plan, draft: Draft) -> None:
    """Find out where the types of the task come from, and which are to be made.

    Args:
        plan: What is known so far; the types are added.
        draft: The contract's file.

    Raises:
        ToolError: If a name is unknown.
    """
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
