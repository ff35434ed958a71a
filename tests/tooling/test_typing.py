"""What mypy and pyright accept and refuse, without a plugin.

``typing_tests/accepted`` must pass both checkers. Each promised rejection is a line in ``typing_tests/rejected`` that
ignores exactly the errors it must cause: in a copy the comments are removed, and both checkers have to name those errors.
Each checker runs once, over the files and their copies, since most of its time goes into what they import.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import pico_celery

ROOT = Path(__file__).parents[2]
TYPING_TESTS = ROOT / "typing_tests"
SHARED = TYPING_TESTS / "shop.py"
ACCEPTED = [SHARED, *sorted((TYPING_TESTS / "accepted").glob("*.py"))]
REJECTED = sorted((TYPING_TESTS / "rejected").glob("*.py"))
UNMASKED = "typing_tests/unmasked/"
LINKED = ("src", "stubs", "contracts")

_MYPY = re.compile(r"# type: ignore\[([^\]]+)\]")
_PYRIGHT = re.compile(r"# pyright: ignore\[([^\]]+)\]")
_COMMENTS = re.compile(r"  # (?:type|pyright): ignore.*$", re.MULTILINE)
_MYPY_ERROR = re.compile(r"^(typing_tests/[^:]+):(\d+): error: .*  \[([a-z-]+)\]$", re.MULTILINE)

# As a user has it who did not install celery-types: everything of Celery's is Any.
WITHOUT_CELERY_TYPES = """
[mypy-celery.*,kombu.*,billiard.*,amqp.*,vine.*]
follow_imports = skip
follow_imports_for_stubs = True

[mypy-pico_celery.*]
follow_imports = silent
"""

# A result that derives from Any fits everywhere, and everything fits an application that is Any.
NEEDS_CELERY_TYPES = {
    "a URL is no application",
    "a bare decorator",
    "a field of the value, asked of the result",
    "a result is no value",
    "a result of a wider type",
    "a result of another type",
    "a sender is no task",
    "not awaited",
    "the same as Celery's",
}

# What is a class of Celery's itself is Any without its types, and all that is made of it.
CELERY_S_OWN = {"with_celery_types", "canvas", "schedules", "workflow_times"}

Place = tuple[str, int]
Codes = Mapping[Place, set[str]]


@dataclass(frozen=True)
class Expectation:
    """A line that must be refused."""

    file: str
    line: int
    claim: str
    mypy: frozenset[str]
    pyright: frozenset[str]

    @property
    def place(self) -> Place:
        return self.file, self.line

    def __str__(self) -> str:
        return f"{Path(self.file).stem}-{self.line}-{self.claim.replace(' ', '_')}"


@dataclass(frozen=True)
class Reports:
    """What both checkers say of one state of the files."""

    mypy: Codes
    pyright: Codes
    text: str


def _codes(pattern: re.Pattern[str], line: str) -> frozenset[str]:
    found = pattern.search(line)
    return frozenset(code.strip() for code in found[1].split(",")) if found else frozenset()


def _expectations() -> Iterator[Expectation]:
    for path in REJECTED:
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            mypy, pyright = _codes(_MYPY, line), _codes(_PYRIGHT, line)
            if mypy or pyright:
                claim = line.rpartition("]  # ")[2]
                yield Expectation(path.relative_to(ROOT).as_posix(), number, claim, mypy, pyright)


EXPECTATIONS = list(_expectations())


def _run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in {"MYPYPATH", "PYTHONPATH"}}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, env=env, capture_output=True, text=True, check=False
    )


def _cache(project: Path) -> Path:
    return project.with_name(f"{project.name}-cache")


def _mypy(project: Path, *files: str) -> tuple[Codes, str]:
    options = [f"--cache-dir={_cache(project)}", "--no-error-summary", "--no-pretty", "--no-color-output"]
    done = _run(["mypy", *options, *(files or ["typing_tests"])], project)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    codes: dict[Place, set[str]] = defaultdict(set)
    for file, line, code in _MYPY_ERROR.findall(done.stdout):
        codes[file, int(line)].add(code)
    errors = [text for text in done.stdout.splitlines() if text.startswith("typing_tests") and " error: " in text]
    return dict(codes), "\n".join(errors)


def _pyright(project: Path) -> tuple[Codes, str]:
    done = _run(["pyright", "--pythonpath", sys.executable, "--outputjson", "typing_tests"], project)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    report = json.loads(done.stdout[done.stdout.index("{") :])
    assert report["summary"]["filesAnalyzed"] == len(ACCEPTED) + 2 * len(REJECTED), report["summary"]
    codes: dict[Place, set[str]] = defaultdict(set)
    errors = []
    for error in report["generalDiagnostics"]:
        file = Path(error["file"]).resolve().relative_to(project.resolve()).as_posix()
        line = error["range"]["start"]["line"] + 1
        rule = error.get("rule", error["severity"])
        codes[file, line].add(rule)
        errors.append(f"{file}:{line}: {error['message']} [{rule}]")
    return dict(codes), "\n".join(errors)


def _reports(project: Path) -> tuple[Reports, Reports]:
    """Return what both checkers report of the files as they are, and of the copies without comments."""
    mypy, mypy_text = _mypy(project)
    pyright, pyright_text = _pyright(project)
    text = f"mypy:\n{mypy_text}\npyright:\n{pyright_text}"
    as_they_are = Reports(_of_files(mypy), _of_files(pyright), text)
    return as_they_are, Reports(_of_copies(mypy), _of_copies(pyright), text)


def _of_files(codes: Codes) -> Codes:
    return {place: found for place, found in codes.items() if not place[0].startswith(UNMASKED)}


def _of_copies(codes: Codes) -> Codes:
    """Return the codes of the copies, with the names of the files."""
    copies = {place: found for place, found in codes.items() if place[0].startswith(UNMASKED)}
    return {(file.replace(UNMASKED, "typing_tests/rejected/"), line): found for (file, line), found in copies.items()}


def _copy_without_comments(project: Path) -> None:
    copies = project / UNMASKED
    copies.mkdir()
    for path in REJECTED:
        (copies / path.name).write_text(_COMMENTS.sub("", path.read_text()))


def _make_project(path: Path, mypy_settings: str = "") -> Path:
    """Copy what is checked and the settings of both checkers; the environment is that of the tests."""
    path.mkdir()
    for name in LINKED:
        (path / name).symlink_to(ROOT / name)
    shutil.copytree(TYPING_TESTS, path / "typing_tests", ignore=shutil.ignore_patterns("__pycache__"))
    (path / "mypy.ini").write_text((ROOT / "mypy.ini").read_text() + mypy_settings)
    if (ROOT / ".mypy_cache").exists():  # what it has to check again, mypy finds out by the text of the files
        shutil.copytree(ROOT / ".mypy_cache", _cache(path))
    settings = (ROOT / "pyrightconfig.json").read_text()
    (path / "pyrightconfig.json").write_text(re.sub(r'^ *"venv(?:Path)?":.*\n', "", settings, flags=re.MULTILINE))
    return path


@pytest.fixture(scope="session")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Reports, Reports]:
    """Both checkers' reports of the files as they are, and of the copies without the comments that ignore errors."""
    project = _make_project(tmp_path_factory.mktemp("typing") / "project")
    _copy_without_comments(project)
    return _reports(project)


