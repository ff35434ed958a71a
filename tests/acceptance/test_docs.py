"""README and docs are true: each block is run in the order of its page, in a directory that begins with README's files.

- A ``python`` block that begins with ``# name.py`` is a file. It is written; with a ``text`` block right after it, it is
  run (``python name.py``), otherwise imported, in an interpreter of its own.
- Any other ``python`` block is executed in the page's one interpreter, where names stay from block to block.
- ``bash`` blocks are run line by line. A worker goes on until the end of the page.
- What a block prints, warnings and errors included, is what the ``text`` block right after it shows; without one it
  prints nothing. ``...`` stands for any text, ``/home/you/shop`` for the directory. Of a traceback only the error counts.
- ``<!-- a worker runs -->`` in a page has README's worker running beside it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pico_celery import EmbeddedBroker, errors
from tests.acceptance.commands import ROOT, as_python, environment, run, worker
from tests.acceptance.pages import PAGES, README, Block, Page

HOME = "/home/you/shop"
NOT_RUN = {"pip", "uvicorn", "make"}
WORKER = "celery -A worker:celery_app worker -Q orders -P threads -l INFO"
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*")
_ASSIGNMENT = re.compile(r"([A-Z_]+)=(.*)")


class Reader:
    """Somebody who does what a page says."""

    def __init__(self, folder: Path, processes: contextlib.ExitStack) -> None:
        self.folder = folder
        self.processes = processes
        self._interpreter: subprocess.Popen[str] | None = None

    def follow(self, block: Block) -> str | None:
        """Do what a block says, and return what it prints; ``None`` where that does not matter."""
        if block.file_name is not None:
            return self._write(block, block.file_name)
        if block.language == "python":
            return self._execute(block.source)
        if block.language == "bash":
            outputs = [self._type(command) for command in block.source.replace("\\\n", "").splitlines()]
            return "".join(outputs) if block.shown is not None else None
        return None

    def start_worker(self, command: str, changes: dict[str, str] | None = None) -> None:
        self.processes.enter_context(worker(as_python(command), self.folder, changes))

    def _write(self, block: Block, name: str) -> str | None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.source)
        if path.suffix != ".py":
            return None
        if block.shown is not None:
            return self._normal(run([sys.executable, name], self.folder)[1])
        module = name.removesuffix(".py").replace("/", ".")
        return self._normal(run([sys.executable, "-c", f"import {module}"], self.folder)[1])

    def _execute(self, source: str) -> str:
        interpreter = self._interpreter or self._start_interpreter()
        assert interpreter.stdin is not None
        assert interpreter.stdout is not None
        interpreter.stdin.write(json.dumps(source) + "\n")
        interpreter.stdin.flush()
        answer = interpreter.stdout.readline()
        assert answer, f"the page's interpreter ended with status {interpreter.wait()}"
        return self._normal(json.loads(answer))

    def _start_interpreter(self) -> subprocess.Popen[str]:
        self._interpreter = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("page_process.py"))],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.processes.callback(_end, self._interpreter)
        return self._interpreter

    def _type(self, command: str) -> str:
        words = shlex.split(command)
        changes = {}
        while words and (match := _ASSIGNMENT.fullmatch(words[0])):
            changes[match[1]] = match[2]
            words.pop(0)
        if words[0] == "make":
            assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text(), f"there is no target {words[1]}"
        if words[0] in NOT_RUN:
            return ""
        if words[0] == "celery" and "worker" in words[1:]:
            self.start_worker(shlex.join(words), changes)
            return ""
        if words[0] == "mypy":
            changes["MYPYPATH"] = str(ROOT / "stubs")  # the wheel brings them, an editable install does not
            words = [*words, "--cache-dir", str(ROOT / ".mypy_cache" / "docs")]
        return self._normal(run(as_python(shlex.join(words)), self.folder, changes)[1])

    def _normal(self, output: str) -> str:
        return _TRACEBACK.sub("", output).replace(f"{self.folder}", HOME)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with contextlib.ExitStack() as processes:
        processes.callback(EmbeddedBroker(tmp_path / ".pico-celery").shutdown)
        yield Reader(tmp_path.resolve(), processes)


def matches(shown: str, printed: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


# Each of these starts workers and type checkers many times, which takes as long as all other pages together.
LONG = {"docs/skills/pico-task/SKILL.md", "docs/how-to/ask-workers.md", "docs/how-to/time.md", "docs/how-to/worker.md"}


def as_parameter(page: Page) -> Any:
    return pytest.param(page, id=page.name, marks=[pytest.mark.slow] if page.name in LONG else [])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [as_parameter(page) for page in PAGES])
def test_every_block_of_the_page_does_what_the_page_shows(page: Page, reader: Reader) -> None:
    if page is not README:
        for block in README.blocks:
            if block.file_name is not None and not block.file_name.startswith("wrong_"):
                (reader.folder / block.file_name).write_text(block.source)
    if page.wants_worker:
        reader.start_worker(WORKER)
    wrong = []
    for block in page.blocks:
        printed = reader.follow(block)
        if printed is not None and not matches(block.shown or "", printed):
            wrong.append(f"{page.name}:{block.line} shows\n{block.shown or ''}\nand prints\n{printed}")
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_text_block_follows_what_prints_it(page: Page) -> None:
    assert page.orphans == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_the_page_leads_somewhere(page: Page) -> None:
    missing = [link for link in page.links if not (page.path.parent / link).exists()]

    assert missing == []


def test_every_page_of_the_docs_is_reached_from_the_readme() -> None:
    reached = {os.path.normpath(README.path.parent / link) for link in README.links}

    assert {str(page.path) for page in PAGES} - reached == {str(README.path)}


def test_the_readme_names_both_commands_of_the_repository() -> None:
    commands = [line for block in README.blocks if block.language == "bash" for line in block.source.splitlines()]

    assert {"make demo", "make test"} <= set(commands)


def test_the_matching_of_shown_and_printed_text_is_strict() -> None:
    assert matches("a ... c", "a b\nb c\n")
    assert matches("", "\n")
    assert not matches("a", "a b")
    assert not matches("", "warning")
    assert not matches("a.c", "abc")


def test_the_errors_page_shows_the_tree_of_the_module_and_a_section_for_each_class() -> None:
    text = (ROOT / "docs" / "errors.md").read_text()
    tree = textwrap.dedent((errors.__doc__ or "").split("::\n", 1)[1].split("\nEvery error", 1)[0]).strip()
    named = re.findall(r"─ (\w+)", tree)

    assert f"```plain\n{tree}\n```" in text
    assert sorted(re.findall(r"^## (\w+)$", text, re.MULTILINE)) == sorted(
        set(named) - {"PicoCeleryError", "DeclarationError"}
    )
