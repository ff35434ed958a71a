"""``pico-celery lock``: as a user types it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result

from pico_celery.document.lockfile import read
from pico_celery_tooling.cli.main import COMMANDS, pico_celery

CONTRACT = """
from typing import Protocol
from pico_celery import contract

@contract("{domain}")
class Some(Protocol):
    async def run(self, number: int) -> str: ...
"""


def lock(*arguments: str) -> Result:
    return CliRunner().invoke(pico_celery, ["lock", *arguments], prog_name="pico-celery")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def package(here: Path, name: str, **modules: str) -> str:
    (here / name).mkdir()
    for module, text in {"__init__": "", **modules}.items():
        (here / name / f"{module}.py").write_text(dedent(text))
    return name


def test_a_package_is_locked_with_all_its_modules_and_the_file_is_kept_up_to_date(here: Path) -> None:
    name = package(here, "locked", one=CONTRACT.format(domain="one"), two=CONTRACT.format(domain="two"))
    missing = lock(name, "--check")
    assert (missing.exit_code, missing.output) == (
        1,
        "contracts.lock.json is missing: run 'pico-celery lock locked'\n",
    )
    assert not (here / "contracts.lock.json").exists()
    made = lock(name)
    assert (made.exit_code, made.output) == (0, "wrote contracts.lock.json: 2 tasks\n")
    assert set(read(here / "contracts.lock.json").tasks) == {"one.run", "two.run"}
    assert lock(name, "--check").exit_code == 0
    assert json.loads(lock(name, "--json").output) == {
        "file": "contracts.lock.json",
        "changed": False,
        "written": False,
        "tasks": 2,
    }
    file = here / "contracts.lock.json"
    file.write_text(file.read_text().replace("run", "ran"))
    stale = lock(name, "--check")
    assert stale.exit_code == 1
    assert "out of date" in stale.output
    assert lock(name, "-o", "-").output == lock("locked/", "-o", "-").output


def test_what_cannot_be_loaded_is_told(here: Path) -> None:
    package(here, "empty")
    package(here, "torn", bad="def (")
    package(here, "wrong", contracts=CONTRACT.format(domain="wrong").replace("async def", "def"))
    package(here, "needy", uses="import surely_not_installed")
    for name, words in {
        "emty": "did you mean 'empty'?",
        "empty": "empty declares no contract",
        "torn": "torn cannot be imported: SyntaxError",
        "wrong": "wrong.run",
        "needy": "No module named 'surely_not_installed'",
    }.items():
        found = lock(name)
        assert found.exit_code == 2, found.output
        assert found.output.startswith("error:")
        assert words in found.output or name == "wrong"
    assert "async def" in lock("wrong").output
    assert json.loads(lock("emty", "--json").output)["error"]["message"] == "no module named 'emty'"


def test_what_cannot_be_imported_is_told_with_its_line(here: Path) -> None:
    package(here, "torn_twice", bad="x = 1\n\ndef (")
    package(here, "undefined", deep="import json\nx = not_there")
    package(here, "needing", uses="\nimport surely_not_installed")
    places = {"torn_twice": "torn_twice/bad.py:3", "undefined": "undefined/deep.py:2", "needing": "needing/uses.py:2"}
    for name, place in places.items():
        found = lock(name)
        assert found.exit_code == 2
        assert f"\n    at {here / place}\n  " in found.output
    assert "correct it there" in lock("undefined").output


@pytest.mark.parametrize("name", ["", ".", "..", "/somewhere/else", "../elsewhere", "a b", "contracts.lock.json"])
def test_what_is_no_name_of_a_package_is_told_as_that(here: Path, name: str) -> None:
    found = lock(name, "-o", "-")
    assert found.exit_code == 2
    assert (
        "is not the name of a package that can be imported from here" in found.output
        or "is not a package" in found.output
    )
    assert "\n  name " in found.output


def test_a_package_is_found_by_its_absolute_path_too(here: Path) -> None:
    name = package(here, "by_path", one=CONTRACT.format(domain="by_path"))
    assert lock(str(here / name), "-o", "-").output == lock(name, "-o", "-").output


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_file_that_cannot_be_written_is_no_finding(here: Path, arguments: list[str]) -> None:
    name = package(here, f"unwritten{len(arguments)}", one=CONTRACT.format(domain=f"unwritten{len(arguments)}"))
    found = lock(name, "-o", "no/such/directory.json", *arguments)
    assert found.exit_code == 2
    assert "no/such/directory.json cannot be written: No such file or directory" in found.output
    assert "name another file with -o" in found.output


def test_a_file_that_is_no_text_is_out_of_date(here: Path) -> None:
    name = package(here, "binary", one=CONTRACT.format(domain="binary"))
    (here / "contracts.lock.json").write_bytes(b"\xff\xfe")
    assert lock(name, "--check").exit_code == 1
    assert lock(name).exit_code == 0
    assert lock(name, "--check").exit_code == 0


def test_what_the_system_refuses_is_no_finding(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = package(here, "refused", one=CONTRACT.format(domain="refused"))

    def fail(_: object) -> None:
        raise PermissionError(13, "Permission denied", "some/file")

    monkeypatch.setattr("pico_celery_tooling.cli.lock_command.to_text", fail)
    found = lock(name, "--json")
    assert found.exit_code == 2
    assert json.loads(found.output)["error"]["message"] == "some/file cannot be read or written: Permission denied"


@pytest.mark.parametrize(
    ("environment", "is_coloured"), [({}, True), ({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)]
)
def test_no_color_of_the_environment_is_heeded(here: Path, environment: dict[str, str], is_coloured: bool) -> None:
    package(here, "plain_text")
    arguments = ["lock", "plain_text"]
    found = CliRunner(env={"NO_COLOR": None, **environment}).invoke(pico_celery, arguments, color=True)
    assert ("\x1b[" in found.output) is is_coloured


def test_celerys_own_option_takes_the_colours_away(here: Path) -> None:
    from celery.bin.celery import celery

    for options, is_coloured in (([], True), (["--no-color"], False)):
        arguments = [*options, "contracts", "check", "--rules"]
        found = CliRunner(env={"NO_COLOR": None}).invoke(celery, arguments, color=True)
        assert found.exit_code == 0
        assert ("\x1b[" in found.output) is is_coloured


def test_a_wrong_command_is_told_the_right_one() -> None:
    found = CliRunner().invoke(pico_celery, ["lokc"])
    assert found.exit_code == 2
    assert "No such command 'lokc'; did you mean 'lock'?" in found.output


def test_an_application_that_is_named_too_late_is_told_where_to_stand() -> None:
    found = CliRunner().invoke(pico_celery, ["verify", "-A", "shop.app"], prog_name="pico-celery")
    assert found.exit_code == 2
    assert "it goes before the command: pico-celery -A your.module:app" in found.output


def test_a_mistake_of_the_command_itself_is_no_finding(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = package(here, "fine", one=CONTRACT.format(domain="fine"))

    def fail(_: object) -> None:
        raise LookupError("not foreseen")

    monkeypatch.setattr("pico_celery_tooling.cli.lock_command.to_text", fail)
    found = lock(name)
    assert found.exit_code == 2
    assert "LookupError: not foreseen" in found.output
    assert "please report it" in found.output


def test_the_container_of_a_worker_imports_no_tooling() -> None:
    code = "import sys, pico_ioc; pico_ioc.init(modules=['pico_celery']); print([m for m in sys.modules if 'tooling' in m or m == 'jsonschema'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_command_teaches() -> None:
    listed = CliRunner().invoke(pico_celery, ["--help"])
    assert listed.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in listed.output
        taught = CliRunner().invoke(pico_celery, [name, "--help"], prog_name="pico-celery")
        assert taught.exit_code == 0, taught.output
        assert "--json" in taught.output
        examples = taught.output.partition("\n")[2]
        assert re.search(rf"pico-celery (-A \S+ )?{name}", examples) or name == "completion", examples


def test_both_ways_in_have_the_same_commands(here: Path) -> None:
    name = package(here, "both", one=CONTRACT.format(domain="both"))
    texts = [
        subprocess.run(
            [sys.executable, *start, "lock", name, "-o", "-"], capture_output=True, text=True, check=True
        ).stdout
        for start in (
            ["-c", "from pico_celery_tooling.cli.main import main; main()"],
            ["-c", "from pico_celery_tooling.cli.main import main; main()", "contracts"],
            ["-m", "celery", "contracts"],
        )
    ]
    assert texts[0] == texts[1] == texts[2]
    assert '"both.run"' in texts[0]
