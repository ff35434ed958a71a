"""``lock``: write the contracts to a lock file."""

from __future__ import annotations

from pathlib import Path

import click

from pico_celery.document.build import document_of
from pico_celery.document.lockfile import LOCK_FILE, to_text
from pico_celery_tooling.output import EXIT_FINDINGS, EXIT_FINE, ToolError, end, json_option, print_json
from pico_celery_tooling.sources.loading import load_contracts


@click.command("lock")
@click.argument("package")
@click.option(
    "-o",
    "--output",
    default=LOCK_FILE,
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    help="The file; - for the standard output.",
)
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 where the file is not up to date.")
@json_option
def command(package: str, output: Path, *, check: bool, as_json: bool) -> None:
    """Write the contracts of PACKAGE to a lock file.

    The file holds every task's parameters, result, errors, options and schemas, in a form that is small in a diff.
    Commit it: `check` compares with it, and `call`, `describe` and `docs` need nothing else.

    \b
    pico-celery lock shop_contracts
    pico-celery lock shop_contracts --check    in CI: is it up to date
    """
    document = document_of(load_contracts(package))
    text = to_text(document)
    if str(output) == "-":
        click.echo(text, nl=False)
        return
    is_there = output.exists()
    is_same = is_there and output.read_bytes() == text.encode()
    if not check and not is_same:
        _write(output, text)
    if as_json:
        report = {
            "file": str(output),
            "changed": not is_same,
            "written": not (check or is_same),
            "tasks": len(document.tasks),
        }
        print_json(report)
    elif is_same:
        click.echo(f"{output} is up to date: {_count(document.tasks)}")
    elif check:
        click.echo(
            f"{output} is {'out of date' if is_there else 'missing'}: run 'pico-celery lock {package}'", err=True
        )
    else:
        click.echo(f"wrote {output}: {_count(document.tasks)}")
    end(EXIT_FINDINGS if check and not is_same else EXIT_FINE)


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ToolError(f"{output} cannot be written: {error.strerror}", "name another file with -o") from error


def _count(tasks: object) -> str:
    number = len(tasks)  # type: ignore[arg-type]  # a mapping
    return "1 task" if number == 1 else f"{number} tasks"
