"""``docs``: a site about the contracts."""

from __future__ import annotations

from pathlib import Path

import click

from pico_celery_tooling.output import ToolError, json_option, print_json


@click.command("docs")
@click.argument("source", required=False, metavar="[PACKAGE|LOCKFILE]")
@click.option(
    "-o",
    "--output",
    default="site",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The directory. It has to be new, empty, or one that this command has written.",
)
@click.option(
    "--against",
    metavar="LOCKFILE|git:REV|PACKAGE",
    help="Show what changed since then: a lock file, a revision of git, or another package.",
)
@click.option("--title", help="Title of the site; the name of the package without it.")
@json_option
def command(source: str | None, output: Path, against: str | None, title: str | None, *, as_json: bool) -> None:
    """Write a site about contracts: static HTML, to be opened from the disk or put on any server.

    Each task has a page with its parameters, result, errors and policies, with examples, JSON Schemas and the code that
    calls it. Docstrings of contracts and models are the text. From a package that code is complete; from a lock file the
    class of the contract has to be imported by who uses it. Without PACKAGE or LOCKFILE it reads contracts.lock.json.

    \b
    pico-celery docs shop_contracts -o site
    pico-celery docs shop_contracts -o site --against contracts.lock.json
    pico-celery docs shop_contracts -o site --against git:main --title "Shop: contracts"
    """
    from pico_celery_tooling.site.build import build_site  # noqa: PLC0415 - the command line starts without it
    from pico_celery_tooling.site.writer import ForeignDirectoryError, write_site  # noqa: PLC0415 - as above
    from pico_celery_tooling.sources.loading import read_source  # noqa: PLC0415 - as above

    read = read_source(source)
    changes = None
    if against is not None:
        from pico_celery_tooling.site.changes import changes_since  # noqa: PLC0415 - as above
        from pico_celery_tooling.sources.versions import other  # noqa: PLC0415 - as above

        changes = changes_since(other(against, read.name).document, read.document, against)
    pages = build_site(read.document, title=title or read.title, contracts=read.contracts, changes=changes)
    try:
        written = write_site(output, pages)
    except ForeignDirectoryError as error:
        raise ToolError(f"{error}: nothing is written", "name a new or empty directory with -o") from None
    except OSError as error:
        raise ToolError(f"{output} cannot be written: {error.strerror}", "name another directory with -o") from error
    start = output / "index.html"
    told = {"directory": str(output), "start": str(start), "files": len(pages)}
    if as_json:
        print_json({**told, "changed": written.changed, "removed": written.removed})
    else:
        click.echo(
            f"wrote {start}: {_tasks(len(read.document.tasks))}, {len(pages)} files, {written.changed} of them changed"
        )


def _tasks(number: int) -> str:
    return "1 task" if number == 1 else f"{number} tasks"
