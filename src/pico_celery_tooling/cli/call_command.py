"""``call``: send a task from the command line, and print what comes back."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import IO, TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from pico_celery.errors import FaultsError, PicoCeleryError
from pico_celery_tooling.cli.completion_command import TASK_NAME
from pico_celery_tooling.output import EXIT_FINDINGS, EXIT_FINE, ToolError, end, json_option, print_json
from pico_celery_tooling.sources.loading import application

if TYPE_CHECKING:
    from pico_celery_tooling.call.answer import CallAnswer
    from pico_celery_tooling.call.find_task import FoundTask
    from pico_celery_tooling.call.prepare import TaskCall
    from pico_celery_tooling.call.send import SentCall


class CallCommandError(ToolError):
    """A call was refused, or did not come to an end."""

    def __init__(self, message: str, remedy: str = "", told: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, remedy)
        self.told = dict(told or {})

    @classmethod
    def of(cls, error: PicoCeleryError) -> CallCommandError:
        """Tell of an error of this library, with its faults."""
        faults = error.data.get("faults") if isinstance(error, FaultsError) else None
        return cls(str(error), told={"faults": faults} if faults else None)

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it, as `ToolError` does."""
        if not self._as_json:
            super().show(file)
            return
        remedy = {"remedy": self.remedy} if self.remedy else {}
        told = {name: value for name, value in self.told.items() if name != "faults"}
        faults = {"faults": self.told["faults"]} if "faults" in self.told else {}
        print_json({**told, "error": {"message": self.message, **remedy, **faults}})


def notes_of(found: FoundTask, call: TaskCall, sent: SentCall) -> list[str]:
    """Return what a user should know of a call that was sent, beside its result."""
    notes = [f"note: {note}" for note in found.notes]
    if call.keyless:
        notes.append(
            f"note: calls of {call.task} have an idempotency key that only Python computes: this one has none; "
            "give it with --option idempotency_key=..., or name the package with --in"
        )
    if not sent.is_first:
        notes.append(f"note: an earlier call has the same idempotency key: this is {call.task}[{sent.id}], sent then")
    return notes


def print_answer(answer: CallAnswer, identity: Mapping[str, str], *, traceback: bool, as_json: bool) -> None:
    """Print how a call ended."""
    told = answer.told
    if traceback and answer.traceback and answer.error is not None:
        told["error"]["traceback"] = answer.traceback
    if as_json:
        print_json(
            {**identity, "state": answer.state, **told, **({"misfits": answer.misfits} if answer.misfits else {})}
        )
    else:
        print_json(told["result"] if answer.error is None else told)
    if answer.misfits:
        what = "result does" if answer.error is None else "fields of its error do"
        lines = "".join(f"\n  - {misfit}" for misfit in answer.misfits)
        click.echo(f"warning: the {what} not fit the contract of {identity['task']}:{lines}", err=True)


_EXIT_INTERRUPTED: Final = 130  # 128 and the number of SIGINT, as shells have it
_STATES: Final = {
    "PENDING": "; as far as is known no worker has taken it: is one running that takes its queue, and keeps results where this looks?",
    "STARTED": "; a worker runs it",
    "RETRY": "; it has failed, and is to be tried again",
}
"""What the state of a call tells of the reason why it has not ended."""


@click.command("call")
@click.argument("task", type=TASK_NAME)
@click.option(
    "-d", "--data", metavar="JSON|@FILE|-", help="The arguments by name: JSON, @file, or - for the standard input."
)
@click.option("--example", is_flag=True, help="Print arguments to start from, and send nothing.")
@click.option(
    "--in", "source", metavar="PACKAGE|LOCKFILE", help="Where the contract is, if not in any of the places above."
)
@click.option("--live", is_flag=True, help="Take the contract from the running workers, not from any file.")
@click.option("--timeout", type=click.FloatRange(min=0), default=30.0, show_default=True, metavar="SECONDS",
              help="How long to wait for the result. The task goes on after it.")  # fmt: skip
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE",
              help="An option of sending, such as queue=fast, countdown=10, priority=5; as often as needed.")  # fmt: skip
