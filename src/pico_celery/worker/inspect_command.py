"""``celery inspect contracts``: a worker reports what it serves, over Celery's own control channel.

Source: https://docs.celeryq.dev/en/stable/userguide/workers.html#writing-your-own-remote-control-commands
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from celery import Celery
from celery.worker.control import inspect_command

from pico_celery.app_state import state_of
from pico_celery.celery_port import Consumer
from pico_celery.contract.catalog import contract_key, default_catalog
from pico_celery.contract.definition import ContractDefinition, TaskDefinition
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import to_data
from pico_celery.document.records import LOCK_VERSION, Document
from pico_celery.worker.contract_task import ContractTask
from pico_celery.worker.registrations import registrations_of

COMMAND: Final = "contracts"
_KEPT: Final = 64
_logger = logging.getLogger(__name__)


class _State(Protocol):
    """What Celery gives to a remote control command."""

    app: Celery
    consumer: Consumer


class _Documents(dict[frozenset[ContractDefinition], Document]):
    """The documents that were made of an application's contracts."""


def answer_inspect() -> None:
    """Let the workers of this process answer ``celery inspect contracts``; once is enough."""
    inspect_command(
        name=COMMAND,
        variadic="names",
        signature="[task or contract ...]",
        help="Contracts that the worker serves, by digest; the whole definition of those that are named.",
    )(_answer)


def _answer(state: _State, names: object = (), definitions: object = False, **_: object) -> dict[str, object]:
    """Answer one question; a newer version of this library may ask with arguments that are not known here."""
    try:
        wanted = {str(name) for name in (names if isinstance(names, (list, tuple)) else [names])}
        return _report(state.app, state.consumer, wanted, everything=bool(definitions))
    except Exception as error:
        # The text of an exception may hold anything of the process.
        _logger.exception("the contracts could not be reported")
        return {"error": f"the contracts could not be reported ({type(error).__name__}): see the log of this worker"}


def _report(app: Celery, consumer: Consumer, names: set[str], *, everything: bool) -> dict[str, object]:
    """Return digests by name and, of what is asked for, the definitions as a lock file has them."""
    served, aliases, implied = _served(app)
    contracts = _contracts_of(app, served)
    digests = {contract_key(contract): contract.digest for contract in contracts}
    report: dict[str, object] = {
        "lock_version": LOCK_VERSION,
        "contracts": dict(sorted(digests.items())),
        "tasks": {name: served[name].digest for name in sorted(served)},
        "aliases": dict(sorted(aliases.items())),
        "implied": sorted(implied),
        "queues": _queues(consumer),
    }
    if everything or names:
        wanted = {name for name, task in served.items() if everything or name in names or task.contract in names}
        wanted |= {name for alias, name in aliases.items() if alias in names}
        declaring = (contract for contract in contracts if any(task.name in wanted for task in contract.tasks.values()))
        report["definitions"] = to_data(_document(app, declaring).only(wanted))
    return report


def _served(app: Celery) -> tuple[dict[str, TaskDefinition], dict[str, str], set[str]]:
    """Return the declared tasks of an application by name, the aliases among its names, and what no contract declares."""
    served: dict[str, TaskDefinition] = {}
    aliases: dict[str, str] = {}
    implied: set[str] = set()
    for name, task in list(app.tasks.items()):
        if name.startswith("celery."):
            continue
        definition = task.binding.definition if isinstance(task, ContractTask) else None
        if definition is None or not definition.declared:
            implied.add(name)
            continue
        served[definition.name] = definition
        if name != definition.name:
            aliases[name] = definition.name
    return served, aliases, implied


def _contracts_of(app: Celery, served: Mapping[str, TaskDefinition]) -> list[ContractDefinition]:
    """Return the contracts that declare tasks; the one that inherits a task does not count."""
    catalogs = [*(registration.catalog for registration in registrations_of(app)), default_catalog]
    known = dict.fromkeys(contract for catalog in catalogs for contract in catalog.contracts)
    return [
        contract
        for contract in known
        if any(
            served.get(task.name) is task and task.contract == contract_key(contract)
            for task in contract.tasks.values()
        )
    ]


def _document(app: Celery, contracts: Iterable[ContractDefinition]) -> Document:
    """Return a document of contracts, made once: the schemas of many take a while, in which the consumer would wait."""
    made = state_of(app).get(_Documents)
    wanted = frozenset(contracts)
    if wanted not in made:
        if len(made) >= _KEPT:
            made.clear()
        made[wanted] = document_of(wanted)
    return made[wanted]


def _queues(consumer: Consumer) -> list[str]:
    tasks = consumer.task_consumer
    return sorted(str(queue.name) for queue in tasks.queues) if tasks is not None else []
