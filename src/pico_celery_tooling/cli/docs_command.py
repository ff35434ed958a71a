"""``docs``: write a static site about the contracts."""

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
    help="The directory: new, empty, or one that this command wrote before.",
)
@click.option(
    "--against",
    metavar="LOCKFILE|git:REV|PACKAGE",
    help="Show what changed since then: a lock file, a revision of git, or another package.",
)
@click.option("--title", help="Title of the site. Default: the name of the package.")
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
    # All imports are here, so that the command line starts without them; the first ones need an extra.
    try:
        from pico_celery_tooling.site.build import ForeignDirectoryError, build_site, write_site  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _incomplete(error) from None
    from pico_celery_tooling.schema.words import count  # noqa: PLC0415 - as above
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
    if as_json:
        files = {"files": len(pages), "changed": written.changed, "removed": written.removed}
        print_json({"directory": str(output), "start": str(start), **files})
    else:
        tasks = count(len(read.document.tasks), "task")
        click.echo(f"wrote {start}: {tasks}, {len(pages)} files, {written.changed} of them changed")


def _incomplete(error: ModuleNotFoundError) -> ToolError:
    if (error.name or "").startswith("pico_celery"):
        raise error
    needed = "jinja2, markdown-it-py with linkify-it-py, and pygments"
    return ToolError(f"docs needs {needed}; not all of them are installed", "pip install 'pico-celery[docs]'")
