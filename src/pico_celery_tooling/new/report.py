"""What is told of a plan: the files, what is in them, and what to do next."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from pico_celery_tooling.new.plan import Plan
from pico_celery_tooling.new.writing import Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a plan comes to.

    Attributes:
        changes: The files.
        data: For programs.
        text: For people.
    """

    changes: tuple[Change, ...]
    data: dict[str, Any]
    text: str


def report_of(plan: Plan) -> Report:
    """Return what a plan comes to.

    Args:
        plan: The plan.

    Returns:
        Its files and texts.
    """
    drafts = plan.drafts.drafts
    changes = tuple(
        Change(path=path, before=draft.before.raw if draft.before else None, after=draft.file.raw)
        for path, draft in drafts.items()
    )
    files = [
        {
            "file": plan.project.shown(path),
            "change": "created" if draft.before is None else "extended",
            "with": draft.added,
        }
        for path, draft in drafts.items()
    ]
    steps = _steps(plan)
    data = {"task": plan.request.name.full, "files": files, "models": plan.made, "notes": plan.notes, "next": steps}
    broad = max(len(str(entry["file"])) for entry in files)
    lines = [f"{entry['change']:<8}  {entry['file']:<{broad}}  {', '.join(entry['with'])}" for entry in files]
    lines += [f"note: {note}" for note in plan.notes]
    lines += ["", "Next:", *(f"  {step}" for step in steps)]
    return Report(changes=changes, data=data, text="\n".join(lines) + "\n")


def _steps(plan: Plan) -> list[str]:
    steps = []
    for draft in plan.drafts.drafts.values():
        path = plan.project.shown(draft.file.path)
        if draft.file.module == plan.contract_module:
            steps += [f"{path}:{_line(draft.file.tree, model)}: give {model} its fields" for model in plan.made]
        elif plan.worker in draft.added:
            steps.append(f"{path}:{_line(draft.file.tree, plan.worker)}: write what the task does")
    steps.append(f"python -m pytest {plan.project.shown(plan.test_path)}")
    above = plan.contract_module.rpartition(".")[0]
    apart = plan.project.contracts
    locked = apart.package if apart else above if above.endswith("contracts") else plan.contract_module
    steps.append(f"pico-celery lock {locked}")
    if plan.application is not None:
        queues = "" if plan.queue is None else f" -Q {plan.queue}"
        steps.append(f"celery -A {plan.application} worker{queues}")
    if plan.project.home.base != plan.project.root:
        steps.insert(0, "pip install -e .  (once, so that the package in src can be imported)")
    return steps


def _line(tree: ast.Module, name: str) -> int:
    first, _, member = name.partition(".")
    node = next(node for node in tree.body if getattr(node, "name", "") == first)
    if member and isinstance(node, ast.ClassDef):
        node = next(item for item in node.body if getattr(item, "name", "") == member)
    return node.lineno
