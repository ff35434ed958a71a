"""``pico-celery check``: as a user types it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pico_celery_tooling.check.application import APPLICATION_RULES
from pico_celery_tooling.cli.main import pico_celery
from pico_celery_tooling.evolution.rules import RULES

CONTRACT = """
from typing import Literal, Protocol
from pico_celery import contract, task_options

Kind = Literal[{kinds}]

@contract("{domain}")
class Shop(Protocol):
    @task_options(queue="{queue}")
    async def place(self, kind: Kind{more}) -> int: ...
    async def count(self) -> {result}: ...
"""
numbers = itertools.count(1)
PLAIN = {"kinds": "'a', 'b'", "queue": "shop", "more": "", "result": "int"}


def check(*arguments: str, color: bool = False) -> Result:
    return CliRunner().invoke(pico_celery, ["check", *arguments], prog_name="pico-celery", color=color)


def checked(*arguments: str) -> Any:
    return json.loads(check(*arguments, "--json").output)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def lock(here: Path, file: str, **changes: str) -> str:
    """Lock a version of the contract, which no two tests import under the same name."""
    name = f"checked_{next(numbers)}"
    (here / f"{name}.py").write_text(dedent(CONTRACT.format(domain=name, **{**PLAIN, **changes})))
    made = CliRunner().invoke(pico_celery, ["lock", name, "-o", file])
    assert made.exit_code == 0, made.output
    path = here / file
    path.write_text(path.read_text().replace(name, "shop"))
    return file


def test_a_package_is_compared_with_the_lock_file_that_is_here(here: Path) -> None:
    (here / "compared.py").write_text(dedent(CONTRACT.format(domain="shop_here", **PLAIN)))
    missing = check("compared")
    assert missing.exit_code == 2
    assert "there is no contracts.lock.json here" in missing.output
    assert "pico-celery lock compared" in missing.output
    assert CliRunner().invoke(pico_celery, ["lock", "compared"]).exit_code == 0
    same = check("compared")
    assert same.exit_code == 0
    assert same.output.splitlines() == [
        "compared against contracts.lock.json, 2 tasks: no findings",
        "clients and workers can be rolled out in any order",
    ]
    assert check("contracts.lock.json").exit_code == 2
    assert "contracts.lock.json is what is compared" in check("contracts.lock.json").output
    assert check().exit_code == 2
    assert "no package given" in check().output


def test_what_breaks_is_told_by_task_the_worst_first(here: Path) -> None:
    old, new = (
        lock(here, "old.json"),
        lock(here, "new.json", kinds="'a', 'c'", more=", urgent: bool = False", queue="fast"),
    )
    found = check(new, "--against", old)
    assert found.exit_code == 1
    lines = found.output.splitlines()
    assert lines[0] == "shop.place"
    heads = [line.split()[:2] for line in lines if line[:9].strip() in {"BREAK", "ORDER", "NOTE"}]
    assert [level for level, _ in heads] == sorted((level for level, _ in heads), key=["BREAK", "ORDER", "NOTE"].index)
    assert ["BREAK", "queue_moved"] in heads
    text = found.output
    assert 'this payload, valid before, is refused now: {"kind": "b"}' in text
    assert "breaks: old clients and queued messages, at new workers" in text
    assert "instead: keep a worker on 'shop'" in text
    assert "something breaks, whichever order" in lines[-1]
    assert "\x1b[" not in text
    assert "\x1b[" in check(new, "--against", old, color=True).output


def test_json_tells_all_that_the_text_does(here: Path) -> None:
    old, new = lock(here, "old.json"), lock(here, "new.json", kinds="'a', 'c'", more=", urgent: bool = False")
    data = checked(new, "--against", old)
    assert (data["package"], data["against"], data["rollout"], data["ok"]) == (new, old, "workers-first", False)
    assert data["verdict"] == "breaks"
    by_rule = {finding["rule"]: finding for finding in reversed(data["findings"])}  # the worst one stays
    enum = by_rule["argument_enum_value"]
    assert enum["payload"] == {"kind": "b"}
    assert (enum["level"], enum["categories"], enum["task"], enum["path"], enum["fails"]) == (
        "break",
        ["WIRE", "QUEUED"],
        "shop.place",
        "kind",
        True,
    )
    assert by_rule["parameter_added"]["fails"] is False
    assert set(enum) == {"rule", "level", "categories", "task", "path", "message", "who", "remedy", "payload", "fails"}
    summary = data["summary"]
    assert summary["tasks"] == 2
    assert summary["failing"] == summary["break"] == 1
    assert summary["order"] + summary["note"] + 1 == len(data["findings"])


def test_the_order_of_the_roll_out_decides_on_matters_of_order(here: Path) -> None:
    old = lock(here, "old.json")
    optional = lock(here, "optional.json", more=", urgent: bool = False")
    found = check(optional, "--against", old)
    assert found.exit_code == 0
    assert found.output.splitlines()[-1].startswith("roll out workers first")
    assert check(optional, "--against", old, "--rollout", "any").exit_code == 1
    assert check(optional, "--against", old, "--rollout", "clients-first").exit_code == 1
    result = lock(here, "result.json", result="int | None")
    found = check(result, "--against", old, "--category", "wire", "--category", "QUEUED")
    assert found.exit_code == 1
    assert found.output.splitlines()[-1].startswith("roll out clients first")
    assert "--rollout clients-first" in found.output
    settled = check(result, "--against", old, "--category", "wire", "--rollout", "clients-first")
    assert settled.exit_code == 0
    assert check(result, "--against", old, "--category", "queued").exit_code == 0
    source = check(result, "--against", old, "--category", "source")
    assert source.exit_code == 1
    assert source.output.splitlines()[-1].endswith("in any order; what fails breaks no message")


def test_ignores_have_a_reason_and_stay_told(here: Path) -> None:
    old, new = lock(here, "old.json"), lock(here, "new.json", queue="fast")
    reason = "a worker stays on the old queue"
    found = check(new, "--against", old, "--ignore", f"queue_moved:shop.*={reason}")
    assert found.exit_code == 0
    assert f"ignored: {reason}" in found.output
    assert "1 ignored" in found.output
    assert checked(new, "--against", old, "--ignore", f"queue_moved={reason}")["findings"][0]["ignored"] == reason
    unused = check(new, "--against", old, "--ignore", f"queue_moved:other.*={reason}")
    assert unused.exit_code == 1
    assert f"unused ignore: queue_moved:other.* (--ignore) is about nothing any more: {reason}" in unused.output
    for wrong, words in {
        "queue_moved:shop.*": "has no reason",
        "queue_moved:shop.*= ": "has no reason",
        "queue_mvoed=why": "did you mean 'queue_moved'",
    }.items():
        found = check(new, "--against", old, "--ignore", wrong)
        assert found.exit_code == 2
        assert words in found.output


def test_ignores_are_read_from_the_project(here: Path) -> None:
    old, new = lock(here, "old.json"), lock(here, "new.json", queue="fast")
    project = here / "pyproject.toml"
    project.write_text('[project]\nname = "x"\n')
    assert check(new, "--against", old).exit_code == 1
    project.write_text(
        '[tool.pico_celery.check]\nignore = [{rule = "queue_moved", task = "shop.*", path = "queue", reason = "known"}]\n'
    )
    assert check(new, "--against", old).exit_code == 0
    elsewhere = here / "elsewhere.toml"
    elsewhere.write_text("[tool.pico_celery.check]\nignore = []\n")
    assert check(new, "--against", old, "--config", "elsewhere.toml").exit_code == 1
    for text, words in {
        '[tool.pico_celery.check]\nignore = [{rule = "queue_moved"}]': "ignore[0].reason: Field required",
        '[tool.pico_celery.check]\nignore = [{rule = "queue_moved", reason = " "}]': "ignore[0].reason",
        '[tool.pico_celery.check]\nignore = [{rule = "queue_moved", taks = "a", reason = "r"}]': "did you mean 'task'?",
        "[tool.pico_celery.check]\nignores = []": "did you mean 'ignore'?",
        '[tool.pico_celery.check]\nignore = [{rule = "task_remove", reason = "r"}]': "did you mean 'task_removed'",
        "[tool": "cannot be read",
        "[project]": "has no table [tool.pico_celery.check]",
    }.items():
        elsewhere.write_text(text)
        found = check(new, "--against", old, "--config", "elsewhere.toml")
        assert found.exit_code == 2, found.output
        assert words in found.output


def test_the_rules_are_listed() -> None:
    listed = check("--rules")
    assert listed.exit_code == 0
    for rule in RULES.values():
        assert f"{rule.name}  (" in listed.output
        assert rule.meaning in listed.output
    data = checked("--rules")
    assert [rule["rule"] for rule in data] == [*RULES, *APPLICATION_RULES]
    assert all(rule["meaning"] for rule in data)


APPLICATION = """
from celery import Celery
import {contracts}

app = Celery("checked", broker="memory://", backend="cache+memory://", set_as_current=False)

@app.task(name="{domain}.plcae")
def misspelt() -> None: ...
"""


def test_an_application_is_checked_with_and_without_another_version(here: Path) -> None:
    name, domain = "of_application", "shop_of_application"
    (here / f"{name}.py").write_text(dedent(CONTRACT.format(domain=domain, **PLAIN)))
    (here / "checked_app.py").write_text(dedent(APPLICATION.format(contracts=name, domain=domain)))
    found = CliRunner().invoke(pico_celery, ["-A", "checked_app", "check", name, "--json"])
    data = json.loads(found.output)
    assert data["against"] is None
    assert data["verdict"] is None
    assert f"{domain}.plcae" in {finding["task"] for finding in data["findings"]}
    assert {"SETUP"} <= {category for finding in data["findings"] for category in finding["categories"]}
    assert CliRunner().invoke(pico_celery, ["lock", name]).exit_code == 0
    both = json.loads(CliRunner().invoke(pico_celery, ["-A", "checked_app", "check", name, "--json"]).output)
    assert both["against"] == "contracts.lock.json"
    assert both["verdict"] == "any-order"
    assert len(both["findings"]) == len(data["findings"])
