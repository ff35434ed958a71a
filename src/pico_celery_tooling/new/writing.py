"""Writing a plan: shown as a diff, or written all or none, and the report of it."""

from __future__ import annotations

import ast
import contextlib
import difflib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pico_celery_tooling.new.plan import Plan
from pico_celery_tooling.output import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A file that is to be written."""

    path: Path
    before: bytes | None
    """What is there; ``None`` if nothing is."""
    after: bytes
    """What is to be there."""


def diff(changes: Sequence[Change], root: Path) -> str:
    """Return what changes as a unified diff, which ``git apply`` and ``patch`` take."""
    parts: list[str] = []
    for change in changes:
        name = change.path.relative_to(root).as_posix()
        old = "/dev/null" if change.before is None else f"a/{name}"
        lines = difflib.unified_diff(_lines(change.before or b""), _lines(change.after), old, f"b/{name}")
        parts.extend(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    return "".join(parts)


def _lines(raw: bytes) -> list[str]:
    return raw.decode(errors="replace").splitlines(keepends=True)


def write(changes: Sequence[Change]) -> None:
    """Write all files, or none.

    A new file is never written over one that somebody else made meanwhile, nor a changed one over other changes.
    """
    for change in changes:
        _check_unchanged(change)
    try:
        with contextlib.ExitStack() as undo:
            for change in changes:
                _make_folders(change.path.parent, undo)
                _replace(change, undo) if change.before is not None else _create(change, undo)
            undo.pop_all()
    except OSError as error:
        where = error.filename or ""
        raise ToolError(
            f"nothing was written: {where}: {error.strerror or error}", "see that the directory can be written to"
        ) from None


def _check_unchanged(change: Change) -> None:
    there = change.path.read_bytes() if change.path.exists() else None
    if there != change.before:
        raise ToolError(f"nothing was written: {change.path} was changed meanwhile", "run it again")


def _make_folders(folder: Path, undo: contextlib.ExitStack) -> None:
    for missing in _missing(folder):
        missing.mkdir()
        undo.callback(missing.rmdir)


def _missing(folder: Path) -> Iterator[Path]:
    if not folder.exists():
        yield from _missing(folder.parent)
        yield folder


def _create(change: Change, undo: contextlib.ExitStack) -> None:
    with change.path.open("xb") as file:  # refuses what is there
        undo.callback(change.path.unlink, missing_ok=True)
        file.write(change.after)


def _replace(change: Change, undo: contextlib.ExitStack) -> None:
    path = change.path.resolve()  # of a link, what it leads to
    undo.callback(_put, path, change.before or b"")
    _put(path, change.after)


def _put(path: Path, content: bytes) -> None:
    """Put a content in the place of another one, in one step."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        shutil.copymode(path, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a plan comes to."""

    changes: tuple[Change, ...]
    data: dict[str, object]
    text: str


def report_of(plan: Plan) -> Report:
    """Return what a plan comes to."""
    drafts = plan.drafts.by_path
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
    data: dict[str, object] = {
        "task": plan.request.name.full,
        "files": files,
        "models": plan.new_classes,
        "notes": plan.notes,
        "next": steps,
    }
    broad = max(len(str(entry["file"])) for entry in files)
    lines = [f"{entry['change']:<8}  {entry['file']:<{broad}}  {', '.join(entry['with'])}" for entry in files]
    lines += [f"note: {note}" for note in plan.notes]
    lines += ["", "Next:", *(f"  {step}" for step in steps)]
    return Report(changes=changes, data=data, text="\n".join(lines) + "\n")


def _steps(plan: Plan) -> list[str]:
    steps = []
    for draft in plan.drafts.by_path.values():
        path = plan.project.shown(draft.file.path)
        if draft.file.module == plan.contract_module:
            steps += [f"{path}:{_line(draft.file.tree, model)}: give {model} its fields" for model in plan.new_classes]
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