@click.option("--no-wait", is_flag=True, help="Print the id of the task, and wait for nothing.")
@click.option("--broker", metavar="URL", help="The broker, where there is no application to name with -A.")
@click.option("--result-backend", metavar="URL", help="The result backend, together with --broker.")
@click.option("--traceback", is_flag=True, help="Print the worker's traceback of a task that failed, too.")
@json_option
def command(
    task: str,
    *,
    data: str | None,
    example: bool,
    source: str | None,
    live: bool,
    timeout: float,
    options: tuple[str, ...],
    no_wait: bool,
    broker: str | None,
    result_backend: str | None,
    traceback: bool,
    as_json: bool,
) -> None:
    """Send TASK to the workers, wait, and print its result.

    \b
    pico-celery call orders.place --example > order.json
    pico-celery -A shop.app call orders.place --data @order.json
    pico-celery -A shop.app call orders.cancel --data '{"order_id": 1}' --option countdown=10 --no-wait
    pico-celery call orders.status --data - --broker amqp://... --result-backend redis://...

    The arguments are held against the contract first; what does not fit is not sent. The contract is looked for in --in,
    in contracts.lock.json here, in the application, and at the running workers: no Python code of the contract is needed.

    The result is JSON on the standard output. A task that fails prints {"error": ...}, with code and fields where the
    contract declares the error. With --json, id and state are printed with either. Secrets do not go into the worker's
    log, but into your shell's history: give them with @file or -.

    Exit codes: 0 a result, 1 the task failed, or its result does not fit the contract, 2 nothing was sent or nothing came
    back, 130 interrupted while waiting.
    """
    from pico_celery_tooling.call.find_task import find_task  # noqa: PLC0415 - --help needs none of it

    broker, result_backend = _servers(broker, result_backend)
    app = _once(lambda: _application(broker, result_backend))
    has_application = broker is not None or _names_application()
    if live and (source is not None or not has_application):
        raise ToolError("--live asks the running workers", "name the application with -A, or a --broker, and no --in")
    try:
        found = find_task(task, given=source, live=live, has_application=has_application, application=app)
        if example:
            _print_example(found)
            return
        call = _prepare(found, data, options, app)
        sent = _send(app(), call)
    except PicoCeleryError as error:
        raise CallCommandError.of(error) from error
    for note in notes_of(found, call, sent):
        click.echo(note, err=True)
    identity = {"task": found.task.name, "id": sent.id}
    reason = _why_no_result(app(), call, no_wait=no_wait)
    if reason is not None:
        if as_json:
            print_json(identity)
        else:
            click.echo(sent.id)
        if reason:
            click.echo(reason, err=True)
        return
    answer = _wait(app(), found, sent, timeout)
    print_answer(answer, identity, traceback=traceback, as_json=as_json)
    end(EXIT_FINE if answer.succeeded else EXIT_FINDINGS)


def _once(load: Callable[[], Any]) -> Callable[[], Any]:
    loaded: list[Any] = []

    def get() -> Any:
        if not loaded:
            loaded.append(load())
        return loaded[0]

    return get


def _servers(broker: str | None, backend: str | None) -> tuple[str | None, str | None]:
    """Return the URLs that lead to the workers where no application does."""
    above = click.get_current_context().find_root()
    if broker is not None and above.get_parameter_source("app") is ParameterSource.COMMANDLINE:
        raise ToolError("both an application and a --broker are given", "name one of them: -A, or --broker")
    if broker is None and _names_application():
        if backend is not None:
            raise ToolError("--result-backend belongs to --broker", "the application has its own")
        return None, None
    broker, backend = broker or above.params.get("broker"), backend or above.params.get("result_backend")
    if backend is not None and broker is None:
        raise ToolError("--result-backend alone leads to no worker", "give --broker too, or the application: -A")
    return broker, backend


def _names_application() -> bool:
    return click.get_current_context().find_root().params.get("app") is not None


def _application(broker: str | None, backend: str | None) -> Any:
    if broker is None:
        if not _names_application():
            root = click.get_current_context().find_root().info_name
            raise ToolError(
                "nothing says where the workers are",
                f"name the application ({root} -A your.module:app call ...), or give a --broker",
            )
        return application()
    from pico_celery_tooling.call.prepare import application_at  # noqa: PLC0415 - it needs Celery

    return application_at(broker, backend)


