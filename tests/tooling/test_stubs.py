"""The stubs of pico-ioc that the wheel ships say what pico-ioc does, and save users from untyped decorators."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pico_ioc
import pytest
from pico_ioc import DictSource, PicoContainer, component, configuration, init

ROOT = Path(__file__).parents[2]
STUBS = ROOT / "stubs"

# Every decorator in every form it has, and the calls on a container. It is checked by mypy and pyright, and it is
# run: what the stubs accept has to work.
APPLICATION = """\
import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Protocol, assert_type

from pico_ioc import (
    AutoSubscriberMixin,
    DictSource,
    Event,
    EventBus,
    ExecPolicy,
    MethodCtx,
    PicoContainer,
    ProviderMetadata,
    Qualifier,
    cleanup,
    component,
    configuration,
    configure,
    configured,
    factory,
    health,
    init,
    intercepted_by,
    provides,
    subscribe,
)
from pico_ioc.event_bus import subscribe as subscribe_of_the_module


class Clock(Protocol):
    def now(self) -> float: ...


class Store(ABC):
    def __init__(self, size: int = 0) -> None:
        self.size = size

    @abstractmethod
    def load(self, key: str) -> bytes: ...


@dataclass(frozen=True)
class Plan(Event):
    name: str


@configured(prefix="db", mapping="tree")
@dataclass
class DbConfig:
    url: str
    port: int = 5432


@configured(target="self", prefix="cache", mapping="tree", scope="singleton", lazy=True)
@dataclass
class CacheConfig:
    size: int = 3


@component
class SystemClock:
    def now(self) -> float:
        return 1.0


@component()
class Trace:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def invoke(self, ctx: MethodCtx, call_next: Callable[[MethodCtx], Any]) -> Any:
        self.seen.append(ctx.name)
        return call_next(ctx)


@component(
    scope="singleton",
    qualifiers={"fast", "local"},
    primary=True,
    conditional_profiles=("prod",),
    conditional_predicate=lambda: True,
)
class MemoryStore(Store):
    def load(self, key: str) -> bytes:
        return key.encode()


@component(name="visitor", scope="request", qualifiers=["a"])
class Visitor:
    pass


@component(on_missing_selector=Clock, on_missing_priority=1, lazy=True)
class NoClock:
    def now(self) -> float:
        return 0.0


@factory
class Numbers:
    @provides(int, scope="prototype", qualifiers=("n",))
    def one(self, config: DbConfig) -> int:
        return config.port

    @provides("greeting", name="greeting", lazy=False)
    @staticmethod
    def greeting() -> str:
        return "hello"


@factory(scope="singleton", lazy=False)
class Words:
    @provides(bytes, scope="prototype")
    async def raw(self) -> bytes:
        return b"raw"


Words_is_kept: type[Words] = Words


@provides
def ratio() -> float:
    return 0.5


@provides(scope="prototype")
def imaginary() -> complex:
    return 1j


@provides("plan")
def plan() -> Plan:
    return Plan("p")


