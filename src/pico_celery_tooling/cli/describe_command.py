"""``describe``: all that is known about a task or a contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from pico_celery.contract.naming import did_you_mean
from pico_celery.document.records import ContractRecord, Document, TaskRecord
from pico_celery_tooling.cli.completion_command import DESCRIBED_NAME
from pico_celery_tooling.cli.live_options import answers_of, live_options, nobody_answered
from pico_celery_tooling.describe.texts import describe_contract, describe_task
from pico_celery_tooling.output import EXIT_FINDINGS, EXIT_FINE, ToolError, end, json_option, print_json
from pico_celery_tooling.sources.loading import nearest_document

if TYPE_CHECKING:
    from pico_celery_tooling.live.inspect_client import Answers, WorkerAnswer


@click.command("describe")
@click.argument("name", metavar="TASK|CONTRACT", type=DESCRIBED_NAME)
@click.option("--in", "source", metavar="PACKAGE|LOCKFILE", help="Where to read the contracts.")
@live_options
@json_option
def command(name: str, source: str | None, *, live: bool, timeout: float, as_json: bool) -> None:
    """Describe a task: parameters, result, errors, options, and an example of its arguments.

    Without --in it reads contracts.lock.json in the working directory or, without that, the application. With --live it
    shows each version that running workers have; the exit code is 1 if nobody serves the task, or nobody answers.

    \b
    pico-celery describe orders.place
    pico-celery describe orders                         a contract, with its tasks
    pico-celery describe orders.place --in shop_contracts
    pico-celery -A shop.app describe orders.place --live
    """
    if live:
        if source is not None:
            raise ToolError("--in and --live are two places to look at", "leave one of them out")
        _describe_live(name, timeout, as_json=as_json)
        return
    document, origin = nearest_document(source)
    found = _find(document, name)
    if found is None:
        raise ToolError(f"no task or contract {name!r} in {origin}", did_you_mean(name, _names(document)))
    if as_json:
        print_json(_data(document, found))
    else:
        click.echo(_text(document, found))


def _find(document: Document, name: str) -> TaskRecord | ContractRecord | None:
    aliased = next((task for task in document.tasks.values() if name in task.aliases), None)
    return document.tasks.get(name) or document.contracts.get(name) or aliased


def _names(document: Document) -> set[str]:
    aliases = {alias for task in document.tasks.values() for alias in task.aliases}
    return {*document.tasks, *document.contracts, *aliases}


def _text(document: Document, found: TaskRecord | ContractRecord) -> str:
    def heading(text: str) -> str:
        return click.style(text, bold=True)

    if isinstance(found, ContractRecord):
        return describe_contract(found, heading=heading)
    return describe_task(document, found, _example(document, found), heading=heading)


def _example(document: Document, task: TaskRecord) -> Any:
    from pico_celery_tooling.schema.sampling import example  # noqa: PLC0415 - a contract as a whole needs none

    return example(document, task.arguments)


def _data(document: Document, found: TaskRecord | ContractRecord) -> dict[str, Any]:
    """Return a record as JSON data, with schemas that are complete in themselves."""
    if isinstance(found, ContractRecord):
        own = found.model_dump(mode="json", exclude={"tasks"})
        return {"contract": found.key, **own, "tasks": [_data(document, task) for task in found.tasks.values()]}
    data = found.model_dump(mode="json")
    for part in (*data["parameters"], data["result"], *data["errors"]):
        for schema in ("accepts", "sends"):
            if part[schema] is None:
                del part[schema]  # the other direction is the same
            else:
                part[schema] = document.standalone(part[schema])
    return {"contract": document.contract_of(found.name).key, **data, "example": _example(document, found)}


@dataclass(frozen=True, slots=True)
class _Served:
    """One version of a task or contract, and the workers who serve it."""

    workers: tuple[str, ...]
    document: Document | None
    record: TaskRecord | ContractRecord | None

    @property
    def data(self) -> dict[str, Any]:
        definition = None if self.document is None or self.record is None else _data(self.document, self.record)
        return {"workers": list(self.workers), "definition": definition}

    @property
    def text(self) -> str:
        heading = click.style(f"served by {', '.join(self.workers)}", fg="cyan")
        if self.document is None or self.record is None:
            return f"{heading}\nwhich did not send its definition"
        return f"{heading}\n{_text(self.document, self.record)}"


def _describe_live(name: str, timeout: float, *, as_json: bool) -> None:
    answers = answers_of(timeout, definitions=[name])
    found = _served(answers, name)
    if as_json:
        served = [version.data for version in found]
        print_json({"workers": [answer.worker for answer in answers], "served": served})
    elif found:
        click.echo("\n\n".join(version.text for version in found))
    else:
        click.echo(_reason(answers, name, timeout), err=True)
    end(EXIT_FINE if found else EXIT_FINDINGS)


def _served(answers: Answers, name: str) -> list[_Served]:
    if name in answers.contracts:
        by_digest: dict[str, list[WorkerAnswer]] = {}
        for answer in answers:
            if name in answer.contracts:
                by_digest.setdefault(answer.contracts[name], []).append(answer)
        return [_contract(name, same) for same in by_digest.values()]
    versions = answers.versions(name)
    return [_Served(version.workers, version.document, version.record) for version in versions]


def _contract(name: str, answers: list[WorkerAnswer]) -> _Served:
    documents = [answer.document for answer in answers if answer.document and name in answer.document.contracts]
    document = documents[0] if documents else None
    record = document.contracts[name] if document is not None else None
    return _Served(tuple(answer.worker for answer in answers), document, record)


def _reason(answers: Answers, name: str, timeout: float) -> str:
    if not answers:
        return f"unknown: {nobody_answered(timeout)}"
    by_name = [answer.worker for answer in answers if name in answer.others]
    if by_name:
        return f"unknown: {', '.join(by_name)} {'takes' if len(by_name) == 1 else 'take'} {name} without a contract"
    known = {*answers.names, *answers.contracts, *(alias for answer in answers for alias in answer.aliases)}
    return f"nobody serves {name!r}: {did_you_mean(name, known)}"
