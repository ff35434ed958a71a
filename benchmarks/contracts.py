"""What the command line takes: locking and checking 500 tasks with 300 models, and the offline commands in all.

`python -m benchmarks.contracts [--quick]`. The package is made of text in a temporary directory, as a user's would be. Its
import is told apart from what this library does with it. Each figure is the median of several runs, in CPU seconds: all of
it is one thread, which on a machine with nothing else to do takes as long. Budgets: lock and check together below 2 s after
imports, list and describe below 0.6 s in all. Needs no server.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

TASKS, MODELS = 500, 300
CONTRACT_SECONDS, OFFLINE_SECONDS = 2.0, 0.6
TASKS_OF_ONE = 10
DEPTH = 3

MODEL = """
class Model{number}(BaseModel):
    \"\"\"The model of number {number}.\"\"\"

    id: int = Field(gt=0)
    name: str = Field(min_length=1, max_length={length}, description="what people call it")
    price: Decimal = Field(ge=0)
    kind: Literal["plain", "gift"{more}] = "plain"
    made_at: datetime
    tags: list[str] = Field(default_factory=list)
    other: {other} | None = None
    parts: list[{other}] = Field(default_factory=list)
"""

TASK = """
    @task_options(queue="bench", since="1.0")
    async def run_{number}(self, item: Model{one}, count: int = {default}, *, notes: list[Model{two}] = []) -> Model{three}:
        \"\"\"Run the task of number {number}.\"\"\"
        ...
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="a tenth of the tasks, to see that it runs")
    scale = 10 if arguments.parse_args().quick else 1
    tasks, models = TASKS // scale, MODELS // scale
    print(f"pydantic {version('pydantic')}, Python {platform.python_version()}, {tasks} tasks with {models} models")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for package, changed in {"before": 0, **CHANGED}.items():
            write(folder / package, tasks, models, changed)
        _cli(folder, "lock", "before")
        after_imports(folder, rounds=3 // scale or 1)
        in_all(folder, rounds=10 // scale or 1)


def write(folder: Path, tasks: int, models: int, changed: int) -> None:
    """Write a package; each model of a number that ``changed`` divides is another one than in the other packages."""
    folder.mkdir()
    lines = [
        "from datetime import datetime\nfrom decimal import Decimal\nfrom typing import Literal, Protocol\n",
        "from pydantic import BaseModel, Field\nfrom pico_celery import contract, task_options\n",
    ]
    for number in range(models):
        is_changed = changed and number % changed == 0
        other = f"Model{number - 1}" if number % DEPTH else "int"
        more, length = (', "new"', 90) if is_changed else ("", 100)
        lines.append(MODEL.format(number=number, other=other, more=more, length=length))
    for number in range(tasks):
        if number % TASKS_OF_ONE == 0:
            domain = f"domain{number // TASKS_OF_ONE}"
            lines.append(f'\n@contract("{domain}")\nclass Contract{number}(Protocol):\n    """One of many."""\n')
        one, two, three = (number % models, (number * 7 + 1) % models, (number * 3 + 2) % models)
        lines.append(TASK.format(number=number, one=one, two=two, three=three, default=int(changed > 0)))
    (folder / "__init__.py").write_text("".join(lines))


def after_imports(folder: Path, *, rounds: int) -> None:
    """What this library does once the package is imported; each package in a process of its own."""
    print("\nafter imports, in the process")
    for package, title in PACKAGES.items():
        found = json.loads(_run(folder, [sys.executable, "-c", INSIDE, package, str(rounds)]))
        lock, check = (statistics.median(found[name]) for name in ("lock", "check"))
        print(
            f"  {title:36} lock {lock:5.2f} s, check {check:5.2f} s, together {lock + check:5.2f} s of {CONTRACT_SECONDS:g} s "
            f"({found['findings']} findings); import of the package {found['import']:5.1f} s"
        )


CHANGED = {"same": 0, "slightly": 10, "wholly": 1}
PACKAGES = {
    "same": "nothing changed",
    "slightly": "a tenth of the models changed",
    "wholly": "all models changed",
}
INSIDE = """
import json, sys, time
from pathlib import Path
import celery, pico_celery_tooling.cli.check_command
from pico_celery_tooling.cli.main import collect_rarely
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import read, to_text
from pico_celery_tooling.evolution.compare import compare
from pico_celery_tooling.sources.loading import load_contracts

took = {"lock": [], "check": []}
collect_rarely()
begun = time.process_time()
contracts = load_contracts(sys.argv[1])
took["import"] = time.process_time() - begun
for _ in range(int(sys.argv[2])):
    begun = time.process_time()
    to_text(document_of(contracts))
    took["lock"].append(time.process_time() - begun)
    begun = time.process_time()
    took["findings"] = len(compare(read(Path("contracts.lock.json")), document_of(contracts)))
    took["check"].append(time.process_time() - begun)
print(json.dumps(took))
"""


def in_all(folder: Path, *, rounds: int) -> None:
    """Whole processes: what somebody waits who types the command."""
    offline = {
        "list, from the lock file": ["list", "contracts.lock.json"],
        "describe, from the lock file": ["describe", "domain0.run_0", "--in", "contracts.lock.json"],
    }
    others = {"check of two lock files": ["check", "contracts.lock.json", "--against", "contracts.lock.json"]}
    commands: dict[str, Callable[[], float]] = {
        name: partial(_timed, partial(_cli, folder, *of)) for name, of in {**offline, **others}.items()
    }
    commands["python -c 'import pydantic'"] = partial(
        _timed, partial(_run, folder, [sys.executable, "-c", "import pydantic; pydantic.BaseModel"])
    )
    commands["python -c 'pass'"] = partial(_timed, partial(_run, folder, [sys.executable, "-c", "pass"]))
    found = _alternate(commands, rounds)
    print("\nin all, each a process of its own")
    for name, seconds in found.items():
        budget = f" of {OFFLINE_SECONDS:g} s" if name in offline else ""
        print(f"  {name:36} {seconds:6.2f} s{budget}")


def _alternate(subjects: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name in random.sample(list(subjects), len(subjects)):
            found[name].append(subjects[name]())
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def _cli(folder: Path, *arguments: str) -> str:
    return _run(folder, [sys.executable, "-c", "from pico_celery_tooling.cli.main import main; main()", *arguments])


def _timed(call: Callable[[], object]) -> float:
    """Return the CPU seconds of the process that a function runs to its end."""
    begun = _of_children()
    call()
    return _of_children() - begun


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run(folder: Path, command: list[str]) -> str:
    # Compiled modules are kept, as they are of what is installed, whatever is set here.
    kept = {**os.environ, "PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, env=kept)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout


if __name__ == "__main__":
    main()