@pytest.fixture(scope="session")
def as_they_are(checked: tuple[Reports, Reports]) -> Reports:
    return checked[0]


@pytest.fixture(scope="session")
def unmasked(checked: tuple[Reports, Reports]) -> Reports:
    return checked[1]


def test_mypy_strict_accepts_correct_code_and_needs_every_ignore_comment(as_they_are: Reports) -> None:
    assert as_they_are.mypy == {}, as_they_are.text


def test_pyright_accepts_correct_code_and_needs_every_ignore_comment(as_they_are: Reports) -> None:
    assert as_they_are.pyright == {}, as_they_are.text


@pytest.mark.parametrize("expectation", EXPECTATIONS, ids=str)
def test_both_checkers_refuse(expectation: Expectation, unmasked: Reports) -> None:
    assert unmasked.mypy.get(expectation.place, set()) == expectation.mypy
    assert unmasked.pyright.get(expectation.place, set()) == expectation.pyright


def test_nothing_is_refused_besides_the_promised_lines(unmasked: Reports) -> None:
    promised = {expectation.place for expectation in EXPECTATIONS}

    assert set(unmasked.mypy) <= promised, unmasked.text
    assert set(unmasked.pyright) <= promised, unmasked.text


def test_only_a_parameter_that_an_heir_of_a_contract_renames_is_left_to_one_checker() -> None:
    one_sided = [expectation for expectation in EXPECTATIONS if not (expectation.mypy and expectation.pyright)]

    assert {(Path(one.file).stem, one.claim, one.mypy) for one in one_sided} == {
        ("heirs", "renamed, which mypy lets pass", frozenset())
    }


def test_every_rejected_file_promises_something_and_every_line_says_why() -> None:
    assert {expectation.file for expectation in EXPECTATIONS} == {
        path.relative_to(ROOT).as_posix() for path in REJECTED
    }
    assert [expectation for expectation in EXPECTATIONS if not expectation.claim or "#" in expectation.claim] == []


def test_correct_code_needs_no_ignore_comment() -> None:
    texts = {path.name: path.read_text() for path in ACCEPTED}

    assert [name for name, text in texts.items() if re.search(r"type: *ignore|pyright: *ignore|\bcast\(", text)] == []


def test_every_public_name_is_used_by_correct_code() -> None:
    used = {
        node.id
        for path in ACCEPTED
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }

    assert set(pico_celery.__all__) - used == set()


@pytest.fixture(scope="session")
def without_celery_types(tmp_path_factory: pytest.TempPathFactory) -> Codes:
    """mypy's report where Celery has no types, without the comments that ignore errors."""
    project = _make_project(tmp_path_factory.mktemp("typing") / "untyped", WITHOUT_CELERY_TYPES)
    shutil.rmtree(project / "typing_tests" / "rejected")
    _copy_without_comments(project)
    codes = _mypy(project)[0]
    return {**_of_files(codes), **_of_copies(codes)}


def test_without_celery_types_correct_code_passes_too(without_celery_types: Codes) -> None:
    accepted = {path.relative_to(ROOT).as_posix() for path in ACCEPTED if path.stem not in CELERY_S_OWN}

    assert {place: codes for place, codes in without_celery_types.items() if place[0] in accepted} == {}


def test_without_celery_types_arguments_options_and_values_are_still_checked(without_celery_types: Codes) -> None:
    checked = [one for one in EXPECTATIONS if Path(one.file).stem not in CELERY_S_OWN]
    missed = {one.claim for one in checked if one.mypy and one.place not in without_celery_types}

    assert missed <= NEEDS_CELERY_TYPES
