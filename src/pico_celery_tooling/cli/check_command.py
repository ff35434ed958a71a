"""``check``: find what a change of contracts breaks, and mistakes in the setup of an application."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from pico_celery.document.lockfile import LOCK_FILE
from pico_celery_tooling.check.ignores import (
    Ignore,
    ignore_of_option,
    ignores_of_project,
    ignoring,
    is_like,
    require_known,
)
from pico_celery_tooling.check.report import counts_of, counts_text, finding_data, print_findings
from pico_celery_tooling.evolution.rules import RULES, Category, Finding, Rollout, Verdict, fails, verdict_of
from pico_celery_tooling.output import EXIT_FINDINGS, EXIT_FINE, ToolError, end, json_option, print_json
from pico_celery_tooling.sources.loading import Source, application, read_source
from pico_celery_tooling.sources.versions import other

if TYPE_CHECKING:
    from celery import Celery

_VERDICTS: Final = {
    Verdict.ANY_ORDER: ("green", "clients and workers can be rolled out in any order"),
    Verdict.WORKERS_FIRST: ("yellow", "roll out workers first, and clients when no old worker runs any more"),
    Verdict.CLIENTS_FIRST: ("yellow", "roll out clients first, and workers when no old client runs any more"),
    Verdict.BREAKS: ("red", "something breaks, whichever order clients and workers are rolled out in"),
}
_ROLLOUT_HINTS: Final = {Verdict.CLIENTS_FIRST: "; say so with --rollout clients-first"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    """The findings, and which of them count."""

    findings: list[Finding]
    unused: list[Ignore]
    package: str
    against: str | None
    tasks: int
    rollout: Rollout
    categories: frozenset[Category]

    @property
    def failing(self) -> list[Finding]:
        return [finding for finding in self.findings if fails(finding, self.rollout, self.categories)]

    @property
    def verdict(self) -> Verdict:
        return verdict_of(self.findings, self.categories)


@click.command("check")
@click.argument("package", required=False)
@click.option(
    "--against",
    metavar="SOURCE",
    help=f"The version to compare with: a lock file, git:REV, git:REV:path, or another package.  [default: {LOCK_FILE}]",
)
@click.option(
    "--category",
    "categories",
    multiple=True,
    type=click.Choice([category.value for category in Category], case_sensitive=False),
    help="What counts; may be given several times.  [default: all]",
)
@click.option(
    "--rollout",
    default=Rollout.WORKERS_FIRST.value,
    show_default=True,
    type=click.Choice([rollout.value for rollout in Rollout]),
    help="How you roll out: matters of order fail the check unless that order avoids them.",
)
@click.option(
    "--ignore",
    "ignored",
    multiple=True,
    metavar="RULE:TASK=REASON",
    help="What does not count, and why; * is any text.",
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file with [tool.pico_celery.check].  [default: pyproject.toml]",
)
@click.option("--no-connect", is_flag=True, help="With -A: do not connect to broker and result backend.")
@click.option("--rules", is_flag=True, help="List the rules, with what each one means, and end.")
@json_option
def command(
    package: str | None,
    *,
    against: str | None,
    categories: Sequence[str],
    rollout: str,
    ignored: Sequence[str],
    config: Path | None,
    no_connect: bool,
    rules: bool,
    as_json: bool,
) -> None:
    """Say who breaks when the contracts of PACKAGE take the place of an older version.

    In a roll-out old clients meet new workers, new clients meet old workers, and queued messages meet new workers. A
    finding says who breaks, where, with which payload, and what to do instead. BREAK fails the check; ORDER fails it with
    --rollout any; NOTE never does. With -A the application is checked too: what nobody serves, what is not configured.

    \b
    pico-celery check shop_contracts                       with contracts.lock.json
    pico-celery check shop_contracts --against git:main    in CI, before a merge
    pico-celery check shop_contracts --against old_contracts --category WIRE --category QUEUED
    pico-celery check shop_contracts --ignore "queue_moved:orders.*=a worker stays on the old queue"
    pico-celery -A shop.app check shop_contracts           the application as well
    pico-celery -A shop.app check                          the application alone
    pico-celery check --rules
    """
    if rules:
        _list_rules(as_json=as_json)
        return
    ignores = [*ignores_of_project(config), *map(ignore_of_option, ignored)]
    require_known(ignores, _known)
    app = application(required=False)
    now = _now(package, app, against)
    before = None if package is None else _before(against, package, is_needed=app is None)
    found = [*_compared(before, now), *_application(app, now, reach=not no_connect)]
    wanted = frozenset(map(Category, categories)) or frozenset(Category)
    findings, unused = ignoring([finding for finding in found if finding.categories & wanted], ignores)
    checked = _Checked(
        findings=findings,
        unused=_about_what_was_looked_at(unused, application=app is not None, contracts=before is not None),
        package=now.name,
        against=before.name if before else None,
        tasks=len(now.document.tasks),
        rollout=Rollout(rollout),
        categories=wanted,
    )
    if as_json:
        print_json(_data(checked))
    else:
        _print(checked)
    end(EXIT_FINDINGS if checked.failing else EXIT_FINE)


def _now(package: str | None, app: Celery | None, against: str | None) -> Source:
    if package is not None:
        return read_source(package)
    if app is None or against is not None:
        raise ToolError(
            "no package given", "name it: pico-celery check PACKAGE; its contracts are compared with the lock file"
        )
    from pico_celery_tooling.check.application import contracts_of  # noqa: PLC0415 - it needs Celery

    return Source(name="the application", document=contracts_of(app))


def _before(against: str | None, package: str, *, is_needed: bool) -> Source | None:
    if against is not None:
        return other(against, package)
    if Path(LOCK_FILE).is_file() and Path(package).absolute() != Path(LOCK_FILE).absolute():
        return other(LOCK_FILE, package)
    if not is_needed:
        return None
    if Path(LOCK_FILE).is_file():
        raise ToolError(f"{LOCK_FILE} is what is compared: with which version?", "name it: --against git:main")
    raise ToolError(
        f"there is no {LOCK_FILE} here to compare with",
        f"write it with 'pico-celery lock {package}' and commit it, or name a version: --against git:main",
    )


def _compared(before: Source | None, now: Source) -> list[Finding]:
    if before is None:
        return []
    from pico_celery_tooling.evolution.compare import compare  # noqa: PLC0415 - --help and --rules start faster

    return compare(before.document, now.document)


def _application(app: Celery | None, now: Source, *, reach: bool) -> list[Finding]:
    if app is None:
        return []
    from pico_celery_tooling.check.application import check_application  # noqa: PLC0415 - it needs Celery

    return check_application(app, now.document, reach=reach)


def _about_what_was_looked_at(unused: Sequence[Ignore], *, application: bool, contracts: bool) -> list[Ignore]:
    """Leave out the ignores of rules that were not asked this time."""
    return [
        ignore for ignore in unused if (contracts if any(is_like(rule, ignore.rule) for rule in RULES) else application)
    ]


def _known(pattern: str) -> list[str]:
    """Return the names of the rules that an ignore may be about."""
    return list(RULES) if any(is_like(rule, pattern) for rule in RULES) else [*RULES, *_application_rules()]


def _application_rules() -> Mapping[str, str]:
    from pico_celery_tooling.check.application import APPLICATION_RULES  # noqa: PLC0415 - it needs Celery

    return APPLICATION_RULES


def _rules() -> list[dict[str, Any]]:
    compared = [
        {
            "rule": rule.name,
            "levels": [level.value for level in rule.levels],
            "categories": [category.value for category in Category if category in rule.categories],
            "meaning": rule.meaning,
            "remedy": rule.remedy,
        }
        for rule in RULES.values()
    ]
    of_applications = [
        {"rule": name, "categories": [Category.SETUP.value], "meaning": meaning}
        for name, meaning in _application_rules().items()
    ]
    return [*compared, *of_applications]


def _list_rules(*, as_json: bool) -> None:
    rules = _rules()
    if as_json:
        print_json(rules)
        return
    for rule in rules:
        levels = f"{' or '.join(rule['levels']).upper()}; " if "levels" in rule else ""
        click.echo(f"{click.style(rule['rule'], bold=True)}  ({levels}{', '.join(rule['categories'])})")
        click.echo(f"    {rule['meaning']}")
        if "remedy" in rule:
            click.secho(f"    instead: {rule['remedy']}", dim=True)


def _data(checked: _Checked) -> dict[str, Any]:
    failing = {id(finding) for finding in checked.failing}
    return {
        "package": checked.package,
        "against": checked.against,
        "rollout": checked.rollout.value,
        "categories": [category.value for category in Category if category in checked.categories],
        "findings": [{**finding_data(finding), "fails": id(finding) in failing} for finding in checked.findings],
        "unused_ignores": [
            {
                "rule": ignore.rule,
                "task": ignore.task,
                "path": ignore.path,
                "reason": ignore.reason,
                "where": ignore.where,
            }
            for ignore in checked.unused
        ],
        "summary": {"tasks": checked.tasks, **counts_of(checked.findings), "failing": len(failing)},
        "verdict": checked.verdict.value if checked.against is not None else None,
        "ok": not failing,
    }


def _print(checked: _Checked) -> None:
    print_findings(checked.findings)
    for ignore in checked.unused:
        about = ":".join(part for part in (ignore.rule, ignore.task, ignore.path) if part != "*")
        click.echo(
            f"{click.style('unused ignore:', fg='yellow')} {about} ({ignore.where}) is about nothing any more: {ignore.reason}"
        )
    against = "" if checked.against is None else f" against {checked.against}"
    subject = f"{checked.package}{against}, {_tasks(checked.tasks)}"
    click.echo(f"{subject}: {counts_text(counts_of(checked.findings))}")
    if checked.against is not None:
        colour, text = _VERDICTS[checked.verdict]
        more = _ROLLOUT_HINTS.get(checked.verdict, "") if checked.rollout is Rollout.WORKERS_FIRST else ""
        if checked.verdict is Verdict.ANY_ORDER and checked.failing:
            colour, more = "yellow", "; what fails breaks no message"
        click.secho(f"{text}{more}", fg=colour)


def _tasks(number: int) -> str:
    return "1 task" if number == 1 else f"{number} tasks"
