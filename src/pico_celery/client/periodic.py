"""``schedule``: calls that ``celery beat`` sends again and again, validated where they are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Unpack

from celery import Celery
from celery.schedules import BaseSchedule

from pico_celery.app_state import state_lock, state_of
from pico_celery.client.canvas.checks import checked_options, step_options
from pico_celery.client.canvas.signatures import TaskSignature
from pico_celery.client.options import SendOptions, merge_options
from pico_celery.contract.signature import caller_location
from pico_celery.contract.typenames import value_text
from pico_celery.errors import Fault, OptionError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PeriodicTask:
    """A call that ``celery beat`` sends again and again: what `schedule` returns.

    Attributes:
        name: Its name among the application's entries.
        signature: The call.
        every: When it is sent: after each such time, or as a schedule of Celery's says.
        where: ``file:line`` of the declaration.
    """

    name: str
    signature: TaskSignature[Any]
    every: timedelta | BaseSchedule
    where: str

    @property
    def entry(self) -> dict[str, Any]:
        """The entry of ``beat_schedule``.

        Source: https://docs.celeryq.dev/en/stable/userguide/periodic-tasks.html#available-fields
        """
        signature = self.signature
        # beat pickles it, and adds a header of its own.
        options = {**signature.options, "headers": dict(signature.options.get("headers") or {})}
        return {
            "task": signature.task,
            "schedule": self.every,
            "args": tuple(signature.args),
            "kwargs": dict(signature.kwargs),
            "options": options,
        }


def schedule(
    signature: TaskSignature[object], /, *, every: timedelta | BaseSchedule, name: str, **options: Unpack[SendOptions]
) -> PeriodicTask:
    """Have a call sent again and again by ``celery beat``.

    As an attribute of a ``@celery`` class, or of any component, it is an entry of the container's application:
    ``hourly = schedule(cleanup.s(days=30), every=timedelta(hours=1), name="cleanup")``. With a signature of a client that
    has its application, it is added to that one at once.

    Args:
        signature: One call, with all its arguments.
        every: A `timedelta`, or ``crontab``, ``solar`` or another schedule of `celery.schedules`.
        name: Its name among the application's entries, by which beat remembers when it was sent last.
        **options: See `SendOptions`. With ``expires=`` calls do not pile up while no worker runs.

    Returns:
        What was declared.

    Raises:
        OptionError: If an option is unknown or has a wrong type, or another entry has the name.
    """
    where = caller_location()
    faults = [*_signature_faults(signature, where), *_every_faults(every, where), *_name_faults(name, where)]
    if faults:
        raise OptionError.of("schedule", faults)
    merged = signature.clone()
    checked = checked_options(options, f"schedule({name!r})")
    merged["options"] = merge_options(signature.options, step_options(f"schedule({name!r})", checked))
    once = [option for option in _ONCE if option in merged.options]
    if once:
        raise OptionError.of("schedule", [_fault(option, *_ONCE[option], where) for option in once])
    periodic = PeriodicTask(name=name, signature=merged, every=every, where=where)
    app = signature.spec.app
    if app is not None:
        add_periodic(app, [periodic])
    return periodic


def periodic_tasks_of(cls: type[object]) -> list[PeriodicTask]:
    """Return the periodic tasks of a class, own and inherited."""
    found: dict[str, PeriodicTask] = {}
    for base in reversed(cls.__mro__):
        for attribute, member in vars(base).items():
            if isinstance(member, PeriodicTask):
                found[attribute] = member
            else:
                found.pop(attribute, None)
    return list(found.values())


_ONCE: Final = {
    "task_id": ("no id: each call has its own", "one for all calls", "leave it out"),
    "eta": ("no point in time: every= says when", "one for all calls", "leave it out, or use countdown="),
}


class _Periodic(dict[str, PeriodicTask]):
    """What this library has added to the schedule of an application, by name."""


def add_periodic(app: Celery, tasks: Iterable[PeriodicTask]) -> None:
    """Add periodic tasks to the schedule of an application; all of them, or none."""
    with state_lock():
        added = state_of(app).get(_Periodic)
        known = dict(added)
        entries: dict[str, Any] = dict(app.conf.beat_schedule or {})
        faults = []
        for periodic in tasks:
            other = known.get(periodic.name)
            if other is not None and (other.where, other.entry) != (periodic.where, periodic.entry):
                faults.append(_twice(periodic, other.where))
            elif other is None and periodic.name in entries:
                faults.append(_twice(periodic, "beat_schedule in the settings of the application"))
            known[periodic.name] = periodic
            entries[periodic.name] = periodic.entry
        if faults:
            raise OptionError.of("schedule", faults)
        if known:
            app.conf.beat_schedule = entries
            added.update(known)


def _signature_faults(signature: object, where: str) -> list[Fault]:
    if isinstance(signature, TaskSignature):
        return []
    expected = "one call with all its arguments, such as cleanup.s(days=30)"
    remedy = "beat sends single calls: schedule a task that sends the workflow"
    return [_fault("signature", expected, f"a {type(signature).__name__}", remedy, where)]


def _every_faults(every: object, where: str) -> list[Fault]:
    if isinstance(every, BaseSchedule) or (isinstance(every, timedelta) and every > timedelta(0)):
        return []
    expected = "a timedelta longer than zero, or a schedule of celery.schedules"
    remedy = "such as timedelta(hours=1) or crontab(hour=3, minute=0)"
    return [_fault("every", expected, value_text(every), remedy, where)]


def _name_faults(name: object, where: str) -> list[Fault]:
    if isinstance(name, str) and name.strip():
        return []
    return [_fault("name", "a name", value_text(name), "beat remembers by it when the call was sent last", where)]


def _twice(periodic: PeriodicTask, other: str) -> Fault:
    return Fault(
        task=periodic.signature.definition.name,
        path="name",
        expected="a name of its own",
        got=f"{periodic.name!r}, which another entry has",
        remedy="change name= of one of them",
        where=(other, periodic.where),
        code="scheduled_twice",
    )


def _fault(path: str, expected: str, got: str, remedy: str, where: str) -> Fault:
    return Fault(task="schedule", path=path, expected=expected, got=got, remedy=remedy, where=(where,), code=path)
