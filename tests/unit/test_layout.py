"""The figures of the source tree only get better, and a worker loads no tools."""

import subprocess
import sys

import pytest
from benchmarks.layout import BOUNDS, circles, figures, imports, modules, repeated_class_names


@pytest.fixture(scope="module", name="now")
def now_fixture() -> dict[str, int]:
    return figures()


@pytest.mark.parametrize("name", BOUNDS)
def test_a_figure_stays_within_its_bound(now: dict[str, int], name: str) -> None:
    assert now[name] <= BOUNDS[name].today


def test_a_class_name_means_one_thing() -> None:
    assert repeated_class_names(modules()) == {}


def test_there_is_no_circle_of_imports() -> None:
    assert circles(imports(modules())) == []


def test_a_circle_would_be_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [{"a", "b", "c"}]


WORKER = """
import sys
from pico_ioc import DictSource, configuration, init
from celery import Celery
settings = {"celery": {"broker_url": "memory://", "backend_url": "cache+memory://"}}
container = init(modules=["pico_celery", "examples.shop.workers"], config=configuration(DictSource(settings)))
container.get(Celery)
print(*sorted(name for name in sys.modules if name.startswith("pico_celery_tooling") or name == "jsonschema"))
"""


def test_a_worker_loads_no_evolution_no_schema_tools_and_no_command_line() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
