"""What `call` prints: notes, how a call ended, and why it did not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

import click

from pico_celery.errors import FaultsError, PicoCeleryError
from pico_celery_tooling.output import ToolError, print_json

if TYPE_CHECKING:
    from pico_celery_tooling.call.answer import CallAnswer
    from pico_celery_tooling.call.find_task import FoundTask
    from pico_celery_tooling.call.prepare import TaskCall
    from pico_celery_tooling.call.send import SentCall


class CallError(ToolError):
    """A call was refused, or did not come to an end.

    Args:
        message: What is wrong.
        remedy: What to do about it.
        told: More about it, for programs.
    """

    def __init__(self, message: str, remedy: str = "", told: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, remedy)
        self.told = dict(told or {})

    @classmethod
    def of(cls, error: PicoCeleryError) -> CallError:
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
    """Print how a call ended.

    Args:
        answer: How it ended.
        identity: Name and id of the task, for programs.
        traceback: Whether to print the worker's traceback of a failure too.
        as_json: Whether a program reads it.
    """
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
