"""Another version of the contracts: a lock file, a revision of git, or another package.

What is imported here is one version. Another one, which declares the same tasks, is imported by a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from shutil import which
from typing import Final

from pico_celery.document.lockfile import LOCK_FILE, from_text
from pico_celery.document.records import Document
from pico_celery.errors import PicoCeleryError
from pico_celery_tooling.output import ToolError
from pico_celery_tooling.sources.source import Source, read_lock

GIT: Final = "git:"
SECONDS: Final = 120.0


def other(against: str, package: str) -> Source:
    """Read the version to compare with."""
    if against.startswith(GIT):
        revision, _, path = against.removeprefix(GIT).partition(":")
        return _at_revision(revision, path, package)
    if is_lock_file(against):
        return Source(name=against, document=read_lock(Path(against)))
    return Source(name=against, document=_imported_elsewhere(against, None))


def is_lock_file(name: str) -> bool:
    """Return whether a name is that of a lock file, there or not; if not, it is that of a package."""
    path = Path(name)
    return path.suffix == ".json" or (path.suffix != ".py" and path.is_file())


def _at_revision(revision: str, path: str, package: str) -> Source:
    if not revision or revision.startswith("-"):
        raise ToolError(f"no revision in {GIT}{revision}", f"name one: {GIT}main, {GIT}v1.2, {GIT}HEAD~1:{LOCK_FILE}")
    commit = _git(
        "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", missing=f"git knows no revision {revision!r}"
    )
    shown = _git_text("show", f"{commit}:./{path or LOCK_FILE}")
    where = f"{GIT}{revision}:{path or LOCK_FILE}"
    if shown is not None:
        try:
            return Source(name=where, document=from_text(shown, where))
        except PicoCeleryError as error:
            raise ToolError.of(error) from error
    if path:
        raise ToolError(f"there is no {path} at {revision}", "the path is relative to the working directory")
    if is_lock_file(package):
        raise ToolError(
            f"there is no {LOCK_FILE} at {revision}", f"name the lock file ({GIT}{revision}:path), or compare a package"
        )
    with tempfile.TemporaryDirectory(prefix="pico-celery-") as directory:
        tree = Path(directory).resolve()
        _export(commit, tree)
        return Source(name=f"{package} at {revision}", document=_imported_elsewhere(package, tree))


def _export(commit: str, tree: Path) -> None:
    top = Path(_git("rev-parse", "--show-toplevel"))
    archive = tree.with_name(f"{tree.name}.tar")
    try:
        _git("archive", "--format=tar", f"--output={archive}", commit, cwd=top)
        with tarfile.open(archive) as packed:
            packed.extractall(tree, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise ToolError(f"the files of the revision cannot be unpacked: {error}") from error
    finally:
        archive.unlink(missing_ok=True)


def _imported_elsewhere(package: str, tree: Path | None) -> Document:
    """Import a package in a process of its own, from the tree of a revision where there is one."""
    here = Path.cwd()
    search = [str(here) if entry == "" else str(Path(entry).absolute()) for entry in sys.path]
    first, folder = [], here
    if tree is not None:
        top = Path(_git("rev-parse", "--show-toplevel")).resolve()
        folder = tree / here.resolve().relative_to(top)
        if not folder.is_dir():
            raise ToolError(f"the directory {here.name} is not in that revision", "go to one that is")
        inside = [Path(entry).resolve() for entry in search]
        first = [str(tree / entry.relative_to(top)) for entry in inside if entry.is_relative_to(top)]
        first = [str(folder), *(entry for entry in first if entry != str(folder))]
    with tempfile.TemporaryDirectory(prefix="pico-celery-") as directory:
        answer = Path(directory) / "document.json"
        order = {
            "package": package,
            "search": search,
            "first": first,
            "within": tree and str(tree),
            "answer": str(answer),
        }
        done = _run([sys.executable, "-P", "-c", _IMPORT, json.dumps(order)], cwd=folder)
        if done.returncode != 0 or not answer.is_file():
            at = "" if tree is None else " at that revision"
            said = _last_words(done.stderr)
            raise ToolError(f"{package}{at} cannot be locked: {said}", _remedy(tree))
        return from_text(answer.read_text(encoding="utf-8"), package)


_IMPORT: Final = """\
import json, sys
order = json.loads(sys.argv[1])
sys.path[:] = order["search"]
from pico_celery_tooling.sources.import_elsewhere import answer
answer(order)
"""


def _remedy(tree: Path | None) -> str:
    if tree is None:
        return "is it the name of a package, the path of a lock file, or git:REV?"
    return f"commit a {LOCK_FILE} (pico-celery lock), and compare with revisions that have it"


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-2:]).removeprefix("error: ") if lines else "it ended without a word"


def _git(*arguments: str, missing: str = "", cwd: Path | None = None) -> str:
    done = _run([_git_program(), *arguments], cwd=cwd)
    if done.returncode != 0:
        said = missing or _last_words(done.stderr)
        if "not a git repository" in done.stderr:
            raise ToolError("this is not a git repository", "compare with a lock file, or go to the repository")
        raise ToolError(said, "git log --oneline shows them; fetch them in CI" if missing else "")
    return done.stdout.strip()


def _git_text(*arguments: str) -> str | None:
    done = _run([_git_program(), *arguments])
    return done.stdout if done.returncode == 0 else None


def _git_program() -> str:
    program = which("git")
    if program is None:
        raise ToolError("git is not installed", "install it, or compare with a lock file")
    return program


def _run(command: Sequence[str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - git, and this interpreter
            command,
            check=False,
            cwd=cwd,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{Path(command[0]).name} did not end within {SECONDS:g} s") from error
