"""``asyncapi``: print the contracts as an AsyncAPI document."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pico_celery_tooling.output import ToolError, json_option, print_json

if TYPE_CHECKING:
    from pico_celery_tooling.asyncapi.build import BrokerServer, Protocol
    from pico_celery_tooling.asyncapi.messages import View

_OUTPUT = click.Path(dir_okay=False, path_type=Path, allow_dash=True)


@click.command("asyncapi")
@click.argument("source", required=False, metavar="[PACKAGE|LOCKFILE]")
@click.option("-o", "--output", default="-", type=_OUTPUT, help="The file; the standard output without it.")
@click.option("--server", metavar="URL", help="The broker. User and password are left out of the document.")
@click.option(
    "--protocol",
    type=click.Choice(["redis", "amqp"]),
    help="How messages are carried; that of --server, or redis. Replies take Celery's result backend of the same kind.",
)
@click.option(
    "--view",
    type=click.Choice(["worker", "client"]),
    default="worker",
    show_default=True,
    help="Whose operations: a worker receives calls and replies, a client sends calls.",
)
@click.option("--title", help="Title of the API; the name of the package without it.")
@click.option("--api-version", metavar="VERSION", help="Version of the API; that of the installed package without it.")
@click.option(
    "--default-queue",
    default="celery",
    show_default=True,
    metavar="NAME",
    help="Queue of tasks whose contract names none: task_default_queue of your application.",
)
@json_option
def command(
    *,
    source: str | None,
    output: Path,
    server: str | None,
    protocol: Protocol | None,
    view: View,
    title: str | None,
    api_version: str | None,
    default_queue: str,
    as_json: bool,
) -> None:
    """Describe contracts as AsyncAPI 3.0, in JSON.

    A channel for each queue, an operation for each task with its replies, and messages with the schemas of what is really
    sent: Celery's headers and body around the arguments, results and declared errors around their fields. Without
    PACKAGE or LOCKFILE it reads contracts.lock.json. JSON is YAML as well, for tools that ask for YAML.

    \b
    pico-celery asyncapi shop_contracts -o asyncapi.json
    pico-celery asyncapi --server amqp://broker.example.org/shop
    pico-celery asyncapi shop_contracts --view client
    """
    from pico_celery_tooling.asyncapi.build import Settings, asyncapi_of  # noqa: PLC0415 - as below
    from pico_celery_tooling.schema.sampling import example  # noqa: PLC0415 - the command line starts without it
    from pico_celery_tooling.sources.loading import read_source  # noqa: PLC0415 - as above

    broker = None if server is None else _server(server, protocol)
    read = read_source(source)
    settings = Settings(
        title=title or read.title,
        version=api_version or read.version or "0.0.0",
        view=view,
        protocol=protocol or (broker.family if broker is not None else "redis"),
        server=broker,
        default_queue=default_queue,
        example=partial(example, read.document),
    )
    data = asyncapi_of(read.document, settings)
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if str(output) == "-":
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ToolError(f"{output} cannot be written: {error.strerror}", "name another file with -o") from error
    report = {"file": str(output), "operations": len(data["operations"]), "channels": sorted(data["channels"])}
    if as_json:
        print_json(report)
    else:
        click.echo(f"wrote {output}: AsyncAPI 3.0, {_count(len(data['operations']))}")


def _server(url: str, protocol: Protocol | None) -> BrokerServer:
    from pico_celery_tooling.asyncapi.build import BrokerServer  # noqa: PLC0415 - as above

    try:
        server = BrokerServer.of(url)
    except ValueError as error:
        raise ToolError("--server is not the URL of a broker", str(error)) from None
    if protocol is not None and protocol != server.family:
        raise ToolError(f"--server is {server.protocol}, --protocol is {protocol}", "leave --protocol out")
    return server


def _count(operations: int) -> str:
    return "1 operation" if operations == 1 else f"{operations} operations"
