"""``list``: list the tasks that have a contract, and the workers that serve them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from pico_celery.document.records import Document, TaskRecord
from pico_celery_tooling.cli.live_options import answers_of, live_options, nobody_answered
from pico_celery_tooling.describe.texts import columns, summary, task_line
from pico_celery_tooling.output import EXIT_FINDINGS, EXIT_FINE, end, json_option, print_json
from pico_celery_tooling.sources.loading import nearest_document

if TYPE_CHECKING:
    from pico_celery_tooling.live.inspect_client import Answers, ServedVersion


@click.command("list")
@click.argument("source", required=False, metavar="[PACKAGE|LOCKFILE]")
@live_options
@json_option
def command(source: str | None, *, live: bool, timeout: float, as_json: bool) -> None:
    """List the tasks that have a contract.

    Without PACKAGE or LOCKFILE: those of contracts.lock.json in the working directory, or else of the application.
    With --live the running workers are asked: which of them serves a task, and by which version of its contract.
    If no worker answers, the exit code is 1.

    \b
    pico-celery list                           what contracts.lock.json says
    pico-celery list shop_contracts
    pico-celery -A shop.app list --live        what the workers serve
    pico-celery -A shop.app list shop_contracts --live    who serves these
    """
    if not live:
        document, _ = nearest_document(source)
        if as_json:
            print_json({"contracts": [_contract(document, key) for key in document.contracts]})
        else:
            click.echo(_text(document))
        return
    wanted = None if source is None else nearest_document(source)[0]
    answers = answers_of(timeout, definitions=wanted is None)
    tasks = _live(answers, wanted)
    if as_json:
        print_json({"workers": [answer.worker for answer in answers], "tasks": tasks})
    elif answers:
        click.echo(_live_text(answers, tasks))
    else:
        click.echo(f"unknown: {nobody_answered(timeout)}", err=True)
    end(EXIT_FINE if answers else EXIT_FINDINGS)


def _contract(document: Document, key: str) -> dict[str, Any]:
    contract = document.contracts[key]
    tasks = [_task(task) for task in contract.tasks.values()]
    return {"contract": key, "digest": contract.digest, "doc": summary(contract.doc), "tasks": tasks}


def _task(task: TaskRecord) -> dict[str, Any]:
    retired = {} if task.deprecated is None else {"deprecated": task.deprecated}
    aliases = {"aliases": list(task.aliases)} if task.aliases else {}
    return {"task": task.name, "digest": task.digest, "doc": summary(task.doc), **retired, **aliases}


def _text(document: Document) -> str:
    blocks: list[str] = []
    for key, contract in document.contracts.items():
        heading = click.style(key, bold=True)
        doc = summary(contract.doc)
        rows = [(task.name, task_line(task)) for task in contract.tasks.values()]
        blocks.append("\n".join([f"{heading}: {doc}" if doc else heading, *columns(rows)]))
    return "\n\n".join(blocks)


def _live(answers: Answers, wanted: Document | None) -> list[dict[str, Any]]:
    """Return the wanted tasks, or all that are served, each with its versions."""
    names = answers.names if wanted is None else tuple(wanted.tasks)
    return [_live_task(name, answers.versions(name), None if wanted is None else wanted.tasks[name]) for name in names]


def _live_task(name: str, versions: tuple[ServedVersion, ...], ours: TaskRecord | None) -> dict[str, Any]:
    record = ours or next((version.record for version in versions if version.record is not None), None)
    data = {"task": name} if record is None else _task(record)
    if ours is None:
        data.pop("digest", None)
    served = [{"digest": version.digest, "workers": list(version.workers)} for version in versions]
    return {**data, "served": served}


def _live_text(answers: Answers, tasks: list[dict[str, Any]]) -> str:
    lines: list[str] = []
    for task in tasks:
        retired = f"DEPRECATED: {task['deprecated']}. " if "deprecated" in task else ""
        lines.append(f"{click.style(task['task'], bold=True)}  {retired}{task.get('doc', '')}".rstrip())
        lines.extend(_served(task))
    silent = [answer for answer in answers if not answer.reports_contracts]
    lines.extend(f"{answer.worker}: {answer.problem}" for answer in silent)
    if not tasks and not silent:
        lines.append(f"{', '.join(answer.worker for answer in answers)}: no task of a contract")
    return "\n".join(lines)


def _served(task: Mapping[str, Any]) -> list[str]:
    if not task["served"]:
        return [click.style("  nobody serves it", fg="red")]
    ours = task.get("digest")
    differ = len(task["served"]) > 1
    lines = []
    for version in task["served"]:
        other = "" if ours is None or ours == version["digest"] else f"  not {ours}, as here"
        mark = other or ("  workers differ" if differ else "")
        lines.append(f"  {version['digest']}  {', '.join(version['workers'])}{click.style(mark, fg='yellow')}")
    return lines
