"""Every exception and warning of pico_celery, one tree.

::

    Exception
     └── PicoCeleryError
          ├── DeclarationError               found before anything runs
          │    ├── ContractError             a class cannot be a contract              (the @contract line)
          │    ├── DecoratorError            a decorator is on what it cannot decorate (that line; TypeError, ValueError)
          │    ├── OptionError               an option is unknown or ill-typed         (the line that gives it; TypeError)
          │    ├── CompositionError          the parts of a workflow do not fit        (the line that joins them; TypeError)
          │    └── ConformanceError          an implementation or client differs       (container start, client import)
          │         └── UnknownTaskError     no contract declares the name             (container start, client import)
          ├── SettingsError                  a setting is misspelt, ill-typed, unsafe  (container start)
          ├── EmbeddedBrokerError            the private Redis server cannot be had    (start of the process)
          ├── PayloadError                   arguments do not fit the contract         (the call, or the worker; TypeError)
          ├── ResultError                    a result does not fit the contract        (the worker, or .get())
          ├── ExecutionError                 a task cannot be run here, or cancelled itself (the worker)
          ├── IncompatibleContainerError     pico-ioc lacks what this library needs    (container start)
          └── UnboundClientError             a client has no Celery application        (the call)

    UserWarning
     └── UndeclaredTaskWarning               a task name that no contract declares

Every error is built from a message and a mapping of JSON values, keeps both in ``args``, and so survives pickling and
the JSON in which Celery's result backends store a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self


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
    """

    task: str
    path: str = ""
    expected: str = ""
    got: str = ""
    remedy: str = ""
    where: tuple[str, ...] = ()
    code: str = ""

    def __str__(self) -> str:
        """Return the fault as one line, and a second one for the places."""
        subject = f"{self.task}: {self.path}" if self.path else self.task
        parts = []
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.got:
            parts.append(f"got {self.got}")
        line = f"{subject}: {', '.join(parts)}" if parts else subject
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

    def __init__(self, message: str, data: Mapping[str, Any] | None = None) -> None:
        self.message = message
        self.data: dict[str, Any] = dict(data or {})
        super().__init__(message, self.data)

    def __str__(self) -> str:
        """Return the message alone."""
        return self.message


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


class UnboundClientError(PicoCeleryError):
    """A client is called that has no Celery application: neither a container nor its constructor gave it one."""


class ExecutionError(PicoCeleryError):
    """A task cannot be run where it is called, or its coroutine cancelled itself."""


class IncompatibleContainerError(PicoCeleryError):
    """The installed pico-ioc lacks something this library needs; found by the self-check at container start."""


class UndeclaredTaskWarning(UserWarning):
    """A task name is used that no contract declares; its signature in code is taken for the contract."""
