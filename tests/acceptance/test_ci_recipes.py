"""The recipes for users' CI do what they say: their own commands, run in a repository made of the example contracts.

Only what needs the network is left out: the installation, and the checkout, in whose place the repository is cloned.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pico_celery import EmbeddedBroker
from pico_celery_tooling.check.application import APPLICATION_RULES
from tests.acceptance.commands import GIT_USER, ROOT, as_python, environment, run, worker
from tests.acceptance.pages import Page

GITHUB = ROOT / "docs" / "ci" / "github-actions.yml"
GITLAB = ROOT / "docs" / "ci" / "gitlab-ci.yml"
PRE_COMMIT = ROOT / "docs" / "ci" / "pre-commit-config.yaml"
HOOKS = ROOT / ".pre-commit-hooks.yaml"
LOCK = ROOT / "contracts" / "contracts.lock.json"
PAGE = Page(ROOT / "docs" / "how-to" / "contracts-in-ci.md")
BIN = str(Path(sys.executable).parent)
RENAMED = ("async def cancel(self, order_id: int)", "async def cancel(self, number: int)")
WIDENED = ("async def cancel(self, order_id: int)", 'async def cancel(self, order_id: int, *, reason: str = "")')


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@dataclass(frozen=True)
class Job:
    """A job of a recipe: the lines that it runs, in one shell, and where."""

    folder: str
    lines: tuple[str, ...]

    @property
    def offline(self) -> tuple[str, ...]:
        return tuple(line for line in self.lines if not line.startswith("pip install "))


def github_jobs() -> dict[str, Job]:
    jobs = {}
    for name, job in load(GITHUB)["jobs"].items():
        folder = job.get("defaults", {}).get("run", {}).get("working-directory", ".")
        jobs[name] = Job(folder, tuple(step["run"].strip() for step in job["steps"] if "run" in step))
    return jobs


def gitlab_jobs() -> dict[str, Job]:
    recipe = load(GITLAB)
    names = [name for name, job in recipe.items() if isinstance(job, dict) and "script" in job]
    return {name: Job(".", (*recipe[name]["before_script"], *recipe[name]["script"])) for name in names}


RECIPES = {"github": github_jobs, "gitlab": gitlab_jobs}


@dataclass(frozen=True)
class Clone:
    """A user's clone of a repository with the example contracts and the shop, on a branch of its own."""

    path: Path

    @property
    def contracts(self) -> Path:
        return self.path / "contracts"

    def edit(self, name: str, change: tuple[str, str]) -> None:
        path = self.path / name
        text = path.read_text()
        assert change[0] in text
        path.write_text(text.replace(*change))

    def lock(self) -> None:
        status, output = run(as_python("pico-celery lock shop_contracts"), self.contracts)
        assert status == 0, output

    def commit(self) -> None:
        git(self.path, "commit", "-q", "-a", "-m", "A change")

    def run(self, job: Job, changes: Mapping[str, str] | None = None) -> tuple[int, str]:
        script = "\n".join(job.offline)
        # The stubs of pico_ioc are in the wheel, and not in an editable install.
        paths = {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "MYPYPATH": str(ROOT / "stubs")}
        cache = {"MYPY_CACHE_DIR": str(ROOT / ".mypy_cache" / "docs")}
        command = ["bash", "-eo", "pipefail", "-c", script]
        return run(command, self.path / job.folder, {**paths, **cache, **(changes or {})})


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True, cwd=folder, env={**os.environ, **GIT_USER}, capture_output=True)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the contracts, their lock file, and the shop."""
    path = tmp_path_factory.mktemp("origin")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*_cache", ".pico-celery")
    for name in ("contracts", "examples"):
        shutil.copytree(ROOT / name, path / name, ignore=ignored)
    (path / ".gitignore").write_text("__pycache__/\n.pico-celery/\n")
    git(path, "init", "-q", "-b", "main")
    git(path, "add", "--all")
    git(path, "commit", "-q", "-m", "The contracts of a shop")
    return path


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Clone:
    path = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(origin), str(path))
    git(path, "switch", "-q", "-c", "change")
    return Clone(path)


def test_the_lock_file_of_the_example_contracts_is_up_to_date() -> None:
    status, output = run(as_python("pico-celery lock shop_contracts --check"), LOCK.parent)

    assert (status, output) == (0, "contracts.lock.json is up to date: 6 tasks\n")


# the recipes as files


@pytest.mark.parametrize(
    ("schema", "path"), [("vendor.github-workflows", GITHUB), ("vendor.gitlab-ci", GITLAB)], ids=["github", "gitlab"]
)
def test_the_recipe_is_what_its_service_takes(schema: str, path: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]

    status, output = run(command, tmp_path)

    assert status == 0, output


def test_both_services_are_given_the_same_commands() -> None:
    github, gitlab = github_jobs(), gitlab_jobs()

    assert github.keys() == gitlab.keys() == {"contracts", "application", "deployed"}
    own = ("cd ", "git fetch ")
    for name, job in github.items():
        assert list(job.lines) == [line for line in gitlab[name].lines if not line.startswith(own)]


def test_the_other_revision_is_fetched_where_it_is_compared_with() -> None:
    steps = load(GITHUB)["jobs"]["contracts"]["steps"]

    assert steps[0]["with"]["fetch-depth"] == 0
    assert load(GITLAB)["contracts"]["variables"]["GIT_DEPTH"] == "0"
    assert any("git:origin/main" in line for line in github_jobs()["contracts"].lines)


def test_actions_are_named_by_their_major_version() -> None:
    used = re.findall(r"uses: (\S+)", GITHUB.read_text())

    assert set(used) == {"actions/checkout@v4", "actions/setup-python@v5"}


def test_the_page_links_the_recipes_and_repeats_none_of_them() -> None:
    linked = {(PAGE.path.parent / link).resolve() for link in PAGE.links}

    assert {GITHUB, GITLAB, PRE_COMMIT} <= linked
    assert [block for block in PAGE.blocks if block.language == "yaml"] == []


def test_the_page_names_each_rule_about_applications() -> None:
    named = set(re.findall(r"`([a-z_]+)`", PAGE.text))

    assert set(APPLICATION_RULES) <= named


# what the recipes find


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_change_that_nobody_notices_passes(recipe: str, clone: Clone) -> None:
    clone.edit("contracts/shop_contracts/orders.py", WIDENED)
    clone.lock()
    clone.commit()

    status, output = clone.run(RECIPES[recipe]()["contracts"])

    assert status == 0, output
    assert "contracts.lock.json is up to date" in output
    assert "workers first" in output


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_change_that_breaks_somebody_fails_and_says_whom(recipe: str, clone: Clone) -> None:
    clone.edit("contracts/shop_contracts/orders.py", RENAMED)
    clone.lock()
    clone.commit()

    status, output = clone.run(RECIPES[recipe]()["contracts"])

    assert status == 1, output
    assert "Success: no issues found" in output, "the contracts are well typed all the same"
    finding = output[output.index("orders.cancel") :]
    assert "BREAK" in finding
    assert "order_id" in finding
    assert "old clients" in finding
    assert "instead: " in finding


def test_a_lock_file_that_was_forgotten_fails_and_says_the_command(clone: Clone) -> None:
    clone.edit("contracts/shop_contracts/orders.py", WIDENED)
    clone.commit()

    status, output = clone.run(github_jobs()["contracts"])

    assert status == 1
    assert output.endswith("contracts.lock.json is out of date: run 'pico-celery lock shop_contracts'\n")


def test_contracts_that_are_not_well_typed_fail(clone: Clone) -> None:
    clone.edit("contracts/shop_contracts/orders.py", ("-> int | None:", "-> str:"))
    clone.commit()

    status, output = clone.run(github_jobs()["contracts"])

    assert status == 1
    assert "Incompatible return value type" in output
    assert "lock" not in output, "the first step that fails is the last one"


def test_the_application_in_order_passes_and_a_task_that_nobody_implements_fails(clone: Clone) -> None:
    job = github_jobs()["application"]
    try:
        status, output = clone.run(job)
        assert status == 0, output
        assert "BREAK" not in output

        clone.edit("examples/shop/workers.py", ("    @task(Orders.cancel)\n", ""))
        status, output = clone.run(gitlab_jobs()["application"])
    finally:
        EmbeddedBroker(clone.path / ".pico-celery").shutdown()

    assert status == 1, output
    assert "client_unserved" in output
    assert "OrdersClient.cancel calls it, and no component implements it" in output


@pytest.mark.slow
def test_workers_that_run_are_asked_after_the_roll_out(clone: Clone) -> None:
    command = "celery -A examples.shop.app:celery_app worker -Q orders,notifications -l INFO"
    job = github_jobs()["deployed"]
    assert "--live" in job.offline[-1]
    soon = Job(job.folder, tuple(line.replace("--wait 120", "--wait 1") for line in job.lines))
    try:
        status, output = clone.run(soon)
        assert status == 1, "nobody answers, which is not taken for a good sign"
        assert "unknown" in output
        with worker(as_python(command), clone.path):
            status, output = clone.run(job)
        assert status == 0, output
    finally:
        EmbeddedBroker(clone.path / ".pico-celery").shutdown()


# the hooks


def hooks() -> dict[str, dict[str, Any]]:
    return {hook["id"]: hook for hook in load(HOOKS)}


@pytest.fixture
def pre_commit(tmp_path: Path) -> dict[str, str]:
    """Environment in which pre-commit keeps nothing elsewhere."""
    return {"PRE_COMMIT_HOME": str(tmp_path / "home"), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def test_the_hooks_are_a_manifest_that_pre_commit_takes(tmp_path: Path, pre_commit: dict[str, str]) -> None:
    status, output = run(["pre-commit", "validate-manifest", str(HOOKS)], tmp_path, pre_commit)

    assert (status, output) == (0, "")


def test_the_hooks_run_commands_that_there_are() -> None:
    assert {name: shlex.split(hook["entry"]) for name, hook in hooks().items()} == {
        "pico-celery-lock": ["pico-celery", "lock"],
        "pico-celery-check": ["pico-celery", "check"],
    }
    assert all(hook["language"] == "python" for hook in hooks().values())


def configure(clone: Clone) -> None:
    """Write the recipe's configuration, with this installation in place of the one that pre-commit would make."""
    [repository] = load(PRE_COMMIT)["repos"]
    local = [{**hooks()[hook["id"]], **hook, "language": "system"} for hook in repository["hooks"]]
    for hook in local:
        hook.pop("additional_dependencies", None)
    config = {"repos": [{"repo": "local", "hooks": local}]}
    (clone.path / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    git(clone.path, "add", ".pre-commit-config.yaml")
    git(clone.path, "commit", "-q", "-m", "Hooks")


@pytest.mark.slow
def test_the_hooks_keep_the_lock_file_up_to_date_and_stop_what_breaks(clone: Clone, pre_commit: dict[str, str]) -> None:
    configure(clone)
    commit = ["pre-commit", "run"]

    clone.edit("contracts/shop_contracts/orders.py", WIDENED)
    git(clone.path, "add", "--all")
    status, output = run(commit, clone.path, pre_commit)
    assert status == 1
    assert "files were modified by this hook" in output
    assert "wrote contracts/contracts.lock.json" in output

    git(clone.path, "add", "--all")
    status, output = run(commit, clone.path, pre_commit)
    assert status == 0, output

    clone.edit("contracts/shop_contracts/orders.py", (WIDENED[1], RENAMED[1]))
    clone.lock()
    git(clone.path, "add", "--all")
    status, output = run(commit, clone.path, pre_commit)
    assert status == 1
    assert "orders.cancel" in output
    assert "BREAK" in output


def test_the_environment_of_these_tests_has_the_programs_of_the_recipes() -> None:
    assert all(shutil.which(program, path=BIN) for program in ("pico-celery", "mypy", "pre-commit"))
    assert environment()["GIT_AUTHOR_NAME"] == "You"
