"""Every exception and warning of pico_celery, one tree.

::

    Exception
     └── PicoCeleryError
          ├── DeclarationError               found before anything runs
          │    ├── ContractError             a class cannot be a contract              (the @contract line)
          │    │    └── ErrorClassError      a class cannot be a declared error        (the class statement)
          │    ├── DecoratorError            a decorator is on what it cannot decorate (that line; TypeError, ValueError)
          │    ├── LockFileError             a lock file cannot be read                (the command line)
          │    ├── OptionError               an option is unknown or ill-typed         (the line that gives it; TypeError)
          │    ├── CompositionError          the parts of a workflow do not fit        (the line that joins them; TypeError)
          │    └── ConformanceError          an implementation or client differs       (container start, client import)
          │         └── UnknownTaskError     no contract declares the name             (container start, client import)
          ├── SettingsError                  a setting is misspelt, ill-typed, unsafe  (container start)
          ├── EmbeddedBrokerError            the private Redis server cannot be had    (start of the process)
          ├── TaskError                      base of the errors that contracts declare (raised in tasks)
          ├── ErrorFieldsError               fields do not fit a declared error        (where it is built; TypeError)
          ├── RemoteError                    a task raised what its contract does not declare (.get(), await)
          ├── PayloadError                   arguments do not fit the contract         (the call, or the worker; TypeError)
          ├── ResultError                    a result does not fit the contract        (the worker, or .get())
          ├── DeadlineExceeded               a call has not ended by its deadline      (the worker, the wait, or the call)
          ├── ExecutionError                 a task cannot be run here, or cancelled itself (the worker)
          ├── BatchError                     a batch of calls was sent in part         (the call)
          ├── IncompatibleContainerError     pico-ioc lacks what this library needs    (container start)
          └── UnboundClientError             a client has no Celery application        (the call)

    UserWarning
     └── UndeclaredTaskWarning               a task name that no contract declares

    DeprecationWarning
     └── DeprecatedTaskWarning               a deprecated task is called, or an old name is used (the call, client import)

Every error is built from a message and a mapping of JSON values, keeps both in ``args``, and so survives pickling and
the JSON in which Celery's result backends store a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Literal, Self

__all__ = [
    "BatchError",
    "CallError",
    "CompositionError",
    "ConformanceError",
    "ContractError",
    "DeadlineExceeded",
    "DeclarationError",
    "DecoratorError",
    "DeprecatedTaskWarning",
    "EmbeddedBrokerError",
    "ErrorClassError",
    "ErrorFieldsError",
    "ExecutionError",
    "Fault",
    "FaultsError",
    "IncompatibleContainerError",
    "LockFileError",
    "OptionError",
    "PayloadError",
    "PicoCeleryError",
    "RemoteError",
    "ResultError",
    "SettingsError",
    "UnboundClientError",
    "UndeclaredTaskWarning",
    "UnknownTaskError",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong, for people and for programs.

    Attributes:
        task: Name of the task (``orders.place``), or of the class or method where there is no task yet.
        path: What is wrong in it: an argument path (``order.lines.0.price``), a parameter, ``return``, or nothing.
        expected: What the contract says.
        got: What was found instead; never the text of a secret.
        remedy: What to do about it.
        where: ``file:line`` of each side that takes part.
        code: A stable, machine-readable word for the kind of fault.
        sentence: What is wrong, where ``expected ..., got ...`` would not read well; shown in place of both.
    """

    task: str
    path: str = ""
    expected: str = ""
    got: str = ""
    remedy: str = ""
    where: tuple[str, ...] = ()
    code: str = ""
    sentence: str = ""

    @property
    def problem(self) -> str:
        """What is wrong, without where it is and what to do about it."""
        if self.sentence:
            return self.sentence
        parts = [f"expected {self.expected}"] if self.expected else []
        return ", ".join([*parts, f"got {self.got}"] if self.got else parts)

    def __str__(self) -> str:
        """Return the fault as one line, and a second one for the places."""
        # An unexpected argument is named by its sentence already.
        shows_path = self.path and self.code != "unexpected_argument"
        subject = f"{self.task}: {self.path}" if shows_path else self.task
        line = f"{subject}: {self.problem}" if self.problem else subject
        if self.remedy:
            line = f"{line}; {self.remedy}"
        if self.where:
            line = f"{line}\n      at {', '.join(self.where)}"
        return line


