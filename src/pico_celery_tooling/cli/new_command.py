"""``new``: start a task."""

from __future__ import annotations

from pathlib import Path

import click

from pico_celery_tooling.output import ToolError, json_option, print_json


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
        from pico_celery_tooling.new.plan import plan_task  # noqa: PLC0415 - so that --help of others starts fast
        from pico_celery_tooling.new.project import Project  # noqa: PLC0415 - as above
        from pico_celery_tooling.new.request import Request  # noqa: PLC0415 - as above
        from pico_celery_tooling.new.writing import diff, report_of, write  # noqa: PLC0415 - as above
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
    report = report_of(plan_task(Project.find(root, into, contracts), request))
    if not dry_run:
        write(report.changes)
    if as_json:
        data = {**report.data, "written": not dry_run}
        print_json({**data, "diff": diff(report.changes, root)} if dry_run else data)
    elif dry_run:
        click.echo(diff(report.changes, root), nl=False)
    else:
        click.echo(report.text, nl=False)
