"""``aliases=`` of a contract's method: the names that a task had before, by which it is still found."""

from __future__ import annotations

from collections.abc import Mapping

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.naming import is_task_name
from pico_celery.errors import Fault


def alias_faults(cls: str, tasks: Mapping[str, TaskDefinition]) -> list[Fault]:
    """Tell what is wrong with the aliases of a contract's own tasks, as far as the class alone says it.

    Args:
        cls: Name of the class.
        tasks: Its own tasks by method name.

    Returns:
        All faults: no names, names of tasks of the class, and names that are given twice.
    """
    names = {task.name: task for task in tasks.values()}
    seen: dict[str, TaskDefinition] = {}
    faults = []
    for method, task in tasks.items():
        for alias in task.aliases:
            other = names.get(alias) or seen.get(alias)
            if not is_task_name(alias):
                fault = ("a task name without blanks", repr(alias), "such as 'orders.submit'", "name")
            elif other is task:
                got = f"{alias!r}, its own name" if task.name == alias else f"{alias!r} twice"
                fault = ("another name than it has", got, "leave it out", "alias")
            elif other is not None:
                role = "the name" if other.name == alias else "an alias"
                got = f"{alias!r}, {role} of {cls}.{other.method}"
                fault = ("a name that only this task had", got, "leave one of them out", "declared_twice")
            else:
                seen[alias] = task
                continue
            expected, got, remedy, code = fault
            faults.append(
                Fault(
                    task=f"{cls}.{method}",
                    path="aliases",
                    expected=expected,
                    got=got,
                    remedy=remedy,
                    where=(task.where,) if other in {None, task} else (other.where, task.where),
                    code=code,
                )
            )
    return faults
