"""Shell completion: the scripts, and the names of tasks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import shop_contracts
from pico_celery import default_catalog
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import LOCK_FILE, to_text
from pico_celery_tooling.cli import completion_command as completing
from pico_celery_tooling.cli.main import pico_celery

PROGRAM = "from pico_celery_tooling.cli.main import main; main()"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the lock file of the example contracts, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    own = [one for one in default_catalog.contracts if one.cls.__module__.startswith(shop_contracts.__name__)]
    (tmp_path / LOCK_FILE).write_text(to_text(document_of(own)))
    return tmp_path


def completed(line: str, shell: str = "bash") -> list[str]:
    """Return what a shell is told when a key is pressed at the end of a line."""
    words = line.split(" ")
    told = {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1), "_PICO_CELERY_COMPLETE": f"{shell}_complete"}
    done = CliRunner().invoke(pico_celery, [], env=told, prog_name="pico-celery")
    assert done.stderr == ""
    return done.stdout.strip().splitlines()


def test_names_of_tasks_are_completed_from_the_lock_file_here(here: Path) -> None:
    assert completed("pico-celery call orders.c") == ["plain,orders.cancel"]
    assert set(completed("pico-celery call orders.")) == {
        f"plain,orders.{name}" for name in ("place", "cancel", "status", "v2.place")
    }
    assert completed("pico-celery call --timeout 5 remi") == ["plain,reminders.remind"]
    assert completed("pico-celery contracts call remi") == ["plain,reminders.remind"]
    assert completed("pico-celery schema orders.c") == ["plain,orders.cancel"]
    assert completed("pico-celery describe orders.c") == ["plain,orders.cancel"]
    assert completed("pico-celery describe remi") == ["plain,reminders", "plain,reminders.remind"]


def test_names_of_tasks_are_completed_from_the_lock_file_that_is_named(here: Path) -> None:
    (here / LOCK_FILE).rename(here / "other.json")
    assert completed("pico-celery call --in other.json remi") == ["plain,reminders.remind"]
    assert completed("pico-celery call remi") == []
    assert completed("pico-celery schema other.json remi") == ["plain,reminders.remind"]


def test_a_shell_that_shows_it_is_told_what_a_task_does(here: Path) -> None:
    told = completed("pico-celery call orders.p", "zsh")
    assert told[:2] == ["plain", "orders.place"]
    assert told[2].startswith("Charge the customer and book the order")


@pytest.mark.parametrize("text", [None, "", "no JSON", "[]", '{"contracts": 3}', '{"contracts": {"a": {}}}', "{}"])
def test_without_a_lock_file_that_can_be_read_nothing_is_completed_and_nothing_said(
    here: Path, text: str | None
) -> None:
    (here / LOCK_FILE).unlink()
    if text is not None:
        (here / LOCK_FILE).write_text(text)
    assert completed("pico-celery call orders.") == []


def test_commands_and_options_are_completed(here: Path) -> None:
    assert "plain,completion" in completed("pico-celery comp")
    assert "plain,--timeout" in completed("pico-celery call --ti")
    assert completed("pico-celery schema shop_contracts orders.place --part arg") == ["plain,arguments"]


def test_the_name_of_the_lock_file_is_the_one_that_is_written() -> None:
    assert completing._LOCK_FILE == LOCK_FILE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_says_how_to_turn_it_on(shell: str) -> None:
    done = CliRunner().invoke(pico_celery, ["completion", shell], prog_name="pico-celery")
    assert done.exit_code == 0
    assert done.stdout.startswith("# To turn it on, add this line to ~/.")
    assert f"pico-celery completion {shell}" in done.stdout.splitlines()[1]
    assert f"_PICO_CELERY_COMPLETE={shell}_complete" in done.stdout
    told = json.loads(CliRunner().invoke(pico_celery, ["completion", shell, "--json"], prog_name="pico-celery").stdout)
    assert told["script"] in done.stdout
    program = shutil.which(shell)
    if program is not None:
        read = subprocess.run([program, "-n"], input=done.stdout, text=True, capture_output=True, check=False)
        assert (read.returncode, read.stderr) == (0, "")


def test_another_shell_is_refused() -> None:
    done = CliRunner().invoke(pico_celery, ["completion", "tcsh"])
    assert (done.exit_code, "bash" in done.stderr) == (2, True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_by_the_script(here: Path) -> None:
    """As a user has it: the script is read by a real bash, whose completion function is then called."""
    program = here / "pico-celery"
    program.write_text(f"#!{sys.executable}\n{PROGRAM}\n")
    program.chmod(0o755)
    typed = (
        "source <(pico-celery completion bash)\n"
        "COMP_WORDS=(pico-celery call orders.c)\n"
        "COMP_CWORD=2\n"
        "_pico_celery_completion pico-celery\n"
        'echo "${COMPREPLY[@]}"'
    )
    path = f"{here}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", typed],
        cwd=here,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.strip(), done.stderr) == ("orders.cancel", "")


def test_completing_needs_neither_celery_nor_schemas(here: Path) -> None:
    watched = (
        "import sys, click\n"
        "from click.shell_completion import ShellComplete\n"
        "from pico_celery_tooling.cli.main import pico_celery\n"
        "found = ShellComplete(pico_celery, {}, 'pico-celery', 'X').get_completions(['call'], 'orders.c')\n"
        "print([item.value for item in found], [name for name in ('celery', 'jsonschema', 'pico_ioc') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", watched], cwd=here, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['orders.cancel'] []"