@component
class Service(AutoSubscriberMixin):
    def __init__(self, store: Annotated[Store, Qualifier("fast")], clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.ready = False
        self.heard: list[str] = []

    @configure
    def warm(self, config: DbConfig) -> None:
        self.ready = bool(config.url)

    @health
    def ok(self) -> bool:
        return self.ready

    @cleanup
    async def close(self) -> None:
        self.ready = False

    @intercepted_by(Trace)
    def greet(self, name: str, *, loud: bool = False) -> str:
        return name.upper() if loud else name

    @subscribe(Plan, priority=1, policy=ExecPolicy.INLINE, once=False)
    def on_plan(self, event: Plan) -> None:
        self.heard.append(event.name)

    @subscribe_of_the_module(Plan)
    async def on_plan_async(self, event: Plan) -> None:
        self.heard.append(event.name)


class Observer:
    def __init__(self) -> None:
        self.keys: list[str | type[Any]] = []

    def on_resolve(self, key: str | type[Any], took_ms: float) -> None:
        self.keys.append(key)

    def on_cache_hit(self, key: str | type[Any]) -> None:
        self.keys.append(key)


def on_plan(event: Plan) -> None:
    assert event.name


async def check(container: PicoContainer) -> None:
    assert_type(await container.aget(Service), Service)
    assert_type(await container.aget(Store), Store)
    assert_type(await container.aget(Clock), Clock)
    assert_type(await container.aget(bytes), bytes)
    assert_type(await container.aget("greeting"), Any)
    bus = await container.aget(EventBus)
    bus.subscribe(Plan, on_plan)
    await bus.publish(Plan("p"))


def main() -> None:
    container = init(
        [sys.modules[__name__], "pico_ioc.event_bus"],
        profiles=("prod",),
        config=configuration(DictSource({"db": {"url": "sqlite://"}, "cache": {}})),
        overrides={"extra": 1, complex: lambda: 2j},
        custom_scopes=["job"],
        observers=[Observer()],
    )
    assert_type(container, PicoContainer)
    service = container.get(Service)
    assert_type(service, Service)
    assert_type(service.greet("a", loud=True), str)
    assert_type(service.ok(), bool)
    assert_type(container.get(Store), Store)
    assert_type(container.get(Clock).now(), float)
    assert_type(container.get("greeting"), Any)
    assert_type(ratio(), float)
    assert_type(imaginary(), complex)
    assert_type(Numbers().one(DbConfig("x")), int)
    assert_type(Numbers.greeting(), str)
    assert_type(container.get(CacheConfig).size, int)
    assert_type(container.keys(), list[str | type[Any]])
    assert_type(container.metadata_for(Clock), ProviderMetadata | None)
    assert_type(container.has(Clock), bool)
    assert_type(container.health_check(), dict[str, bool])
    assert_type(container.stats(), dict[str, Any])
    with container.scope("request", "1", cleanup=True) as active, container.as_current():
        assert_type(active, PicoContainer)
        assert_type(PicoContainer.get_current(), PicoContainer | None)
        assert active.get("visitor") is active.get("visitor")
    container.cleanup_scope("request", "1")
    asyncio.run(check(container))
    assert sorted(service.heard) == ["p", "p"]
    asyncio.run(container.ashutdown())
    container.shutdown()


if __name__ == "__main__":
    main()
"""

# Each line with `# E: code` is a mistake that mypy reports with that code; no other line is.
MISUSE = """\
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pico_ioc import (
    DictSource,
    Event,
    EventBus,
    PicoContainer,
    cleanup,
    component,
    configuration,
    configured,
    factory,
    health,
    init,
    intercepted_by,
    provides,
    subscribe,
)


class Ping(Event): ...


class Pong(Event): ...


class NotAnInterceptor: ...


component(scope=1)  # E: call-overload
component(qualifers=("typo",))  # E: call-overload
component("positional name")  # E: call-overload
component(conditional_predicate=True)  # E: call-overload
factory(lazy="yes")  # E: call-overload
provides(int, scope=None)  # E: call-overload
provides(int, key=str)  # E: call-overload
provides(3)  # E: call-overload
configured(mapping="x")  # E: arg-type
configured(prefix=None)  # E: arg-type
configured(target="other")  # E: arg-type
intercepted_by()  # E: call-arg
intercepted_by(NotAnInterceptor)  # E: arg-type
cleanup("close")  # E: type-var
subscribe(int)  # E: arg-type
subscribe(Ping, policy="inline")  # E: arg-type
configuration({"db": {}})  # E: arg-type
init("app", profiles="prod")  # E: arg-type
init("app", config=DictSource({}))  # E: arg-type


@configured(mapping="x")  # E: arg-type
@dataclass
class Config:
    size: int = 0


@component(scope=1)  # E: call-overload
class Service:
    @health  # E: type-var
    async def ok(self) -> bool:
        return True

    @health  # E: type-var
    def ok_of(self, name: str) -> bool:
        return True

    @provides(str)
    def text(self) -> str:
        return ""


def on_ping(event: Ping) -> None: ...


def use(container: PicoContainer, bus: EventBus, service: Service) -> None:
    container.get(3)  # E: call-overload
    container.get(on_ping)  # E: call-overload
    container.get(Service).missing()  # E: attr-defined
    wrong: int = container.get(Service)  # E: assignment
    wrong = service.text()  # E: assignment
    wrong = container.metadata_for(Service).scope  # E: assignment, union-attr
    container.scope("request")  # E: call-arg
    container.has(3)  # E: arg-type
    bus.subscribe(Pong, on_ping)  # E: arg-type
"""


def run(command: list[str], *, cwd: Path, mypypath: Path | None = None) -> tuple[int, str]:
    """Run a tool away from the repository, so that none of its settings are read."""
    env = {name: value for name, value in os.environ.items() if name not in {"MYPYPATH", "PYTHONPATH"}}
    if mypypath is not None:
        env["MYPYPATH"] = str(mypypath)
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def mypy(source: Path, cache: Path, *, mypypath: Path | None = None, python: Path | None = None) -> tuple[int, str]:
    options = ["--strict", "--config-file=", f"--cache-dir={cache}", "--no-error-summary"]
    if python is not None:
        options.append(f"--python-executable={python}")
    return run([sys.executable, "-m", "mypy", *options, source.name], cwd=source.parent, mypypath=mypypath)


def environment(path: Path, *, stubs: bool) -> Path:
    """Make an environment that has pico-ioc, and has the stubs only as our wheel installs them or not at all."""
    venv.create(path, with_pip=False)
    (site_packages,) = path.glob("lib/python*/site-packages")
    shutil.copytree(Path(pico_ioc.__file__).parent, site_packages / "pico_ioc")
    if stubs:
        shutil.copytree(STUBS / "pico_ioc", site_packages / "pico_ioc-stubs")
    return path / "bin" / "python"


def stubtest(stubs: Path, cwd: Path) -> tuple[int, str]:
    config = cwd / "stubtest.ini"
    config.write_text("[mypy]\nstrict = True\n")
    command = [sys.executable, "-m", "mypy.stubtest", "pico_ioc", "--mypy-config-file", str(config), "--concise"]
    return run(command, cwd=cwd, mypypath=stubs)


@pytest.fixture
def application(tmp_path: Path) -> Path:
    path = tmp_path / "application.py"
    path.write_text(APPLICATION)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy-cache")


def test_the_stubs_agree_with_the_installed_pico_ioc_and_need_no_allowlist(tmp_path: Path) -> None:
    code, output = stubtest(STUBS, tmp_path)

    assert code == 0, output


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("container.pyi", "def has(self, key: KeyT)", "def has(self, name: KeyT)"),
        pytest.param("decorators.pyi", "primary: bool", "primry: bool", marks=pytest.mark.slow),
        pytest.param(
            "exceptions.pyi", "class ScopeError(PicoError):", "class ScopeErrors(PicoError):", marks=pytest.mark.slow
        ),
    ],
)
def test_stubtest_notices_a_stub_that_has_drifted(tmp_path: Path, module: str, old: str, new: str) -> None:
    drifted = tmp_path / "stubs"
    shutil.copytree(STUBS, drifted)
    stub = drifted / "pico_ioc" / module
    text = stub.read_text()
    assert old in text
    stub.write_text(text.replace(old, new))

    code, output = stubtest(drifted, tmp_path)

    assert code != 0, output


def test_every_module_of_pico_ioc_has_a_stub() -> None:
    modules = {path.stem for path in Path(pico_ioc.__file__).parent.glob("*.py")}

    assert {path.stem for path in (STUBS / "pico_ioc").glob("*.pyi")} == modules


def test_the_stubs_pass_mypy_strict_themselves(tmp_path: Path) -> None:
    options = ["--strict", "--config-file=", f"--cache-dir={tmp_path}"]
    code, output = run([sys.executable, "-m", "mypy", *options, "-p", "pico_ioc"], cwd=tmp_path, mypypath=STUBS)

    assert code == 0, output


def test_an_application_with_all_decorators_passes_mypy_strict_with_the_stubs(application: Path, cache: Path) -> None:
    assert mypy(application, cache, mypypath=STUBS) == (0, "")


def test_the_same_application_passes_mypy_strict_where_the_wheel_installs_the_stubs(
    application: Path, tmp_path: Path
) -> None:
    python = environment(tmp_path / "venv", stubs=True)

    assert mypy(application, tmp_path / "cache", python=python) == (0, "")


def test_the_same_application_fails_mypy_strict_without_the_stubs(application: Path, tmp_path: Path) -> None:
    python = environment(tmp_path / "venv", stubs=False)

    code, output = mypy(application, tmp_path / "cache", python=python)

    assert code == 1, output
    # pico-ioc itself was found: what fails is how it is typed.
    assert "import-" not in output
    assert "attr-defined" not in output
    untyped = set(re.findall(r'Untyped decorator makes function "(\w+)" untyped', output))
    by_provides = {"one", "greeting", "raw", "ratio", "imaginary", "plan"}
    by_the_others = {"warm", "ok", "close", "greet"}  # configure, health, cleanup, intercepted_by
    assert untyped == by_provides | by_the_others
    assert 'Only concrete class can be given where "type[Clock]" is expected' in output
    assert 'Argument 2 to "subscribe" of "EventBus" has incompatible type' in output


def test_the_same_application_runs(application: Path) -> None:
    code, output = run([sys.executable, "-W", "error", application.name], cwd=application.parent)

    assert code == 0, output


def test_the_same_application_passes_pyright_strict_with_the_stubs(application: Path) -> None:
    settings = {"stubPath": str(STUBS), "typeCheckingMode": "strict", "pythonVersion": "3.11"}
    (application.parent / "pyrightconfig.json").write_text(json.dumps(settings))

    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"]
    _, output = run(command, cwd=application.parent)

    report = json.loads(output[output.index("{") :])
    assert report["summary"]["filesAnalyzed"] == 1
    assert report["generalDiagnostics"] == []


def test_mypy_reports_each_misuse_and_nothing_else(tmp_path: Path, cache: Path) -> None:
    source = tmp_path / "misuse.py"
    source.write_text(MISUSE)
    expected = {
        (number, code.strip())
        for number, line in enumerate(MISUSE.splitlines(), start=1)
        if "# E:" in line
        for code in line.partition("# E:")[2].split(",")
    }

    _, output = mypy(source, cache, mypypath=STUBS)

    found = re.findall(r"^misuse\.py:(\d+): error: .*\[([a-z-]+)\]$", output, flags=re.MULTILINE)
    assert {(int(number), code) for number, code in found} == expected, output


def test_the_private_attributes_in_the_stubs_are_what_a_container_has() -> None:
    # stubtest sees no attribute that is only set in __init__.
    @component(scope="request")
    class Visitor: ...

    class module:
        visitor = Visitor

    container: PicoContainer = init(
        [module],  # type: ignore[list-item]  # a module in the eyes of the scanner
        config=configuration(DictSource({"db": {"host": "h"}}), overrides={"KEY": 7}),
    )
    try:
        with container.scope("request", "1"):
            visitor = container.get(Visitor)
        assert container._caches._by_scope["request"]["1"].items() == [(Visitor, visitor)]
        manager = container._config_manager
        assert manager is not None
        assert (manager._has_tree, manager._has_flat) == (True, False)
        assert manager._resolver.subtree("db") == {"host": "h"}
        assert manager._lookup_flat("KEY") == "7"
        assert manager._lookup_flat("OTHER") is None
        assert container.context.container_id == container.container_id
        assert container.scopes.get_id("request") is None
    finally:
        container.shutdown()
