"""``verify``: does every client have workers that serve what it calls, by a contract that fits?"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from pico_celery_tooling.cli.live_options import live_options, nobody_answered
from pico_celery_tooling.output import EXIT_FINDINGS, EXIT_FINE, ToolError, end, json_option, print_json
from pico_celery_tooling.sources.loading import application
from pico_celery_tooling.sources.source import read_source

if TYPE_CHECKING:
    from pico_celery_tooling.live.inspect_client import Answers
    from pico_celery_tooling.live.verify import Serving, TaskReport

_COLOURS: Final = {"incompatible": "red", "unserved": "red", "unknown": "yellow", "compatible": "cyan", "fine": "green"}


@click.command("verify")
@click.argument("source", required=False, metavar="[PACKAGE|LOCKFILE]")
@live_options
@click.option(
    "--against",
    metavar="PACKAGE|LOCKFILE",
    help="Hold the clients against this, as if its workers ran: the lock file of those who serve.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="With --live: ask again until all is fine, at most so long. For deployments.",
)
@json_option
def command(source: str | None, *, live: bool, timeout: float, against: str | None, wait: float, as_json: bool) -> None:
    """Return whether each task that clients call is served, by a contract that fits theirs.

    What has to be served: what the clients of the application (-A) call, or all tasks of PACKAGE or LOCKFILE.

    Who serves it: with --live the workers that run, which tell it themselves; with --against those of a lock file; else
    the tasks that the application itself registers.

    \b
    fine          every worker that takes its messages has the same contract
    compatible    another version of the contract, and neither side refuses what the other sends
    incompatible  it does; or a worker consumes its queue and does not know the task
    unserved      nobody serves it, or nobody who serves it consumes its queue
    unknown       nobody answered, or a worker does not say by which contract it serves it

    The first two are fine: exit code 0. Anything else is 1, silence too. A broker that cannot be reached is 2.

    \b
    pico-celery -A shop.app verify --live
    pico-celery -A shop.app verify shop_contracts --live --wait 60      before clients are rolled out
    pico-celery -A shop.app verify --against ../orders/contracts.lock.json
    """
    if live and against is not None:
        raise ToolError("--live and --against are two answers to the same question", "leave one of them out")
    if wait and not live:
        raise ToolError("--wait is for workers that are about to start", "ask them: add --live")
    app = application()
    from pico_celery_tooling.live import expected_calls as wanting  # noqa: PLC0415 - with Celery
    from pico_celery_tooling.live import verify as asking  # noqa: PLC0415 - with Celery
    from pico_celery_tooling.live.verify import verify  # noqa: PLC0415 - as these

    wanted = wanting.wanted_of(app, None if source is None else read_source(source).document)
    if live:
        look = partial(asking.verify_live, app, wanted, timeout)
        answers, reports = asking.wait_until_good(look, wait, partial(click.echo, err=True))
    else:
        answers = (
            wanting.served_here(app) if against is None else wanting.locked(read_source(against).document, against)
        )
        reports = verify(wanted, answers)
    if as_json:
        print_json(_data(answers, reports))
    else:
        click.echo(_text(answers, reports, timeout))
        if not live and against is None and any(report.state == "unserved" for report in reports):
            click.echo("only this application was looked at: --live asks the workers of all applications on its broker")
    end(EXIT_FINE if all(report.is_good for report in reports) else EXIT_FINDINGS)


def _data(answers: Answers, reports: list[TaskReport]) -> dict[str, Any]:
    from pico_celery_tooling.check.report import finding_data  # noqa: PLC0415 - for this way of printing alone

    def serving(one: Serving) -> dict[str, Any]:
        more = {"reason": one.reason} if one.reason else {}
        found = [{**finding_data(met.finding), "certain": met.is_certain} for met in one.met]
        return {"workers": list(one.workers), "state": one.state, "digest": one.digest, **more, "findings": found}

    return {
        "fine": all(report.is_good for report in reports),
        "answered": [answer.worker for answer in answers],
        "tasks": [
            {
                "task": report.wanted.name,
                "state": report.state,
                "digest": None if report.wanted.record is None else report.wanted.record.digest,
                **({"reason": report.reason} if report.reason else {}),
                "served": [serving(one) for one in report.serving],
            }
            for report in reports
        ],
    }


def _text(answers: Answers, reports: list[TaskReport], timeout: float) -> str:
    lines = [line for report in reports for line in _report(report)]
    if not answers:
        lines.append(nobody_answered(timeout))
    counts = Counter(str(report.state) for report in reports)
    return "\n".join([*lines, "", ", ".join(f"{counts[state]} {state}" for state in _COLOURS if counts[state])])


def _report(report: TaskReport) -> list[str]:
    lines = [f"{_coloured(report.state)}  {click.style(report.wanted.name, bold=True)}"]
    if report.reason:
        lines.append(f"  {report.reason}")
    for one in report.serving:
        workers = ", ".join(one.workers)
        lines.append(f"  {workers}: {one.state}{f', {one.reason}' if one.reason else ''}")
        for met in one.met:
            path, message = met.finding.path, met.finding.message
            lines.append(f"    {path}: {message}" if path else f"    {message}")
        remedies = dict.fromkeys(met.finding.remedy for met in one.met if met.finding.level != "note")
        lines.extend(f"    instead: {remedy}" for remedy in remedies)
    return lines


def _coloured(state: str) -> str:
    return click.style(f"{state:12}", fg=_COLOURS[state])
