"""``new``: write the contract, worker, client and test of a new task."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pico_celery_tooling.output import ToolError, json_option, print_json

if TYPE_CHECKING:
    from pico_celery_tooling.new.plan import Plan


@click.command("new")
@click.argument("task")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME:TYPE[=DEFAULT]",
    help="A parameter; repeat it, in order. A lone '*' makes those after it keyword-only.",
)
@click.option("--returns", metavar="TYPE", help="The result; None by default.")
@click.option(
    "--error", "errors", multiple=True, metavar="CLASS", help="An error that callers can catch by its class; repeat it."
)
@click.option("--into", metavar="PACKAGE", help="Package or directory; the only package here by default.")
@click.option("--contracts", metavar="PACKAGE", help="Package or module of the contracts, if it is another one.")
@click.option("--queue", help="The queue; that of the contract's other tasks by default.")
@click.option("--doc", metavar="TEXT", help="What the task does, in a sentence: its docstring in the contract.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="CLASS",
    help="Make this model although there is a similar name; repeat it.",
)
@click.option("--keyword-only", is_flag=True, help="All parameters are keyword-only.")
@click.option("--dry-run", is_flag=True, help="Write nothing; print a diff.")
@json_option
def command(
    *,
    task: str,
    params: tuple[str, ...],
    returns: str | None,
    errors: tuple[str, ...],
    into: str | None,
    contracts: str | None,
    queue: str | None,
    doc: str | None,
    models: tuple[str, ...],
    keyword_only: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write the contract, worker, client and test of TASK.

    TASK is domain.action, such as orders.place, or orders.v2.place for the second version of a contract. Files that
    the package has for the domain are extended; the others are made, with an application if there is none. A type
    that is neither known (int, list[...], datetime, Decimal, UUID, ...) nor in the package becomes a model.
    Nothing that exists is replaced. It needs the extra: pip install 'pico-celery[new]'.

    \b
    pico-celery new orders.place --into shop --param order:Order --returns Receipt
    pico-celery new orders.place --param order:Order --param '*' --param dry_run:bool=False --error PaymentDeclined
    pico-celery new orders.cancel --param order_id:int --queue orders --dry-run
    """
    try:
        from pico_celery_tooling.new.drafts import diff, write  # noqa: PLC0415 - so that --help of others starts fast
        from pico_celery_tooling.new.plan import plan_task  # noqa: PLC0415 - as above
        from pico_celery_tooling.new.project import Project  # noqa: PLC0415 - as above
        from pico_celery_tooling.new.request import Request  # noqa: PLC0415 - as above
    except ModuleNotFoundError as error:
        if error.name not in {"jinja2", "libcst"}:
            raise
        raise ToolError(f"pico-celery new needs {error.name}", "pip install 'pico-celery[new]'") from None

    request = Request.of(
        task,
        params=params,
        returns=returns,
        errors=errors,
        queue=queue,
        doc=doc,
        models=models,
        keyword_only=keyword_only,
    )
    root = Path.cwd()
    plan = plan_task(Project.find(root, into, contracts), request)
    changes = plan.drafts.changes()
    if not dry_run:
        write(changes)
    if as_json:
        data = {**_report(plan), "written": not dry_run}
        print_json({**data, "diff": diff(changes, root)} if dry_run else data)
    elif dry_run:
        click.echo(diff(changes, root), nl=False)
    else:
        click.echo(_text(plan))


def _report(plan: Plan) -> dict[str, object]:
    return {
        "task": plan.name.full,
        "files": [
            {
                "file": plan.project.shown(path),
                "change": "created" if draft.before is None else "extended",
                "with": draft.added,
            }
            for path, draft in plan.drafts.by_path.items()
        ],
        "models": plan.new_classes,
        "notes": plan.notes,
        "next": _steps(plan),
    }


def _text(plan: Plan) -> str:
    drafts = [(plan.project.shown(path), draft) for path, draft in plan.drafts.by_path.items()]
    width = max(len(path) for path, _ in drafts)
    lines = [
        f"{'created' if draft.before is None else 'extended':<8}  {path:<{width}}  {', '.join(draft.added)}"
        for path, draft in drafts
    ]
    lines += [f"note: {note}" for note in plan.notes]
    return "\n".join([*lines, "", "Next:", *(f"  {step}" for step in _steps(plan))])


def _steps(plan: Plan) -> list[str]:
    """Return what the user should do next."""
    steps = []
    if plan.project.home.base != plan.project.root:
        steps.append("pip install -e .  (once, so that the package in src can be imported)")
    for path, draft in plan.drafts.by_path.items():
        tree, shown = draft.file.tree, plan.project.shown(path)
        if draft.file.module == plan.contract_module:
            steps += [f"{shown}:{_line(tree.body, name)}: give {name} its fields" for name in plan.new_classes]
        elif plan.worker in draft.added:
            steps.append(f"{shown}:{_line(tree.body, plan.worker)}: write what the task does")
    steps.append(f"python -m pytest {plan.project.shown(plan.test_path)}")
    above = plan.contract_module.rpartition(".")[0]
    apart = plan.project.contracts
    locked = apart.package if apart else above if above.endswith("contracts") else plan.contract_module
    steps.append(f"pico-celery lock {locked}")
    if plan.application is not None:
        queues = "" if plan.queue is None else f" -Q {plan.queue}"
        steps.append(f"celery -A {plan.application} worker{queues}")
    return steps


def _line(body: Sequence[ast.stmt], name: str) -> int:
    """Return the line of a class or, given as ``Class.method``, of a method."""
    first, _, rest = name.partition(".")
    node = next(node for node in body if getattr(node, "name", "") == first)
    return _line(node.body, rest) if rest and isinstance(node, ast.ClassDef) else node.lineno
