"""The version to compare with: a lock file, a revision of git, another package."""

from __future__ import annotations

import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from pico_celery.document.build import document_of
from pico_celery.document.lockfile import LOCK_FILE, to_text
from pico_celery_tooling.output import ToolError
from pico_celery_tooling.sources.loading import load_contracts
from pico_celery_tooling.sources.versions import other

CONTRACT = """
from typing import Protocol
from pico_celery import contract
from {helper} import Number

@contract("{domain}")
class Some(Protocol):
    async def run(self, number: Number) -> str: ...
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository, where each test is in a directory of its own name below it."""
    directory = tmp_path / "service"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.syspath_prepend(str(directory / "lib"))
    git("init", "--quiet", "--initial-branch=main")
    return directory


def git(*arguments: str) -> str:
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *author, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit() -> None:
    git("add", "--all")
    git("commit", "--quiet", "--message", "a change")


def package(here: Path, name: str, type_: str) -> str:
    """Write a package into a directory of the path, with a helper that it imports from there."""
    helper = f"{name}_types"
    for file, text in {
        here / "lib" / name / "__init__.py": "",
        here / "lib" / name / "tasks.py": CONTRACT.format(domain=name, helper=helper),
        here / "lib" / f"{helper}.py": f"Number = {type_}\n",
    }.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
    return name


def type_of(against: str, name: str) -> str:
    return other(against, name).document.tasks[f"{name}.run"].parameters[0].type


def test_a_revision_with_a_lock_file_is_read_from_it(here: Path) -> None:
    name = package(here, "locked_once", "int")
    Path(LOCK_FILE).write_text(to_text(document_of(load_contracts(name))))
    Path("other.json").write_text(Path(LOCK_FILE).read_text())
    commit()
    Path(LOCK_FILE).unlink()
    commit()
    source = other("git:HEAD~1", name)
    assert source.name == f"git:HEAD~1:{LOCK_FILE}"
    assert source.document.tasks["locked_once.run"].parameters[0].type == "int"
    assert type_of("git:main:other.json", name) == "int"
    assert not list(here.parent.glob("pico-celery-*"))


def test_a_revision_without_one_is_locked_from_its_own_files_while_others_are_imported_here(here: Path) -> None:
    name = package(here, "never_locked", "int")
    commit()
    package(here, "never_locked", "str")
    assert document_of(load_contracts(name)).tasks["never_locked.run"].parameters[0].type == "str"
    assert type_of("git:HEAD", name) == "int"  # of the revision, with the module that it imports
    commit()
    assert type_of("git:HEAD", name) == "str"
    assert type_of("git:HEAD~1", name) == "int"
    assert git("status", "--porcelain", "--untracked-files=no") == ""


def test_another_package_that_declares_the_same_tasks_is_imported_elsewhere(here: Path) -> None:
    package(here, "one_of_two", "int")
    second = package(here, "second_of_two", "str")
    tasks = here / "lib" / second / "tasks.py"
    tasks.write_text(tasks.read_text().replace('@contract("second_of_two")', '@contract("one_of_two")'))
    load_contracts("one_of_two")
    assert other(second, "one_of_two").document.tasks["one_of_two.run"].parameters[0].type == "str"


def test_a_lock_file_is_read_by_its_path(here: Path) -> None:
    name = package(here, "by_path", "int")
    (here / "old.lock").write_text(to_text(document_of(load_contracts(name))))
    assert type_of("old.lock", name) == "int"
    assert type_of(str(here / "old.lock"), name) == "int"


def test_what_cannot_be_read_is_told_with_what_to_do(here: Path) -> None:
    name = package(here, "hard_to_read", "int")
    commit()
    Path(LOCK_FILE).write_text("{}")
    commit()
    broken = here / "lib" / name / "tasks.py"
    broken.write_text("import surely_not_installed\n")
    Path(LOCK_FILE).unlink()
    commit()
    for against, words, remedy in (
        ("git:nowhere", "git knows no revision 'nowhere'", "fetch"),
        ("git:", "no revision", "git:main"),
        ("git:--output=x", "no revision", "git:main"),
        ("git:HEAD:missing.json", "there is no missing.json at HEAD", "working directory"),
        ("git:HEAD~1", "lock_version", ""),
        ("git:HEAD", "hard_to_read at that revision cannot be locked", "commit a contracts.lock.json"),
        ("missing.json", "missing.json", ""),
        ("no_such_package", "no module named 'no_such_package'", "package"),
    ):
        with pytest.raises(ToolError) as raised:
            other(against, name)
        assert words in raised.value.message, raised.value.message
        assert remedy in raised.value.remedy
    with pytest.raises(ToolError, match=r"no contracts\.lock\.json at HEAD"):
        other("git:HEAD", "current.json")


def test_without_a_repository_it_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ToolError, match="not a git repository"):
        other("git:main", "anything")


def test_a_package_that_was_not_there_then_is_not_taken_from_now(here: Path) -> None:
    (here / "README").write_text("nothing yet")
    commit()
    name = package(here, "came_later", "int")
    with pytest.raises(ToolError, match="came_later at that revision cannot be locked"):
        other("git:HEAD", name)