def _print_example(found: FoundTask) -> None:
    from pico_celery_tooling.schema.sampling import example  # noqa: PLC0415 - only where it is asked for

    print_json(example(found.document, found.task.arguments))


def _prepare(found: FoundTask, data: str | None, options: tuple[str, ...], app: Callable[[], Any]) -> TaskCall:
    from pico_celery_tooling.call.arguments import check_arguments, read_data  # noqa: PLC0415 - it needs pydantic

    arguments = {} if data is None else read_data(data)
    check_arguments(found.task, found.document, arguments, None)  # before anything slow is loaded

    from pico_celery_tooling.call.prepare import options_of, prepare  # noqa: PLC0415 - as above

    chosen = options_of(found.task, options)
    app()  # may bring the contract in Python, which checks more, and computes idempotency keys
    return prepare(found, arguments, chosen)


def _send(app: Any, call: TaskCall) -> SentCall:
    from pico_celery_tooling.call.send import UnreachableError, send  # noqa: PLC0415 - it needs Celery

    try:
        return send(app, call)
    except UnreachableError as error:
        raise CallCommandError(
            str(error), "start it, or name the one that the workers use, with -A or with --broker and --result-backend"
        ) from error
    except KeyboardInterrupt:
        click.echo(f"interrupted while {call.task} was being sent: it may have been", err=True)
        raise click.exceptions.Exit(_EXIT_INTERRUPTED) from None


def _why_no_result(app: Any, call: TaskCall, *, no_wait: bool) -> str | None:
    """Tell why there is no result to wait for; ``None`` where there is one."""
    from pico_celery.client.results.hub import hub_of  # noqa: PLC0415 - it needs Celery

    if no_wait:
        return ""
    if call.ignores_result:
        return f"{call.task} was sent with ignore_result: no result comes back"
    if not hub_of(app).keeps_results:
        return f"{call.task} was sent; there is no result backend, so nothing comes back (--result-backend, or result_backend of the application)"
    return None


def _wait(app: Any, found: FoundTask, sent: SentCall, seconds: float) -> CallAnswer:
    from pico_celery_tooling.call.answer import Reader  # noqa: PLC0415 - only where something came back
    from pico_celery_tooling.call.send import NO_STATE, NoAnswerError, UnreachableError, state_of, wait  # noqa: PLC0415 - as above

    name = f"{found.task.name}[{sent.id}]"
    told = {"task": found.task.name, "id": sent.id}
    is_watched = sys.stderr.isatty()

    def show(passed: float) -> None:
        click.echo(f"\r\x1b[K{name} {state_of(app, sent)} {passed:.0f} s", nl=False, err=True)

    try:
        try:
            meta = wait(app, sent, seconds, show if is_watched else None)
        finally:
            click.echo("\r\x1b[K" if is_watched else "", nl=False, err=True)
    except NoAnswerError as error:
        state = state_of(app, sent)
        why = f"; {state}" if state == NO_STATE else _STATES.get(state, "")
        raise CallCommandError(
            f"{name}: {error}{why}", f"the task goes on; look again: {_look_again(sent.id)}", told
        ) from None
    except UnreachableError as error:
        message = f"{name} was sent, but {error}"
        raise CallCommandError(message, f"look again when it can be: {_look_again(sent.id)}", told) from None
    except KeyboardInterrupt:
        click.echo(f"{name} goes on; look again: {_look_again(sent.id)}", err=True)
        raise click.exceptions.Exit(_EXIT_INTERRUPTED) from None
    answer = Reader(found.task, found.document).read(meta)
    if answer.revoked:
        raise CallCommandError(
            f"{name} was revoked: it was not run to its end", "send it again, if it was not meant", told
        )
    return answer


def _look_again(task_id: str) -> str:
    context = click.get_current_context()
    app = context.find_root().params.get("app")
    if isinstance(app, str) and context.params.get("broker") is None:
        return f"celery -A {app} result {task_id}"
    return f"celery --result-backend ... result {task_id}"