class PicoCeleryError(Exception):
    """Root of all errors of this library.

    Args:
        message: What failed, what was expected and what to do, for a person.
        data: The same as JSON values, for a program.
    """

    def __init__(self, message: str, data: Mapping[str, object] | None = None) -> None:
        self.message = message
        self.data: dict[str, Any] = dict(data or {})
        super().__init__(message, self.data)

    def __str__(self) -> str:
        """Return the message alone."""
        return self.message

    def __repr__(self) -> str:
        """Return class and message; the data may be long."""
        return f"{type(self).__name__}({self.message!r})"


class FaultsError(PicoCeleryError):
    """An error that reports every fault it found at once, sorted."""

    headline: ClassVar[str] = "{count} found"

    @classmethod
    def of(cls, subject: str, faults: Iterable[Fault]) -> Self:
        """Build the error from its faults.

        Args:
            subject: The task, class or container that the faults belong to.
            faults: At least one fault; they are sorted by task and path.

        Returns:
            An error of the class on which this is called.
        """
        ordered = sorted(faults, key=lambda fault: (fault.task, fault.path, fault.code, fault.expected))
        count = "1 fault" if len(ordered) == 1 else f"{len(ordered)} faults"
        lines = [f"  - {fault}" for fault in ordered]
        message = "\n".join([f"{cls.headline.format(subject=subject, count=count)}:", *lines])
        return cls(message, {"subject": subject, "faults": [asdict(fault) for fault in ordered]})

    @property
    def subject(self) -> str:
        """The task, class or container that the faults belong to."""
        return str(self.data.get("subject", ""))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong, sorted by task and path."""
        return tuple(_fault(raw) for raw in self.data.get("faults", ()))


def _fault(raw: Mapping[str, Any]) -> Fault:
    # Another release may know other attributes.
    known = {info.name: raw[info.name] for info in fields(Fault) if info.name in raw}
    return Fault(**{"task": "", **known, "where": tuple(raw.get("where", ()))})


class DeclarationError(FaultsError):
    """Something declared in code is wrong; found before anything runs."""


class ContractError(DeclarationError):
    """A class cannot be a contract; raised at the ``@contract`` line with all faults of the class."""

    headline = "{subject} cannot be a contract, {count}"


class ErrorClassError(ContractError):
    """A class cannot be a declared error; raised at the class statement with all its faults."""

    headline = "{subject} cannot be a declared error, {count}"


class LockFileError(DeclarationError):
    """A lock file, or what a worker reports of its contracts, cannot be read."""

    headline = "{subject} cannot be read, {count}"


class DecoratorError(DeclarationError, TypeError, ValueError):
    """A decorator of this library is used on what it cannot decorate; raised at that line."""

    headline = "{subject}: wrong use, {count}"


class OptionError(DeclarationError, TypeError):
    """An option is unknown or has a wrong type; raised at the line that gives it."""

    headline = "{subject}: wrong options, {count}"


class CompositionError(DeclarationError, TypeError):
    """Parts of a workflow do not fit: raised where they are joined, before anything is sent."""

    headline = "{subject}: the parts of the workflow do not fit, {count}"


class ConformanceError(DeclarationError):
    """An implementation or a client differs from the contract; all differences in one error."""

    headline = "{subject} does not conform to its contract, {count}"


class UnknownTaskError(ConformanceError):
    """A task name is used that no contract declares, although one owns its domain or contracts are required."""

    headline = "{subject} names a task that no contract declares, {count}"


class SettingsError(FaultsError):
    """A setting is misspelt, has a wrong type, or would make the application unsafe."""

    headline = "{subject}: wrong settings, {count}"


class EmbeddedBrokerError(PicoCeleryError):
    """The embedded broker cannot be started or reached."""


class CallError(FaultsError):
    """A call or its result does not fit the contract."""

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.subject

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths of the values that do not fit, such as ``order.lines.0.price``."""
        return tuple(fault.path for fault in self.faults)


