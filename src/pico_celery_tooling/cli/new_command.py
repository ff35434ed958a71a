"""``new``: start a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pico_celery_tooling.output import json_option, print_json


@click.command("new")
@click.argument("task")
@click.option(
    "--param",
    "params",
    multiple=True,
    metavar="NAME:TYPE[=DEFAULT]",
    help="A parameter; repeat it, in order. A lone '*' makes those after it keyword-only.",
)
@click.option("--returns", metavar="TYPE", help="The result; None without it.")
@click.option("--error", "errors", multiple=True, metavar="CLASS", help="An error that callers can tell; repeat it.")
@click.option("--into", metavar="PACKAGE", help="Package or directory; without it the only package that is here.")
@click.option("--contracts", metavar="PACKAGE", help="Package or module of the contracts, if that is another one.")
@click.option("--queue", help="The queue; without it that of the contract's other tasks.")
@click.option("--doc", metavar="TEXT", help="What the task does, in a sentence: its docstring in the contract.")
@click.option(
    "--model", "models", multiple=True, metavar="CLASS", help="Make this model although one is called much the same."
)
@click.option("--keyword-only", is_flag=True, help="No parameter can be given by position.")
@click.option("--dry-run", is_flag=True, help="Write nothing; print a diff.")
@json_option
def command(
    *, dry_run: bool, into: str | None, contracts: str | None, as_json: bool, task: str, **options: Any
) -> None:
    """Write the contract, worker, client and test of TASK.

    TASK is domain.action, such as orders.place, or orders.v2.place for the second version of a contract. What the
    package has of the domain is extended, in your form; the rest is made, with an application if there is none. A type
    that is neither known (int, list[...], datetime, Decimal, UUID, ...) nor in the package becomes a model.
    Nothing that exists is replaced.

    \b
    pico-celery new orders.place --into shop --param order:Order --returns Receipt
    pico-celery new orders.place --param order:Order --param '*' --param dry_run:bool=False --error PaymentDeclined
    pico-celery new orders.cancel --param order_id:int --queue orders --dry-run
    """
    from pico_celery_tooling.new.planning import plan_task  # noqa: PLC0415 - so that --help of others starts fast
    from pico_celery_tooling.new.project import Project  # noqa: PLC0415
    from pico_celery_tooling.new.request import Request  # noqa: PLC0415
    from pico_celery_tooling.new.writing import (  # noqa: PLC0415
        diff,
        report_of,
        write,
    )

    request = Request.of(task, **options)
    root = Path.cwd()
    report = report_of(plan_task(Project.find(root, into, contracts), request))
    if not dry_run:
        write(report.changes)
    if as_json:
        told = {**report.data, "written": not dry_run}
        print_json({**told, "diff": diff(report.changes, root)} if dry_run else told)
    elif dry_run:
        click.echo(diff(report.changes, root), nl=False)
    else:
        click.echo(report.text, nl=False)