class PayloadError(CallError, TypeError):
    """Arguments do not fit the contract.

    On a client it is raised before anything is published. On a worker it is the final, stored failure of the task:
    no user code has run, and nothing is retried.
    """

    headline = "{subject}: the arguments do not fit the contract, {count}"


class ResultError(CallError):
    """A result does not fit the contract: on the worker what a task returned, on the client what was stored."""

    headline = "{subject}: the result does not fit the contract, {count}"


class ErrorFieldsError(FaultsError, TypeError):
    """A declared error is built from fields that do not fit its class; raised where it is built."""

    headline = "{subject}: the fields do not fit the declared error, {count}"


class RemoteError(PicoCeleryError):
    """A task raised what its contract does not declare.

    It shows what the worker stored. Nothing is imported or built because the worker named it.
    """

    @classmethod
    def of(  # noqa: PLR0917 - one argument for each thing that is known
        cls,
        task: str,
        task_id: str,
        remote_type: str,
        remote_message: str,
        remote_traceback: str = "",
        faults: Iterable[Fault] = (),
    ) -> Self:
        """Build the error from what the worker stored.

        Args:
            task: Name of the task.
            task_id: Its id.
            remote_type: Name of the exception's class, with its module where it is known.
            remote_message: Text of the exception.
            remote_traceback: Text of its traceback on the worker.
            faults: Why it is not the declared error that it claims to be.

        Returns:
            The error.
        """
        found = tuple(faults)
        text = f"{task}[{task_id}] failed with {remote_type}: {remote_message}".removesuffix(": ")
        if found:
            lines = "".join(f"\n  - {fault}" for fault in found)
            text = f"{text}\nIts fields are not those of the declared error of that code:{lines}"
        else:
            remedy = "declare it as a TaskError and list it in the contract's @task_options(errors=[...]) to catch it by its class"
            text = f"{text}; {remedy}"
        details = {
            "task": task,
            "task_id": task_id,
            "remote_type": remote_type,
            "remote_message": remote_message,
            "remote_traceback": remote_traceback,
            "faults": [asdict(fault) for fault in found],
        }
        return cls(text, details)

    @property
    def task(self) -> str:
        """Name of the task."""
        return str(self.data.get("task", ""))

    @property
    def task_id(self) -> str:
        """Id of the task."""
        return str(self.data.get("task_id", ""))

    @property
    def remote_type(self) -> str:
        """Name of the exception's class on the worker, with its module where it is known: ``shop.bank.CardReaderError``."""
        return str(self.data.get("remote_type", ""))

    @property
    def remote_message(self) -> str:
        """Text of the exception."""
        return str(self.data.get("remote_message", ""))

    @property
    def remote_traceback(self) -> str:
        """Text of the traceback on the worker; empty where none was stored."""
        return str(self.data.get("remote_traceback", ""))

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Why it is not the declared error that it claims to be; empty where it claims to be none."""
        return tuple(_fault(raw) for raw in self.data.get("faults", ()))


class DeadlineExceeded(PicoCeleryError):  # noqa: N818 - the name that gRPC gave it
    """A call has not ended by its deadline.

    On a worker it is the stored failure of the task, which was not started or was cancelled; a coroutine hears of it as an
    exception first. On a client it ends the wait for a task of which nothing is heard. It is never retried.
    """

    @classmethod
    def of(cls, task: str, task_id: str, deadline: datetime, noticed: DeadlineNotice) -> Self:
        """Build the error.

        Args:
            task: Name of the task.
            task_id: Its id.
            deadline: The deadline, with a zone.
            noticed: Where the call was when it passed.

        Returns:
            An error of the class on which this is called.
        """
        happened, remedy = _DEADLINE_NOTICES[noticed]
        at = deadline.isoformat()
        data = {"task": task, "id": task_id, "deadline": at, "noticed": noticed}
        call = f"{task}[{task_id}]" if task_id else task
        return cls(f"{call} was to end by {at}: {happened}; {remedy}", data)

    @property
    def task(self) -> str:
        """Name of the task."""
        return str(self.data.get("task", ""))

    @property
    def task_id(self) -> str:
        """Id of the task."""
        return str(self.data.get("id", ""))

    @property
    def deadline(self) -> datetime | None:
        """The deadline."""
        found = self.data.get("deadline")
        return datetime.fromisoformat(found) if isinstance(found, str) else None

    @property
    def noticed(self) -> str:
        """Where the call was when its deadline passed: one of `DeadlineNotice`."""
        return str(self.data.get("noticed", ""))


DeadlineNotice = Literal["unsent", "publishing", "unstarted", "running", "retrying", "waiting"]
"""Not sent by the client, not taken by the broker, not started by the worker, running on it, about to be retried, or not heard of by the client."""

_DEADLINE_NOTICES: Mapping[str, tuple[str, str]] = {
    "unsent": (
        "that leaves no time for it, and it was not sent",
        "give the task that makes the call a longer timeout, or this call timeout=None if it is none of its work",
    ),
    "publishing": (
        "the broker has not taken it",
        "see that the broker can be reached, or give it a longer timeout",
    ),
    "unstarted": (
        "the worker did not start it any more",
        "give it a longer timeout (it counts from the call), or run more workers",
    ),
    "running": ("the worker cancelled it", "give it a longer timeout, or let it do less"),
    "retrying": ("its next try would begin later", "give it a longer timeout, or retry it sooner"),
    "waiting": (
        "no worker has said how it ended",
        "see that a worker serves its queue and that the clocks agree, or give it a longer timeout",
    ),
}


class UnboundClientError(PicoCeleryError):
    """A client is called that has no Celery application: neither a container nor its constructor gave it one."""


class ExecutionError(PicoCeleryError):
    """A task cannot be run where it is called, its coroutine cancelled itself, or its retry could not be published."""


class BatchError(PicoCeleryError):
    """A batch of calls could not be sent whole; it says which calls were sent, which were not, and which may have been.

    Every call of the batch is in exactly one of the three groups, by its position.
    """

    @classmethod
    def of(cls, task: str, groups: Mapping[str, Sequence[int]], task_ids: Sequence[str], reason: str) -> Self:
        """Build the error.

        Args:
            task: Name of the task.
            groups: Positions by group: ``sent``, ``unsent``, ``unknown``.
            task_ids: Id of each call, in the order of the batch.
            reason: What went wrong.

        Returns:
            The error.
        """
        sent, unsent, unknown = (list(groups.get(name, ())) for name in ("sent", "unsent", "unknown"))
        remedy = "send the others again"
        if unknown:
            remedy = (
                "send those again that were not; those that are unknown may have been sent: look for their results, or send "
                "them again if the task is idempotent"
            )
        message = (
            f"{task}: {len(sent)} of {len(task_ids)} calls were sent, {len(unsent)} were not"
            f"{f', of {len(unknown)} it is unknown' if unknown else ''}: {reason}; {remedy}"
        )
        data = {"task": task, "sent": sent, "unsent": unsent, "unknown": unknown, "task_ids": list(task_ids)}
        return cls(message, {**data, "reason": reason})

    @property
    def task(self) -> str:
        """Name of the task."""
        return str(self.data.get("task", ""))

    @property
    def task_ids(self) -> tuple[str, ...]:
        """Id of each call, in the order of the batch."""
        return tuple(self.data.get("task_ids", ()))

    @property
    def sent(self) -> tuple[int, ...]:
        """Positions of the calls that the broker has."""
        return tuple(self.data.get("sent", ()))

    @property
    def unsent(self) -> tuple[int, ...]:
        """Positions of the calls that the broker does not have."""
        return tuple(self.data.get("unsent", ()))

    @property
    def unknown(self) -> tuple[int, ...]:
        """Positions of the calls that may or may not have been sent: the connection broke before the broker answered."""
        return tuple(self.data.get("unknown", ()))


class IncompatibleContainerError(PicoCeleryError):
    """The installed pico-ioc lacks something this library needs; found by the self-check at container start."""


class UndeclaredTaskWarning(UserWarning):
    """A task name is used that no contract declares; its signature in code is taken for the contract."""


class DeprecatedTaskWarning(DeprecationWarning):
    """A task is called whose contract says that it is deprecated, or by a name that it does not have any more."""
